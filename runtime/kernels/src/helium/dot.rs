//! Rows times rows: the inner loop of convolution and fully connected.
//!
//! Two input rows against two weight rows: four loads serve four `VMLADAVA` of sixteen products each, so that loads and
//! products alternate and no loaded value is used once only.

use core::arch::asm;

use super::requantize::{Requants, requantize_row};

/// Adds the products of two input rows with two weight rows to `acc`: `[x0 * w0, x0 * w1, x1 * w0, x1 * w1]`.
///
/// `w0` and `w1` give sixteen weights every `STRIDE` bytes: 16 where a channel's weights lie together, 64 where four channels are interleaved.
/// Sums over the shortest of the four rows.
#[inline]
fn dot_2x2<const STRIDE: usize>(
    x0: &[i8],
    x1: &[i8],
    w0: &[i8],
    w1: &[i8],
    acc: [i32; 4],
) -> [i32; 4] {
    let n = x0
        .len()
        .min(x1.len())
        .min(weights_in::<STRIDE>(w0))
        .min(weights_in::<STRIDE>(w1));
    if n == 0 {
        return acc;
    }
    let [mut a00, mut a01, mut a10, mut a11] = acc;
    // SAFETY: tail predication loads exactly `n` bytes of each input row, and of each weight row those that `weights_in` counted;
    // `n` is not above any of the four. Nothing is stored. The loop's registers and flags are named as clobbered.
    unsafe {
        asm!(
            "dlstp.8 lr, {n}",
            "2:",
            "vldrb.u8 q0, [{x0}], #16",
            "vldrb.u8 q2, [{w0}], #{stride}",
            "vmladava.s8 r0, q0, q2",
            "vldrb.u8 q3, [{w1}], #{stride}",
            "vmladava.s8 r2, q0, q3",
            "vldrb.u8 q1, [{x1}], #16",
            "vmladava.s8 r4, q1, q2",
            "vmladava.s8 r8, q1, q3",
            "letp lr, 2b",
            n = in(reg) n,
            x0 = inout(reg) x0.as_ptr() => _,
            x1 = inout(reg) x1.as_ptr() => _,
            w0 = inout(reg) w0.as_ptr() => _,
            w1 = inout(reg) w1.as_ptr() => _,
            stride = const STRIDE,
            inout("r0") a00,
            inout("r2") a01,
            inout("r4") a10,
            inout("r8") a11,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            options(nostack, readonly),
        );
    }
    [a00, a01, a10, a11]
}

/// How many weights of one channel a row holds that gives sixteen every `STRIDE` bytes.
#[inline]
fn weights_in<const STRIDE: usize>(row: &[i8]) -> usize {
    if STRIDE == 16 {
        row.len()
    } else {
        row.len() / STRIDE * 16 + (row.len() % STRIDE).min(16)
    }
}

/// The weights of consecutive output channels.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// One channel after the other.
    Plain(&'a [i8]),
    /// Four channels interleaved by sixteen.
    Interleaved(&'a [i8]),
}

impl<'a> Rows<'a> {
    /// The rows of channels `oc` and `oc + 1`, from the first weight on; the second is the first again where there is one channel only.
    #[inline]
    fn pair(self, oc: usize, out_c: usize, taps: usize) -> (&'a [i8], &'a [i8]) {
        let second = (oc + 1).min(out_c - 1);
        match self {
            Rows::Plain(weights) => {
                let row = |oc: usize| weights.get(oc * taps..(oc + 1) * taps).unwrap_or(&[]);
                (row(oc), row(second))
            }
            Rows::Interleaved(weights) => {
                let block_len = taps.div_ceil(16) * 64;
                let row = |oc: usize| {
                    let first = oc / 4 * block_len + oc % 4 * 16;
                    weights.get(first..(oc / 4 + 1) * block_len).unwrap_or(&[])
                };
                (row(oc), row(second))
            }
        }
    }
}

/// Multiplies two input rows with every output channel, and writes the rescaled outputs.
///
/// `accumulators` holds two rows of `out_c` rounded up to four. `y1` is empty where there is only one row, and `x1` is `x0` then.
pub(super) fn two_rows(
    x: [&[i8]; 2],
    weights: Rows<'_>,
    bias: &[i32],
    requants: Requants<'_>,
    accumulators: &mut [i32],
    y: [&mut [i8]; 2],
) {
    let [x0, x1] = x;
    let [y0, y1] = y;
    let out_c = bias.len();
    let Some((acc0, acc1)) = accumulators.split_at_mut_checked(out_c.next_multiple_of(4)) else {
        return;
    };
    let mut rows = acc0.chunks_mut(2).zip(acc1.chunks_mut(2));
    for (pair, channels) in bias.chunks(2).enumerate() {
        let (w0, w1) = weights.pair(2 * pair, out_c, x0.len());
        let b0 = channels.first().copied().unwrap_or(0);
        let b1 = channels.get(1).copied().unwrap_or(0);
        let acc = [b0, b1, b0, b1];
        let [a00, a01, a10, a11] = match weights {
            Rows::Plain(_) => dot_2x2::<16>(x0, x1, w0, w1, acc),
            Rows::Interleaved(_) => dot_2x2::<64>(x0, x1, w0, w1, acc),
        };
        if let Some(([s00, s01], [s10, s11])) = rows.next().and_then(|(a, b)| {
            Some((
                <&mut [i32; 2]>::try_from(a).ok()?,
                <&mut [i32; 2]>::try_from(b).ok()?,
            ))
        }) {
            (*s00, *s01, *s10, *s11) = (a00, a01, a10, a11);
        }
    }
    requantize_row(acc0, requants, y0);
    requantize_row(acc1, requants, y1);
}
