//! Operators that join, cut, frame and pick.

use ocellus_ir::Op;
use tract_tflite::tflite::{ActivationFunctionType, MirrorPadMode};

use crate::attributes::axis;
use crate::constant::Data;
use crate::error::{Outcome, Refusal};
use crate::operators::selection::concat_of;
use crate::tflite::node::{Tx, needed};
use crate::values::Value;

pub(super) fn concatenation(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_concatenation_options())?;
    let parts = (0..cx.inputs.len())
        .map(|i| cx.input(i))
        .collect::<Outcome<Vec<_>>>()?;
    let y = concat_of(cx, &parts, i64::from(options.axis()))?;
    let activation: ActivationFunctionType = options.fused_activation_function();
    Ok(vec![cx.activate(y, activation)?])
}

pub(super) fn pack(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_pack_options())?;
    let mut parts = Vec::with_capacity(cx.inputs.len());
    for index in 0..cx.inputs.len() {
        let part = cx.input(index)?;
        let mut shape = cx.shape_of(&part);
        shape.insert(axis(i64::from(options.axis()), shape.len() + 1)?, 1);
        parts.push(cx.reshape(&part, shape)?);
    }
    Ok(vec![concat_of(cx, &parts, i64::from(options.axis()))?])
}

/// Cuts an axis into parts.
fn cut(cx: &mut Tx<'_, '_>, x: &Value, axis: usize, sizes: &[usize]) -> Outcome<Vec<Value>> {
    let shape = cx.shape_of(x);
    let total = sizes
        .iter()
        .try_fold(0usize, |n, &size| n.checked_add(size));
    if total != Some(shape[axis]) || sizes.len() != cx.output_count() {
        return Err(Refusal::malformed(format!(
            "parts of {sizes:?} for {} outputs do not add up to {}",
            cx.output_count(),
            shape[axis]
        )));
    }
    let mut parts = Vec::with_capacity(sizes.len());
    let mut at = 0;
    for &size in sizes {
        let mut begin = vec![0; shape.len()];
        begin[axis] = at;
        let mut part = shape.clone();
        part[axis] = size;
        parts.push(cx.slice(x, begin, part, vec![1; shape.len()])?);
        at += size;
    }
    Ok(parts)
}

pub(super) fn split(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(1)?;
    let shape = cx.shape_of(&x);
    let axis = axis(
        cx.constant(0, "the axis")?.integer("the axis")?,
        shape.len(),
    )?;
    let count = cx.output_count();
    if count == 0 || !shape[axis].is_multiple_of(count) {
        return Err(Refusal::malformed(format!(
            "{} does not split into {count} equal parts",
            shape[axis]
        )));
    }
    cut(cx, &x, axis, &vec![shape[axis] / count; count])
}

pub(super) fn split_v(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let stated = cx.integers(1, "the sizes")?;
    let axis = axis(
        cx.constant(2, "the axis")?.integer("the axis")?,
        shape.len(),
    )?;
    let given: i64 = stated
        .iter()
        .filter(|&&size| size > 0)
        .fold(0, |n, &v| n.saturating_add(v));
    let whole = i64::try_from(shape[axis]).unwrap_or(i64::MAX);
    // -1 is what is left.
    let sizes: Vec<usize> = stated
        .iter()
        .map(|&size| match size {
            -1 => usize::try_from(whole.saturating_sub(given)).unwrap_or(usize::MAX),
            size => usize::try_from(size).unwrap_or(usize::MAX),
        })
        .collect();
    cut(cx, &x, axis, &sizes)
}

pub(super) fn unpack(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_unpack_options())?;
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let axis = axis(i64::from(options.axis()), shape.len())?;
    let mut kept = shape.clone();
    kept.remove(axis);
    let parts = cut(cx, &x, axis, &vec![1; shape[axis].min(cx.output_count())])?;
    parts
        .iter()
        .map(|part| cx.reshape(part, kept.clone()))
        .collect()
}

