//! Channel shuffles: a reshape and a transpose that together permute one axis.

use super::edit::{Links, moves_nothing};
use crate::{Graph, GraphError, Op, View, eval};

/// Larger tensors are not tried: their numbers would not fit an `f32` exactly.
const MAX_SIMULATED: usize = 1 << 22;

/// Where each value comes from after a transpose of a tensor of that shape.
pub(super) fn sources(shape: &[usize], order: &[usize]) -> Option<Vec<usize>> {
    let len: usize = shape.iter().product();
    if len > MAX_SIMULATED {
        return None;
    }
    let numbers: Vec<f32> = (0..len).map(|i| i as f32).collect();
    let moved = eval(
        &Op::Transpose {
            order: order.to_vec(),
        },
        None,
        &[View {
            shape,
            data: &numbers,
        }],
    )
    .ok()?;
    Some(moved.into_iter().map(|v| v as usize).collect())
}

pub(super) fn to_gather(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let Op::Transpose { order } = &node.op else {
        return Ok(false);
    };
    let split = graph.shape(node.inputs[0]);
    let Some(reshape) = links
        .producer(node.inputs[0])
        .map(|before| &graph.nodes[before])
    else {
        return Ok(false);
    };
    if !matches!(reshape.op, Op::Reshape { .. }) || moves_nothing(split, order) {
        return Ok(false);
    }
    let source = reshape.inputs[0];
    if !graph.skips(source, reshape.output, node.output) {
        return Ok(false);
    }
    let Some((axis, indices)) =
        sources(split, order).and_then(|map| permuted_axis(graph.shape(source), &map))
    else {
        return Ok(false);
    };
    let (name, target) = (node.name.clone(), graph.shape(node.output).to_vec());
    let mut gather = graph.stage(
        format!("{name}.gather"),
        Op::Gather { axis, indices },
        &[source],
    )?;
    let reshape = graph.stage(
        format!("{name}.shape"),
        Op::Reshape { shape: target },
        &[gather.output],
    )?;
    gather.name = name;
    graph.replace_node(index, vec![gather, reshape]);
    Ok(true)
}

/// The axis of `shape` that `map` permutes, if it does nothing else.
fn permuted_axis(shape: &[usize], map: &[usize]) -> Option<(usize, Vec<usize>)> {
    let mut stride = map.len();
    for (axis, &size) in shape.iter().enumerate() {
        stride = stride.checked_div(size)?;
        let indices: Vec<_> = (0..size).map(|i| map[i * stride] / stride).collect();
        let matches = |i: usize| {
            i / (stride * size) * stride * size + indices[i / stride % size] * stride + i % stride
        };
        if size > 1
            && indices.iter().all(|&i| i < size)
            && map.iter().enumerate().all(|(i, &from)| from == matches(i))
        {
            return Some((axis, indices));
        }
    }
    None
}

/// A permutation of channels in front of a layer that reads them all.
pub(super) fn into_weights(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let (Op::Conv2d { groups: 1, .. } | Op::FullyConnected) = node.op else {
        return Ok(false);
    };
    let (x, weights) = (node.inputs[0], node.inputs[1]);
    let Some(before) = links
        .producer(x)
        .filter(|_| links.has_one_reader(x))
        .map(|before| &graph.nodes[before])
    else {
        return Ok(false);
    };
    let Op::Gather { axis, indices } = &before.op else {
        return Ok(false);
    };
    if axis + 1 != graph.shape(x).len()
        || !graph.is_as_before(before.inputs[0], x)
        || !crate::is_permutation(indices, graph.shape(before.inputs[0])[*axis])
    {
        return Ok(false);
    }
    let (source, mut columns) = (before.inputs[0], graph.tensor(weights).clone());
    let Some(old) = columns.value.take() else {
        return Ok(false);
    };
    columns.value = Some(permute_columns(&old, indices).into());
    let weights = graph.add(columns);
    let node = &mut graph.nodes[index];
    (node.inputs[0], node.inputs[1]) = (source, weights);
    Ok(true)
}

/// Weights whose column `map[j]` is the old column `j`.
pub(super) fn permute_columns(weights: &[f32], map: &[usize]) -> Vec<f32> {
    let mut moved = vec![0.0; weights.len()];
    for (old, new) in weights
        .chunks_exact(map.len())
        .zip(moved.chunks_exact_mut(map.len()))
    {
        map.iter().zip(old).for_each(|(&at, w)| new[at] = *w);
    }
    moved
}
