//! Minus infinity as a mask: added before a softmax, it hides a position.

use ocellus_ir::{BinaryOp, Graph, Op, TensorId};

/// What is added in the place of minus infinity: so much that no value shows beside it, and no sum of masks overflows.
const HIDDEN: f32 = -1e30;

/// Makes the minus infinities finite that are added to what only a softmax reads. Others stay, and the check of the graph refuses them.
pub(crate) fn settle(graph: &mut Graph) {
    // By tensor: whether some node has read it, or an output of the model is it, and whether all that read it lead to a softmax.
    let mut shown = vec![false; graph.tensors.len()];
    let outputs = graph.outputs.iter();
    for id in outputs.flat_map(|output| output.assembly.tensors()) {
        shown[id.0] = true;
    }
    let mut masks: Vec<TensorId> = Vec::new();
    for node in graph.nodes.iter().rev() {
        let hides = match node.op {
            Op::Softmax { .. } => true,
            Op::Reshape { .. } | Op::Transpose { .. } | Op::Binary(BinaryOp::Add) => {
                !shown[node.output.0]
            }
            _ => false,
        };
        if hides && node.op == Op::Binary(BinaryOp::Add) {
            masks.extend(&node.inputs);
        }
        for id in &node.inputs {
            shown[id.0] |= !hides;
        }
    }
    for id in masks.into_iter().filter(|id| !shown[id.0]) {
        if let Some(values) = &mut graph.tensors[id.0].value
            && values.contains(&f32::NEG_INFINITY)
        {
            let finite = values.iter().map(|v| match *v {
                f32::NEG_INFINITY => HIDDEN,
                value => value,
            });
            *values = finite.collect();
        }
    }
}
