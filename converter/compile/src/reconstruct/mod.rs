//! Weights and biases of every layer, chosen by what the quantized network computes.
//!
//! The network runs side by side in float and quantized, layer by layer, with calibration samples. At a layer with weights the quantized inputs of all samples are
//! known, and so are the float outputs. The integers of its weights are those of the least squared error on these inputs (`rounding`), and its bias brings
//! the mean of each output channel to that of float: what rounding and clipping have moved, here and in all layers before, is moved back.
//!
//! Only the activations between finished and unfinished layers are in memory; samples are left out where those of all would not fit.

mod gather;
mod linear;
mod moments;
mod rounding;

use ocellus_format::QParams;
use ocellus_ir::exec::eval;
use ocellus_ir::{Graph, Node, Op, TensorId, View};
use rayon::prelude::*;

use crate::CompileError;
use crate::calibrate::Calibration;
use crate::progress::{Count, Stage, Tell};
use crate::quantize::channels::{
    ChosenWeights, RealLayer, WEIGHT_MAX, channel_scale, quantize_layer,
};
use crate::quantize::{Quantization, params};
use gather::Layer;
use moments::Moments;
use rounding::Rounder;

/// Bytes of activations that are kept between layers.
const FRONTIER_BYTES: usize = 320 << 20;

/// Inputs of an output above which weights are rounded one by one: the matrices grow with the square.
const TAPS_MAX: usize = 4096;

/// Rows that a layer's sums are made of: this many for each input of an output, and at least [`ROWS_MIN`].
const ROWS_PER_TAP: usize = 16;
const ROWS_MIN: usize = 4096;

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The weights of a layer are rounded together; otherwise each to its nearest integer.
    pub weights: bool,
    /// Biases bring the means of outputs to those of float; otherwise they stay.
    pub bias: bool,
}

/// Integers of weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenIntegers {
    /// `[out_c, taps]`.
    pub weights: Vec<i8>,
    /// One an output channel.
    pub scales: Vec<f64>,
}

/// A layer with weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ReconstructedLayer {
    /// `None` where each weight is rounded to the nearest integer.
    pub weights: Option<ChosenIntegers>,
    /// One an output channel, in real numbers.
    pub bias: Vec<f32>,
}

/// What was chosen, by the tensor that a layer writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reconstruction {
    layers: Vec<Option<ReconstructedLayer>>,
}

impl Reconstruction {
    /// What was chosen for the layer that writes a tensor.
    pub fn layer(&self, output: TensorId) -> Option<&ReconstructedLayer> {
        self.layers.get(output.0)?.as_ref()
    }
}

/// A tensor of one sample.
#[derive(Clone, Debug)]
struct Activation {
    float: Vec<f32>,
    int8: Vec<i8>,
}

impl Activation {
    fn new(float: Vec<f32>, quantized: &[f32], params: QParams) -> Activation {
        let int8 = quantized
            .iter()
            .map(|&v| params::quantize_value(params, f64::from(v)))
            .collect();
        Activation { float, int8 }
    }
}

/// Real numbers of quantized values.
fn real(values: &[i8], params: QParams) -> Vec<f32> {
    let mut table = [0.0; 256];
    for (value, q) in table.iter_mut().zip(-128..=127) {
        *value = params.dequantize(q);
    }
    values
        .iter()
        .map(|&q| table[(i32::from(q) + 128) as usize])
        .collect()
}

struct Sequence<'a> {
    graph: &'a Graph,
    quantization: &'a Quantization,
    choice: Choice,
    /// By sample and tensor.
    activations: Vec<Vec<Option<Activation>>>,
}

