//! Operators on the integers of quantized tensors (`QLinear...`, `QGemm`): the operator on real numbers, between the grids that the node states.

use ocellus_ir::Grid;

use crate::constant::{Constant, ElementType};
use crate::error::{Outcome, Refusal};
use crate::operators::quantization::{
    computed_grid, dequantize_constant, dequantize_live, positive_scales, quantize_value,
    same_type, spread,
};
use crate::operators::{activation, convolution, linear, pointwise, pool, selection};
use crate::values::{Cx, Live, Value};

/// Operators that ONNX Runtime adds to ONNX's own, in its domain.
pub(super) const CONTRIBUTED: &[&str] = &[
    "DequantizeLinear",
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QuantizeLinear",
];

/// The real numbers of the integers at input `at`, whose scale and zero point follow; a constant may have one scale for each index of `channels`.
fn operand(cx: &mut Cx<'_, '_>, at: usize, channels: i64) -> Outcome<Value> {
    let scale = cx.constant(at + 1, "a scale")?;
    positive_scales(&scale)?;
    let zero_point = cx.optional_constant(at + 2, "a zero point")?;
    match cx.input(at)? {
        Value::Constant(x) => {
            let scale = spread(scale, channels, &x.shape, "a scale")?;
            let zero_point = match zero_point {
                Some(zero_point) => {
                    same_type(&zero_point, x.ty)?;
                    Some(spread(zero_point, channels, &x.shape, "a zero point")?)
                }
                None => None,
            };
            dequantize_constant(cx, &x, &scale, zero_point.as_ref())
        }
        Value::Live(live) if live.ty == ElementType::Real => Err(Refusal::malformed(format!(
            "input {at} is float and not quantized"
        ))),
        Value::Live(live) => {
            let grid = computed_grid(&scale, zero_point.as_ref(), live.ty)?;
            dequantize_live(cx, live, grid)
        }
    }
}

/// Grid and type that the scale at input `at` and the zero point behind it state.
fn stated_grid(cx: &Cx<'_, '_>, at: usize) -> Outcome<(Grid, ElementType)> {
    let scale = cx.constant(at, "the scale of the result")?;
    positive_scales(&scale)?;
    let zero_point = cx.optional_constant(at + 1, "the zero point of the result")?;
    let ty = zero_point.as_ref().map_or(ElementType::U8, |zero| zero.ty);
    Ok((computed_grid(&scale, zero_point.as_ref(), ty)?, ty))
}

type Import = fn(&mut Cx<'_, '_>) -> Outcome<Vec<Value>>;

/// Runs an operator of real numbers on `operands` and rounds its result to the grid at input `result`.
fn between_grids(
    cx: &mut Cx<'_, '_>,
    operands: Vec<Option<Value>>,
    result: usize,
    import: Import,
) -> Outcome<Vec<Value>> {
    let (grid, ty) = stated_grid(cx, result)?;
    let integers = std::mem::replace(&mut cx.inputs, operands);
    let real = import(cx);
    cx.inputs = integers;
    real?
        .iter()
        .map(|value| quantize_value(cx, value, grid.clone(), ty))
        .collect()
}

/// A bias in `int32`: its step is the product of `factor` and the steps of both operands, whose scales are at inputs 1 and 4.
fn bias(cx: &Cx<'_, '_>, at: usize, factor: f32) -> Outcome<Option<Value>> {
    let Some(bias) = cx.optional_constant(at, "the bias")? else {
        return Ok(None);
    };
    if bias.ty != ElementType::S32 {
        return Err(Refusal::malformed(format!(
            "the bias is {}; it must be int32",
            bias.ty.name()
        )));
    }
    let steps = bias.ints("the bias")?;
    let (x, weights) = (cx.constant(1, "a scale")?, cx.constant(4, "a scale")?);
    let (x, weights) = (x.reals("a scale")?, weights.reals("a scale")?);
    let Some(&x) = x.first() else {
        return Err(Refusal::malformed("a scale is empty"));
    };
    if weights.is_empty() || weights.len() > 1 && bias.shape.last() != Some(&weights.len()) {
        return Err(Refusal::malformed(format!(
            "the bias has shape {:?}, but the weights have {} scales",
            bias.shape,
            weights.len()
        )));
    }
    let scales = weights.iter().cycle();
    let real: Vec<f32> = steps
        .iter()
        .zip(scales)
        .map(|(&step, &w)| (step as f64 * f64::from(factor) * f64::from(x) * f64::from(w)) as f32)
        .collect();
    Ok(Some(Value::Constant(Constant::real(
        bias.shape.clone(),
        real,
    ))))
}

pub(super) fn conv(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let (x, weights) = (operand(cx, 0, 0)?, operand(cx, 3, 0)?);
    let operands = vec![Some(x), Some(weights), bias(cx, 8, 1.0)?];
    between_grids(cx, operands, 6, convolution::conv)
}

pub(super) fn mat_mul(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let operands = vec![Some(operand(cx, 0, -2)?), Some(operand(cx, 3, -1)?)];
    between_grids(cx, operands, 6, linear::mat_mul)
}

pub(super) fn gemm(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let columns = if cx.attributes().flag("transB", false)? {
        0
    } else {
        1
    };
    let alpha = cx.attributes().float("alpha")?.unwrap_or(1.0);
    let operands = vec![
        Some(operand(cx, 0, 0)?),
        Some(operand(cx, 3, columns)?),
        bias(cx, 6, alpha)?,
    ];
    if cx.optional(7).is_none() {
        return Err(Refusal::unsupported(
            "a float result is not supported; quantize the output too",
        ));
    }
    between_grids(cx, operands, 7, linear::gemm)
}

