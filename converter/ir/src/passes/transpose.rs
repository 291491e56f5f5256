//! Transposes. Those around every picture operator of an `Nchw` file meet their opposites by moving towards the outputs, through all that
//! lies between; what arrives at an output or came from an input becomes part of the border.

use super::edit::{Links, inverse, moves_nothing, undo, with_rank};
use super::movement::{groups, undo_transpose};
use super::shuffle::{permute_columns, sources};
use crate::{Graph, GraphError, Node, Op, TensorId};

pub(super) fn to_reshape(graph: &mut Graph, _: &Links, index: usize) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let Op::Transpose { order } = &node.op else {
        return Ok(false);
    };
    if !moves_nothing(graph.shape(node.inputs[0]), order) {
        return Ok(false);
    }
    let shape = graph.shape(node.output).to_vec();
    graph.nodes[index].op = Op::Reshape { shape };
    Ok(true)
}

pub(super) fn sink(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let node = graph.nodes[index].clone();
    let found = node.inputs.iter().find_map(|&id| {
        let (source, order) = graph.transpose_before(links, id)?;
        (!moves_nothing(graph.shape(source), &order)).then_some((source, order))
    });
    let Some((source, order)) = found else {
        return Ok(false);
    };
    let mut front = Vec::new();
    let Some((op, inputs, order)) = pass_through(graph, links, &node, source, &order, &mut front)?
    else {
        return Ok(false);
    };
    let mut moved = graph.stage(format!("{}.moved", node.name), op, &inputs)?;
    let transpose = graph.stage(
        format!("{}.transpose", node.name),
        Op::Transpose { order },
        &[moved.output],
    )?;
    graph.share_grid(&moved, node.output);
    (moved.name, moved.clamp) = (node.name, node.clamp);
    front.extend([moved, transpose]);
    graph.replace_node(index, front);
    Ok(true)
}

type Moved = Option<(Op, Vec<TensorId>, Vec<usize>)>;

/// The operator in the layout before the transpose, its inputs there, and the order of the transpose behind it.
fn pass_through(
    graph: &mut Graph,
    links: &Links,
    node: &Node,
    source: TensorId,
    order: &[usize],
    front: &mut Vec<Node>,
) -> Result<Moved, GraphError> {
    let last = order.len() - 1;
    let same = |op: Op| Ok(Some((op, vec![source], order.to_vec())));
    match &node.op {
        Op::Unary(_) | Op::Function(_) | Op::Quantize => same(node.op.clone()),
        Op::Prelu if order[last] == last && node.inputs[1] != node.inputs[0] => Ok(Some((
            Op::Prelu,
            vec![source, node.inputs[1]],
            order.to_vec(),
        ))),
        // An innermost axis is what softmax wants; it is never given up.
        Op::Softmax { axis } if *axis != last || order[*axis] == last => {
            same(Op::Softmax { axis: order[*axis] })
        }
        Op::Slice { begin, size, step } => same(Op::Slice {
            begin: undo(order, begin),
            size: undo(order, size),
            step: undo(order, step),
        }),
        Op::Pad {
            before,
            after,
            value,
        } => same(Op::Pad {
            before: undo(order, before),
            after: undo(order, after),
            value: *value,
        }),
        Op::Gather { axis, indices } => same(Op::Gather {
            axis: order[*axis],
            indices: indices.clone(),
        }),
        Op::Mean { axes, keep_dims } => {
            let mut moved: Vec<_> = axes.iter().map(|&axis| order[axis]).collect();
            moved.sort_unstable();
            let op = Op::Mean {
                axes: moved.clone(),
                keep_dims: *keep_dims,
            };
            if *keep_dims {
                return same(op);
            }
            let kept: Vec<_> = (0..order.len())
                .filter(|axis| !moved.contains(axis))
                .collect();
            let order = order
                .iter()
                .filter_map(|axis| kept.iter().position(|k| k == axis))
                .collect();
            Ok(Some((op, vec![source], order)))
        }
        Op::ArgMax {
            axis,
            keep_dims,
            smallest,
            last,
        } => {
            let moved = order[*axis];
            let op = Op::ArgMax {
                axis: moved,
                keep_dims: *keep_dims,
                smallest: *smallest,
                last: *last,
            };
            if *keep_dims {
                return same(op);
            }
            let kept = order.iter().filter(|&&axis| axis != moved);
            let order = kept.map(|&axis| axis - usize::from(axis > moved)).collect();
            Ok(Some((op, vec![source], order)))
        }
        Op::TopK { .. } if order[last] == last => same(node.op.clone()),
        // Parameters go by the place in the row.
        Op::LayerNorm { axis, run: 1, .. }
            if (*axis..=last).all(|axis| order[axis] == axis)
                && graph.shape(source)[*axis..]
                    .iter()
                    .product::<usize>()
                    .is_multiple_of(graph.tensor(node.inputs[1]).len()) =>
        {
            Ok(Some((
                node.op.clone(),
                vec![source, node.inputs[1], node.inputs[2]],
                order.to_vec(),
            )))
        }
        Op::Reshape { shape } => {
            Ok(reshape(graph.shape(source), order, shape)
                .map(|(op, order)| (op, vec![source], order)))
        }
        Op::Binary(_) => {
            let rank = graph.shape(node.output).len();
            operands(graph, links, node, order, rank, front)
                .map(|inputs| inputs.map(|i| (node.op.clone(), i, order.to_vec())))
        }
        Op::Concat { axis } => {
            let op = Op::Concat { axis: order[*axis] };
            operands(graph, links, node, order, order.len(), front)
                .map(|inputs| inputs.map(|i| (op, i, order.to_vec())))
        }
        _ => Ok(None),
    }
}

