//! How integers stand for real numbers, and how an accumulator changes scale. `docs/numerics.md`, rules 1 and 3.

use serde::{Deserialize, Serialize};

/// `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QParams {
    /// Real value of one step; finite and above zero.
    pub scale: f32,
    /// The `q` that stands for 0.0; `-128..=127` for `s8`.
    pub zero_point: i32,
}

impl QParams {
    /// Of integers that are the numbers: indices.
    pub const WHOLE_NUMBERS: QParams = QParams {
        scale: 1.0,
        zero_point: 0,
    };

    /// The real value of `q`.
    pub fn dequantize(self, q: i32) -> f32 {
        self.scale * q.wrapping_sub(self.zero_point) as f32
    }
}

/// An integer rescale by `multiplier / 2^shift`.
///
/// - `multiplier`: 0, or its magnitude in `[2^30, 2^31)`
/// - `shift`: `2..=62`, to the right
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requant {
    /// Mantissa.
    pub multiplier: i32,
    /// Bits to shift right.
    pub shift: u8,
}

impl Requant {
    /// Smallest shift that the format allows.
    pub const SHIFT_MIN: u8 = 2;
    /// Largest shift that the format allows.
    pub const SHIFT_MAX: u8 = 62;

    /// True where both fields lie in their ranges.
    pub const fn is_valid(self) -> bool {
        let magnitude = self.multiplier.unsigned_abs();
        (magnitude == 0 || (magnitude >= 1 << 30 && magnitude < 1 << 31))
            && self.shift >= Self::SHIFT_MIN
            && self.shift <= Self::SHIFT_MAX
    }
}
