use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, OutputS8, Params, product};
use crate::{DType, Requant};

/// Leading axes of a stack of matrices.
pub const STACK_RANK: usize = 3;

/// Products of matrices of which neither is constant: `y[.., row, column] = sum over i of a[.., row, i] * b[.., i, column]`.
///
/// Inputs: `a` `s8` `[stack.., m, k]`, or `[stack.., k, m]` where `transposed_a`; `b` `s8` `[stack.., k, n]`, or `[stack.., n, k]` where `transposed_b`.
/// Output: `y` `s8` `[stack.., m, n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchMatMul {
    /// Sizes of the leading axes of the output, outermost first; unused leading ones are 1.
    pub stack: [u32; STACK_RANK],
    /// Bit `i` set: `a` has size 1 on leading axis `i` and is repeated.
    pub broadcast_a: u8,
    /// Bit `i` set: `b` has size 1 on leading axis `i` and is repeated.
    pub broadcast_b: u8,
    /// Rows of `a` and of the output.
    pub m: u32,
    /// Columns of `a`, rows of `b`; up to [`BatchMatMul::K_MAX`].
    pub k: u32,
    /// Columns of `b` and of the output.
    pub n: u32,
    /// `a` lies with its columns before its rows.
    pub transposed_a: bool,
    /// `b` lies with its columns before its rows.
    pub transposed_b: bool,
    /// Zero point of `a`.
    pub zero_point_a: i8,
    /// Zero point of `b`.
    pub zero_point_b: i8,
    /// Scale of the product.
    pub requant: Requant,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
}

impl BatchMatMul {
    /// Most products of one sum: each has a magnitude of at most `255 * 255`, and the sum stays inside `s32`.
    pub const K_MAX: u32 = (i32::MAX / (255 * 255)) as u32;

    /// Matrices of an operand with those broadcast bits.
    fn matrices(&self, broadcast: u8) -> Result<u64, OpError> {
        let mut stack = self.stack;
        for (axis, size) in stack.iter_mut().enumerate() {
            if broadcast >> axis & 1 == 1 {
                *size = 1;
            }
        }
        product(&stack)
    }

    /// Distance in matrices from one index to the next on each leading axis of an operand with those broadcast bits; 0 where repeated.
    pub fn strides(&self, broadcast: u8) -> [u32; STACK_RANK] {
        let mut strides = [0; STACK_RANK];
        let mut step = 1;
        for (axis, (stride, &size)) in strides.iter_mut().zip(&self.stack).enumerate().rev() {
            if broadcast >> axis & 1 == 0 {
                *stride = step;
                step *= size;
            }
        }
        strides
    }
}

impl Params<'_> for BatchMatMul {
    const CODE: OpCode = OpCode::BatchMatMul;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        if self.broadcast_a >> STACK_RANK != 0
            || self.broadcast_b >> STACK_RANK != 0
            || !self.requant.is_valid()
        {
            return Err(OpError::Parameter);
        }
        if self.k > Self::K_MAX {
            return Err(OpError::AccumulatorBound);
        }
        self.output.check()?;
        let len = |matrices: u64, rows, columns| {
            let len = matrices * product(&[rows, columns])?;
            if len < 1 << 31 {
                Ok(len)
            } else {
                Err(OpError::Shape)
            }
        };
        let a = len(self.matrices(self.broadcast_a)?, self.m, self.k)?;
        let b = len(self.matrices(self.broadcast_b)?, self.k, self.n)?;
        let y = len(product(&self.stack)?, self.m, self.n)?;
        operands.expect_counts(2, 1)?;
        operands.expect_input(0, DType::S8, a)?;
        operands.expect_input(1, DType::S8, b)?;
        operands.expect_output(0, DType::S8, y)
    }

    fn macs(&self) -> u64 {
        // The check bounds each by 2^31 and `k` by 2^16.
        self.stack
            .iter()
            .chain(&[self.m, self.k, self.n])
            .fold(1, |macs: u64, &size| macs.saturating_mul(u64::from(size)))
    }
}
