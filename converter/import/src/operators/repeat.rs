//! Operators that repeat values, and blocks of pixels that become channels or the other way round.

use ocellus_ir::Op;

use crate::attributes::small;
use crate::constant::element_count;
use crate::error::{Outcome, Refusal};
use crate::operators::shape::target_shape;
use crate::values::{Context, Cx, Format, Value};

impl<F: Format> Context<'_, F> {
    /// A value repeated along axes of size 1, and in front, up to `shape`.
    pub(crate) fn broadcast(&mut self, x: &Value, shape: &[usize]) -> Outcome<Value> {
        let own = self.shape_of(x);
        let fits = ocellus_ir::broadcast("expand", &own, shape).is_ok_and(|common| common == shape);
        if !fits {
            return Err(Refusal::malformed(format!(
                "shape {own:?} does not broadcast to {shape:?}"
            )));
        }
        if let Value::Constant(constant) = x {
            let expanded = constant.broadcast_to(shape)?;
            return self.folded(expanded);
        }
        let mut padded = vec![1; shape.len() - own.len()];
        padded.extend_from_slice(&own);
        let mut value = self.reshape(x, padded.clone())?;
        for (axis, (&from, &to)) in padded.iter().zip(shape).enumerate() {
            if from != to {
                value = self.gather(&value, axis, vec![0; to])?;
            }
        }
        Ok(value)
    }
}

pub(super) fn expand(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let wanted = target_shape(&cx.constant(1, "the shape")?)?;
    let own = cx.shape_of(&x);
    let shape = ocellus_ir::broadcast("expand", &own, &wanted)
        .map_err(|e| Refusal::malformed(e.to_string()))?;
    Ok(vec![cx.broadcast(&x, &shape)?])
}

pub(super) fn tile(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    tile_of(cx)
}

/// Repeats the first input as often along each axis as the second says.
pub(crate) fn tile_of<F: Format>(cx: &mut Context<'_, F>) -> Outcome<Vec<Value>> {
    let mut x = cx.input(0)?;
    let own = cx.shape_of(&x);
    let repeats = target_shape(&cx.constant(1, "the repeats")?)?;
    if repeats.len() != own.len() {
        return Err(Refusal::malformed(format!(
            "{} repeats for shape {own:?}",
            repeats.len()
        )));
    }
    for (axis, (&size, &times)) in own.iter().zip(&repeats).enumerate() {
        let total = size
            .checked_mul(times)
            .filter(|&total| element_count(&[total]).is_ok());
        let total =
            total.ok_or_else(|| Refusal::malformed(format!("{repeats:?} repeats are too many")))?;
        if times != 1 {
            x = cx.gather(&x, axis, (0..total).map(|i| i % size.max(1)).collect())?;
        }
    }
    Ok(vec![x])
}

fn block_size(cx: &Cx<'_, '_>) -> Outcome<usize> {
    let size = cx
        .attributes()
        .int("blocksize")?
        .ok_or_else(|| Refusal::malformed("attribute `blocksize` is missing"))?;
    small("blocksize", size, 1)
}

/// Channels into blocks of pixels. In `Nhwc` that exchanges columns with rows of a block.
pub(super) fn depth_to_space(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let block = block_size(cx)?;
    let picture = cx.picture(&x)?;
    let (channels, [h, w]) = (picture.channels, picture.size);
    let area = block * block;
    if picture.dims != 2 || !channels.is_multiple_of(area) {
        return Err(Refusal::malformed(format!(
            "{channels} channels do not make blocks of {block} by {block}"
        )));
    }
    let depth = channels / area;
    let mut id = picture.id;
    match cx.attributes().text("mode")?.unwrap_or("DCR") {
        "DCR" => {}
        // The block inside of the channel: in the other order it is the same operator.
        "CRD" => {
            let indices = (0..channels)
                .map(|i| i % depth * area + i / depth)
                .collect();
            let name = format!("{}/channels", cx.name);
            id = cx.emit_as(&name, Op::Gather { axis: 3, indices }, &[id])?;
        }
        other => {
            return Err(Refusal::malformed(format!(
                "attribute `mode` holds `{other}`"
            )));
        }
    }
    let blocks = cx.live(id);
    let blocks = cx.reshape(&blocks, vec![1, h, w, block, block * depth])?;
    let moved = cx.transpose(&blocks, &[0, 1, 3, 2, 4])?;
    let grown = cx.reshape(&moved, vec![1, h * block, w * block, depth])?;
    let y = cx.real(&grown)?;
    Ok(vec![cx.file_layout(y, 2)?])
}

/// Blocks of pixels into channels.
pub(super) fn space_to_depth(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let block = block_size(cx)?;
    let picture = cx.picture(&x)?;
    let (channels, [h, w]) = (picture.channels, picture.size);
    if picture.dims != 2 || !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(Refusal::malformed(format!(
            "{h} rows of {w} pixels do not make blocks of {block} by {block}"
        )));
    }
    let (rows, columns) = (h / block, w / block);
    let pixels = cx.live(picture.id);
    let pixels = cx.reshape(&pixels, vec![1, rows, block, columns, block * channels])?;
    let moved = cx.transpose(&pixels, &[0, 1, 3, 2, 4])?;
    let shrunk = cx.reshape(&moved, vec![1, rows, columns, block * block * channels])?;
    let y = cx.real(&shrunk)?;
    Ok(vec![cx.file_layout(y, 2)?])
}
