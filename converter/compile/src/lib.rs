//! Calibrate, quantize, lower, plan, emit: an optimized float graph into the bytes of a model file.
//!
//! Each stage is a function whose result can be looked at; [`compile`] calls them in order.
//!
//! | stage | function | result |
//! | --- | --- | --- |
//! | calibrate | [`Calibration::collect`](calibrate::Calibration::collect) | ranges of every tensor |
//! | equalize | [`equalize::Factors`] | the same graph with channels of similar ranges |
//! | quantize | [`quantize::quantize`] | scale and zero point of every tensor |
//! | reconstruct | [`reconstruct::reconstruct`] | integers of weights, and biases |
//! | lower | [`lower::lower`] | operators of the device, constants |
//! | pack | [`pack::pack`] | weights in the layout of the target's kernels |
//! | plan | [`schedule::schedule`] | offsets of tensors and scratch |
//! | emit | [`emit::emit`] | bytes |
//!
//! [`interpret`] runs the result to the bit as a device does.

pub mod auto;
pub mod budget;
pub mod calibrate;
pub mod emit;
pub mod equalize;
mod error;
pub mod interpret;
pub mod lower;
mod order;
pub mod pack;
pub mod plan;
mod progress;
pub mod quantize;
pub mod reconstruct;
pub mod report;
mod residual;
pub mod schedule;
pub mod traffic;
pub mod trial;

use ocellus_format::{Isa, TaskRecord};
use ocellus_ir::Graph;

pub use calibrate::{Calibration, Method, Sample};
pub use error::CompileError;
pub use progress::{Progress, Stage, Tell};
pub use report::Report;

/// What a file is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Every machine: weights in the portable layout, scratch for the most demanding kernels.
    #[default]
    Portable,
    /// An instruction set: weights in the layout that its kernels read. Other machines run the file too, more slowly.
    Isa(Isa),
}

impl Target {
    /// The instruction set that the file names.
    pub fn isa(self) -> Isa {
        match self {
            Target::Portable => Isa::Reference,
            Target::Isa(isa) => isa,
        }
    }
}

/// What compilation may do beyond the necessary; each can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// The bias makes up for what rounding and clipping add on average (`bias-correction`).
    pub bias_correction: bool,
    /// Transposed convolutions whose taps do not meet become a 1x1 convolution and an interleave (`split-transpose-conv`).
    pub split_transpose_conv: bool,
    /// Channels of a tensor are brought to similar ranges (`equalization`).
    pub equalization: bool,
    /// Weights of a layer are rounded together, by what the layer computes (`reconstruction`).
    pub reconstruction: bool,
    /// Operators may write over their first input (`in-place`).
    pub in_place: bool,
    /// Operators may run in another order than the source's, where that needs less memory (`operator-order`).
    pub operator_order: bool,
    /// A sum runs in the convolution that feeds it, where that needs less memory (`residual-add`).
    pub residual_add: bool,
    /// What is used most lies in the fastest of several memories, also where a slower one holds everything (`fast-memory`).
    pub fast_memory: bool,
}

impl Default for Passes {
    fn default() -> Passes {
        Passes {
            bias_correction: true,
            split_transpose_conv: true,
            equalization: true,
            reconstruction: true,
            in_place: true,
            operator_order: true,
            residual_add: true,
            fast_memory: true,
        }
    }
}

impl Passes {
    /// The names that [`without`](Self::without) knows.
    pub const NAMES: [&'static str; 8] = [
        "bias-correction",
        "equalization",
        "reconstruction",
        "split-transpose-conv",
        "in-place",
        "operator-order",
        "residual-add",
        "fast-memory",
    ];

    /// Switches a pass off; `None` where no pass has that name.
    #[must_use]
    pub fn without(self, name: &str) -> Option<Passes> {
        Some(match name {
            "bias-correction" => Passes {
                bias_correction: false,
                ..self
            },
            "split-transpose-conv" => Passes {
                split_transpose_conv: false,
                ..self
            },
            "equalization" => Passes {
                equalization: false,
                ..self
            },
            "reconstruction" => Passes {
                reconstruction: false,
                ..self
            },
            "in-place" => Passes {
                in_place: false,
                ..self
            },
            "operator-order" => Passes {
                operator_order: false,
                ..self
            },
            "residual-add" => Passes {
                residual_add: false,
                ..self
            },
            "fast-memory" => Passes {
                fast_memory: false,
                ..self
            },
            _ => return None,
        })
    }
}

