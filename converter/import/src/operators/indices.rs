//! Indices that are computed, and what is picked by them.

use ocellus_ir::Op;

use crate::attributes::axis;
use crate::constant::ElementType;
use crate::error::{Outcome, Refusal};
use crate::values::{Context, Cx, Format, Live, Value};

/// A tensor of whole numbers as a value.
fn whole(id: ocellus_ir::TensorId, ty: ElementType) -> Value {
    Value::Live(Live {
        id,
        ty,
        quantized: false,
    })
}

pub(super) fn arg_max(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    arg(cx, false)
}

pub(super) fn arg_min(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    arg(cx, true)
}

fn arg(cx: &mut Cx<'_, '_>, smallest: bool) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let attributes = cx.attributes();
    let axis = axis(attributes.int("axis")?.unwrap_or(0), cx.shape_of(&x).len())?;
    let op = Op::ArgMax {
        axis,
        keep_dims: attributes.flag("keepdims", true)?,
        smallest,
        last: attributes.flag("select_last_index", false)?,
    };
    let x = cx.real(&x)?;
    Ok(vec![whole(cx.emit(op, &[x])?, ElementType::S64)])
}

pub(super) fn top_k(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let attributes = cx.attributes();
    let k = match cx.optional_constant(1, "`k`")? {
        Some(k) => k.integer("`k`")?,
        None => attributes
            .int("k")?
            .ok_or_else(|| Refusal::malformed("`k` is missing"))?,
    };
    let k = usize::try_from(k).map_err(|_| Refusal::malformed(format!("`k` is {k}")))?;
    let smallest = !attributes.flag("largest", true)?;
    let rank = cx.shape_of(&x).len();
    let axis = axis(attributes.int("axis")?.unwrap_or(-1), rank)?;
    let picks = Picks {
        axis,
        k,
        smallest,
        ty: ElementType::S64,
    };
    top_k_of(cx, &x, picks)
}

/// What a TopK picks.
pub(crate) struct Picks {
    pub(crate) axis: usize,
    pub(crate) k: usize,
    pub(crate) smallest: bool,
    /// The file's type of the indices.
    pub(crate) ty: ElementType,
}

/// The best values along an axis, and their indices.
pub(crate) fn top_k_of<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    picks: Picks,
) -> Outcome<Vec<Value>> {
    let Picks {
        axis,
        k,
        smallest,
        ty,
    } = picks;
    let rank = cx.shape_of(x).len();
    let to_end: Vec<usize> = (0..rank).filter(|&a| a != axis).chain([axis]).collect();
    let mut back = vec![0; rank];
    for (at, &axis) in to_end.iter().enumerate() {
        back[axis] = at;
    }
    let x = cx.transpose(x, &to_end)?;
    let x = cx.real(&x)?;
    // Unsorted results may come in any order, so in this one.
    let name = format!("{}/indices", cx.name);
    let indices = cx.emit_as(&name, Op::TopK { k, smallest }, &[x])?;
    let values = cx.emit(Op::GatherElements { axis: rank - 1 }, &[x, indices])?;
    let values = cx.live(values);
    Ok(vec![
        cx.transpose(&values, &back)?,
        cx.transpose(&whole(indices, ty), &back)?,
    ])
}

/// A computed list of indices as a tensor of the graph.
fn list(value: &Value) -> Outcome<ocellus_ir::TensorId> {
    match value {
        Value::Live(live) if matches!(live.ty, ElementType::S32 | ElementType::S64) => Ok(live.id),
        _ => Err(Refusal::malformed("its indices are no whole numbers")),
    }
}

/// True of what devices hold in 8 bits.
fn is_real(value: &Value) -> bool {
    match value {
        Value::Constant(constant) => constant.ty == ElementType::Real,
        Value::Live(live) => live.ty == ElementType::Real,
    }
}

/// Gather by indices that are computed or an input of the model.
pub(crate) fn take<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    indices: &Value,
    axis: usize,
) -> Outcome<Value> {
    if !is_real(x) {
        return Err(Refusal::unsupported(
            "it picks whole numbers by computed indices, and devices do not compute with those; cut the model before this node",
        ));
    }
    let operands = [cx.real(x)?, list(indices)?];
    let y = cx.emit(Op::Take { axis }, &operands)?;
    Ok(cx.live(y))
}

