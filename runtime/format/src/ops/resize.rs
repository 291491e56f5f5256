use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, Params, product};
use crate::DType;

/// Nearest-neighbour resize by index tables, which hold any coordinate rule.
///
/// Inputs: `x` `s8` `Nhwc`, rows `u16[out_h]`, columns `u16[out_w]`: the input row and column that each output row and column copies; a
/// kernel clamps an index to the picture. Output: `y` `s8` `Nhwc`, same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeNearest {
    /// Rows of the input.
    pub in_h: u32,
    /// Columns of the input.
    pub in_w: u32,
    /// Rows of the output.
    pub out_h: u32,
    /// Columns of the output.
    pub out_w: u32,
    /// Channels.
    pub channels: u32,
}

impl Params<'_> for ResizeNearest {
    const CODE: OpCode = OpCode::ResizeNearest;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        operands.expect_counts(3, 1)?;
        operands.expect_input(
            0,
            DType::S8,
            product(&[self.in_h, self.in_w, self.channels])?,
        )?;
        operands.expect_constant(1, DType::U16, u64::from(self.out_h))?;
        operands.expect_constant(2, DType::U16, u64::from(self.out_w))?;
        operands.expect_output(
            0,
            DType::S8,
            product(&[self.out_h, self.out_w, self.channels])?,
        )
    }
}

/// Bilinear resize by tables, which hold any coordinate rule.
///
/// Inputs: `x` `s8` `Nhwc`, rows `u16[out_h, 3]`, columns `u16[out_w, 3]`: `(i0, i1, f)`, the value is `x[i0] * (2048 - f) + x[i1] * f`; a
/// kernel clamps indices to the picture and `f` to 2048. Output: `y` `s8` `Nhwc`, same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeBilinear {
    /// Rows of the input.
    pub in_h: u32,
    /// Columns of the input.
    pub in_w: u32,
    /// Rows of the output.
    pub out_h: u32,
    /// Columns of the output.
    pub out_w: u32,
    /// Channels.
    pub channels: u32,
}

impl ResizeBilinear {
    /// The weight of one: weights of an axis add up to it.
    pub const ONE: u16 = 2048;
}

impl Params<'_> for ResizeBilinear {
    const CODE: OpCode = OpCode::ResizeBilinear;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        operands.expect_counts(3, 1)?;
        operands.expect_input(
            0,
            DType::S8,
            product(&[self.in_h, self.in_w, self.channels])?,
        )?;
        operands.expect_constant(1, DType::U16, u64::from(self.out_h) * 3)?;
        operands.expect_constant(2, DType::U16, u64::from(self.out_w) * 3)?;
        operands.expect_output(
            0,
            DType::S8,
            product(&[self.out_h, self.out_w, self.channels])?,
        )
    }
}
