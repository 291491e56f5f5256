//! What a model needs and what happened to it, for people and programs.

use ocellus_format::{DType, Isa, QParams};

use crate::calibrate::Calibration;
use crate::lower::{Lowered, Operand};
use crate::schedule::{Schedule, kernel};
use crate::traffic::Moved;
use crate::{Options, Target};
use ocellus_format::CalibrationData;

/// A layer as it runs on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// The source's name of the layer.
    pub name: String,
    /// The operator: `conv_2d`.
    pub op: &'static str,
    /// The kernel on the file's instruction set: `helium-conv_2d-s8`.
    pub kernel: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Shape of the output.
    pub shape: Vec<usize>,
    /// Scale and zero point of the output.
    pub qparams: QParams,
    /// Bytes of weights, tables and other constants; those shared with another layer count in both.
    pub constant_bytes: u64,
    /// Bytes of scratch.
    pub scratch_bytes: u64,
    /// Bytes alive while it runs, scratch included.
    pub live_bytes: u64,
    /// The output lies where the first input lay.
    pub in_place: bool,
}

/// A tensor in the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// The layer that writes it; empty for inputs of the model.
    pub layer: String,
    /// Where it lies.
    pub offset: u64,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// How large it is.
    pub size_bytes: u64,
    /// Step that writes it; 0 for inputs of the model.
    pub first_step: usize,
    /// Last step that reads it.
    pub last_step: usize,
}

/// A part of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartReport {
    /// How large it is.
    pub bytes: u64,
    /// What a run reads and writes there, as [`traffic`](crate::traffic) counts.
    pub moved: Moved,
}

/// What a model needs and what happened to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What the file is made for.
    pub target: Target,
    /// Bytes of the model file.
    pub model_bytes: u64,
    /// Bytes of weights, tables and other constants in it.
    pub constant_bytes: u64,
    /// Bytes of arena: the plan's peak, all parts together.
    pub arena_bytes: u64,
    /// Its parts, those for fast memories first.
    pub parts: Vec<PartReport>,
    /// Bytes of the memories that it was planned for, where it was for some.
    pub memories: Vec<u64>,
    /// Most bytes alive at once: no plan of this order of operators is smaller.
    pub arena_lower_bound_bytes: u64,
    /// The layer with the most bytes alive.
    pub peak_layer: String,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// In the order in which they run.
    pub layers: Vec<LayerReport>,
    /// In the order in which they are written.
    pub tensors: Vec<TensorReport>,
    /// Output channels of all layers with weights.
    pub channels: usize,
    /// Of these: without weights.
    pub dead_channels: usize,
    /// Of these: with a scale widened so that bias or accumulator fit.
    pub widened_channels: usize,
    /// Of these: with a rescale outside the fast range of kernels.
    pub slow_requants: usize,
    /// What a user should know, a sentence each.
    pub notes: Vec<String>,
}

impl Report {
    /// The share of multiply-accumulates on kernels that are not the reference's.
    pub fn simd_share(&self) -> f64 {
        let reference = Isa::Reference.name();
        let simd: u64 = self
            .layers
            .iter()
            .filter(|layer| !layer.kernel.starts_with(reference))
            .map(|layer| layer.macs)
            .sum();
        simd as f64 / self.macs.max(1) as f64
    }
}

/// Sentences for the report and the file.
pub(crate) fn notes(lowered: &Lowered, calibration: &Calibration) -> Vec<String> {
    let mut notes = Vec::new();
    if let CalibrationData::Synthetic(seed) = calibration.data() {
        notes.push(format!(
            "calibrated on noise (seed {seed}): the file runs, and its accuracy means nothing"
        ));
    }
    for (name, layer) in &lowered.layers {
        if layer.dead_channels > 0 {
            notes.push(format!(
                "layer `{name}`: {} of {} output channels have no weights",
                layer.dead_channels, layer.channels
            ));
        }
        if layer.widened_channels > 0 {
            notes.push(format!(
                "layer `{name}`: the weight scale of {} of {} channels was widened so that bias and accumulator fit 32 bits",
                layer.widened_channels, layer.channels
            ));
        }
    }
    if !lowered.rescales.is_empty() {
        notes.push(format!(
            "{} changes of scale were added: {}",
            lowered.rescales.len(),
            lowered.rescales.join(", ")
        ));
    }
    notes
}

