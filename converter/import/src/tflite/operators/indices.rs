//! Indices that are computed, and what is picked by indices.

use ocellus_ir::Op;

use crate::attributes::axis;
use crate::constant::element_count;
use crate::error::{Outcome, Refusal};
use crate::operators::indices::{Picks, gather_nd_of, take, top_k_of};
use crate::tflite::file::element_type;
use crate::tflite::node::{Tx, needed};
use crate::values::{Live, Value};

/// The index of the largest or smallest value; of equal ones the first.
fn arg(cx: &mut Tx<'_, '_>, smallest: bool) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let stated = cx.constant(1, "the axis")?.integer("the axis")?;
    let op = Op::ArgMax {
        axis: axis(stated, cx.shape_of(&x).len())?,
        keep_dims: false,
        smallest,
        last: false,
    };
    let x = cx.real(&x)?;
    let ty = element_type(cx.output_info(0)?.ty)?;
    let id = cx.emit(op, &[x])?;
    Ok(vec![Value::Live(Live {
        id,
        ty,
        quantized: false,
    })])
}

pub(super) fn arg_max(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    arg(cx, false)
}

pub(super) fn arg_min(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    arg(cx, true)
}

pub(super) fn gather(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_gather_options())?;
    let (mut x, mut by) = (cx.input(0)?, cx.input(1)?);
    let (shape, listed) = (cx.shape_of(&x), cx.shape_of(&by));
    let at = axis(i64::from(options.axis()), shape.len())?;
    let batch = match options.batch_dims() {
        stated if stated < 0 => i64::from(stated) + i64::try_from(listed.len()).unwrap_or(0),
        stated => i64::from(stated),
    };
    let batch = usize::try_from(batch)
        .ok()
        .filter(|&batch| batch <= at && batch <= listed.len())
        .ok_or_else(|| Refusal::malformed(format!("`batch_dims` is {batch}")))?;
    let common = shape[..batch].iter().chain(&listed[..batch]);
    if common.copied().any(|size| size != 1) {
        return Err(Refusal::unsupported(
            "`batch_dims` over axes longer than 1 is not supported; gather from each by itself",
        ));
    }
    // Common axes of 1 stand in front of both, and once in front of the result.
    let mut out = shape[..at].to_vec();
    out.extend_from_slice(&listed[batch..]);
    out.extend_from_slice(&shape[at + 1..]);
    element_count(&out)?;
    x = cx.reshape(&x, shape[batch..].to_vec())?;
    by = cx.reshape(&by, listed[batch..].to_vec())?;
    let Value::Constant(indices) = &by else {
        let taken = take(cx, &x, &by, at - batch)?;
        return Ok(vec![cx.reshape(&taken, out)?]);
    };
    let flat = indices
        .ints("the list of indices")?
        .iter()
        .map(|&i| {
            let index = usize::try_from(i).ok().filter(|&index| index < shape[at]);
            index.ok_or_else(|| {
                Refusal::malformed(format!("index {i} is outside axis {at} of shape {shape:?}"))
            })
        })
        .collect::<Outcome<Vec<usize>>>()?;
    let taken = cx.gather(&x, at - batch, flat)?;
    Ok(vec![cx.reshape(&taken, out)?])
}

pub(super) fn gather_nd(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![gather_nd_of(cx, 0)?])
}

/// A row of a table for each index.
pub(super) fn embedding_lookup(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let (by, table) = (cx.input(0)?, cx.input(1)?);
    Ok(vec![take(cx, &table, &by, 0)?])
}

pub(super) fn top_k(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let last = cx.shape_of(&x).len().checked_sub(1);
    let k = cx.constant(1, "`k`")?.integer("`k`")?;
    let picks = Picks {
        axis: last.ok_or_else(|| Refusal::malformed("its input is a single number"))?,
        k: usize::try_from(k).map_err(|_| Refusal::malformed(format!("`k` is {k}")))?,
        smallest: false,
        ty: element_type(cx.output_info(1)?.ty)?,
    };
    top_k_of(cx, &x, picks)
}
