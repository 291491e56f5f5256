//! Comparisons, logic and the making of masks. A truth value that is computed from the model's input is a tensor of zeros and ones.

use ocellus_ir::{BinaryOp, Op, UnaryOp};

use crate::attributes::axis;
use crate::constant::{Constant, Data, ElementType, element_count};
use crate::error::{Outcome, Refusal};
use crate::operators::activation::function;
use crate::operators::pointwise::{affine, fold_pair};
use crate::values::{Context, Cx, Format, Live, Value};

fn operands<F: Format>(cx: &Context<'_, F>) -> Outcome<(Constant, Constant)> {
    Ok((
        cx.constant(0, "its first operand")?,
        cx.constant(1, "its second operand")?,
    ))
}

/// A truth value of each pair of two constants.
fn relation<F: Format>(
    cx: &mut Context<'_, F>,
    real: impl Fn(f32, f32) -> bool,
    int: impl Fn(i64, i64) -> bool,
) -> Outcome<Value> {
    let (a, b) = operands(cx)?;
    let compared = fold_pair(
        &a,
        &b,
        |x, y| f32::from(u8::from(real(x, y))),
        |x, y| Some(i64::from(int(x, y))),
    )?;
    let values: Vec<i64> = match &compared.data {
        Data::Real(values) => values.iter().map(|&v| i64::from(v != 0.0)).collect(),
        Data::Int(values) => values.to_vec(),
    };
    let flags = Constant::int(ElementType::Bool, compared.shape, values);
    cx.folded(flags)
}

/// True where all operands are constants.
fn constant<F: Format>(cx: &Context<'_, F>) -> bool {
    let live = |value: &Option<Value>| matches!(value, Some(Value::Live(_)));
    !cx.inputs.iter().any(live)
}

/// The first input of the second, or the other way round.
fn difference<F: Format>(cx: &mut Context<'_, F>, a: usize, b: usize) -> Outcome<Value> {
    let (a, b) = (cx.input(a)?, cx.input(b)?);
    let operands = [cx.real(&a)?, cx.real(&b)?];
    let difference = cx.emit(Op::Binary(BinaryOp::Sub), &operands)?;
    Ok(cx.live(difference))
}

/// 1 where `a` is above `b`, else 0: the sign of what is positive of the difference.
fn above<F: Format>(cx: &mut Context<'_, F>, a: usize, b: usize) -> Outcome<Value> {
    let difference = difference(cx, a, b)?;
    let positive = UnaryOp::Clip {
        min: 0.0,
        max: f32::INFINITY,
    };
    let positive = function(cx, positive, &difference)?;
    let flags = function(cx, UnaryOp::Sign, &positive)?;
    Ok(cx.flags(flags))
}

/// 1 where the operands differ, else 0: the sign of the difference's size.
fn apart<F: Format>(cx: &mut Context<'_, F>) -> Outcome<Value> {
    let difference = difference(cx, 0, 1)?;
    let size = function(cx, UnaryOp::Abs, &difference)?;
    let flags = function(cx, UnaryOp::Sign, &size)?;
    Ok(cx.flags(flags))
}

/// Zeros and ones as reals, and the other way round.
fn inverse<F: Format>(cx: &mut Context<'_, F>, flags: &Value) -> Outcome<Value> {
    let reals = cx.flag_reals(flags)?;
    let inverse = affine(cx, &reals, -1.0, 1.0)?;
    Ok(cx.flags(inverse))
}

/// `and` by the smaller, `or` by the larger of zeros and ones.
fn joined<F: Format>(cx: &mut Context<'_, F>, op: BinaryOp) -> Outcome<Value> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let (a, b) = (cx.flag_reals(&a)?, cx.flag_reals(&b)?);
    let operands = [cx.real(&a)?, cx.real(&b)?];
    let y = cx.emit(Op::Binary(op), &operands)?;
    let y = cx.live(y);
    Ok(cx.flags(y))
}

