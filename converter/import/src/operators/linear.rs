//! Gemm, MatMul and BatchNormalization.

use ocellus_ir::{BinaryOp, Op, TensorId, broadcast};

use crate::constant::Constant;
use crate::error::{Outcome, Refusal};
use crate::operators::einsum::by_stack;
use crate::operators::pointwise::affine;
use crate::operators::products;
use crate::values::{Context, Cx, Format, Value};

/// A constant matrix `[rows, columns]`; leading axes of size 1 are dropped.
pub(crate) fn matrix(constant: &Constant) -> Outcome<Constant> {
    constant.reals("the constant operand")?;
    let (lead, last) = constant
        .shape
        .split_at(constant.shape.len().saturating_sub(2));
    match *last {
        [rows, columns] if lead.iter().all(|&size| size == 1) => {
            constant.with_shape(vec![rows, columns])
        }
        _ => Err(Refusal::unsupported(format!(
            "the constant operand has shape {:?}; only one matrix is supported, not a stack of them",
            constant.shape
        ))),
    }
}

/// Turns `[rows, columns]` round.
pub(crate) fn transposed(matrix: &Constant) -> Outcome<Constant> {
    let shape = matrix.shape.iter().rev().copied().collect();
    matrix.pick(shape, |at, from| from.copy_from_slice(&[at[1], at[0]]))
}

/// Swaps the last two axes of a value.
pub(crate) fn swap_last<F: Format>(cx: &mut Context<'_, F>, value: &Value) -> Outcome<Value> {
    let rank = cx.shape_of(value).len();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 1, rank - 2);
    cx.transpose(value, &order)
}

/// `x [.., k]` by weights `[oc, k]`.
pub(crate) fn fully_connected<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    weights: &Constant,
    bias: Option<TensorId>,
) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let [oc, k] = weights.shape[..] else {
        return Err(Refusal::malformed("the constant operand is no matrix"));
    };
    if shape.last() != Some(&k) {
        return Err(Refusal::malformed(format!(
            "an input of shape {shape:?} does not fit a matrix over {k} values"
        )));
    }
    if oc == 0 || k == 0 {
        return Err(Refusal::malformed("the matrix is empty"));
    }
    let x = cx.real(x)?;
    let mut inputs = vec![x, cx.emit_folded(weights)?];
    inputs.extend(bias);
    let y = cx.emit(Op::FullyConnected, &inputs)?;
    Ok(cx.live(y))
}

pub(super) fn mat_mul(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    Ok(vec![product(cx, &a, &b)?])
}

/// The leading axes of a constant operand hold more than one matrix.
fn is_stack(constant: &Constant) -> bool {
    let matrices = constant.shape.len().saturating_sub(2);
    constant.shape[..matrices].iter().any(|&size| size != 1)
}

/// The product of two values as numpy's `matmul` has it.
pub(crate) fn product<F: Format>(cx: &mut Context<'_, F>, a: &Value, b: &Value) -> Outcome<Value> {
    match (a, b) {
        (Value::Live(_), Value::Live(_)) => products::mat_mul(cx, a, b),
        (Value::Live(_), Value::Constant(stack)) if is_stack(stack) => {
            if cx.shape_of(a).len() < 2 {
                return products::mat_mul(cx, a, b);
            }
            product_with_stack(cx, a, stack)
        }
        (Value::Constant(stack), Value::Live(_)) if is_stack(stack) => {
            // A B = (B^T A^T)^T, matrix by matrix.
            if cx.shape_of(b).len() < 2 {
                return products::mat_mul(cx, a, b);
            }
            let (left, right) = (swap_last(cx, b)?, swap_last(cx, a)?);
            let y = product(cx, &left, &right)?;
            swap_last(cx, &y)
        }
        (_, Value::Constant(right)) => {
            let vector = right.shape.len() == 1;
            let right = if vector {
                right.with_shape(vec![right.len(), 1])?
            } else {
                right.clone()
            };
            let weights = transposed(&matrix(&right)?)?;
            let y = fully_connected(cx, a, &weights, None)?;
            let mut shape = cx.shape_of(&y);
            if vector {
                shape.pop();
            } else {
                // numpy keeps the longer list of leading axes.
                while shape.len() < right.shape.len() && cx.shape_of(a).len() > 1 {
                    shape.insert(0, 1);
                }
            }
            cx.reshape(&y, shape)
        }
        (Value::Constant(left), Value::Live(_)) => {
            // W x = (x^T W^T)^T, and W is [oc, k] already.
            let rows_dropped = left.shape.len() == 1;
            let left = if rows_dropped {
                left.with_shape(vec![1, left.len()])?
            } else {
                left.clone()
            };
            let weights = matrix(&left)?;
            let column = cx.shape_of(b).len() == 1;
            let x = if column { b.clone() } else { swap_last(cx, b)? };
            let y = fully_connected(cx, &x, &weights, None)?;
            let y = if column { y } else { swap_last(cx, &y)? };
            let mut shape = cx.shape_of(&y);
            if rows_dropped {
                let at = shape.len() - if column { 1 } else { 2 };
                shape.remove(at);
            }
            while !rows_dropped && shape.len() < left.shape.len() - usize::from(column) {
                shape.insert(0, 1);
            }
            cx.reshape(&y, shape)
        }
    }
}

