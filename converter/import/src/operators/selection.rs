//! Operators that join, cut, frame and pick.

use ocellus_ir::{BinaryOp, Op};

use crate::attributes::axis;
use crate::constant::{Constant, Data, ElementType, element_count, strides};
use crate::error::{Outcome, Refusal};
use crate::operators::indices;
use crate::values::{Context, Cx, Format, Value};

pub(super) fn concat(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let parts = (0..cx.inputs.len())
        .map(|i| cx.input(i))
        .collect::<Outcome<Vec<_>>>()?;
    // Operator set 1 had a default.
    let axis = cx.attributes().int("axis")?.unwrap_or(1);
    Ok(vec![concat_of(cx, &parts, axis)?])
}

/// Joins values along an axis, which may count from the end.
pub(crate) fn concat_of<F: Format>(
    cx: &mut Context<'_, F>,
    parts: &[Value],
    stated: i64,
) -> Outcome<Value> {
    let Some(first) = parts.first() else {
        return Err(Refusal::malformed("it joins nothing"));
    };
    let rank = cx.shape_of(first).len();
    let axis = axis(stated, rank)?;
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
            cx.folded(joined)
        }
        None => {
            // An empty constant adds nothing, and the graph holds no empty tensors.
            let parts: Vec<&Value> = parts
                .iter()
                .filter(|part| !cx.shape_of(part).contains(&0))
                .collect();
            if let [only] = parts[..] {
                return Ok((*only).clone());
            }
            let ids = parts
                .into_iter()
                .map(|part| cx.real(part))
                .collect::<Outcome<Vec<_>>>()?;
            let y = cx.emit(Op::Concat { axis }, &ids)?;
            Ok(cx.live(y))
        }
    }
}

