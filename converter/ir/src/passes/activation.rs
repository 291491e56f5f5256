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
    let node = &mut graph.nodes[before];
    let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    let limit = |v: f32| v.max(min).min(max);
    node.clamp = Some((limit(low), limit(high)));
    node.output = output;
    graph.nodes.remove(index);
    Ok(true)
}
