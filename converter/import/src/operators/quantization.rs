//! QuantizeLinear, DequantizeLinear and Cast.

use ocellus_ir::{BorderType, Grid, Op, UnaryOp};

use crate::attributes::axis;
use crate::constant::{Constant, Data, ElementType, Steps};
use crate::error::{Outcome, Refusal};
use crate::values::{Cx, Live, Value};

/// A scale or zero point, one for all or one for each index of an axis, repeated to the shape of a constant.
pub(super) fn spread(
    constant: Constant,
    stated: i64,
    shape: &[usize],
    what: &str,
) -> Outcome<Constant> {
    if constant.len() == 1 {
        return constant.with_shape(vec![])?.broadcast_to(shape);
    }
    let axis = axis(stated, shape.len())?;
    if constant.shape != [shape[axis]] {
        return Err(Refusal::malformed(format!(
            "{what} has shape {:?}, which does not fit axis {axis} of shape {shape:?}",
            constant.shape
        )));
    }
    let mut aligned = vec![constant.len()];
    aligned.resize(shape.len() - axis, 1);
    constant.with_shape(aligned)?.broadcast_to(shape)
}

pub(super) fn positive_scales(scale: &Constant) -> Outcome<()> {
    let values = scale.reals("the scale")?;
    if values.iter().any(|&s| !(s > 0.0 && s.is_finite())) {
        return Err(Refusal::malformed("a scale is not a positive number"));
    }
    Ok(())
}

/// Scale and zero point, repeated to the shape of a constant.
fn parameters(cx: &Cx<'_, '_>, shape: &[usize]) -> Outcome<(Constant, Option<Constant>)> {
    if cx.attributes().int("block_size")?.unwrap_or(0) != 0 {
        return Err(Refusal::unsupported(
            "scales of blocks (`block_size`) are not supported",
        ));
    }
    let stated = cx.attributes().int("axis")?.unwrap_or(1);
    let scale = cx.constant(1, "the scale")?;
    positive_scales(&scale)?;
    let zero_point = match cx.optional_constant(2, "the zero point")? {
        Some(zero_point) => {
            zero_point.ints("the zero point")?;
            Some(spread(zero_point, stated, shape, "the zero point")?)
        }
        None => None,
    };
    Ok((spread(scale, stated, shape, "the scale")?, zero_point))
}

/// A zero point has the type of the integers that it belongs to.
pub(super) fn same_type(zero_point: &Constant, ty: ElementType) -> Outcome<()> {
    if zero_point.ty == ty {
        return Ok(());
    }
    Err(Refusal::malformed(format!(
        "a zero point is {}, but the integers that it belongs to are {}",
        zero_point.ty.name(),
        ty.name()
    )))
}

/// Scale and zero point of a computed tensor; the zero point is one of the device's `s8`.
pub(super) fn computed_grid(
    scale: &Constant,
    zero_point: Option<&Constant>,
    ty: ElementType,
) -> Outcome<Grid> {
    let below = match ty {
        ElementType::U8 => 128,
        ElementType::S8 => 0,
        other => {
            return Err(Refusal::unsupported(format!(
                "quantizing to {} is not supported; use uint8 or int8",
                other.name()
            )));
        }
    };
    let scales = scale.reals("the scale")?;
    let zeros = match zero_point {
        Some(zero_point) => {
            same_type(zero_point, ty)?;
            zero_point.ints("the zero point")?.to_vec()
        }
        None => vec![0],
    };
    let (Some(&scale), Some(&zero)) = (scales.first(), zeros.first()) else {
        return Err(Refusal::malformed("the scale or the zero point is empty"));
    };
    if scales.iter().any(|&s| s != scale) || zeros.iter().any(|&z| z != zero) {
        return Err(Refusal::unsupported(
            "a computed tensor with more than one scale is not supported; quantize activations per tensor",
        ));
    }
    let zero = i32::try_from(zero)
        .unwrap_or(i32::MAX)
        .saturating_sub(below);
    let grid = Grid::new(scale, zero);
    if grid.is_valid() {
        Ok(grid)
    } else {
        Err(Refusal::malformed(format!(
            "scale {scale} and zero point {} are no quantization to {}",
            zero.saturating_add(below),
            ty.name()
        )))
    }
}

