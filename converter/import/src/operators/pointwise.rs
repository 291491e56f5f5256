//! Arithmetic with broadcast, limits, PRelu and Softmax.

use ocellus_ir::{BinaryOp, Op, UnaryOp};

use crate::attributes::axis;
use crate::constant::{Constant, Data};
use crate::error::{Outcome, Refusal};
use crate::values::{Context, Cx, Format, Value};

/// `scale * x + offset`.
pub(crate) fn affine<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    scale: f32,
    offset: f32,
) -> Outcome<Value> {
    cx.emit_real(Op::Unary(UnaryOp::Affine { scale, offset }), x)
}

/// The common shape of two constants.
fn common_shape(a: &[usize], b: &[usize]) -> Outcome<Vec<usize>> {
    ocellus_ir::broadcast("operands", a, b).map_err(|error| Refusal::malformed(error.to_string()))
}

/// Applies functions to two constants of one kind.
pub(crate) fn fold_pair(
    a: &Constant,
    b: &Constant,
    real: impl Fn(f32, f32) -> f32,
    int: impl Fn(i64, i64) -> Option<i64>,
) -> Outcome<Constant> {
    let shape = common_shape(&a.shape, &b.shape)?;
    let (a, b) = (a.broadcast_to(&shape)?, b.broadcast_to(&shape)?);
    match (&a.data, &b.data) {
        (Data::Real(x), Data::Real(y)) => {
            let values: Vec<f32> = x.iter().zip(y.iter()).map(|(&x, &y)| real(x, y)).collect();
            if values.iter().any(|v| v.is_nan()) {
                return Err(Refusal::malformed("computing with its constants gives NaN"));
            }
            Ok(Constant::real(shape, values))
        }
        (Data::Int(x), Data::Int(y)) => {
            let (min, max) = a.ty.range();
            let values: Option<Vec<i64>> = x
                .iter()
                .zip(y.iter())
                .map(|(&x, &y)| int(x, y).filter(|v| (min..=max).contains(v)))
                .collect();
            let values = values.ok_or_else(|| {
                Refusal::malformed(
                    "computing with its integer constants overflows or divides by zero",
                )
            })?;
            Ok(Constant::int(a.ty, shape, values))
        }
        _ => Err(Refusal::malformed(format!(
            "its operands are {} and {}",
            a.ty.name(),
            b.ty.name()
        ))),
    }
}

fn real_rule(op: BinaryOp) -> fn(f32, f32) -> f32 {
    match op {
        BinaryOp::Add => |a, b| a + b,
        BinaryOp::Sub => |a, b| a - b,
        BinaryOp::Mul => |a, b| a * b,
        BinaryOp::Div => |a, b| a / b,
        BinaryOp::Minimum => f32::min,
        BinaryOp::Maximum => f32::max,
    }
}

fn int_rule(op: BinaryOp) -> fn(i64, i64) -> Option<i64> {
    match op {
        BinaryOp::Add => i64::checked_add,
        BinaryOp::Sub => i64::checked_sub,
        BinaryOp::Mul => i64::checked_mul,
        BinaryOp::Div => i64::checked_div,
        BinaryOp::Minimum => |a, b| Some(a.min(b)),
        BinaryOp::Maximum => |a, b| Some(a.max(b)),
    }
}

