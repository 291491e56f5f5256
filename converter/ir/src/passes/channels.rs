//! Channels that are constant or that nobody reads. They leave the layer that makes them and all that only hands them on; what a constant
//! adds to a layer behind becomes part of its bias.
//!
//! A channel is an index of the innermost axis. It is kept where an output of the model shows it, where an operator that is not known to work
//! channel by channel reads it, and where a channel that is kept needs it. A layer needs what it multiplies by a weight, unless that is a
//! constant: then the product is one too. A padded convolution sees padding instead at the borders, so there the constant must be what padding
//! stands for, zero. Operators that work channel by channel keep the channels of what they read.

use super::edit::Links;
use super::interval::{Interval, channels, intervals};
use crate::{Graph, GraphError, Grid, Node, Op, Tensor, TensorId};

/// How the channels of a node's output come from those of its inputs.
#[derive(Clone, Debug, PartialEq)]
enum Flow {
    /// Each from all, by weights.
    Layer {
        /// Constants other than zero may be folded.
        unpadded: bool,
    },
    /// So many from each.
    Depthwise(usize),
    /// Each from that of its number, of every input that has as many.
    Same,
    /// One input after the other.
    Joined,
    /// Chosen ones of input 0.
    Chosen(Vec<usize>),
    /// Those of input 0, over and over.
    Repeated,
    /// In ways that are not looked at.
    Unknown,
}

impl Flow {
    fn of(graph: &Graph, node: &Node) -> Self {
        let shape = |position: usize| {
            let id = node.inputs.get(position);
            id.map_or(&[][..], |id| graph.shape(*id))
        };
        let (x, y) = (shape(0), graph.shape(node.output));
        let (Some(last), Some(&in_c), Some(&out_c)) = (x.len().checked_sub(1), x.last(), y.last())
        else {
            return Flow::Unknown;
        };
        let mut others = node.inputs.iter().skip(1);
        let is_layer = node.inputs.len() > 1 && others.all(|id| graph.constant(*id).is_some());
        match &node.op {
            Op::Binary(_) => Flow::Same,
            Op::Concat { axis } if *axis == last => Flow::Joined,
            Op::Concat { .. } => Flow::Same,
            _ if graph.constant(node.inputs[0]).is_some() => Flow::Unknown,
            Op::Conv2d { window, groups: 1 } if is_layer => Flow::Layer {
                unpadded: window.is_unpadded(),
            },
            Op::TransposeConv2d { groups: 1, .. } if is_layer => Flow::Layer { unpadded: false },
            Op::FullyConnected if is_layer => Flow::Layer { unpadded: true },
            Op::Conv2d { groups, .. } if is_layer && *groups == in_c => {
                Flow::Depthwise(out_c / in_c.max(1))
            }
            Op::MaxPool2d { .. } | Op::AveragePool2d { .. } | Op::Resize { .. } => Flow::Same,
            Op::Unary(_) | Op::Function(_) | Op::Quantize => Flow::Same,
            Op::Prelu if graph.constant(node.inputs[1]).is_some() => Flow::Same,
            Op::Mean { axes, .. } if !axes.contains(&last) => Flow::Same,
            Op::Softmax { axis } if *axis != last => Flow::Same,
            Op::Slice { begin, step, .. } if step[last] == 1 => {
                Flow::Chosen((begin[last]..begin[last] + out_c).collect())
            }
            Op::Gather { axis, indices } if *axis == last => Flow::Chosen(indices.clone()),
            Op::Gather { .. } => Flow::Same,
            Op::Pad { before, after, .. } if before[last] + after[last] == 0 => Flow::Same,
            Op::Reshape { .. } if in_c > 0 && out_c.is_multiple_of(in_c) => Flow::Repeated,
            Op::Transpose { order } if order.last() == Some(&last) => Flow::Same,
            _ => Flow::Unknown,
        }
    }
}

/// Which channels stay.
struct Analysis<'g> {
    graph: &'g Graph,
    links: Links,
    flows: Vec<Flow>,
    constants: Vec<Vec<Interval>>,
    /// Constants of the graph are kept: what reads them takes of them what it needs.
    keep: Vec<Vec<bool>>,
    /// Channels whose neighbours have not been asked yet.
    queue: Vec<(TensorId, usize)>,
}

/// A weight that is smaller than the largest of its layer by this factor counts as zero: training with weight decay leaves channels of `1e-28`.
const NEGLIGIBLE: f32 = 1.0 / (1u64 << 40) as f32;

