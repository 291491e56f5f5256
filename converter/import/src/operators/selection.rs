//! Operators that join, cut, frame and pick.

use ocellus_ir::Op;

use crate::attributes::axis;
use crate::constant::{Constant, Data, ElementType, element_count, strides};
use crate::error::{Outcome, Refusal};
use crate::values::{Cx, Value};

pub(super) fn concat(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let parts = (0..cx.inputs.len())
        .map(|i| cx.input(i))
        .collect::<Outcome<Vec<_>>>()?;
    let Some(first) = parts.first() else {
        return Err(Refusal::malformed("it joins nothing"));
    };
    let rank = cx.shape_of(first).len();
    let stated = cx.attributes().int("axis")?;
    // Operator set 1 had a default.
    let axis = axis(stated.unwrap_or(1), rank)?;
    let constants: Option<Vec<&Constant>> = parts
        .iter()
        .map(|part| match part {
            Value::Constant(constant) => Some(constant),
            Value::Live(_) => None,
        })
        .collect();
    match constants {
        Some(constants) => {
            let joined = join(&constants, axis)?;
            Ok(vec![cx.folded(joined)?])
        }
        None => {
            // An empty constant adds nothing, and the graph holds no empty tensors.
            let parts: Vec<&Value> = parts
                .iter()
                .filter(|part| !cx.shape_of(part).contains(&0))
                .collect();
            if let [only] = parts[..] {
                return Ok(vec![only.clone()]);
            }
            let ids = parts
                .into_iter()
                .map(|part| cx.real(part))
                .collect::<Outcome<Vec<_>>>()?;
            let y = cx.emit(Op::Concat { axis }, &ids)?;
            Ok(vec![cx.live(y)])
        }
    }
}

/// Joins constants along an axis.
fn join(parts: &[&Constant], axis: usize) -> Outcome<Constant> {
    let Some(&first) = parts.first() else {
        return Err(Refusal::malformed("it joins nothing"));
    };
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for part in parts {
        let fits = part.shape.len() == shape.len()
            && part
                .shape
                .iter()
                .enumerate()
                .all(|(i, &size)| i == axis || size == first.shape[i])
            && part.ty == first.ty;
        if !fits {
            return Err(Refusal::malformed(format!(
                "constants of shape {:?} and {:?} do not join along axis {axis}",
                first.shape, part.shape
            )));
        }
        shape[axis] += part.shape[axis];
    }
    element_count(&shape)?;
    let outer: usize = shape[..axis].iter().product();
    let inner = |part: &Constant| part.shape[axis..].iter().product::<usize>();
    let data = match first.data {
        Data::Real(_) => {
            let lists = parts
                .iter()
                .map(|p| Ok((p.reals("an operand")?, inner(p))))
                .collect::<Outcome<Vec<_>>>()?;
            Data::Real(
                interleave(
                    outer,
                    &lists.iter().map(|(v, n)| (&v[..], *n)).collect::<Vec<_>>(),
                )
                .into(),
            )
        }
        Data::Int(_) => {
            let lists = parts
                .iter()
                .map(|p| Ok((p.ints("an operand")?, inner(p))))
                .collect::<Outcome<Vec<_>>>()?;
            Data::Int(
                interleave(
                    outer,
                    &lists.iter().map(|(v, n)| (&v[..], *n)).collect::<Vec<_>>(),
                )
                .into(),
            )
        }
    };
    Ok(Constant {
        ty: first.ty,
        shape,
        data,
    })
}

fn interleave<T: Copy>(outer: usize, parts: &[(&[T], usize)]) -> Vec<T> {
    let mut out = Vec::with_capacity(parts.iter().map(|(values, _)| values.len()).sum());
    for row in 0..outer {
        for (values, inner) in parts {
            out.extend_from_slice(&values[row * inner..(row + 1) * inner]);
        }
    }
    out
}

