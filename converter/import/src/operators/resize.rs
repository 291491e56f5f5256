//! Resize and Upsample.

use ocellus_ir::{CoordinateMode, NearestMode, Op, ResizeMode};

use crate::attributes::axis;
use crate::error::{Outcome, Refusal};
use crate::values::{Cx, Value};

/// Output sizes and scales over all axes.
struct Target {
    size: Vec<usize>,
    scale: Vec<f32>,
}

fn from_scales(shape: &[usize], axes: &[usize], scales: &[f32]) -> Outcome<Target> {
    if scales.len() != axes.len() {
        return Err(Refusal::malformed(format!(
            "{} scales for {} axes",
            scales.len(),
            axes.len()
        )));
    }
    let mut target = Target {
        size: shape.to_vec(),
        scale: vec![1.0; shape.len()],
    };
    for (&axis, &scale) in axes.iter().zip(scales) {
        // Below 2^20 the product stays exact enough and small.
        if !(scale > 0.0 && scale < 1_048_576.0) {
            return Err(Refusal::malformed(format!(
                "the scale {scale} makes no size"
            )));
        }
        target.scale[axis] = scale;
        target.size[axis] = (shape[axis] as f64 * f64::from(scale)).floor() as usize;
    }
    Ok(target)
}

fn from_sizes(shape: &[usize], axes: &[usize], sizes: &[i64]) -> Outcome<Target> {
    if sizes.len() != axes.len() {
        return Err(Refusal::malformed(format!(
            "{} sizes for {} axes",
            sizes.len(),
            axes.len()
        )));
    }
    let mut target = Target {
        size: shape.to_vec(),
        scale: vec![1.0; shape.len()],
    };
    for (&axis, &size) in axes.iter().zip(sizes) {
        target.size[axis] = usize::try_from(size)
            .map_err(|_| Refusal::malformed(format!("the size {size} is negative")))?;
        target.scale[axis] = (size as f64 / shape[axis].max(1) as f64) as f32;
    }
    Ok(target)
}

pub(super) fn resize(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let attributes = cx.attributes();
    let axes: Vec<usize> = match attributes.ints("axes")? {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, shape.len()))
            .collect::<Outcome<_>>()?,
        None => (0..shape.len()).collect(),
    };
    if attributes.flag("antialias", false)? {
        return Err(Refusal::unsupported("`antialias` is not supported"));
    }
    let policy = attributes
        .text("keep_aspect_ratio_policy")?
        .unwrap_or("stretch");
    if policy != "stretch" {
        return Err(Refusal::unsupported(format!(
            "`keep_aspect_ratio_policy` {policy} is not supported; use `stretch`"
        )));
    }
    let old = cx.opset() < 11;
    let scales = cx
        .optional_constant(if old { 1 } else { 2 }, "the list of scales")?
        .filter(|c| c.len() > 0);
    let sizes = match old {
        true => None,
        false => cx
            .optional_constant(3, "the list of sizes")?
            .filter(|c| c.len() > 0),
    };
    let target = match (&scales, &sizes) {
        (Some(scales), _) => from_scales(&shape, &axes, scales.reals("the list of scales")?)?,
        (None, Some(sizes)) => from_sizes(&shape, &axes, sizes.ints("the list of sizes")?)?,
        (None, None) => return Err(Refusal::malformed("it gives neither scales nor sizes")),
    };
    let mode = attributes.text("mode")?.unwrap_or("nearest");
    if old {
        return picture(cx, &x, target, mode, CoordinateMode::Asymmetric, None);
    }
    let nearest = match attributes
        .text("nearest_mode")?
        .unwrap_or("round_prefer_floor")
    {
        "round_prefer_floor" => NearestMode::RoundPreferFloor,
        "round_prefer_ceil" => NearestMode::RoundPreferCeil,
        "floor" => NearestMode::Floor,
        "ceil" => NearestMode::Ceil,
        other => {
            return Err(Refusal::malformed(format!(
                "attribute `nearest_mode` holds `{other}`"
            )));
        }
    };
    let coordinates = match attributes
        .text("coordinate_transformation_mode")?
        .unwrap_or("half_pixel")
    {
        "half_pixel" => CoordinateMode::HalfPixel,
        "pytorch_half_pixel" => CoordinateMode::PytorchHalfPixel,
        "align_corners" => CoordinateMode::AlignCorners,
        "asymmetric" => CoordinateMode::Asymmetric,
        other => {
            return Err(Refusal::unsupported(format!(
                "coordinates `{other}` are not supported; use `half_pixel`, `align_corners` or `asymmetric`"
            )));
        }
    };
    picture(cx, &x, target, mode, coordinates, Some(nearest))
}

