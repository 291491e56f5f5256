use serde::{Deserialize, Serialize};

use super::{IndexType, OpCode, OpError, Operands, Params, product};
use crate::DType;

/// Where the largest or the smallest value of an axis lies. Input: `x` `s8[outer, n, inner]`. Output: `y` of `index`'s type, `[outer, inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgMax {
    /// Product of the axes before.
    pub outer: u32,
    /// Size of the axis.
    pub n: u32,
    /// Product of the axes after.
    pub inner: u32,
    /// The smallest instead of the largest.
    pub smallest: bool,
    /// Of equal values the last instead of the first.
    pub last: bool,
    /// Type of the output: `u8` or `u16`.
    pub index: IndexType,
}

impl Params<'_> for ArgMax {
    const CODE: OpCode = OpCode::ArgMax;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let outer = long(self.outer)?;
        let len = outer * product(&[self.n, self.inner])?;
        if len >= 1 << 31 {
            return Err(OpError::Shape);
        }
        if !self.index.counts(self.n) {
            return Err(OpError::Parameter);
        }
        operands.expect_counts(1, 1)?;
        operands.expect_input(0, DType::S8, len)?;
        operands.expect_output(0, self.index.dtype(), outer * u64::from(self.inner))
    }
}

/// Where the `k` largest or smallest values of the innermost axis lie, in order; of equal ones the first comes first.
///
/// Input: `x` `s8[rows, n]`. Output: `y` of `index`'s type, `[rows, k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopK {
    /// Product of all axes but the innermost, up to `2^24`.
    pub rows: u32,
    /// Size of the innermost axis.
    pub n: u32,
    /// How many; `1..=n`.
    pub k: u32,
    /// The smallest instead of the largest.
    pub smallest: bool,
    /// Type of the output: `u8` or `u16`.
    pub index: IndexType,
}

impl Params<'_> for TopK {
    const CODE: OpCode = OpCode::TopK;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let rows = long(self.rows)?;
        let n = product(&[self.n])?;
        let k = product(&[self.k])?;
        if rows * n >= 1 << 31 {
            return Err(OpError::Shape);
        }
        if k > n || !self.index.counts(self.n) {
            return Err(OpError::Parameter);
        }
        operands.expect_counts(1, 1)?;
        operands.expect_input(0, DType::S8, rows * n)?;
        operands.expect_output(0, self.index.dtype(), rows * k)
    }
}

/// A product of axes that may be longer than one axis: a picture's pixels.
fn long(size: u32) -> Result<u64, OpError> {
    if size == 0 || size > 1 << 24 {
        Err(OpError::Shape)
    } else {
        Ok(u64::from(size))
    }
}
