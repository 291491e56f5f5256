//! Short exact forms of [`crate::reference::requantize`]. `docs/numerics.md`, rule 3.

use core::ops::RangeInclusive;

use ocellus_format::Requant;

/// Shifts for which [`requantize_smmla`] is exact.
pub const SMMLA_SHIFTS: RangeInclusive<u8> = 33..=55;

/// Smallest shift for which [`requantize_sqdmulh`] is exact.
pub const SQDMULH_SHIFT_MIN: u8 = 32;

/// The addend of [`requantize_smmla`]: output zero point and half a step, scaled so that they survive the shift.
#[inline]
pub fn smmla_constant(shift: u8, zero_point_out: i8) -> i32 {
    let shift = u32::from(shift);
    let half = 1_i32.wrapping_shl(shift.wrapping_sub(33));
    i32::from(zero_point_out)
        .wrapping_shl(shift.wrapping_sub(32))
        .wrapping_add(half)
}

/// Rescale, zero point and saturation to `s8` in the three steps of a Cortex-M with DSP: `SMMLA`, `ASR`, `SSAT`.
///
/// Exact for shifts in [`SMMLA_SHIFTS`] where the clamp is the whole `s8` range: half and zero point are multiples of `2^32`, so
/// that the low word that `SMMLA` drops holds product bits below the rounding bit only.
#[inline]
pub fn requantize_smmla(acc: i32, r: Requant, zero_point_out: i8) -> i8 {
    let constant = i64::from(smmla_constant(r.shift, zero_point_out)) << 32;
    let high = (constant.wrapping_add(i64::from(acc) * i64::from(r.multiplier)) >> 32) as i32;
    let value = high.wrapping_shr(u32::from(r.shift).wrapping_sub(32));
    value.max(i32::from(i8::MIN)).min(i32::from(i8::MAX)) as i8
}

/// Rescale in the two steps of NEON and Helium: truncating doubling multiply high, rounding shift right.
///
/// Exact for shifts from [`SQDMULH_SHIFT_MIN`] on. The doubling cannot saturate, as a multiplier is above `-2^31`.
#[inline]
pub fn requantize_sqdmulh(acc: i32, r: Requant) -> i32 {
    let high = i64::from(acc).wrapping_mul(i64::from(r.multiplier)) >> 31;
    let shift = u32::from(r.shift).wrapping_sub(31);
    // The instruction adds the half in more than 32 bits.
    high.wrapping_add(1_i64.wrapping_shl(shift.wrapping_sub(1)))
        .wrapping_shr(shift) as i32
}
