use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, Params, product};
use crate::DType;

/// Softmax over the innermost axis. Inputs: `x` `s8[rows, n]`, table `u32[256]`. Output: `y` `s8[rows, n]`, scale `2^-out_bits`, zero point -128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softmax {
    /// Product of all axes but the innermost, up to `2^24`.
    pub rows: u32,
    /// Size of the innermost axis.
    pub n: u32,
    /// The table holds `exp(-scale * d) * 2^exp_bits`.
    pub exp_bits: u8,
    /// Steps of the output in 1: 8 where all of 0 to 1 can be said, up to 15 where no value is large.
    pub out_bits: u8,
}

impl Softmax {
    /// Values of `out_bits`.
    pub const OUT_BITS: core::ops::RangeInclusive<u8> = 8..=15;

    /// The largest `exp_bits` whose sum over `n` values stays below `2^31`, as does one of them in the output's steps.
    pub const fn exp_bits_for(n: u32, out_bits: u8) -> u8 {
        let log2_ceil = if n <= 1 {
            0
        } else {
            32 - (n - 1).leading_zeros()
        };
        let taken = if log2_ceil > out_bits as u32 {
            log2_ceil
        } else {
            out_bits as u32
        };
        let room = 31_u32.saturating_sub(taken);
        if room < 22 { room as u8 } else { 22 }
    }
}

impl Params<'_> for Softmax {
    const CODE: OpCode = OpCode::Softmax;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let n = product(&[self.n])?;
        if self.rows == 0 || self.rows > 1 << 24 {
            return Err(OpError::Shape);
        }
        if !Self::OUT_BITS.contains(&self.out_bits)
            || self.exp_bits != Self::exp_bits_for(self.n, self.out_bits)
        {
            return Err(OpError::Parameter);
        }
        let len = u64::from(self.rows) * n;
        operands.expect_counts(2, 1)?;
        operands.expect_input(0, DType::S8, len)?;
        operands.expect_constant(1, DType::U32, 256)?;
        operands.expect_output(0, DType::S8, len)
    }
}
