//! The quantized graph into operators of the device.
//!
//! Reshapes disappear (the same memory), layers become integers, functions become tables, copies are brought to the four axes that kernels
//! have, and what the device has no operator for becomes several that it has.

mod binary;
mod computed;
mod conv;
mod device;
mod movement;
mod pointwise;
mod pool;
mod resize;

use std::collections::HashMap;

use ocellus_format::QParams;
use ocellus_format::ops::{IndexType, Operands, OutputS8, Window2d};
use ocellus_ir::{Graph, Node, Op, TensorId, Window};

pub(crate) use binary::swapped;
use computed::reads_indices;
pub use device::{Constant, DeviceNode, DeviceOp, DeviceProgram, DeviceTensor, Operand, Values};
pub(crate) use device::{dims, each};

use crate::quantize::{Indices, Quantization, params};
use crate::reconstruct::Reconstruction;
use crate::{CompileError, Passes};

/// What happened to a layer that its user may want to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerNotes {
    /// Output channels whose weights are all zero: constants.
    pub dead_channels: usize,
    /// Output channels whose weight scale was widened so that bias or accumulator fit.
    pub widened_channels: usize,
    /// Output channels whose rescale lies outside the fast range of kernels.
    pub slow_requants: usize,
    /// Output channels.
    pub channels: usize,
}

/// A lowered graph.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// What the device will run.
    pub program: DeviceProgram,
    /// By the name of the graph's node; only layers with weights.
    pub layers: Vec<(String, LayerNotes)>,
    /// Changes of scale that a concatenation, minimum, maximum or output needed: names of the added operators.
    pub rescales: Vec<String>,
}

/// Lowers a graph.
///
/// # Errors
/// [`CompileError::Unsupported`] and [`CompileError::Limits`] by node, [`CompileError::ConstantOutput`].
pub fn lower(
    graph: &Graph,
    quantization: &Quantization,
    reconstruction: &Reconstruction,
    passes: Passes,
) -> Result<Lowered, CompileError> {
    let mut lowering = Lowering {
        graph,
        quantization,
        reconstruction,
        passes,
        lowered: Lowered {
            program: DeviceProgram::default(),
            layers: Vec::new(),
            rescales: Vec::new(),
        },
        constants: HashMap::new(),
    };
    lowering.lowered.program.placed = vec![None; graph.tensors.len()];
    let indices = Indices::of(graph);
    for input in &graph.inputs {
        let tensor = graph.tensor(input.tensor);
        let qparams = quantization.params(graph, input.tensor)?;
        let index_type = indices.contains(input.tensor).then_some(IndexType::S32);
        let index = lowering.add_tensor(
            tensor.name.clone(),
            tensor.shape.clone(),
            (qparams, index_type),
        );
        lowering.lowered.program.inputs.push(index);
        lowering.place(input.tensor, index);
    }
    let needed = needed_nodes(graph);
    for (node, _) in graph.nodes.iter().zip(needed).filter(|&(_, needed)| needed) {
        lowering.node(node)?;
    }
    for output in &graph.outputs {
        for id in output.assembly.tensors() {
            let Some(index) = lowering.lowered.program.placed[id.0] else {
                return Err(CompileError::ConstantOutput {
                    output: output.name.clone(),
                });
            };
            let index = lowering.delivered(id, index)?;
            let program = &mut lowering.lowered.program;
            if !program.outputs.contains(&index) {
                program.outputs.push(index);
            }
            // A reshape is the same memory: the name and shape that the user sees are those of the last one.
            program.tensors[index].shape = graph.tensor(id).shape.clone();
        }
    }
    Ok(lowering.lowered)
}

impl Lowering<'_> {
    /// The tensor of an output: an input's bytes that were given other numbers are copied, for the reader of the output to know these.
    fn delivered(&mut self, id: TensorId, index: usize) -> Result<usize, CompileError> {
        let qparams = self.quantization.params(self.graph, id)?;
        let writer = self.graph.nodes.iter().find(|node| node.output == id);
        let Some(writer) =
            writer.filter(|_| self.lowered.program.tensors[index].qparams != qparams)
        else {
            return Ok(index);
        };
        let shape = self.output_shape(writer);
        let entries = self.list(writer, "table", Values::S8((-128..=127).collect()));
        let len = shape.iter().product::<usize>() as u32;
        let lookup = DeviceOp::Lookup(ocellus_format::ops::Lookup { len });
        let operands = vec![Operand::Tensor(index), entries];
        let placed = self.push(writer, "delivered", lookup, operands, shape, qparams)?;
        self.alias_to(writer, placed);
        Ok(self.lowered.program.placed[id.0].unwrap_or(index))
    }
}

