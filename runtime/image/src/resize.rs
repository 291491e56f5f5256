//! Resizes a frame, whole or letterboxed, pixel by pixel into a sink.

use ocellus_format::Fit;

use crate::{Frame, span::Span};

/// Size of the picture that a model wants, and how a frame of another shape becomes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Columns.
    pub width_px: u32,
    /// Rows.
    pub height_px: u32,
    /// Stretch or letterbox.
    pub fit: Fit,
}

/// Where the frame lies in the model's input: `input = frame * scale + offset` on each axis, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Input pixels a frame pixel, horizontally.
    pub scale_x: f32,
    /// Input pixels a frame pixel, vertically.
    pub scale_y: f32,
    /// First column of the frame in the input.
    pub offset_x_px: f32,
    /// First row of the frame in the input.
    pub offset_y_px: f32,
}

impl Geometry {
    /// A point of the model's input, in pixels of the frame.
    pub fn to_frame(&self, x: f32, y: f32) -> (f32, f32) {
        (
            (x - self.offset_x_px) / self.scale_x,
            (y - self.offset_y_px) / self.scale_y,
        )
    }
}

/// Grey of letterbox bars.
pub const FILL: u8 = 114;

/// Resizes `frame` and hands every pixel of the target to `sink` in row order, as red, green and blue; letterbox bars are [`FILL`].
pub fn resample(frame: &Frame<'_>, target: Target, mut sink: impl FnMut([u8; 3])) -> Geometry {
    let (out_w, out_h) = (target.width_px.max(1), target.height_px.max(1));
    let (box_w, box_h) = match target.fit {
        Fit::Stretch => (out_w, out_h),
        Fit::Letterbox => inner_box(frame.width_px(), frame.height_px(), out_w, out_h),
    };
    let (left, top) = ((out_w - box_w) / 2, (out_h - box_h) / 2);
    let total = u64::from(Span::total(box_w, frame.width_px()))
        * u64::from(Span::total(box_h, frame.height_px()));
    for y in 0..out_h {
        let row = y
            .checked_sub(top)
            .filter(|&oy| oy < box_h)
            .map(|oy| Span::new(oy, box_h, frame.height_px()));
        for x in 0..out_w {
            let column = x
                .checked_sub(left)
                .filter(|&ox| ox < box_w)
                .map(|ox| Span::new(ox, box_w, frame.width_px()));
            sink(match (row, column) {
                (Some(row), Some(column)) => average(frame, row, column, total),
                _ => [FILL; 3],
            });
        }
    }
    Geometry {
        scale_x: box_w as f32 / frame.width_px() as f32,
        scale_y: box_h as f32 / frame.height_px() as f32,
        offset_x_px: left as f32,
        offset_y_px: top as f32,
    }
}

/// The largest box of the frame's shape inside the target, sides rounded to the nearest pixel.
fn inner_box(width: u32, height: u32, out_w: u32, out_h: u32) -> (u32, u32) {
    let (width, height, w, h) = (
        u64::from(width),
        u64::from(height),
        u64::from(out_w),
        u64::from(out_h),
    );
    let scaled = |side: u64, num: u64, den: u64| {
        (side * num + den / 2).checked_div(den).unwrap_or(1).max(1) as u32
    };
    if w * height <= h * width {
        (out_w, scaled(height, w, width).min(out_h))
    } else {
        (scaled(width, h, height).min(out_w), out_h)
    }
}

#[inline]
fn average(frame: &Frame<'_>, rows: Span, columns: Span, total: u64) -> [u8; 3] {
    let mut sums = [0_u64; 3];
    for (y, row_weight) in rows.positions() {
        let mut row_sums = [0_u32; 3];
        for (x, weight) in columns.positions() {
            for (sum, value) in row_sums.iter_mut().zip(frame.rgb(x, y)) {
                *sum += weight * u32::from(value);
            }
        }
        for (sum, row_sum) in sums.iter_mut().zip(row_sums) {
            *sum += u64::from(row_weight) * u64::from(row_sum);
        }
    }
    sums.map(|sum| (sum + total / 2).checked_div(total).unwrap_or(0) as u8)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::PixelFormat;

    fn gray(frame: &[u8], w: u32, h: u32, target: Target) -> (Vec<u8>, Geometry) {
        let frame = Frame::new(frame, w, h, PixelFormat::Gray8).unwrap();
        let mut out = Vec::new();
        let geometry = resample(&frame, target, |[r, _, _]| out.push(r));
        (out, geometry)
    }

    #[test]
    fn halving_averages_four_pixels() {
        let target = Target {
            width_px: 1,
            height_px: 1,
            fit: Fit::Stretch,
        };
        assert_eq!(gray(&[10, 20, 30, 41], 2, 2, target).0, [25]);
    }

    #[test]
    fn doubling_is_bilinear_with_half_pixel_centres() {
        let target = Target {
            width_px: 4,
            height_px: 1,
            fit: Fit::Stretch,
        };
        assert_eq!(gray(&[0, 100], 2, 1, target).0, [0, 25, 75, 100]);
    }

    #[test]
    fn the_same_size_copies() {
        let picture: Vec<u8> = (0..35).map(|v| v * 7).collect();
        let target = Target {
            width_px: 7,
            height_px: 5,
            fit: Fit::Stretch,
        };
        assert_eq!(gray(&picture, 7, 5, target).0, picture);
    }

    #[test]
    fn letterbox_centres_and_maps_back() {
        let target = Target {
            width_px: 4,
            height_px: 4,
            fit: Fit::Letterbox,
        };
        let (out, geometry) = gray(&[200; 8], 4, 2, target);
        assert_eq!(
            out,
            [
                114, 114, 114, 114, 200, 200, 200, 200, 200, 200, 200, 200, 114, 114, 114, 114
            ]
        );
        assert_eq!(geometry.to_frame(2.0, 2.0), (2.0, 1.0));
    }
}
