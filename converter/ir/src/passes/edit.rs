//! What every pass edits a graph with. An edit keeps the execution order: new nodes take the place of the node that they replace.

use std::sync::Arc;

use crate::{Assembly, Graph, GraphError, Grid, Node, Op, Tensor, TensorId};

/// Who writes and who reads each tensor.
pub(super) struct Links {
    producer: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
    is_output: Vec<bool>,
}

impl Links {
    pub(super) fn of(graph: &Graph) -> Self {
        let count = graph.tensors.len();
        let mut links = Self {
            producer: vec![None; count],
            readers: vec![Vec::new(); count],
            is_output: vec![false; count],
        };
        for (index, node) in graph.nodes.iter().enumerate() {
            links.producer[node.output.0] = Some(index);
            for id in &node.inputs {
                if links.readers[id.0].last() != Some(&index) {
                    links.readers[id.0].push(index);
                }
            }
        }
        for id in graph
            .outputs
            .iter()
            .flat_map(|output| output.assembly.tensors())
        {
            links.is_output[id.0] = true;
        }
        links
    }

    /// The node that writes a tensor.
    pub(super) fn producer(&self, id: TensorId) -> Option<usize> {
        self.producer.get(id.0).copied().flatten()
    }

    /// The nodes that read a tensor.
    pub(super) fn readers(&self, id: TensorId) -> &[usize] {
        self.readers.get(id.0).map_or(&[], Vec::as_slice)
    }

    /// True where an output of the model reads the tensor.
    pub(super) fn is_output(&self, id: TensorId) -> bool {
        self.is_output.get(id.0).is_some_and(|&output| output)
    }

    /// True where one node alone reads the tensor.
    pub(super) fn has_one_reader(&self, id: TensorId) -> bool {
        self.readers(id).len() == 1 && !self.is_output(id)
    }
}

/// One attempt at one node: true where it changed the graph.
pub(super) type Step = fn(&mut Graph, &Links, usize) -> Result<bool, GraphError>;

/// Applies `step` to every node until none changes anything; returns the number of changes.
pub(super) fn sweep(graph: &mut Graph, step: Step) -> Result<usize, GraphError> {
    let limit = 1000 + 50 * graph.nodes.len();
    let (mut changes, mut index) = (0, 0);
    let mut links = Links::of(graph);
    while index < graph.nodes.len() && changes < limit {
        if step(graph, &links, index)? {
            changes += 1;
            remove_dead_nodes(graph);
            links = Links::of(graph);
        } else {
            index += 1;
        }
    }
    Ok(changes)
}

/// Removes nodes whose result nobody reads; returns how many.
pub(super) fn remove_dead_nodes(graph: &mut Graph) -> usize {
    let mut live = vec![false; graph.tensors.len()];
    for id in graph
        .outputs
        .iter()
        .flat_map(|output| output.assembly.tensors())
    {
        live[id.0] = true;
    }
    let mut keep = vec![false; graph.nodes.len()];
    for (node, keep) in graph.nodes.iter().zip(&mut keep).rev() {
        if live[node.output.0] {
            *keep = true;
            node.inputs.iter().for_each(|id| live[id.0] = true);
        }
    }
    let before = graph.nodes.len();
    let mut keep = keep.into_iter();
    graph.nodes.retain(|_| keep.next().unwrap_or(true));
    before - graph.nodes.len()
}

impl Graph {
    /// A constant's values.
    pub(super) fn constant(&self, id: TensorId) -> Option<&Arc<[f32]>> {
        self.tensor(id).value.as_ref()
    }

    /// The grid that a tensor is rounded to.
    pub(super) fn grid(&self, id: TensorId) -> Option<&Grid> {
        self.tensor(id).grid.as_ref()
    }

    /// True where the rounding of `middle` may go: between `source`, which it holds values of, and `result`, which holds values of it, it
    /// changes nothing that is kept.
    pub(super) fn skips(&self, source: TensorId, middle: TensorId, result: TensorId) -> bool {
        let grid = self.grid(middle);
        grid.is_none() || grid == self.grid(source) || grid == self.grid(result)
    }

