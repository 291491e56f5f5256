use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, Params, product};
use crate::DType;

/// Axes of a copy.
pub const MOVE_RANK: usize = 4;

/// Inputs side by side along one axis, flattened to `[outer, size of input i]`.
///
/// Inputs: `s8[outer, *]`, one to sixteen. Output: `y` `s8[outer, sum]`, same scale for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concat {
    /// Product of the axes before the concatenated one, up to `2^24`.
    pub outer: u32,
}

impl Concat {
    /// Most inputs of one operator; the converter makes a tree of more.
    pub const MAX_INPUTS: usize = 16;
}

impl Params<'_> for Concat {
    const CODE: OpCode = OpCode::Concat;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        if self.outer == 0 || self.outer > 1 << 24 {
            return Err(OpError::Shape);
        }
        if operands.inputs.is_empty()
            || operands.inputs.len() > Self::MAX_INPUTS
            || operands.outputs.len() != 1
        {
            return Err(OpError::OperandCount);
        }
        let mut sum = 0;
        for (index, input) in operands.inputs.iter().enumerate() {
            if input.dtype != DType::S8 || !input.len.is_multiple_of(self.outer) {
                return Err(OpError::Input { index: index as u8 });
            }
            sum += u64::from(input.len);
        }
        operands.expect_output(0, DType::S8, sum)
    }
}

/// A box of the input, with steps. Input: `x` `s8[in_shape]`. Output: `y` `s8[out_shape]`, same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Sizes of the input; unused leading axes are 1.
    pub in_shape: [u32; MOVE_RANK],
    /// Sizes of the output.
    pub out_shape: [u32; MOVE_RANK],
    /// First index on each axis.
    pub begin: [u32; MOVE_RANK],
    /// Step on each axis, above zero.
    pub step: [u32; MOVE_RANK],
}

impl Params<'_> for Slice {
    const CODE: OpCode = OpCode::Slice;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        product(&self.step)?;
        let in_len = product(&self.in_shape)?;
        let out_len = product(&self.out_shape)?;
        for axis in 0..MOVE_RANK {
            let at = |values: &[u32; MOVE_RANK]| u64::from(values.get(axis).copied().unwrap_or(0));
            if at(&self.begin) + (at(&self.out_shape) - 1) * at(&self.step) >= at(&self.in_shape) {
                return Err(OpError::Shape);
            }
        }
        operands.expect_counts(1, 1)?;
        operands.expect_input(0, DType::S8, in_len)?;
        operands.expect_output(0, DType::S8, out_len)
    }
}

/// A frame of one value around the input. Input: `x` `s8[in_shape]`. Output: `y` `s8[in_shape + before + after]`, same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pad {
    /// Sizes of the input; unused leading axes are 1.
    pub in_shape: [u32; MOVE_RANK],
    /// Elements before, on each axis.
    pub before: [u32; MOVE_RANK],
    /// Elements after, on each axis.
    pub after: [u32; MOVE_RANK],
    /// What they hold.
    pub value: i8,
}

impl Pad {
    /// Sizes of the output.
    pub fn out_shape(&self) -> [u32; MOVE_RANK] {
        let mut shape = self.in_shape;
        for ((size, before), after) in shape.iter_mut().zip(&self.before).zip(&self.after) {
            *size = size.saturating_add(*before).saturating_add(*after);
        }
        shape
    }
}

impl Params<'_> for Pad {
    const CODE: OpCode = OpCode::Pad;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        operands.expect_counts(1, 1)?;
        operands.expect_input(0, DType::S8, product(&self.in_shape)?)?;
        operands.expect_output(0, DType::S8, product(&self.out_shape())?)
    }
}

/// Axes in another order. Input: `x` `s8[in_shape]`. Output: `y` `s8`, axis `i` is the input's axis `order[i]`; same scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transpose {
    /// Sizes of the input; unused leading axes are 1.
    pub in_shape: [u32; MOVE_RANK],
    /// Which input axis each output axis is.
    pub order: [u8; MOVE_RANK],
}

impl Params<'_> for Transpose {
    const CODE: OpCode = OpCode::Transpose;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let mut seen = [false; MOVE_RANK];
        for &axis in &self.order {
            match seen.get_mut(usize::from(axis)) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(OpError::Parameter),
            }
        }
        let len = product(&self.in_shape)?;
        operands.expect_counts(1, 1)?;
        operands.expect_input(0, DType::S8, len)?;
        operands.expect_output(0, DType::S8, len)
    }
}

/// Chosen indices of one axis. Inputs: `x` `s8[outer, in_n, inner]`, indices `u16[out_n]`. Output: `y` `s8[outer, out_n, inner]`, same scale.
///
/// A kernel clamps an index to `in_n - 1`; the converter writes none that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gather {
    /// Product of the axes before.
    pub outer: u32,
    /// Size of the axis in the input.
    pub in_n: u32,
    /// Size of the axis in the output.
    pub out_n: u32,
    /// Product of the axes after.
    pub inner: u32,
}

impl Params<'_> for Gather {
    const CODE: OpCode = OpCode::Gather;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        operands.expect_counts(2, 1)?;
        operands.expect_input(0, DType::S8, product(&[self.outer, self.in_n, self.inner])?)?;
        operands.expect_constant(1, DType::U16, product(&[self.out_n])?)?;
        operands.expect_output(
            0,
            DType::S8,
            product(&[self.outer, self.out_n, self.inner])?,
        )
    }
}
