//! Functions of one value: each is one operator of the graph, or a few that a pass joins again.

use ocellus_ir::{BinaryOp, Op, UnaryOp};

use crate::constant::{Constant, Data};
use crate::error::{Outcome, Refusal};
use crate::operators::pointwise::affine;
use crate::values::{Context, Cx, Format, Value};

/// A function of the graph; constants are computed here, since shapes may depend on them.
pub(crate) fn function<F: Format>(
    cx: &mut Context<'_, F>,
    op: UnaryOp,
    x: &Value,
) -> Outcome<Value> {
    match x {
        Value::Constant(constant) => {
            let values = constant.reals("its input")?;
            let folded: Vec<f32> = values.iter().map(|&v| op.apply(v)).collect();
            if folded.iter().any(|v| v.is_nan()) {
                return Err(Refusal::malformed("computing with its constant gives NaN"));
            }
            cx.folded(Constant::real(constant.shape.clone(), folded))
        }
        Value::Live(_) => cx.emit_real(Op::Unary(op), x),
    }
}

/// One function of the node's input.
fn unary(cx: &mut Cx<'_, '_>, op: UnaryOp) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    Ok(vec![function(cx, op, &x)?])
}

/// A function that integers have as well.
fn also_of_integers(
    cx: &mut Cx<'_, '_>,
    op: UnaryOp,
    int: fn(i64) -> Option<i64>,
) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let Value::Constant(Constant {
        ty,
        shape,
        data: Data::Int(values),
        ..
    }) = &x
    else {
        return Ok(vec![function(cx, op, &x)?]);
    };
    let values: Option<Vec<i64>> = values.iter().map(|&v| int(v)).collect();
    let values = values
        .ok_or_else(|| Refusal::malformed("computing with its integer constant overflows"))?;
    Ok(vec![cx.folded(Constant::int(
        *ty,
        shape.clone(),
        values,
    ))?])
}

/// The product of two values of one shape.
fn product<F: Format>(cx: &mut Context<'_, F>, a: &Value, b: &Value) -> Outcome<Value> {
    let operands = [cx.real(a)?, cx.real(b)?];
    let y = cx.emit(Op::Binary(BinaryOp::Mul), &operands)?;
    Ok(cx.live(y))
}

macro_rules! plain {
    ($($name:ident $op:expr;)*) => {$(
        pub(super) fn $name(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
            unary(cx, $op)
        }
    )*};
}

plain! {
    relu UnaryOp::Clip { min: 0.0, max: f32::INFINITY };
    sigmoid UnaryOp::Sigmoid;
    hard_swish UnaryOp::HardSwish;
    tanh UnaryOp::Tanh;
    exp UnaryOp::Exp;
    log UnaryOp::Log;
    sqrt UnaryOp::Sqrt;
    reciprocal UnaryOp::Pow { exponent: -1.0 };
    erf UnaryOp::Erf;
    softplus UnaryOp::Softplus;
    sin UnaryOp::Sin;
    cos UnaryOp::Cos;
    atan UnaryOp::Atan;
    round UnaryOp::Round;
}

pub(super) fn floor(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    also_of_integers(cx, UnaryOp::Floor, Some)
}

pub(super) fn ceil(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    also_of_integers(cx, UnaryOp::Ceil, Some)
}

pub(super) fn sign(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    also_of_integers(cx, UnaryOp::Sign, |v| Some(v.signum()))
}

pub(super) fn abs(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    also_of_integers(cx, UnaryOp::Abs, i64::checked_abs)
}

pub(super) fn neg(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    also_of_integers(cx, UnaryOp::Neg, i64::checked_neg)
}

pub(super) fn leaky_relu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let slope = cx.attributes().float("alpha")?.unwrap_or(0.01);
    unary(cx, UnaryOp::LeakyRelu { slope })
}

pub(super) fn hard_sigmoid(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let alpha = cx.attributes().float("alpha")?.unwrap_or(0.2);
    let beta = cx.attributes().float("beta")?.unwrap_or(0.5);
    unary(cx, UnaryOp::HardSigmoid { alpha, beta })
}

pub(super) fn thresholded_relu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let threshold = cx.attributes().float("alpha")?.unwrap_or(1.0);
    unary(cx, UnaryOp::Threshold { threshold })
}

pub(super) fn elu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let alpha = cx.attributes().float("alpha")?.unwrap_or(1.0);
    unary(cx, UnaryOp::Elu { alpha })
}

/// `gamma * elu(x)`
pub(super) fn selu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let alpha = cx.attributes().float("alpha")?.unwrap_or(1.673_263_2);
    let gamma = cx.attributes().float("gamma")?.unwrap_or(1.050_701);
    let x = cx.input(0)?;
    let elu = function(cx, UnaryOp::Elu { alpha }, &x)?;
    Ok(vec![affine(cx, &elu, gamma, 0.0)?])
}

/// `max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)`: an Elu of `x / alpha`, times `alpha`.
pub(super) fn celu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let alpha = cx.attributes().float("alpha")?.unwrap_or(1.0);
    if alpha <= 0.0 {
        return Err(Refusal::malformed(format!(
            "attribute `alpha` is {alpha}, which must be above 0"
        )));
    }
    let x = cx.input(0)?;
    let scaled = affine(cx, &x, 1.0 / alpha, 0.0)?;
    let elu = function(cx, UnaryOp::Elu { alpha: 1.0 }, &scaled)?;
    Ok(vec![affine(cx, &elu, alpha, 0.0)?])
}

