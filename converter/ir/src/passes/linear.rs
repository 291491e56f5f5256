//! Factors and offsets a channel, taken into the weights and biases of a neighbouring layer. A BatchNorm is one of each.

use super::edit::Links;
use crate::masks::HIDES;
use crate::{BinaryOp, Graph, GraphError, Grid, Op, TensorId, UnaryOp};

/// `scale * x + offset` along the innermost axis; one entry, or one a channel.
struct Linear {
    x: TensorId,
    scale: Vec<f32>,
    offset: Vec<f32>,
}

impl Linear {
    fn of(graph: &Graph, index: usize) -> Option<Self> {
        let node = &graph.nodes[index];
        let x = *node.inputs.first()?;
        if let Op::Unary(UnaryOp::Affine { scale, offset }) = node.op {
            return Some(Self {
                x,
                scale: vec![scale],
                offset: vec![offset],
            });
        }
        let Op::Binary(op @ (BinaryOp::Add | BinaryOp::Mul)) = node.op else {
            return None;
        };
        let constant = *node.inputs.get(1)?;
        let value = graph.constant(constant)?.to_vec();
        let (&inner, outer) = graph.shape(constant).split_last().unwrap_or((&1, &[]));
        let per_channel = outer.iter().all(|&size| size == 1)
            && graph
                .shape(x)
                .last()
                .is_some_and(|&c| inner == c || inner == 1);
        if !per_channel || graph.shape(x) != graph.shape(node.output) {
            return None;
        }
        Some(match op {
            BinaryOp::Add => Self {
                x,
                scale: vec![1.0],
                offset: value,
            },
            _ => Self {
                x,
                scale: value,
                offset: vec![0.0],
            },
        })
    }

    fn scale(&self, channel: usize) -> f32 {
        self.scale[channel % self.scale.len()]
    }

    fn offset(&self, channel: usize) -> f32 {
        self.offset[channel % self.offset.len()]
    }

    fn has_factor(&self) -> bool {
        self.scale.iter().any(|&s| s != 1.0)
    }

    fn has_offset(&self) -> bool {
        self.offset.iter().any(|&o| o != 0.0)
    }
}

/// Weights and biases of a layer, where both are constants.
struct Layer {
    weights: Vec<f32>,
    bias: Vec<f32>,
    channels: usize,
    had_bias: bool,
    /// Of the weights.
    grid: Option<Grid>,
}

impl Layer {
    fn of(graph: &Graph, index: usize) -> Option<Self> {
        let node = &graph.nodes[index];
        if !matches!(
            node.op,
            Op::Conv2d { .. } | Op::TransposeConv2d { .. } | Op::FullyConnected
        ) {
            return None;
        }
        let weights = graph.constant(*node.inputs.get(1)?)?.to_vec();
        let channels = *graph.shape(node.inputs[1]).first()?;
        let bias = match node.inputs.get(2) {
            Some(bias) => graph.constant(*bias)?.to_vec(),
            None => vec![0.0; channels],
        };
        (channels > 0 && !weights.is_empty()).then_some(Self {
            weights,
            bias,
            channels,
            had_bias: node.inputs.len() > 2,
            grid: graph.grid(node.inputs[1]).cloned(),
        })
    }

    /// Weights that are steps of the source file stay what they are; a bias takes an offset.
    fn takes(&self, linear: &Linear) -> bool {
        self.grid.is_none() || !linear.has_factor()
    }

    /// Gives a node new weights; false, and no change, where a number has left the range of `f32`.
    fn store(self, graph: &mut Graph, index: usize) -> bool {
        if !self.weights.iter().chain(&self.bias).all(|v| v.is_finite()) {
            return false;
        }
        let node = &graph.nodes[index];
        let (name, old) = (node.name.clone(), node.inputs.clone());
        let weights = graph.tensor(old[1]);
        let weights = (weights.name.clone(), weights.shape.clone());
        let mut inputs = vec![
            old[0],
            graph.add_constant(weights.0, weights.1, self.weights),
        ];
        graph.tensors[inputs[1].0].grid = self.grid;
        if self.had_bias || self.bias.iter().any(|&b| b != 0.0) {
            let bias = old
                .get(2)
                .map_or(format!("{name}.bias"), |id| graph.tensor(*id).name.clone());
            inputs.push(graph.add_constant(bias, vec![self.channels], self.bias));
        }
        graph.nodes[index].inputs = inputs;
        true
    }
}