pub(super) fn slice(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let (starts, counts) = (cx.integers(1, "the start")?, cx.integers(2, "the size")?);
    if starts.len() != shape.len() || counts.len() != shape.len() {
        return Err(Refusal::malformed(format!(
            "start {starts:?} and size {counts:?} do not fit shape {shape:?}"
        )));
    }
    let mut begin = Vec::with_capacity(shape.len());
    let mut size = Vec::with_capacity(shape.len());
    for (i, &whole) in shape.iter().enumerate() {
        let from = usize::try_from(starts[i])
            .ok()
            .filter(|&from| from <= whole);
        let part = from.and_then(|from| match counts[i] {
            -1 => Some((from, whole - from)),
            count => {
                let count = usize::try_from(count).ok()?;
                (count <= whole - from).then_some((from, count))
            }
        });
        let (from, count) = part.ok_or_else(|| {
            Refusal::malformed(format!(
                "start {starts:?} and size {counts:?} do not lie in shape {shape:?}"
            ))
        })?;
        begin.push(from);
        size.push(count);
    }
    let step = vec![1; shape.len()];
    Ok(vec![cx.slice(&x, begin, size, step)?])
}

/// What a STRIDED_SLICE takes of one axis.
struct Range {
    begin: i64,
    count: usize,
    stride: i64,
}

pub(super) fn strided_slice(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_strided_slice_options())?;
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let begins = cx.integers(1, "the start")?;
    let ends = cx.integers(2, "the end")?;
    let strides = cx.integers(3, "the step")?;
    let spec = begins.len();
    if ends.len() != spec || strides.len() != spec || spec > 30 {
        return Err(Refusal::malformed("start, end and step differ in length"));
    }
    let bit = |mask: i32, i: usize| mask & (1 << i) != 0;
    let ellipses = (0..spec)
        .filter(|&i| bit(options.ellipsis_mask(), i))
        .count();
    let added = (0..spec)
        .filter(|&i| bit(options.new_axis_mask(), i) && !bit(options.ellipsis_mask(), i))
        .count();
    let named = spec - ellipses - added;
    if ellipses > 1 || named > shape.len() {
        return Err(Refusal::malformed(format!(
            "it names more axes than shape {shape:?} has"
        )));
    }
    let mut ranges: Vec<Range> = Vec::with_capacity(shape.len());
    let mut out = Vec::new();
    let take_all = |ranges: &mut Vec<Range>, out: &mut Vec<usize>, count: usize| {
        for _ in 0..count {
            let size = shape[ranges.len()];
            ranges.push(Range {
                begin: 0,
                count: size,
                stride: 1,
            });
            out.push(size);
        }
    };
    for i in 0..spec {
        if bit(options.ellipsis_mask(), i) {
            take_all(&mut ranges, &mut out, shape.len() - named);
            continue;
        }
        if bit(options.new_axis_mask(), i) {
            out.push(1);
            continue;
        }
        let size = shape[ranges.len()];
        let shrinks = bit(options.shrink_axis_mask(), i);
        let range = range(
            size,
            (!bit(options.begin_mask(), i)).then_some(begins[i]),
            (!bit(options.end_mask(), i)).then_some(ends[i]),
            strides[i],
            shrinks,
        )?;
        if !shrinks {
            out.push(range.count);
        }
        ranges.push(range);
    }
    let rest = shape.len() - ranges.len();
    take_all(&mut ranges, &mut out, rest);
    // Forwards it is a box; an axis that is read backwards is turned round afterwards.
    let mut begin = Vec::with_capacity(shape.len());
    let mut step = Vec::with_capacity(shape.len());
    let number = |value: i64| usize::try_from(value).unwrap_or(0);
    for range in &ranges {
        let last = i64::try_from(range.count)
            .unwrap_or(i64::MAX)
            .saturating_sub(1)
            .max(0);
        let lowest = match range.stride {
            stride if stride < 0 => range.begin + stride * last,
            _ => range.begin,
        };
        begin.push(number(lowest));
        step.push(match range.count {
            0 | 1 => 1,
            _ => number(range.stride.abs()),
        });
    }
    let size: Vec<usize> = ranges.iter().map(|range| range.count).collect();
    let mut y = cx.slice(&x, begin, size, step)?;
    for (axis, range) in ranges.iter().enumerate() {
        if range.stride < 0 && range.count > 1 {
            y = cx.gather(&y, axis, (0..range.count).rev().collect())?;
        }
    }
    Ok(vec![cx.reshape(&y, out)?])
}