pub(super) fn gather_elements(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let (from, shape) = (cx.shape_of(&x), cx.shape_of(&indices));
    let axis = axis(cx.attributes().int("axis")?.unwrap_or(0), from.len())?;
    if from.len() != shape.len() {
        return Err(Refusal::malformed(format!(
            "indices of shape {shape:?} do not fit an input of shape {from:?}"
        )));
    }
    let covered: Vec<usize> = (0..from.len())
        .map(|a| if a == axis { from[a] } else { shape[a] })
        .collect();
    // Indices may cover less than the input: its beginning.
    if covered.iter().zip(&from).any(|(part, whole)| part > whole) {
        return Err(Refusal::malformed(format!(
            "indices of shape {shape:?} do not fit an input of shape {from:?}"
        )));
    }
    let x = cx.slice(&x, vec![0; from.len()], covered, vec![1; from.len()])?;
    let by = match &indices {
        Value::Constant(constant) => {
            let list = constant.ints("its indices")?.iter().map(|&i| i as f32);
            let list = list.collect();
            cx.weights(shape, list)?
        }
        live => list(live)?,
    };
    let x = cx.real(&x)?;
    let y = cx.emit(Op::GatherElements { axis }, &[x, by])?;
    Ok(vec![cx.live(y)])
}

/// Where each index names whole slices along the first axes.
pub(super) fn gather_nd(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let batch = usize::try_from(cx.attributes().int("batch_dims")?.unwrap_or(0)).unwrap_or(0);
    Ok(vec![gather_nd_of(cx, batch)?])
}

/// The slices of the first input that the tuples of the second name, behind `batch` common axes.
pub(crate) fn gather_nd_of<F: Format>(cx: &mut Context<'_, F>, batch: usize) -> Outcome<Value> {
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let (from, shape) = (cx.shape_of(&x), cx.shape_of(&indices));
    let Some((&depth, lead)) = shape.split_last() else {
        return Err(Refusal::malformed("its indices are a single number"));
    };
    if batch > lead.len() || batch + depth > from.len() || depth == 0 {
        return Err(Refusal::malformed(format!(
            "indices of shape {shape:?} do not fit an input of shape {from:?}"
        )));
    }
    if from[..batch].iter().any(|&size| size != 1) {
        return Err(Refusal::unsupported(
            "`batch_dims` over axes longer than 1 is not supported",
        ));
    }
    let mut out = lead.to_vec();
    out.extend_from_slice(&from[batch + depth..]);
    let (picked, rest) = from[batch..].split_at(depth);
    let flat = picked.iter().product();
    let x = cx.reshape(&x, [&[flat], rest].concat())?;
    match &indices {
        Value::Constant(constant) => {
            let list = constant.ints("its indices")?.clone();
            let mut chosen = Vec::with_capacity(list.len() / depth);
            for tuple in list.chunks_exact(depth) {
                let mut at = 0;
                for (&i, &size) in tuple.iter().zip(picked) {
                    let len = i64::try_from(size).unwrap_or(i64::MAX);
                    let from_start = if i < 0 { i.saturating_add(len) } else { i };
                    let index = usize::try_from(from_start)
                        .ok()
                        .filter(|&index| index < size)
                        .ok_or_else(|| {
                            Refusal::malformed(format!("index {i} is outside shape {from:?}"))
                        })?;
                    at = at * size + index;
                }
                chosen.push(at);
            }
            let y = cx.gather(&x, 0, chosen)?;
            cx.reshape(&y, out)
        }
        live if depth == 1 => {
            let by = cx.reshape(live, lead.to_vec())?;
            let y = take(cx, &x, &by, 0)?;
            cx.reshape(&y, out)
        }
        Value::Live(_) => Err(Refusal::unsupported(
            "computed indices of several axes at once are not supported; use Gather along one axis",
        )),
    }
}
