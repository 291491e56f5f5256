use serde::{Deserialize, Serialize};

use super::{IndexType, OpCode, OpError, Operands, Params, product};
use crate::DType;

/// Indices of one axis that are known when the model runs: `y[o, i, c] = x[o, indices[i], c]`.
///
/// Inputs: `x` `s8[outer, in_n, inner]`, indices of `index`'s type `[out_n]`. Output: `y` `s8[outer, out_n, inner]`, same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// Product of the axes before.
    pub outer: u32,
    /// Size of the axis in the input.
    pub in_n: u32,
    /// How many indices.
    pub out_n: u32,
    /// Product of the axes after.
    pub inner: u32,
    /// Type of the indices.
    pub index: IndexType,
}

impl Params<'_> for Take {
    const CODE: OpCode = OpCode::Take;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        operands.expect_counts(2, 1)?;
        operands.expect_input(0, DType::S8, product(&[self.outer, self.in_n, self.inner])?)?;
        operands.expect_input(1, self.index.dtype(), product(&[self.out_n])?)?;
        let len = product(&[self.outer, self.out_n, self.inner])?;
        operands.expect_output(0, DType::S8, len)
    }
}

/// An index for each element: `y[o, i, c] = x[o, indices[o, i, c], c]`.
///
/// Inputs: `x` `s8[outer, in_n, inner]`, indices of `index`'s type `[outer, out_n, inner]`. Output: `y` `s8[outer, out_n, inner]`, same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatherElements {
    /// Product of the axes before.
    pub outer: u32,
    /// Size of the axis in the input.
    pub in_n: u32,
    /// Size of the axis in indices and output.
    pub out_n: u32,
    /// Product of the axes after.
    pub inner: u32,
    /// Type of the indices.
    pub index: IndexType,
}

impl Params<'_> for GatherElements {
    const CODE: OpCode = OpCode::GatherElements;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let len = product(&[self.outer, self.out_n, self.inner])?;
        operands.expect_counts(2, 1)?;
        operands.expect_input(0, DType::S8, product(&[self.outer, self.in_n, self.inner])?)?;
        operands.expect_input(1, self.index.dtype(), len)?;
        operands.expect_output(0, DType::S8, len)
    }
}