/// Removes channels; returns how many.
pub(super) fn remove_channels(graph: &mut Graph) -> Result<usize, GraphError> {
    let mut flushed = graph.clone();
    flush_weights(&mut flushed);
    let mut analysis = Analysis::of(&flushed);
    analysis.settle();
    let (keep, flows, constants) = (analysis.keep, analysis.flows, analysis.constants);
    let removed = graph
        .nodes
        .iter()
        .map(|node| keep[node.output.0].iter().filter(|kept| !**kept).count())
        .sum();
    if removed == 0 {
        return Ok(0);
    }
    *graph = flushed;
    for (index, flow) in flows.iter().enumerate() {
        shrink_node(graph, index, flow, &keep, &constants);
    }
    for node in &graph.nodes {
        let kept = keep[node.output.0].iter().filter(|kept| **kept).count();
        if let Some(last) = graph.tensors[node.output.0].shape.last_mut() {
            *last = kept;
        }
    }
    Ok(removed)
}

/// Writes negligible weights as zeros.
fn flush_weights(graph: &mut Graph) {
    for node in &graph.nodes {
        let (Op::Conv2d { .. } | Op::TransposeConv2d { .. } | Op::FullyConnected) = node.op else {
            continue;
        };
        let Some(weights) = (node.inputs.get(1)).and_then(|id| graph.tensors.get_mut(id.0)) else {
            continue;
        };
        let Some(values) = &weights.value else {
            continue;
        };
        let largest = values.iter().fold(0f32, |max, w| max.max(w.abs()));
        let small = |w: f32| w != 0.0 && w.abs() <= largest * NEGLIGIBLE;
        if values.iter().any(|&w| small(w)) {
            let flush = |&w: &f32| if small(w) { 0.0 } else { w };
            weights.value = Some(values.iter().map(flush).collect());
        }
    }
}

impl<'g> Analysis<'g> {
    fn of(graph: &'g Graph) -> Self {
        let mut analysis = Self {
            graph,
            links: Links::of(graph),
            flows: graph
                .nodes
                .iter()
                .map(|node| Flow::of(graph, node))
                .collect(),
            constants: intervals(graph),
            keep: graph
                .tensors
                .iter()
                .map(|tensor| vec![tensor.value.is_some(); channels(tensor)])
                .collect(),
            queue: Vec::new(),
        };
        let borders = graph.inputs.iter().map(|input| input.tensor);
        for id in borders.chain(
            graph
                .outputs
                .iter()
                .flat_map(|output| output.assembly.tensors()),
        ) {
            analysis.keep_all(id);
        }
        for index in 0..graph.nodes.len() {
            let node = &graph.nodes[index];
            let count = channels(graph.tensor(node.output));
            if analysis.flows[index] == Flow::Unknown {
                analysis.keep_all(node.output);
            }
            for &id in &node.inputs {
                // An operand of one channel serves all of them.
                let serves_all =
                    analysis.flows[index] == Flow::Same && channels(graph.tensor(id)) != count;
                if analysis.flows[index] == Flow::Unknown || serves_all {
                    analysis.keep_all(id);
                }
            }
        }
        analysis
    }

    fn keep_all(&mut self, id: TensorId) {
        for channel in 0..self.keep[id.0].len() {
            self.keep(id, channel);
        }
    }

    fn keep(&mut self, id: TensorId, channel: usize) {
        let kept = self.keep[id.0].get_mut(channel);
        if kept.is_some_and(|kept| !std::mem::replace(kept, true)) {
            self.queue.push((id, channel));
        }
    }

    /// Follows what the channels kept need, until all is kept that must be. A tensor keeps one channel at least.
    fn settle(&mut self) {
        loop {
            while let Some((id, channel)) = self.queue.pop() {
                if let Some(producer) = self.links.producer(id) {
                    self.keep_sources(producer, channel);
                }
                for reader in self.links.readers(id).to_vec() {
                    self.keep_results(reader, id, channel);
                }
            }
            let empty = self.graph.nodes.iter().map(|node| node.output);
            let Some(empty) = empty
                .filter(|id| !self.keep[id.0].is_empty())
                .find(|id| !self.keep[id.0].contains(&true))
            else {
                return;
            };
            self.keep(empty, 0);
        }
    }

