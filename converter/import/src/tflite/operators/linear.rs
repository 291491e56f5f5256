//! FULLY_CONNECTED and BATCH_MATMUL.

use ocellus_ir::Op;
use tract_tflite::tflite::FullyConnectedOptionsWeightsFormat;

use crate::error::{Outcome, Refusal};
use crate::operators::linear::{product, swap_last};
use crate::tflite::node::{Tx, needed};
use crate::tflite::operators::convolution::bias;
use crate::values::Value;

pub(super) fn fully_connected(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_fully_connected_options())?;
    if options.weights_format() != FullyConnectedOptionsWeightsFormat::DEFAULT {
        return Err(Refusal::unsupported(
            "its weights are shuffled for one processor, which is not supported; convert the model again without",
        ));
    }
    let x = cx.input(0)?;
    let weights = cx.constant(1, "the weights")?;
    weights.reals("the weights")?;
    let [oc, k] = weights.shape[..] else {
        return Err(Refusal::malformed(format!(
            "the weights have shape {:?}, not rows and columns",
            weights.shape
        )));
    };
    let shape = cx.shape_of(&x);
    let count: usize = shape.iter().product();
    if oc == 0 || k == 0 || !count.is_multiple_of(k) {
        return Err(Refusal::malformed(format!(
            "an input of shape {shape:?} does not fit weights of shape {:?}",
            weights.shape
        )));
    }
    let x = if options.keep_num_dims() {
        x
    } else {
        cx.reshape(&x, vec![count / k, k])?
    };
    let weights = cx.emit_constant(&weights)?;
    let mut inputs = vec![cx.real(&x)?, weights];
    inputs.extend(bias(cx, 2, oc)?);
    let y = cx.emit(Op::FullyConnected, &inputs)?;
    let y = cx.live(y);
    Ok(vec![cx.activate(y, options.fused_activation_function())?])
}

pub(super) fn batch_matmul(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_batch_mat_mul_options())?;
    let (left, right) = (cx.input(0)?, cx.input(1)?);
    let turned = |cx: &mut Tx<'_, '_>, value: &Value, turn: bool| {
        if cx.shape_of(value).len() < 2 {
            return Err(Refusal::malformed("an operand has fewer than two axes"));
        }
        match turn {
            true => swap_last(cx, value),
            false => Ok(value.clone()),
        }
    };
    let left = turned(cx, &left, options.adj_x())?;
    let right = turned(cx, &right, options.adj_y())?;
    Ok(vec![product(cx, &left, &right)?])
}