impl<F: Format> Context<'_, F> {
    /// A tensor of zeros and ones as truth values.
    fn flags(&self, value: Value) -> Value {
        match value {
            Value::Live(live) => Value::Live(Live {
                ty: ElementType::Bool,
                ..live
            }),
            constant => constant,
        }
    }

    /// Truth values as zeros and ones.
    pub(crate) fn flag_reals(&self, flags: &Value) -> Outcome<Value> {
        match flags {
            Value::Live(live) if live.ty == ElementType::Bool => Ok(self.live(live.id)),
            Value::Live(live) => Err(Refusal::malformed(format!(
                "an operand must be bool, but is {}",
                live.ty.name()
            ))),
            Value::Constant(constant) => {
                let values = constant.ints("an operand")?.iter();
                let reals: Vec<f32> = values.map(|&v| f32::from(u8::from(v != 0))).collect();
                Ok(Value::Constant(Constant::real(
                    constant.shape.clone(),
                    reals,
                )))
            }
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            Comparison::Equal => a == b,
            Comparison::NotEqual => a != b,
            Comparison::Less => a < b,
            Comparison::LessOrEqual => a <= b,
            Comparison::Greater => a > b,
            Comparison::GreaterOrEqual => a >= b,
        }
    }
}

/// Compares the two inputs, constant or not.
pub(crate) fn compare<F: Format>(
    cx: &mut Context<'_, F>,
    comparison: Comparison,
) -> Outcome<Value> {
    if constant(cx) {
        return relation(
            cx,
            |a, b| comparison.holds(a, b),
            |a, b| comparison.holds(a, b),
        );
    }
    match comparison {
        Comparison::Greater => above(cx, 0, 1),
        Comparison::Less => above(cx, 1, 0),
        Comparison::NotEqual => apart(cx),
        Comparison::Equal => {
            let apart = apart(cx)?;
            inverse(cx, &apart)
        }
        Comparison::LessOrEqual => {
            let above = above(cx, 0, 1)?;
            inverse(cx, &above)
        }
        Comparison::GreaterOrEqual => {
            let below = above(cx, 1, 0)?;
            inverse(cx, &below)
        }
    }
}

macro_rules! comparisons {
    ($($name:ident $comparison:ident;)*) => {$(
        pub(super) fn $name(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
            Ok(vec![compare(cx, Comparison::$comparison)?])
        }
    )*};
}

comparisons! {
    equal Equal;
    less Less;
    less_or_equal LessOrEqual;
    greater Greater;
    greater_or_equal GreaterOrEqual;
}

pub(super) fn and(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![both(cx)?])
}

/// True where both inputs are.
pub(crate) fn both<F: Format>(cx: &mut Context<'_, F>) -> Outcome<Value> {
    if !constant(cx) {
        return joined(cx, BinaryOp::Minimum);
    }
    relation(cx, |_, _| false, |a, b| a != 0 && b != 0)
}

pub(super) fn or(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![either(cx)?])
}

/// True where one of the inputs is.
pub(crate) fn either<F: Format>(cx: &mut Context<'_, F>) -> Outcome<Value> {
    if !constant(cx) {
        return joined(cx, BinaryOp::Maximum);
    }
    relation(cx, |_, _| false, |a, b| a != 0 || b != 0)
}

pub(super) fn xor(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![relation(
        cx,
        |_, _| false,
        |a, b| (a != 0) != (b != 0),
    )?])
}

pub(super) fn not(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![neither(cx)?])
}

/// True where the input is not.
pub(crate) fn neither<F: Format>(cx: &mut Context<'_, F>) -> Outcome<Value> {
    if !constant(cx) {
        let flags = cx.input(0)?;
        return inverse(cx, &flags);
    }
    let x = cx.constant(0, "its input")?;
    let values: Vec<i64> = x
        .ints("its input")?
        .iter()
        .map(|&v| i64::from(v == 0))
        .collect();
    cx.folded(Constant::int(ElementType::Bool, x.shape.clone(), values))
}

