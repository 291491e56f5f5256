//! Normalizations by statistics of the data itself.

use ocellus_ir::{BinaryOp, Op, UnaryOp, Window};

use crate::attributes::{axis, small};
use crate::constant::Constant;
use crate::error::{Outcome, Refusal};
use crate::operators::activation::function;
use crate::operators::pointwise::affine;
use crate::values::{Context, Cx, Format, Value};

/// A constant list of factors or offsets, or as many times `missing`.
fn parameters(
    cx: &Cx<'_, '_>,
    index: usize,
    what: &str,
    shape: &[usize],
    missing: f32,
) -> Outcome<Vec<f32>> {
    let constant = match cx.optional_constant(index, what)? {
        Some(constant) => constant,
        None => Constant::real(vec![1], vec![missing]),
    };
    Ok(constant.broadcast_to(shape)?.reals(what)?.to_vec())
}

/// The first axis of those that are normalized, how many elements share a parameter, and the rule.
struct Rule {
    axis: usize,
    run: usize,
    epsilon: f32,
    centered: bool,
}

fn layer_norm<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    rule: Rule,
) -> Outcome<Value> {
    let Rule {
        axis,
        run,
        epsilon,
        centered,
    } = rule;
    let len = gamma.len();
    let x = cx.real(x)?;
    let inputs = [
        x,
        cx.weights(vec![len], gamma)?,
        cx.weights(vec![len], beta)?,
    ];
    let op = Op::LayerNorm {
        axis,
        run,
        epsilon,
        centered,
    };
    let y = cx.emit(op, &inputs)?;
    Ok(cx.live(y))
}

fn epsilon(cx: &Cx<'_, '_>) -> Outcome<f32> {
    Ok(cx.attributes().float("epsilon")?.unwrap_or(1e-5))
}

pub(super) fn layer_normalization(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    innermost(cx, true)
}

pub(super) fn rms_normalization(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    innermost(cx, false)
}

/// Over all axes from one on; a factor and an offset for each place in them.
fn innermost(cx: &mut Cx<'_, '_>, centered: bool) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let axis = axis(cx.attributes().int("axis")?.unwrap_or(-1), shape.len())?;
    let gamma = parameters(cx, 1, "the scale", &shape[axis..], 1.0)?;
    let beta = if centered {
        parameters(cx, 2, "the offset", &shape[axis..], 0.0)?
    } else {
        vec![0.0; gamma.len()]
    };
    let rule = Rule {
        axis,
        run: 1,
        epsilon: epsilon(cx)?,
        centered,
    };
    Ok(vec![layer_norm(cx, &x, gamma, beta, rule)?])
}

pub(super) fn instance_normalization(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let [_, channels, pixels @ ..] = &shape[..] else {
        return Err(Refusal::malformed(format!(
            "its input has shape {shape:?}, without channels"
        )));
    };
    let rule = Rule {
        axis: 2,
        run: pixels.iter().product(),
        epsilon: epsilon(cx)?,
        centered: true,
    };
    if pixels.is_empty() {
        return Err(Refusal::malformed("its input has no pixels to normalize"));
    }
    let gamma = parameters(cx, 1, "the scale", &[*channels], 1.0)?;
    let beta = parameters(cx, 2, "the offset", &[*channels], 0.0)?;
    Ok(vec![layer_norm(cx, &x, gamma, beta, rule)?])
}

pub(super) fn group_normalization(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let groups = cx
        .attributes()
        .int("num_groups")?
        .ok_or_else(|| Refusal::malformed("attribute `num_groups` is missing"))?;
    let [batch, channels, pixels @ ..] = &shape[..] else {
        return Err(Refusal::malformed(format!(
            "its input has shape {shape:?}, without channels"
        )));
    };
    let groups = usize::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0 && channels % groups == 0)
        .ok_or_else(|| {
            Refusal::malformed(format!("{channels} channels do not make {groups} groups"))
        })?;
    // Before operator set 21 there is a factor a group, since then one a channel.
    let per_group = cx.opset() < 21;
    let spread = |values: Vec<f32>| -> Vec<f32> {
        if per_group {
            let repeat = |v: f32| std::iter::repeat_n(v, channels / groups);
            values.into_iter().flat_map(repeat).collect()
        } else {
            values
        }
    };
    let stated = if per_group { groups } else { *channels };
    let gamma = spread(parameters(cx, 1, "the scale", &[stated], 1.0)?);
    let beta = spread(parameters(cx, 2, "the offset", &[stated], 0.0)?);
    let run = pixels.iter().product::<usize>();
    let rule = Rule {
        axis: 2,
        run,
        epsilon: epsilon(cx)?,
        centered: true,
    };
    let grouped = cx.reshape(&x, vec![*batch, groups, channels / groups * run])?;
    let y = layer_norm(cx, &grouped, gamma, beta, rule)?;
    Ok(vec![cx.reshape(&y, shape)?])
}

