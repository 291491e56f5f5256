//! Pixels into the model's numbers: `(pixel - mean) / std`, then the input's scale and zero point.

use ocellus_format::{Colour, Preprocess, QParams};

use crate::{Frame, FrameError, Geometry, Target, resample};

/// Size of a picture input, `Nhwc` with batch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSize {
    /// Rows.
    pub height_px: u32,
    /// Columns.
    pub width_px: u32,
    /// 1 or 3.
    pub channels: u32,
}

impl InputSize {
    fn expect(self, len: usize) -> Result<(), FrameError> {
        let needed =
            u64::from(self.height_px) * u64::from(self.width_px) * u64::from(self.channels);
        let fits = needed == len as u64 && needed > 0 && matches!(self.channels, 1 | 3);
        if fits { Ok(()) } else { Err(FrameError::Input) }
    }
}

/// Writes `frame` into an `s8` input.
///
/// Each channel goes through a table of 256 entries made from `p` and `q`: `clamp(round_half_even(((v - mean) / std) / scale) + zero_point)`.
///
/// # Errors
/// [`FrameError::Input`]: `y` is not of that size, or the channels are not 1 or 3.
pub fn into_s8(
    frame: &Frame<'_>,
    p: &Preprocess,
    q: QParams,
    size: InputSize,
    y: &mut [i8],
) -> Result<Geometry, FrameError> {
    let mut tables = [[0_i8; 256]; 3];
    for (channel, table) in tables.iter_mut().enumerate() {
        for (value, entry) in table.iter_mut().enumerate() {
            let real = normalized(p, channel, value as u8);
            *entry = quantize(real, q);
        }
    }
    into_channels(frame, p, size, y, |channel, value| {
        tables
            .get(channel)
            .and_then(|table| table.get(usize::from(value)))
            .copied()
            .unwrap_or(0)
    })
}

/// Writes `frame` into a float input.
///
/// # Errors
/// [`FrameError::Input`]: `y` is not of that size, or the channels are not 1 or 3.
pub fn into_f32(
    frame: &Frame<'_>,
    p: &Preprocess,
    size: InputSize,
    y: &mut [f32],
) -> Result<Geometry, FrameError> {
    into_channels(frame, p, size, y, |channel, value| {
        normalized(p, channel, value)
    })
}

fn into_channels<T>(
    frame: &Frame<'_>,
    p: &Preprocess,
    size: InputSize,
    y: &mut [T],
    mut value_of: impl FnMut(usize, u8) -> T,
) -> Result<Geometry, FrameError> {
    size.expect(y.len())?;
    let target = Target {
        width_px: size.width_px,
        height_px: size.height_px,
        fit: p.fit,
    };
    let mut places = y.chunks_exact_mut(if size.channels == 1 { 1 } else { 3 });
    Ok(resample(frame, target, |rgb| {
        let pixel = in_order(rgb, p.colour, size.channels);
        if let Some(place) = places.next() {
            for (channel, (slot, value)) in place.iter_mut().zip(pixel).enumerate() {
                *slot = value_of(channel, value);
            }
        }
    }))
}

fn in_order([r, g, b]: [u8; 3], colour: Colour, channels: u32) -> [u8; 3] {
    if channels == 1 || colour == Colour::Gray {
        // ITU-R BT.601 luminance in 16 bits, rounded.
        let luminance =
            (19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + (1 << 15))
                >> 16;
        return [luminance as u8; 3];
    }
    if colour == Colour::Bgr {
        [b, g, r]
    } else {
        [r, g, b]
    }
}

fn normalized(p: &Preprocess, channel: usize, value: u8) -> f32 {
    let mean = p.mean.get(channel).copied().unwrap_or(0.0);
    let std = p.std.get(channel).copied().unwrap_or(1.0);
    (f32::from(value) - mean) / std
}

/// Rule 1 of `docs/numerics.md`.
fn quantize(real: f32, q: QParams) -> i8 {
    let steps = real / q.scale;
    // `as` saturates, and turns a NaN of a damaged scale into 0.
    let limited = steps.clamp(-1024.0, 1024.0);
    // Adding and taking away 1.5 * 2^23 rounds a small f32 to the nearest integer, halves to even.
    let rounded = (limited + 12_582_912.0) - 12_582_912.0;
    (rounded as i32)
        .saturating_add(q.zero_point)
        .clamp(-128, 127) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PixelFormat;
    use ocellus_format::Fit;

    const PLAIN: Preprocess = Preprocess {
        fit: Fit::Stretch,
        colour: Colour::Rgb,
        mean: [0.0; 3],
        std: [1.0; 3],
    };

    #[test]
    fn raw_pixels_are_128_lower() {
        let frame = Frame::new(&[0, 128, 255], 1, 1, PixelFormat::Rgb888).unwrap();
        let mut y = [0; 3];
        let size = InputSize {
            height_px: 1,
            width_px: 1,
            channels: 3,
        };
        into_s8(
            &frame,
            &PLAIN,
            QParams {
                scale: 1.0,
                zero_point: -128,
            },
            size,
            &mut y,
        )
        .unwrap();
        assert_eq!(y, [-128, 0, 127]);
    }

    #[test]
    fn bgr_swaps_and_normalizes_in_the_model_order() {
        let frame = Frame::new(&[10, 20, 30], 1, 1, PixelFormat::Rgb888).unwrap();
        let p = Preprocess {
            colour: Colour::Bgr,
            mean: [30.0, 10.0, 0.0],
            std: [1.0, 2.0, 10.0],
            ..PLAIN
        };
        let mut y = [0.0; 3];
        into_f32(
            &frame,
            &p,
            InputSize {
                height_px: 1,
                width_px: 1,
                channels: 3,
            },
            &mut y,
        )
        .unwrap();
        assert_eq!(y, [0.0, 5.0, 1.0]);
    }

    #[test]
    fn halves_go_to_even() {
        let q = QParams {
            scale: 1.0,
            zero_point: 0,
        };
        assert_eq!(
            [0.5, 1.5, 2.5, -0.5, -1.5, 300.0, -300.0].map(|v| quantize(v, q)),
            [0, 2, 2, 0, -2, 127, -128]
        );
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        let frame = Frame::new(&[0; 3], 1, 1, PixelFormat::Rgb888).unwrap();
        let size = InputSize {
            height_px: 1,
            width_px: 1,
            channels: 3,
        };
        assert_eq!(
            into_f32(&frame, &PLAIN, size, &mut [0.0; 2]).unwrap_err(),
            FrameError::Input
        );
    }
}
