//! Limits fused into the operator before them.

use super::edit::Links;
use crate::{Graph, GraphError, Op, UnaryOp};

pub(super) fn fuse_clip(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let Op::Unary(UnaryOp::Clip { min, max }) = graph.nodes[index].op else {
        return Ok(false);
    };
    let x = graph.nodes[index].inputs[0];
    let Some(before) = links.producer(x) else {
        return Ok(false);
    };
    if !graph.nodes[before].op.takes_clamp() || !links.has_one_reader(x) {
        return Ok(false);
    }
    let output = graph.nodes[index].output;
    // Between rounding twice to one grid a limit changes nothing; else it must be a step of the grid that is rounded to before it.
    match (graph.grid(x), graph.grid(output)) {
        (Some(grid), None) if grid.has_limits(min, max) => {
            let grid = grid.clone();
            graph.set_grid(output, grid);
        }
        (Some(first), second) if second != Some(first) => return Ok(false),
        _ => {}
    }
    let node = &mut graph.nodes[before];
    let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    let limit = |v: f32| v.max(min).min(max);
    node.clamp = Some((limit(low), limit(high)));
    node.output = output;
    graph.nodes.remove(index);
    Ok(true)
}
