//! Four channels of a picture as pairs of 16-bit neighbours along one axis, with the padding filled in.
//!
//! A row is a run of pairs; a pair is a word for each of the four channels, one behind the other.

use core::arch::asm;

use super::simd::{even, odd, word};

/// Channels at a time: a word of the input.
pub(super) const CHANNELS: usize = 4;
/// Two neighbours of each channel, the first in the low half.
pub(super) type Pair = [u32; CHANNELS];

/// Pixels of one row of the picture, along one axis.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// From the first pixel's first channel of the four on.
    pub(super) x: &'a [i8],
    /// Pixels.
    pub(super) len: usize,
    /// Bytes from one pixel to the next.
    pub(super) step: usize,
    /// Pixels of padding before the first.
    pub(super) pad: usize,
}

impl Line<'_> {
    /// Writes the pixels that lie inside, as many as there is room for. The padding around them is left as it is.
    #[inline]
    pub(super) fn spread(&self, to: &mut [Pair]) {
        let room = (2 * to.len()).saturating_sub(self.pad);
        let len = self.len.min(room);
        // With an odd padding the first pixel is the second of its pair.
        let before = (self.pad % 2).min(len);
        let pairs = (len - before) / 2;
        if before > 0 {
            self.put(0, to);
        }
        if before + 2 * pairs < len {
            self.put(len - 1, to);
        }
        let start = before * self.step;
        let end = start + (2 * pairs).saturating_sub(1) * self.step + CHANNELS;
        let first = self.pad.div_ceil(2);
        if let (Some(to), 1.., true) =
            (to.get_mut(first..first + pairs), pairs, end <= self.x.len())
        {
            // SAFETY: `end` is behind the last of `2 * pairs` words, each `step` bytes behind the one before; it lies inside `x`. `to` is `pairs` pairs.
            unsafe {
                let x = self.x.as_ptr().wrapping_add(start);
                spread_whole(x, self.step, pairs, to.as_mut_ptr());
            }
        }
    }

    /// Writes one pixel.
    #[inline(always)]
    fn put(&self, pixel: usize, to: &mut [Pair]) {
        let place = self.pad + pixel;
        let x = self.x.get(pixel * self.step..);
        let halves: &mut [[u16; 2]] = bytemuck::cast_slice_mut(to.as_flattened_mut());
        let halves: &mut [u16] = halves.as_flattened_mut();
        let first = place / 2 * 2 * CHANNELS + place % 2;
        let (Some(x), Some([h0, _, h1, _, h2, _, h3])) = (
            x.and_then(|x| x.first_chunk::<CHANNELS>()),
            halves.get_mut(first..first + 2 * CHANNELS - 1),
        ) else {
            return;
        };
        let (even, odd) = (even(word(x)), odd(word(x)));
        (*h0, *h1) = (even as u16, odd as u16);
        (*h2, *h3) = ((even >> 16) as u16, (odd >> 16) as u16);
    }
}

/// Two values of each of four channels, from a word of each.
#[inline(always)]
pub(super) fn pair(a: u32, b: u32) -> Pair {
    let low = |a: u32, b: u32| a & 0xffff | b << 16;
    let high = |a: u32, b: u32| a >> 16 | b & 0xffff_0000;
    [
        low(even(a), even(b)),
        low(odd(a), odd(b)),
        high(even(a), even(b)),
        high(odd(a), odd(b)),
    ]
}

/// # Safety
/// `x`, `x + step`, ... are `2 * count` words that can be read, at any address; `to` has room for `count` pairs.
#[inline]
unsafe fn spread_whole(x: *const i8, step: usize, count: usize, to: *mut Pair) {
    // SAFETY: each of `count` rounds reads two words and writes one pair. Every register that is written is named.
    unsafe {
        asm!(
            "2:",
            "ldr r4, [{x}]",
            "ldr r5, [{x}, {step}]",
            "add {x}, {x}, {step}, lsl #1",
            "sxtb16 r0, r4",
            "sxtb16 r1, r4, ror #8",
            "sxtb16 r4, r5",
            "sxtb16 r5, r5, ror #8",
            "pkhtb r2, r4, r0, asr #16",
            "pkhtb r3, r5, r1, asr #16",
            "pkhbt r0, r0, r4, lsl #16",
            "pkhbt r1, r1, r5, lsl #16",
            "subs {count}, #1",
            "stm {to}!, {{r0, r1, r2, r3}}",
            "bne 2b",
            x = inout(reg) x => _,
            step = in(reg) step,
            count = inout(reg) count => _,
            to = inout(reg) to => _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            options(nostack),
        );
    }
}
