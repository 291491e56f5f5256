//! QuantizeLinear, DequantizeLinear and Cast.

use ocellus_ir::{Grid, Op};

use crate::attributes::axis;
use crate::constant::{Constant, Data, ElementType};
use crate::error::{Outcome, Refusal};
use crate::values::{Cx, Live, Value};

const ALREADY_QUANTIZED: &str = "the model is already quantized, which is not supported yet; convert the float model it was made from";

/// Scale and zero point, repeated to the shape of a constant.
fn parameters(cx: &Cx<'_, '_>, shape: &[usize]) -> Outcome<(Constant, Option<Constant>)> {
    if cx.attributes().int("block_size")?.unwrap_or(0) != 0 {
        return Err(Refusal::unsupported(
            "scales of blocks (`block_size`) are not supported",
        ));
    }
    let stated = cx.attributes().int("axis")?.unwrap_or(1);
    let spread = |constant: Constant, what: &str| -> Outcome<Constant> {
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
    };
    let scale = cx.constant(1, "the scale")?;
    let values = scale.reals("the scale")?;
    if values.iter().any(|&s| !(s > 0.0 && s.is_finite())) {
        return Err(Refusal::malformed("a scale is not a positive number"));
    }
    let zero_point = match cx.optional_constant(2, "the zero point")? {
        Some(zero_point) => {
            zero_point.ints("the zero point")?;
            Some(spread(zero_point, "the zero point")?)
        }
        None => None,
    };
    Ok((spread(scale, "the scale")?, zero_point))
}

pub(super) fn dequantize_linear(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let Value::Constant(x) = cx.input(0)? else {
        return Err(Refusal::unsupported(ALREADY_QUANTIZED));
    };
    let (scale, zero_point) = parameters(cx, &x.shape)?;
    let scale = scale.reals("the scale")?;
    let values = x.ints("its input")?;
    let folded: Vec<f32> = match &zero_point {
        Some(zero_point) => {
            let zero_point = zero_point.ints("the zero point")?;
            let steps = values.iter().zip(zero_point.iter());
            steps
                .zip(scale.iter())
                .map(|((&q, &z), &s)| q.saturating_sub(z) as f32 * s)
                .collect()
        }
        None => values
            .iter()
            .zip(scale.iter())
            .map(|(&q, &s)| q as f32 * s)
            .collect(),
    };
    let folded = Constant::real(x.shape.clone(), folded);
    Ok(vec![cx.folded(folded)?])
}

pub(super) fn quantize_linear(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let stated = cx.attributes().int("output_dtype")?.unwrap_or(0);
    let ty = match cx.optional_constant(2, "the zero point")? {
        Some(zero_point) => zero_point.ty,
        None if stated != 0 => ElementType::from_onnx(i32::try_from(stated).unwrap_or(0))?,
        None => ElementType::U8,
    };
    if !matches!(ty, ElementType::U8 | ElementType::S8) {
        return Err(Refusal::unsupported(format!(
            "quantizing to {} is not supported; use uint8 or int8",
            ty.name()
        )));
    }
    match cx.input(0)? {
        Value::Constant(x) => {
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
                return Err(Refusal::unsupported(ALREADY_QUANTIZED));
            }
            let scale = cx.constant(1, "the scale")?;
            if scale.len() != 1 {
                return Err(Refusal::unsupported(
                    "a computed tensor with more than one scale is not supported",
                ));
            }
            let scale = scale.scalar("the scale")?;
            let zero_point = match cx.optional_constant(2, "the zero point")? {
                Some(zero_point) => zero_point.integer("the zero point")?,
                None => 0,
            };
            let zero_point = i32::try_from(zero_point).unwrap_or(0);
            let below = if ty == ElementType::U8 { 128 } else { 0 };
            let id = cx.emit(Op::Quantize, &[live.id])?;
            let grid = Grid::new(scale, zero_point - below);
            cx.importer.graph.set_grid(id, grid);
            Ok(vec![Value::Live(Live {
                id,
                ty,
                quantized: true,
            })])
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
        Value::Live(live) if live.quantized => Err(Refusal::unsupported(ALREADY_QUANTIZED)),
        // A raw input's bytes are the numbers themselves; the graph's tensor holds them already.
        Value::Live(live) if to == ElementType::Real => Ok(vec![Value::Live(Live {
            ty: ElementType::Real,
            ..live
        })]),
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
