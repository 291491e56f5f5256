//! Reductions over axes, and what is made of them: the logarithm of a softmax, normalization by a norm.

use ocellus_ir::{BinaryOp, Op, UnaryOp, Window};

use crate::attributes::axis;
use crate::constant::{Constant, Data, element_count, strides};
use crate::error::{Outcome, Refusal};
use crate::operators::activation::function;
use crate::operators::normalization::unit_length;
use crate::operators::pointwise::affine;
use crate::values::{Context, Cx, Format, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    Mean,
    Sum,
    Prod,
    Max,
    Min,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

macro_rules! reductions {
    ($($name:ident $kind:ident;)*) => {$(
        pub(super) fn $name(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
            reduction(cx, Reduction::$kind)
        }
    )*};
}

reductions! {
    reduce_mean Mean;
    reduce_sum Sum;
    reduce_prod Prod;
    reduce_max Max;
    reduce_min Min;
    reduce_l1 L1;
    reduce_l2 L2;
    reduce_sum_square SumSquare;
    reduce_log_sum LogSum;
    reduce_log_sum_exp LogSumExp;
}

/// The axes of a reduction, sorted, from the attribute or the second input; none where nothing is reduced.
fn reduced_axes(cx: &Cx<'_, '_>, rank: usize) -> Outcome<Vec<usize>> {
    let stated = match cx.optional_constant(1, "the list of axes")? {
        Some(list) => Some(list.ints("the list of axes")?.to_vec()),
        None => cx.attributes().ints("axes")?.map(<[i64]>::to_vec),
    };
    let mut axes: Vec<usize> = stated
        .unwrap_or_default()
        .into_iter()
        .map(|a| axis(a, rank))
        .collect::<Outcome<_>>()?;
    if axes.is_empty() && !cx.attributes().flag("noop_with_empty_axes", false)? {
        axes = (0..rank).collect();
    }
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

fn reduction(cx: &mut Cx<'_, '_>, kind: Reduction) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let rank = cx.shape_of(&x).len();
    let keep_dims = cx.attributes().flag("keepdims", true)?;
    let axes = reduced_axes(cx, rank)?;
    if let Value::Constant(constant) = &x {
        let folded = reduce_constant(constant, kind, &axes, keep_dims)?;
        return Ok(vec![cx.folded(folded)?]);
    }
    Ok(vec![reduce(cx, kind, &x, &axes, keep_dims)?])
}

/// A reduction of a computed tensor by means, maxima and functions of one value.
pub(crate) fn reduce<F: Format>(
    cx: &mut Context<'_, F>,
    kind: Reduction,
    x: &Value,
    axes: &[usize],
    keep_dims: bool,
) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    let mean = |cx: &mut Context<'_, F>, x: &Value| {
        if axes.is_empty() {
            return Ok(x.clone());
        }
        let axes = axes.to_vec();
        cx.emit_real(Op::Mean { axes, keep_dims }, x)
    };
    let sum = |cx: &mut Context<'_, F>, x: &Value| {
        let mean = mean(cx, x)?;
        match count {
            1 => Ok(mean),
            _ => affine(cx, &mean, count as f32, 0.0),
        }
    };
    match kind {
        Reduction::Mean => mean(cx, x),
        Reduction::Sum => sum(cx, x),
        Reduction::Max => maximum(cx, x, axes, keep_dims),
        Reduction::Min => {
            let negative = function(cx, UnaryOp::Neg, x)?;
            let largest = maximum(cx, &negative, axes, keep_dims)?;
            function(cx, UnaryOp::Neg, &largest)
        }
        Reduction::L1 => {
            let sizes = function(cx, UnaryOp::Abs, x)?;
            sum(cx, &sizes)
        }
        Reduction::SumSquare | Reduction::L2 => {
            let squares = function(cx, UnaryOp::Pow { exponent: 2.0 }, x)?;
            let total = sum(cx, &squares)?;
            match kind {
                Reduction::L2 => function(cx, UnaryOp::Sqrt, &total),
                _ => Ok(total),
            }
        }
        Reduction::LogSum => {
            let total = sum(cx, x)?;
            function(cx, UnaryOp::Log, &total)
        }
        Reduction::LogSumExp => {
            let (largest, rest) = log_sum_exp(cx, x, axes, keep_dims)?;
            let largest = match keep_dims {
                true => largest,
                false => {
                    let flat = cx.shape_of(&rest);
                    cx.reshape(&largest, flat)?
                }
            };
            binary(cx, BinaryOp::Add, &largest, &rest)
        }
        Reduction::Prod => Err(Refusal::unsupported(
            "the product of a computed tensor's values is not supported; multiply its parts",
        )),
    }
}

