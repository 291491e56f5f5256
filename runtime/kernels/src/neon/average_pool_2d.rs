//! The mean of each window, sixteen channels at a time.

use core::arch::aarch64::*;

use ocellus_format::{Requant, ops::AveragePool2d};

use super::pool::Taps;
use super::requantize::{Finish, Scale4, all_high};
use super::sixteen::{LANES, put, sixteen};
use crate::{AveragePoolIo, reference};

/// Values that add up in 16 bits.
const RUN: usize = 256;

pub(super) fn average_pool_2d_s8(p: &AveragePool2d, io: AveragePoolIo<'_>) {
    let w = &p.window;
    let channels = p.channels as usize;
    let requants = p.requant_count() as usize;
    if io.x.len() < w.in_h as usize * w.in_w as usize * channels
        || io.y.len() < w.out_h as usize * w.out_w as usize * channels
        || io.multipliers.len() < requants
        || io.shifts.len() < requants
        || channels == 0
    {
        reference::average_pool_2d_s8(p, io);
        return;
    }
    let finish = Finish::new(p.output);
    let high = all_high(&io.shifts[..requants]);
    for (oy, line) in (0..w.out_h).zip(io.y.chunks_exact_mut(w.out_w as usize * channels)) {
        for (ox, y) in (0..w.out_w).zip(line.chunks_exact_mut(channels)) {
            let taps = Taps::of(w, oy, ox);
            let entry = if p.by_count {
                taps.count().saturating_sub(1)
            } else {
                0
            };
            let scale = Scale4::splat(Requant {
                multiplier: io.multipliers[entry],
                shift: io.shifts[entry],
            });
            // Pixels beside the picture are not counted, so that every value is less its zero point.
            let start = (taps.count() as i32).wrapping_mul(-i32::from(p.zero_point_in));
            for (y, first) in y.chunks_mut(LANES).zip((0..channels).step_by(LANES)) {
                let sums = sums(&taps, io.x, channels, first, start);
                let rescaled = if high {
                    sums.map(|sum| scale.apply::<true>(sum))
                } else {
                    sums.map(|sum| scale.apply::<false>(sum))
                };
                put(finish.sixteen(rescaled), y);
            }
        }
    }
}

/// Sums of sixteen channels from `first` on; what lies behind the last channel is added where there is something.
#[inline(always)]
fn sums(taps: &Taps, x: &[i8], channels: usize, first: usize, start: i32) -> [int32x4_t; 4] {
    // SAFETY: AArch64 has Advanced SIMD.
    let (mut sums, zero) = unsafe { ([vdupq_n_s32(start); 4], vdupq_n_s16(0)) };
    let mut short = [zero; 2];
    let mut left = RUN;
    // SAFETY: AArch64 has Advanced SIMD.
    let add = |sums: [int32x4_t; 4], short: [int16x8_t; 2]| unsafe {
        [
            vaddw_s16(sums[0], vget_low_s16(short[0])),
            vaddw_high_s16(sums[1], short[0]),
            vaddw_s16(sums[2], vget_low_s16(short[1])),
            vaddw_high_s16(sums[3], short[1]),
        ]
    };
    taps.for_each(|pixel| {
        let x = sixteen(&x[pixel * channels + first..]);
        // SAFETY: AArch64 has Advanced SIMD.
        short = unsafe {
            [
                vaddw_s8(short[0], vget_low_s8(x)),
                vaddw_high_s8(short[1], x),
            ]
        };
        left -= 1;
        if left == 0 {
            sums = add(sums, short);
            short = [zero; 2];
            left = RUN;
        }
    });
    add(sums, short)
}