pub(super) fn upsample(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let axes: Vec<usize> = (0..shape.len()).collect();
    let scales = match cx.optional_constant(1, "the list of scales")? {
        Some(constant) => constant.reals("the list of scales")?.to_vec(),
        None => cx
            .attributes()
            .floats("scales")?
            .ok_or_else(|| Refusal::malformed("the list of scales is missing"))?
            .to_vec(),
    };
    let target = from_scales(&shape, &axes, &scales)?;
    let mode = cx.attributes().text("mode")?.unwrap_or("nearest");
    picture(cx, &x, target, mode, CoordinateMode::Asymmetric, None)
}

/// Emits the operator; `nearest` is open in old operator sets, which round down when growing and up when shrinking.
fn picture(
    cx: &mut Cx<'_, '_>,
    x: &Value,
    target: Target,
    mode: &str,
    coordinates: CoordinateMode,
    nearest: Option<NearestMode>,
) -> Outcome<Vec<Value>> {
    let shape = cx.shape_of(x);
    let Target { size, scale } = target;
    if size == shape {
        // Every rule finds the pixel itself then, as long as the scale is 1 as well.
        if scale.iter().all(|&s| s == 1.0) {
            return Ok(vec![x.clone()]);
        }
    }
    let changed = |axis: usize| size[axis] != shape[axis] || scale[axis] != 1.0;
    let rank = shape.len();
    // Some exporters keep pictures in `Nhwc`: then the file's layout is the graph's.
    let inner_layout = rank == 4 && changed(1) && !changed(3);
    let (rows, columns) = match rank {
        4 if inner_layout => (Some(1), 2),
        4 => (Some(2), 3),
        3 => (None, 2),
        _ => {
            return Err(Refusal::unsupported(format!(
                "its input has shape {shape:?}, not three or four axes"
            )));
        }
    };
    if let Some(wrong) =
        (0..rank).find(|&axis| changed(axis) && Some(axis) != rows && axis != columns)
    {
        return Err(Refusal::unsupported(format!(
            "it resizes axis {wrong} of shape {shape:?} to {size:?}; only rows and columns can be resized"
        )));
    }
    let at = |values: &[usize]| [rows.map_or(1, |axis| values[axis]), values[columns]];
    let scales = [rows.map_or(1.0, |axis| scale[axis]), scale[columns]];
    let mode = match mode {
        "nearest" => {
            let shrinks = scales.iter().any(|&s| s < 1.0);
            let grows = scales.iter().any(|&s| s > 1.0);
            ResizeMode::Nearest(match nearest {
                Some(nearest) => nearest,
                None if shrinks && grows => {
                    return Err(Refusal::unsupported(
                        "it grows one axis and shrinks the other; export for operator set 11 or newer",
                    ));
                }
                None if shrinks => NearestMode::Ceil,
                None => NearestMode::Floor,
            })
        }
        "linear" | "bilinear" => ResizeMode::Linear,
        other => {
            return Err(Refusal::unsupported(format!(
                "mode `{other}` is not supported; use `linear` or `nearest`"
            )));
        }
    };
    if coordinates == CoordinateMode::AlignCorners
        && (0..rank).any(|axis| {
            let exact = shape[axis] as f64 * f64::from(scale[axis]);
            (exact - size[axis] as f64).abs() > 1e-3
        })
    {
        return Err(Refusal::unsupported(format!(
            "`align_corners` with scales {scale:?} makes a fraction of a pixel of shape {shape:?}, about which runtimes disagree; give sizes instead"
        )));
    }
    let op = Op::Resize {
        mode,
        coordinates,
        size: at(&size),
        scale: scales,
    };
    if inner_layout {
        return Ok(vec![cx.emit_real(op, x)?]);
    }
    let picture = cx.picture(x)?;
    let y = cx.emit(op, &[picture.id])?;
    Ok(vec![cx.file_layout(y, picture.dims)?])
}
