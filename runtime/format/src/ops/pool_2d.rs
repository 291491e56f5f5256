use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, OutputS8, Params, Window2d, product};
use crate::DType;

/// The largest value of each window. Input: `x` `s8` `Nhwc`. Output: `y` `s8` `Nhwc`, same scale.
///
/// A window wholly in the padding gives -128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPool2d {
    /// Sizes and steps.
    pub window: Window2d,
    /// Channels.
    pub channels: u32,
    /// Clamp of the output; its zero point is not used.
    pub output: OutputS8,
}

impl Params<'_> for MaxPool2d {
    const CODE: OpCode = OpCode::MaxPool2d;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        check_pool(&self.window, self.channels, self.output)?;
        operands.expect_counts(1, 1)?;
        expect_pictures(&self.window, self.channels, operands)
    }
}

/// The mean of each window. Inputs: `x` `s8` `Nhwc`, multipliers `s32[n]`, shifts `u8[n]`. Output: `y` `s8` `Nhwc`.
///
/// `n` is 1 where every window counts the same taps (none is padding, or padding counts), else `kernel_h * kernel_w`: entry `i` serves `i + 1` taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AveragePool2d {
    /// Sizes and steps.
    pub window: Window2d,
    /// Channels.
    pub channels: u32,
    /// Zero point of the input.
    pub zero_point_in: i8,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
    /// False: one `Requant` for all windows. True: one for every count of taps inside the picture.
    pub by_count: bool,
}

impl AveragePool2d {
    /// How many `Requant`s there are.
    #[inline]
    pub fn requant_count(&self) -> u32 {
        if self.by_count {
            self.window.kernel_h * self.window.kernel_w
        } else {
            1
        }
    }
}

impl Params<'_> for AveragePool2d {
    const CODE: OpCode = OpCode::AveragePool2d;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        check_pool(&self.window, self.channels, self.output)?;
        // A sum of 2^23 values of magnitude 255 stays inside `s32`.
        if product(&[self.window.kernel_h, self.window.kernel_w])? > 1 << 23 {
            return Err(OpError::AccumulatorBound);
        }
        let n = u64::from(self.requant_count());
        operands.expect_counts(3, 1)?;
        operands.expect_constant(1, DType::S32, n)?;
        operands.expect_constant(2, DType::U8, n)?;
        expect_pictures(&self.window, self.channels, operands)
    }
}

fn check_pool(window: &Window2d, channels: u32, output: OutputS8) -> Result<(), OpError> {
    window.check()?;
    product(&[channels])?;
    output.check()
}

fn expect_pictures(
    window: &Window2d,
    channels: u32,
    operands: &Operands<'_>,
) -> Result<(), OpError> {
    operands.expect_input(
        0,
        DType::S8,
        product(&[window.in_h, window.in_w, channels])?,
    )?;
    operands.expect_output(
        0,
        DType::S8,
        product(&[window.out_h, window.out_w, channels])?,
    )
}
