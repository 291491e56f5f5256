//! Roundings to a source file's grids, moved into the operators that make the values.

use super::edit::Links;
use crate::{BorderType, Graph, GraphError, Op};

/// A rounding behind an operator becomes the grid of that operator's own output; and what a copy is rounded to, its input is.
pub(super) fn fuse(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let (Some(&x), Some(grid)) = (node.inputs.first(), graph.grid(node.output).cloned()) else {
        return Ok(false);
    };
    let raw = graph
        .inputs
        .iter()
        .any(|input| input.tensor == x && input.border != BorderType::F32);
    if graph.grid(x).is_some() || graph.constant(x).is_some() || raw || !links.has_one_reader(x) {
        return Ok(false);
    }
    let moves_in = match &node.op {
        Op::Quantize => {
            let output = node.output;
            match links.producer(x) {
                Some(before) => {
                    graph.nodes[before].output = output;
                    graph.nodes.remove(index);
                }
                None => {
                    graph.set_grid(x, grid);
                    graph.bypass_node(index, x);
                }
            }
            return Ok(true);
        }
        Op::Reshape { .. } | Op::Transpose { .. } | Op::Slice { .. } | Op::Gather { .. } => true,
        // The largest of rounded values is the rounded largest one.
        Op::MaxPool2d { .. } => true,
        // Zero is a step of every grid.
        Op::Pad { value, .. } => *value == 0.0,
        _ => false,
    };
    if moves_in {
        graph.set_grid(x, grid);
    }
    Ok(moves_in)
}
