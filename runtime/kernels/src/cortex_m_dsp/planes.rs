//! Four channels of a picture as pairs of 16-bit neighbours along one axis, with the padding filled in.
//!
//! A row is a run of pairs; a pair is a word for each of the four channels, one behind the other.

use core::arch::asm;

use super::simd::{even, odd};

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
    #[inline(never)]
    fn put(&self, pixel: usize, to: &mut [Pair]) {
        let place = self.pad + pixel;
        let x = self.x.get(pixel * self.step..);
        let (Some(x), Some(pair)) = (
            x.and_then(|x| x.first_chunk::<CHANNELS>()),
            to.get_mut(place / 2),
        ) else {
            return;
        };
        for (pair, &x) in pair.iter_mut().zip(x) {
            let [low, high]: &mut [u16; 2] = bytemuck::cast_mut(pair);
            let half = if place.is_multiple_of(2) { low } else { high };
            *half = i16::from(x) as u16;
        }
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
            "ldr r3, [{x}]",
            "ldr r4, [{x}, {step}]",
            "add {x}, {x}, {step}, lsl #1",
            "sxtb16 r0, r3",
            "sxtb16 r1, r3, ror #8",
            "sxtb16 r2, r4",
            "sxtb16 r4, r4, ror #8",
            "pkhtb r3, r4, r1, asr #16",
            "pkhbt r1, r1, r4, lsl #16",
            "pkhtb r4, r2, r0, asr #16",
            "pkhbt r0, r0, r2, lsl #16",
            "mov r2, r4",
            "subs {count}, #1",
            "stm {to}!, {{r0, r1, r2, r3}}",
            "bne 2b",
            x = inout(reg) x => _,
            step = in(reg) step,
            count = inout(reg) count => _,
            to = inout(reg) to => _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _,
            options(nostack),
        );
    }
}
