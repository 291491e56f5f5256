//! Successive operators that only move values, joined; reshapes moved behind what does not care about the shape.

use super::edit::{Links, with_rank};
use crate::{BinaryOp, Graph, GraphError, Node, Op, Tensor, TensorId};

pub(super) fn join(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    if let Op::Gather { axis, indices } = &node.op
        && let Some(slice) = as_slice(graph, node, *axis, indices)
    {
        graph.nodes[index].op = slice;
        return Ok(true);
    }
    if let Op::Concat { axis } = node.op {
        return Ok(
            flatten_concat(graph, links, index, axis) || join_slices(graph, links, index, axis)?
        );
    }
    let Some(before) = node
        .inputs
        .first()
        .and_then(|x| links.producer(*x))
        .map(|before| &graph.nodes[before])
    else {
        return Ok(false);
    };
    let skipped = before
        .inputs
        .iter()
        .all(|&source| graph.skips(source, before.output, node.output));
    if before.clamp.is_some() || !skipped {
        return Ok(false);
    }
    let (op, source) = match (&node.op, &before.op) {
        (Op::Reshape { .. }, Op::Reshape { .. }) => (node.op.clone(), before.inputs[0]),
        (Op::Transpose { order }, Op::Transpose { order: first }) => (
            Op::Transpose {
                order: super::edit::compose(first, order),
            },
            before.inputs[0],
        ),
        (
            Op::Pad {
                before: b2,
                after: a2,
                value: v2,
            },
            Op::Pad {
                before: b1,
                after: a1,
                value: v1,
            },
        ) if v1 == v2 && (*v1 == 0.0 || graph.grid(before.output).is_none()) => {
            let sum = |a: &[usize], b: &[usize]| a.iter().zip(b).map(|(a, b)| a + b).collect();
            (
                Op::Pad {
                    before: sum(b1, b2),
                    after: sum(a1, a2),
                    value: *v1,
                },
                before.inputs[0],
            )
        }
        (
            Op::Slice {
                begin: b2,
                size,
                step: s2,
            },
            Op::Slice {
                begin: b1,
                step: s1,
                ..
            },
        ) => {
            let begin = (0..b1.len()).map(|i| b1[i] + s1[i] * b2[i]).collect();
            let step = s1.iter().zip(s2).map(|(a, b)| a * b).collect();
            (
                Op::Slice {
                    begin,
                    size: size.clone(),
                    step,
                },
                before.inputs[0],
            )
        }
        (Op::Slice { begin, size, step }, Op::Concat { axis }) => {
            match part_of(graph, before, *axis, begin, size, step) {
                Some((source, begin)) => (
                    Op::Slice {
                        begin,
                        size: size.clone(),
                        step: step.clone(),
                    },
                    source,
                ),
                None => return Ok(false),
            }
        }
        (Op::Slice { begin, size, step }, Op::Gather { axis, indices }) => {
            let whole =
                (0..size.len()).all(|i| i == *axis || size[i] == graph.shape(before.output)[i]);
            if !whole {
                return Ok(false);
            }
            let indices = (0..size[*axis])
                .map(|i| indices[begin[*axis] + i * step[*axis]])
                .collect();
            (
                Op::Gather {
                    axis: *axis,
                    indices,
                },
                before.inputs[0],
            )
        }
        (
            Op::Gather {
                axis: a2,
                indices: i2,
            },
            Op::Gather {
                axis: a1,
                indices: i1,
            },
        ) if a1 == a2 => (
            Op::Gather {
                axis: *a1,
                indices: i2.iter().map(|&i| i1[i]).collect(),
            },
            before.inputs[0],
        ),
        (Op::Transpose { order }, Op::Reshape { .. }) => {
            let source = before.inputs[0];
            match across_ones(graph.shape(source), graph.shape(before.output), order) {
                Some(order) => (Op::Transpose { order }, source),
                None => return Ok(false),
            }
        }
        (Op::Slice { .. }, Op::Reshape { .. }) => return slice_before_reshape(graph, links, index),
        _ => return Ok(false),
    };
    let node = &mut graph.nodes[index];
    (node.op, node.inputs) = (op, vec![source]);
    Ok(true)
}

