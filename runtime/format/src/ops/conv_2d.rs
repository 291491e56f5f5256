use serde::{Deserialize, Serialize};

use super::wide::expect_layer;
use super::{OpCode, OpError, Operands, OutputS8, Params, Window2d, product};
use crate::{DType, WeightLayout};

/// 2-D convolution, grouped where `groups > 1`. A 1-D convolution has height 1.
///
/// Inputs: `x` `s8` `Nhwc`, weights `s8` (`layout`), bias `s32[out_c]` with the zero point folded in, multipliers `s32[out_c]`,
/// shifts `u8[out_c]`; wide channels, if any. Output: `y` `s8` `Nhwc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Sizes and steps.
    pub window: Window2d,
    /// Channels of the input; a multiple of `groups`.
    pub in_c: u32,
    /// Channels of the output; a multiple of `groups`.
    pub out_c: u32,
    /// Groups of channels that do not mix.
    pub groups: u32,
    /// Zero point of the input: the value of padding.
    pub zero_point_in: i8,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
    /// How the weights lie.
    pub layout: WeightLayout,
    /// Largest magnitude that an accumulator can reach, proved by the converter.
    pub acc_bound: u32,
}

impl Conv2d {
    /// Input channels of one group.
    #[inline]
    pub fn group_in_c(&self) -> u32 {
        self.in_c.checked_div(self.groups).unwrap_or(0)
    }

    /// Output channels of one group.
    #[inline]
    pub fn group_out_c(&self) -> u32 {
        self.out_c.checked_div(self.groups).unwrap_or(0)
    }

    /// Products of one output value: `kernel_h * kernel_w * in_c / groups`.
    #[inline]
    pub fn taps(&self) -> u32 {
        self.window.kernel_h * self.window.kernel_w * self.group_in_c()
    }

    /// Bytes of the weight tensor in `layout`.
    pub fn weights_len(&self) -> Option<u64> {
        let taps = u64::from(self.window.kernel_h)
            .checked_mul(u64::from(self.window.kernel_w))?
            .checked_mul(u64::from(self.group_in_c()))?;
        let matrix = self.layout.matrix_len(self.group_out_c(), taps)?;
        matrix.checked_mul(u64::from(self.groups))
    }
}

impl Params<'_> for Conv2d {
    const CODE: OpCode = OpCode::Conv2d;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let w = &self.window;
        w.check()?;
        product(&[w.kernel_h, w.kernel_w, self.in_c])?;
        let in_len = product(&[w.in_h, w.in_w, self.in_c])?;
        let out_len = product(&[w.out_h, w.out_w, self.out_c])?;
        product(&[self.groups])?;
        if !self.in_c.is_multiple_of(self.groups) || !self.out_c.is_multiple_of(self.groups) {
            return Err(OpError::Shape);
        }
        self.output.check()?;
        if self.acc_bound >= self.layout.acc_bound() {
            return Err(OpError::AccumulatorBound);
        }
        let out_c = u64::from(self.out_c);
        expect_layer(operands, out_c, u64::from(self.taps()))?;
        operands.expect_input(0, DType::S8, in_len)?;
        operands.expect_input(1, DType::S8, self.weights_len().ok_or(OpError::Shape)?)?;
        operands.expect_constant(2, DType::S32, out_c)?;
        operands.expect_constant(3, DType::S32, out_c)?;
        operands.expect_constant(4, DType::U8, out_c)?;
        operands.expect_output(0, DType::S8, out_len)
    }

    fn macs(&self) -> u64 {
        u64::from(self.window.out_h)
            * u64::from(self.window.out_w)
            * u64::from(self.out_c)
            * u64::from(self.taps())
    }
}
