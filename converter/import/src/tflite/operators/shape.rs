//! Operators that change shapes and the order of axes, and the arithmetic of shapes.

use tract_tflite::tflite::TensorType;

use crate::attributes::{axis, small};
use crate::constant::{Constant, ElementType, element_count};
use crate::error::{Outcome, Refusal};
use crate::operators::repeat::tile_of;
use crate::operators::shape::{resolve_shape, sizes, target_shape};
use crate::tflite::node::{Tx, needed};
use crate::tflite::operators::convolution::picture;
use crate::values::Value;

pub(super) fn reshape(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let stated: Vec<i64> = match cx.optional_constant(1, "the new shape")? {
        Some(constant) => constant.ints("the new shape")?.to_vec(),
        None => {
            let options = needed(cx.operator().builtin_options_as_reshape_options())?;
            let listed = options.new_shape();
            listed.iter().flatten().map(i64::from).collect()
        }
    };
    let shape = cx.shape_of(&x);
    // Old converters wrote a scalar as the shape [0].
    let stated = match stated[..] {
        [0] if shape.iter().product::<usize>() == 1 => vec![],
        _ => stated,
    };
    let out = resolve_shape(&shape, &stated, false)?;
    Ok(vec![cx.reshape(&x, out)?])
}

pub(super) fn squeeze(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let options = cx.operator().builtin_options_as_squeeze_options();
    let listed: Vec<i32> = options
        .and_then(|options| options.squeeze_dims())
        .iter()
        .flatten()
        .collect();
    let dropped = match listed.is_empty() {
        true => (0..shape.len()).filter(|&i| shape[i] == 1).collect(),
        false => listed
            .into_iter()
            .map(|stated| axis(i64::from(stated), shape.len()))
            .collect::<Outcome<Vec<_>>>()?,
    };
    if let Some(&wrong) = dropped.iter().find(|&&i| shape[i] != 1) {
        return Err(Refusal::malformed(format!(
            "axis {wrong} of shape {shape:?} is not 1"
        )));
    }
    let kept = shape.iter().enumerate();
    let kept = kept
        .filter(|(i, _)| !dropped.contains(i))
        .map(|(_, &size)| size)
        .collect();
    Ok(vec![cx.reshape(&x, kept)?])
}

pub(super) fn expand_dims(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let mut shape = cx.shape_of(&x);
    let stated = cx.constant(1, "the axis")?.integer("the axis")?;
    shape.insert(axis(stated, shape.len() + 1)?, 1);
    Ok(vec![cx.reshape(&x, shape)?])
}

pub(super) fn transpose(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let rank = cx.shape_of(&x).len();
    let order = cx
        .integers(1, "the order of axes")?
        .into_iter()
        .map(|stated| axis(stated, rank))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(vec![cx.transpose(&x, &order)?])
}

/// Rows, columns and channels of a picture, and the block.
fn block(cx: &Tx<'_, '_>, x: &Value, size: i32) -> Outcome<([usize; 3], usize)> {
    Ok((picture(cx, x)?, small("block_size", i64::from(size), 1)?))
}

pub(super) fn depth_to_space(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_depth_to_space_options())?;
    let x = cx.input(0)?;
    let ([rows, columns, channels], b) = block(cx, &x, options.block_size())?;
    if !channels.is_multiple_of(b * b) {
        return Err(Refusal::malformed(format!(
            "{channels} channels do not make blocks of {b} by {b}"
        )));
    }
    let deep = channels / (b * b);
    let x = cx.reshape(&x, vec![rows, columns, b, b, deep])?;
    let x = cx.transpose(&x, &[0, 2, 1, 3, 4])?;
    Ok(vec![cx.reshape(&x, vec![1, rows * b, columns * b, deep])?])
}

pub(super) fn space_to_depth(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_space_to_depth_options())?;
    let x = cx.input(0)?;
    let ([rows, columns, channels], b) = block(cx, &x, options.block_size())?;
    if !rows.is_multiple_of(b) || !columns.is_multiple_of(b) {
        return Err(Refusal::malformed(format!(
            "{rows} rows and {columns} columns do not divide into blocks of {b} by {b}"
        )));
    }
    let x = cx.reshape(&x, vec![rows / b, b, columns / b, b, channels])?;
    let x = cx.transpose(&x, &[0, 2, 1, 3, 4])?;
    let shape = vec![1, rows / b, columns / b, b * b * channels];
    Ok(vec![cx.reshape(&x, shape)?])
}

pub(super) fn shape_of(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let shape = sizes(&cx.shape_of(&cx.input(0)?));
    let ty = match cx.output_info(0)?.ty {
        TensorType::INT64 => ElementType::S64,
        _ => ElementType::S32,
    };
    let list = Constant::int(ty, vec![shape.len()], shape);
    Ok(vec![cx.folded(list)?])
}

pub(super) fn fill(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let shape = target_shape(&cx.constant(0, "the shape")?)?;
    let value = cx.constant(1, "the value")?;
    if value.len() != 1 {
        return Err(Refusal::malformed("the value is not one"));
    }
    element_count(&shape)?;
    let filled = value.with_shape(vec![])?.broadcast_to(&shape)?;
    Ok(vec![cx.folded(filled)?])
}

pub(super) fn tile(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    tile_of(cx)
}

pub(super) fn broadcast_to(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = target_shape(&cx.constant(1, "the shape")?)?;
    Ok(vec![cx.broadcast(&x, &shape)?])
}
