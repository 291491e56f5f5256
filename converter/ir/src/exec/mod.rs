//! Execution of a [`Graph`] in `f32`, for calibration, for comparison, and for folding constants.
//!
//! A tensor with a [`Grid`](crate::Grid) is rounded to it, so that a graph of an already quantized model computes what that model does.
//!
//! Pictures are `Nhwc`. One level of threads: each operator splits its own output among rayon's workers, and operators run one after the
//! other, so memory stays that of one picture.

mod computed;
mod convolution;
mod elementwise;
mod gemm;
mod movement;
mod pool;
mod resize;

pub use gemm::{Columns, add_transposed_product};
pub use resize::{linear_taps, nearest_index, source_coordinate};

use thiserror::Error;

use crate::{Assembly, Graph, GraphError, Node, Op, ShapeError, TensorId};

/// A tensor's shape and values, row-major.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Sizes, outermost first.
    pub shape: &'a [usize],
    /// As many values as the shape asks for.
    pub data: &'a [f32],
}

/// Why a graph did not run.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecError {
    /// The graph is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The number of inputs differs from the graph's.
    #[error("the model has {expected} inputs, but {actual} were given")]
    InputCount {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        actual: usize,
    },
    /// An input has the wrong number of values.
    #[error("input `{name}` has shape {shape:?}, but {actual} values were given")]
    InputLength {
        /// The input.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Values given.
        actual: usize,
    },
    /// An operator does not fit its inputs.
    #[error("`{name}`: {source}")]
    Operator {
        /// Node or output.
        name: String,
        /// What does not fit.
        source: ShapeError,
    },
    /// A tensor was read that nothing has written.
    #[error("`{name}` has no value")]
    NoValue {
        /// The tensor.
        name: String,
    },
}

/// Runs a graph.
#[derive(Debug)]
pub struct Executor<'g> {
    graph: &'g Graph,
    /// For each node, the tensors that nothing reads after it.
    dead_after: Vec<Vec<TensorId>>,
}

impl<'g> Executor<'g> {
    /// Prepares a graph.
    ///
    /// # Errors
    /// What [`Graph::verify`] finds.
    pub fn new(graph: &'g Graph) -> Result<Self, GraphError> {
        graph.verify()?;
        let mut last_reader = vec![None; graph.tensors.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            last_reader[node.output.0] = Some(index);
            for id in &node.inputs {
                last_reader[id.0] = Some(index);
            }
        }
        for id in graph
            .outputs
            .iter()
            .flat_map(|output| output.assembly.tensors())
        {
            last_reader[id.0] = None;
        }
        let mut dead_after = vec![Vec::new(); graph.nodes.len()];
        for (tensor, reader) in last_reader.into_iter().enumerate() {
            if let Some(reader) = reader {
                dead_after[reader].push(TensorId(tensor));
            }
        }
        Ok(Self { graph, dead_after })
    }

    /// Runs the graph on values in the source file's order of axes ([`crate::Input::shape`]) and returns its outputs, assembled.
    ///
    /// `observe` sees every input and every result, in the graph's layout, in execution order.
    ///
    /// # Errors
    /// - [`ExecError::InputCount`], [`ExecError::InputLength`]: the inputs are not the model's
    pub fn run(
        &mut self,
        inputs: &[&[f32]],
        observe: &mut dyn FnMut(TensorId, &[f32]),
    ) -> Result<Vec<Vec<f32>>, ExecError> {
        self.run_replacing(inputs, &mut |id, values| observe(id, values))
    }

