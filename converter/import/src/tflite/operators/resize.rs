//! RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR.

use ocellus_ir::{CoordinateMode, NearestMode, Op, ResizeMode};

use crate::attributes::small;
use crate::error::{Outcome, Refusal};
use crate::tflite::node::{Tx, needed};
use crate::tflite::operators::convolution::picture;
use crate::values::Value;

pub(super) fn bilinear(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_resize_bilinear_options())?;
    let coordinates = coordinates(options.align_corners(), options.half_pixel_centers())?;
    resize(cx, ResizeMode::Linear, coordinates)
}

pub(super) fn nearest(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(
        cx.operator()
            .builtin_options_as_resize_nearest_neighbor_options(),
    )?;
    let coordinates = coordinates(options.align_corners(), options.half_pixel_centers())?;
    // Half-pixel centres: the floor of (i + 1/2) * in / out is ONNX's coordinate with halves up.
    let rounding = match coordinates {
        CoordinateMode::Asymmetric => NearestMode::Floor,
        _ => NearestMode::RoundPreferCeil,
    };
    resize(cx, ResizeMode::Nearest(rounding), coordinates)
}

fn coordinates(align_corners: bool, half_pixel_centers: bool) -> Outcome<CoordinateMode> {
    match (align_corners, half_pixel_centers) {
        (true, true) => Err(Refusal::malformed(
            "`align_corners` and `half_pixel_centers` exclude each other",
        )),
        (true, false) => Ok(CoordinateMode::AlignCorners),
        (false, true) => Ok(CoordinateMode::HalfPixel),
        (false, false) => Ok(CoordinateMode::Asymmetric),
    }
}

fn resize(
    cx: &mut Tx<'_, '_>,
    mode: ResizeMode,
    coordinates: CoordinateMode,
) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let [rows, columns, _] = picture(cx, &x)?;
    let stated = cx.integers(1, "the size")?;
    let [to_rows, to_columns] = stated[..] else {
        return Err(Refusal::malformed(format!(
            "the size is {stated:?}, not rows and columns"
        )));
    };
    let size = [small("size", to_rows, 1)?, small("size", to_columns, 1)?];
    if size == [rows, columns] {
        return Ok(vec![x]);
    }
    let scale = [
        (size[0] as f64 / rows as f64) as f32,
        (size[1] as f64 / columns as f64) as f32,
    ];
    let op = Op::Resize {
        mode,
        coordinates,
        size,
        scale,
    };
    Ok(vec![cx.emit_real(op, &x)?])
}
