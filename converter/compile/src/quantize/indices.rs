//! Which tensors of a graph are indices: whole numbers that the device holds as such, and not as 8-bit steps of a scale.

use ocellus_ir::{BorderType, Graph, Op, TensorId};

/// By tensor of the graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indices {
    is_index: Vec<bool>,
}

/// True where the output holds elements of input 0, and nothing else.
fn moves(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape { .. } | Op::Transpose { .. } | Op::Slice { .. } | Op::Gather { .. }
    )
}

impl Indices {
    /// What finds indices, and integer inputs of the model by which something is picked; and copies of both. An integer input that is only
    /// computed with is one of real numbers.
    pub fn of(graph: &Graph) -> Indices {
        let mut is_index = vec![false; graph.tensors.len()];
        for node in graph.nodes.iter().rev() {
            if let Op::Take { .. } | Op::GatherElements { .. } = node.op
                && let Some(id) = node.inputs.get(1)
            {
                is_index[id.0] = true;
            }
            if let (true, true, Some(id)) = (
                is_index[node.output.0],
                moves(&node.op),
                node.inputs.first(),
            ) {
                is_index[id.0] = true;
            }
        }
        for input in &graph.inputs {
            let whole = matches!(input.border, BorderType::S32 | BorderType::S64);
            is_index[input.tensor.0] &= whole;
        }
        for node in &graph.nodes {
            is_index[node.output.0] = match node.op {
                Op::ArgMax { .. } | Op::TopK { .. } => true,
                ref op => moves(op) && node.inputs.first().is_some_and(|id| is_index[id.0]),
            };
        }
        Indices { is_index }
    }

    /// The size of the smallest axis that a tensor's elements pick from; `None` where nothing is picked by them.
    pub fn limit(graph: &Graph, id: TensorId) -> Option<usize> {
        let mut copies = vec![false; graph.tensors.len()];
        *copies.get_mut(id.0)? = true;
        let mut limit = None;
        for node in &graph.nodes {
            match (&node.op, node.inputs.as_slice()) {
                (&(Op::Take { axis } | Op::GatherElements { axis }), &[from, by])
                    if copies[by.0] =>
                {
                    let size = graph.tensor(from).shape.get(axis).copied()?;
                    limit = Some(limit.map_or(size, |limit: usize| limit.min(size)));
                }
                (op, &[from, ..]) if moves(op) && copies[from.0] => copies[node.output.0] = true,
                _ => {}
            }
        }
        limit
    }

    /// True where the tensor is one.
    pub fn contains(&self, id: TensorId) -> bool {
        self.is_index.get(id.0).copied().unwrap_or(false)
    }
}