/// Chooses the integers of weights and the biases, and tells of each layer.
///
/// # Errors
/// [`CompileError::Sample`], [`CompileError::NotCalibrated`]
pub fn reconstruct(
    graph: &Graph,
    calibration: &Calibration,
    quantization: &Quantization,
    choice: Choice,
    tell: &Tell<'_>,
) -> Result<Reconstruction, CompileError> {
    let (dead_after, peak_elements) = lifetimes(graph);
    let count = FRONTIER_BYTES / (peak_elements * 5).max(1);
    let samples = calibration.kept_samples(count.max(1));
    let mut sequence = Sequence {
        graph,
        quantization,
        choice,
        activations: Vec::with_capacity(samples.len()),
    };
    for sample in samples {
        let mut row: Vec<Option<Activation>> = vec![None; graph.tensors.len()];
        for (input, values) in graph.inputs.iter().zip(sample) {
            let view = View {
                shape: &input.shape,
                data: &values,
            };
            let order = Op::Transpose {
                order: input.order.clone(),
            };
            let values =
                eval(&order, None, &[view]).map_err(|e| sequence.broken(&input.name, e))?;
            let params = quantization.params(graph, input.tensor)?;
            let quantized = values.clone();
            row[input.tensor.0] = Some(Activation::new(values, &quantized, params));
        }
        sequence.activations.push(row);
    }
    let mut reconstruction = Reconstruction {
        layers: vec![None; graph.tensors.len()],
    };
    if sequence.activations.is_empty() {
        return Ok(reconstruction);
    }
    let layers = Count::new(tell, Stage::Layers, graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let layer = sequence.node(node)?;
        reconstruction.layers[node.output.0] = layer;
        for &id in &dead_after[index] {
            for sample in &mut sequence.activations {
                sample[id.0] = None;
            }
        }
        layers.one();
    }
    Ok(reconstruction)
}

/// For each node the tensors that nothing reads after it, and the most elements that are alive at once.
fn lifetimes(graph: &Graph) -> (Vec<Vec<TensorId>>, usize) {
    let mut last = vec![None; graph.tensors.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for id in node.inputs.iter().chain([&node.output]) {
            last[id.0] = Some(index);
        }
    }
    let mut dead_after = vec![Vec::new(); graph.nodes.len()];
    for (tensor, last) in last.into_iter().enumerate() {
        if let Some(index) = last {
            dead_after[index].push(TensorId(tensor));
        }
    }
    let len = |id: TensorId| {
        let tensor = graph.tensor(id);
        if tensor.value.is_some() {
            0
        } else {
            tensor.len()
        }
    };
    let mut alive: usize = graph.inputs.iter().map(|input| len(input.tensor)).sum();
    let mut peak = alive;
    for (node, dead) in graph.nodes.iter().zip(&dead_after) {
        alive += len(node.output);
        peak = peak.max(alive);
        alive -= dead.iter().map(|&id| len(id)).sum::<usize>().min(alive);
    }
    (dead_after, peak)
}

