//! Three input rows times a layer's output channels, whichever way its weights lie.

use core::arch::asm;

use ocellus_format::WeightLayout;

use super::pair_block::{Pairs, Record};
use super::requantize::Channels;
use super::rows::{ROWS, RUN, Run};
use super::simd::{even, odd, partial_word, smlad};

/// The weights of a layer or of one of its groups.
pub(super) enum Product<'a> {
    /// Two output channels share 16 bits.
    Pairs(Pairs<'a>),
    /// Each channel's values lie together.
    Plain {
        weights: &'a [i8],
        channels: Channels<'a>,
        taps: usize,
    },
}

impl<'a> Product<'a> {
    /// Weights in a layout; `None` where these kernels have no reader for it, or the weights or the
    /// scratch for `records` are fewer than channels and taps say.
    #[inline(never)]
    pub(super) fn new(
        layout: WeightLayout,
        weights: &'a [i8],
        channels: Channels<'a>,
        taps: usize,
        records: &'a mut [Record],
    ) -> Option<Product<'a>> {
        match layout {
            WeightLayout::Pair2x4 => {
                Pairs::new(weights, channels, taps, records).map(Product::Pairs)
            }
            WeightLayout::Portable if taps > 0 => Some(Product::Plain {
                weights: weights.get(..channels.bias.len().checked_mul(taps)?)?,
                channels,
                taps,
            }),
            _ => None,
        }
    }

    /// Writes the outputs of three rows, saturated but not clamped, whose channels begin at `at` in `y`. Rows may have one place: then one of them is kept.
    #[inline]
    pub(super) fn three_rows(&mut self, x: &[Run], y: &mut [i8], at: [usize; ROWS]) {
        match self {
            Product::Pairs(pairs) => pairs.three_rows(x, y, at),
            Product::Plain {
                weights,
                channels,
                taps,
            } => plain_rows(weights, channels, *taps, x, y, at),
        }
    }
}

/// One channel at a time.
#[inline(never)]
fn plain_rows(
    weights: &[i8],
    channels: &Channels<'_>,
    taps: usize,
    x: &[Run],
    y: &mut [i8],
    at: [usize; ROWS],
) {
    let weights = weights.chunks_exact(taps.max(1)).zip(channels.bias);
    for (oc, (weights, &bias)) in weights.enumerate() {
        let sums = dot(x, weights, bias);
        for (at, sum) in at.into_iter().zip(sums) {
            let to = y.get_mut(at + oc..at + oc + 1).unwrap_or_default();
            channels.from(oc).finish(&[sum], to);
        }
    }
}

/// Sums of three rows with one channel.
fn dot(x: &[Run], weights: &[i8], bias: i32) -> [i32; ROWS] {
    let whole = (weights.len() / RUN).min(x.len());
    // SAFETY: `whole` runs are not more than `x` has, and four times as many bytes not more than `weights`.
    let mut sums = unsafe { dot_whole(x.as_ptr(), weights.as_ptr(), whole, bias) };
    let rest = weights.get(whole * RUN..).unwrap_or(&[]);
    if let (Some([x0, x1, x2, x3, x4, x5]), false) = (x.get(whole), rest.is_empty()) {
        let word = partial_word(rest);
        let (even, odd) = (even(word), odd(word));
        for (sum, (first, second)) in sums.iter_mut().zip([(x0, x3), (x1, x4), (x2, x5)]) {
            *sum = smlad(odd, *second, smlad(even, *first, *sum));
        }
    }
    sums
}

/// # Safety
/// `x` points to `runs` runs, `weights` to four times as many bytes.
#[inline]
unsafe fn dot_whole(x: *const Run, weights: *const i8, runs: usize, bias: i32) -> [i32; ROWS] {
    let (mut sum0, mut sum1, mut sum2) = (bias, bias, bias);
    if runs > 0 {
        // SAFETY: each of `runs` rounds reads one run and four bytes of weights, at any address. Every register that is written is named.
        unsafe {
            asm!(
                "2:",
                "ldr r3, [{w}], #4",
                "ldm {x}!, {{r0, r1, r2}}",
                "sxtb16 r4, r3",
                "smlad {sum0}, r4, r0, {sum0}",
                "smlad {sum1}, r4, r1, {sum1}",
                "smlad {sum2}, r4, r2, {sum2}",
                "ldm {x}!, {{r0, r1, r2}}",
                "sxtb16 r3, r3, ror #8",
                "smlad {sum0}, r3, r0, {sum0}",
                "smlad {sum1}, r3, r1, {sum1}",
                "smlad {sum2}, r3, r2, {sum2}",
                "subs {runs}, #1",
                "bne 2b",
                w = inout(reg) weights => _,
                x = inout(reg) x => _,
                runs = inout(reg) runs => _,
                sum0 = inout(reg) sum0,
                sum1 = inout(reg) sum1,
                sum2 = inout(reg) sum2,
                out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _,
                options(nostack),
            );
        }
    }
    [sum0, sum1, sum2]
}
