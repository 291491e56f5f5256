use serde::{Deserialize, Serialize};

use super::{OpError, product};

/// A window that slides over an `Nhwc` picture of batch 1: sizes of picture, result and window, in elements.
///
/// `oy * stride_h + ky * dilation_h - pad_top` is the row that tap `ky` of output row `oy` reads; rows outside the picture are padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window2d {
    /// Rows of the input.
    pub in_h: u32,
    /// Columns of the input.
    pub in_w: u32,
    /// Rows of the output.
    pub out_h: u32,
    /// Columns of the output.
    pub out_w: u32,
    /// Rows of the window.
    pub kernel_h: u32,
    /// Columns of the window.
    pub kernel_w: u32,
    /// Rows from one output to the next.
    pub stride_h: u32,
    /// Columns from one output to the next.
    pub stride_w: u32,
    /// Rows from one tap to the next.
    pub dilation_h: u32,
    /// Columns from one tap to the next.
    pub dilation_w: u32,
    /// Rows of padding above.
    pub pad_top: u32,
    /// Columns of padding to the left.
    pub pad_left: u32,
}

impl Window2d {
    /// Proves that every size is `1..=65,535` and the padding at most that; it may exceed the window's extent.
    ///
    /// Padding below and to the right follows from the output's size and is not limited here: a tap may lie anywhere.
    pub(crate) fn check(&self) -> Result<(), OpError> {
        product(&[self.in_h, self.in_w])?;
        product(&[self.out_h, self.out_w])?;
        product(&[self.kernel_h, self.kernel_w])?;
        for size in [
            self.stride_h,
            self.stride_w,
            self.dilation_h,
            self.dilation_w,
        ] {
            product(&[size])?;
        }
        if self.pad_top > super::MAX_SIZE || self.pad_left > super::MAX_SIZE {
            return Err(OpError::Parameter);
        }
        // Every coordinate that a kernel forms fits `i32` with room to spare.
        for (out, stride, kernel, dilation) in [
            (self.out_h, self.stride_h, self.kernel_h, self.dilation_h),
            (self.out_w, self.stride_w, self.kernel_w, self.dilation_w),
        ] {
            let reach =
                u64::from(out) * u64::from(stride) + u64::from(kernel) * u64::from(dilation);
            if reach >= 1 << 30 {
                return Err(OpError::Shape);
            }
        }
        Ok(())
    }

    /// The input row of tap `ky` of output row `oy`, where it lies inside the picture.
    #[inline]
    pub fn row(&self, oy: u32, ky: u32) -> Option<u32> {
        inside(
            oy * self.stride_h + ky * self.dilation_h,
            self.pad_top,
            self.in_h,
        )
    }

    /// The input column of tap `kx` of output column `ox`, where it lies inside the picture.
    #[inline]
    pub fn column(&self, ox: u32, kx: u32) -> Option<u32> {
        inside(
            ox * self.stride_w + kx * self.dilation_w,
            self.pad_left,
            self.in_w,
        )
    }
}

#[inline]
fn inside(position: u32, pad: u32, size: u32) -> Option<u32> {
    position.checked_sub(pad).filter(|&at| at < size)
}
