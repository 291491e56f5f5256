//! The invariants of a [`Graph`], checked after the import and after every pass.

use std::collections::HashSet;

use thiserror::Error;

use crate::{Assembly, BinaryOp, Graph, Op, ShapeError, Tensor, TensorId, shape::is_permutation};

/// What is wrong with a graph.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphError {
    /// An operator and its inputs do not fit each other.
    #[error("node `{node}`: {source}")]
    Shape {
        /// The node's name.
        node: String,
        /// What does not fit.
        source: ShapeError,
    },
    /// A tensor's recorded shape is not the one that its operator gives.
    #[error("node `{node}`: its output is recorded as {recorded:?}, but `{op}` gives {inferred:?}")]
    OutputShape {
        /// The node's name.
        node: String,
        /// Its operator.
        op: &'static str,
        /// The shape in the graph.
        recorded: Vec<usize>,
        /// The shape by the operator's rule.
        inferred: Vec<usize>,
    },
    /// A tensor number beyond the list.
    #[error("`{user}` refers to tensor {tensor}, which does not exist")]
    NoSuchTensor {
        /// Node, input or output.
        user: String,
        /// The number.
        tensor: usize,
    },
    /// A tensor is read before it is written.
    #[error("`{user}` reads `{tensor}`, which no earlier node, input or constant provides")]
    NotComputed {
        /// Node or output.
        user: String,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor is written twice.
    #[error("`{node}` writes `{tensor}`, which is already provided")]
    WrittenTwice {
        /// Node or input.
        node: String,
        /// The tensor's name.
        tensor: String,
    },
    /// Two nodes of one name.
    #[error("two nodes are named `{name}`")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A constant's values do not fill its shape.
    #[error("constant `{tensor}` has shape {shape:?}, but {actual} values")]
    ConstantLength {
        /// The constant's name.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Values that it has.
        actual: usize,
    },
    /// A constant holds NaN or an infinity.
    #[error(
        "constant `{tensor}`, read by `{node}`, holds {value} at element {index}: the file is damaged or was trained to no result; export it again"
    )]
    NotFinite {
        /// The constant's name.
        tensor: String,
        /// A node that reads it.
        node: String,
        /// The value, as text.
        value: String,
        /// Where.
        index: usize,
    },
    /// A fused activation where none may be, or with limits the wrong way round.
    #[error("node `{node}`: `{op}` cannot be limited to {min}..={max}")]
    Clamp {
        /// The node's name.
        node: String,
        /// Its operator.
        op: &'static str,
        /// Lower limit, as text.
        min: String,
        /// Upper limit, as text.
        max: String,
    },
    /// A grid that is none of 8 bits, does not fit its tensor, or is missing where an operator is there for it alone.
    #[error("tensor `{tensor}`: {reason}")]
    Grid {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An input's or output's recorded shape does not follow from the graph's tensors.
    #[error("`{name}` is recorded as {recorded:?}, but the graph gives {actual:?}")]
    Border {
        /// Input or output.
        name: String,
        /// The shape in the graph's list.
        recorded: Vec<usize>,
        /// The shape by the tensors.
        actual: Vec<usize>,
    },
    /// A model input has no elements.
    #[error(
        "input `{name}` has shape {shape:?}: a size is 0; give it one with `--input {name}=SHAPE`"
    )]
    EmptyInput {
        /// The input.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
}

impl Op {
    /// True where a node of this operator may carry a fused activation.
    pub fn takes_clamp(&self) -> bool {
        matches!(
            self,
            Op::Conv2d { .. }
                | Op::TransposeConv2d { .. }
                | Op::FullyConnected
                | Op::MaxPool2d { .. }
                | Op::AveragePool2d { .. }
                | Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)
        )
    }
}