pub(super) fn fold_after(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let is_mask = |linear: &Linear| linear.offset.iter().any(|&offset| offset < HIDES);
    let Some(linear) = Linear::of(graph, index).filter(|linear| !is_mask(linear)) else {
        return Ok(false);
    };
    let Some(before) = links
        .producer(linear.x)
        .filter(|_| links.has_one_reader(linear.x) && graph.grid(linear.x).is_none())
    else {
        return Ok(false);
    };
    let Some(mut layer) = Layer::of(graph, before).filter(|layer| layer.takes(&linear)) else {
        return Ok(false);
    };
    let (own, next) = (graph.nodes[before].clamp, graph.nodes[index].clamp);
    // Limits in between scale with the values, where all channels agree and the order stays.
    let own = match own {
        Some((min, max))
            if linear.scale.len() == 1 && linear.offset.len() == 1 && linear.scale[0] > 0.0 =>
        {
            Some((
                min * linear.scale[0] + linear.offset[0],
                max * linear.scale[0] + linear.offset[0],
            ))
        }
        Some(_) => return Ok(false),
        None => None,
    };
    let row = layer.weights.len() / layer.channels;
    for (channel, weights) in layer.weights.chunks_exact_mut(row).enumerate() {
        weights.iter_mut().for_each(|w| *w *= linear.scale(channel));
        layer.bias[channel] = layer.bias[channel] * linear.scale(channel) + linear.offset(channel);
    }
    if !layer.store(graph, before) {
        return Ok(false);
    }
    let clamp = match (own, next) {
        (Some((low, high)), Some((min, max))) => {
            Some((low.max(min).min(max), high.max(min).min(max)))
        }
        (own, next) => own.or(next),
    };
    let output = graph.nodes[index].output;
    (graph.nodes[before].output, graph.nodes[before].clamp) = (output, clamp);
    graph.nodes.remove(index);
    Ok(true)
}

pub(super) fn fold_before(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let Some(&x) = graph.nodes[index].inputs.first() else {
        return Ok(false);
    };
    let Some(before) = links
        .producer(x)
        .filter(|&before| graph.nodes[before].clamp.is_none() && graph.grid(x).is_none())
    else {
        return Ok(false);
    };
    let Some(linear) = Linear::of(graph, before) else {
        return Ok(false);
    };
    // Otherwise the value and its multiple would both be kept.
    let all_fold = links.readers(x).iter().all(|&reader| {
        let node = &graph.nodes[reader];
        Layer::of(graph, reader).is_some_and(|layer| layer.takes(&linear))
            && node.inputs[0] == x
            && accepts(&node.op, &linear)
    });
    if links.is_output(x) || !all_fold {
        return Ok(false);
    }
    let Some(mut layer) = Layer::of(graph, index) else {
        return Ok(false);
    };
    let node = &graph.nodes[index];
    let shape = graph.shape(node.inputs[1]);
    let inner = shape.last().copied().unwrap_or(1);
    let groups = match node.op {
        Op::Conv2d { groups, .. } | Op::TransposeConv2d { groups, .. } => groups,
        _ => 1,
    };
    let row = layer.weights.len() / layer.channels;
    for (channel, weights) in layer.weights.chunks_exact_mut(row).enumerate() {
        let first = channel / (layer.channels / groups) * inner;
        for (i, w) in weights.iter_mut().enumerate() {
            layer.bias[channel] += *w * linear.offset(first + i % inner);
            *w *= linear.scale(first + i % inner);
        }
    }
    if !layer.store(graph, index) {
        return Ok(false);
    }
    graph.nodes[index].inputs[0] = linear.x;
    Ok(true)
}

/// Padding is zero behind the linear function, so an offset cannot pass it.
fn accepts(op: &Op, linear: &Linear) -> bool {
    match op {
        Op::FullyConnected => true,
        Op::Conv2d { window, .. } => window.is_unpadded() || !linear.has_offset(),
        Op::TransposeConv2d { .. } => !linear.has_offset(),
        _ => false,
    }
}