/// Joins constants along an axis.
pub(crate) fn join(parts: &[&Constant], axis: usize) -> Outcome<Constant> {
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
        steps: None,
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
    let mut backwards = Vec::new();
    for i in 0..starts.len() {
        let axis = axis(axes[i], shape.len())?;
        let stride = steps[i];
        let len = i64::try_from(shape[axis]).unwrap_or(i64::MAX);
        if stride == 0 {
            return Err(Refusal::malformed("a step is 0"));
        }
        if stride < 0 {
            backwards.push((axis, descending(len, starts[i], ends[i], stride)));
            continue;
        }
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
    let mut y = cx.slice(&x, begin, size, step)?;
    for (axis, indices) in backwards {
        y = cx.gather(&y, axis, indices)?;
    }
    Ok(vec![y])
}

/// The indices of an axis that a slice with a negative step takes.
fn descending(len: i64, start: i64, end: i64, step: i64) -> Vec<usize> {
    let from_front = |value: i64| {
        if value < 0 {
            value.saturating_add(len)
        } else {
            value
        }
    };
    let (mut at, stop) = (
        from_front(start).clamp(-1, len - 1),
        from_front(end).clamp(-1, len - 1),
    );
    let mut indices = Vec::new();
    while at > stop {
        indices.extend(usize::try_from(at));
        at = at.saturating_add(step);
    }
    indices
}

pub(super) fn pad(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let rank = shape.len();
    let mode = cx.attributes().text("mode")?.unwrap_or("constant");
    if !["constant", "reflect", "edge", "wrap"].contains(&mode) {
        return Err(Refusal::malformed(format!(
            "attribute `mode` holds `{mode}`"
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
    let mut x = cx.slice(&x, begin, kept, vec![1; rank])?;
    if mode != "constant" {
        for axis in (0..rank).filter(|&axis| before[axis] + after[axis] > 0) {
            let size = cx.shape_of(&x)[axis];
            let indices = frame_indices(mode, size, before[axis], after[axis])?;
            x = cx.gather(&x, axis, indices)?;
        }
        return Ok(vec![x]);
    }
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

/// Which values of an axis stand in the frame and between, for the modes that copy.
fn frame_indices(mode: &str, size: usize, before: usize, after: usize) -> Outcome<Vec<usize>> {
    if size == 0 {
        return Err(Refusal::malformed("an empty axis has nothing to copy"));
    }
    let total = element_count(&[before + size + after])?;
    // Far enough in front, so that everything stays positive.
    let pick = |i: usize| match mode {
        "edge" => i.saturating_sub(before).min(size - 1),
        "wrap" => (i + size - before % size) % size,
        _ if size == 1 => 0,
        _ => {
            let period = 2 * (size - 1);
            let at = (i + period - before % period) % period;
            at.min(period - at)
        }
    };
    Ok((0..total).map(pick).collect())
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
    let shape = cx.shape_of(&x);
    let axis = axis(cx.attributes().int("axis")?.unwrap_or(0), shape.len())?;
    let indices = match cx.input(1)? {
        Value::Constant(indices) => indices,
        live => return Ok(vec![indices::take(cx, &x, &live, axis)?]),
    };
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

/// Chooses by a constant condition.
pub(super) fn choose(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![choose_of(cx)?])
}

/// The second input where the first is true, else the third.
pub(crate) fn choose_of<F: Format>(cx: &mut Context<'_, F>) -> Outcome<Value> {
    let (a, b) = (cx.input(1)?, cx.input(2)?);
    let condition = match cx.input(0)? {
        Value::Constant(condition) => condition,
        flags => return choose_computed(cx, &flags, &a, &b),
    };
    let common = |x: &[usize], y: &[usize]| {
        ocellus_ir::broadcast("where", x, y).map_err(|error| Refusal::malformed(error.to_string()))
    };
    let shape = common(&condition.shape, &cx.shape_of(&a))?;
    let shape = common(&shape, &cx.shape_of(&b))?;
    let flags = condition.ints("the condition")?.clone();
    if let (Value::Constant(a), Value::Constant(b)) = (&a, &b) {
        let chosen = choose_constant(&condition, a, b, shape)?;
        return cx.folded(chosen);
    }
    let all = |wanted: bool| flags.iter().all(|&flag| (flag != 0) == wanted);
    match (all(true), all(false)) {
        (true, _) => return cx.broadcast(&a, &shape),
        (_, true) => return cx.broadcast(&b, &shape),
        _ => {}
    }
    // One side is kept where the mask is 1, and is 0 elsewhere; the sum of both sides is exact, as one of them always is 0.
    let mut sides = Vec::with_capacity(2);
    for (value, wanted) in [(&a, true), (&b, false)] {
        sides.push(match value {
            Value::Live(_) => {
                let ones = flags.iter().map(|&flag| (flag != 0) == wanted);
                let mask: Vec<f32> = ones.map(|one| f32::from(u8::from(one))).collect();
                cx.masked(value, condition.shape.clone(), mask)?
            }
            Value::Constant(constant) => {
                let zero = Constant::real(vec![], vec![0.0]);
                let common = common(&condition.shape, &constant.shape)?;
                let chosen = match wanted {
                    true => choose_constant(&condition, constant, &zero, common)?,
                    false => choose_constant(&condition, &zero, constant, common)?,
                };
                cx.folded(chosen)?
            }
        });
    }
    let operands = [cx.addend(&sides[0])?, cx.addend(&sides[1])?];
    let y = cx.emit(Op::Binary(BinaryOp::Add), &operands)?;
    Ok(cx.live(y))
}

/// `b + condition * (a - b)`, with a condition of zeros and ones.
fn choose_computed<F: Format>(
    cx: &mut Context<'_, F>,
    flags: &Value,
    a: &Value,
    b: &Value,
) -> Outcome<Value> {
    let flags = cx.flag_reals(flags)?;
    let (flags, a, b) = (cx.real(&flags)?, cx.real(a)?, cx.real(b)?);
    let name = format!("{}/choice", cx.name);
    let difference = cx.emit_as(&name, Op::Binary(BinaryOp::Sub), &[a, b])?;
    let chosen = cx.emit_as(&name, Op::Binary(BinaryOp::Mul), &[flags, difference])?;
    let y = cx.emit(Op::Binary(BinaryOp::Add), &[b, chosen])?;
    Ok(cx.live(y))
}

impl<F: Format> Context<'_, F> {
    /// A value by a constant mask of ones and zeros.
    pub(crate) fn masked(
        &mut self,
        x: &Value,
        shape: Vec<usize>,
        mask: Vec<f32>,
    ) -> Outcome<Value> {
        let mask = self.weights(shape, mask)?;
        let x = self.real(x)?;
        let name = format!("{}/masked", self.name);
        let y = self.emit_as(&name, Op::Binary(BinaryOp::Mul), &[x, mask])?;
        Ok(self.live(y))
    }
}

/// Chooses between two constants.
fn choose_constant(
    condition: &Constant,
    a: &Constant,
    b: &Constant,
    shape: Vec<usize>,
) -> Outcome<Constant> {
    if a.ty != b.ty {
        return Err(Refusal::malformed(format!(
            "its choices are {} and {}",
            a.ty.name(),
            b.ty.name()
        )));
    }
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
    Ok(chosen)
}

impl Constant {
    /// With an axis of one in front.
    fn under_one(&self) -> Outcome<Constant> {
        let mut shape = vec![1];
        shape.extend_from_slice(&self.shape);
        self.with_shape(shape)
    }
}
