//! Resizes a frame, or a part of it, pixel by pixel into a sink.

use ocellus_format::Fit;

use crate::{Frame, span::Span};

/// Size of the picture that a model wants, and how a frame of another shape becomes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Columns.
    pub width_px: u32,
    /// Rows.
    pub height_px: u32,
    /// How shapes are made equal.
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

/// A rectangle of whole pixels.
#[derive(Clone, Copy)]
struct Area {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Area {
    fn whole(width: u32, height: u32) -> Area {
        Area {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// In the middle of a larger one.
    fn centred((width, height): (u32, u32), outer_width: u32, outer_height: u32) -> Area {
        Area {
            left: (outer_width - width) / 2,
            top: (outer_height - height) / 2,
            width,
            height,
        }
    }
}

/// Which part of the frame lands where in the target, and the value of the rest.
fn areas(frame: &Frame<'_>, target: Target, out_w: u32, out_h: u32) -> (Area, Area, u8) {
    let (width, height) = (frame.width_px(), frame.height_px());
    let (from, to) = (Area::whole(width, height), Area::whole(out_w, out_h));
    let inside = || inner_box((width, height), (out_w, out_h));
    match target.fit {
        Fit::Stretch => (from, to, Fit::GREY),
        Fit::Letterbox => (from, Area::centred(inside(), out_w, out_h), Fit::GREY),
        Fit::Padded { is_at_corner, fill } => {
            let (w, h) = inside();
            let to = if is_at_corner {
                Area::whole(w, h)
            } else {
                Area::centred((w, h), out_w, out_h)
            };
            (from, to, fill)
        }
        Fit::Crop { per_mille } => {
            let (w, h) = inner_box((out_w, out_h), (width, height));
            let per_mille = u64::from(per_mille.clamp(1, 1000));
            let part = |side: u32| ((u64::from(side) * per_mille + 500) / 1000).max(1) as u32;
            let from = Area::centred((part(w), part(h)), width, height);
            (from, to, Fit::GREY)
        }
    }
}

/// Resizes `frame` and hands every pixel of the target to `sink` in row order, as red, green and blue; what the frame leaves free has the fit's filling.
pub fn resample(frame: &Frame<'_>, target: Target, mut sink: impl FnMut([u8; 3])) -> Geometry {
    let (out_w, out_h) = (target.width_px.max(1), target.height_px.max(1));
    let (from, to, fill) = areas(frame, target, out_w, out_h);
    let total = u64::from(Span::total(to.width, from.width))
        * u64::from(Span::total(to.height, from.height));
    for y in 0..out_h {
        let row = y
            .checked_sub(to.top)
            .filter(|&oy| oy < to.height)
            .map(|oy| Span::new(oy, to.height, from.height).moved(from.top));
        for x in 0..out_w {
            let column = x
                .checked_sub(to.left)
                .filter(|&ox| ox < to.width)
                .map(|ox| Span::new(ox, to.width, from.width).moved(from.left));
            sink(match (row, column) {
                (Some(row), Some(column)) => average(frame, row, column, total),
                _ => [fill; 3],
            });
        }
    }
    let (scale_x, scale_y) = (
        to.width as f32 / from.width as f32,
        to.height as f32 / from.height as f32,
    );
    Geometry {
        scale_x,
        scale_y,
        offset_x_px: to.left as f32 - from.left as f32 * scale_x,
        offset_y_px: to.top as f32 - from.top as f32 * scale_y,
    }
}

/// The largest box of one rectangle's shape inside another, sides rounded to the nearest pixel.
fn inner_box((width, height): (u32, u32), (out_w, out_h): (u32, u32)) -> (u32, u32) {
    let (wide, high) = (u64::from(width), u64::from(height));
    let (w, h) = (u64::from(out_w), u64::from(out_h));
    let scaled = |side: u64, num: u64, den: u64| {
        (side * num + den / 2).checked_div(den).unwrap_or(1).max(1) as u32
    };
    if w * high <= h * wide {
        (out_w, scaled(high, w, wide).min(out_h))
    } else {
        (scaled(wide, h, high).min(out_w), out_h)
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

    #[test]
    fn a_corner_and_a_value_for_the_rest() {
        let fit = |is_at_corner| Fit::Padded {
            is_at_corner,
            fill: 7,
        };
        let target = |is_at_corner| Target {
            width_px: 2,
            height_px: 3,
            fit: fit(is_at_corner),
        };
        let (out, geometry) = gray(&[200; 8], 4, 2, target(true));
        assert_eq!(out, [200, 200, 7, 7, 7, 7]);
        assert_eq!(geometry.to_frame(1.0, 1.0), (2.0, 2.0));
        assert_eq!(
            gray(&[200; 8], 4, 2, target(false)).0,
            [7, 7, 200, 200, 7, 7]
        );
    }

    #[test]
    fn a_crop_is_the_middle_and_maps_back() {
        let target = |side, per_mille| Target {
            width_px: side,
            height_px: side,
            fit: Fit::Crop { per_mille },
        };
        let picture: Vec<u8> = (0..24).collect();
        let (out, geometry) = gray(&picture, 6, 4, target(4, 1000));
        assert_eq!(
            out,
            [1, 2, 3, 4, 7, 8, 9, 10, 13, 14, 15, 16, 19, 20, 21, 22]
        );
        assert_eq!(geometry.to_frame(0.0, 0.0), (1.0, 0.0));
        let (out, geometry) = gray(&picture, 6, 4, target(2, 500));
        assert_eq!(out, [8, 9, 14, 15]);
        assert_eq!(geometry.to_frame(1.0, 1.0), (3.0, 2.0));
        // Of the thinnest frame something stays.
        assert_eq!(gray(&[9], 1, 1, target(3, 1)).0, [9; 9]);
    }
}