fn of_two(cx: &mut Cx<'_, '_>, import: Import) -> Outcome<Vec<Value>> {
    let operands = vec![Some(operand(cx, 0, 0)?), Some(operand(cx, 3, 0)?)];
    between_grids(cx, operands, 6, import)
}

pub(super) fn add(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    of_two(cx, pointwise::add)
}

pub(super) fn mul(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    of_two(cx, pointwise::mul)
}

fn of_one(cx: &mut Cx<'_, '_>, import: Import) -> Outcome<Vec<Value>> {
    let operands = vec![Some(operand(cx, 0, 0)?)];
    between_grids(cx, operands, 3, import)
}

/// Pools whose attribute `channels_last` is set read another layout.
fn pooled(cx: &mut Cx<'_, '_>, import: Import) -> Outcome<Vec<Value>> {
    if cx.attributes().flag("channels_last", false)? {
        return Err(Refusal::unsupported(
            "`channels_last` is not supported; quantize the model without optimizing it for one machine",
        ));
    }
    of_one(cx, import)
}

pub(super) fn average_pool(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    pooled(cx, pool::average_pool)
}

pub(super) fn global_average_pool(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    pooled(cx, pool::global_average_pool)
}

/// The attribute has a default that ONNX's operator shares.
pub(super) fn leaky_relu(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    of_one(cx, activation::leaky_relu)
}

pub(super) fn sigmoid(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    of_one(cx, activation::sigmoid)
}

/// The operator set whose meaning of the axis counts is an attribute.
pub(super) fn softmax(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    of_one(cx, |cx| {
        let opset = cx.attributes().int("opset")?.unwrap_or(cx.opset());
        pointwise::softmax_of_set(cx, opset)
    })
}

/// Scale and zero point of the result come first, then each part with its own.
pub(super) fn concat(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let parts = (2..cx.inputs.len())
        .step_by(3)
        .map(|at| operand(cx, at, 0).map(Some))
        .collect::<Outcome<Vec<_>>>()?;
    between_grids(cx, parts, 0, selection::concat)
}

/// Operators that only move or compare values, which quantizers leave on the integers.
const KEEPING_GRID: &[&str] = &[
    "ArgMax",
    "ArgMin",
    "Clip",
    "Concat",
    "DepthToSpace",
    "Expand",
    "GlobalMaxPool",
    "Max",
    "MaxPool",
    "Min",
    "Pad",
    "Resize",
    "SpaceToDepth",
    "Tile",
    "TopK",
    "Upsample",
];

/// Imports an operator, and lets one that keeps its operands' grid compute on the integers of quantized tensors.
pub(super) fn on_integers(cx: &mut Cx<'_, '_>, import: Import) -> Outcome<Vec<Value>> {
    let quantized = cx.inputs.iter().flatten().find_map(|value| match value {
        Value::Live(live) if live.quantized => Some(*live),
        _ => None,
    });
    let (Some(first), true) = (quantized, KEEPING_GRID.contains(&cx.node.op_type.as_str())) else {
        return import(cx);
    };
    let Some(grid) = cx.importer.graph.tensor(first.id).grid.clone() else {
        return import(cx);
    };
    if cx.node.op_type == "Pad" && cx.optional(2).is_none() {
        // What is written then is the integer 0, whatever it stands for.
        cx.inputs.resize(cx.inputs.len().max(3), None);
        cx.inputs[2] = Some(Value::Constant(Constant::int(first.ty, vec![], vec![0])));
    }
    for at in 0..cx.inputs.len() {
        cx.inputs[at] = match cx.inputs[at].take() {
            Some(Value::Live(live)) if live.quantized => {
                if live.ty != first.ty
                    || cx.importer.graph.tensor(live.id).grid != Some(grid.clone())
                {
                    return Err(Refusal::unsupported(
                        "its operands are the integers of tensors with different scales; dequantize them before",
                    ));
                }
                Some(cx.live(live.id))
            }
            Some(Value::Constant(constant)) if constant.ty == first.ty => {
                Some(real_of(cx, &constant, &grid, first.ty)?)
            }
            other => other,
        };
    }
    let results = import(cx)?;
    let quantized = results.into_iter().map(|value| match value {
        Value::Live(live) if live.ty == ElementType::Real => {
            cx.importer.graph.set_grid(live.id, grid.clone());
            Value::Live(Live {
                id: live.id,
                ..first
            })
        }
        other => other,
    });
    Ok(quantized.collect())
}

/// The real numbers of a constant's integers on a tensor's grid.
fn real_of(
    cx: &mut Cx<'_, '_>,
    constant: &Constant,
    grid: &Grid,
    ty: ElementType,
) -> Outcome<Value> {
    let above = if ty == ElementType::U8 { 128 } else { 0 };
    let zero_point = i64::from(grid.zero_point + above);
    let scale = Constant::real(vec![], vec![grid.scale()]);
    let zero_point = Constant::int(ty, vec![], vec![zero_point]);
    let shape = &constant.shape;
    let (scale, zero_point) = (scale.broadcast_to(shape)?, zero_point.broadcast_to(shape)?);
    dequantize_constant(cx, constant, &scale, Some(&zero_point))
}