/// Two operands, constant or not.
pub(crate) fn binary<F: Format>(
    cx: &mut Context<'_, F>,
    op: BinaryOp,
    a: &Value,
    b: &Value,
) -> Outcome<Value> {
    match (a, b) {
        (Value::Constant(a), Value::Constant(b)) => {
            let folded = fold_pair(a, b, real_rule(op), int_rule(op))?;
            cx.folded(folded)
        }
        (Value::Live(_), Value::Constant(limit)) | (Value::Constant(limit), Value::Live(_))
            if limit.len() == 1 && matches!(op, BinaryOp::Minimum | BinaryOp::Maximum) =>
        {
            let (x, rank) = (
                if matches!(a, Value::Live(_)) { a } else { b },
                limit.shape.len(),
            );
            let limit = limit.scalar("the limit")?;
            let clip = match op {
                BinaryOp::Minimum => UnaryOp::Clip {
                    min: f32::NEG_INFINITY,
                    max: limit,
                },
                _ => UnaryOp::Clip {
                    min: limit,
                    max: f32::INFINITY,
                },
            };
            let y = cx.emit_real(Op::Unary(clip), x)?;
            let mut shape = cx.shape_of(&y);
            while shape.len() < rank {
                shape.insert(0, 1);
            }
            cx.reshape(&y, shape)
        }
        (Value::Live(_), Value::Constant(divisor)) if op == BinaryOp::Div => {
            let divisors = divisor.reals("the divisor")?;
            let inverse: Vec<f32> = divisors.iter().map(|v| 1.0 / v).collect();
            if inverse.iter().any(|v| !v.is_finite()) {
                return Err(Refusal::malformed("it divides by a constant that is zero"));
            }
            let inverse = cx.weights(divisor.shape.clone(), inverse)?;
            let x = cx.real(a)?;
            let y = cx.emit(Op::Binary(BinaryOp::Mul), &[x, inverse])?;
            Ok(cx.live(y))
        }
        _ => {
            let operands = match op {
                BinaryOp::Add => [cx.addend(a)?, cx.addend(b)?],
                _ => [cx.real(a)?, cx.real(b)?],
            };
            let y = cx.emit(Op::Binary(op), &operands)?;
            Ok(cx.live(y))
        }
    }
}

/// The two operands of arithmetic.
fn arithmetic(cx: &mut Cx<'_, '_>, op: BinaryOp) -> Outcome<Vec<Value>> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    if cx.inputs.len() > 2 {
        return Err(Refusal::malformed("it has more than two operands"));
    }
    Ok(vec![binary(cx, op, &a, &b)?])
}

pub(super) fn add(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    arithmetic(cx, BinaryOp::Add)
}

pub(super) fn sub(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    arithmetic(cx, BinaryOp::Sub)
}

pub(super) fn mul(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    arithmetic(cx, BinaryOp::Mul)
}

pub(super) fn div(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    arithmetic(cx, BinaryOp::Div)
}

/// Any count of operands, from the left.
fn variadic(cx: &mut Cx<'_, '_>, op: BinaryOp) -> Outcome<Vec<Value>> {
    let mut result = cx.input(0)?;
    for index in 1..cx.inputs.len() {
        let next = cx.input(index)?;
        result = binary(cx, op, &result, &next)?;
    }
    Ok(vec![result])
}

pub(super) fn sum(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    variadic(cx, BinaryOp::Add)
}

/// The sum by the count.
pub(super) fn mean(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let total = variadic(cx, BinaryOp::Add)?;
    let factor = 1.0 / cx.inputs.len().max(1) as f32;
    match &total[..] {
        [total] => Ok(vec![affine(cx, total, factor, 0.0)?]),
        _ => Ok(total),
    }
}

pub(super) fn min(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    variadic(cx, BinaryOp::Minimum)
}

pub(super) fn max(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    variadic(cx, BinaryOp::Maximum)
}

pub(super) fn clip(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let mut limits = [f32::NEG_INFINITY, f32::INFINITY];
    for (index, name) in ["min", "max"].into_iter().enumerate() {
        if let Some(value) = cx.attributes().float(name)? {
            limits[index] = value;
        }
        if let Some(constant) = cx.optional_constant(index + 1, "the limit")? {
            limits[index] = constant.scalar("the limit")?;
        }
    }
    let [min, max] = limits;
    if min > max {
        return Err(Refusal::malformed(format!(
            "its limits {min} and {max} are the wrong way round"
        )));
    }
    Ok(vec![
        cx.emit_real(Op::Unary(UnaryOp::Clip { min, max }), &x)?,
    ])
}