/// Where a model comes from: for the record in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// File name of the source.
    pub source_name: String,
    /// SHA-256 of the source file.
    pub source_sha256: [u8; 32],
    /// Options of the conversion, by name.
    pub options: Vec<(String, String)>,
    /// What a user should know that happened before compilation.
    pub notes: Vec<String>,
    /// The ways to quantize that were tried.
    pub attempts: Vec<ocellus_format::Attempt>,
}

/// How to compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What the file is made for.
    pub target: Target,
    /// What may be done.
    pub passes: Passes,
    /// Bytes of the memories that the arena may lie in, those of the fastest first; empty for one memory as large as it takes.
    pub memories: Vec<u64>,
    /// For the record.
    pub provenance: Provenance,
}

/// A model file and what is known of it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The model file.
    pub bytes: Vec<u8>,
    /// What it needs and what happened.
    pub report: Report,
    /// Scales of the graph's tensors.
    pub quantization: quantize::Quantization,
    /// The device program.
    pub program: lower::DeviceProgram,
}

/// Compiles an optimized float graph.
///
/// # Errors
/// A [`CompileError`], by the name of the node or tensor that is in the way.
pub fn compile(
    graph: &Graph,
    calibration: &Calibration,
    options: &Options,
    task: Option<&TaskRecord<'_>>,
) -> Result<Compiled, CompileError> {
    compile_telling(graph, calibration, options, task, &|_| {})
}

/// The same, with word of how far it is.
///
/// # Errors
/// As [`compile`].
pub fn compile_telling(
    graph: &Graph,
    calibration: &Calibration,
    options: &Options,
    task: Option<&TaskRecord<'_>>,
    tell: &Tell<'_>,
) -> Result<Compiled, CompileError> {
    check_constants(graph)?;
    let factors = match options.passes.equalization {
        true => equalize::Factors::choose(graph, calibration),
        false => equalize::Factors::default(),
    };
    let mut provenance = options.provenance.clone();
    let equal;
    let (graph, calibration) = if factors.is_empty() {
        (graph, calibration)
    } else {
        provenance.options.extend(factors.to_options(graph));
        let changed = factors.apply(graph);
        let again = calibration.again(&changed, tell)?;
        equal = (changed, again);
        (&equal.0, &equal.1)
    };
    let quantization = quantize::quantize(graph, calibration, tell)?;
    let passes = options.passes;
    let choice = reconstruct::Choice {
        weights: passes.reconstruction,
        bias: passes.bias_correction,
    };
    let reconstruction = reconstruct::reconstruct(graph, calibration, &quantization, choice, tell)?;
    let mut lowered = lower::lower(graph, &quantization, &reconstruction, options.passes)?;
    pack::pack(&mut lowered.program, options.target);
    let schedule = schedule::schedule(
        &mut lowered.program,
        options.target,
        options.passes,
        &options.memories,
    )?;
    let mut notes = provenance.notes.clone();
    if let Some(bytes) = schedule.source_order_bytes {
        notes.push(format!(
            "operators run in another order than the source's: {} bytes of arena instead of {bytes}",
            schedule.plan.peak_bytes
        ));
    }
    if schedule.plan.parts.len() > 1 {
        let words = |bytes: &[u64]| {
            let words: Vec<String> = bytes.iter().map(u64::to_string).collect();
            words.join(", ")
        };
        notes.push(format!(
            "the arena lies in {} memories, what is used most in the fastest: {} bytes",
            schedule.plan.parts.len(),
            words(&schedule.plan.parts)
        ));
        provenance
            .options
            .push(("memories".into(), words(&options.memories)));
    }
    notes.extend(report::notes(&lowered, calibration));
    let border = emit::Border {
        graph,
        calibration,
        provenance: &provenance,
        notes: &notes,
        task,
    };
    let bytes = emit::emit(&lowered.program, &schedule, options.target.isa(), border)?;
    let report = report::report(&lowered, &schedule, options, notes, &bytes);
    Ok(Compiled {
        bytes,
        report,
        quantization,
        program: lowered.program,
    })
}

/// Refuses constants that are not finite numbers.
///
/// # Errors
/// [`CompileError::NotFinite`]
pub fn check_constants(graph: &Graph) -> Result<(), CompileError> {
    for node in &graph.nodes {
        for &id in &node.inputs {
            let tensor = graph.tensor(id);
            let values = tensor.value.as_deref().unwrap_or_default();
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                return Err(CompileError::NotFinite {
                    tensor: tensor.name.clone(),
                    index,
                    value: values[index],
                });
            }
        }
    }
    Ok(())
}
