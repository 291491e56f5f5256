//! Accumulators into outputs, four at a time. `docs/numerics.md`, rule 3.
//!
//! From a shift of [`HIGH_SHIFT_MIN`] on, `SQDMULH` and `SRSHL` are exact; the wide form holds for every shift and stays in 64 bits until after it.

use core::arch::aarch64::*;

use ocellus_format::{Requant, ops::OutputS8};

use crate::generic::SQDMULH_SHIFT_MIN as HIGH_SHIFT_MIN;

/// Output channels whose scales lie together.
pub(super) const CHANNELS: usize = 8;

/// Biases and scales of [`CHANNELS`] consecutive output channels.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(super) struct Scales {
    pub(super) bias: [i32; CHANNELS],
    multiplier: [i32; CHANNELS],
    /// What `SRSHL` shifts by behind `SQDMULH`, which has shifted by 31: `31 - shift`.
    shift: [i32; CHANNELS],
}

impl Scales {
    /// Outputs that are nobody's.
    pub(super) const NONE: Scales = Scales {
        bias: [0; CHANNELS],
        multiplier: [0; CHANNELS],
        shift: [left(Requant::SHIFT_MAX); CHANNELS],
    };

    /// The scales of up to [`CHANNELS`] channels.
    pub(super) fn new(bias: &[i32], multipliers: &[i32], shifts: &[u8]) -> Scales {
        if let (Some(&bias), Some(&multiplier), Some(shifts)) = (
            bias.first_chunk(),
            multipliers.first_chunk(),
            shifts.first_chunk::<CHANNELS>(),
        ) {
            return Scales {
                bias,
                multiplier,
                shift: shifts.map(left),
            };
        }
        let mut scales = Scales::NONE;
        for (to, &from) in scales.bias.iter_mut().zip(bias) {
            *to = from;
        }
        for (to, &from) in scales.multiplier.iter_mut().zip(multipliers) {
            *to = from;
        }
        for (to, &from) in scales.shift.iter_mut().zip(shifts) {
            *to = left(from);
        }
        scales
    }

    /// The biases of four channels, of the second half of them where `half` is 1.
    #[inline(always)]
    pub(super) fn bias4(&self, half: usize) -> int32x4_t {
        load4(&self.bias.as_chunks::<4>().0[half])
    }

    /// The scales of four channels, of the second half of them where `half` is 1.
    #[inline(always)]
    pub(super) fn scale4(&self, half: usize) -> Scale4 {
        Scale4 {
            multiplier: load4(&self.multiplier.as_chunks::<4>().0[half]),
            shift: load4(&self.shift.as_chunks::<4>().0[half]),
        }
    }
}

/// `SRSHL` shifts to the left, behind `SQDMULH`.
const fn left(shift: u8) -> i32 {
    31 - shift as i32
}

#[inline(always)]
pub(super) fn load4(values: &[i32; 4]) -> int32x4_t {
    // SAFETY: the reference is to four values.
    unsafe { vld1q_s32(values.as_ptr()) }
}

/// True where the short form is exact for every channel.
pub(super) fn all_high(shifts: &[u8]) -> bool {
    let least = shifts
        .iter()
        .fold(u8::MAX, |least, &shift| least.min(shift));
    let most = shifts.iter().fold(0, |most, &shift| most.max(shift));
    least >= HIGH_SHIFT_MIN && most <= Requant::SHIFT_MAX
}

/// The scales of four channels in registers.
#[derive(Clone, Copy)]
pub(super) struct Scale4 {
    multiplier: int32x4_t,
    shift: int32x4_t,
}

impl Scale4 {
    /// Four multipliers, four shifts to the right.
    pub(super) fn new(multiplier: int32x4_t, shift: int32x4_t) -> Scale4 {
        // SAFETY: AArch64 has Advanced SIMD.
        let shift = unsafe { vsubq_s32(vdupq_n_s32(31), shift) };
        Scale4 { multiplier, shift }
    }

    /// The same scale in every lane.
    pub(super) fn splat(r: Requant) -> Scale4 {
        // SAFETY: AArch64 has Advanced SIMD.
        unsafe {
            Scale4 {
                multiplier: vdupq_n_s32(r.multiplier),
                shift: vdupq_n_s32(left(r.shift)),
            }
        }
    }