    /// What a channel of a node's output needs.
    fn keep_sources(&mut self, index: usize, channel: usize) {
        let graph = self.graph;
        let node = &graph.nodes[index];
        let x = node.inputs[0];
        match self.flows[index].clone() {
            Flow::Layer { unpadded } => {
                let weights = graph.tensor(node.inputs[1]);
                let values = weights.value.as_deref().unwrap_or_default();
                let in_c = channels(weights);
                let row = values.len() / weights.shape.first().copied().unwrap_or(1).max(1);
                let values = values.iter().skip(channel * row).take(row);
                for (i, _) in values.enumerate().filter(|(_, w)| **w != 0.0) {
                    if !self.folds(x, i % in_c, unpadded) {
                        self.keep(x, i % in_c);
                    }
                }
            }
            Flow::Depthwise(each) => self.keep(x, channel / each.max(1)),
            Flow::Same => {
                for &id in &node.inputs {
                    if self.keep[id.0].len() == self.keep[node.output.0].len() {
                        self.keep(id, channel);
                    }
                }
            }
            Flow::Joined => {
                let mut first = 0;
                for &id in &node.inputs {
                    let count = self.keep[id.0].len();
                    if (first..first + count).contains(&channel) {
                        self.keep(id, channel - first);
                    }
                    first += count;
                }
            }
            Flow::Chosen(from) => self.keep(x, from[channel]),
            Flow::Repeated => self.keep(x, channel % self.keep[x.0].len()),
            Flow::Unknown => {}
        }
    }

    /// What a node makes of a channel that it reads and that is there.
    fn keep_results(&mut self, index: usize, id: TensorId, channel: usize) {
        let node = &self.graph.nodes[index];
        let (output, count) = (node.output, self.keep[node.output.0].len());
        match self.flows[index].clone() {
            Flow::Depthwise(each) if node.inputs[0] == id => {
                (channel * each..(channel + 1) * each).for_each(|c| self.keep(output, c));
            }
            Flow::Same if self.keep[id.0].len() == count => self.keep(output, channel),
            Flow::Joined => {
                let mut first = 0;
                for &input in &node.inputs {
                    if input == id {
                        self.keep(output, first + channel);
                    }
                    first += self.keep[input.0].len();
                }
            }
            Flow::Chosen(from) => {
                let chosen = from
                    .iter()
                    .enumerate()
                    .filter(|(_, from)| **from == channel);
                chosen.for_each(|(c, _)| self.keep(output, c));
            }
            Flow::Repeated => {
                let step = self.keep[id.0].len().max(1);
                (channel..count)
                    .step_by(step)
                    .for_each(|c| self.keep(output, c));
            }
            Flow::Layer { .. } | Flow::Depthwise(_) | Flow::Same | Flow::Unknown => {}
        }
    }

    /// True where a channel is a constant that the bias of a layer can take over.
    fn folds(&self, id: TensorId, channel: usize, unpadded: bool) -> bool {
        let value = self.constants[id.0].get(channel).and_then(|i| i.constant());
        value.is_some_and(|value| unpadded || value == 0.0)
    }
}

/// Numbers of the channels that are kept.
fn kept(keep: &[bool]) -> Vec<usize> {
    (0..keep.len()).filter(|&channel| keep[channel]).collect()
}

/// Gives a node the parameters and constants of the channels that are kept.
fn shrink_node(
    graph: &mut Graph,
    index: usize,
    flow: &Flow,
    keep: &[Vec<bool>],
    constants: &[Vec<Interval>],
) {
    let node = graph.nodes[index].clone();
    let x = node.inputs[0];
    let outputs = kept(&keep[node.output.0]);
    let inputs = kept(&keep[x.0]);
    if outputs.len() == keep[node.output.0].len() && inputs.len() == keep[x.0].len() {
        return;
    }
    match flow {
        Flow::Layer { .. } => {
            let bias = folded_bias(graph, &node, &keep[x.0], &constants[x.0]);
            let weights = graph.tensor(node.inputs[1]);
            let innermost = weights.shape.len() - 1;
            let weights = select(&select(weights, 0, &outputs), innermost, &inputs);
            let mut new = vec![x, graph.add(weights)];
            if let Some(bias) = bias {
                new.push(graph.add(select(&bias, 0, &outputs)));
            }
            graph.nodes[index].inputs = new;
        }
        Flow::Depthwise(_) => {
            for position in 1..node.inputs.len() {
                let part = select(graph.tensor(node.inputs[position]), 0, &outputs);
                graph.nodes[index].inputs[position] = graph.add(part);
            }
        }
        Flow::Same => {
            for position in 0..node.inputs.len() {
                let tensor = graph.tensor(node.inputs[position]);
                let last = tensor.shape.len().saturating_sub(1);
                if tensor.value.is_some() && channels(tensor) == keep[node.output.0].len() {
                    let part = select(tensor, last, &outputs);
                    graph.nodes[index].inputs[position] = graph.add(part);
                }
            }
        }
        Flow::Joined => {
            let mut first = 0;
            for position in 0..node.inputs.len() {
                let tensor = graph.tensor(node.inputs[position]);
                let (count, last) = (channels(tensor), tensor.shape.len() - 1);
                if tensor.value.is_some() {
                    let own = kept(&keep[node.output.0][first..first + count]);
                    let part = select(tensor, last, &own);
                    graph.nodes[index].inputs[position] = graph.add(part);
                }
                first += count;
            }
        }
        Flow::Chosen(_) | Flow::Repeated | Flow::Unknown => {}
    }
    let place = |channel: usize| inputs.partition_point(|&kept| kept < channel);
    match &mut graph.nodes[index].op {
        Op::Conv2d { groups, .. } if matches!(flow, Flow::Depthwise(_)) => *groups = inputs.len(),
        Op::Slice { begin, size, .. } => {
            if let (Some(begin), Some(size)) = (begin.last_mut(), size.last_mut()) {
                (*begin, *size) = match flow {
                    Flow::Chosen(from) => (place(from[outputs[0]]), outputs.len()),
                    _ => (*begin, *size),
                };
            }
        }
        Op::Gather { indices, .. } => {
            if let Flow::Chosen(from) = flow {
                *indices = outputs.iter().map(|&c| place(from[c])).collect();
            }
        }
        Op::Reshape { shape } => {
            if let Some(last) = shape.last_mut() {
                *last = outputs.len();
            }
        }
        _ => {}
    }
}

