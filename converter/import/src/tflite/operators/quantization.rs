//! QUANTIZE, DEQUANTIZE and CAST. Integers with a scale are real numbers in the graph, so the first two have little to do.

use tract_tflite::tflite::TensorType;

use crate::constant::ElementType;
use crate::error::{Outcome, Refusal};
use crate::operators::quantization::cast_constant;
use crate::tflite::file::element_type;
use crate::tflite::node::Tx;
use crate::values::{Live, Value};

/// Hands a stored tensor on, which loading has already made dense and real.
pub(super) fn pass_on(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![Value::Constant(cx.constant(0, "its input")?)])
}

pub(super) fn dequantize(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    match &x {
        Value::Constant(constant) => {
            constant.reals("its input, which has no scale,")?;
        }
        Value::Live(_) => {
            cx.real(&x)?;
        }
    }
    Ok(vec![x])
}

pub(super) fn quantize(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let x = cx.input(0)?;
    let info = cx.output_info(0)?;
    if info.grid()?.is_none() {
        return Err(Refusal::unsupported(format!(
            "quantizing to {} is not supported; use INT8 or UINT8 with a scale",
            info.ty.variant_name().unwrap_or("an unknown type")
        )));
    }
    cx.real(&x)?;
    Ok(vec![x])
}

fn whole(ty: ElementType) -> bool {
    matches!(ty, ElementType::S32 | ElementType::S64)
}

pub(super) fn cast(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let to = element_type(cx.output_info(0)?.ty)?;
    let from = cx.input_info(0)?;
    if from.grid()?.is_some() || from.ty == TensorType::STRING {
        return Err(Refusal::unsupported(
            "a cast of a quantized tensor is not supported; use DEQUANTIZE",
        ));
    }
    match cx.input(0)? {
        Value::Constant(x) => {
            let folded = cast_constant(&x, to)?;
            Ok(vec![cx.folded(folded)?])
        }
        Value::Live(live) if live.ty == to => Ok(vec![Value::Live(live)]),
        // A raw input's bytes, indices, and truth values as zeros and ones: the graph's tensor holds the numbers already.
        Value::Live(live) if to == ElementType::Real => Ok(vec![Value::Live(Live {
            ty: ElementType::Real,
            ..live
        })]),
        // Whole numbers of another width.
        Value::Live(live) if whole(live.ty) && whole(to) => {
            Ok(vec![Value::Live(Live { ty: to, ..live })])
        }
        Value::Live(live) => Err(Refusal::unsupported(format!(
            "computing in {} is not supported: a cast of a computed tensor from {} must be to float",
            to.name(),
            live.ty.name()
        ))),
    }
}