pub(crate) fn report(
    lowered: &Lowered,
    schedule: &Schedule,
    options: &Options,
    notes: Vec<String>,
    bytes: &[u8],
) -> Report {
    let program = &lowered.program;
    let isa = options.target.isa();
    let constant_len = |index: usize| {
        let values = &program.constants[index].values;
        DType::bytes(values.dtype(), values.len() as u64).unwrap_or(0)
    };
    let mut live = vec![0u64; program.nodes.len() + 2];
    for life in &schedule.lives {
        for step in &mut live[life.first_step..=life.last_step] {
            *step += life.size_bytes;
        }
    }
    let mut layers = Vec::with_capacity(program.nodes.len());
    let mut writer_of = vec![String::new(); program.tensors.len()];
    for (index, node) in program.nodes.iter().enumerate() {
        let output = &program.tensors[node.output];
        let constants = node.inputs.iter().filter_map(|operand| match operand {
            Operand::Constant(constant) => Some(constant_len(*constant)),
            Operand::Tensor(_) => None,
        });
        let replaces = schedule.lives[node.output].replaces;
        let in_place = replaces
            .is_some_and(|old| schedule.plan.offsets[old] == schedule.plan.offsets[node.output]);
        let twice = if in_place { output.size_bytes() } else { 0 };
        writer_of[node.output].clone_from(&node.name);
        layers.push(LayerReport {
            name: node.name.clone(),
            op: node.op.code().name(),
            kernel: kernel(node, isa).display().to_string(),
            macs: node.op.macs(),
            shape: output.shape.clone(),
            qparams: output.qparams,
            constant_bytes: constants.sum(),
            scratch_bytes: schedule.scratch_bytes[index],
            live_bytes: live[index + 1] + schedule.scratch_bytes[index] - twice,
            in_place,
        });
    }
    let tensors = program
        .tensors
        .iter()
        .enumerate()
        .map(|(index, tensor)| TensorReport {
            name: tensor.name.clone(),
            layer: writer_of[index].clone(),
            offset: schedule.plan.offsets[index],
            shape: tensor.shape.clone(),
            size_bytes: tensor.size_bytes(),
            first_step: schedule.lives[index].first_step,
            last_step: schedule.lives[index].last_step,
        });
    let total = |count: fn(&crate::lower::LayerNotes) -> usize| {
        lowered.layers.iter().map(|(_, notes)| count(notes)).sum()
    };
    let peak = schedule.plan.peak_step.saturating_sub(1);
    Report {
        target: options.target,
        model_bytes: bytes.len() as u64,
        constant_bytes: (0..program.constants.len()).map(constant_len).sum(),
        arena_bytes: schedule.plan.peak_bytes,
        parts: parts(schedule),
        memories: options.memories.clone(),
        arena_lower_bound_bytes: schedule.plan.lower_bound_bytes,
        peak_layer: program
            .nodes
            .get(peak)
            .map(|node| node.name.clone())
            .unwrap_or_default(),
        macs: program.macs(),
        tensors: tensors.collect(),
        layers,
        channels: total(|notes| notes.channels),
        dead_channels: total(|notes| notes.dead_channels),
        widened_channels: total(|notes| notes.widened_channels),
        slow_requants: total(|notes| notes.slow_requants),
        notes,
    }
}

/// The arena's parts with what is moved in each.
fn parts(schedule: &Schedule) -> Vec<PartReport> {
    let plan = &schedule.plan;
    let mut start = 0;
    let parts = plan.parts.iter().map(|&bytes| {
        let range = start..start + bytes;
        start = range.end;
        let tensors = schedule.traffic.tensors.iter().zip(&plan.offsets);
        let scratch = schedule.traffic.scratch.iter().zip(&plan.scratch_offsets);
        let mut moved = Moved::default();
        for (&there, offset) in tensors.chain(scratch) {
            if range.contains(offset) {
                moved += there;
            }
        }
        PartReport { bytes, moved }
    });
    parts.collect()
}