/// What an axis of `size` gives from `begin` to before `end`; `None` is the end that the direction asks for.
fn range(
    size: usize,
    begin: Option<i64>,
    end: Option<i64>,
    stride: i64,
    shrinks: bool,
) -> Outcome<Range> {
    let len = i64::try_from(size).unwrap_or(i64::MAX);
    // Steps beyond the axis are as good as steps over all of it, and no arithmetic on them overflows.
    let stride = stride.clamp(-len - 1, len + 1);
    if stride == 0 {
        return Err(Refusal::malformed("a step is 0"));
    }
    let (lowest, highest) = if stride > 0 { (0, len) } else { (-1, len - 1) };
    let resolve = |value: i64| {
        let from_start = if value < 0 {
            value.saturating_add(len)
        } else {
            value
        };
        from_start.clamp(lowest, highest)
    };
    let (first, last) = if stride > 0 { (0, len) } else { (len - 1, -1) };
    let from = begin.map_or(first, resolve);
    if shrinks {
        let inside = begin.map_or(first, |value| {
            if value < 0 {
                value.saturating_add(len)
            } else {
                value
            }
        });
        if !(0..len).contains(&inside) {
            return Err(Refusal::malformed(format!(
                "index {inside} is outside an axis of {size}"
            )));
        }
        return Ok(Range {
            begin: inside,
            count: 1,
            stride: 1,
        });
    }
    let to = end.map_or(last, resolve);
    let span = if stride > 0 { to - from } else { from - to };
    let count = match span {
        span if span > 0 => (span - 1) / stride.abs() + 1,
        _ => 0,
    };
    Ok(Range {
        begin: from,
        count: usize::try_from(count).unwrap_or(0),
        stride,
    })
}

pub(super) fn reverse(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let mut x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    for stated in cx.integers(1, "the axes")? {
        let axis = axis(stated, shape.len())?;
        x = cx.gather(&x, axis, (0..shape[axis]).rev().collect())?;
    }
    Ok(vec![x])
}

/// The padding of each axis, before and after.
fn borders(cx: &Tx<'_, '_>, shape: &[usize]) -> Outcome<(Vec<usize>, Vec<usize>)> {
    let stated = cx.integers(1, "the padding")?;
    if stated.len() != 2 * shape.len() {
        return Err(Refusal::malformed(format!(
            "{} paddings for shape {shape:?}",
            stated.len()
        )));
    }
    let size = |value: &i64| crate::attributes::small("paddings", *value, 0);
    Ok((
        stated.iter().step_by(2).map(size).collect::<Outcome<_>>()?,
        stated
            .iter()
            .skip(1)
            .step_by(2)
            .map(size)
            .collect::<Outcome<_>>()?,
    ))
}

pub(super) fn pad(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let (before, after) = borders(cx, &shape)?;
    let value = match cx.optional_constant(2, "the padding value")? {
        Some(constant) => match &constant.data {
            Data::Real(_) => constant.scalar("the padding value")?,
            Data::Int(_) => constant.integer("the padding value")? as f32,
        },
        None => 0.0,
    };
    if before.iter().chain(&after).all(|&pad| pad == 0) {
        return Ok(vec![x]);
    }
    let op = Op::Pad {
        before,
        after,
        value,
    };
    Ok(vec![cx.emit_real(op, &x)?])
}

pub(super) fn mirror_pad(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_mirror_pad_options())?;
    let mut x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let (before, after) = borders(cx, &shape)?;
    // Reflecting leaves out the border itself, symmetry repeats it.
    let apart = usize::from(options.mode() == MirrorPadMode::REFLECT);
    for (axis, &size) in shape.iter().enumerate() {
        let (before, after) = (before[axis], after[axis]);
        if before == 0 && after == 0 {
            continue;
        }
        if before.max(after) + apart > size {
            return Err(Refusal::malformed(format!(
                "the padding of axis {axis} is larger than what shape {shape:?} can mirror"
            )));
        }
        let front = (apart..before + apart).rev();
        let back = (size - apart - after..size - apart).rev();
        x = cx.gather(&x, axis, front.chain(0..size).chain(back).collect())?;
    }
    Ok(vec![x])
}
