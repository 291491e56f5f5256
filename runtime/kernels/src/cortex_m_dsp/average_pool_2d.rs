//! The mean of each window, four channels at a time: bytes are added as 16-bit halves, and those to 32 bits before they could overflow.

use core::arch::asm;

use ocellus_format::{Requant, ops::AveragePool2d};

use super::requantize::finish;
use super::taps::Taps;
use crate::{AveragePoolIo, generic::SMMLA_SHIFTS, reference};

/// Channels of a word.
const CHANNELS: usize = 4;
/// Values that a half can add up: 128 of them times 2^8 are 2^15.
const HALVES: u32 = 255;

pub(super) fn average_pool_2d_s8(p: &AveragePool2d, io: AveragePoolIo<'_>) {
    let w = &p.window;
    let channels = p.channels as usize;
    let len = w.in_h as usize * w.in_w as usize * channels;
    if channels < CHANNELS || io.x.len() < len {
        reference::average_pool_2d_s8(p, io);
        return;
    }
    let mut outputs = io.y.chunks_exact_mut(channels);
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            let y = outputs.next().unwrap_or_default();
            let (rows, columns) = (Taps::rows(w, oy), Taps::columns(w, ox));
            let count = rows.count * columns.count;
            let entry = if p.by_count {
                count.saturating_sub(1)
            } else {
                0
            };
            let rescale = (
                io.multipliers.get(entry as usize),
                io.shifts.get(entry as usize),
            );
            let (Some(&multiplier), Some(&shift)) = rescale else {
                return;
            };
            let zero_points = count.wrapping_mul(i32::from(p.zero_point_in) as u32) as i32;
            for first in (0..channels).step_by(CHANNELS) {
                // The last four channels may have been done in part.
                let first = first.min(channels - CHANNELS);
                let mut sums = Sums::default();
                for row in 0..rows.count {
                    let iy = rows.first + row * w.dilation_h;
                    let line = (iy * w.in_w + columns.first) as usize * channels + first;
                    let step = w.dilation_w as usize * channels;
                    sums.add_line(io.x.get(line..).unwrap_or(&[]), step, columns.count);
                }
                let y = y.get_mut(first..first + CHANNELS).unwrap_or_default();
                for (y, sum) in y.iter_mut().zip(sums.finish()) {
                    *y = finish(
                        sum.wrapping_sub(zero_points),
                        Requant { multiplier, shift },
                        p.output,
                        SMMLA_SHIFTS.contains(&shift),
                    );
                }
            }
        }
    }
}

/// Sums of four channels.
#[derive(Default)]
struct Sums {
    even: u32,
    odd: u32,
    /// Values in the halves.
    count: u32,
    words: [i32; CHANNELS],
}

impl Sums {
    /// Adds `count` pixels, `step` values apart; nothing where they do not all lie in `x`.
    fn add_line(&mut self, x: &[i8], step: usize, count: u32) {
        let end = (count as usize).saturating_sub(1) * step + CHANNELS;
        if end > x.len() {
            return;
        }
        let mut x = x.as_ptr();
        let mut left = count;
        while left > 0 {
            let some = left.min(HALVES - self.count);
            // SAFETY: `some` rounds read a word each, `step` apart, of `count` whose last ends at `end`, inside of the slice. Every register that is written is named.
            unsafe {
                asm!(
                    "2:",
                    "ldr {values}, [{x}]",
                    "add {x}, {x}, {step}",
                    "subs {some}, #1",
                    "sxtab16 {even}, {even}, {values}",
                    "sxtab16 {odd}, {odd}, {values}, ror #8",
                    "bne 2b",
                    x = inout(reg) x,
                    step = in(reg) step,
                    some = inout(reg) some => _,
                    even = inout(reg) self.even,
                    odd = inout(reg) self.odd,
                    values = out(reg) _,
                    options(nostack, readonly),
                );
            }
            self.count += some;
            left -= some;
            if self.count == HALVES {
                self.flush();
            }
        }
    }

    /// Empties the halves.
    #[inline(never)]
    fn flush(&mut self) {
        let halves = [self.even, self.odd, self.even >> 16, self.odd >> 16];
        for (word, half) in self.words.iter_mut().zip(halves) {
            *word = word.wrapping_add(i32::from(half as i16));
        }
        (self.even, self.odd, self.count) = (0, 0, 0);
    }

    fn finish(mut self) -> [i32; CHANNELS] {
        self.flush();
        self.words
    }
}