impl Graph {
    /// Checks every invariant: single assignment, order, shapes, constants, names, borders.
    ///
    /// # Errors
    /// The first [`GraphError`] found.
    pub fn verify(&self) -> Result<(), GraphError> {
        let mut known = vec![false; self.tensors.len()];
        for (tensor, known) in self.tensors.iter().zip(&mut known) {
            check_grid(tensor)?;
            if let Some(value) = &tensor.value {
                if tensor
                    .shape
                    .iter()
                    .try_fold(1usize, |n, &s| n.checked_mul(s))
                    != Some(value.len())
                {
                    let actual = value.len();
                    return Err(GraphError::ConstantLength {
                        tensor: tensor.name.clone(),
                        shape: tensor.shape.clone(),
                        actual,
                    });
                }
                *known = true;
            }
        }
        for input in &self.inputs {
            let tensor = self.get(&input.name, input.tensor)?;
            if !is_permutation(&input.order, input.shape.len()) {
                return Err(GraphError::Border {
                    name: input.name.clone(),
                    recorded: input.shape.clone(),
                    actual: input.order.clone(),
                });
            }
            let shape: Vec<_> = input.order.iter().map(|&axis| input.shape[axis]).collect();
            if shape != tensor.shape {
                return Err(GraphError::Border {
                    name: input.name.clone(),
                    recorded: input.shape.clone(),
                    actual: tensor.shape.clone(),
                });
            }
            if shape.contains(&0) {
                return Err(GraphError::EmptyInput {
                    name: input.name.clone(),
                    shape,
                });
            }
            self.provide(&mut known, &input.name, input.tensor)?;
        }
        let mut names = HashSet::new();
        let mut finite = vec![false; self.tensors.len()];
        for node in &self.nodes {
            if !names.insert(node.name.as_str()) {
                return Err(GraphError::DuplicateName {
                    name: node.name.clone(),
                });
            }
            let mut shapes = Vec::with_capacity(node.inputs.len());
            for &id in &node.inputs {
                let tensor = self.get(&node.name, id)?;
                if !known[id.0] {
                    return Err(GraphError::NotComputed {
                        user: node.name.clone(),
                        tensor: tensor.name.clone(),
                    });
                }
                if !std::mem::replace(&mut finite[id.0], true) {
                    self.check_finite(&node.name, id)?;
                }
                shapes.push(tensor.shape.as_slice());
            }
            let inferred = node
                .op
                .output_shape(&shapes)
                .map_err(|source| GraphError::Shape {
                    node: node.name.clone(),
                    source,
                })?;
            let output = self.get(&node.name, node.output)?;
            if inferred != output.shape {
                let recorded = output.shape.clone();
                return Err(GraphError::OutputShape {
                    node: node.name.clone(),
                    op: node.op.name(),
                    recorded,
                    inferred,
                });
            }
            if node.op == Op::Quantize && output.grid.is_none() {
                return Err(GraphError::Grid {
                    tensor: output.name.clone(),
                    reason: "the operator before it only rounds, but it has no scale to round to",
                });
            }
            if let Some((min, max)) = node.clamp
                && !(node.op.takes_clamp() && min <= max)
            {
                let (min, max) = (min.to_string(), max.to_string());
                return Err(GraphError::Clamp {
                    node: node.name.clone(),
                    op: node.op.name(),
                    min,
                    max,
                });
            }
            self.provide(&mut known, &node.name, node.output)?;
        }
        for output in &self.outputs {
            for id in output.assembly.tensors() {
                let tensor = self.get(&output.name, id)?;
                if !known[id.0] {
                    return Err(GraphError::NotComputed {
                        user: output.name.clone(),
                        tensor: tensor.name.clone(),
                    });
                }
                self.check_finite(&output.name, id)?;
            }
            let shape = self.assembled_shape(&output.assembly);
            let actual = shape.map_err(|source| GraphError::Shape {
                node: output.name.clone(),
                source,
            })?;
            if actual != output.shape {
                return Err(GraphError::Border {
                    name: output.name.clone(),
                    recorded: output.shape.clone(),
                    actual,
                });
            }
        }
        Ok(())
    }

    /// The shape that an assembly has; its tensors must exist.
    ///
    /// # Errors
    /// A [`ShapeError`] where its parts do not fit.
    pub fn assembled_shape(&self, assembly: &Assembly) -> Result<Vec<usize>, ShapeError> {
        match assembly {
            Assembly::Tensor(id) => Ok(self.tensor(*id).shape.clone()),
            Assembly::Reshape(inner, shape) => Op::Reshape {
                shape: shape.clone(),
            }
            .output_shape(&[&self.assembled_shape(inner)?]),
            Assembly::Transpose(inner, order) => Op::Transpose {
                order: order.clone(),
            }
            .output_shape(&[&self.assembled_shape(inner)?]),
            Assembly::Concat(parts, axis) => {
                let shapes = parts
                    .iter()
                    .map(|part| self.assembled_shape(part))
                    .collect::<Result<Vec<_>, _>>()?;
                Op::Concat { axis: *axis }
                    .output_shape(&shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())
            }
        }
    }

    fn get(&self, user: &str, id: TensorId) -> Result<&crate::Tensor, GraphError> {
        self.tensors
            .get(id.0)
            .ok_or_else(|| GraphError::NoSuchTensor {
                user: user.to_owned(),
                tensor: id.0,
            })
    }

    fn provide(&self, known: &mut [bool], node: &str, id: TensorId) -> Result<(), GraphError> {
        if std::mem::replace(&mut known[id.0], true) {
            return Err(GraphError::WrittenTwice {
                node: node.to_owned(),
                tensor: self.tensor(id).name.clone(),
            });
        }
        Ok(())
    }

    fn check_finite(&self, node: &str, id: TensorId) -> Result<(), GraphError> {
        let tensor = self.tensor(id);
        let Some(value) = &tensor.value else {
            return Ok(());
        };
        // A sum of zeros is not zero only where one factor was not finite; the scan for the place runs in the bad case alone.
        if value.iter().map(|v| v * 0.0).sum::<f32>() == 0.0 {
            return Ok(());
        }
        let index = value.iter().position(|v| !v.is_finite()).unwrap_or(0);
        let value = value[index].to_string();
        Err(GraphError::NotFinite {
            tensor: tensor.name.clone(),
            node: node.to_owned(),
            value,
            index,
        })
    }
}

/// Scales above zero, a zero point of 8 bits, and one scale for a computed tensor; a constant's values are whole steps.
fn check_grid(tensor: &Tensor) -> Result<(), GraphError> {
    let Some(grid) = &tensor.grid else {
        return Ok(());
    };
    let first = tensor.shape.first().copied().unwrap_or(1);
    let reason = match &tensor.value {
        _ if !grid.is_valid() => "its scale or zero point is not one of 8 bits",
        None if grid.scales.len() != 1 => "it is computed and has more than one scale",
        Some(_) if ![1, first].contains(&grid.scales.len()) => {
            "it has neither one scale nor one an index of its first axis"
        }
        Some(values) if !grid.holds(values) => {
            "its values are no whole steps of its scale, or more than 255 from zero"
        }
        _ => return Ok(()),
    };
    Err(GraphError::Grid {
        tensor: tensor.name.clone(),
        reason,
    })
}