fn binary<F: Format>(
    cx: &mut Context<'_, F>,
    op: BinaryOp,
    a: &Value,
    b: &Value,
) -> Outcome<Value> {
    let operands = [cx.real(a)?, cx.real(b)?];
    let y = cx.emit(Op::Binary(op), &operands)?;
    Ok(cx.live(y))
}

/// The logarithm of the sum of exponentials as the largest value, which keeps the axes, and the rest: exponentials of at most 1 neither overflow
/// nor ask for a scale that only the largest of them fills.
fn log_sum_exp<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    axes: &[usize],
    keep_dims: bool,
) -> Outcome<(Value, Value)> {
    let largest = maximum(cx, x, axes, true)?;
    let below = binary(cx, BinaryOp::Sub, x, &largest)?;
    // Nothing is above the largest, which a quantized file's ranges would not tell.
    let not_above = UnaryOp::Clip {
        min: f32::NEG_INFINITY,
        max: 0.0,
    };
    let below = function(cx, not_above, &below)?;
    let powers = function(cx, UnaryOp::Exp, &below)?;
    let total = reduce(cx, Reduction::Sum, &powers, axes, keep_dims)?;
    let rest = function(cx, UnaryOp::Log, &total)?;
    Ok((largest, rest))
}

/// The largest value over axes: a pool whose window is all of them.
fn maximum<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    axes: &[usize],
    keep_dims: bool,
) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let reduced: usize = axes.iter().map(|&axis| shape[axis]).product();
    let kept: Vec<usize> = (0..shape.len()).filter(|i| !axes.contains(i)).collect();
    let target: Vec<usize> = match keep_dims {
        true => (0..shape.len())
            .map(|i| if axes.contains(&i) { 1 } else { shape[i] })
            .collect(),
        false => kept.iter().map(|&axis| shape[axis]).collect(),
    };
    if reduced == 1 {
        return cx.reshape(x, target);
    }
    let pool = |cx: &mut Context<'_, F>, x: &Value, kernel: [usize; 2]| {
        let window = Window::UNIT;
        cx.emit_real(Op::MaxPool2d { kernel, window }, x)
    };
    let last = shape.len().saturating_sub(1);
    // The channels of a picture lie innermost in the graph: each pixel becomes a row of its own.
    let (order, rows_first): (Vec<usize>, bool) = match (shape.len(), axes) {
        (4, [1]) => (vec![0, 2, 3, 1], true),
        (4, [2, 3]) => (vec![2, 3, 0, 1], false),
        _ if axes
            .iter()
            .rev()
            .zip((0..=last).rev())
            .all(|(a, b)| *a == b) =>
        {
            ((0..shape.len()).collect(), true)
        }
        _ => (axes.iter().chain(&kept).copied().collect(), false),
    };
    let moved = cx.transpose(x, &order)?;
    let count: usize = kept.iter().map(|&axis| shape[axis]).product();
    let pooled = if rows_first {
        let rows = cx.reshape(&moved, vec![1, count, reduced, 1])?;
        pool(cx, &rows, [1, reduced])?
    } else {
        let columns = cx.reshape(&moved, vec![1, reduced, 1, count])?;
        pool(cx, &columns, [reduced, 1])?
    };
    cx.reshape(&pooled, target)
}

pub(crate) fn reduce_constant(
    x: &Constant,
    kind: Reduction,
    axes: &[usize],
    keep_dims: bool,
) -> Outcome<Constant> {
    let kept: Vec<usize> = (0..x.shape.len())
        .map(|i| if axes.contains(&i) { 1 } else { x.shape[i] })
        .collect();
    let count = element_count(&kept)?;
    // Values in the order of the result, those that are reduced side by side.
    let (own, target) = (strides(&x.shape), strides(&kept));
    let mut groups = vec![Vec::new(); count];
    for i in 0..x.len() {
        let at: usize = (0..kept.len())
            .filter(|&axis| kept[axis] != 1)
            .map(|axis| i / own[axis] % x.shape[axis] * target[axis])
            .sum();
        groups[at].push(i);
    }
    let shape = match keep_dims {
        true => kept,
        false => (0..x.shape.len())
            .filter(|i| !axes.contains(i))
            .map(|i| x.shape[i])
            .collect(),
    };
    if x.len() == 0 {
        return Err(Refusal::unsupported("its input is empty"));
    }
    match &x.data {
        Data::Real(values) => {
            let reduced: Vec<f32> = groups
                .iter()
                .map(|group| real_rule(kind, group.iter().map(|&i| f64::from(values[i]))) as f32)
                .collect();
            if reduced.iter().any(|v| v.is_nan()) {
                return Err(Refusal::malformed("computing with its constant gives NaN"));
            }
            Ok(Constant::real(shape, reduced))
        }
        Data::Int(values) => {
            let reduced: Option<Vec<i64>> = groups
                .iter()
                .map(|group| integer_rule(kind, group.iter().map(|&i| values[i])))
                .collect();
            let reduced = reduced.ok_or_else(|| {
                Refusal::unsupported(
                    "this reduction of integers overflows or has no integer result",
                )
            })?;
            Ok(Constant::int(x.ty, shape, reduced))
        }
    }
}

