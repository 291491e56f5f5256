//! Operators that change shapes and the order of axes, and the arithmetic of shapes.

use crate::attributes::axis;
use crate::constant::{Constant, ElementType};
use crate::error::{Outcome, Refusal};
use crate::values::{Cx, Value};

/// Axes or sizes: an attribute in old operator sets, an input in new ones.
fn list(cx: &Cx<'_, '_>, name: &str, input: usize) -> Outcome<Option<Vec<i64>>> {
    match cx.optional_constant(input, name)? {
        Some(constant) => Ok(Some(constant.ints(name)?.to_vec())),
        None => Ok(cx.attributes().ints(name)?.map(<[i64]>::to_vec)),
    }
}

pub(super) fn reshape(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let stated =
        list(cx, "shape", 1)?.ok_or_else(|| Refusal::malformed("the new shape is missing"))?;
    let allow_zero = cx.attributes().flag("allowzero", false)?;
    let out = resolve_shape(&shape, &stated, !allow_zero)?;
    Ok(vec![cx.reshape(&x, out)?])
}

/// The sizes that a stated shape means for an input: -1 is what is left, and 0 copies a size where `zero_copies`.
pub(crate) fn resolve_shape(
    shape: &[usize],
    stated: &[i64],
    zero_copies: bool,
) -> Outcome<Vec<usize>> {
    let mut free = None;
    let mut out = Vec::with_capacity(stated.len());
    for (i, &size) in stated.iter().enumerate() {
        out.push(match size {
            -1 if free.replace(i).is_none() => 1,
            -1 => {
                return Err(Refusal::malformed(format!(
                    "the new shape {stated:?} leaves two sizes open"
                )));
            }
            0 if zero_copies => *shape.get(i).ok_or_else(|| {
                Refusal::malformed(format!(
                    "the new shape {stated:?} copies axis {i}, which {shape:?} does not have"
                ))
            })?,
            size => usize::try_from(size).map_err(|_| {
                Refusal::malformed(format!("the new shape {stated:?} holds a negative size"))
            })?,
        });
    }
    let count: usize = shape.iter().product();
    let known = out.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
    let fits = match (free, known) {
        (Some(i), Some(known)) if known > 0 && count.is_multiple_of(known) => {
            out[i] = count / known;
            true
        }
        (None, Some(known)) => known == count,
        _ => false,
    };
    if !fits {
        return Err(Refusal::malformed(format!(
            "an input of shape {shape:?} cannot become {stated:?}; where the file was exported for another input size, export it again for this one"
        )));
    }
    Ok(out)
}

pub(super) fn flatten(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let stated = cx.attributes().int("axis")?.unwrap_or(1);
    // The axis may also name the end.
    let at = if usize::try_from(stated) == Ok(shape.len()) {
        shape.len()
    } else {
        axis(stated, shape.len())?
    };
    let (rows, columns) = shape.split_at(at);
    Ok(vec![cx.reshape(
        &x,
        vec![rows.iter().product(), columns.iter().product()],
    )?])
}

pub(super) fn transpose(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let rank = cx.shape_of(&x).len();
    let order = match cx.attributes().ints("perm")? {
        Some(perm) => perm
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Outcome<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![cx.transpose(&x, &order)?])
}

pub(super) fn squeeze(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let dropped = match list(cx, "axes", 1)? {
        Some(axes) => axes
            .into_iter()
            .map(|a| axis(a, shape.len()))
            .collect::<Outcome<Vec<_>>>()?,
        None => (0..shape.len()).filter(|&i| shape[i] == 1).collect(),
    };
    if let Some(&wrong) = dropped.iter().find(|&&i| shape[i] != 1) {
        return Err(Refusal::malformed(format!(
            "axis {wrong} of shape {shape:?} is not 1"
        )));
    }
    let kept = shape
        .iter()
        .enumerate()
        .filter(|(i, _)| !dropped.contains(i))
        .map(|(_, &size)| size)
        .collect();
    Ok(vec![cx.reshape(&x, kept)?])
}

pub(super) fn unsqueeze(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let axes =
        list(cx, "axes", 1)?.ok_or_else(|| Refusal::malformed("the list of axes is missing"))?;
    let rank = shape.len() + axes.len();
    let mut added = axes
        .iter()
        .map(|&a| axis(a, rank))
        .collect::<Outcome<Vec<_>>>()?;
    added.sort_unstable();
    if rank > MAX_RANK || added.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refusal::malformed(format!(
            "the axes {axes:?} cannot be added to shape {shape:?}"
        )));
    }
    let mut out = shape;
    for at in added {
        out.insert(at, 1);
    }
    Ok(vec![cx.reshape(&x, out)?])
}

/// No real model comes near; a damaged file might.
const MAX_RANK: usize = 16;

/// Sizes as a list of `int64`.
pub(crate) fn sizes(shape: &[usize]) -> Vec<i64> {
    shape
        .iter()
        .map(|&size| i64::try_from(size).unwrap_or(i64::MAX))
        .collect()
}

pub(super) fn shape_of(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let shape = sizes(&cx.shape_of(&cx.input(0)?));
    let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
    let clamp = |value: i64| {
        let value = if value < 0 {
            value.saturating_add(rank)
        } else {
            value
        };
        usize::try_from(value.clamp(0, rank)).unwrap_or(0)
    };
    let start = clamp(cx.attributes().int("start")?.unwrap_or(0));
    let end = clamp(cx.attributes().int("end")?.unwrap_or(rank));
    let part = shape
        .get(start..end.max(start))
        .unwrap_or_default()
        .to_vec();
    Ok(vec![Value::Constant(Constant::list(part))])
}

pub(super) fn size(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let count: usize = cx.shape_of(&cx.input(0)?).iter().product();
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Ok(vec![Value::Constant(Constant::int(
        ElementType::S64,
        vec![],
        vec![count],
    ))])
}

/// Sizes of a shape given as a constant.
pub(crate) fn target_shape(constant: &Constant) -> Outcome<Vec<usize>> {
    let sizes = constant.ints("the shape")?;
    if sizes.len() > MAX_RANK {
        return Err(Refusal::malformed(format!(
            "a shape of {} axes",
            sizes.len()
        )));
    }
    sizes
        .iter()
        .map(|&size| {
            usize::try_from(size).map_err(|_| Refusal::malformed(format!("the shape holds {size}")))
        })
        .collect()
}
