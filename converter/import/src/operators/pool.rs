//! Pools and means.

use ocellus_ir::{Op, Window};

use crate::error::{Outcome, Refusal};
use crate::operators::picture::{Picture, WindowAttributes};
use crate::operators::pointwise::affine;
use crate::operators::reduce::{powers, root};
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
    let mut count_include_pad = cx.attributes().flag("count_include_pad", false)?;
    let mut id = picture.id;
    if cx.attributes().flag("ceil_mode", false)? {
        let stated = window.window();
        let added = window.resolve_ceil(&picture.size[2 - picture.dims..]);
        if added && count_include_pad {
            // What is stated counts as zeros; what rounding up adds does not count.
            let [top, left] = stated.pad_before;
            let [bottom, right] = stated.pad_after;
            let name = format!("{}/padded", cx.name);
            let frame = Op::Pad {
                before: vec![0, top, left, 0],
                after: vec![0, bottom, right, 0],
                value: 0.0,
            };
            id = cx.emit_as(&name, frame, &[id])?;
            for axis in 0..picture.dims {
                let offset = 2 - picture.dims + axis;
                let (_, after) = window.pads(axis);
                window.set_pads(axis, 0, after - stated.pad_after[offset]);
            }
            count_include_pad = false;
        }
    }
    let op = Op::AveragePool2d {
        kernel: window.kernel(),
        window: window.window(),
        count_include_pad,
    };
    let y = cx.emit(op, &[id])?;
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

/// `(sum of |x|^p)^(1/p)` over each window.
pub(super) fn lp_pool(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let p = cx.attributes().int("p")?.unwrap_or(2);
    let powers = powers(cx, &x, p)?;
    let picture = cx.picture(&powers)?;
    let mut window = window_of(cx, &picture)?;
    if cx.attributes().flag("ceil_mode", false)? {
        window.resolve_ceil(&picture.size[2 - picture.dims..]);
    }
    // The mean over all of the window, padding too, times its size: the sum.
    let kernel = window.kernel();
    let op = Op::AveragePool2d {
        kernel,
        window: window.window(),
        count_include_pad: true,
    };
    let mean = cx.emit(op, &[picture.id])?;
    let mean = cx.file_layout(mean, picture.dims)?;
    let taps = kernel[0] * kernel[1];
    let total = affine(cx, &mean, taps as f32, 0.0)?;
    Ok(vec![root(cx, &total, p)?])
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