pub(super) fn modulo(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let (a, b) = operands(cx)?;
    let c_like = cx.attributes().flag("fmod", false)?;
    let int = move |x: i64, y: i64| {
        let rest = x.checked_rem(y)?;
        // The sign of the divisor, unless C's rule is asked for.
        let wrapped = !c_like && rest != 0 && (rest < 0) != (y < 0);
        Some(if wrapped { rest + y } else { rest })
    };
    let folded = fold_pair(&a, &b, |x, y| x % y, int)?;
    Ok(vec![cx.folded(folded)?])
}

/// The indices of what is not zero: a list for each axis.
pub(super) fn non_zero(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = match cx.input(0)? {
        Value::Constant(x) => x,
        Value::Live(_) => return Err(super::data_dependent()),
    };
    let flags: Vec<bool> = match &x.data {
        Data::Real(values) => values.iter().map(|&v| v != 0.0).collect(),
        Data::Int(values) => values.iter().map(|&v| v != 0).collect(),
    };
    let found: Vec<usize> = (0..flags.len()).filter(|&i| flags[i]).collect();
    let mut indices = Vec::with_capacity(found.len() * x.shape.len());
    let mut stride = flags.len();
    for &size in &x.shape {
        stride /= size.max(1);
        indices.extend(
            found
                .iter()
                .map(|&i| i64::try_from(i / stride % size).unwrap_or(0)),
        );
    }
    let shape = vec![x.shape.len(), found.len()];
    Ok(vec![cx.folded(Constant::int(
        ElementType::S64,
        shape,
        indices,
    ))?])
}

/// The triangle of matrices: a mask of ones and zeros, by which a computed tensor is multiplied.
pub(super) fn trilu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let upper = cx.attributes().flag("upper", true)?;
    let diagonal = match cx.optional_constant(1, "the diagonal")? {
        Some(k) => k.integer("the diagonal")?,
        None => 0,
    };
    let shape = cx.shape_of(&x);
    let [.., rows, columns] = shape[..] else {
        return Err(Refusal::malformed(format!(
            "its input has shape {shape:?}, which is no matrix"
        )));
    };
    let number = |i: usize| i64::try_from(i).unwrap_or(i64::MAX);
    let kept = move |row: usize, column: usize| {
        let distance = number(column) - number(row);
        if upper {
            distance >= diagonal
        } else {
            distance <= diagonal
        }
    };
    let count = element_count(&[rows, columns])?;
    let mask = (0..count).map(|i| kept(i / columns, i % columns));
    match &x {
        Value::Constant(constant) => {
            let mask: Vec<bool> = mask.collect();
            let at = |i: usize| mask[i % count.max(1)];
            let folded = match &constant.data {
                Data::Real(values) => {
                    let cut = values.iter().enumerate();
                    let cut: Vec<f32> = cut.map(|(i, &v)| if at(i) { v } else { 0.0 }).collect();
                    Constant::real(shape.clone(), cut)
                }
                Data::Int(values) => {
                    let cut = values.iter().enumerate();
                    let cut: Vec<i64> = cut.map(|(i, &v)| if at(i) { v } else { 0 }).collect();
                    Constant::int(constant.ty, shape.clone(), cut)
                }
            };
            Ok(vec![cx.folded(folded)?])
        }
        Value::Live(_) => {
            let mask: Vec<f32> = mask.map(|kept| f32::from(u8::from(kept))).collect();
            Ok(vec![cx.masked(&x, vec![rows, columns], mask)?])
        }
    }
}

