//! Convolutions, and the rearrangements that make one dilated.

use ocellus_ir::{Op, TensorId, Window};
use tract_tflite::tflite::{ActivationFunctionType, Padding};

use crate::constant::Constant;
use crate::error::{Outcome, Refusal};
use crate::tflite::node::{Tx, needed, positive};
use crate::values::Value;

/// Rows, columns and channels of a picture of batch 1.
pub(super) fn picture(cx: &Tx<'_, '_>, value: &Value) -> Outcome<[usize; 3]> {
    let shape = cx.shape_of(value);
    match shape[..] {
        [1, rows, columns, channels] if !shape.contains(&0) => Ok([rows, columns, channels]),
        [n, _, _, _] if n > 1 => Err(Refusal::unsupported(format!(
            "its input has shape {shape:?}, a batch of {n}; only a batch of 1 is supported, fix it with `--input NAME=SHAPE`"
        ))),
        _ => Err(Refusal::malformed(format!(
            "its input has shape {shape:?}, not batch, rows, columns and channels"
        ))),
    }
}

/// Padding on one axis, before and after, so that every output has its window: SAME puts the odd one behind.
fn same(size: usize, stride: usize, extent: usize) -> (usize, usize) {
    let covered = (size.div_ceil(stride).max(1) - 1) * stride + extent;
    let total = covered.saturating_sub(size);
    (total / 2, total - total / 2)
}

/// The window of a convolution or pool over a picture of `size`.
pub(super) fn window(
    padding: Padding,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Outcome<Window> {
    let mut window = Window {
        stride,
        dilation,
        pad_before: [0; 2],
        pad_after: [0; 2],
    };
    match padding {
        Padding::VALID => {}
        Padding::SAME => {
            for axis in 0..2 {
                let extent = (kernel[axis] - 1) * dilation[axis] + 1;
                (window.pad_before[axis], window.pad_after[axis]) =
                    same(size[axis], stride[axis], extent);
            }
        }
        other => {
            return Err(Refusal::malformed(format!(
                "its padding has the unknown number {}",
                other.0
            )));
        }
    }
    Ok(window)
}

/// Constant weights of four axes; sizes of a kernel stay small, so that no arithmetic on them overflows.
fn weights(cx: &Tx<'_, '_>, index: usize) -> Outcome<(Constant, [usize; 4])> {
    let values = cx.constant(index, "the weights")?;
    values.reals("the weights")?;
    match values.shape[..] {
        [a, rows, columns, b] if !values.shape.contains(&0) => {
            crate::attributes::small("kernel", i64::try_from(rows).unwrap_or(i64::MAX), 1)?;
            crate::attributes::small("kernel", i64::try_from(columns).unwrap_or(i64::MAX), 1)?;
            Ok((values, [a, rows, columns, b]))
        }
        _ => Err(Refusal::malformed(format!(
            "the weights have shape {:?}",
            values.shape
        ))),
    }
}

/// A bias, where there is one.
pub(super) fn bias(
    cx: &mut Tx<'_, '_>,
    index: usize,
    channels: usize,
) -> Outcome<Option<TensorId>> {
    let Some(bias) = cx.optional_constant(index, "the bias")? else {
        return Ok(None);
    };
    if bias.len() != channels {
        return Err(Refusal::malformed(format!(
            "the bias has shape {:?} for {channels} channels",
            bias.shape
        )));
    }
    let bias = bias.with_shape(vec![channels])?;
    cx.emit_constant(&bias).map(Some)
}

struct Settings {
    padding: Padding,
    stride: [usize; 2],
    dilation: [usize; 2],
    activation: ActivationFunctionType,
}

pub(super) fn conv_2d(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_conv_2_doptions())?;
    let settings = Settings {
        padding: options.padding(),
        stride: [
            positive("stride_h", options.stride_h())?,
            positive("stride_w", options.stride_w())?,
        ],
        dilation: [
            positive("dilation_h_factor", options.dilation_h_factor())?,
            positive("dilation_w_factor", options.dilation_w_factor())?,
        ],
        activation: options.fused_activation_function(),
    };
    let x = cx.input(0)?;
    let [_, _, channels] = picture(cx, &x)?;
    let (weights, [oc, rows, columns, ic]) = weights(cx, 1)?;
    if !channels.is_multiple_of(ic) || !oc.is_multiple_of(channels / ic) {
        return Err(Refusal::malformed(format!(
            "weights of shape {:?} do not fit an input of {channels} channels",
            weights.shape
        )));
    }
    let weights = cx.emit_constant(&weights)?;
    convolve(
        cx,
        &x,
        weights,
        oc,
        [rows, columns],
        channels / ic,
        settings,
    )
}

