//! Operators that bring constants into the graph or hand a value on.

use crate::constant::{Constant, Data, ElementType, element_count, load};
use crate::error::{Outcome, Refusal};
use crate::operators::shape::target_shape;
use crate::values::{Cx, Value};

pub(super) fn constant(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let attributes = cx.attributes();
    let value = if let Some(tensor) = attributes.tensor("value")? {
        load(tensor, cx.importer.file.folder)?
    } else if let Some(value) = attributes.float("value_float")? {
        Constant::real(vec![], vec![value])
    } else if let Some(values) = attributes.floats("value_floats")? {
        Constant::real(vec![values.len()], values)
    } else if let Some(value) = attributes.int("value_int")? {
        Constant::int(ElementType::S64, vec![], vec![value])
    } else if let Some(values) = attributes.ints("value_ints")? {
        Constant::list(values.to_vec())
    } else {
        return Err(Refusal::unsupported(
            "it holds no numbers; sparse tensors and texts are not supported",
        ));
    };
    Ok(vec![Value::Constant(value)])
}

pub(super) fn constant_of_shape(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let shape = target_shape(&cx.constant(0, "the shape")?)?;
    let count = element_count(&shape)?;
    let fill = match cx.attributes().tensor("value")? {
        Some(tensor) => load(tensor, cx.importer.file.folder)?,
        None => Constant::real(vec![1], vec![0.0]),
    };
    let filled = match &fill.data {
        Data::Real(values) if values.len() == 1 => Constant::real(shape, vec![values[0]; count]),
        Data::Int(values) if values.len() == 1 => {
            Constant::int(fill.ty, shape, vec![values[0]; count])
        }
        _ => return Err(Refusal::malformed("attribute `value` must hold one value")),
    };
    Ok(vec![cx.folded(filled)?])
}

pub(super) fn range(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let [start, limit, delta] = [
        cx.constant(0, "the start")?,
        cx.constant(1, "the limit")?,
        cx.constant(2, "the step")?,
    ];
    let list = match start.data {
        Data::Int(_) => {
            let [start, limit, delta] = [
                start.integer("the start")?,
                limit.integer("the limit")?,
                delta.integer("the step")?,
            ];
            let span = i128::from(limit) - i128::from(start);
            let delta = i128::from(delta);
            if delta == 0 {
                return Err(Refusal::malformed("its step is 0"));
            }
            let count = if (span > 0) == (delta > 0) && span != 0 {
                span.unsigned_abs().div_ceil(delta.unsigned_abs())
            } else {
                0
            };
            let count = element_count(&[usize::try_from(count).unwrap_or(usize::MAX)])?;
            let step = i64::try_from(delta).unwrap_or(0);
            (0i64..)
                .take(count)
                .map(|i| start.saturating_add(i.saturating_mul(step)))
                .collect()
        }
        Data::Real(_) => {
            let [start, limit, delta] = [
                start.scalar("the start")?,
                limit.scalar("the limit")?,
                delta.scalar("the step")?,
            ];
            let count = ((f64::from(limit) - f64::from(start)) / f64::from(delta))
                .ceil()
                .max(0.0);
            if !count.is_finite() {
                return Err(Refusal::malformed("its length is not finite"));
            }
            let count = element_count(&[count as usize])?;
            let values: Vec<f32> = (0..count).map(|i| start + i as f32 * delta).collect();
            return Ok(vec![cx.folded(Constant::real(vec![count], values))?]);
        }
    };
    Ok(vec![cx.folded(Constant::list(list))?])
}

pub(super) fn identity(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![cx.input(0)?])
}

pub(super) fn dropout(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    if let Some(training) = cx.optional_constant(2, "the training mode")?
        && training.integer("the training mode")? != 0
    {
        return Err(Refusal::unsupported(
            "it is in training mode; export the model for inference",
        ));
    }
    Ok(vec![cx.input(0)?])
}
