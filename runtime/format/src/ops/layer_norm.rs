use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, OutputS8, Params, product};
use crate::DType;

/// Brings each row to mean 0 and variance 1 (or to a mean square of 1), then scales and shifts. `docs/numerics.md`, `layer_norm`.
///
/// Inputs: `x` `s8[rows, n]`, multipliers `s32[parameters]`, shifts `u8[parameters]`, offsets `s32[parameters]`. Output: `y` `s8[rows, n]`.
/// Element `i` of the whole tensor has parameter `i / run % parameters`: `run` 1 and `n` of them for a layer norm, a picture's pixels and one a channel for an
/// instance or group norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Rows, up to `2^24`.
    pub rows: u32,
    /// Values of a row.
    pub n: u32,
    /// Elements one after another that share a parameter.
    pub run: u32,
    /// Multipliers, shifts and offsets.
    pub parameters: u32,
    /// The mean is subtracted; without, the mean square is taken about zero.
    pub centered: bool,
    /// Zero point of the input.
    pub zero_point_in: i8,
    /// What is added to the variance, in the rule's unit: steps of the input, squared, times `n^2 * 2^14`. Below `2^62`.
    pub epsilon: u64,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
}

impl LayerNorm {
    /// Bits behind the point of the sum of squares.
    pub const VARIANCE_BITS: u32 = 14;
    /// Bits behind the point of a normalized value; its magnitude is at most 256.
    pub const NORMAL_BITS: u32 = 20;
    /// Bits behind the point of a scaled value and of an offset.
    pub const OFFSET_BITS: u32 = 12;
}

impl Params<'_> for LayerNorm {
    const CODE: OpCode = OpCode::LayerNorm;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let n = product(&[self.n])?;
        if self.rows == 0 || self.rows > 1 << 24 {
            return Err(OpError::Shape);
        }
        let len = u64::from(self.rows) * n;
        if len >= 1 << 31 || self.run == 0 || u64::from(self.run) > len {
            return Err(OpError::Shape);
        }
        let parameters = product(&[self.parameters])?;
        if self.epsilon >= 1 << 62 {
            return Err(OpError::Parameter);
        }
        self.output.check()?;
        operands.expect_counts(4, 1)?;
        operands.expect_input(0, DType::S8, len)?;
        operands.expect_constant(1, DType::S32, parameters)?;
        operands.expect_constant(2, DType::U8, parameters)?;
        operands.expect_constant(3, DType::S32, parameters)?;
        operands.expect_output(0, DType::S8, len)
    }
}
