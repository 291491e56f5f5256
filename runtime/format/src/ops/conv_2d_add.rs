use serde::{Deserialize, Serialize};

use super::{Add, Conv2d, OpCode, OpError, Operands, Params, product};
use crate::{Class, DType, Extent};

/// A convolution whose result is added to another tensor, a band of rows at a time: the result itself is nowhere kept whole.
///
/// Inputs: `a` `s8` `Nhwc`, as large as the output; then those of [`Conv2d`], without wide channels. Output: `y` `s8` `Nhwc`, where `a` lies or apart.
/// Scratch: [`band_bytes`](Self::band_bytes), before what the convolution's kernel wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv2dAdd {
    /// What gives `b`.
    pub conv: Conv2d,
    /// `a + b`; nothing is repeated.
    pub add: Add,
    /// Output rows of a band; the last may have fewer.
    pub rows: u32,
}

impl Conv2dAdd {
    /// Inputs before those of the convolution.
    pub const FIRST_INPUTS: usize = 1;
    const INPUTS: usize = 6;

    /// Elements of an output row.
    #[inline]
    pub fn row_len(&self) -> u32 {
        self.conv.window.out_w * self.conv.out_c
    }

    /// Bytes of scratch in which a band of the convolution's result lies: a multiple of 16.
    #[inline]
    pub fn band_bytes(&self) -> u32 {
        self.rows
            .saturating_mul(self.row_len())
            .checked_next_multiple_of(16)
            .unwrap_or(u32::MAX)
    }

    /// The convolution of the band that begins at output row `first`, the input row at which its picture begins, and its count of rows.
    #[inline]
    pub fn band(&self, first: u32) -> (Conv2d, u32, u32) {
        let left = self.conv.window.out_h.saturating_sub(first);
        let rows = self.rows.min(left);
        let (window, first_in) = self.conv.window.band(first, rows);
        let conv = Conv2d {
            window,
            ..self.conv
        };
        (conv, first_in, rows)
    }
}

impl Params<'_> for Conv2dAdd {
    const CODE: OpCode = OpCode::Conv2dAdd;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        operands.expect_counts(Self::INPUTS, 1)?;
        let result = Extent {
            class: Class::Arena,
            dtype: DType::S8,
            offset: 0,
            len_bytes: 0,
            len: operands.outputs.first().map_or(0, |output| output.len),
        };
        let (a, inputs) = operands.inputs.split_first().ok_or(OpError::OperandCount)?;
        self.conv.check(&Operands {
            inputs,
            outputs: &[result],
        })?;
        self.add.check(&Operands {
            inputs: &[*a, result],
            outputs: operands.outputs,
        })?;
        let w = &self.conv.window;
        let is_flat = self.add.binary.broadcast_a == 0 && self.add.binary.broadcast_b == 0;
        product(&[self.rows])?;
        if !is_flat || self.rows > w.out_h || !w.begins_inside() {
            return Err(OpError::Parameter);
        }
        Ok(())
    }

    fn scratch_bytes(&self) -> u32 {
        self.band_bytes()
    }

    fn macs(&self) -> u64 {
        self.conv.macs()
    }
}