    /// As [`skips`](Self::skips), where what stands between `middle` and `result` computes.
    pub(super) fn is_as_before(&self, source: TensorId, middle: TensorId) -> bool {
        let grid = self.grid(middle);
        grid.is_none() || grid == self.grid(source)
    }

    pub(super) fn shape(&self, id: TensorId) -> &[usize] {
        &self.tensor(id).shape
    }

    /// Adds a tensor as it is: a constant whose grid stays true.
    pub(super) fn add(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// A node that is not yet in the list, with an output of inferred shape.
    pub(super) fn stage(
        &mut self,
        name: String,
        op: Op,
        inputs: &[TensorId],
    ) -> Result<Node, GraphError> {
        let name = self.unused_node_name(name);
        let shapes: Vec<_> = inputs.iter().map(|id| self.shape(*id)).collect();
        let shape = op
            .output_shape(&shapes)
            .map_err(|source| GraphError::Shape {
                node: name.clone(),
                source,
            })?;
        let output = self.add_tensor(name.clone(), shape);
        Ok(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            output,
            clamp: None,
        })
    }

    /// Gives a staged node's output the grid of another tensor that will hold the same values, in another order or shape.
    pub(super) fn share_grid(&mut self, staged: &Node, other: TensorId) {
        let grid = self.tensor(other).grid.clone();
        self.tensors[staged.output.0].grid = grid;
    }

    /// Puts nodes in the place of node `index`; the last one writes what that node wrote.
    pub(super) fn replace_node(&mut self, index: usize, mut nodes: Vec<Node>) {
        let output = self.nodes[index].output;
        if let Some(last) = nodes.last_mut() {
            last.output = output;
        }
        self.nodes.splice(index..=index, nodes);
    }

    /// Removes node `index`; whoever read its result reads `instead`.
    pub(super) fn bypass_node(&mut self, index: usize, instead: TensorId) {
        let old = self.nodes.remove(index).output;
        for node in &mut self.nodes {
            node.inputs
                .iter_mut()
                .filter(|id| **id == old)
                .for_each(|id| *id = instead);
        }
        for output in &mut self.outputs {
            output.assembly.replace(old, &Assembly::Tensor(instead));
        }
    }

    /// The node that writes `id`, if it does so by `Transpose` and without rounding anew, and that node's order.
    pub(super) fn transpose_before(
        &self,
        links: &Links,
        id: TensorId,
    ) -> Option<(TensorId, Vec<usize>)> {
        let node = &self.nodes[links.producer(id)?];
        match &node.op {
            Op::Transpose { order } if self.is_as_before(node.inputs[0], id) => {
                Some((node.inputs[0], order.clone()))
            }
            _ => None,
        }
    }
}

impl Assembly {
    /// Replaces a tensor by an assembly, wherever it stands.
    pub(super) fn replace(&mut self, old: TensorId, new: &Assembly) {
        match self {
            Assembly::Tensor(id) if *id == old => *self = new.clone(),
            Assembly::Tensor(_) => {}
            Assembly::Reshape(inner, _) | Assembly::Transpose(inner, _) => inner.replace(old, new),
            Assembly::Concat(parts, _) => parts.iter_mut().for_each(|part| part.replace(old, new)),
        }
    }
}

/// `inverse[order[i]] == i`.
pub(super) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    order
        .iter()
        .enumerate()
        .for_each(|(i, &axis)| inverse[axis] = i);
    inverse
}

/// The order of `Transpose(second)` after `Transpose(first)`.
pub(super) fn compose(first: &[usize], second: &[usize]) -> Vec<usize> {
    second.iter().map(|&axis| first[axis]).collect()
}

/// `list` with entry `i` moved to `order[i]`: from the layout after a transpose to the one before it.
pub(super) fn undo<T: Copy>(order: &[usize], list: &[T]) -> Vec<T> {
    inverse(order).iter().map(|&i| list[i]).collect()
}

/// True where a transpose of that shape moves no value: only axes of size 1 change places.
pub(super) fn moves_nothing(shape: &[usize], order: &[usize]) -> bool {
    order.iter().filter(|&&axis| shape[axis] != 1).is_sorted()
}

/// `shape` with ones in front, up to `rank`.
pub(super) fn with_rank(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut out = vec![1; rank.saturating_sub(shape.len())];
    out.extend_from_slice(shape);
    out
}