/// The order of one transpose that does what a reshape from `from` to `to` and a transpose of that do, where the reshape only moves axes of
/// size 1. Without it such a transpose would not be recognized as the opposite of another.
fn across_ones(from: &[usize], to: &[usize], order: &[usize]) -> Option<Vec<usize>> {
    let axes = |shape: &[usize], wide: bool| -> Vec<usize> {
        (0..shape.len())
            .filter(|&axis| (shape[axis] != 1) == wide)
            .collect()
    };
    let (wide, wide_to) = (axes(from, true), axes(to, true));
    let same =
        wide.len() == wide_to.len() && wide.iter().zip(&wide_to).all(|(&a, &b)| from[a] == to[b]);
    if !same || from.len() != to.len() {
        return None;
    }
    let mut ones = axes(from, false).into_iter();
    order
        .iter()
        .map(|axis| match wide_to.iter().position(|w| w == axis) {
            Some(at) => wide.get(at).copied(),
            None => ones.next(),
        })
        .collect()
}

/// Indices in equal steps upwards.
fn as_slice(graph: &Graph, node: &Node, axis: usize, indices: &[usize]) -> Option<Op> {
    let step = match indices {
        [_] => 1,
        [a, b, ..] if b > a => b - a,
        _ => return None,
    };
    if indices.windows(2).any(|pair| pair[1] != pair[0] + step) {
        return None;
    }
    let size = graph.shape(node.output).to_vec();
    let (mut begin, mut steps) = (vec![0; size.len()], vec![1; size.len()]);
    (begin[axis], steps[axis]) = (indices[0], step);
    Some(Op::Slice {
        begin,
        size,
        step: steps,
    })
}

/// The one input of a concatenation that a slice reads, and where it begins there.
fn part_of(
    graph: &Graph,
    concat: &Node,
    axis: usize,
    begin: &[usize],
    size: &[usize],
    step: &[usize],
) -> Option<(TensorId, Vec<usize>)> {
    let end = begin[axis] + size[axis].checked_sub(1)? * step[axis] + 1;
    let mut at = 0;
    for &part in &concat.inputs {
        let next = at + graph.shape(part)[axis];
        if begin[axis] >= at && end <= next {
            let mut begin = begin.to_vec();
            begin[axis] -= at;
            return Some((part, begin));
        }
        at = next;
    }
    None
}

fn flatten_concat(graph: &mut Graph, links: &Links, index: usize, axis: usize) -> bool {
    let inputs = graph.nodes[index].inputs.clone();
    let inner = inputs.iter().position(|&part| {
        let joins = |p: usize| {
            let inner = &graph.nodes[p];
            let output = graph.nodes[index].output;
            inner.op == Op::Concat { axis }
                && inner.inputs.iter().all(|&i| graph.skips(i, part, output))
        };
        links.has_one_reader(part)
            && links.producer(part).is_some_and(joins)
            && inputs.iter().filter(|&&i| i == part).count() == 1
    });
    let Some((at, producer)) = inner.and_then(|at| links.producer(inputs[at]).map(|p| (at, p)))
    else {
        return false;
    };
    let parts = graph.nodes[producer].inputs.clone();
    graph.nodes[index].inputs.splice(at..=at, parts);
    true
}

