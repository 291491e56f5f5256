use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, OutputS8, Params, Window2d, product};
use crate::DType;

/// Transposed 2-D convolution (deconvolution), grouped where `groups > 1`.
///
/// In `window`, strides step over the *output*: input `(iy, ix)` reaches output row `iy * stride_h + ky * dilation_h - pad_top`.
///
/// Inputs: `x` `s8` `Nhwc`, weights `s8` `Ohwi` (`[out_c, kernel_h, kernel_w, in_c / groups]`), bias `s32[out_c]` (zero point **not**
/// folded), multipliers `s32[out_c]`, shifts `u8[out_c]`. Output: `y` `s8` `Nhwc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransposeConv2d {
    /// Sizes and steps; strides and padding belong to the output.
    pub window: Window2d,
    /// Channels of the input; a multiple of `groups`.
    pub in_c: u32,
    /// Channels of the output; a multiple of `groups`.
    pub out_c: u32,
    /// Groups of channels that do not mix.
    pub groups: u32,
    /// Zero point of the input.
    pub zero_point_in: i8,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
    /// Largest magnitude that an accumulator can reach, proved by the converter.
    pub acc_bound: u32,
}

impl TransposeConv2d {
    /// The input row that reaches output row `oy` through tap `ky`, where there is one.
    #[inline]
    pub fn row(&self, oy: u32, ky: u32) -> Option<u32> {
        let w = &self.window;
        source(oy + w.pad_top, ky * w.dilation_h, w.stride_h, w.in_h)
    }

    /// The input column that reaches output column `ox` through tap `kx`, where there is one.
    #[inline]
    pub fn column(&self, ox: u32, kx: u32) -> Option<u32> {
        let w = &self.window;
        source(ox + w.pad_left, kx * w.dilation_w, w.stride_w, w.in_w)
    }
}

#[inline]
fn source(position: u32, tap: u32, stride: u32, size: u32) -> Option<u32> {
    let distance = position.checked_sub(tap)?;
    if distance.checked_rem(stride)? != 0 {
        return None;
    }
    distance.checked_div(stride).filter(|&at| at < size)
}

impl Params<'_> for TransposeConv2d {
    const CODE: OpCode = OpCode::TransposeConv2d;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let w = &self.window;
        w.check()?;
        let in_len = product(&[w.in_h, w.in_w, self.in_c])?;
        let out_len = product(&[w.out_h, w.out_w, self.out_c])?;
        product(&[self.groups])?;
        if !self.in_c.is_multiple_of(self.groups) || !self.out_c.is_multiple_of(self.groups) {
            return Err(OpError::Shape);
        }
        let group_in_c = self.in_c.checked_div(self.groups).ok_or(OpError::Shape)?;
        let taps = product(&[w.kernel_h, w.kernel_w, group_in_c])?;
        self.output.check()?;
        if self.acc_bound > i32::MAX as u32 {
            return Err(OpError::AccumulatorBound);
        }
        let out_c = u64::from(self.out_c);
        operands.expect_counts(5, 1)?;
        operands.expect_input(0, DType::S8, in_len)?;
        operands.expect_input(1, DType::S8, taps * out_c)?;
        operands.expect_constant(2, DType::S32, out_c)?;
        operands.expect_constant(3, DType::S32, out_c)?;
        operands.expect_constant(4, DType::U8, out_c)?;
        operands.expect_output(0, DType::S8, out_len)
    }

    /// Counts each input value times each tap and output channel of its group, border taps included.
    fn macs(&self) -> u64 {
        let w = &self.window;
        let group_out_c = self.out_c.checked_div(self.groups).unwrap_or(0);
        u64::from(w.in_h)
            * u64::from(w.in_w)
            * u64::from(self.in_c)
            * u64::from(w.kernel_h * w.kernel_w * group_out_c)
    }
}
