//! What the user's side of the model's border does: transposes of inputs, and the last joining, reshaping and transposing of outputs.

use super::edit::{Links, compose, inverse, moves_nothing, remove_dead_nodes};
use crate::{Assembly, Graph, GraphError, Op, TensorId};

/// Gives an input the layout that a transpose behind it asks for; the transpose's opposite then stands behind the input and moves on.
pub(super) fn input_layout(graph: &mut Graph) -> Result<usize, GraphError> {
    let mut changes = 0;
    for number in 0..graph.inputs.len() {
        // Once only, or two readers of different layouts would take turns.
        if !graph.inputs[number].order.is_sorted() {
            continue;
        }
        let old = graph.inputs[number].tensor;
        let Some(order) = wanted_order(graph, &Links::of(graph), old) else {
            continue;
        };
        let tensor = graph.tensor(old).clone();
        let shape = order.iter().map(|&axis| tensor.shape[axis]).collect();
        let new = graph.add_tensor(tensor.name.clone(), shape);
        graph.tensors[new.0].grid.clone_from(&tensor.grid);
        let back = graph.stage(
            format!("{}.file_layout", tensor.name),
            Op::Transpose {
                order: inverse(&order),
            },
            &[new],
        )?;
        let input = &mut graph.inputs[number];
        input.tensor = new;
        input.order = compose(&input.order, &order);
        graph.nodes.insert(
            0,
            crate::Node {
                output: old,
                ..back
            },
        );
        changes += 1;
    }
    Ok(changes)
}

/// The order of the first transpose that values of the input reach through operators that work in any layout.
fn wanted_order(graph: &Graph, links: &Links, input: TensorId) -> Option<Vec<usize>> {
    let rank = graph.shape(input).len();
    let mut seen = vec![false; graph.tensors.len()];
    let mut queue = std::collections::VecDeque::from([input]);
    while let Some(id) = queue.pop_front() {
        for &reader in links.readers(id) {
            let node = &graph.nodes[reader];
            if graph.shape(node.output).len() != rank
                || std::mem::replace(&mut seen[node.output.0], true)
            {
                continue;
            }
            match &node.op {
                Op::Transpose { order } if !moves_nothing(graph.shape(id), order) => {
                    return Some(order.clone());
                }
                Op::Unary(_)
                | Op::Function(_)
                | Op::Binary(_)
                | Op::Pad { .. }
                | Op::Slice { .. }
                | Op::Gather { .. }
                | Op::Concat { .. } => {
                    queue.push_back(node.output);
                }
                _ => {}
            }
        }
    }
    None
}

/// Takes off what only moves values in front of an output.
pub(super) fn output_assembly(graph: &mut Graph) -> Result<usize, GraphError> {
    let mut changes = 0;
    while let Some((tensor, assembly)) = next_to_take_off(graph) {
        for output in &mut graph.outputs {
            output.assembly.replace(tensor, &assembly);
        }
        remove_dead_nodes(graph);
        changes += 1;
    }
    for number in 0..graph.outputs.len() {
        let assembly = simplify(graph, graph.outputs[number].assembly.clone());
        graph.outputs[number].assembly = assembly;
    }
    Ok(changes)
}

fn next_to_take_off(graph: &Graph) -> Option<(TensorId, Assembly)> {
    let links = Links::of(graph);
    let computed = |id: &TensorId| links.producer(*id).is_some();
    let leaves: Vec<_> = graph
        .outputs
        .iter()
        .flat_map(|output| output.assembly.tensors())
        .collect();
    leaves
        .into_iter()
        .filter(|leaf| links.readers(*leaf).is_empty())
        .find_map(|leaf| {
            let node = &graph.nodes[links.producer(leaf)?];
            let rounded = |&id: &TensorId| !graph.is_as_before(id, leaf);
            if !node.inputs.iter().all(computed)
                || node.clamp.is_some()
                || node.inputs.iter().any(rounded)
            {
                return None;
            }
            let inner = || Box::new(Assembly::Tensor(node.inputs[0]));
            let assembly = match &node.op {
                Op::Reshape { shape } => Assembly::Reshape(inner(), shape.clone()),
                Op::Transpose { order } => Assembly::Transpose(inner(), order.clone()),
                Op::Concat { axis } => Assembly::Concat(
                    node.inputs.iter().map(|id| Assembly::Tensor(*id)).collect(),
                    *axis,
                ),
                _ => return None,
            };
            Some((leaf, assembly))
        })
}

/// The same assembly in fewer steps.
fn simplify(graph: &Graph, assembly: Assembly) -> Assembly {
    let shape_of = |assembly: &Assembly| graph.assembled_shape(assembly).unwrap_or_default();
    match assembly {
        Assembly::Tensor(_) => assembly,
        Assembly::Concat(parts, axis) => Assembly::Concat(
            parts
                .into_iter()
                .map(|part| simplify(graph, part))
                .collect(),
            axis,
        ),
        Assembly::Reshape(inner, shape) => match simplify(graph, *inner) {
            Assembly::Reshape(inner, _) => simplify(graph, Assembly::Reshape(inner, shape)),
            inner if shape_of(&inner) == shape => inner,
            inner => Assembly::Reshape(Box::new(inner), shape),
        },
        Assembly::Transpose(inner, order) => match simplify(graph, *inner) {
            Assembly::Transpose(inner, first) => {
                simplify(graph, Assembly::Transpose(inner, compose(&first, &order)))
            }
            inner if order.is_sorted() => inner,
            inner if moves_nothing(&shape_of(&inner), &order) => {
                let shape = order.iter().map(|&axis| shape_of(&inner)[axis]).collect();
                simplify(graph, Assembly::Reshape(Box::new(inner), shape))
            }
            inner => Assembly::Transpose(Box::new(inner), order),
        },
    }
}