fn real_rule(kind: Reduction, values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    match kind {
        Reduction::Mean => values.sum::<f64>() / count,
        Reduction::Sum => values.sum(),
        Reduction::Prod => values.product(),
        Reduction::Max => values.fold(f64::NEG_INFINITY, f64::max),
        Reduction::Min => values.fold(f64::INFINITY, f64::min),
        Reduction::L1 => values.map(f64::abs).sum(),
        Reduction::L2 => values.map(|v| v * v).sum::<f64>().sqrt(),
        Reduction::SumSquare => values.map(|v| v * v).sum(),
        Reduction::LogSum => libm::log(values.sum::<f64>()),
        Reduction::LogSumExp => libm::log(values.map(libm::exp).sum()),
    }
}

fn integer_rule(kind: Reduction, mut values: impl Iterator<Item = i64> + Clone) -> Option<i64> {
    match kind {
        Reduction::Sum => values.try_fold(0i64, i64::checked_add),
        Reduction::Prod => values.try_fold(1i64, i64::checked_mul),
        Reduction::Max => values.max(),
        Reduction::Min => values.min(),
        Reduction::Mean => {
            let count = i64::try_from(values.clone().count()).ok()?;
            values.try_fold(0i64, i64::checked_add)?.checked_div(count)
        }
        _ => None,
    }
}

/// `x - max - ln(sum(exp(x - max)))`
pub(super) fn log_softmax(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let shape = cx.shape_of(&x);
    let flattens = cx.opset() < 13;
    let stated = cx.attributes().int("axis")?;
    let axis = axis(stated.unwrap_or(if flattens { 1 } else { -1 }), shape.len())?;
    // Before operator set 13 the axes from `axis` on form one row.
    let axes: Vec<usize> = match flattens {
        true => (axis..shape.len()).collect(),
        false => vec![axis],
    };
    Ok(vec![log_softmax_of(cx, &x, &axes)?])
}

/// The logarithm of a softmax over axes.
pub(crate) fn log_softmax_of<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    axes: &[usize],
) -> Outcome<Value> {
    let (largest, rest) = log_sum_exp(cx, x, axes, true)?;
    let below = binary(cx, BinaryOp::Sub, x, &largest)?;
    binary(cx, BinaryOp::Sub, &below, &rest)
}

/// `x / norm(x)` along an axis.
pub(super) fn lp_normalization(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let rank = cx.shape_of(&x).len();
    let axis = axis(cx.attributes().int("axis")?.unwrap_or(-1), rank)?;
    match cx.attributes().int("p")?.unwrap_or(2) {
        1 => {}
        2 => return Ok(vec![unit_length(cx, &x, axis, 0.0)?]),
        p => {
            return Err(Refusal::malformed(format!(
                "attribute `p` is {p}, which must be 1 or 2"
            )));
        }
    }
    let norm = reduce(cx, Reduction::L1, &x, &[axis], true)?;
    let factor = function(cx, UnaryOp::Pow { exponent: -1.0 }, &norm)?;
    Ok(vec![binary(cx, BinaryOp::Mul, &x, &factor)?])
}

/// `(sum of |x|^p)^(1/p)` over all rows and columns.
pub(super) fn global_lp_pool(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let rank = cx.shape_of(&x).len();
    if rank < 3 {
        return Err(Refusal::malformed(format!(
            "its input has {rank} axes and so no spatial ones"
        )));
    }
    let axes: Vec<usize> = (2..rank).collect();
    let p = cx.attributes().int("p")?.unwrap_or(2);
    let powers = powers(cx, &x, p)?;
    let total = reduce(cx, Reduction::Sum, &powers, &axes, true)?;
    Ok(vec![root(cx, &total, p)?])
}

/// `|x|^p`
pub(super) fn powers(cx: &mut Cx<'_, '_>, x: &Value, p: i64) -> Outcome<Value> {
    if !(1..=16).contains(&p) {
        return Err(Refusal::unsupported(format!("the norm of order {p}")));
    }
    let size = function(cx, UnaryOp::Abs, x)?;
    match p {
        1 => Ok(size),
        p => function(cx, UnaryOp::Pow { exponent: p as f32 }, &size),
    }
}

/// `x^(1/p)`
pub(super) fn root(cx: &mut Cx<'_, '_>, x: &Value, p: i64) -> Outcome<Value> {
    match p {
        1 => Ok(x.clone()),
        2 => function(cx, UnaryOp::Sqrt, x),
        p => function(
            cx,
            UnaryOp::Pow {
                exponent: 1.0 / p as f32,
            },
            x,
        ),
    }
}
