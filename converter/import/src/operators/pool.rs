//! Pools and means.

use ocellus_ir::{Op, Window};

use crate::attributes::axis;
use crate::error::{Outcome, Refusal};
use crate::operators::picture::{Picture, WindowAttributes};
use crate::values::{Cx, Value};

fn window_of(cx: &Cx<'_, '_>, picture: &Picture) -> Outcome<WindowAttributes> {
    if !cx.attributes().has("kernel_shape") {
        return Err(Refusal::malformed("attribute `kernel_shape` is missing"));
    }
    let kernel = cx
        .attributes()
        .spatial("kernel_shape", picture.dims, 1, 1)?;
    let mut window = WindowAttributes::read(cx, kernel)?;
    window.resolve_same(&picture.size[2 - picture.dims..]);
    for axis in 0..picture.dims {
        let (before, after) = window.pads(axis);
        if before.max(after) >= window.extent(axis) {
            return Err(Refusal::malformed(
                "the padding is as large as the window, so a window may hold nothing",
            ));
        }
    }
    Ok(window)
}

pub(super) fn max_pool(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    if cx.wants_output(1) {
        return Err(Refusal::unsupported(
            "the indices of the maxima (second output) are not supported",
        ));
    }
    let x = cx.input(0)?;
    let picture = cx.picture(&x)?;
    let mut window = window_of(cx, &picture)?;
    if cx.attributes().flag("ceil_mode", false)? {
        window.resolve_ceil(&picture.size[2 - picture.dims..]);
    }
    let op = Op::MaxPool2d {
        kernel: window.kernel(),
        window: window.window(),
    };
    let y = cx.emit(op, &[picture.id])?;
    Ok(vec![cx.file_layout(y, picture.dims)?])
}

pub(super) fn average_pool(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let picture = cx.picture(&x)?;
    let mut window = window_of(cx, &picture)?;
    let count_include_pad = cx.attributes().flag("count_include_pad", false)?;
    if cx.attributes().flag("ceil_mode", false)?
        && window.resolve_ceil(&picture.size[2 - picture.dims..])
        && count_include_pad
    {
        return Err(Refusal::unsupported(
            "`ceil_mode` with `count_include_pad` and a last window that leaves the picture is not supported; \
             runtimes disagree about its divisor. Pad the input explicitly",
        ));
    }
    let op = Op::AveragePool2d {
        kernel: window.kernel(),
        window: window.window(),
        count_include_pad,
    };
    let y = cx.emit(op, &[picture.id])?;
    Ok(vec![cx.file_layout(y, picture.dims)?])
}

pub(super) fn global_average_pool(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let rank = cx.shape_of(&x).len();
    if rank < 3 {
        return Err(Refusal::malformed(format!(
            "its input has {rank} axes and so no spatial ones"
        )));
    }
    Ok(vec![cx.emit_real(
        Op::Mean {
            axes: (2..rank).collect(),
            keep_dims: true,
        },
        &x,
    )?])
}

pub(super) fn global_max_pool(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let picture = cx.picture(&x)?;
    let y = cx.emit(
        Op::MaxPool2d {
            kernel: picture.size,
            window: Window::UNIT,
        },
        &[picture.id],
    )?;
    Ok(vec![cx.file_layout(y, picture.dims)?])
}

pub(super) fn reduce_mean(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let rank = cx.shape_of(&x).len();
    let keep_dims = cx.attributes().flag("keepdims", true)?;
    let stated = match cx.optional_constant(1, "the list of axes")? {
        Some(list) => Some(list.ints("the list of axes")?.to_vec()),
        None => cx.attributes().ints("axes")?.map(<[i64]>::to_vec),
    };
    let mut axes: Vec<usize> = stated
        .unwrap_or_default()
        .into_iter()
        .map(|a| axis(a, rank))
        .collect::<Outcome<_>>()?;
    if axes.is_empty() {
        if cx.attributes().flag("noop_with_empty_axes", false)? {
            return Ok(vec![x]);
        }
        axes = (0..rank).collect();
    }
    axes.sort_unstable();
    axes.dedup();
    if axes.is_empty() {
        return Ok(vec![x]);
    }
    Ok(vec![cx.emit_real(Op::Mean { axes, keep_dims }, &x)?])
}
