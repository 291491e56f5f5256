//! Pools and reductions.

use ocellus_ir::{Op, Window};

use crate::attributes::axis;
use crate::error::{Outcome, Refusal};
use crate::operators::pointwise::affine;
use crate::tflite::node::{Tx, needed, positive};
use crate::tflite::operators::convolution::{picture, window};
use crate::values::Value;

fn pool(cx: &mut Tx<'_, '_>, op: fn([usize; 2], Window) -> Op) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_pool_2_doptions())?;
    let x = cx.input(0)?;
    let [rows, columns, _] = picture(cx, &x)?;
    let kernel = [
        positive("filter_height", options.filter_height())?,
        positive("filter_width", options.filter_width())?,
    ];
    let stride = [
        positive("stride_h", options.stride_h())?,
        positive("stride_w", options.stride_w())?,
    ];
    let window = window(options.padding(), [rows, columns], kernel, stride, [1, 1])?;
    let y = cx.emit_real(op(kernel, window), &x)?;
    Ok(vec![cx.activate(y, options.fused_activation_function())?])
}

pub(super) fn average_pool(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    pool(cx, |kernel, window| Op::AveragePool2d {
        kernel,
        window,
        count_include_pad: false,
    })
}

pub(super) fn max_pool(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    pool(cx, |kernel, window| Op::MaxPool2d { kernel, window })
}

/// The axes of a reduction, sorted, and whether they stay.
fn axes(cx: &Tx<'_, '_>, x: &Value) -> Outcome<(Vec<usize>, bool)> {
    let rank = cx.shape_of(x).len();
    let options = cx.operator().builtin_options_as_reducer_options();
    let keep_dims = options.is_some_and(|options| options.keep_dims());
    let mut axes = cx
        .integers(1, "the axes")?
        .into_iter()
        .map(|stated| axis(stated, rank))
        .collect::<Outcome<Vec<_>>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok((axes, keep_dims))
}

pub(super) fn mean(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let (axes, keep_dims) = axes(cx, &x)?;
    if axes.is_empty() {
        return Ok(vec![x]);
    }
    Ok(vec![cx.emit_real(Op::Mean { axes, keep_dims }, &x)?])
}

pub(super) fn sum(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let (axes, keep_dims) = axes(cx, &x)?;
    if axes.is_empty() {
        return Ok(vec![x]);
    }
    let shape = cx.shape_of(&x);
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    let mean = cx.emit_real(Op::Mean { axes, keep_dims }, &x)?;
    Ok(vec![affine(cx, &mean, count as f32, 0.0)?])
}

pub(super) fn reduce_max(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let (axes, keep_dims) = axes(cx, &x)?;
    if axes != [1, 2] || cx.shape_of(&x).len() != 4 {
        return Err(Refusal::unsupported(format!(
            "the maximum over axes {axes:?} of shape {:?} is not supported; over rows and columns of a picture it is",
            cx.shape_of(&x)
        )));
    }
    let [rows, columns, channels] = picture(cx, &x)?;
    let op = Op::MaxPool2d {
        kernel: [rows, columns],
        window: Window::UNIT,
    };
    let y = cx.emit_real(op, &x)?;
    match keep_dims {
        true => Ok(vec![y]),
        false => Ok(vec![cx.reshape(&y, vec![1, channels])?]),
    }
}
