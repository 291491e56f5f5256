//! The graph: tensors by number, nodes in execution order.

use std::sync::Arc;

use crate::Op;

/// A tensor of a [`Graph`], by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// A tensor: always `f32`, always of known shape.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The name in the source file, or one derived from it.
    pub name: String,
    /// Sizes, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values, where it is a constant. Row-major.
    pub value: Option<Arc<[f32]>>,
}

impl Tensor {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True where a size is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One operator at work.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name in the source file; unique in the graph.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads, in the order that [`Op`] documents.
    pub inputs: Vec<TensorId>,
    /// What it writes.
    pub output: TensorId,
    /// Fused activation: the result is limited to this range. Only on operators that round once and clamp
    /// (convolutions, fully connected, pools, add, sub, mul).
    pub clamp: Option<(f32, f32)>,
}

/// Element type at the model's border, as its user sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BorderType {
    /// Real numbers.
    F32,
    /// Raw bytes: an image input with a cast behind it, or a quantized output.
    U8,
    /// Signed bytes.
    S8,
}

/// An input of the model.
#[derive(Clone, Debug)]
pub struct Input {
    /// The graph's tensor.
    pub tensor: TensorId,
    /// The name in the source file.
    pub name: String,
    /// The shape in the source file's order of axes, after overrides, batch included where the file has one.
    pub shape: Vec<usize>,
    /// The graph's tensor is the file's, transposed by this order (graph axis `i` is file axis `order[i]`); identity where equal.
    pub order: Vec<usize>,
    /// Element type in the source file.
    pub border: BorderType,
}

/// An output of the model, assembled from one or more tensors of the graph: where a final Concat, Reshape or Transpose has been taken
/// off, each tensor keeps its own scale, and the user's side puts them together.
#[derive(Clone, Debug)]
pub struct Output {
    /// The name in the source file.
    pub name: String,
    /// The shape in the source file.
    pub shape: Vec<usize>,
    /// The tensors, and how they become the output.
    pub assembly: Assembly,
    /// Element type in the source file.
    pub border: BorderType,
}

/// How the user's side makes an output out of the graph's tensors.
#[derive(Clone, Debug, PartialEq)]
pub enum Assembly {
    /// A tensor of the graph as it is.
    Tensor(TensorId),
    /// The same values under another shape.
    Reshape(Box<Assembly>, Vec<usize>),
    /// Output axis `i` is axis `order[i]`.
    Transpose(Box<Assembly>, Vec<usize>),
    /// Joined along an axis.
    Concat(Vec<Assembly>, usize),
}

impl Assembly {
    /// The graph's tensors that it reads, in order.
    pub fn tensors(&self) -> Vec<TensorId> {
        match self {
            Assembly::Tensor(id) => vec![*id],
            Assembly::Reshape(inner, _) | Assembly::Transpose(inner, _) => inner.tensors(),
            Assembly::Concat(parts, _) => parts.iter().flat_map(Assembly::tensors).collect(),
        }
    }
}

/// A model: static single assignment, nodes in execution order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Every tensor, constants included.
    pub tensors: Vec<Tensor>,
    /// In execution order: an input is a constant, a model input, or written by an earlier node.
    pub nodes: Vec<Node>,
    /// Model inputs.
    pub inputs: Vec<Input>,
    /// Model outputs.
    pub outputs: Vec<Output>,
}

impl Graph {
    /// The tensor of that number.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// Adds a tensor that some node will write.
    pub fn add_tensor(&mut self, name: impl Into<String>, shape: Vec<usize>) -> TensorId {
        self.tensors.push(Tensor { name: name.into(), shape, value: None });
        TensorId(self.tensors.len() - 1)
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: impl Into<String>, shape: Vec<usize>, value: impl Into<Arc<[f32]>>) -> TensorId {
        self.tensors.push(Tensor { name: name.into(), shape, value: Some(value.into()) });
        TensorId(self.tensors.len() - 1)
    }
}