    /// As [`run`](Self::run), but `observe` may overwrite what it sees, and later nodes read what it left: with another execution's tensors
    /// put in, each node shows what it makes of them, without the errors of the nodes before it.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_replacing(
        &mut self,
        inputs: &[&[f32]],
        observe: &mut dyn FnMut(TensorId, &mut [f32]),
    ) -> Result<Vec<Vec<f32>>, ExecError> {
        let graph = self.graph;
        if inputs.len() != graph.inputs.len() {
            return Err(ExecError::InputCount {
                expected: graph.inputs.len(),
                actual: inputs.len(),
            });
        }
        let mut values: Vec<Option<Vec<f32>>> = vec![None; graph.tensors.len()];
        for (input, &data) in graph.inputs.iter().zip(inputs) {
            if data.len() != input.shape.iter().product::<usize>() {
                return Err(ExecError::InputLength {
                    name: input.name.clone(),
                    shape: input.shape.clone(),
                    actual: data.len(),
                });
            }
            let mut value = movement::transpose(
                View {
                    shape: &input.shape,
                    data,
                },
                &input.order,
            );
            if let Some(grid) = &graph.tensor(input.tensor).grid {
                grid.round_all(&mut value);
            }
            observe(input.tensor, &mut value);
            values[input.tensor.0] = Some(value);
        }
        for (node, dead) in graph.nodes.iter().zip(&self.dead_after) {
            let mut result = match (&node.op, node.inputs.as_slice()) {
                (Op::Reshape { .. }, [x]) if dead.contains(x) && values[x.0].is_some() => {
                    values[x.0].take().unwrap_or_default()
                }
                _ => self.evaluate(node, &values)?,
            };
            if let Some(grid) = &graph.tensor(node.output).grid {
                grid.round_all(&mut result);
            }
            observe(node.output, &mut result);
            values[node.output.0] = Some(result);
            for id in dead {
                values[id.0] = None;
            }
        }
        let outputs = graph.outputs.iter().map(|output| {
            self.assemble(&output.assembly, &values)
                .map(|(_, data)| data)
                .map_err(|source| ExecError::Operator {
                    name: output.name.clone(),
                    source,
                })
        });
        outputs.collect()
    }

    fn evaluate(&self, node: &Node, values: &[Option<Vec<f32>>]) -> Result<Vec<f32>, ExecError> {
        let mut views = Vec::with_capacity(node.inputs.len());
        for id in &node.inputs {
            let tensor = self.graph.tensor(*id);
            let data = tensor.value.as_deref().or(values[id.0].as_deref());
            let data = data.ok_or_else(|| ExecError::NoValue {
                name: tensor.name.clone(),
            })?;
            views.push(View {
                shape: &tensor.shape,
                data,
            });
        }
        eval(&node.op, node.clamp, &views).map_err(|source| ExecError::Operator {
            name: node.name.clone(),
            source,
        })
    }

    fn assemble(
        &self,
        assembly: &Assembly,
        values: &[Option<Vec<f32>>],
    ) -> Result<(Vec<usize>, Vec<f32>), ShapeError> {
        assemble(assembly, &mut |id| {
            let tensor = self.graph.tensor(id);
            (
                tensor.shape.clone(),
                tensor
                    .value
                    .as_deref()
                    .or(values[id.0].as_deref())
                    .unwrap_or_default()
                    .to_vec(),
            )
        })
    }
}

/// Puts an output together; `fetch` gives a tensor's shape and values.
///
/// # Errors
/// A [`ShapeError`] where the parts do not fit.
pub fn assemble(
    assembly: &Assembly,
    fetch: &mut dyn FnMut(TensorId) -> (Vec<usize>, Vec<f32>),
) -> Result<(Vec<usize>, Vec<f32>), ShapeError> {
    let (op, parts) = match assembly {
        Assembly::Tensor(id) => return Ok(fetch(*id)),
        Assembly::Reshape(inner, shape) => (
            Op::Reshape {
                shape: shape.clone(),
            },
            vec![assemble(inner, fetch)?],
        ),
        Assembly::Transpose(inner, order) => (
            Op::Transpose {
                order: order.clone(),
            },
            vec![assemble(inner, fetch)?],
        ),
        Assembly::Concat(inner, axis) => {
            let parts = inner
                .iter()
                .map(|part| assemble(part, fetch))
                .collect::<Result<Vec<_>, _>>()?;
            (Op::Concat { axis: *axis }, parts)
        }
    };
    let views: Vec<_> = parts
        .iter()
        .map(|(shape, data)| View { shape, data })
        .collect();
    let shape = op.output_shape(&views.iter().map(|view| view.shape).collect::<Vec<_>>())?;
    Ok((shape, eval(&op, None, &views)?))
}