/// `x / (1 + |x|)`
pub(super) fn softsign(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let size = function(cx, UnaryOp::Abs, &x)?;
    let divisor = affine(cx, &size, 1.0, 1.0)?;
    let factor = function(cx, UnaryOp::Pow { exponent: -1.0 }, &divisor)?;
    Ok(vec![product(cx, &x, &factor)?])
}

/// `x * tanh(softplus(x))`
pub(super) fn mish(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let soft = function(cx, UnaryOp::Softplus, &x)?;
    let gate = function(cx, UnaryOp::Tanh, &soft)?;
    Ok(vec![product(cx, &x, &gate)?])
}

pub(super) fn gelu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let by_tanh = match cx.attributes().text("approximate")?.unwrap_or("none") {
        "none" => false,
        "tanh" => true,
        other => {
            return Err(Refusal::malformed(format!(
                "attribute `approximate` holds `{other}`"
            )));
        }
    };
    Ok(vec![gelu_of(cx, &x, by_tanh)?])
}

/// `x * (1 + erf(x / sqrt(2))) / 2`, or `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2`.
pub(crate) fn gelu_of<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    by_tanh: bool,
) -> Outcome<Value> {
    let inner = if by_tanh {
        let cube = function(cx, UnaryOp::Pow { exponent: 3.0 }, x)?;
        let cube = affine(cx, &cube, 0.044_715, 0.0)?;
        let operands = [cx.real(x)?, cx.real(&cube)?];
        let sum = cx.emit(Op::Binary(BinaryOp::Add), &operands)?;
        let sum = cx.live(sum);
        let scaled = affine(cx, &sum, (2.0 / std::f32::consts::PI).sqrt(), 0.0)?;
        function(cx, UnaryOp::Tanh, &scaled)?
    } else {
        let scaled = affine(cx, x, std::f32::consts::FRAC_1_SQRT_2, 0.0)?;
        function(cx, UnaryOp::Erf, &scaled)?
    };
    let gate = affine(cx, &inner, 0.5, 0.5)?;
    product(cx, x, &gate)
}

/// `x < -lambd ? x + bias : x > lambd ? x - bias : 0`: both sides are thresholds of their own.
pub(super) fn shrink(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let bias = cx.attributes().float("bias")?.unwrap_or(0.0);
    let lambda = cx.attributes().float("lambd")?.unwrap_or(0.5);
    let x = cx.input(0)?;
    if lambda < 0.0 {
        return Err(Refusal::unsupported(format!(
            "attribute `lambd` is {lambda}; only 0 and above is supported"
        )));
    }
    // |x| over the threshold, less the bias where it is, with the sign of x.
    let size = function(cx, UnaryOp::Abs, &x)?;
    let kept = function(cx, UnaryOp::Threshold { threshold: lambda }, &size)?;
    let sign = function(cx, UnaryOp::Sign, &x)?;
    let signed = product(cx, &kept, &sign)?;
    if bias == 0.0 {
        return Ok(vec![signed]);
    }
    let is_kept = function(cx, UnaryOp::Sign, &kept)?;
    let step = product(cx, &is_kept, &sign)?;
    let step = affine(cx, &step, -bias, 0.0)?;
    let operands = [cx.real(&signed)?, cx.real(&step)?];
    let y = cx.emit(Op::Binary(BinaryOp::Add), &operands)?;
    Ok(vec![cx.live(y)])
}

pub(super) fn pow(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    pow_of(cx)
}

/// A constant power, or a power of a constant.
pub(crate) fn pow_of<F: Format>(cx: &mut Context<'_, F>) -> Outcome<Vec<Value>> {
    let (base, exponent) = (cx.input(0)?, cx.input(1)?);
    match (&base, &exponent) {
        (Value::Constant(a), Value::Constant(b)) => {
            let b = match (&a.data, &b.data) {
                (Data::Real(_), Data::Int(values)) => Constant::real(
                    b.shape.clone(),
                    values.iter().map(|&v| v as f32).collect::<Vec<f32>>(),
                ),
                _ => b.clone(),
            };
            let whole = |a: i64, b: i64| a.checked_pow(u32::try_from(b).ok()?);
            let folded = super::pointwise::fold_pair(a, &b, libm::powf, whole)?;
            Ok(vec![cx.folded(folded)?])
        }
        (Value::Live(_), Value::Constant(exponents)) => {
            let values: Vec<f32> = match &exponents.data {
                Data::Real(values) => values.to_vec(),
                Data::Int(values) => values.iter().map(|&v| v as f32).collect(),
            };
            let Some(&exponent) = values
                .first()
                .filter(|first| values.iter().all(|v| v == *first))
            else {
                return Err(Refusal::unsupported(
                    "its exponents differ; only one for all values is supported",
                ));
            };
            let rank = exponents.shape.len();
            let y = match exponent {
                1.0 => base.clone(),
                exponent => function(cx, UnaryOp::Pow { exponent }, &base)?,
            };
            let mut shape = cx.shape_of(&y);
            while shape.len() < rank {
                shape.insert(0, 1);
            }
            Ok(vec![cx.reshape(&y, shape)?])
        }
        // c^x = exp(x * ln c)
        (Value::Constant(base), Value::Live(_)) if base.len() == 1 => {
            let base = base.scalar("the base")?;
            if base <= 0.0 {
                return Err(Refusal::unsupported(format!(
                    "the base {base} is not above 0"
                )));
            }
            let scaled = affine(cx, &exponent, libm::logf(base), 0.0)?;
            Ok(vec![function(cx, UnaryOp::Exp, &scaled)?])
        }
        _ => Err(Refusal::unsupported(
            "its exponent is computed from the model's input; only a constant is supported",
        )),
    }
}