/// A constant's real values, which stay known as steps.
pub(super) fn dequantize_constant(
    cx: &mut Cx<'_, '_>,
    x: &Constant,
    scale: &Constant,
    zero_point: Option<&Constant>,
) -> Outcome<Value> {
    let scales = scale.reals("the scale")?;
    let values = x.ints("its input")?;
    let zeros = match zero_point {
        Some(zero_point) => zero_point.ints("the zero point")?.clone(),
        None => vec![0; values.len()].into(),
    };
    let steps = values.iter().zip(zeros.iter()).zip(scales.iter());
    let real: Vec<f32> = steps
        .map(|((&q, &z), &s)| (q.saturating_sub(z) as f64 * f64::from(s)) as f32)
        .collect();
    let mut folded = Constant::real(x.shape.clone(), real);
    if let (ElementType::U8 | ElementType::S8, Some(&zero)) = (x.ty, zeros.first()) {
        let below = if x.ty == ElementType::U8 { 128 } else { 0 };
        let one = zeros.iter().all(|&z| z == zero) && scales.iter().all(|s| *s == scales[0]);
        let in_range = i32::try_from(zero - below).ok().filter(|_| one);
        folded.steps = Some(Steps {
            scales: scales.clone(),
            zero_point: in_range.filter(|z| (-128..=127).contains(z)).unwrap_or(0),
        });
    }
    cx.folded(folded)
}

/// The real numbers of a computed tensor's integers.
pub(super) fn dequantize_live(cx: &mut Cx<'_, '_>, live: Live, grid: Grid) -> Outcome<Value> {
    let graph = &mut cx.importer.graph;
    if !live.quantized {
        let border = if live.ty == ElementType::U8 {
            BorderType::U8
        } else {
            BorderType::S8
        };
        let name = cx.name.clone();
        let real = graph
            .dequantize_input(name, live.id, border, grid)
            .map_err(|error| Refusal::malformed(error.to_string()))?;
        return Ok(cx.live(real));
    }
    let from = graph.tensor(live.id).grid.clone();
    match from {
        Some(from) if from != grid => {
            // The same integers, read in another way.
            let scale = grid.scale() / from.scale();
            let offset = grid.scale() * (from.zero_point - grid.zero_point) as f32;
            let op = Op::Unary(UnaryOp::Affine { scale, offset });
            let id = cx.emit(op, &[live.id])?;
            cx.importer.graph.set_grid(id, grid);
            Ok(cx.live(id))
        }
        _ => Ok(cx.live(live.id)),
    }
}

/// A real value rounded to a grid, as the file's integers.
pub(super) fn quantize_value(
    cx: &mut Cx<'_, '_>,
    value: &Value,
    grid: Grid,
    ty: ElementType,
) -> Outcome<Value> {
    let x = cx.real(value)?;
    let graph = &cx.importer.graph;
    let id = if graph.tensor(x).grid.as_ref() == Some(&grid) {
        x
    } else {
        let id = cx.emit(Op::Quantize, &[x])?;
        cx.importer.graph.set_grid(id, grid);
        id
    };
    Ok(Value::Live(Live {
        id,
        ty,
        quantized: true,
    }))
}

pub(super) fn dequantize_linear(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let real = match cx.input(0)? {
        Value::Constant(x) => {
            let (scale, zero_point) = parameters(cx, &x.shape)?;
            dequantize_constant(cx, &x, &scale, zero_point.as_ref())?
        }
        Value::Live(live) if live.ty == ElementType::Real => {
            return Err(Refusal::malformed("its input is float and not quantized"));
        }
        Value::Live(live) => {
            let zero_point = cx.optional_constant(2, "the zero point")?;
            let scale = cx.constant(1, "the scale")?;
            let grid = computed_grid(&scale, zero_point.as_ref(), live.ty)?;
            dequantize_live(cx, live, grid)?
        }
    };
    Ok(vec![real])
}