/// Nodes that some output depends on.
fn needed_nodes(graph: &Graph) -> Vec<bool> {
    let mut tensor_needed = vec![false; graph.tensors.len()];
    for id in graph
        .outputs
        .iter()
        .flat_map(|output| output.assembly.tensors())
    {
        tensor_needed[id.0] = true;
    }
    let mut needed = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if tensor_needed[node.output.0] {
            needed[index] = true;
            for id in &node.inputs {
                tensor_needed[id.0] = true;
            }
        }
    }
    needed
}

/// A value on the device: where it lies, and its scale.
#[derive(Clone, Copy, Debug)]
struct Placed {
    operand: Operand,
    qparams: QParams,
}

struct Lowering<'g> {
    graph: &'g Graph,
    quantization: &'g Quantization,
    reconstruction: &'g Reconstruction,
    passes: Passes,
    lowered: Lowered,
    /// Constants by a digest of type, shape and values.
    constants: HashMap<[u8; 32], usize>,
}

impl Lowering<'_> {
    fn node(&mut self, node: &Node) -> Result<(), CompileError> {
        let limits = |op: &Op| {
            matches!(
                op,
                Op::Conv2d { .. }
                    | Op::TransposeConv2d { .. }
                    | Op::FullyConnected
                    | Op::MaxPool2d { .. }
                    | Op::AveragePool2d { .. }
                    | Op::Mean { .. }
                    | Op::Binary(_)
                    | Op::Unary(_)
                    | Op::Prelu
            )
        };
        if node.clamp.is_some() && !limits(&node.op) {
            return Err(unsupported(
                node,
                "it has a fused limit",
                "switch off activation fusing for this model",
            ));
        }
        match &node.op {
            Op::Conv2d { window, groups } => self.conv_2d(node, window, *groups),
            Op::TransposeConv2d {
                window,
                output_padding,
                groups,
            } => self.transpose_conv_2d(node, window, *output_padding, *groups),
            Op::FullyConnected => self.fully_connected(node),
            Op::MaxPool2d { kernel, window } => self.max_pool_2d(node, *kernel, window),
            Op::AveragePool2d {
                kernel,
                window,
                count_include_pad,
            } => self.average_pool_2d(node, *kernel, window, *count_include_pad),
            Op::Mean { axes, .. } => self.mean(node, axes),
            Op::Binary(op) => self.binary(node, *op),
            Op::Unary(op) => self.unary(node, *op),
            Op::Function(function) => self.tabulate(node, 0, |x| function.exact(x)),
            Op::Prelu => self.prelu(node),
            Op::Softmax { axis } => self.softmax(node, *axis),
            Op::BatchMatMul { transposed } => self.batch_mat_mul(node, *transposed),
            Op::LayerNorm {
                axis,
                run,
                epsilon,
                centered,
            } => self.layer_norm(node, *axis, *run, *epsilon, *centered),
            Op::ArgMax {
                axis,
                smallest,
                last,
                ..
            } => self.arg_max(node, *axis, *smallest, *last),
            Op::TopK { k, smallest } => self.top_k(node, *k, *smallest),
            Op::Take { axis } => self.take(node, *axis),
            Op::GatherElements { axis } => self.gather_elements(node, *axis),
            Op::Concat { axis } => self.concat(node, *axis),
            Op::Slice { begin, step, .. } => self.slice(node, begin, step),
            Op::Pad {
                before,
                after,
                value,
            } => self.pad(node, before, after, *value),
            Op::Reshape { .. } => self.alias(node),
            Op::Transpose { order } => self.transpose(node, order),
            Op::Gather { axis, indices } => self.gather(node, *axis, indices),
            Op::Resize {
                mode,
                coordinates,
                scale,
                ..
            } => self.resize(node, *mode, *coordinates, *scale),
            Op::Quantize => self.change_of_scale(node),
        }
    }

    /// The input at a position, which must be computed.
    fn input(&self, node: &Node, position: usize) -> Result<Placed, CompileError> {
        let id = node.inputs[position];
        match self.lowered.program.placed[id.0] {
            // The tensor's own numbers: a raw input's bytes may have been given other ones where they lie.
            Some(index) => Ok(Placed {
                operand: Operand::Tensor(index),
                qparams: self.quantization.params(self.graph, id)?,
            }),
            None => Err(unsupported(
                node,
                "its input is a constant",
                "fold constants before conversion (for example with onnxsim), or leave constant folding switched on",
            )),
        }
    }

    /// The input of an operator that only moves values, in the scale of its output.
    fn moved_input(&mut self, node: &Node) -> Result<Placed, CompileError> {
        let input = self.input(node, 0)?;
        let shape = self.input_shape(node, 0).to_vec();
        self.rescale(node, "rescale", input, shape, self.output_params(node)?)
    }

    /// The constant at a position.
    fn constant_input(&self, node: &Node, position: usize) -> Result<&[f32], CompileError> {
        self.graph
            .tensor(node.inputs[position])
            .value
            .as_deref()
            .ok_or_else(|| {
                unsupported(
                    node,
                    "its weights, bias or slope are computed by the model and not constants",
                    "export the model with constant weights",
                )
            })
    }

    fn input_shape(&self, node: &Node, position: usize) -> &[usize] {
        &self.graph.tensor(node.inputs[position]).shape
    }

    fn output_shape(&self, node: &Node) -> Vec<usize> {
        self.graph.tensor(node.output).shape.clone()
    }

    fn output_params(&self, node: &Node) -> Result<QParams, CompileError> {
        self.quantization.params(self.graph, node.output)
    }

    fn add_tensor(
        &mut self,
        name: String,
        shape: Vec<usize>,
        (qparams, index): (QParams, Option<IndexType>),
    ) -> usize {
        self.lowered.program.tensors.push(DeviceTensor {
            name,
            shape,
            qparams,
            index,
        });
        self.lowered.program.tensors.len() - 1
    }

    fn place(&mut self, id: TensorId, index: usize) {
        self.lowered.program.placed[id.0] = Some(index);
    }

    /// Adds a constant, or finds an equal one.
    fn constant(
        &mut self,
        node: &Node,
        what: &str,
        shape: Vec<usize>,
        qparams: Option<QParams>,
        values: Values,
    ) -> Operand {
        let key = device_digest(&shape, qparams, &values);
        let constants = &mut self.lowered.program.constants;
        let index = *self.constants.entry(key).or_insert_with(|| {
            constants.push(Constant {
                name: format!("{}.{what}", node.name),
                shape,
                qparams,
                values,
            });
            constants.len() - 1
        });
        Operand::Constant(index)
    }

    /// True where the source file states the scales of all that a node reads and writes.
    fn scales_are_of_file(&self, node: &Node) -> bool {
        let mut tensors = node.inputs.iter().chain([&node.output]);
        tensors.all(|&id| self.graph.tensor(id).grid.is_some())
    }

    /// A one-dimensional constant.
    fn list(&mut self, node: &Node, what: &str, values: Values) -> Operand {
        let shape = vec![values.len()];
        self.constant(node, what, shape, None, values)
    }

    /// Appends an operator with a new output of that shape and scale, after the check that the device will do.
    fn push(
        &mut self,
        node: &Node,
        suffix: &str,
        op: DeviceOp,
        inputs: Vec<Operand>,
        shape: Vec<usize>,
        qparams: QParams,
    ) -> Result<Placed, CompileError> {
        self.push_as(node, suffix, op, inputs, shape, (qparams, None))
    }

    /// As [`push`](Self::push), of an output that may hold indices.
    fn push_as(
        &mut self,
        node: &Node,
        suffix: &str,
        op: DeviceOp,
        inputs: Vec<Operand>,
        shape: Vec<usize>,
        (qparams, index): (QParams, Option<IndexType>),
    ) -> Result<Placed, CompileError> {
        let holds_indices = |operand: &Operand| match *operand {
            Operand::Tensor(tensor) => self.lowered.program.tensors[tensor].index.is_some(),
            Operand::Constant(_) => false,
        };
        let misread = inputs
            .iter()
            .enumerate()
            .any(|(at, operand)| holds_indices(operand) && !reads_indices(&op, at));
        if misread {
            return Err(unsupported(
                node,
                "its input holds indices, and devices only pick by them",
                "make the indices an output of the model and compute with them there",
            ));
        }
        let last = suffix.is_empty();
        let (name, tensor_name) = if last {
            (
                node.name.clone(),
                self.graph.tensor(node.output).name.clone(),
            )
        } else {
            (
                format!("{}.{suffix}", node.name),
                format!("{}.{suffix}", self.graph.tensor(node.output).name),
            )
        };
        let output = self.add_tensor(tensor_name, shape, (qparams, index));
        let infos: Vec<_> = inputs
            .iter()
            .map(|&operand| self.lowered.program.extent(operand))
            .collect();
        let written = [self.lowered.program.extent(Operand::Tensor(output))];
        op.check(&Operands {
            inputs: &infos,
            outputs: &written,
        })
        .map_err(|reason| CompileError::Limits {
            node: node.name.clone(),
            op: op.code().name(),
            reason,
        })?;
        self.lowered.program.nodes.push(DeviceNode {
            name,
            op,
            inputs,
            output,
        });
        Ok(Placed {
            operand: Operand::Tensor(output),
            qparams,
        })
    }

    /// Appends the operator that makes the node's own output.
    fn finish(
        &mut self,
        node: &Node,
        op: DeviceOp,
        inputs: Vec<Operand>,
    ) -> Result<(), CompileError> {
        let placed = self.push(
            node,
            "",
            op,
            inputs,
            self.output_shape(node),
            self.output_params(node)?,
        )?;
        self.alias_to(node, placed);
        Ok(())
    }

    /// Makes the node's output the same memory as something that exists.
    fn alias_to(&mut self, node: &Node, placed: Placed) {
        if let Operand::Tensor(index) = placed.operand {
            self.place(node.output, index);
        }
    }

    fn alias(&mut self, node: &Node) -> Result<(), CompileError> {
        let placed = self.moved_input(node)?;
        self.alias_to(node, placed);
        Ok(())
    }
}

