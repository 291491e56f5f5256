//! What is asked of a board.

use std::time::Duration;

use ocellus_board_api::{FrameInfo, PixelFormat};
use ocellus_format::Isa;
use ocellus_protocol::{DATA_CHUNK_BYTES, PROTOCOL_VERSION, Request};

/// A frame for the board's virtual camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Columns.
    pub width_px: u16,
    /// Rows.
    pub height_px: u16,
    /// Layout of a pixel.
    pub format: PixelFormat,
    /// Rows without gaps, top row first.
    pub pixels: Vec<u8>,
}

impl Frame {
    /// The frame as a recording.
    pub(crate) fn record(&self, to: &mut Vec<u8>) {
        let info = FrameInfo {
            width_px: self.width_px,
            height_px: self.height_px,
            format: self.format,
        };
        to.extend_from_slice(&info.to_header());
        to.extend_from_slice(&self.pixels);
    }
}

/// One thing to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Who is there?
    Hello,
    /// Check the model's SHA-256.
    Verify,
    /// Load the model.
    Load,
    /// Set an input, `s8` as the device sees it.
    Input {
        /// Position among the model's inputs.
        index: u8,
        /// All of its bytes.
        data: Vec<u8>,
    },
    /// Make an input of the camera's next frame.
    Capture {
        /// Position among the model's inputs.
        index: u8,
    },
    /// From now on deliver a tensor with each inference.
    Tap {
        /// Number of the tensor in the model file.
        tensor: u16,
    },
    /// Run the model.
    Infer {
        /// Report each operator. Leave out where instructions are counted.
        progress: bool,
    },
    /// Read an output, `s8` as the device sees it.
    Output {
        /// Position among the model's outputs.
        index: u8,
        /// Its bytes.
        len: u32,
    },
    /// SHA-256 of an output.
    OutputHash {
        /// Position among the model's outputs.
        index: u8,
    },
    /// What the outputs mean.
    Task,
    /// What the firmware uses of the board's memory.
    Memory,
    /// Run the kernels' cases, on a conformance image and before loading.
    Conformance {
        /// Cases of each operator.
        cases: u32,
    },
}

impl Step {
    /// The requests that make the step.
    pub(crate) fn requests(&self) -> Vec<Request<'_>> {
        match *self {
            Step::Hello => vec![Request::Hello {
                version: PROTOCOL_VERSION,
            }],
            Step::Verify => vec![Request::Verify],
            Step::Load => vec![Request::Load],
            // One request all the same: the device says that the input is longer.
            Step::Input { index, ref data } if data.is_empty() => {
                vec![Request::SetInput {
                    index,
                    offset: 0,
                    data: &[],
                }]
            }
            Step::Input { index, ref data } => (0_u32..)
                .step_by(DATA_CHUNK_BYTES)
                .zip(data.chunks(DATA_CHUNK_BYTES))
                .map(|(offset, data)| Request::SetInput {
                    index,
                    offset,
                    data,
                })
                .collect(),
            Step::Capture { index } => vec![Request::Capture { index }],
            Step::Tap { tensor } => vec![Request::Tap { tensor }],
            Step::Infer { progress } => vec![Request::Infer { progress }],
            Step::Output { index, len } => vec![Request::GetOutput {
                index,
                offset: 0,
                len,
            }],
            Step::OutputHash { index } => vec![Request::HashOutput { index }],
            Step::Task => vec![Request::Task],
            Step::Memory => vec![Request::Memory],
            Step::Conformance { cases } => vec![Request::Conformance { cases }],
        }
    }
}

/// A conversation with a board.
#[derive(Clone, Debug)]
pub struct Job {
    /// The model file's bytes; empty where no step needs a model.
    pub model: Vec<u8>,
    /// What the camera sees, one frame a [`Step::Capture`].
    pub frames: Vec<Frame>,
    /// What is asked, in order.
    pub steps: Vec<Step>,
    /// Value of the emulator's `-plugin` option; ignored on the PC itself.
    pub plugin: Option<String>,
    /// Instruction set, where the board can choose: processes. `None` is the best.
    pub isa: Option<Isa>,
    /// Longest silence before the board is given up. An inference without progress is silent.
    pub patience: Duration,
}

impl Job {
    /// A job for a model, without steps, with ten minutes of patience.
    pub fn new(model: Vec<u8>) -> Job {
        Job {
            model,
            frames: Vec::new(),
            steps: Vec::new(),
            plugin: None,
            isa: None,
            patience: Duration::from_secs(600),
        }
    }
}