pub(super) fn split(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let axis = axis(cx.attributes().int("axis")?.unwrap_or(0), shape.len())?;
    let outputs = cx.node.output.len();
    let stated = match cx.optional_constant(1, "the sizes of the parts")? {
        Some(constant) => Some(constant.ints("the sizes of the parts")?.to_vec()),
        None => cx.attributes().ints("split")?.map(<[i64]>::to_vec),
    };
    let sizes: Vec<usize> = match stated {
        Some(sizes) => sizes
            .iter()
            .map(|&size| usize::try_from(size).unwrap_or(usize::MAX))
            .collect(),
        None => {
            let uneven = cx.attributes().has("num_outputs");
            if outputs == 0 || (!uneven && !shape[axis].is_multiple_of(outputs)) {
                return Err(Refusal::malformed(format!(
                    "{} does not split into {outputs} equal parts",
                    shape[axis]
                )));
            }
            let chunk = shape[axis].div_ceil(outputs);
            (0..outputs)
                .map(|i| chunk.min(shape[axis].saturating_sub(i * chunk)))
                .collect()
        }
    };
    let total = sizes
        .iter()
        .try_fold(0usize, |n, &size| n.checked_add(size));
    if total != Some(shape[axis]) || sizes.len() != outputs {
        return Err(Refusal::malformed(format!(
            "parts of {sizes:?} for {outputs} outputs do not add up to {}",
            shape[axis]
        )));
    }
    let mut parts = Vec::with_capacity(outputs);
    let mut at = 0;
    for size in sizes {
        let mut begin = vec![0; shape.len()];
        begin[axis] = at;
        let mut part = shape.clone();
        part[axis] = size;
        parts.push(cx.slice(&x, begin, part, vec![1; shape.len()])?);
        at += size;
    }
    Ok(parts)
}

pub(super) fn slice(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let list = |index: usize, name: &str| -> Outcome<Option<Vec<i64>>> {
        match cx.optional_constant(index, name)? {
            Some(constant) => Ok(Some(constant.ints(name)?.to_vec())),
            None => Ok(cx.attributes().ints(name)?.map(<[i64]>::to_vec)),
        }
    };
    let missing = |name: &str| Refusal::malformed(format!("`{name}` is missing"));
    let starts = list(1, "starts")?.ok_or_else(|| missing("starts"))?;
    let ends = list(2, "ends")?.ok_or_else(|| missing("ends"))?;
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..).take(starts.len()).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(Refusal::malformed(
            "`starts`, `ends`, `axes` and `steps` differ in length",
        ));
    }
    let mut begin = vec![0; shape.len()];
    let mut size = shape.clone();
    let mut step = vec![1; shape.len()];
    for i in 0..starts.len() {
        let axis = axis(axes[i], shape.len())?;
        let stride = steps[i];
        if stride <= 0 {
            return Err(Refusal::unsupported(format!(
                "the step {stride} is not positive; only cutting forwards is supported"
            )));
        }
        let len = i64::try_from(shape[axis]).unwrap_or(i64::MAX);
        let resolve = |value: i64| {
            (if value < 0 {
                value.saturating_add(len)
            } else {
                value
            })
            .clamp(0, len)
        };
        let (from, to) = (resolve(starts[i]), resolve(ends[i]));
        let count = if to > from {
            (to - from - 1) / stride + 1
        } else {
            0
        };
        let number = |value: i64| usize::try_from(value).unwrap_or(0);
        begin[axis] = number(from);
        size[axis] = number(count);
        step[axis] = if count > 1 { number(stride) } else { 1 };
    }
    Ok(vec![cx.slice(&x, begin, size, step)?])
}

pub(super) fn pad(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let rank = shape.len();
    let mode = cx.attributes().text("mode")?.unwrap_or("constant");
    if mode != "constant" {
        return Err(Refusal::unsupported(format!(
            "mode `{mode}` is not supported; use `constant`"
        )));
    }
    let pads = match cx.optional_constant(1, "the padding")? {
        Some(constant) => constant.ints("the padding")?.to_vec(),
        None => cx
            .attributes()
            .ints("pads")?
            .ok_or_else(|| Refusal::malformed("the padding is missing"))?
            .to_vec(),
    };
    let value = match cx.optional_constant(2, "the padding value")? {
        Some(constant) if constant.ty != ElementType::Real => {
            let value = constant.integer("the padding value")?;
            if !matches!(x, Value::Constant(_)) && value != 0 {
                return Err(Refusal::unsupported(
                    "padding a raw input with another value than 0 is not supported",
                ));
            }
            value as f32
        }
        Some(constant) => constant.scalar("the padding value")?,
        None => cx.attributes().float("value")?.unwrap_or(0.0),
    };
    let axes: Vec<usize> = match cx.optional_constant(3, "the list of axes")? {
        Some(constant) => constant
            .ints("the list of axes")?
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Outcome<_>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(Refusal::malformed(format!(
            "{} paddings for {} axes",
            pads.len(),
            axes.len()
        )));
    }
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    let (mut begin, mut kept) = (vec![0; rank], shape.clone());
    for (i, &pad) in pads.iter().enumerate() {
        let axis = axes[i % axes.len()];
        let front = i < axes.len();
        if pad >= 0 {
            let list = if front { &mut before } else { &mut after };
            list[axis] = usize::try_from(pad).unwrap_or(usize::MAX);
            element_count(&[list[axis]])?;
            continue;
        }
        // A negative padding cuts.
        let cut = usize::try_from(pad.unsigned_abs()).unwrap_or(usize::MAX);
        kept[axis] = kept[axis].checked_sub(cut).ok_or_else(|| {
            Refusal::malformed(format!(
                "padding {pads:?} cuts more than shape {shape:?} has"
            ))
        })?;
        if front {
            begin[axis] = cut;
        }
    }
    let x = cx.slice(&x, begin, kept, vec![1; rank])?;
    if before.iter().chain(&after).all(|&pad| pad == 0) {
        return Ok(vec![x]);
    }
    if let Value::Constant(constant) = &x {
        return match &constant.data {
            Data::Real(_) => Ok(vec![cx.emit_real(
                Op::Pad {
                    before,
                    after,
                    value,
                },
                &x,
            )?]),
            Data::Int(values) => {
                let padded = pad_list(constant, values, &before, &after, value as i64)?;
                Ok(vec![cx.folded(padded)?])
            }
        };
    }
    Ok(vec![cx.emit_real(
        Op::Pad {
            before,
            after,
            value,
        },
        &x,
    )?])
}

