//! Layers with weights.

use ocellus_format::{WeightLayout, ops};
use ocellus_ir::{Node, Window};

use super::{
    DeviceOp, LayerNotes, Lowering, Operand, Placed, Values, batch_refused, output_s8, steps_of,
    unsupported, window_2d,
};
use crate::CompileError;
use crate::quantize::channels::{IntegerLayer, LayerError, OfFile, RealLayer, quantize_layer};
use crate::reconstruct::ChosenIntegers;

/// Weights and bias of a layer as `[out_c, taps]`.
struct Real {
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// Integers that were chosen before.
    chosen: Option<ChosenIntegers>,
    /// Scales of weights that are whole steps of the source file, one an output channel.
    scales: Option<Vec<f32>>,
}

impl Lowering<'_> {
    /// Weights and bias in float; input channels are innermost.
    fn real_layer(&self, node: &Node) -> Result<Real, CompileError> {
        let shape = self.input_shape(node, 1);
        let out_c = shape[0];
        let weights = self.constant_input(node, 1)?.to_vec();
        let bias = if node.inputs.len() > 2 {
            self.constant_input(node, 2)?.to_vec()
        } else {
            vec![0.0; out_c]
        };
        let grid = self.graph.tensor(node.inputs[1]).grid.as_ref();
        let scales = grid.map(|grid| match grid.scales[..] {
            [scale] => vec![scale; out_c],
            _ => grid.scales.to_vec(),
        });
        let (bias, chosen) = match self.reconstruction.layer(node.output) {
            // Where nothing is rounded there is nothing to make up for.
            Some(layer) if scales.is_none() => (layer.bias.clone(), layer.weights.clone()),
            _ => (bias, None),
        };
        Ok(Real {
            weights,
            bias,
            chosen,
            scales,
        })
    }

    fn integer_layer(
        &mut self,
        node: &Node,
        real: &Real,
        input: Placed,
    ) -> Result<IntegerLayer, CompileError> {
        let output = self.output_params(node)?;
        let steps = steps_of(output_s8(node, output));
        let of_file = real.scales.as_deref();
        let layer = quantize_layer(RealLayer {
            weights: &real.weights,
            bias: &real.bias,
            input: input.qparams,
            output,
            chosen: real.chosen.as_ref().map(Into::into),
            of_file: of_file.map(|scales| OfFile { scales, steps }),
        })
        .map_err(|error| {
            let remedy = match error {
                LayerError::Factor(_) => {
                    "check the weights: their range is far beyond that of the output"
                }
                LayerError::Accumulator { .. } => "convert the float model it was made from",
            };
            unsupported(node, error.to_string(), remedy)
        })?;
        self.lowered.layers.push((
            node.name.clone(),
            LayerNotes {
                dead_channels: layer.dead_channels,
                widened_channels: layer.widened_channels,
                slow_requants: layer.slow_requants,
                channels: layer.bias.len(),
            },
        ));
        Ok(layer)
    }

    /// Input, weights, bias, multipliers, shifts.
    fn layer_operands(
        &mut self,
        node: &Node,
        input: Placed,
        layer: &IntegerLayer,
        weights: (Vec<usize>, Vec<i8>),
        bias: Vec<i32>,
    ) -> Vec<Operand> {
        let multipliers = layer.requants.iter().map(|r| r.multiplier).collect();
        let shifts = layer.requants.iter().map(|r| r.shift).collect();
        let mut operands = vec![
            input.operand,
            self.constant(node, "weights", weights.0, None, Values::S8(weights.1)),
            self.list(node, "bias", Values::S32(bias)),
            self.list(node, "multipliers", Values::S32(multipliers)),
            self.list(node, "shifts", Values::U8(shifts)),
        ];
        let wide = layer.wide_channels();
        if !wide.is_empty() {
            let taps = layer.weights.len() / layer.bias.len();
            let rows = wide.iter().map(|oc| &layer.weights[oc * taps..][..taps]);
            let weights: Vec<i16> = rows.flatten().copied().collect();
            let channels = wide.iter().map(|&oc| oc as u16).collect();
            let shape = vec![wide.len(), taps];
            operands.push(self.list(node, "wide_channels", Values::U16(channels)));
            operands.push(self.constant(node, "wide_weights", shape, None, Values::S16(weights)));
        }
        operands
    }

    pub(super) fn conv_2d(
        &mut self,
        node: &Node,
        window: &Window,
        groups: usize,
    ) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let real = self.real_layer(node)?;
        let (x, w, y) = (
            self.input_shape(node, 0).to_vec(),
            self.input_shape(node, 1).to_vec(),
            self.output_shape(node),
        );
        let &[out_c, kernel_h, kernel_w, group_in_c] = w.as_slice() else {
            return Err(unsupported(
                node,
                format!("weights have {} axes and not 4", w.len()),
                "use 1-D or 2-D convolutions",
            ));
        };
        let window = window_2d(node, window, [kernel_h, kernel_w], &x, &y)?;
        let in_c = group_in_c * groups;
        let output = output_s8(node, self.output_params(node)?);
        let layer = self.integer_layer(node, &real, input)?;
        let bias = layer.folded_bias(input.qparams.zero_point);
        let zero_point_in = input.qparams.zero_point as i8;
        // One input channel is both; a plain convolution has more kernels.
        if groups == in_c && in_c > 1 {
            let op = ops::DepthwiseConv2d {
                window,
                in_c: in_c as u32,
                multiplier: (out_c / in_c) as u32,
                zero_point_in,
                output,
                acc_bound: layer.acc_bound,
            };
            let weights = swap_axes(&layer.narrow(), out_c, kernel_h * kernel_w);
            let operands = self.layer_operands(
                node,
                input,
                &layer,
                (vec![kernel_h, kernel_w, out_c], weights),
                bias,
            );
            return self.finish(node, DeviceOp::DepthwiseConv2d(op), operands);
        }
        let op = ops::Conv2d {
            window,
            in_c: in_c as u32,
            out_c: out_c as u32,
            groups: groups as u32,
            zero_point_in,
            output,
            layout: WeightLayout::Portable,
            acc_bound: layer.acc_bound,
        };
        let operands = self.layer_operands(node, input, &layer, (w, layer.narrow()), bias);
        self.finish(node, DeviceOp::Conv2d(op), operands)
    }

    pub(super) fn transpose_conv_2d(
        &mut self,
        node: &Node,
        window: &Window,
        output_padding: [usize; 2],
        groups: usize,
    ) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let real = self.real_layer(node)?;
        let (x, w, y) = (
            self.input_shape(node, 0).to_vec(),
            self.input_shape(node, 1).to_vec(),
            self.output_shape(node),
        );
        let &[out_c, kernel_h, kernel_w, group_in_c] = w.as_slice() else {
            return Err(unsupported(
                node,
                format!("weights have {} axes and not 4", w.len()),
                "use 1-D or 2-D convolutions",
            ));
        };
        let sizes = window_2d(node, window, [kernel_h, kernel_w], &x, &y)?;
        let apart = window.stride == [kernel_h, kernel_w]
            && window.dilation == [1, 1]
            && window.pad_before == [0, 0]
            && window.pad_after == [0, 0]
            && output_padding == [0, 0]
            && groups == 1;
        if apart && self.passes.split_transpose_conv {
            return self.transpose_conv_2d_apart(
                node,
                input,
                real,
                [out_c, kernel_h, kernel_w, group_in_c],
                &x,
            );
        }
        let output = output_s8(node, self.output_params(node)?);
        let layer = self.integer_layer(node, &real, input)?;
        if let Some(channel) = layer.wide_channels().first() {
            return Err(unsupported(
                node,
                format!("weights of output channel {channel} are more than 127 steps from zero"),
                "convert the float model it was made from",
            ));
        }
        let op = ops::TransposeConv2d {
            window: sizes,
            in_c: (group_in_c * groups) as u32,
            out_c: out_c as u32,
            groups: groups as u32,
            zero_point_in: input.qparams.zero_point as i8,
            output,
            acc_bound: layer.acc_bound,
        };
        // Taps that reach nothing are left out, so the zero point is not folded in.
        let bias = layer.bias.clone();
        let operands = self.layer_operands(node, input, &layer, (w, layer.narrow()), bias);
        self.finish(node, DeviceOp::TransposeConv2d(op), operands)
    }

    /// Outputs of one input pixel do not meet those of another: a 1x1 convolution makes them all as channels, and an interleave puts them
    /// into place. Every tap then has its own scale, and the fast kernels serve.
    fn transpose_conv_2d_apart(
        &mut self,
        node: &Node,
        input: Placed,
        real: Real,
        [out_c, kernel_h, kernel_w, in_c]: [usize; 4],
        x: &[usize],
    ) -> Result<(), CompileError> {
        let taps = kernel_h * kernel_w;
        let mut spread = Real {
            weights: Vec::with_capacity(real.weights.len()),
            bias: Vec::new(),
            chosen: None,
            scales: real.scales.map(|scales| scales.repeat(taps)),
        };
        for tap in 0..taps {
            for oc in 0..out_c {
                let row = (oc * taps + tap) * in_c;
                spread
                    .weights
                    .extend_from_slice(&real.weights[row..row + in_c]);
            }
            spread.bias.extend_from_slice(&real.bias);
        }
        let qparams = self.output_params(node)?;
        let output = output_s8(node, qparams);
        let layer = self.integer_layer(node, &spread, input)?;
        let bias = layer.folded_bias(input.qparams.zero_point);
        let (h, w) = (x[1], x[2]);
        let step = Window {
            stride: [1, 1],
            dilation: [1, 1],
            pad_before: [0, 0],
            pad_after: [0, 0],
        };
        let shape = vec![1, h, w, taps * out_c];
        let op = ops::Conv2d {
            window: window_2d(node, &step, [1, 1], x, &shape)?,
            in_c: in_c as u32,
            out_c: (taps * out_c) as u32,
            groups: 1,
            zero_point_in: input.qparams.zero_point as i8,
            output,
            layout: WeightLayout::Portable,
            acc_bound: layer.acc_bound,
        };
        let weights = (vec![taps * out_c, 1, 1, in_c], layer.narrow());
        let operands = self.layer_operands(node, input, &layer, weights, bias);
        let spread = self.push(node, "taps", DeviceOp::Conv2d(op), operands, shape, qparams)?;
        let interleave = ops::Transpose {
            in_shape: [
                h as u32,
                w as u32,
                kernel_h as u32,
                (kernel_w * out_c) as u32,
            ],
            order: [0, 2, 1, 3],
        };
        self.finish(node, DeviceOp::Transpose(interleave), vec![spread.operand])
    }

    pub(super) fn fully_connected(&mut self, node: &Node) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let real = self.real_layer(node)?;
        let w = self.input_shape(node, 1).to_vec();
        let &[out_c, in_c] = w.as_slice() else {
            return Err(unsupported(
                node,
                format!("weights have {} axes and not 2", w.len()),
                "multiply by a matrix",
            ));
        };
        let rows = self.input_shape(node, 0).iter().product::<usize>() / in_c.max(1);
        let output = output_s8(node, self.output_params(node)?);
        let layer = self.integer_layer(node, &real, input)?;
        let op = ops::FullyConnected {
            rows: rows as u32,
            in_c: in_c as u32,
            out_c: out_c as u32,
            output,
            layout: WeightLayout::Portable,
            acc_bound: layer.acc_bound,
        };
        let bias = layer.folded_bias(input.qparams.zero_point);
        let operands = self.layer_operands(node, input, &layer, (w, layer.narrow()), bias);
        self.finish(node, DeviceOp::FullyConnected(op), operands)
    }

    /// `x * factor[c] + offset[c]` on the innermost axis: a depthwise convolution of one tap, whose factors have a scale each.
    pub(super) fn scale_channels(
        &mut self,
        node: &Node,
        x: usize,
        factors: &[f32],
        offsets: &[f32],
    ) -> Result<(), CompileError> {
        let input = self.input(node, x)?;
        let shape = self.input_shape(node, x).to_vec();
        let channels = factors.len();
        let [h, w] = two_sizes(&shape[..shape.len().saturating_sub(1)])
            .ok_or_else(|| batch_refused(node, shape.first().copied().unwrap_or(0)))?;
        let real = Real {
            weights: factors.to_vec(),
            bias: offsets.to_vec(),
            chosen: None,
            scales: None,
        };
        let output = output_s8(node, self.output_params(node)?);
        let layer = self.integer_layer(node, &real, input)?;
        let step = Window {
            stride: [1, 1],
            dilation: [1, 1],
            pad_before: [0, 0],
            pad_after: [0, 0],
        };
        let picture = [1, h, w, channels];
        let op = ops::DepthwiseConv2d {
            window: window_2d(node, &step, [1, 1], &picture, &picture)?,
            in_c: channels as u32,
            multiplier: 1,
            zero_point_in: input.qparams.zero_point as i8,
            output,
            acc_bound: layer.acc_bound,
        };
        let bias = layer.folded_bias(input.qparams.zero_point);
        let weights = (vec![1, 1, channels], layer.narrow());
        let operands = self.layer_operands(node, input, &layer, weights, bias);
        self.finish(node, DeviceOp::DepthwiseConv2d(op), operands)
    }
}

/// `[rows, columns]` into `[columns, rows]`.
fn swap_axes(values: &[i8], rows: usize, columns: usize) -> Vec<i8> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}

/// Sizes as a product of two that the format can hold.
fn two_sizes(sizes: &[usize]) -> Option<[usize; 2]> {
    let limit = ops::MAX_SIZE as usize;
    let inner_axes =
        (0..=sizes.len()).find(|&first| sizes[first..].iter().product::<usize>() <= limit)?;
    let outer = sizes[..inner_axes].iter().product::<usize>();
    (outer <= limit).then(|| [outer, sizes[inner_axes..].iter().product()])
}
