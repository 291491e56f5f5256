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

    /// True where the window of every output row has a row of the picture, or one above it, as its first.
    pub(crate) fn begins_inside(&self) -> bool {
        let last = u64::from(self.out_h.saturating_sub(1)) * u64::from(self.stride_h);
        last < u64::from(self.in_h) + u64::from(self.pad_top)
    }

    /// The window of `rows` output rows from `first` on, `rows` above zero, and the input row at which its picture begins.
    ///
    /// The picture is the rows that these outputs read; what is above and below them in the whole picture is as padding, and read by no tap. The window
    /// of every output row begins inside.
    #[inline]
    pub fn band(&self, first: u32, rows: u32) -> (Window2d, u32) {
        let top = first.wrapping_mul(self.stride_h);
        let first_in = top.saturating_sub(self.pad_top);
        let last_top = first
            .wrapping_add(rows)
            .saturating_sub(1)
            .wrapping_mul(self.stride_h);
        let reach = self
            .kernel_h
            .saturating_sub(1)
            .wrapping_mul(self.dilation_h);
        let end = last_top
            .wrapping_add(reach)
            .wrapping_add(1)
            .saturating_sub(self.pad_top)
            .min(self.in_h);
        let band = Window2d {
            // Where only padding is read there is a row all the same: a picture has one.
            in_h: end.saturating_sub(first_in).max(1),
            out_h: rows,
            pad_top: self.pad_top.saturating_sub(top),
            ..*self
        };
        (band, first_in)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every band of every small window reads the rows that the whole window reads.
    #[test]
    fn a_band_reads_what_the_whole_reads() {
        let sizes = [1, 2, 3, 5];
        let mut bands = 0;
        for (in_h, kernel_h) in sizes.into_iter().flat_map(|h| [1, 2, 3].map(|k| (h, k))) {
            for (stride_h, dilation_h) in [(1, 1), (2, 1), (3, 2), (1, 3)] {
                for (pad_top, out_h) in [0, 1, 2, 4]
                    .into_iter()
                    .flat_map(|p| [1, 4, 9].map(|o| (p, o)))
                {
                    let whole = Window2d {
                        in_h,
                        in_w: 1,
                        out_h,
                        out_w: 1,
                        kernel_h,
                        kernel_w: 1,
                        stride_h,
                        stride_w: 1,
                        dilation_h,
                        dilation_w: 1,
                        pad_top,
                        pad_left: 0,
                    };
                    if !whole.begins_inside() {
                        continue;
                    }
                    for (first, rows) in
                        (0..out_h).flat_map(|f| (1..=out_h - f).map(move |r| (f, r)))
                    {
                        let (band, first_in) = whole.band(first, rows);
                        assert!(band.in_h >= 1 && first_in + band.in_h <= in_h, "{whole:?}");
                        for (oy, ky) in
                            (0..rows).flat_map(|oy| (0..kernel_h).map(move |ky| (oy, ky)))
                        {
                            let read = band.row(oy, ky).map(|row| row + first_in);
                            assert_eq!(
                                read,
                                whole.row(first + oy, ky),
                                "{whole:?} from {first}, {rows} rows"
                            );
                        }
                        bands += 1;
                    }
                }
            }
        }
        assert!(bands > 1000);
    }
}
