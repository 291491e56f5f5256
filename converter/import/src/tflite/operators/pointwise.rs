//! Operators on single values: arithmetic with broadcast, activations; softmax and normalizations along channels.

use ocellus_ir::{BinaryOp, Op, UnaryOp};
use tract_tflite::tflite::ActivationFunctionType;

use crate::attributes::small;
use crate::error::{Outcome, Refusal};
use crate::operators::activation::{function, gelu_of, pow_of};
use crate::operators::normalization::{Response, response_norm, unit_length};
use crate::operators::pointwise::{affine, binary, fold_pair, prelu_of};
use crate::operators::reduce::log_softmax_of;
use crate::tflite::node::{Tx, needed};
use crate::tflite::operators::convolution::picture;
use crate::values::Value;

fn arithmetic(
    cx: &mut Tx<'_, '_>,
    op: BinaryOp,
    activation: ActivationFunctionType,
) -> Outcome<Vec<Value>> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let y = binary(cx, op, &a, &b)?;
    Ok(vec![cx.activate(y, activation)?])
}

pub(super) fn add(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = cx.operator().builtin_options_as_add_options();
    let activation = options.map_or(ActivationFunctionType::NONE, |o| {
        o.fused_activation_function()
    });
    arithmetic(cx, BinaryOp::Add, activation)
}

pub(super) fn sub(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = cx.operator().builtin_options_as_sub_options();
    let activation = options.map_or(ActivationFunctionType::NONE, |o| {
        o.fused_activation_function()
    });
    arithmetic(cx, BinaryOp::Sub, activation)
}

pub(super) fn mul(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = cx.operator().builtin_options_as_mul_options();
    let activation = options.map_or(ActivationFunctionType::NONE, |o| {
        o.fused_activation_function()
    });
    arithmetic(cx, BinaryOp::Mul, activation)
}

pub(super) fn div(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = cx.operator().builtin_options_as_div_options();
    let activation = options.map_or(ActivationFunctionType::NONE, |o| {
        o.fused_activation_function()
    });
    arithmetic(cx, BinaryOp::Div, activation)
}

pub(super) fn minimum(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    arithmetic(cx, BinaryOp::Minimum, ActivationFunctionType::NONE)
}

pub(super) fn maximum(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    arithmetic(cx, BinaryOp::Maximum, ActivationFunctionType::NONE)
}

pub(super) fn add_n(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let mut sum = cx.input(0)?;
    for index in 1..cx.inputs.len() {
        let next = cx.input(index)?;
        sum = binary(cx, BinaryOp::Add, &sum, &next)?;
    }
    Ok(vec![sum])
}

pub(super) fn square(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    Ok(vec![function(cx, UnaryOp::Pow { exponent: 2.0 }, &x)?])
}

pub(super) fn squared_difference(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let difference = binary(cx, BinaryOp::Sub, &a, &b)?;
    let square = UnaryOp::Pow { exponent: 2.0 };
    Ok(vec![function(cx, square, &difference)?])
}

/// Divides constants and rounds down, as shape arithmetic does.
pub(super) fn floor_div(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let (a, b) = (
        cx.constant(0, "its first operand")?,
        cx.constant(1, "its second operand")?,
    );
    let floor = |x: i64, y: i64| {
        let quotient = x.checked_div(y)?;
        let inexact = x % y != 0 && (x < 0) != (y < 0);
        Some(quotient - i64::from(inexact))
    };
    let folded = fold_pair(&a, &b, |x, y| (x / y).floor(), floor)?;
    Ok(vec![cx.folded(folded)?])
}

fn unary(cx: &mut Tx<'_, '_>, op: UnaryOp) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    Ok(vec![function(cx, op, &x)?])
}

fn clip(cx: &mut Tx<'_, '_>, min: f32, max: f32) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Clip { min, max })
}

pub(super) fn relu(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    clip(cx, 0.0, f32::INFINITY)
}

pub(super) fn relu6(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    clip(cx, 0.0, 6.0)
}

pub(super) fn relu_n1_to_1(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    clip(cx, -1.0, 1.0)
}

pub(super) fn relu_0_to_1(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    clip(cx, 0.0, 1.0)
}

pub(super) fn leaky_relu(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_leaky_relu_options())?;
    let slope = options.alpha();
    if !slope.is_finite() {
        return Err(Refusal::malformed(format!("its slope is {slope}")));
    }
    unary(cx, UnaryOp::LeakyRelu { slope })
}

pub(super) fn logistic(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Sigmoid)
}

pub(super) fn tanh(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Tanh)
}

pub(super) fn hard_swish(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::HardSwish)
}

pub(super) fn exp(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Exp)
}

pub(super) fn abs(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Abs)
}

pub(super) fn neg(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Neg)
}

pub(super) fn floor(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Floor)
}

pub(super) fn ceil(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Ceil)
}

pub(super) fn round(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Round)
}

pub(super) fn sign(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Sign)
}

pub(super) fn sin(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Sin)
}

pub(super) fn cos(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Cos)
}

pub(super) fn log(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Log)
}

pub(super) fn sqrt(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Sqrt)
}

pub(super) fn rsqrt(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Pow { exponent: -0.5 })
}

pub(super) fn pow(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    pow_of(cx)
}

pub(super) fn elu(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    unary(cx, UnaryOp::Elu { alpha: 1.0 })
}

pub(super) fn gelu(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = cx.operator().builtin_options_as_gelu_options();
    let x = cx.input(0)?;
    let by_tanh = options.is_some_and(|options| options.approximate());
    Ok(vec![gelu_of(cx, &x, by_tanh)?])
}

pub(super) fn prelu(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let slope = cx.constant(1, "the slope")?;
    Ok(vec![prelu_of(cx, &x, &slope)?])
}

pub(super) fn softmax(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_softmax_options())?;
    let x = cx.input(0)?;
    let beta = options.beta();
    if !beta.is_finite() {
        return Err(Refusal::malformed(format!("its factor `beta` is {beta}")));
    }
    let x = match beta {
        1.0 => x,
        beta => affine(cx, &x, beta, 0.0)?,
    };
    let axis = innermost(cx, &x)?;
    Ok(vec![cx.emit_real(Op::Softmax { axis }, &x)?])
}

/// The innermost axis of the input.
fn innermost(cx: &Tx<'_, '_>, x: &Value) -> Outcome<usize> {
    let rank = cx.shape_of(x).len();
    rank.checked_sub(1)
        .ok_or_else(|| Refusal::malformed("its input is a single number"))
}

pub(super) fn log_softmax(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let axis = innermost(cx, &x)?;
    Ok(vec![log_softmax_of(cx, &x, &[axis])?])
}

pub(super) fn l2_normalization(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = cx.operator().builtin_options_as_l2_norm_options();
    let activation = options.map_or(ActivationFunctionType::NONE, |options| {
        options.fused_activation_function()
    });
    let x = cx.input(0)?;
    let axis = innermost(cx, &x)?;
    // A length below 1e-6 counts as that.
    let y = unit_length(cx, &x, axis, 1e-12)?;
    Ok(vec![cx.activate(y, activation)?])
}

pub(super) fn local_response_normalization(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(
        cx.operator()
            .builtin_options_as_local_response_normalization_options(),
    )?;
    let x = cx.input(0)?;
    picture(cx, &x)?;
    let radius = small("radius", i64::from(options.radius()), 0)?;
    let size = 2 * radius + 1;
    let rule = Response {
        window: [radius, radius],
        alpha: options.alpha() * size as f32,
        beta: options.beta(),
        bias: options.bias(),
    };
    let y = response_norm(cx, &x, rule)?;
    Ok(vec![y])
}