pub(super) fn mean_variance_normalization(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let rank = shape.len();
    let stated = cx.attributes().ints("axes")?.unwrap_or(&[0, 2, 3]);
    let axes = stated
        .iter()
        .map(|&a| axis(a, rank))
        .collect::<Outcome<Vec<_>>>()?;
    // The normalized axes go to the end.
    let order: Vec<usize> = (0..rank)
        .filter(|a| !axes.contains(a))
        .chain((0..rank).filter(|a| axes.contains(a)))
        .collect();
    let mut back = vec![0; rank];
    for (at, &axis) in order.iter().enumerate() {
        back[axis] = at;
    }
    let kept = rank - axes.iter().collect::<std::collections::BTreeSet<_>>().len();
    if kept == rank {
        return Err(Refusal::malformed("it normalizes over no axis"));
    }
    let x = cx.transpose(&x, &order)?;
    let rule = Rule {
        axis: kept,
        run: 1,
        // What the operator's definition adds to the deviation, taken as added to the variance.
        epsilon: 1e-9,
        centered: true,
    };
    let y = layer_norm(cx, &x, vec![1.0], vec![0.0], rule)?;
    Ok(vec![cx.transpose(&y, &back)?])
}

/// `x / sqrt(sum(x^2) + epsilon)` along an axis: a normalization about zero, whose deviation is the length by the root of the count.
pub(crate) fn unit_length<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    axis: usize,
    epsilon: f32,
) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let last = shape.len().saturating_sub(1);
    let count = shape.get(axis).copied().unwrap_or(1).max(1) as f32;
    let mut order: Vec<usize> = (0..shape.len()).filter(|&a| a != axis).collect();
    order.push(axis);
    let mut back = vec![0; order.len()];
    for (at, &axis) in order.iter().enumerate() {
        back[axis] = at;
    }
    let x = cx.transpose(x, &order)?;
    let rule = Rule {
        axis: last,
        run: 1,
        epsilon: epsilon / count,
        centered: false,
    };
    let y = layer_norm(cx, &x, vec![count.sqrt().recip()], vec![0.0], rule)?;
    cx.transpose(&y, &back)
}

/// A normalization by the squares of neighbouring channels.
pub(crate) struct Response {
    /// Channels before and after each that count.
    pub(crate) window: [usize; 2],
    /// Factor of the mean square, in which channels that do not exist are zeros.
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
    pub(crate) bias: f32,
}

/// `x / (bias + alpha * mean(squares))^beta`, with the channels innermost. The mean is a pool along the channels, each pixel a row.
pub(crate) fn response_norm<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    rule: Response,
) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let channels = shape.last().copied().unwrap_or(1);
    let pixels = shape.iter().rev().skip(1).product();
    let squares = function(cx, UnaryOp::Pow { exponent: 2.0 }, x)?;
    let rows = cx.reshape(&squares, vec![1, pixels, channels, 1])?;
    let [before, after] = rule.window;
    let pool = Op::AveragePool2d {
        kernel: [1, before + 1 + after],
        window: Window {
            pad_before: [0, before],
            pad_after: [0, after],
            ..Window::UNIT
        },
        count_include_pad: true,
    };
    let means = cx.emit_real(pool, &rows)?;
    let divisor = affine(cx, &means, rule.alpha, rule.bias)?;
    let power = UnaryOp::Pow {
        exponent: -rule.beta,
    };
    let factor = function(cx, power, &divisor)?;
    let factor = cx.reshape(&factor, shape)?;
    let operands = [cx.real(x)?, cx.real(&factor)?];
    let y = cx.emit(Op::Binary(BinaryOp::Mul), &operands)?;
    Ok(cx.live(y))
}

pub(super) fn local_response_normalization(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let attributes = cx.attributes();
    let size = attributes
        .int("size")?
        .ok_or_else(|| Refusal::malformed("attribute `size` is missing"))?;
    let size = small("size", size, 1)?;
    let rule = Response {
        window: [(size - 1) / 2, size / 2],
        alpha: attributes.float("alpha")?.unwrap_or(1e-4),
        beta: attributes.float("beta")?.unwrap_or(0.75),
        bias: attributes.float("bias")?.unwrap_or(1.0),
    };
    let picture = cx.picture(&x)?;
    let x = cx.live(picture.id);
    let y = response_norm(cx, &x, rule)?;
    let y = cx.real(&y)?;
    Ok(vec![cx.file_layout(y, picture.dims)?])
}
