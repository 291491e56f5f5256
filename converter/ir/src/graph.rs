//! The graph: tensors by number, nodes in execution order.

use std::sync::Arc;

use crate::{GraphError, Grid, Op, UnaryOp};

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
    /// The 8-bit numbers that the source file fixes for it; a computed tensor is rounded and saturated to them.
    pub grid: Option<Grid>,
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
    /// Whole numbers in 32 bits.
    S32,
    /// Whole numbers in 64 bits.
    S64,
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

/// How what usually runs a quantized file rounds, where the scales of the file leave that open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// ONNX Runtime: in single precision, halves to even.
    #[default]
    OnnxRuntime,
    /// LiteRT with XNNPACK: as above, but sums have factors of 21 bits, and a pool's mean has halves away from zero of the stored integers.
    LiteRt {
        /// Those are `uint8`.
        unsigned: bool,
    },
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
    /// For tensors with a grid.
    pub rounding: Rounding,
}

impl Graph {
    /// The tensor of that number.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// Adds a tensor that some node will write.
    pub fn add_tensor(&mut self, name: impl Into<String>, shape: Vec<usize>) -> TensorId {
        self.tensors.push(Tensor {
            name: name.into(),
            shape,
            value: None,
            grid: None,
        });
        TensorId(self.tensors.len() - 1)
    }

    /// Adds a constant.
    pub fn add_constant(
        &mut self,
        name: impl Into<String>,
        shape: Vec<usize>,
        value: impl Into<Arc<[f32]>>,
    ) -> TensorId {
        self.tensors.push(Tensor {
            name: name.into(),
            shape,
            value: Some(value.into()),
            grid: None,
        });
        TensorId(self.tensors.len() - 1)
    }

    /// Adds a constant whose values are steps of a grid.
    pub fn add_grid_constant(
        &mut self,
        name: impl Into<String>,
        shape: Vec<usize>,
        value: impl Into<Arc<[f32]>>,
        grid: Grid,
    ) -> TensorId {
        let id = self.add_constant(name, shape, value);
        self.tensors[id.0].grid = Some(grid);
        id
    }

    /// Fixes the grid of a tensor that was just made: no reader may count on its unrounded values.
    pub fn set_grid(&mut self, id: TensorId, grid: Grid) {
        if let Some(tensor) = self.tensors.get_mut(id.0) {
            tensor.grid = Some(grid);
        }
    }
}

impl Graph {
    /// Adds a model input of the graph's own layout and returns its tensor.
    pub fn add_input(
        &mut self,
        name: impl Into<String>,
        shape: Vec<usize>,
        border: BorderType,
    ) -> TensorId {
        let name = name.into();
        let tensor = self.add_tensor(name.clone(), shape.clone());
        let order = (0..shape.len()).collect();
        self.inputs.push(Input {
            tensor,
            name,
            shape,
            order,
            border,
        });
        tensor
    }

    /// Adds a model input whose user hands over the 8-bit numbers of a grid themselves, and returns the tensor of the real numbers.
    ///
    /// The input's own tensor holds the user's numbers as they are; where they are not the real ones, a node behind it makes them so. No
    /// arithmetic comes of it on the device.
    ///
    /// # Errors
    /// As [`add_node`](Self::add_node).
    pub fn add_grid_input(
        &mut self,
        name: impl Into<String>,
        shape: Vec<usize>,
        border: BorderType,
        grid: Grid,
    ) -> Result<TensorId, GraphError> {
        let name = name.into();
        let raw = self.add_input(name.clone(), shape, border);
        self.dequantize_input(name, raw, border, grid)
    }

    /// The real numbers of a model input whose user hands over the 8-bit numbers of a grid: [`add_grid_input`](Self::add_grid_input)'s second
    /// half, for an input that exists.
    ///
    /// # Errors
    /// As [`add_node`](Self::add_node).
    pub fn dequantize_input(
        &mut self,
        name: impl Into<String>,
        raw: TensorId,
        border: BorderType,
        grid: Grid,
    ) -> Result<TensorId, GraphError> {
        let zero = match border {
            BorderType::F32 | BorderType::S32 | BorderType::S64 => {
                self.set_grid(raw, grid);
                return Ok(raw);
            }
            BorderType::U8 => grid.zero_point + 128,
            BorderType::S8 => grid.zero_point,
        };
        let op = Op::Unary(UnaryOp::Affine {
            scale: grid.scale(),
            offset: -grid.scale() * zero as f32,
        });
        let real = self.add_node(format!("{}.real", name.into()), op, &[raw])?;
        self.set_grid(real, grid);
        Ok(real)
    }

    /// The tensor rounded to a grid: itself where it is on that grid already, else the output of a new node.
    ///
    /// A pass moves the grid into the operator before, where nobody else reads what that makes.
    ///
    /// # Errors
    /// As [`add_node`](Self::add_node).
    pub fn quantized(
        &mut self,
        name: impl Into<String>,
        id: TensorId,
        grid: Grid,
    ) -> Result<TensorId, GraphError> {
        if self
            .tensors
            .get(id.0)
            .is_some_and(|tensor| tensor.grid.as_ref() == Some(&grid))
        {
            return Ok(id);
        }
        let rounded = self.add_node(name, Op::Quantize, &[id])?;
        self.set_grid(rounded, grid);
        Ok(rounded)
    }

    /// Makes a tensor an output of the model, as it is.
    pub fn add_output(&mut self, name: impl Into<String>, tensor: TensorId, border: BorderType) {
        let shape = self.tensor(tensor).shape.clone();
        self.outputs.push(Output {
            name: name.into(),
            shape,
            assembly: Assembly::Tensor(tensor),
            border,
        });
    }

    /// Appends a node and returns its output, whose shape is inferred and whose name is the node's. A name that is taken gets a number.
    ///
    /// # Errors
    /// - [`GraphError::Shape`]: the inputs do not fit the operator
    /// - [`GraphError::NoSuchTensor`]: an input is not a tensor of this graph
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let name = self.unused_node_name(name.into());
        let mut shapes = Vec::with_capacity(inputs.len());
        for id in inputs {
            let tensor = self
                .tensors
                .get(id.0)
                .ok_or_else(|| GraphError::NoSuchTensor {
                    user: name.clone(),
                    tensor: id.0,
                })?;
            shapes.push(tensor.shape.as_slice());
        }
        let shape = op
            .output_shape(&shapes)
            .map_err(|source| GraphError::Shape {
                node: name.clone(),
                source,
            })?;
        let output = self.add_tensor(name.clone(), shape);
        self.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            output,
            clamp: None,
        });
        Ok(output)
    }

    /// `base`, or `base` with the first free number.
    pub fn unused_node_name(&self, base: String) -> String {
        let taken = |name: &str| self.nodes.iter().any(|node| node.name == name);
        if !base.is_empty() && !taken(&base) {
            return base;
        }
        let stem = if base.is_empty() { "node" } else { &base };
        (1usize..)
            .map(|i| format!("{stem}.{i}"))
            .find(|name| !taken(name))
            .unwrap_or(base)
    }
}