pub(super) fn one_hot(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let indices = cx.constant(0, "the list of indices")?;
    let depth = match cx.constant(1, "the depth")?.data {
        Data::Int(values) => values.first().copied(),
        Data::Real(values) => values.first().map(|&v| v as i64),
    };
    let depth = depth
        .and_then(|depth| usize::try_from(depth).ok())
        .filter(|&depth| depth > 0)
        .ok_or_else(|| Refusal::malformed("its depth is no count"))?;
    let values = cx.constant(2, "the pair of values")?;
    let rank = indices.shape.len();
    let at = axis(cx.attributes().int("axis")?.unwrap_or(-1), rank + 1)?;
    let depth_int = i64::try_from(depth).unwrap_or(i64::MAX);
    let chosen: Vec<i64> = match &indices.data {
        Data::Int(values) => values.to_vec(),
        Data::Real(values) => values.iter().map(|&v| v as i64).collect(),
    };
    if values.len() != 2 {
        return Err(Refusal::malformed("it needs two values, off and on"));
    }
    let mut shape = indices.shape.clone();
    shape.insert(at, depth);
    let count = element_count(&shape)?;
    let inner: usize = indices.shape[at..].iter().product();
    // Which of the two values each element takes.
    let picks: Vec<usize> = (0..count)
        .map(|i| {
            let (outer, slot, rest) = (i / (depth * inner), i / inner % depth, i % inner);
            let index = chosen[outer * inner + rest];
            let index = if index < 0 { index + depth_int } else { index };
            usize::from(usize::try_from(index) == Ok(slot))
        })
        .collect();
    let table = values.with_shape(vec![2])?;
    let flat = match &table.data {
        Data::Real(pair) => {
            Constant::real(shape, picks.iter().map(|&i| pair[i]).collect::<Vec<f32>>())
        }
        Data::Int(pair) => Constant::int(
            table.ty,
            shape,
            picks.iter().map(|&i| pair[i]).collect::<Vec<i64>>(),
        ),
    };
    Ok(vec![cx.folded(flat)?])
}

/// Ones on a diagonal; only the input's shape counts.
pub(super) fn eye_like(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let [_, columns] = shape[..] else {
        return Err(Refusal::malformed(format!(
            "its input has shape {shape:?}, not two axes"
        )));
    };
    let diagonal = cx.attributes().int("k")?.unwrap_or(0);
    let ty = match (cx.attributes().int("dtype")?, &x) {
        (Some(ty), _) => ElementType::from_onnx(i32::try_from(ty).unwrap_or(0))?,
        (None, Value::Constant(constant)) => constant.ty,
        (None, Value::Live(live)) => live.ty,
    };
    let number = |i: usize| i64::try_from(i).unwrap_or(i64::MAX);
    let ones = (0..element_count(&shape)?)
        .map(|i| number(i % columns) - number(i / columns) == diagonal)
        .map(i64::from);
    let constant = match ty {
        ElementType::Real => Constant::real(shape, ones.map(|v| v as f32).collect::<Vec<f32>>()),
        ty => Constant::int(ty, shape, ones.collect::<Vec<i64>>()),
    };
    Ok(vec![cx.folded(constant)?])
}

/// Sums from the front along an axis: a product with a triangle of ones.
pub(super) fn cum_sum(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let axis = axis(
        cx.constant(1, "the axis")?.integer("the axis")?,
        shape.len(),
    )?;
    let exclusive = cx.attributes().flag("exclusive", false)?;
    let reverse = cx.attributes().flag("reverse", false)?;
    let size = shape[axis];
    let counts = |to: usize, from: usize| {
        let (late, early) = if reverse { (from, to) } else { (to, from) };
        late > early || (late == early && !exclusive)
    };
    if let Value::Constant(
        constant @ Constant {
            data: Data::Int(values),
            ..
        },
    ) = &x
    {
        let inner: usize = shape[axis + 1..].iter().product();
        let sums: Option<Vec<i64>> = (0..values.len())
            .map(|i| {
                let at = i / inner % size;
                (0..size)
                    .filter(|&from| counts(at, from))
                    .try_fold(0i64, |sum, from| {
                        sum.checked_add(values[i - at * inner + from * inner])
                    })
            })
            .collect();
        let sums = sums.ok_or_else(|| Refusal::malformed("its sums overflow"))?;
        return Ok(vec![cx.folded(Constant::int(constant.ty, shape, sums))?]);
    }
    let count = element_count(&[size, size])?;
    let triangle = (0..count).map(|i| f32::from(u8::from(counts(i / size, i % size))));
    let triangle = triangle.collect();
    Ok(vec![cx.matrix_along(&x, axis, size, triangle)?])
}