pub(super) fn depthwise_conv_2d(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_depthwise_conv_2_doptions())?;
    let settings = Settings {
        padding: options.padding(),
        stride: [
            positive("stride_h", options.stride_h())?,
            positive("stride_w", options.stride_w())?,
        ],
        dilation: [
            positive("dilation_h_factor", options.dilation_h_factor())?,
            positive("dilation_w_factor", options.dilation_w_factor())?,
        ],
        activation: options.fused_activation_function(),
    };
    let x = cx.input(0)?;
    let [_, _, channels] = picture(cx, &x)?;
    let (weights, [one, rows, columns, oc]) = weights(cx, 1)?;
    if one != 1 || !oc.is_multiple_of(channels) {
        return Err(Refusal::malformed(format!(
            "weights of shape {:?} do not fit an input of {channels} channels",
            weights.shape
        )));
    }
    // [1, kernel, oc] to [oc, kernel, 1]; output channels are ordered by input channel in both.
    let moved = cx.transpose(&Value::Constant(weights), &[3, 1, 2, 0])?;
    let weights = cx.real(&moved)?;
    convolve(cx, &x, weights, oc, [rows, columns], channels, settings)
}

fn convolve(
    cx: &mut Tx<'_, '_>,
    x: &Value,
    weights: TensorId,
    oc: usize,
    kernel: [usize; 2],
    groups: usize,
    settings: Settings,
) -> Outcome<Vec<Value>> {
    let [rows, columns, _] = picture(cx, x)?;
    let size = [rows, columns];
    let dealt = cx.importer.file.dilated.get(&cx.node.index).copied();
    let window = match dealt {
        None => window(
            settings.padding,
            size,
            kernel,
            settings.stride,
            settings.dilation,
        )?,
        Some(dealt) => {
            if settings.stride != [1, 1] || settings.dilation != [1, 1] {
                return Err(Refusal::unsupported(
                    "a stride or a dilation between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND is not supported",
                ));
            }
            let mut dilated = Window {
                stride: [1, 1],
                dilation: dealt.rate,
                pad_before: dealt.pad[0],
                pad_after: dealt.pad[1],
            };
            for axis in 0..2 {
                let padded = size[axis] + dealt.pad[0][axis] + dealt.pad[1][axis];
                if !padded.is_multiple_of(dealt.rate[axis]) {
                    return Err(Refusal::malformed(
                        "the padded picture does not divide into blocks",
                    ));
                }
                if settings.padding == Padding::SAME {
                    let (before, after) = same(padded / dealt.rate[axis], 1, kernel[axis]);
                    dilated.pad_before[axis] += before * dealt.rate[axis];
                    dilated.pad_after[axis] += after * dealt.rate[axis];
                }
                // What is cut off the result needs no padding; with a stride of 1 the two are the same.
                let (before, after) = (dealt.crop[0][axis], dealt.crop[1][axis]);
                let cut = |pad: usize, cut: usize| {
                    pad.checked_sub(cut).ok_or_else(|| {
                        Refusal::unsupported(
                            "BATCH_TO_SPACE_ND cuts off more than SPACE_TO_BATCH_ND has added, which is not supported",
                        )
                    })
                };
                dilated.pad_before[axis] = cut(dilated.pad_before[axis], before)?;
                dilated.pad_after[axis] = cut(dilated.pad_after[axis], after)?;
            }
            dilated
        }
    };
    let mut inputs = vec![cx.real(x)?, weights];
    inputs.extend(bias(cx, 2, oc)?);
    let y = cx.emit(Op::Conv2d { window, groups }, &inputs)?;
    let y = cx.live(y);
    Ok(vec![cx.activate(y, settings.activation)?])
}

/// SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND around a convolution, which has taken over what they do.
pub(super) fn rearrangement(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    if cx.importer.file.rearrangements.contains(&cx.node.index) {
        return Ok(vec![cx.input(0)?]);
    }
    Err(Refusal::unsupported(
        "it is only supported as one of a pair around a single convolution, with the same block of rows and columns in both",
    ))
}

