//! Resize and Upsample.

use ocellus_ir::{CoordinateMode, NearestMode, Op, ResizeMode};

use super::interpolate::{Axis, Coordinates, Kernel, by_axis};

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

/// The size nearest to the one asked for that keeps the picture's proportions.
fn in_proportion(shape: &[usize], axes: &[usize], sizes: &[i64], policy: &str) -> Outcome<Target> {
    let mut target = from_sizes(shape, axes, sizes)?;
    let scales = axes.iter().map(|&axis| target.scale[axis]);
    let scale = match policy {
        "stretch" => return Ok(target),
        "not_larger" => scales.fold(f32::INFINITY, f32::min),
        "not_smaller" => scales.fold(0.0, f32::max),
        other => {
            return Err(Refusal::malformed(format!(
                "attribute `keep_aspect_ratio_policy` holds `{other}`"
            )));
        }
    };
    for &axis in axes {
        target.scale[axis] = scale;
        target.size[axis] = (f64::from(scale) * shape[axis] as f64).round() as usize;
    }
    Ok(target)
}

/// How a resize works, from its attributes.
struct Rules {
    mode: String,
    nearest: Option<NearestMode>,
    /// For each axis.
    coordinates: Vec<Coordinates>,
    cubic: f64,
    antialias: bool,
    exclude_outside: bool,
}

impl Rules {
    /// The rules of operator sets before 11.
    fn old(mode: &str, rank: usize) -> Self {
        Rules {
            mode: mode.to_owned(),
            nearest: None,
            coordinates: vec![Coordinates::Rule(CoordinateMode::Asymmetric); rank],
            cubic: -0.75,
            antialias: false,
            exclude_outside: false,
        }
    }

    fn read(cx: &Cx<'_, '_>, rank: usize, axes: &[usize]) -> Outcome<Self> {
        let attributes = cx.attributes();
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
        let rule = |mode| vec![Coordinates::Rule(mode); rank];
        let coordinates = match attributes
            .text("coordinate_transformation_mode")?
            .unwrap_or("half_pixel")
        {
            "half_pixel" => rule(CoordinateMode::HalfPixel),
            "pytorch_half_pixel" => rule(CoordinateMode::PytorchHalfPixel),
            "align_corners" => rule(CoordinateMode::AlignCorners),
            "asymmetric" => rule(CoordinateMode::Asymmetric),
            "half_pixel_symmetric" => vec![Coordinates::HalfPixelSymmetric; rank],
            "tf_crop_and_resize" => regions(cx, rank, axes)?,
            other => {
                return Err(Refusal::unsupported(format!(
                    "coordinates `{other}` are not supported; use `half_pixel`, `align_corners` or `asymmetric`"
                )));
            }
        };
        Ok(Rules {
            mode: attributes.text("mode")?.unwrap_or("nearest").to_owned(),
            nearest: Some(nearest),
            coordinates,
            cubic: f64::from(attributes.float("cubic_coeff_a")?.unwrap_or(-0.75)),
            antialias: attributes.flag("antialias", false)?,
            exclude_outside: attributes.flag("exclude_outside", false)?,
        })
    }
}

/// The regions that `tf_crop_and_resize` cuts out: all starts, then all ends.
fn regions(cx: &Cx<'_, '_>, rank: usize, axes: &[usize]) -> Outcome<Vec<Coordinates>> {
    let fill = cx.attributes().float("extrapolation_value")?.unwrap_or(0.0);
    let roi = cx.constant(1, "the region")?;
    let roi = roi.reals("the region")?;
    if roi.len() != 2 * axes.len() {
        return Err(Refusal::malformed(format!(
            "a region of {} numbers for {} axes",
            roi.len(),
            axes.len()
        )));
    }
    let mut regions = vec![
        Coordinates::Crop {
            start: 0.0,
            end: 1.0,
            fill
        };
        rank
    ];
    for (i, &axis) in axes.iter().enumerate() {
        regions[axis] = Coordinates::Crop {
            start: f64::from(roi[i]),
            end: f64::from(roi[axes.len() + i]),
            fill,
        };
    }
    Ok(regions)
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
    let policy = attributes
        .text("keep_aspect_ratio_policy")?
        .unwrap_or("stretch");
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
        (None, Some(sizes)) => {
            in_proportion(&shape, &axes, sizes.ints("the list of sizes")?, policy)?
        }
        (None, None) => return Err(Refusal::malformed("it gives neither scales nor sizes")),
    };
    let rules = match old {
        true => Rules::old(attributes.text("mode")?.unwrap_or("nearest"), shape.len()),
        false => Rules::read(cx, shape.len(), &axes)?,
    };
    Ok(vec![resized(cx, &x, target, &rules)?])
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
    let rules = Rules::old(mode, shape.len());
    Ok(vec![resized(cx, &x, target, &rules)?])
}