/// Every input in the layout before the transpose, where that costs nothing.
fn operands(
    graph: &mut Graph,
    links: &Links,
    node: &Node,
    order: &[usize],
    rank: usize,
    front: &mut Vec<Node>,
) -> Result<Option<Vec<TensorId>>, GraphError> {
    if rank != order.len() {
        return Ok(None);
    }
    let back = inverse(order);
    let cheap = |graph: &Graph, id: TensorId| {
        graph.constant(id).is_some()
            || graph
                .transpose_before(links, id)
                .is_some_and(|(_, own)| own == order)
            || moves_nothing(&with_rank(graph.shape(id), rank), &back)
    };
    if !node.inputs.iter().all(|&id| cheap(graph, id)) {
        return Ok(None);
    }
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for &id in &node.inputs {
        if graph.tensor(id).len() == 1 && matches!(node.op, Op::Binary(_)) {
            inputs.push(id);
        } else if let Some(constant) = undo_transpose(graph, id, order)? {
            inputs.push(constant);
        } else if let Some((source, _)) = graph
            .transpose_before(links, id)
            .filter(|(_, own)| own == order)
        {
            inputs.push(source);
        } else {
            let shape = undo(order, &with_rank(graph.shape(id), rank));
            let mut reshape = graph.stage(
                format!("{}.operand", node.name),
                Op::Reshape { shape },
                &[id],
            )?;
            if !front.is_empty() {
                reshape.name = format!("{}.{}", reshape.name, front.len());
                reshape.name = graph.unused_node_name(reshape.name);
            }
            inputs.push(reshape.output);
            front.push(reshape);
        }
    }
    Ok(Some(inputs))
}

