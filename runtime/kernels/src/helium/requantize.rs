//! Accumulators into `s8`, whatever the shift.

use crate::generic::SQDMULH_SHIFT_MIN;

/// Bias, multiplier, and two shifts of an accumulator: to the left before the product where the rescale's own is below [`SQDMULH_SHIFT_MIN`], and to the right, as a
/// negative number, behind it. Exact for every shift: where the left one saturates, the value is far outside of `s8`, whatever follows.
pub(super) type Rescale = [i32; 4];

/// One rescale for each bias, multiplier, shift and place in `to`, as many as the shortest has.
pub(super) fn rescales(bias: &[i32], multipliers: &[i32], shifts: &[u8], to: &mut [Rescale]) {
    for (((&bias, &multiplier), &shift), to) in bias.iter().zip(multipliers).zip(shifts).zip(to) {
        let left = (i32::from(SQDMULH_SHIFT_MIN) - i32::from(shift)).max(0);
        let right = 31 - left - i32::from(shift);
        *to = [bias, multiplier, left, right];
    }
}