pub(super) fn prelu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let slope = cx.constant(1, "the slope")?;
    Ok(vec![prelu_of(cx, &x, &slope)?])
}

/// `x < 0 ? slope * x : x`, with a slope that broadcasts.
pub(crate) fn prelu_of<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    slope: &Constant,
) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let values = slope.reals("the slope")?.to_vec();
    if common_shape(&shape, &slope.shape)? != shape {
        return Err(Refusal::malformed(format!(
            "the slope of shape {:?} does not broadcast to the input of shape {shape:?}",
            slope.shape
        )));
    }
    let lead = shape.len() - slope.shape.len();
    let mut varying = slope
        .shape
        .iter()
        .enumerate()
        .filter(|&(_, &size)| size != 1)
        .map(|(i, _)| i + lead);
    let (channel, further) = (varying.next(), varying.next());
    if further.is_some() {
        // max(x, 0) + slope * min(x, 0)
        let name = format!("{}/negative", cx.name);
        let id = cx.real(x)?;
        let positive = cx.emit_as(
            &format!("{}/positive", cx.name),
            Op::Unary(UnaryOp::Clip {
                min: 0.0,
                max: f32::INFINITY,
            }),
            &[id],
        )?;
        let negative = cx.emit_as(
            &name,
            Op::Unary(UnaryOp::Clip {
                min: f32::NEG_INFINITY,
                max: 0.0,
            }),
            &[id],
        )?;
        let slope = cx.emit_constant(slope)?;
        let scaled = cx.emit_as(&name, Op::Binary(BinaryOp::Mul), &[negative, slope])?;
        let y = cx.emit(Op::Binary(BinaryOp::Add), &[positive, scaled])?;
        return Ok(cx.live(y));
    }
    let count = values.len();
    let weights = cx.weights(vec![count], values)?;
    let last = shape.len().saturating_sub(1);
    let channel = channel.unwrap_or(last);
    if shape.is_empty() || channel == last {
        let id = cx.real(x)?;
        let y = cx.emit(Op::Prelu, &[id, weights])?;
        return Ok(cx.live(y));
    }
    // The channel axis goes innermost and comes back.
    let order: Vec<usize> = (0..=last)
        .filter(|&axis| axis != channel)
        .chain([channel])
        .collect();
    let mut back = vec![0; order.len()];
    for (i, &axis) in order.iter().enumerate() {
        back[axis] = i;
    }
    let id = cx.real(x)?;
    let moved = cx.emit_as(&format!("{}/nhwc", cx.name), Op::Transpose { order }, &[id])?;
    let y = cx.emit(Op::Prelu, &[moved, weights])?;
    let y = cx.emit_as(
        &format!("{}/nchw", cx.name),
        Op::Transpose { order: back },
        &[y],
    )?;
    Ok(cx.live(y))
}

pub(super) fn softmax(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let opset = cx.opset();
    softmax_of_set(cx, opset)
}

/// Softmax as an operator set has it.
pub(super) fn softmax_of_set(cx: &mut Cx<'_, '_>, opset: i64) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let flattens = opset < 13;
    let stated = cx
        .attributes()
        .int("axis")?
        .unwrap_or(if flattens { 1 } else { -1 });
    let axis = match (axis(stated, shape.len()), shape.len()) {
        // Old operator sets name axis 1 of a vector: all of it is one row.
        (Err(_), 1) if flattens && stated == 1 => {
            return Err(Refusal::unsupported("axis 1 of a vector is not supported"));
        }
        (axis, _) => axis?,
    };
    // Before operator set 13 the axes from `axis` on form one row.
    let row: usize = shape[axis..].iter().product();
    if !flattens || row == shape[axis] {
        return Ok(vec![cx.emit_real(Op::Softmax { axis }, &x)?]);
    }
    let rows = shape[..axis].iter().product();
    let flat = cx.reshape(&x, vec![rows, row])?;
    let y = cx.emit_real(Op::Softmax { axis: 1 }, &flat)?;
    Ok(vec![cx.reshape(&y, shape)?])
}