/// Neighbouring slices of one tensor, side by side again.
fn join_slices(
    graph: &mut Graph,
    links: &Links,
    index: usize,
    axis: usize,
) -> Result<bool, GraphError> {
    let inputs = graph.nodes[index].inputs.clone();
    let output = graph.nodes[index].output;
    let slice = |graph: &Graph, id: TensorId| {
        let node = &graph.nodes[links.producer(id)?];
        match &node.op {
            Op::Slice { begin, size, step }
                if step.iter().all(|&s| s == 1) && graph.skips(node.inputs[0], id, output) =>
            {
                Some((node.inputs[0], begin.clone(), size.clone()))
            }
            _ => None,
        }
    };
    for at in 1..inputs.len() {
        let (Some((source, begin, mut size)), Some((other, next, next_size))) =
            (slice(graph, inputs[at - 1]), slice(graph, inputs[at]))
        else {
            continue;
        };
        let adjacent = (0..begin.len()).all(|i| {
            if i == axis {
                next[i] == begin[i] + size[i]
            } else {
                next[i] == begin[i] && next_size[i] == size[i]
            }
        });
        if source != other || !adjacent {
            continue;
        }
        size[axis] += next_size[axis];
        let step = vec![1; size.len()];
        let name = format!("{}.slice", graph.nodes[index].name);
        let joined = graph.stage(name, Op::Slice { begin, size, step }, &[source])?;
        graph.nodes[index]
            .inputs
            .splice(at - 1..=at, [joined.output]);
        graph.nodes.insert(index, joined);
        return Ok(true);
    }
    Ok(false)
}

/// Runs of axes on both sides of a reshape that hold the same values: `(axes before, axes after)`.
pub(super) type Groups = Vec<(std::ops::Range<usize>, std::ops::Range<usize>)>;

/// The smallest such runs, in order; none where a size is zero.
pub(super) fn groups(from: &[usize], to: &[usize]) -> Option<Groups> {
    if from.contains(&0) || to.contains(&0) {
        return None;
    }
    let (mut i, mut j, mut groups) = (0, 0, Vec::new());
    while i < from.len() || j < to.len() {
        let (start_i, start_j) = (i, j);
        let take = |list: &[usize], at: &mut usize| {
            list.get(*at).map_or(1, |&size| {
                *at += 1;
                size
            })
        };
        let (mut a, mut b) = (take(from, &mut i), take(to, &mut j));
        while a != b {
            let (before_i, before_j) = (i, j);
            if a < b {
                a *= take(from, &mut i);
            } else {
                b *= take(to, &mut j);
            }
            if (before_i, before_j) == (i, j) {
                return None;
            }
        }
        groups.push((start_i..i, start_j..j));
    }
    Some(groups)
}

/// A slice of the outermost part of a split axis is a slice of the axis.
fn slice_before_reshape(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let Op::Slice { begin, size, step } = &node.op else {
        return Ok(false);
    };
    let Some(reshape) = links
        .producer(node.inputs[0])
        .map(|before| &graph.nodes[before])
    else {
        return Ok(false);
    };
    let (source, split) = (reshape.inputs[0], graph.shape(reshape.output));
    let Some(groups) = groups(graph.shape(source), split) else {
        return Ok(false);
    };
    let from = graph.shape(source);
    let (mut new_begin, mut new_size) = (vec![0; from.len()], from.to_vec());
    for (outer, inner) in groups {
        let changed: Vec<_> = inner.clone().filter(|&i| size[i] != split[i]).collect();
        let (&[axis], Some(whole)) = (changed.as_slice(), outer.clone().find(|&o| from[o] != 1))
        else {
            if changed.is_empty() {
                continue;
            }
            return Ok(false);
        };
        let one = outer.clone().filter(|&o| from[o] != 1).count() == 1;
        let outermost = inner
            .clone()
            .take_while(|&i| i != axis)
            .all(|i| split[i] == 1);
        if !one || !outermost || step[axis] != 1 {
            return Ok(false);
        }
        let below: usize = (axis + 1..inner.end).map(|i| split[i]).product();
        (new_begin[whole], new_size[whole]) = (begin[axis] * below, size[axis] * below);
    }
    let (name, target) = (node.name.clone(), size.clone());
    let step = vec![1; from.len()];
    let mut slice = graph.stage(
        format!("{name}.slice"),
        Op::Slice {
            begin: new_begin,
            size: new_size,
            step,
        },
        &[source],
    )?;
    let mut reshape = graph.stage(
        format!("{name}.shape"),
        Op::Reshape { shape: target },
        &[slice.output],
    )?;
    std::mem::swap(&mut slice.name, &mut reshape.name);
    slice.name = name;
    graph.replace_node(index, vec![slice, reshape]);
    Ok(true)
}