/// Pads a list of integers, as exporters do when they compute the padding of another Pad.
fn pad_list(
    constant: &Constant,
    values: &[i64],
    before: &[usize],
    after: &[usize],
    value: i64,
) -> Outcome<Constant> {
    let (&[before], &[after]) = (before, after) else {
        return Err(Refusal::unsupported(
            "padding integers of several axes is not supported",
        ));
    };
    let len = values.len() + before + after;
    element_count(&[len])?;
    let mut out = vec![value; len];
    out[before..before + values.len()].copy_from_slice(values);
    Ok(Constant::int(constant.ty, vec![len], out))
}

pub(super) fn gather(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let indices = cx.constant(1, "the list of indices")?;
    let shape = cx.shape_of(&x);
    let axis = axis(cx.attributes().int("axis")?.unwrap_or(0), shape.len())?;
    let len = i64::try_from(shape[axis]).unwrap_or(i64::MAX);
    let flat = indices
        .ints("the list of indices")?
        .iter()
        .map(|&i| {
            let from_start = if i < 0 { i.saturating_add(len) } else { i };
            usize::try_from(from_start)
                .ok()
                .filter(|&index| index < shape[axis])
                .ok_or_else(|| {
                    Refusal::malformed(format!(
                        "index {i} is outside axis {axis} of shape {shape:?}"
                    ))
                })
        })
        .collect::<Outcome<Vec<usize>>>()?;
    let mut out = shape[..axis].to_vec();
    out.extend_from_slice(&indices.shape);
    out.extend_from_slice(&shape[axis + 1..]);
    element_count(&out)?;
    let taken = cx.gather(&x, axis, flat)?;
    Ok(vec![cx.reshape(&taken, out)?])
}

/// Chooses between two constants.
pub(super) fn where_constant(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let condition = cx.constant(0, "the condition")?;
    let (a, b) = (
        cx.constant(1, "the first choice")?,
        cx.constant(2, "the second choice")?,
    );
    if a.ty != b.ty {
        return Err(Refusal::malformed(format!(
            "its choices are {} and {}",
            a.ty.name(),
            b.ty.name()
        )));
    }
    let common = |x: &[usize], y: &[usize]| {
        ocellus_ir::broadcast("where", x, y).map_err(|error| Refusal::malformed(error.to_string()))
    };
    let shape = common(&common(&condition.shape, &a.shape)?, &b.shape)?;
    let condition = condition.broadcast_to(&shape)?;
    // One list of both choices, then one pick.
    let pair = join(
        &[
            &a.broadcast_to(&shape)?.under_one()?,
            &b.broadcast_to(&shape)?.under_one()?,
        ],
        0,
    )?;
    let flags = condition.ints("the condition")?;
    let steps = strides(&shape);
    let chosen = pair.pick(shape, |at, from| {
        let index: usize = at.iter().zip(&steps).map(|(i, s)| i * s).sum();
        from[0] = usize::from(flags[index] == 0);
        from[1..].copy_from_slice(at);
    })?;
    Ok(vec![cx.folded(chosen)?])
}

impl Constant {
    /// With an axis of one in front.
    fn under_one(&self) -> Outcome<Constant> {
        let mut shape = vec![1];
        shape.extend_from_slice(&self.shape);
        self.with_shape(shape)
    }
}
