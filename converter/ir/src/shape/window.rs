//! Sizes behind a sliding window.

use super::{ShapeError, axes, bias, same};
use crate::Window;

impl Window {
    /// Steps of one, no padding.
    pub const UNIT: Window = Window {
        stride: [1, 1],
        dilation: [1, 1],
        pad_before: [0, 0],
        pad_after: [0, 0],
    };

    /// Input elements that `kernel` taps span on an axis (0: rows, 1: columns); none where that overflows.
    pub fn extent(&self, axis: usize, kernel: usize) -> Option<usize> {
        kernel
            .checked_sub(1)?
            .checked_mul(self.dilation[axis])?
            .checked_add(1)
    }

    /// True where nothing is padded.
    pub fn is_unpadded(&self) -> bool {
        self.pad_before == [0, 0] && self.pad_after == [0, 0]
    }

    pub(super) fn check(&self, op: &'static str, kernel: [usize; 2]) -> Result<(), ShapeError> {
        for (values, what) in [
            (self.stride, "a stride"),
            (self.dilation, "a dilation"),
            (kernel, "a kernel size"),
        ] {
            if values.contains(&0) {
                return Err(ShapeError::Zero { op, what });
            }
        }
        Ok(())
    }

    pub(super) fn output(
        &self,
        op: &'static str,
        input: [usize; 2],
        kernel: [usize; 2],
    ) -> Result<[usize; 2], ShapeError> {
        self.check(op, kernel)?;
        let mut out = [0; 2];
        for (i, what) in ["rows", "columns"].into_iter().enumerate() {
            let extent = self
                .extent(i, kernel[i])
                .ok_or(ShapeError::TooLarge { op })?;
            let padded = input[i]
                .checked_add(self.pad_before[i])
                .and_then(|p| p.checked_add(self.pad_after[i]));
            let padded = padded.ok_or(ShapeError::TooLarge { op })?;
            let steps = padded
                .checked_sub(extent)
                .ok_or(ShapeError::WindowTooLarge {
                    op,
                    what,
                    window: extent,
                    actual: padded,
                })?;
            out[i] = steps / self.stride[i] + 1;
        }
        Ok(out)
    }
}

/// Batch, rows and columns of the picture, output channels, and the kernel's sizes.
pub(super) fn convolution(
    op: &'static str,
    inputs: &[&[usize]],
    groups: usize,
) -> Result<[[usize; 2]; 5], ShapeError> {
    let x = axes(op, inputs, 0, 4)?;
    let w = axes(op, inputs, 1, 4)?;
    if groups == 0 {
        return Err(ShapeError::Zero {
            op,
            what: "the number of groups",
        });
    }
    same(
        op,
        "input channels left over by the groups",
        0,
        x[3] % groups,
    )?;
    same(
        op,
        "output channels left over by the groups",
        0,
        w[0] % groups,
    )?;
    same(op, "input channels of the weights", x[3] / groups, w[3])?;
    bias(op, inputs, w[0])?;
    Ok([[x[0]; 2], [x[1]; 2], [x[2]; 2], [w[0]; 2], [w[1], w[2]]])
}
