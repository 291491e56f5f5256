//! Constant folding.

use super::edit::Links;
use crate::{Graph, GraphError, Op, View, eval};

pub(super) fn fold_constants(
    graph: &mut Graph,
    _: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let mut views = Vec::with_capacity(node.inputs.len());
    for id in &node.inputs {
        let tensor = graph.tensor(*id);
        match &tensor.value {
            Some(value) => views.push(View {
                shape: &tensor.shape,
                data: value,
            }),
            None => return Ok(false),
        }
    }
    let mut value = eval(&node.op, node.clamp, &views).map_err(|source| GraphError::Shape {
        node: node.name.clone(),
        source,
    })?;
    let output = node.output;
    let grid = match &node.op {
        // Whole steps stay whole steps where they only move, as long as the scales keep their axis.
        Op::Reshape { .. } | Op::Transpose { .. } | Op::Slice { .. } | Op::Gather { .. } => {
            graph.grid(node.inputs[0]).filter(|grid| {
                let keeps_axis_0 = match &node.op {
                    Op::Transpose { order } => order.first() == Some(&0),
                    Op::Reshape { shape } => graph.shape(node.inputs[0]).first() == shape.first(),
                    _ => false,
                };
                grid.scales.len() == 1 || keeps_axis_0
            })
        }
        _ => None,
    };
    let grid = graph.grid(output).or(grid).cloned();
    let tensor = &mut graph.tensors[output.0];
    if let Some(grid) = &tensor.grid {
        grid.round_all(&mut value);
    }
    (tensor.value, tensor.grid) = (Some(value.into()), grid);
    graph.nodes.remove(index);
    Ok(true)
}