pub(super) fn transpose_conv(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let options = needed(cx.operator().builtin_options_as_transpose_conv_options())?;
    let stride = [
        positive("stride_h", options.stride_h())?,
        positive("stride_w", options.stride_w())?,
    ];
    let target = cx.integers(0, "the shape of the output")?;
    let [1, rows, columns, channels] = target[..] else {
        return Err(Refusal::unsupported(format!(
            "the shape of the output is {target:?}, not a picture of batch 1"
        )));
    };
    let small = |size| crate::attributes::small("output_shape", size, 1);
    let out = [small(rows)?, small(columns)?, small(channels)?];
    let operands = Operands {
        x: 2,
        weights: 1,
        bias: 3,
    };
    let y = spread(cx, operands, out, stride, options.padding())?;
    Ok(vec![cx.activate(y, options.fused_activation_function())?])
}

/// MediaPipe's transposed convolution with a bias, from before the format's own had one. Its options are three numbers of four bytes:
/// padding (1 is SAME, 2 VALID), columns and rows of a step. The size of the output follows from them.
pub(super) fn transpose_conv_bias(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let bytes = cx.operator().custom_options();
    let bytes = bytes.map_or(&[][..], |bytes| bytes.bytes());
    let numbers: Vec<i32> = bytes
        .chunks_exact(4)
        .take(3)
        .filter_map(|word| word.try_into().ok().map(i32::from_le_bytes))
        .collect();
    let [padding, stride_w, stride_h] = numbers[..] else {
        return Err(Refusal::malformed("its options are missing or cut off"));
    };
    let stride = [
        positive("stride_h", stride_h)?,
        positive("stride_w", stride_w)?,
    ];
    let padding = match padding {
        1 => Padding::SAME,
        2 => Padding::VALID,
        other => {
            return Err(Refusal::malformed(format!(
                "its padding has the unknown number {other}"
            )));
        }
    };
    let x = cx.input(0)?;
    let [rows, columns, _] = picture(cx, &x)?;
    let (_, [oc, kernel_rows, kernel_columns, _]) = weights(cx, 1)?;
    let size = |size: usize, stride: usize, kernel: usize| {
        let steps = match padding {
            Padding::SAME => size.checked_mul(stride),
            _ => (size - 1).checked_mul(stride).map(|steps| steps + kernel),
        };
        steps.ok_or_else(|| Refusal::malformed("its stride is too large"))
    };
    let out = [
        size(rows, stride[0], kernel_rows)?,
        size(columns, stride[1], kernel_columns)?,
        oc,
    ];
    let operands = Operands {
        x: 0,
        weights: 1,
        bias: 2,
    };
    Ok(vec![spread(cx, operands, out, stride, padding)?])
}

/// Which input of a transposed convolution is which.
struct Operands {
    x: usize,
    weights: usize,
    bias: usize,
}

/// A transposed convolution to `out` rows, columns and channels.
fn spread(
    cx: &mut Tx<'_, '_>,
    operands: Operands,
    out: [usize; 3],
    stride: [usize; 2],
    padding: Padding,
) -> Outcome<Value> {
    let (weights, [oc, rows, columns, ic]) = weights(cx, operands.weights)?;
    let x = cx.input(operands.x)?;
    let [in_rows, in_columns, channels] = picture(cx, &x)?;
    let [out_rows, out_columns, out_channels] = out;
    if ic != channels || oc != out_channels {
        return Err(Refusal::malformed(format!(
            "weights of shape {:?} do not fit an input of {channels} channels and an output of {out:?}",
            weights.shape
        )));
    }
    let (kernel, size) = ([rows, columns], [in_rows, in_columns]);
    let mut transposed = Window {
        stride,
        ..Window::UNIT
    };
    let mut output_padding = [0; 2];
    for (axis, &out) in [out_rows, out_columns].iter().enumerate() {
        // The padding is that of the convolution in the other direction.
        let (before, _) = match padding {
            Padding::SAME => same(out, stride[axis], kernel[axis]),
            _ => (0, 0),
        };
        let full = (size[axis] - 1)
            .checked_mul(stride[axis])
            .map(|steps| steps + kernel[axis])
            .ok_or_else(|| Refusal::malformed("its stride is too large"))?;
        transposed.pad_before[axis] = before;
        match full.checked_sub(before + out) {
            Some(after) => transposed.pad_after[axis] = after,
            None => output_padding[axis] = before + out - full,
        }
    }
    let weights = cx.emit_constant(&weights)?;
    let mut inputs = vec![cx.real(&x)?, weights];
    inputs.extend(bias(cx, operands.bias, oc)?);
    let op = Op::TransposeConv2d {
        window: transposed,
        output_padding,
        groups: 1,
    };
    let y = cx.emit(op, &inputs)?;
    Ok(cx.live(y))
}