/// Chosen indices of one axis of a constant.
fn select(tensor: &Tensor, axis: usize, indices: &[usize]) -> Tensor {
    let values = tensor.value.as_deref().unwrap_or_default();
    let size = tensor.shape.get(axis).copied().unwrap_or(1);
    let inner: usize = tensor.shape.iter().skip(axis + 1).product();
    let mut chosen = Vec::with_capacity(values.len());
    for block in values.chunks((size * inner).max(1)) {
        for &index in indices {
            chosen.extend_from_slice(&block[index * inner..(index + 1) * inner]);
        }
    }
    let mut shape = tensor.shape.clone();
    if let Some(size) = shape.get_mut(axis) {
        *size = indices.len();
    }
    // Scales go with axis 0.
    let grid = tensor.grid.as_ref().map(|grid| Grid {
        scales: match grid.scales.len() {
            1 => grid.scales.clone(),
            _ if axis > 0 => grid.scales.clone(),
            _ => indices.iter().map(|&index| grid.scales[index]).collect(),
        },
        zero_point: grid.zero_point,
    });
    Tensor {
        name: tensor.name.clone(),
        shape,
        value: Some(chosen.into()),
        grid,
    }
}

/// The bias of a layer with what the constants among its inputs add, for every channel of its output; `None` where it has none and needs none.
///
/// Between grids the products are whole numbers of steps, and are added as such.
fn folded_bias(
    graph: &Graph,
    node: &Node,
    keep: &[bool],
    constants: &[Interval],
) -> Option<Tensor> {
    let (x, weights) = (graph.tensor(node.inputs[0]), graph.tensor(node.inputs[1]));
    let values = weights.value.as_deref().unwrap_or_default();
    let out_c = weights.shape.first().copied().unwrap_or(0);
    let (in_c, row) = (channels(weights), values.len() / out_c.max(1));
    let own = node.inputs.get(2).map(|id| graph.tensor(*id));
    let mut bias: Vec<f64> = match own.and_then(|bias| bias.value.as_deref()) {
        Some(values) => values.iter().copied().map(f64::from).collect(),
        None => vec![0.0; out_c],
    };
    let mut folds = false;
    for (oc, (bias, weights_row)) in bias.iter_mut().zip(values.chunks(row.max(1))).enumerate() {
        let steps = weights.grid.as_ref().zip(x.grid.as_ref()).map(|(w, x)| {
            let scale = w.scales.get(oc).copied().unwrap_or(w.scale());
            (f64::from(scale), f64::from(x.scale()))
        });
        // Real sum, or sum of whole steps.
        let mut sum = 0.0;
        for (i, &w) in weights_row.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            let value = match (keep[i % in_c], constants[i % in_c].constant()) {
                (false, Some(value)) if value != 0.0 => value,
                _ => continue,
            };
            sum += match steps {
                Some((w_step, x_step)) => {
                    (f64::from(w) / w_step).round() * (value / x_step).round()
                }
                None => f64::from(w) * value,
            };
        }
        if sum != 0.0 {
            folds = true;
            *bias = match steps {
                Some((w_step, x_step)) => (*bias / (w_step * x_step) + sum) * (w_step * x_step),
                None => *bias + sum,
            };
        }
    }
    if !folds {
        return own.cloned();
    }
    Some(Tensor {
        name: own.map_or_else(|| format!("{}.bias", node.name), |bias| bias.name.clone()),
        shape: vec![out_c],
        value: Some(bias.into_iter().map(|value| value as f32).collect()),
        grid: None,
    })
}
