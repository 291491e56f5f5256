use serde::{Deserialize, Serialize};

use super::wide::expect_layer;
use super::{OpCode, OpError, Operands, OutputS8, Params, product};
use crate::{DType, WeightLayout};

/// Matrix product with constant weights: `y[row, oc] = sum over k of x[row, k] * w[oc, k]`.
///
/// Inputs: `x` `s8` `[rows, in_c]`, weights `s8` (`layout`), bias `s32[out_c]` with the zero point folded in, multipliers
/// `s32[out_c]`, shifts `u8[out_c]`; wide channels, if any. Output: `y` `s8` `[rows, out_c]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullyConnected {
    /// Rows of input and output.
    pub rows: u32,
    /// Values of an input row; up to `2^20`, being a flattened picture at times.
    pub in_c: u32,
    /// Values of an output row.
    pub out_c: u32,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
    /// How the weights lie.
    pub layout: WeightLayout,
    /// Largest magnitude that an accumulator can reach, proved by the converter.
    pub acc_bound: u32,
}

impl FullyConnected {
    /// Bytes of the weight tensor in `layout`.
    pub fn weights_len(&self) -> Option<u64> {
        self.layout.matrix_len(self.out_c, u64::from(self.in_c))
    }
}

impl Params<'_> for FullyConnected {
    const CODE: OpCode = OpCode::FullyConnected;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        if self.in_c == 0 || self.in_c > 1 << 20 {
            return Err(OpError::Shape);
        }
        let rows = product(&[self.rows])?;
        let out_c = product(&[self.out_c])?;
        let in_c = u64::from(self.in_c);
        if rows * in_c >= 1 << 31 || in_c * out_c >= 1 << 31 || rows * out_c >= 1 << 31 {
            return Err(OpError::Shape);
        }
        self.output.check()?;
        if self.acc_bound >= self.layout.acc_bound() {
            return Err(OpError::AccumulatorBound);
        }
        expect_layer(operands, out_c, in_c)?;
        operands.expect_input(0, DType::S8, rows * in_c)?;
        operands.expect_input(1, DType::S8, self.weights_len().ok_or(OpError::Shape)?)?;
        operands.expect_constant(2, DType::S32, out_c)?;
        operands.expect_constant(3, DType::S32, out_c)?;
        operands.expect_constant(4, DType::U8, out_c)?;
        operands.expect_output(0, DType::S8, rows * out_c)
    }

    fn macs(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.in_c) * u64::from(self.out_c)
    }
}