    /// Rescales, in the short form where `HIGH`.
    #[inline(always)]
    pub(super) fn apply<const HIGH: bool>(self, acc: int32x4_t) -> int32x4_t {
        // SAFETY: AArch64 has Advanced SIMD.
        unsafe {
            if HIGH {
                return vrshlq_s32(vqdmulhq_s32(acc, self.multiplier), self.shift);
            }
            let thirty_one = vdupq_n_s64(31);
            let low = vmull_s32(vget_low_s32(acc), vget_low_s32(self.multiplier));
            let high = vmull_high_s32(acc, self.multiplier);
            let low_shift = vsubq_s64(vmovl_s32(vget_low_s32(self.shift)), thirty_one);
            let high_shift = vsubq_s64(vmovl_high_s32(self.shift), thirty_one);
            vqmovn_high_s64(
                vqmovn_s64(vrshlq_s64(low, low_shift)),
                vrshlq_s64(high, high_shift),
            )
        }
    }
}

/// Zero point and clamp in registers.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    zero_point: int16x8_t,
    min: int8x16_t,
    max: int8x16_t,
}

impl Finish {
    pub(super) fn new(output: OutputS8) -> Finish {
        // SAFETY: AArch64 has Advanced SIMD.
        unsafe {
            Finish {
                zero_point: vdupq_n_s16(output.zero_point.into()),
                min: vdupq_n_s8(output.min),
                max: vdupq_n_s8(output.max),
            }
        }
    }

    /// True where [`Finish::plain`] is exact: outputs are not clamped further than to `s8`, and no accumulator of at most `acc_bound` leaves 16 bits when it is
    /// rescaled and has its zero point. A bound of 0 is none.
    pub(super) fn is_plain(output: OutputS8, shifts: &[u8], acc_bound: u32) -> bool {
        let least = shifts
            .iter()
            .fold(u8::MAX, |least, &shift| least.min(shift));
        // Multipliers are below 2^31, so that what is rescaled is below `acc_bound * 2^(31 - shift)`.
        let largest = acc_bound.checked_shr(u32::from(least).saturating_sub(31));
        least >= HIGH_SHIFT_MIN
            && acc_bound > 0
            && largest.unwrap_or(0) < 32_000
            && (output.min, output.max) == (i8::MIN, i8::MAX)
    }

    /// Sixteen outputs of rescaled values. What does not fit 16 bits lies beyond `s8` whatever the zero point.
    #[inline(always)]
    pub(super) fn sixteen(self, [a, b, c, d]: [int32x4_t; 4]) -> int8x16_t {
        // SAFETY: AArch64 has Advanced SIMD.
        unsafe {
            let low = vqmovn_high_s32(vqmovn_s32(a), b);
            let high = vqmovn_high_s32(vqmovn_s32(c), d);
            let low = vqaddq_s16(low, self.zero_point);
            let high = vqaddq_s16(high, self.zero_point);
            let bytes = vqmovn_high_s16(vqmovn_s16(low), high);
            vminq_s8(vmaxq_s8(bytes, self.min), self.max)
        }
    }

    /// As [`Finish::sixteen`], where [`Finish::is_plain`] allows.
    #[inline(always)]
    pub(super) fn plain(self, [a, b, c, d]: [int32x4_t; 4]) -> int8x16_t {
        // SAFETY: AArch64 has Advanced SIMD.
        unsafe {
            let low_halves = |a, b| vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
            let low = vaddq_s16(low_halves(a, b), self.zero_point);
            let high = vaddq_s16(low_halves(c, d), self.zero_point);
            vqmovn_high_s16(vqmovn_s16(low), high)
        }
    }

    /// Either.
    #[inline(always)]
    pub(super) fn sixteen_or<const PLAIN: bool>(self, values: [int32x4_t; 4]) -> int8x16_t {
        if PLAIN {
            self.plain(values)
        } else {
            self.sixteen(values)
        }
    }

    /// Eight outputs.
    #[inline(always)]
    pub(super) fn eight(self, a: int32x4_t, b: int32x4_t) -> int8x8_t {
        // SAFETY: AArch64 has Advanced SIMD.
        unsafe {
            let words = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero_point);
            let bytes = vqmovn_s16(words);
            vmin_s8(vmax_s8(bytes, vget_low_s8(self.min)), vget_low_s8(self.max))
        }
    }
}
