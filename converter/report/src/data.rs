//! What a report holds.

use serde::Serialize;

/// Everything that is known of a model file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Name of the model file.
    pub model: String,
    /// Version of the tool that made the report.
    pub tool_version: String,
    /// The kernels that are named: an instruction set.
    pub isa: String,
    /// The figures that are asked for first.
    pub headline: Headline,
    /// The board, where one was given.
    pub board: Option<Board>,
    /// In the order in which they run.
    pub layers: Vec<Layer>,
    /// The arena over time.
    pub memory: Memory,
    /// Weights of each layer that has any.
    pub weights: Vec<Histogram>,
    /// Values of each tensor on the samples; empty without samples.
    pub activations: Vec<Histogram>,
    /// Against float, where that was given.
    pub errors: Option<Errors>,
    /// Of each way of quantizing that was tried; empty where none was.
    pub accuracy: Vec<Accuracy>,
    /// Every known board.
    pub fits: Vec<Fit>,
    /// Where the file comes from.
    pub provenance: Provenance,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// The figures that are asked for first; `None` where they were not measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Headline {
    /// Multiply-accumulates of an inference.
    pub macs: u64,
    /// The share of them on kernels beside the reference.
    pub macs_on_simd_share: f64,
    /// The model file.
    pub model_bytes: u64,
    /// Weights, tables and other constants in it.
    pub constant_bytes: u64,
    /// The plan's peak: inputs, outputs and scratch included.
    pub arena_bytes: u64,
    /// The firmware's code and constants, from the linked image.
    pub code_bytes: Option<u64>,
    /// Executed in an inference.
    pub instructions: Option<u64>,
    /// An estimate.
    pub estimated_cycles: Option<u64>,
    /// On this machine.
    pub wall_us: Option<f64>,
    /// The stack's deepest use, from paint.
    pub stack_used_bytes: Option<u64>,
}

/// A board and what lies where on it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Board {
    /// What `--board` takes.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Its memories, fast first; none with an operating system.
    pub regions: Vec<Region>,
}

/// A memory of a board.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// `flash` or `ram`.
    pub kind: &'static str,
    /// Its size.
    pub size_bytes: u64,
    /// What lies in it.
    pub parts: Vec<Part>,
}

/// Something in a region.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Part {
    /// `code`, `model`, `arena`, `variables`, `stack`.
    pub what: &'static str,
    /// How much it takes.
    pub bytes: u64,
    /// The board's share of the region that is set aside for it.
    pub slot_bytes: u64,
    /// True where the number is that of the board to the byte; a reserve is not.
    pub exact: bool,
}

/// A layer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Layer {
    /// The source's name.
    pub name: String,
    /// The operator: `conv_2d`.
    pub op: &'static str,
    /// The kernel: `helium-conv_2d-s8`.
    pub kernel: String,
    /// Of the output.
    pub shape: Vec<u32>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Weights, tables and other constants; those shared with another layer count in both.
    pub constant_bytes: u64,
    /// In the arena while it runs.
    pub scratch_bytes: u64,
    /// Bytes of the arena that hold something while it runs, scratch included.
    pub live_bytes: u64,
    /// What it costs, where that was measured.
    pub cost: LayerCost,
}

/// What a layer costs; `None` where it was not measured.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LayerCost {
    /// Executed.
    pub instructions: Option<u64>,
    /// An estimate.
    pub estimated_cycles: Option<u64>,
    /// On this machine.
    pub wall_us: Option<f64>,
}

/// The arena over time. Step 0 holds the inputs, step `i + 1` is layer `i`, the last one holds the outputs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Memory {
    /// Its size.
    pub arena_bytes: u64,
    /// Steps, those of inputs and outputs included.
    pub steps: usize,
    /// One behind the other; one where the arena is for one memory.
    pub parts: Vec<MemoryPart>,
    /// No plan of this order of operators needs less.
    pub lower_bound_bytes: u64,
    /// What lies in it.
    pub boxes: Vec<MemoryBox>,
    /// Bytes that hold something, by step.
    pub live_bytes: Vec<u64>,
}

/// A part of the arena, which may lie in a memory of its own.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MemoryPart {
    /// Its size.
    pub bytes: u64,
    /// The board's region that holds it, where a board was given.
    pub region: Option<String>,
}

/// Bytes of the arena for some steps.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryBox {
    /// The tensor, or the layer whose scratch it is.
    pub name: String,
    /// What it is.
    pub kind: MemoryKind,
    /// Where it lies.
    pub offset: u64,
    /// How large it is.
    pub bytes: u64,
    /// The step that writes it.
    pub first_step: usize,
    /// The last step that reads it.
    pub last_step: usize,
}

/// What lies in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// An input of the model.
    Input,
    /// Between layers.
    Activation,
    /// An output of the model.
    Output,
    /// A kernel's own.
    Scratch,
}

/// How often values occur.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Histogram {
    /// The tensor.
    pub name: String,
    /// Real value at the left edge of the first bin.
    pub min: f64,
    /// Real value at the right edge of the last bin.
    pub max: f64,
    /// In bins of equal width.
    pub counts: Vec<u64>,
    /// Values at the ends of the integers' range.
    pub at_ends: u64,
}

/// Error against float.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Errors {
    /// The float model's file.
    pub float: String,
    /// Inputs compared.
    pub samples: usize,
    /// The layer to look at first.
    pub suspect: Option<String>,
    /// In graph order.
    pub tensors: Vec<TensorError>,
}

/// Error of a tensor against float.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TensorError {
    /// The tensor.
    pub name: String,
    /// Signal to noise; `None` where both are equal.
    pub snr_db: Option<f64>,
    /// Of the layer's own making, on the inputs that it read: share of the worst channel's signal.
    pub own_error: Option<f64>,
    /// That channel.
    pub own_channel: Option<usize>,
    /// Cut off by the output's range: share of the worst channel's signal.
    pub clipped_error: Option<f64>,
    /// Between float and int8.
    pub cosine: f64,
    /// Largest absolute difference.
    pub max_abs: f64,
}

/// What a way of quantizing reached.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Accuracy {
    /// The method and its options.
    pub method: String,
    /// What was measured: `snr_db`, `agreement`.
    pub measure: String,
    /// The result; `None` for a ratio to nothing.
    pub value: Option<f64>,
    /// The one that the file was made with.
    pub chosen: bool,
}

/// Whether the model fits a board.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Fit {
    /// The board.
    pub board: String,
    /// Where the model file would lie.
    pub model_region: String,
    /// Where the arena would lie.
    pub arena_region: String,
    /// Why not, and what would make it fit.
    pub why_not: Option<String>,
}

/// Where the file comes from.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Provenance {
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// File name of the source.
    pub source: String,
    /// SHA-256 of the source.
    pub source_sha256: String,
    /// Version of the converter.
    pub converter: String,
    /// What the file was made for.
    pub file_isa: String,
    /// Options of the conversion, by name.
    pub options: Vec<(String, String)>,
    /// How ranges were chosen.
    pub calibration_method: String,
    /// From what.
    pub calibration_data: String,
    /// What the file says of a signature.
    pub signature: String,
}
