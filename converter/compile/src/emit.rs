//! A planned program into the bytes of a model file.

use ocellus_format::{
    Assembly, BorderInput, BorderOutput, Calibration as CalibrationRecord, Info, Isa, Scratch,
    TaskRecord, TensorRef, WriteError, Writer,
};
use ocellus_ir::{Graph, TensorId};

use crate::calibrate::{Calibration, border};
use crate::lower::DeviceOp;
use crate::lower::{DeviceProgram, Operand, Values, dims, each};
use crate::schedule::Schedule;
use crate::{CompileError, Provenance};

/// What [`emit`] puts into the file beside the program.
#[derive(Clone, Copy, Debug)]
pub struct Border<'a> {
    /// The graph, for the names and shapes that its user knows.
    pub graph: &'a Graph,
    /// The record of the calibration.
    pub calibration: &'a Calibration,
    /// Where the model comes from.
    pub provenance: &'a Provenance,
    /// What a user should know.
    pub notes: &'a [String],
    /// What the model is for.
    pub task: Option<&'a TaskRecord<'a>>,
}

fn rejected(error: WriteError) -> CompileError {
    match error {
        WriteError::TooLarge => CompileError::TooLarge {
            what: "tensors or bytes than the format counts; at least",
            needed: u64::from(u16::MAX),
            limit: u64::from(u16::MAX),
        },
        other => CompileError::Rejected(other.to_string()),
    }
}

fn sizes(shape: &[usize]) -> Vec<u32> {
    shape.iter().map(|&size| size as u32).collect()
}

/// Writes the file.
///
/// # Errors
/// [`CompileError::TooLarge`], [`CompileError::Rejected`]
pub fn emit(
    program: &DeviceProgram,
    schedule: &Schedule,
    isa: Isa,
    about: Border<'_>,
) -> Result<Vec<u8>, CompileError> {
    let mut writer = Writer::new(isa);
    let parts: Vec<u32> = (schedule.plan.parts.iter())
        .map(|&bytes| bytes as u32)
        .collect();
    writer.parts(&parts);
    let mut tensors = Vec::with_capacity(program.tensors.len());
    for (tensor, &offset) in program.tensors.iter().zip(&schedule.plan.offsets) {
        let (rank, dims) = dims(&tensor.shape);
        let shape = &dims[..usize::from(rank)];
        let written = match tensor.index {
            Some(index) => writer.indices(&tensor.name, shape, index, offset as u32),
            None => writer.activation(&tensor.name, shape, tensor.qparams, offset as u32),
        };
        tensors.push(written.map_err(rejected)?);
    }
    let mut constants = Vec::with_capacity(program.constants.len());
    for constant in &program.constants {
        let (rank, dims) = dims(&constant.shape);
        let (name, shape, q) = (&constant.name, &dims[..usize::from(rank)], constant.qparams);
        let written = match &constant.values {
            Values::S8(v) => writer.constant(name, shape, q, v),
            Values::U8(v) => writer.constant(name, shape, q, v),
            Values::S16(v) => writer.constant(name, shape, q, v),
            Values::U16(v) => writer.constant(name, shape, q, v),
            Values::S32(v) => writer.constant(name, shape, q, v),
            Values::U32(v) => writer.constant(name, shape, q, v),
        };
        constants.push(written.map_err(rejected)?);
    }
    for (index, node) in program.nodes.iter().enumerate() {
        let inputs: Vec<TensorRef> = node
            .inputs
            .iter()
            .map(|operand| match *operand {
                Operand::Tensor(tensor) => tensors[tensor],
                Operand::Constant(constant) => constants[constant],
            })
            .collect();
        let scratch = Scratch {
            offset: schedule.plan.scratch_offsets[index] as u32,
            bytes: schedule.scratch_bytes[index] as u32,
        };
        let outputs = [tensors[node.output]];
        each!(&node.op, p => writer.operator(&node.name, p, &inputs, &outputs, scratch))
            .map_err(rejected)?;
    }
    let refs = |indices: &[usize]| {
        indices
            .iter()
            .map(|&index| tensors[index])
            .collect::<Vec<_>>()
    };
    let graph = about.graph;
    let inputs = graph.inputs.iter().map(|input| BorderInput {
        name: input.name.clone(),
        shape: sizes(&input.shape),
        order: input.order.iter().map(|&axis| axis as u8).collect(),
        border: border(input.border),
    });
    let outputs = graph.outputs.iter().map(|output| BorderOutput {
        name: output.name.clone(),
        shape: sizes(&output.shape),
        assembly: assembly(graph, program, &output.assembly),
        border: border(output.border),
    });
    let info = Info {
        tool_version: env!("CARGO_PKG_VERSION").into(),
        options: about.provenance.options.clone(),
        source_name: about.provenance.source_name.clone(),
        source_sha256: about.provenance.source_sha256,
        calibration: CalibrationRecord {
            method: about.calibration.method.to_string(),
            data: about.calibration.data(),
        },
        tensor_names: Vec::new(),
        layer_names: Vec::new(),
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        notes: about.notes.to_vec(),
        attempts: about.provenance.attempts.clone(),
    };
    writer
        .finish(
            "main",
            &refs(&program.inputs),
            &refs(&program.outputs),
            info,
            about.task,
        )
        .map_err(rejected)
}

/// How the user's output is made of the program's.
fn assembly(graph: &Graph, program: &DeviceProgram, tree: &ocellus_ir::Assembly) -> Assembly {
    match tree {
        ocellus_ir::Assembly::Tensor(id) => leaf(graph, program, *id),
        ocellus_ir::Assembly::Reshape(inner, shape) => {
            assembly(graph, program, inner).reshape(sizes(shape))
        }
        ocellus_ir::Assembly::Transpose(inner, order) => assembly(graph, program, inner)
            .transpose(order.iter().map(|&axis| axis as u8).collect()),
        ocellus_ir::Assembly::Concat(parts, axis) => Assembly::concat(
            parts.iter().map(|part| assembly(graph, program, part)),
            *axis as u8,
        ),
    }
}

/// A tensor of the graph. The device's may be the same memory under another shape: one of several that are outputs.
fn leaf(graph: &Graph, program: &DeviceProgram, id: TensorId) -> Assembly {
    let index = program.placed[id.0].unwrap_or(0);
    let position = program
        .outputs
        .iter()
        .position(|&output| output == index)
        .unwrap_or(0);
    let whole = Assembly::output(position as u16);
    let shape = &graph.tensor(id).shape;
    if program.tensors[index].shape == *shape {
        whole
    } else {
        whole.reshape(sizes(shape))
    }
}
