//! Constant folding.

use super::edit::Links;
use crate::{Graph, GraphError, View, eval};

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
    let value = eval(&node.op, node.clamp, &views).map_err(|source| GraphError::Shape {
        node: node.name.clone(),
        source,
    })?;
    let output = node.output;
    graph.tensors[output.0].value = Some(value.into());
    graph.nodes.remove(index);
    Ok(true)
}