/// A stack of constant matrices, one for each matrix of `x`.
fn product_with_stack<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    stack: &Constant,
) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let [.., rows, inner] = shape[..] else {
        return Err(Refusal::unsupported(
            "a vector by a stack of constant matrices is not supported",
        ));
    };
    let [ref lead_b @ .., k, columns] = stack.shape[..] else {
        return Err(Refusal::malformed("the constant operand is no matrix"));
    };
    let lead = broadcast("matmul", &shape[..shape.len() - 2], lead_b)
        .map_err(|error| Refusal::malformed(error.to_string()))?;
    let n = lead.iter().product();
    let with = |rest: [usize; 2]| lead.iter().copied().chain(rest).collect::<Vec<usize>>();
    let x = cx.broadcast(x, &with([rows, inner]))?;
    let x = cx.reshape(&x, vec![n, rows, inner])?;
    let stack = stack
        .broadcast_to(&with([k, columns]))?
        .with_shape(vec![n, k, columns])?;
    let y = by_stack(cx, &x, &stack)?;
    cx.reshape(&y, with([rows, columns]))
}

pub(super) fn gemm(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let attributes = cx.attributes();
    let alpha = attributes.float("alpha")?.unwrap_or(1.0);
    let beta = attributes.float("beta")?.unwrap_or(1.0);
    let (turn_a, turn_b) = (
        attributes.flag("transA", false)?,
        attributes.flag("transB", false)?,
    );
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    for value in [&a, &b] {
        let shape = cx.shape_of(value);
        if shape.len() != 2 {
            return Err(Refusal::malformed(format!(
                "an operand has shape {shape:?}, not two axes"
            )));
        }
    }
    let y = match (&a, &b) {
        (Value::Live(_), Value::Live(_)) => {
            let y = products::product(cx, &a, &b, [turn_a, turn_b])?;
            let y = if alpha == 1.0 {
                y
            } else {
                affine(cx, &y, alpha, 0.0)?
            };
            let rest = cx.optional(2);
            add_rest(cx, y, rest, beta)?
        }
        (_, Value::Constant(right)) => {
            let x = if turn_a {
                cx.transpose(&a, &[1, 0])?
            } else {
                a.clone()
            };
            let matrix = matrix(right)?.scaled(alpha)?;
            let weights = if turn_b { matrix } else { transposed(&matrix)? };
            let (bias, rest) = bias_of(cx, weights.shape[0], beta)?;
            let y = fully_connected(cx, &x, &weights, bias)?;
            add_rest(cx, y, rest, beta)?
        }
        (Value::Constant(left), Value::Live(_)) => {
            // A B = (B^T A^T)^T.
            let x = if turn_b {
                b.clone()
            } else {
                cx.transpose(&b, &[1, 0])?
            };
            let matrix = matrix(left)?.scaled(alpha)?;
            let weights = if turn_a { transposed(&matrix)? } else { matrix };
            let y = fully_connected(cx, &x, &weights, None)?;
            let y = cx.transpose(&y, &[1, 0])?;
            let rest = cx.optional(2);
            add_rest(cx, y, rest, beta)?
        }
    };
    Ok(vec![y])
}