/// One operator on given values; what constants are folded with. The grid of its output, which is the tensor's, is the caller's to apply.
///
/// # Errors
/// A [`ShapeError`] where the inputs do not fit the operator, or hold fewer values than their shape asks for.
pub fn eval(
    op: &Op,
    clamp: Option<(f32, f32)>,
    inputs: &[View<'_>],
) -> Result<Vec<f32>, ShapeError> {
    for view in inputs {
        let expected = view.shape.iter().product();
        if view.data.len() != expected {
            return Err(ShapeError::Size {
                op: op.name(),
                what: "the number of values",
                expected,
                actual: view.data.len(),
            });
        }
    }
    let shape = op.output_shape(&inputs.iter().map(|view| view.shape).collect::<Vec<_>>())?;
    let x = inputs[0];
    let mut out = vec![0.0; shape.iter().product()];
    if !out.is_empty() {
        match op {
            Op::Conv2d { window, groups } => {
                convolution::conv_2d(
                    x,
                    inputs[1],
                    inputs.get(2).map(|b| b.data),
                    window,
                    *groups,
                    &shape,
                    &mut out,
                );
            }
            Op::TransposeConv2d { window, groups, .. } => {
                convolution::transpose_conv_2d(
                    x,
                    inputs[1],
                    inputs.get(2).map(|b| b.data),
                    window,
                    *groups,
                    &shape,
                    &mut out,
                );
            }
            Op::FullyConnected => {
                convolution::fully_connected(x, inputs[1], inputs.get(2).map(|b| b.data), &mut out)
            }
            Op::MaxPool2d { kernel, window } => {
                pool::max_pool_2d(x, *kernel, window, &shape, &mut out)
            }
            Op::AveragePool2d {
                kernel,
                window,
                count_include_pad,
            } => {
                pool::average_pool_2d(x, *kernel, window, *count_include_pad, &shape, &mut out);
            }
            Op::Mean { axes, .. } => elementwise::mean(x, axes, &mut out),
            Op::Binary(binary) => elementwise::binary(*binary, x, inputs[1], &shape, &mut out),
            Op::Unary(unary) => elementwise::unary(*unary, x.data, &mut out),
            Op::Function(function) => elementwise::function(function, x.data, &mut out),
            Op::Prelu => elementwise::prelu(x, inputs[1].data, &mut out),
            Op::Softmax { axis } => elementwise::softmax(x, *axis, &mut out),
            Op::BatchMatMul { transposed } => {
                computed::batch_mat_mul(x, inputs[1], *transposed, &shape, &mut out);
            }
            Op::LayerNorm {
                axis,
                run,
                epsilon,
                centered,
            } => {
                let norm = computed::Norm {
                    n: x.shape[*axis..].iter().product(),
                    run: *run,
                    epsilon: *epsilon,
                    centered: *centered,
                };
                computed::layer_norm(x.data, inputs[1].data, inputs[2].data, norm, &mut out);
            }
            Op::ArgMax {
                axis,
                smallest,
                last,
                ..
            } => computed::arg_max(x, *axis, *smallest, *last, &mut out),
            Op::TopK { k, smallest } => {
                let n = x.shape.last().copied().unwrap_or(1);
                computed::top_k(x.data, n, *k, *smallest, &mut out);
            }
            Op::Take { axis } => computed::take(x, inputs[1].data, *axis, &mut out),
            Op::GatherElements { axis } => {
                computed::gather_elements(x, inputs[1], *axis, &mut out);
            }
            Op::Concat { axis } => movement::concat(inputs, *axis, &shape, &mut out),
            Op::Slice { begin, step, .. } => movement::slice(x, begin, step, &shape, &mut out),
            Op::Pad { before, value, .. } => movement::pad(x, before, *value, &shape, &mut out),
            Op::Reshape { .. } | Op::Quantize => out.copy_from_slice(x.data),
            Op::Transpose { order } => out = movement::transpose(x, order),
            Op::Gather { axis, indices } => movement::gather(x, *axis, indices, &mut out),
            Op::Resize {
                mode,
                coordinates,
                scale,
                ..
            } => resize::resize(x, *mode, *coordinates, *scale, &shape, &mut out),
        }
    }
    if let Some((min, max)) = clamp {
        elementwise::clamp(&mut out, min, max);
    }
    Ok(out)
}
