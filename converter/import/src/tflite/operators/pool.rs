//! Pools and reductions.

use ocellus_ir::{Op, Window};

use crate::attributes::axis;
use crate::error::Outcome;
use crate::operators::reduce::{Reduction, reduce, reduce_constant};
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

fn reduction(cx: &mut Tx<'_, '_>, kind: Reduction) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let (axes, keep_dims) = axes(cx, &x)?;
    if let Value::Constant(constant) = &x {
        let folded = reduce_constant(constant, kind, &axes, keep_dims)?;
        return Ok(vec![cx.folded(folded)?]);
    }
    Ok(vec![reduce(cx, kind, &x, &axes, keep_dims)?])
}

pub(super) fn mean(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    reduction(cx, Reduction::Mean)
}

pub(super) fn sum(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    reduction(cx, Reduction::Sum)
}

pub(super) fn reduce_max(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    reduction(cx, Reduction::Max)
}

pub(super) fn reduce_min(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    reduction(cx, Reduction::Min)
}

pub(super) fn reduce_prod(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    reduction(cx, Reduction::Prod)
}
