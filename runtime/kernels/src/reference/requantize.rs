use ocellus_format::Requant;

/// Rescales an accumulator to the output's scale: `(acc * multiplier + 2^(shift - 1)) >> shift`.
///
/// Rounds once, halves towards positive infinity, and saturates to `i32`; the caller then adds the zero point and clamps to
/// `out_min..=out_max`, which is [`ocellus_format::ops::OutputS8::finish`].
///
/// - `multiplier`: 0, or its magnitude in `[2^30, 2^31)`
/// - `shift`: `2..=62`, to the right
///
/// The product and the half stay in `i64` until after the shift.
///
/// Source: TOSA 1.0, RESCALE with SINGLE_ROUND; `docs/numerics.md`, rule 3.
#[inline]
pub fn requantize(acc: i32, r: Requant) -> i32 {
    let shift = u32::from(r.shift);
    let half = 1_i64.wrapping_shl(shift.wrapping_sub(1));
    let product = i64::from(acc) * i64::from(r.multiplier);
    let value = product.wrapping_add(half).wrapping_shr(shift);
    value.max(i64::from(i32::MIN)).min(i64::from(i32::MAX)) as i32
}