impl Sequence<'_> {
    fn broken(&self, name: &str, source: ocellus_ir::ShapeError) -> CompileError {
        CompileError::Sample {
            sample: 0,
            source: ocellus_ir::ExecError::Operator {
                name: name.to_owned(),
                source,
            },
        }
    }

    /// A node on one sample's values, in float or quantized, without its fused limit; `replaced` stand for its constants.
    fn run(
        &self,
        node: &Node,
        sample: &[Option<Activation>],
        quantized: bool,
        replaced: Option<(&[f32], &[f32])>,
    ) -> Result<Vec<f32>, CompileError> {
        let mut inputs: Vec<std::borrow::Cow<'_, [f32]>> = Vec::with_capacity(node.inputs.len());
        for (position, &id) in node.inputs.iter().enumerate() {
            let tensor = self.graph.tensor(id);
            inputs.push(match (replaced, position, &tensor.value, &sample[id.0]) {
                (Some((weights, _)), 1, ..) => weights.into(),
                (Some((_, bias)), 2, ..) => bias.into(),
                (_, _, Some(value), _) => value.as_ref().into(),
                (_, _, None, Some(activation)) if quantized => {
                    real(&activation.int8, self.quantization.params(self.graph, id)?).into()
                }
                (_, _, None, Some(activation)) => activation.float.as_slice().into(),
                (_, _, None, None) => {
                    return Err(CompileError::NotCalibrated {
                        tensor: tensor.name.clone(),
                    });
                }
            });
        }
        let bias_shape;
        let mut views: Vec<View<'_>> = node
            .inputs
            .iter()
            .zip(&inputs)
            .map(|(&id, data)| View {
                shape: &self.graph.tensor(id).shape,
                data,
            })
            .collect();
        if let (Some((_, bias)), 2) = (replaced, views.len()) {
            bias_shape = [bias.len()];
            views.push(View {
                shape: &bias_shape,
                data: bias,
            });
        }
        eval(&node.op, None, &views).map_err(|e| self.broken(&node.name, e))
    }

    /// Runs a node on all samples; what was chosen, where it is a layer with weights.
    fn node(&mut self, node: &Node) -> Result<Option<ReconstructedLayer>, CompileError> {
        let params = self.quantization.params(self.graph, node.output)?;
        let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let is_layer = matches!(
            node.op,
            Op::Conv2d { .. } | Op::TransposeConv2d { .. } | Op::FullyConnected
        );
        let is_layer = is_layer && self.graph.tensor(node.inputs[1]).value.is_some();
        let mut float: Vec<Vec<f32>> = self
            .activations
            .par_iter()
            .map(|sample| self.run(node, sample, false, None))
            .collect::<Result<_, _>>()?;
        let (layer, replaced) = match is_layer {
            true => self
                .layer(node, &float)?
                .map_or((None, None), |(layer, weights)| {
                    (Some(layer), Some(weights))
                }),
            false => (None, None),
        };
        let replaced = replaced
            .as_ref()
            .zip(layer.as_ref())
            .map(|(weights, layer)| (weights.as_slice(), layer.bias.as_slice()));
        let quantized: Vec<Vec<f32>> = self
            .activations
            .par_iter()
            .map(|sample| self.run(node, sample, true, replaced))
            .collect::<Result<_, _>>()?;
        for ((sample, float), mut quantized) in
            self.activations.iter_mut().zip(&mut float).zip(quantized)
        {
            for values in [&mut *float, &mut quantized] {
                for value in values.iter_mut() {
                    *value = value.max(low).min(high);
                }
            }
            sample[node.output.0] =
                Some(Activation::new(std::mem::take(float), &quantized, params));
        }
        Ok(layer)
    }

    /// Chooses a layer's weights and bias; also its weights in real numbers.
    fn layer(
        &self,
        node: &Node,
        float: &[Vec<f32>],
    ) -> Result<Option<(ReconstructedLayer, Vec<f32>)>, CompileError> {
        let graph = self.graph;
        let input = self.quantization.params(graph, node.inputs[0])?;
        let output = self.quantization.params(graph, node.output)?;
        let constant = |position: usize| {
            let id = node.inputs.get(position);
            id.and_then(|id| graph.tensor(*id).value.as_deref())
        };
        let Some(weights) = constant(1) else {
            return Ok(None);
        };
        if graph.tensor(node.inputs[1]).grid.is_some() {
            // The source file has chosen.
            return Ok(None);
        }
        let out_c = graph.tensor(node.inputs[1]).shape.first().copied();
        let out_c = out_c.unwrap_or(0);
        let bias = constant(2).map_or_else(|| vec![0.0; out_c], <[f32]>::to_vec);
        let mut chosen = None;
        if let (true, Some(form)) = (self.choice.weights, Layer::of(graph, node))
            && form.taps <= TAPS_MAX
        {
            chosen = self.rounded(node, &form, weights, &bias)?;
        }
        let integers = quantize_layer(RealLayer {
            weights,
            bias: &bias,
            input,
            output,
            chosen: chosen.as_ref().map(Into::into),
            of_file: None,
        });
        let Ok(integers) = integers else {
            // Lowering will say what is wrong.
            return Ok(None);
        };
        // What it became: a channel is rounded anew where its accumulator could overflow.
        let weights = dequantized(&integers.narrow(), &integers.scales);
        if !self.choice.bias {
            let layer = ReconstructedLayer {
                weights: chosen,
                bias,
            };
            return Ok(Some((layer, weights)));
        }
        let sums: Vec<Vec<f64>> = self
            .activations
            .par_iter()
            .zip(float)
            .map(|(sample, float)| {
                let quantized = self.run(node, sample, true, Some((&weights, &bias)))?;
                let mut sums = vec![0.0; out_c];
                for (float, quantized) in float.chunks(out_c).zip(quantized.chunks(out_c)) {
                    for (sum, (float, quantized)) in
                        sums.iter_mut().zip(float.iter().zip(quantized))
                    {
                        *sum += f64::from(*float) - f64::from(*quantized);
                    }
                }
                Ok(sums)
            })
            .collect::<Result<_, CompileError>>()?;
        let rows = float
            .iter()
            .map(|values| values.len() / out_c.max(1))
            .sum::<usize>() as f64;
        let bias = (0..out_c)
            .map(|oc| {
                let error: f64 = sums.iter().map(|sums| sums[oc]).sum();
                (f64::from(bias[oc]) + error / rows.max(1.0)) as f32
            })
            .collect();
        let layer = ReconstructedLayer {
            weights: chosen,
            bias,
        };
        Ok(Some((layer, weights)))
    }

    /// Rounds a layer's weights together.
    fn rounded(
        &self,
        node: &Node,
        form: &Layer,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Option<ChosenIntegers>, CompileError> {
        let input = self.quantization.params(self.graph, node.inputs[0])?;
        let output = self.quantization.params(self.graph, node.output)?;
        let (step_in, step_out) = (f64::from(input.scale), f64::from(output.scale));
        let Layer {
            groups,
            taps,
            outputs,
            positions,
            ..
        } = *form;
        if taps == 0 || outputs == 0 || positions == 0 {
            return Ok(None);
        }
        let wanted = (ROWS_PER_TAP * taps).max(ROWS_MIN);
        let rows = wanted.div_ceil(self.activations.len()).min(positions);
        let mut moments: Vec<Moments> = (0..groups).map(|_| Moments::new(taps)).collect();
        for (number, sample) in self.activations.iter().enumerate() {
            let Some(activation) = &sample[node.inputs[0].0] else {
                return Ok(None);
            };
            let steps: Vec<f32> = activation
                .int8
                .iter()
                .map(|&q| (i32::from(q) - input.zero_point) as f32)
                .collect();
            // Spread over the picture, with another beginning for each sample.
            let first = number * positions / 7;
            moments
                .par_iter_mut()
                .enumerate()
                .for_each(|(group, moments)| {
                    let mut x = Vec::with_capacity(rows * taps);
                    for row in 0..rows {
                        let position = (first + row * positions / rows) % positions;
                        form.gather(&steps, position, group, &mut x);
                    }
                    moments.add(&x);
                });
        }
        let scales: Vec<f64> = weights
            .chunks(taps)
            .zip(bias)
            .map(|(row, &bias)| {
                let largest = row.iter().fold(0f64, |a, &w| a.max(f64::from(w).abs()));
                // A row of zeros stays one at any scale.
                channel_scale(largest, f64::from(bias), step_in, step_out)
                    .map_or(1.0, |(scale, _)| scale)
            })
            .collect();
        let rounded: Option<Vec<Vec<i8>>> = moments
            .par_iter()
            .zip(weights.par_chunks(outputs * taps))
            .zip(scales.par_chunks(outputs))
            .map(|((moments, weights), scales)| {
                Some(Rounder::new(moments, WEIGHT_MAX)?.round(weights, scales))
            })
            .collect();
        Ok(rounded.map(|rows| ChosenIntegers {
            weights: rows.concat(),
            scales,
        }))
    }
}

/// Weights in real numbers.
fn dequantized(weights: &[i8], scales: &[f64]) -> Vec<f32> {
    let taps = weights.len() / scales.len().max(1);
    weights
        .chunks(taps.max(1))
        .zip(scales)
        .flat_map(|(row, scale)| row.iter().map(move |&q| (f64::from(q) * scale) as f32))
        .collect()
}

impl<'a> From<&'a ChosenIntegers> for ChosenWeights<'a> {
    fn from(chosen: &'a ChosenIntegers) -> ChosenWeights<'a> {
        ChosenWeights {
            weights: &chosen.weights,
            scales: &chosen.scales,
        }
    }
}
