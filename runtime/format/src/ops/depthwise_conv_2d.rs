use serde::{Deserialize, Serialize};

use super::wide::expect_layer;
use super::{OpCode, OpError, Operands, OutputS8, Params, Window2d, product};
use crate::DType;

/// Depthwise 2-D convolution: output channel `oc` reads input channel `oc / multiplier`.
///
/// Inputs: `x` `s8` `Nhwc`, weights `s8` `Hwc` (`[kernel_h, kernel_w, in_c * multiplier]`), bias `s32[out_c]` with the zero point folded
/// in, multipliers `s32[out_c]`, shifts `u8[out_c]`; wide channels, if any. Output: `y` `s8` `Nhwc`, `out_c = in_c * multiplier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepthwiseConv2d {
    /// Sizes and steps.
    pub window: Window2d,
    /// Channels of the input.
    pub in_c: u32,
    /// Output channels for each input channel.
    pub multiplier: u32,
    /// Zero point of the input: the value of padding.
    pub zero_point_in: i8,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
    /// Largest magnitude that an accumulator can reach, proved by the converter.
    pub acc_bound: u32,
}

impl DepthwiseConv2d {
    /// Channels of the output.
    #[inline]
    pub fn out_c(&self) -> u32 {
        self.in_c * self.multiplier
    }
}

impl Params<'_> for DepthwiseConv2d {
    const CODE: OpCode = OpCode::DepthwiseConv2d;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let w = &self.window;
        w.check()?;
        let out_c = product(&[self.in_c, self.multiplier])?;
        product(&[out_c as u32])?;
        let in_len = product(&[w.in_h, w.in_w, self.in_c])?;
        let out_len = product(&[w.out_h, w.out_w, out_c as u32])?;
        let weights_len = product(&[w.kernel_h, w.kernel_w, out_c as u32])?;
        self.output.check()?;
        if self.acc_bound > i32::MAX as u32 {
            return Err(OpError::AccumulatorBound);
        }
        expect_layer(
            operands,
            out_c,
            u64::from(w.kernel_h) * u64::from(w.kernel_w),
        )?;
        operands.expect_input(0, DType::S8, in_len)?;
        operands.expect_input(1, DType::S8, weights_len)?;
        operands.expect_constant(2, DType::S32, out_c)?;
        operands.expect_constant(3, DType::S32, out_c)?;
        operands.expect_constant(4, DType::U8, out_c)?;
        operands.expect_output(0, DType::S8, out_len)
    }

    fn macs(&self) -> u64 {
        let w = &self.window;
        u64::from(w.out_h)
            * u64::from(w.out_w)
            * u64::from(self.out_c())
            * u64::from(w.kernel_h * w.kernel_w)
    }
}