/// Emits the graph's operator where it can, else the steps of each axis.
fn resized(cx: &mut Cx<'_, '_>, x: &Value, target: Target, rules: &Rules) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let Target { size, scale } = &target;
    let cropped = |axis: usize| matches!(rules.coordinates[axis], Coordinates::Crop { start, end, .. } if start != 0.0 || end != 1.0);
    let changed = |axis: usize| size[axis] != shape[axis] || scale[axis] != 1.0 || cropped(axis);
    // Every rule finds the pixel itself where nothing changes.
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| changed(axis)).collect();
    if axes.is_empty() {
        return Ok(x.clone());
    }
    if let Some(&empty) = axes.iter().find(|&&axis| size[axis] == 0) {
        return Err(Refusal::malformed(format!(
            "axis {empty} of shape {shape:?} would become empty"
        )));
    }
    let aligned = Coordinates::Rule(CoordinateMode::AlignCorners);
    if axes.iter().any(|&axis| {
        let exact = shape[axis] as f64 * f64::from(scale[axis]);
        rules.coordinates[axis] == aligned && (exact - size[axis] as f64).abs() > 1e-3
    }) {
        return Err(Refusal::unsupported(format!(
            "`align_corners` with scales {scale:?} makes a fraction of a pixel of shape {shape:?}, about which runtimes disagree; give sizes instead"
        )));
    }
    let kernel = match rules.mode.as_str() {
        "nearest" => Kernel::Nearest(nearest_mode(rules, scale)?),
        "linear" | "bilinear" | "cubic" => Kernel::Weights {
            cubic: (rules.mode == "cubic").then_some(rules.cubic),
            antialias: rules.antialias && scale.iter().any(|&s| s < 1.0),
            exclude_outside: rules.exclude_outside,
        },
        other => {
            return Err(Refusal::unsupported(format!(
                "mode `{other}` is not supported; use `linear`, `cubic` or `nearest`"
            )));
        }
    };
    if let Some(y) = picture(cx, x, &target, &axes, kernel, rules)? {
        return Ok(y);
    }
    let axes: Vec<Axis> = axes
        .iter()
        .map(|&axis| Axis {
            axis,
            from: shape[axis],
            to: size[axis],
            scale: f64::from(scale[axis]),
            coordinates: rules.coordinates[axis],
        })
        .collect();
    by_axis(cx, x, &axes, kernel)
}

/// How values are chosen; open in old operator sets, which round down when growing and up when shrinking.
fn nearest_mode(rules: &Rules, scales: &[f32]) -> Outcome<NearestMode> {
    let shrinks = scales.iter().any(|&s| s < 1.0);
    let grows = scales.iter().any(|&s| s > 1.0);
    match rules.nearest {
        Some(mode) => Ok(mode),
        None if shrinks && grows => Err(Refusal::unsupported(
            "it grows one axis and shrinks the other; export for operator set 11 or newer",
        )),
        None if shrinks => Ok(NearestMode::Ceil),
        None => Ok(NearestMode::Floor),
    }
}

/// The graph's own operator, where rows and columns alone change by a rule that it has.
fn picture(
    cx: &mut Cx<'_, '_>,
    x: &Value,
    target: &Target,
    axes: &[usize],
    kernel: Kernel,
    rules: &Rules,
) -> Outcome<Option<Value>> {
    let shape = cx.shape_of(x);
    let mode = match kernel {
        Kernel::Nearest(mode) => ResizeMode::Nearest(mode),
        Kernel::Weights {
            cubic: None,
            antialias: false,
            ..
        } => ResizeMode::Linear,
        Kernel::Weights { .. } => return Ok(None),
    };
    // Some exporters keep pictures in `Nhwc`: then the file's layout is the graph's.
    let inner_layout =
        shape.len() == 4 && axes.iter().all(|axis| [1, 2].contains(axis)) && axes != [2];
    let (rows, columns) = match shape.len() {
        4 if inner_layout => (Some(1), 2),
        4 => (Some(2), 3),
        3 => (None, 2),
        _ => return Ok(None),
    };
    let Coordinates::Rule(coordinates) = rules.coordinates[columns] else {
        return Ok(None);
    };
    if shape.first() != Some(&1)
        || axes
            .iter()
            .any(|axis| Some(*axis) != rows && *axis != columns)
    {
        return Ok(None);
    }
    let op = Op::Resize {
        mode,
        coordinates,
        size: [
            rows.map_or(1, |axis| target.size[axis]),
            target.size[columns],
        ],
        scale: [
            rows.map_or(1.0, |axis| target.scale[axis]),
            target.scale[columns],
        ],
    };
    if inner_layout {
        return Ok(Some(cx.emit_real(op, x)?));
    }
    let picture = cx.picture(x)?;
    let y = cx.emit(op, &[picture.id])?;
    Ok(Some(cx.file_layout(y, picture.dims)?))
}