/// `f(reshape(x))` becomes `reshape(f(x))` where `f` works element by element, or along an innermost axis that the reshape keeps.
pub(super) fn sink_reshape(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let Some(&x) = node.inputs.first() else {
        return Ok(false);
    };
    let source_of = |id: TensorId| {
        let before = &graph.nodes[links.producer(id)?];
        (matches!(before.op, Op::Reshape { .. })
            && links.has_one_reader(id)
            && graph.is_as_before(before.inputs[0], id))
        .then(|| before.inputs[0])
    };
    let Some(source) = source_of(x) else {
        return Ok(false);
    };
    let keeps_inner = graph.shape(source).last() == graph.shape(x).last();
    let mut inputs = vec![source];
    match (&node.op, node.inputs.get(1)) {
        (Op::Unary(_) | Op::Function(_) | Op::Quantize, None) => {}
        (Op::Prelu, Some(&slope)) if keeps_inner => inputs.push(slope),
        (
            Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div),
            Some(&other),
        ) if graph.shape(x) == graph.shape(node.output) => match graph.constant(other).cloned() {
            Some(value) => {
                let shape = graph.shape(other).to_vec();
                let (&inner, outer) = shape.split_last().unwrap_or((&1, &[]));
                if !keeps_inner || outer.iter().any(|&size| size != 1) {
                    return Ok(false);
                }
                let mut flat = graph.tensor(other).clone();
                (flat.shape, flat.value) = (vec![inner], Some(value));
                flat.grid = flat.grid.filter(|grid| grid.scales.len() == 1);
                inputs.push(graph.add(flat));
            }
            None => match source_of(other) {
                Some(second)
                    if other != x
                        && graph.shape(second) == graph.shape(source)
                        && graph.shape(other) == graph.shape(x) =>
                {
                    inputs.push(second)
                }
                _ => return Ok(false),
            },
        },
        _ => return Ok(false),
    }
    let node = graph.nodes[index].clone();
    let mut moved = graph.stage(format!("{}.flat", node.name), node.op.clone(), &inputs)?;
    let reshape = graph.stage(
        format!("{}.shape", node.name),
        Op::Reshape {
            shape: graph.shape(node.output).to_vec(),
        },
        &[moved.output],
    )?;
    graph.share_grid(&moved, node.output);
    (moved.name, moved.clamp) = (node.name, node.clamp);
    graph.replace_node(index, vec![moved, reshape]);
    Ok(true)
}

/// Constants in the layout before a transpose: `shape` is given ones in front, then each axis goes where the transpose took it from.
pub(super) fn undo_transpose(
    graph: &mut Graph,
    id: TensorId,
    order: &[usize],
) -> Result<Option<TensorId>, GraphError> {
    let tensor = graph.tensor(id).clone();
    let Some(value) = tensor.value else {
        return Ok(None);
    };
    let padded = with_rank(&tensor.shape, order.len());
    let op = Op::Transpose {
        order: super::edit::inverse(order),
    };
    let view = crate::View {
        shape: &padded,
        data: &value,
    };
    let moved = crate::eval(&op, None, &[view]).map_err(|source| GraphError::Shape {
        node: tensor.name.clone(),
        source,
    })?;
    Ok(Some(graph.add(Tensor {
        shape: super::edit::undo(order, &padded),
        value: Some(moved.into()),
        grid: tensor.grid.filter(|grid| grid.scales.len() == 1),
        name: tensor.name,
    })))
}
