//! Conv and ConvTranspose.

use ocellus_ir::{Op, TensorId};

use crate::attributes::small;
use crate::constant::Constant;
use crate::error::{Outcome, Refusal};
use crate::operators::picture::{Padding, Picture, WindowAttributes, two};
use crate::values::{Cx, Value};

/// Weights as the file has them: `[a, b, kernel...]`, checked against the picture's rank.
struct Kernel {
    values: Constant,
    outer: usize,
    inner: usize,
    size: Vec<usize>,
}

impl Kernel {
    fn read(cx: &Cx<'_, '_>, picture: &Picture) -> Outcome<Self> {
        let values = cx.constant(1, "the weights")?;
        values.reals("the weights")?;
        let shape = values.shape.clone();
        let [outer, inner, ref size @ ..] = shape[..] else {
            return Err(Refusal::malformed(format!(
                "the weights have shape {shape:?}"
            )));
        };
        if size.len() != picture.dims || shape.contains(&0) {
            return Err(Refusal::malformed(format!(
                "the weights have shape {shape:?}, but the input has {} spatial axes",
                picture.dims
            )));
        }
        if let Some(stated) = cx.attributes().ints("kernel_shape")?
            && !stated
                .iter()
                .map(|&k| usize::try_from(k).ok())
                .eq(size.iter().map(|&k| Some(k)))
        {
            return Err(Refusal::malformed(format!(
                "attribute `kernel_shape` is {stated:?}, but the weights have shape {shape:?}"
            )));
        }
        let size = size.to_vec();
        Ok(Kernel {
            values,
            outer,
            inner,
            size,
        })
    }
}

fn groups(cx: &Cx<'_, '_>) -> Outcome<usize> {
    small("group", cx.attributes().int("group")?.unwrap_or(1), 1)
}

fn bias(cx: &mut Cx<'_, '_>, channels: usize) -> Outcome<Option<TensorId>> {
    let Some(bias) = cx.optional_constant(2, "the bias")? else {
        return Ok(None);
    };
    if bias.shape != [channels] {
        return Err(Refusal::malformed(format!(
            "the bias has shape {:?} for {channels} channels",
            bias.shape
        )));
    }
    cx.emit_constant(&bias).map(Some)
}

pub(super) fn conv(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let picture = cx.picture(&x)?;
    let kernel = Kernel::read(cx, &picture)?;
    let groups = groups(cx)?;
    let (oc, ic) = (kernel.outer, kernel.inner);
    if ic.checked_mul(groups) != Some(picture.channels) || oc % groups != 0 {
        return Err(Refusal::malformed(format!(
            "weights of shape {:?} in {groups} groups do not fit an input of {} channels",
            kernel.values.shape, picture.channels
        )));
    }
    let mut window = WindowAttributes::read(cx, kernel.size.clone())?;
    window.resolve_same(&picture.size[2 - picture.dims..]);
    // OIHW to OHWI.
    let [kh, kw] = two(&kernel.size, 1);
    let source = kernel.values.with_shape(vec![oc, ic, kh, kw])?;
    let weights = source.pick(vec![oc, kh, kw, ic], |at, from| {
        from.copy_from_slice(&[at[0], at[3], at[1], at[2]]);
    })?;
    let weights = cx.emit_folded(&weights)?;
    let mut inputs = vec![picture.id, weights];
    inputs.extend(bias(cx, oc)?);
    let y = cx.emit(
        Op::Conv2d {
            window: window.window(),
            groups,
        },
        &inputs,
    )?;
    Ok(vec![cx.file_layout(y, picture.dims)?])
}

pub(super) fn conv_transpose(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let picture = cx.picture(&x)?;
    let kernel = Kernel::read(cx, &picture)?;
    let groups = groups(cx)?;
    let ic = kernel.outer;
    if ic != picture.channels || ic % groups != 0 {
        return Err(Refusal::malformed(format!(
            "weights of shape {:?} in {groups} groups do not fit an input of {} channels",
            kernel.values.shape, picture.channels
        )));
    }
    let (group_ic, group_oc) = (ic / groups, kernel.inner);
    let oc = group_oc * groups;
    let mut window = WindowAttributes::read(cx, kernel.size.clone())?;
    let output_padding = output_geometry(cx, &picture, &mut window)?;
    // [ic, oc / groups, kernel] to [oc, kernel, ic / groups].
    let [kh, kw] = two(&kernel.size, 1);
    let source = kernel.values.with_shape(vec![ic, group_oc, kh, kw])?;
    let weights = source.pick(vec![oc, kh, kw, group_ic], |at, from| {
        let (group, within) = (at[0] / group_oc, at[0] % group_oc);
        from.copy_from_slice(&[group * group_ic + at[3], within, at[1], at[2]]);
    })?;
    let weights = cx.emit_folded(&weights)?;
    let mut inputs = vec![picture.id, weights];
    inputs.extend(bias(cx, oc)?);
    let op = Op::TransposeConv2d {
        window: window.window(),
        output_padding: two(&output_padding, 0),
        groups,
    };
    let y = cx.emit(op, &inputs)?;
    Ok(vec![cx.file_layout(y, picture.dims)?])
}

/// Settles the padding, which `output_shape` or SAME may state indirectly, and returns the padding of the output.
fn output_geometry(
    cx: &Cx<'_, '_>,
    picture: &Picture,
    window: &mut WindowAttributes,
) -> Outcome<Vec<usize>> {
    let dims = picture.dims;
    let mut output_padding = cx.attributes().spatial("output_padding", dims, 0, 0)?;
    let stated = match cx.attributes().ints("output_shape")? {
        Some(_) => Some(cx.attributes().spatial("output_shape", dims, 0, 1)?),
        None => None,
    };
    let same = matches!(window.padding, Padding::SameUpper | Padding::SameLower);
    for axis in 0..dims {
        let size = picture.size[2 - dims + axis];
        let target = match &stated {
            Some(shape) => shape[axis],
            None if same => size * window.stride(axis),
            None => continue,
        };
        let full = (size - 1) * window.stride(axis) + window.extent(axis) + output_padding[axis];
        // Too small a result is filled up at its end.
        output_padding[axis] += target.saturating_sub(full);
        let total = full.saturating_sub(target);
        let (less, more) = (total / 2, total - total / 2);
        match window.padding {
            Padding::SameUpper => window.set_pads(axis, less, more),
            _ => window.set_pads(axis, more, less),
        }
    }
    Ok(output_padding)
}