fn device_digest(shape: &[usize], qparams: Option<QParams>, values: &Values) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update([
        values.dtype() as u8,
        shape.len() as u8,
        u8::from(qparams.is_some()),
    ]);
    for size in shape {
        hash.update((*size as u64).to_le_bytes());
    }
    if let Some(q) = qparams {
        hash.update(q.scale.to_le_bytes());
        hash.update(q.zero_point.to_le_bytes());
    }
    match values {
        Values::S8(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
        Values::U8(v) => hash.update(v),
        Values::S16(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
        Values::U16(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
        Values::S32(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
        Values::U32(v) => v.iter().for_each(|x| hash.update(x.to_le_bytes())),
    }
    hash.finalize().into()
}

fn unsupported(node: &Node, reason: impl Into<String>, remedy: &'static str) -> CompileError {
    CompileError::Unsupported {
        node: node.name.clone(),
        op: node.op.name(),
        reason: reason.into(),
        remedy,
    }
}

/// Zero point and limits of an output.
fn output_s8(node: &Node, qparams: QParams) -> OutputS8 {
    let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    OutputS8 {
        zero_point: qparams.zero_point as i8,
        min: params::quantize_value(qparams, f64::from(low)),
        max: params::quantize_value(qparams, f64::from(high)),
    }
}

/// Least and largest result that the limits leave, without the zero point.
fn steps_of(output: OutputS8) -> [i32; 2] {
    [output.min, output.max].map(|limit| i32::from(limit) - i32::from(output.zero_point))
}

/// Sizes of a window over `[1, h, w, c]`.
fn window_2d(
    node: &Node,
    window: &Window,
    kernel: [usize; 2],
    x: &[usize],
    y: &[usize],
) -> Result<Window2d, CompileError> {
    let (&[batch, in_h, in_w, _], &[_, out_h, out_w, _]) = (x, y) else {
        return Err(unsupported(
            node,
            format!("its input has {} axes and not 4", x.len()),
            "reshape the input to a picture",
        ));
    };
    if batch != 1 {
        return Err(batch_refused(node, batch));
    }
    let [kernel_h, kernel_w] = kernel;
    Ok(Window2d {
        in_h: in_h as u32,
        in_w: in_w as u32,
        out_h: out_h as u32,
        out_w: out_w as u32,
        kernel_h: kernel_h as u32,
        kernel_w: kernel_w as u32,
        stride_h: window.stride[0] as u32,
        stride_w: window.stride[1] as u32,
        dilation_h: window.dilation[0] as u32,
        dilation_w: window.dilation[1] as u32,
        pad_top: window.pad_before[0] as u32,
        pad_left: window.pad_before[1] as u32,
    })
}

fn batch_refused(node: &Node, batch: usize) -> CompileError {
    unsupported(
        node,
        format!("the batch is {batch}"),
        "devices run one sample at a time: set the batch to 1 with --input NAME=1,...",
    )
}