/// A reshape in front of the transpose, where the axes that it joins or splits lie side by side there too.
fn reshape(source: &[usize], order: &[usize], target: &[usize]) -> Option<(Op, Vec<usize>)> {
    let transposed: Vec<_> = order.iter().map(|&axis| source[axis]).collect();
    let groups = groups(&transposed, target)?;
    // Position among the axes that hold more than one element; those of size 1 never matter.
    let position = |axis: usize| source[..axis].iter().filter(|&&size| size != 1).count();
    let mut keyed = Vec::with_capacity(groups.len());
    for (from, to) in groups {
        let wide: Vec<_> = from
            .clone()
            .filter(|&i| transposed[i] != 1)
            .map(|i| order[i])
            .collect();
        if wide
            .windows(2)
            .any(|pair| pair[1] < pair[0] || position(pair[1]) != position(pair[0]) + 1)
        {
            return None;
        }
        let key = wide
            .first()
            .copied()
            .or_else(|| from.clone().next().map(|i| order[i]))
            .unwrap_or(usize::MAX);
        keyed.push((key, to));
    }
    keyed.sort_by_key(|(key, to)| (*key, to.start));
    let axes: Vec<usize> = keyed.into_iter().flat_map(|(_, to)| to).collect();
    let shape = axes.iter().map(|&axis| target[axis]).collect();
    Some((Op::Reshape { shape }, inverse(&axes)))
}

/// A transpose in front of a flattening and a fully connected layer is a permutation of the layer's columns.
pub(super) fn into_weights(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    if node.op != Op::FullyConnected {
        return Ok(false);
    }
    let (x, weights) = (node.inputs[0], node.inputs[1]);
    let Some(reshape) = links.producer(x).map(|before| &graph.nodes[before]) else {
        return Ok(false);
    };
    let (Op::Reshape { shape }, Some(old)) = (&reshape.op, graph.constant(weights)) else {
        return Ok(false);
    };
    let Some((source, order)) = graph
        .transpose_before(links, reshape.inputs[0])
        .filter(|(source, _)| graph.is_as_before(*source, x))
    else {
        return Ok(false);
    };
    let Some(&columns) = graph.shape(x).last().filter(|&&columns| columns > 0) else {
        return Ok(false);
    };
    let Some(map) = sources(graph.shape(source), &order) else {
        return Ok(false);
    };
    let (first, rest) = map.split_at(columns.min(map.len()));
    let same_in_all_rows = rest.chunks(columns).enumerate().all(|(row, map)| {
        map.iter()
            .zip(first)
            .all(|(a, b)| *a == b + (row + 1) * columns)
    });
    if !same_in_all_rows || first.iter().any(|&column| column >= columns) {
        return Ok(false);
    }
    let (moved, shape) = (permute_columns(old, first), shape.clone());
    let (name, mut weights) = (node.name.clone(), graph.tensor(weights).clone());
    weights.value = Some(moved.into());
    let weights = graph.add(weights);
    let reshape = graph.stage(format!("{name}.flat"), Op::Reshape { shape }, &[source])?;
    let node = &mut graph.nodes[index];
    (node.inputs[0], node.inputs[1]) = (reshape.output, weights);
    graph.nodes.insert(index, reshape);
    Ok(true)
}

pub(super) fn softmax_axis(graph: &mut Graph, _: &Links, index: usize) -> Result<bool, GraphError> {
    let node = graph.nodes[index].clone();
    let Op::Softmax { axis } = node.op else {
        return Ok(false);
    };
    let rank = graph.shape(node.output).len();
    if axis + 1 == rank {
        return Ok(false);
    }
    let mut order: Vec<_> = (0..rank).collect();
    let moved = order.remove(axis);
    order.push(moved);
    let there = graph.stage(
        format!("{}.in", node.name),
        Op::Transpose {
            order: order.clone(),
        },
        &[node.inputs[0]],
    )?;
    let mut softmax = graph.stage(
        format!("{}.inner", node.name),
        Op::Softmax { axis: rank - 1 },
        &[there.output],
    )?;
    let back = graph.stage(
        format!("{}.out", node.name),
        Op::Transpose {
            order: inverse(&order),
        },
        &[softmax.output],
    )?;
    graph.share_grid(&softmax, node.output);
    softmax.name = node.name;
    graph.replace_node(index, vec![there, softmax, back]);
    Ok(true)
}