pub(super) fn quantize_linear(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let stated = cx.attributes().int("output_dtype")?.unwrap_or(0);
    let zero_point = cx.optional_constant(2, "the zero point")?;
    let ty = match &zero_point {
        Some(zero_point) => zero_point.ty,
        None if stated != 0 => ElementType::from_onnx(i32::try_from(stated).unwrap_or(0))?,
        None => ElementType::U8,
    };
    match cx.input(0)? {
        Value::Constant(x) => {
            if ty == ElementType::Real {
                return Err(Refusal::unsupported("quantizing to float is not supported"));
            }
            let (scale, zero_point) = parameters(cx, &x.shape)?;
            let scale = scale.reals("the scale")?;
            let zeros = match &zero_point {
                Some(zero_point) => zero_point.ints("the zero point")?.to_vec(),
                None => vec![0; x.len()],
            };
            let (min, max) = ty.range();
            let values = x.reals("its input")?;
            let steps = values.iter().zip(scale.iter()).zip(zeros);
            let quantized: Vec<i64> = steps
                .map(|((&v, &s), z)| {
                    ((v / s).round_ties_even() as i64)
                        .saturating_add(z)
                        .clamp(min, max)
                })
                .collect();
            let folded = Constant::int(ty, x.shape.clone(), quantized);
            Ok(vec![cx.folded(folded)?])
        }
        Value::Live(live) => {
            if live.ty != ElementType::Real {
                return Err(Refusal::malformed("its input is quantized already"));
            }
            let scale = cx.constant(1, "the scale")?;
            let grid = computed_grid(&scale, zero_point.as_ref(), ty)?;
            Ok(vec![quantize_value(cx, &Value::Live(live), grid, ty)?])
        }
    }
}

pub(super) fn cast(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let to = cx
        .attributes()
        .int("to")?
        .ok_or_else(|| Refusal::malformed("attribute `to` is missing"))?;
    let to = ElementType::from_onnx(i32::try_from(to).unwrap_or(0))?;
    match cx.input(0)? {
        Value::Constant(x) => {
            let folded = cast_constant(&x, to)?;
            Ok(vec![cx.folded(folded)?])
        }
        Value::Live(live) if live.ty == to => Ok(vec![Value::Live(live)]),
        Value::Live(live) if live.quantized => Err(Refusal::unsupported(format!(
            "it takes the integers of a quantized tensor as {}; put a DequantizeLinear in its place",
            to.name()
        ))),
        // A raw input's bytes are the numbers themselves; the graph's tensor holds them already.
        Value::Live(live) if to == ElementType::Real => Ok(vec![Value::Live(Live {
            ty: ElementType::Real,
            ..live
        })]),
        // Whole numbers of another width.
        Value::Live(live)
            if matches!(live.ty, ElementType::S32 | ElementType::S64)
                && matches!(to, ElementType::S32 | ElementType::S64) =>
        {
            Ok(vec![Value::Live(Live { ty: to, ..live })])
        }
        Value::Live(live) => Err(Refusal::unsupported(format!(
            "computing in {} is not supported: a cast of a computed tensor from {} must be to float",
            to.name(),
            live.ty.name()
        ))),
    }
}

pub(crate) fn cast_constant(x: &Constant, to: ElementType) -> Outcome<Constant> {
    let shape = x.shape.clone();
    let (min, max) = to.range();
    let outside = || Refusal::malformed(format!("a constant does not fit into {}", to.name()));
    Ok(match (&x.data, to) {
        (Data::Real(_), ElementType::Real) => x.clone(),
        (Data::Int(values), ElementType::Real) => {
            Constant::real(shape, values.iter().map(|&v| v as f32).collect::<Vec<_>>())
        }
        (Data::Real(values), ElementType::Bool) => Constant::int(
            to,
            shape,
            values
                .iter()
                .map(|&v| i64::from(v != 0.0))
                .collect::<Vec<_>>(),
        ),
        (Data::Int(values), ElementType::Bool) => Constant::int(
            to,
            shape,
            values
                .iter()
                .map(|&v| i64::from(v != 0))
                .collect::<Vec<_>>(),
        ),
        (Data::Real(values), _) => {
            let cast = values.iter().map(|&v| {
                let whole = f64::from(v).trunc();
                (whole >= min as f64 && whole <= max as f64).then_some(whole as i64)
            });
            Constant::int(
                to,
                shape,
                cast.collect::<Option<Vec<_>>>().ok_or_else(outside)?,
            )
        }
        (Data::Int(values), _) => {
            let cast = values
                .iter()
                .map(|&v| (min..=max).contains(&v).then_some(v));
            Constant::int(
                to,
                shape,
                cast.collect::<Option<Vec<_>>>().ok_or_else(outside)?,
            )
        }
    })
}