/// The third operand of a Gemm: as a bias where it is one row, else what has to be added afterwards.
fn bias_of(
    cx: &mut Cx<'_, '_>,
    oc: usize,
    beta: f32,
) -> Outcome<(Option<TensorId>, Option<Value>)> {
    let Some(value) = cx.optional(2) else {
        return Ok((None, None));
    };
    let Value::Constant(constant) = &value else {
        return Ok((None, Some(value)));
    };
    let row = match constant.shape[..] {
        [] | [1] | [1, 1] => true,
        [n] | [1, n] => n == oc,
        _ => false,
    };
    if !row {
        return Ok((None, Some(value)));
    }
    let bias = constant
        .with_shape(vec![constant.len()])?
        .broadcast_to(&[oc])?;
    let values = bias
        .reals("the third operand")?
        .iter()
        .map(|v| v * beta)
        .collect();
    Ok((Some(cx.weights(vec![oc], values)?), None))
}

fn add_rest(cx: &mut Cx<'_, '_>, y: Value, rest: Option<Value>, beta: f32) -> Outcome<Value> {
    let Some(rest) = rest else {
        return Ok(y);
    };
    let rest = match &rest {
        Value::Constant(constant) => {
            let values: Vec<f32> = constant
                .reals("the third operand")?
                .iter()
                .map(|v| v * beta)
                .collect();
            Value::Constant(Constant::real(constant.shape.clone(), values))
        }
        Value::Live(_) if beta == 1.0 => rest,
        Value::Live(_) => affine(cx, &rest, beta, 0.0)?,
    };
    let expected = cx.shape_of(&y);
    let operands = [cx.real(&y)?, cx.real(&rest)?];
    let sum = cx.emit(Op::Binary(BinaryOp::Add), &operands)?;
    if cx.importer.graph.tensor(sum).shape != expected {
        return Err(Refusal::malformed(
            "the third operand does not broadcast to the product",
        ));
    }
    Ok(cx.live(sum))
}

pub(super) fn batch_normalization(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let attributes = cx.attributes();
    let epsilon = attributes.float("epsilon")?.unwrap_or(1e-5);
    if attributes.flag("training_mode", false)? {
        return Err(Refusal::unsupported(
            "`training_mode` is on; export the model for inference",
        ));
    }
    if !attributes.flag("spatial", true)? {
        return Err(Refusal::unsupported("`spatial` = 0 is not supported"));
    }
    if (1..5).any(|index| cx.wants_output(index)) && cx.opset() >= 14 {
        return Err(Refusal::unsupported(
            "its running statistics are read; export the model for inference",
        ));
    }
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let channels = match shape[..] {
        [] => return Err(Refusal::malformed("its input is a single number")),
        [channels] => channels,
        [_, channels, ..] => channels,
    };
    let mut lists = Vec::with_capacity(4);
    for (index, what) in [
        (1, "the scale"),
        (2, "the offset"),
        (3, "the mean"),
        (4, "the variance"),
    ] {
        let constant = cx.constant(index, what)?;
        if constant.shape != [channels] {
            return Err(Refusal::malformed(format!(
                "{what} has shape {:?} for {channels} channels",
                constant.shape
            )));
        }
        lists.push(constant.reals(what)?.clone());
    }
    let mut factors = Vec::with_capacity(channels);
    let mut offsets = Vec::with_capacity(channels);
    let [scale, offset, mean, variance] = &lists[..] else {
        return Err(Refusal::malformed("it needs four lists of constants"));
    };
    let scale_and_offset = scale.iter().zip(offset.iter());
    let statistics = mean.iter().zip(variance.iter());
    for (c, ((&scale, &offset), (&mean, &variance))) in scale_and_offset.zip(statistics).enumerate()
    {
        let factor = f64::from(scale) / (f64::from(variance) + f64::from(epsilon)).sqrt();
        if !factor.is_finite() {
            return Err(Refusal::malformed(format!(
                "the variance of channel {c} is {variance}"
            )));
        }
        factors.push(factor as f32);
        offsets.push((f64::from(offset) - f64::from(mean) * factor) as f32);
    }
    let mut broadcast = vec![channels];
    broadcast.resize(shape.len().saturating_sub(1).max(1), 1);
    let factors = cx.weights(broadcast.clone(), factors)?;
    let offsets = cx.weights(broadcast, offsets)?;
    let x = cx.real(&x)?;
    let scaled_name = format!("{}/scale", cx.name);
    let scaled = cx.emit_as(&scaled_name, Op::Binary(BinaryOp::Mul), &[x, factors])?;
    let y = cx.emit(Op::Binary(BinaryOp::Add), &[scaled, offsets])?;
    Ok(vec![cx.live(y)])
}
