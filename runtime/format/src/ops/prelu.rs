use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, OutputS8, Params, product};
use crate::{DType, Requant};

/// Leaky rectifier with a slope for each channel (the innermost axis).
///
/// Inputs: `x` `s8[rows, channels]`, multipliers `s32[channels]`, shifts `u8[channels]` of the negative side. Output: `y` `s8[rows, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prelu {
    /// Product of all axes but the innermost, up to `2^24`.
    pub rows: u32,
    /// Size of the innermost axis.
    pub channels: u32,
    /// Zero point of the input.
    pub zero_point_in: i8,
    /// Scale of the positive side.
    pub positive: Requant,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
}

impl Params<'_> for Prelu {
    const CODE: OpCode = OpCode::Prelu;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let channels = product(&[self.channels])?;
        if self.rows == 0 || self.rows > 1 << 24 {
            return Err(OpError::Shape);
        }
        if !self.positive.is_valid() {
            return Err(OpError::Parameter);
        }
        self.output.check()?;
        let len = u64::from(self.rows) * channels;
        operands.expect_counts(3, 1)?;
        operands.expect_input(0, DType::S8, len)?;
        operands.expect_constant(1, DType::S32, channels)?;
        operands.expect_constant(2, DType::U8, channels)?;
        operands.expect_output(0, DType::S8, len)
    }
}
