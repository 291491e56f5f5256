//! Operators without effect, duplicates, and tensors nobody uses.

use super::edit::Links;
use crate::{Graph, GraphError, Grid, Op, TensorId, UnaryOp};

pub(super) fn remove_no_op(graph: &mut Graph, _: &Links, index: usize) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let Some(&x) = node.inputs.first() else {
        return Ok(false);
    };
    let (from, to) = (graph.shape(x), graph.shape(node.output));
    if from != to || node.clamp.is_some() {
        return Ok(false);
    }
    let nothing = match &node.op {
        Op::Reshape { .. } => true,
        Op::Transpose { order } => order.is_sorted(),
        Op::Slice { begin, .. } => begin.iter().all(|&b| b == 0),
        Op::Pad { .. } => true,
        Op::Gather { indices, .. } => indices.iter().enumerate().all(|(i, &index)| i == index),
        Op::Concat { .. } => node.inputs.len() == 1,
        Op::Resize { scale, .. } => *scale == [1.0, 1.0],
        Op::Mean { axes, .. } => axes.iter().all(|&axis| from[axis] == 1),
        Op::Quantize => graph.grid(x) == graph.grid(node.output),
        // A grid's ends are a limit too.
        Op::Unary(UnaryOp::Clip { min, max }) => {
            let (low, high) = graph
                .grid(x)
                .map_or((f32::NEG_INFINITY, f32::INFINITY), Grid::range);
            *min <= low && *max >= high
        }
        Op::Unary(UnaryOp::Affine { scale, offset }) => *scale == 1.0 && *offset == 0.0,
        Op::MaxPool2d { kernel, window } | Op::AveragePool2d { kernel, window, .. } => {
            *kernel == [1, 1] && window.is_unpadded() && window.stride == [1, 1]
        }
        _ => false,
    };
    if nothing && graph.grid(node.output).is_some() && graph.grid(node.output) != graph.grid(x) {
        graph.nodes[index].op = Op::Quantize;
    } else if nothing {
        graph.bypass_node(index, x);
    }
    Ok(nothing)
}

pub(super) fn remove_duplicate(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let Some(first) = node.inputs.first() else {
        return Ok(false);
    };
    let same_input = |a: TensorId, b: TensorId| {
        a == b
            || match (graph.constant(a), graph.constant(b)) {
                (Some(x), Some(y)) => {
                    graph.shape(a) == graph.shape(b)
                        && graph.grid(a) == graph.grid(b)
                        && (std::sync::Arc::ptr_eq(x, y) || (x.len() < 64 && x == y))
                }
                _ => false,
            }
    };
    let twin = links
        .readers(*first)
        .iter()
        .copied()
        .take_while(|&other| other < index)
        .find(|&other| {
            let other = &graph.nodes[other];
            other.op == node.op
                && other.clamp == node.clamp
                && graph.grid(other.output) == graph.grid(node.output)
                && other.inputs.len() == node.inputs.len()
                && other
                    .inputs
                    .iter()
                    .zip(&node.inputs)
                    .all(|(a, b)| same_input(*a, *b))
        });
    let Some(twin) = twin else { return Ok(false) };
    graph.bypass_node(index, graph.nodes[twin].output);
    Ok(true)
}

/// Drops tensors that no node, input or output names, and renumbers the others.
pub(super) fn remove_dead_tensors(graph: &mut Graph) {
    let mut number = vec![None; graph.tensors.len()];
    let nodes = graph
        .nodes
        .iter()
        .flat_map(|node| node.inputs.iter().chain([&node.output]).copied());
    let inputs = graph.inputs.iter().map(|input| input.tensor);
    for id in inputs.chain(nodes).chain(
        graph
            .outputs
            .iter()
            .flat_map(|output| output.assembly.tensors()),
    ) {
        number[id.0] = Some(0);
    }
    for (next, slot) in number.iter_mut().flatten().enumerate() {
        *slot = next;
    }
    let mut keep = number.iter().map(Option::is_some);
    graph.tensors.retain(|_| keep.next().unwrap_or(true));
    let renumber = |id: &mut TensorId| id.0 = number[id.0].unwrap_or(id.0);
    graph
        .inputs
        .iter_mut()
        .for_each(|input| renumber(&mut input.tensor));
    for node in &mut graph.nodes {
        node.inputs
            .iter_mut()
            .chain([&mut node.output])
            .for_each(renumber);
    }
    graph
        .outputs
        .iter_mut()
        .for_each(|output| output.assembly.for_each(&renumber));
}

impl crate::Assembly {
    fn for_each(&mut self, f: &impl Fn(&mut TensorId)) {
        match self {
            Self::Tensor(id) => f(id),
            Self::Reshape(inner, _) | Self::Transpose(inner, _) => inner.for_each(f),
            Self::Concat(parts, _) => parts.iter_mut().for_each(|part| part.for_each(f)),
        }
    }
}
