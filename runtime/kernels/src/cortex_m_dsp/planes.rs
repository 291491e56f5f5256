//! Four channels of a picture as pairs of 16-bit neighbours along one axis, with the padding filled in.
//!
//! A row is a run of pairs; a pair is a word for each of the four channels, one behind the other.

use core::arch::asm;

use super::simd::{even, odd, word};

/// Channels at a time: a word of the input.
pub(super) const CHANNELS: usize = 4;
/// Two neighbours of each channel, the first in the low half.
pub(super) type Pair = [u32; CHANNELS];

/// A row of the picture along one axis.
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
    /// The value of padding.
    pub(super) zero_point: i8,
}

impl Line<'_> {
    /// Writes pairs from the padding before the first pixel on, as many as `to` has.
    pub(super) fn spread(&self, to: &mut [Pair]) {
        // The first pair of two pixels inside, and the first behind them that is not.
        let first = self.pad.div_ceil(2).min(to.len());
        let end = ((self.len + self.pad) / 2).clamp(first, to.len());
        for (index, pair) in to.iter_mut().enumerate().take(first) {
            *pair = self.pair(index);
        }
        for (index, pair) in to.iter_mut().enumerate().skip(end) {
            *pair = self.pair(index);
        }
        let start = (2 * first).saturating_sub(self.pad) * self.step;
        let count = end - first;
        let last = start + (2 * count).saturating_sub(1) * self.step + CHANNELS;
        if count == 0 || last > self.x.len() {
            return;
        }
        let Some(to) = to.get_mut(first..end) else {
            return;
        };
        // SAFETY: `last` is the end of the last of `2 * count` words, each `step` bytes behind the one before; it lies inside `x`. `to` is `count` pairs.
        unsafe {
            spread_whole(
                self.x.as_ptr().wrapping_add(start),
                self.step,
                count,
                to.as_mut_ptr(),
            );
        }
    }

    /// One pair, whatever of it is padding.
    #[inline(never)]
    fn pair(&self, index: usize) -> Pair {
        let pixel = |place: usize| {
            let inside = place.checked_sub(self.pad).filter(|&at| at < self.len);
            inside
                .and_then(|at| self.x.get(at * self.step..)?.first_chunk())
                .map_or(u32::from(self.zero_point as u8) * 0x0101_0101, word)
        };
        let (a, b) = (pixel(2 * index), pixel(2 * index + 1));
        let low = |a: u32, b: u32| a & 0xffff | b << 16;
        let high = |a: u32, b: u32| a >> 16 | b & 0xffff_0000;
        [
            low(even(a), even(b)),
            low(odd(a), odd(b)),
            high(even(a), even(b)),
            high(odd(a), odd(b)),
        ]
    }
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
