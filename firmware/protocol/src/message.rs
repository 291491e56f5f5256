//! What PC and device say to each other.
//!
//! The PC asks, the device answers in the order of the questions. Each request has exactly one final response ([`Response::is_final`]);
//! before it may come any number of others. Variants are only ever added at the end.

use ocellus::{LoadError, RunError};
use serde::{Deserialize, Serialize};

use crate::FrameError;

/// A question to the device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Who is there? Answered by [`Response::Hello`].
    Hello {
        /// [`crate::PROTOCOL_VERSION`] of the sender.
        version: u16,
    },
    /// Checks the model's SHA-256, as after an update. Answered by [`Response::Verified`].
    Verify,
    /// Proves the model's structure and takes an arena. Sends [`Response::ArenaPart`] for each of several parts. Answered by [`Response::Loaded`]. An
    /// earlier model is let go first.
    Load,
    /// Writes a piece of input `index`. Answered by [`Response::Done`].
    SetInput {
        /// Position among the model's inputs.
        index: u8,
        /// First byte written.
        offset: u32,
        /// At most [`crate::DATA_CHUNK_BYTES`].
        #[serde(borrow)]
        data: &'a [u8],
    },
    /// Takes a picture with the board's camera and makes input `index` of it. Answered by [`Response::Captured`].
    Capture {
        /// Position among the model's inputs.
        index: u8,
    },
    /// From now on each inference sends tensor `tensor` as [`Response::TapData`] right after the operator that writes it.
    /// Answered by [`Response::Done`].
    Tap {
        /// Number of the tensor in the model file.
        tensor: u16,
    },
    /// Runs the model once. Answered by [`Response::Inferred`].
    Infer {
        /// Send [`Response::Progress`] between operators. It costs instructions, so a measurement leaves it out.
        progress: bool,
    },
    /// Sends bytes of output `index` as [`Response::Data`]. Answered by [`Response::Done`].
    GetOutput {
        /// Position among the model's outputs.
        index: u8,
        /// First byte.
        offset: u32,
        /// Count of bytes.
        len: u32,
    },
    /// Answered by [`Response::OutputHash`].
    HashOutput {
        /// Position among the model's outputs.
        index: u8,
    },
    /// Decodes the outputs as the model's task section says. Sends [`Response::Class`] or [`Response::Detection`].
    /// Answered by [`Response::Done`].
    Task,
    /// Sends [`Response::ArenaPart`] for each of several parts of a loaded model's arena. Answered by [`Response::Memory`].
    Memory,
    /// Runs every kernel's cases. Sends [`Response::Case`] for each operator. Answered by [`Response::Conformance`].
    /// Only before a model is loaded: the cases use the memory of its arena.
    Conformance {
        /// Cases of each operator.
        cases: u32,
    },
}

/// An answer of the device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Response<'a> {
    /// Who the device is. Final.
    Hello {
        /// [`crate::PROTOCOL_VERSION`] of the device.
        version: u16,
        /// The board's name.
        #[serde(borrow)]
        board: &'a str,
        /// The instruction set of its kernels.
        isa: &'a str,
        /// The format versions that it reads end here.
        format_version: u16,
        /// Operators that the image holds.
        operators: u8,
        /// True where the image has per-layer markers.
        profile: bool,
    },
    /// The model's bytes are those that were signed off. Final.
    Verified {
        /// Over the whole file but the hash itself.
        sha256: [u8; 32],
    },
    /// The model can run. Final.
    Loaded {
        /// Bytes of the arena that it takes.
        arena_bytes: u32,
        /// The memory region that holds the arena, or its first part.
        region: &'a str,
        /// Operators in the program.
        operators: u16,
        /// Tensors to write before a run.
        inputs: u8,
        /// Tensors to read after it.
        outputs: u8,
    },
    /// The request was carried out. Final.
    Done,
    /// A picture became an input. Final.
    Captured {
        /// Columns of the camera's frame.
        width_px: u16,
        /// Rows of the camera's frame.
        height_px: u16,
        /// The memory region that held the frame.
        region: &'a str,
    },
    /// An operator was run.
    Progress {
        /// Operators run so far.
        done: u16,
        /// Operators in the program.
        total: u16,
    },
    /// The model has run. Final.
    Inferred {
        /// Time that the board's clock measured, where it has one.
        wall_us: Option<u64>,
        /// Cycles that the core's counter measured, where it has one.
        cycles: Option<u64>,
    },
    /// A piece of an output.
    Data {
        /// First byte.
        offset: u32,
        /// At most [`crate::DATA_CHUNK_BYTES`].
        data: &'a [u8],
    },
    /// A piece of a tapped tensor.
    TapData {
        /// Number of the tensor in the model file.
        tensor: u16,
        /// First byte.
        offset: u32,
        /// At most [`crate::DATA_CHUNK_BYTES`].
        data: &'a [u8],
    },
    /// Digest of an output. Final.
    OutputHash {
        /// Over the output's bytes.
        sha256: [u8; 32],
    },
    /// A class, best first.
    Class(Class),
    /// An object, best first.
    Detection(Detection),
    /// What the firmware takes of the board's memory. Final.
    Memory {
        /// Set aside for the stack; `None` where an operating system does that.
        stack_bytes: Option<u32>,
        /// Most of it ever used.
        stack_used_bytes: Option<u32>,
        /// Variables outside stack and arena.
        statics_bytes: Option<u32>,
        /// The loaded model's arena; 0 without a model.
        arena_bytes: u32,
        /// The memory region that holds the arena, or its first part; empty without a model.
        region: &'a str,
    },
    /// How one operator's kernel did.
    Case(CaseOutcome<'a>),
    /// All cases were run. Final.
    Conformance(Verdict),
    /// The request was not carried out. Final.
    Error(DeviceError),
    /// Where a part of the arena lies, in the parts' order. An arena of one part has none of these.
    ArenaPart {
        /// Its bytes.
        bytes: u32,
        /// The memory region that holds it.
        region: &'a str,
    },
}

impl Response<'_> {
    /// True where the device goes on to the next request.
    pub const fn is_final(&self) -> bool {
        !matches!(
            self,
            Response::Progress { .. }
                | Response::Data { .. }
                | Response::TapData { .. }
                | Response::Class(_)
                | Response::Detection(_)
                | Response::Case(_)
                | Response::ArenaPart { .. }
        )
    }
}

/// One class and how sure the model is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Position among the model's labels.
    pub class_id: u16,
    /// 0 to 1.
    pub score: f32,
}

/// One object in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Position among the model's labels.
    pub class_id: u16,
    /// 0 to 1.
    pub score: f32,
    /// Left, top, right, bottom in pixels of the camera's frame, or of the model's input where it was set directly.
    pub bbox: [f32; 4],
    /// Points of the object (x, y), in the same pixels, where the model finds them.
    pub landmarks: Option<[[f32; 2]; 5]>,
}

/// One operator's cases on this board's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseOutcome<'a> {
    /// The operator.
    #[serde(borrow)]
    pub operator: &'a str,
    /// Cases in which a kernel of the instruction set gave the reference's bytes.
    pub equal: u32,
    /// Cases whose kernel is the reference's own: they say nothing of the instruction set.
    pub default_method: u32,
    /// Cases that did not hold.
    pub failed: u32,
    /// The smallest case that did not hold.
    pub failed_seed: Option<u64>,
}

/// The sum of a conformance run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Cases in which a kernel of the instruction set gave the reference's bytes.
    pub equal: u32,
    /// Cases that did not hold.
    pub failed: u32,
    /// A hash of all the reference's outputs: another one than the PC's shows a reference that was compiled wrongly.
    pub digest: u64,
}

/// Why the device did not do as asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DeviceError {
    /// The greeting has another version; update the firmware or the tool.
    ProtocolVersion {
        /// The device's.
        device: u16,
    },
    /// The request arrived damaged; send it again.
    Frame(FrameError),
    /// The request is not one that this firmware knows; update the firmware.
    UnknownRequest,
    /// No model is loaded; send [`Request::Load`] first.
    NotLoaded,
    /// The model has no input or output, or the program no tensor, of that number.
    NoSuchTensor {
        /// The number asked for.
        index: u16,
    },
    /// The piece lies outside the tensor.
    OutOfRange {
        /// Bytes of the tensor.
        tensor_bytes: u32,
    },
    /// No memory region holds the arena, or a part of it; use a smaller input or a board with more memory.
    ArenaTooSmall {
        /// Bytes of the arena or the part.
        needed_bytes: u32,
        /// Bytes of the largest region, or of what the parts before have left of it.
        largest_bytes: u32,
    },
    /// No memory region holds a camera frame beside the arena.
    FrameTooLarge {
        /// Bytes of one frame.
        needed_bytes: u32,
        /// Bytes of the largest free region.
        largest_bytes: u32,
    },
    /// The camera delivered no frame.
    Camera(CameraFault),
    /// A model is loaded, and its arena is the memory that the request needs; send the request before [`Request::Load`].
    ArenaInUse,
    /// The firmware was built without what the request needs (camera and tasks, conformance cases); build that image.
    NotInImage,
    /// Too many tensors are tapped at once.
    TooManyTaps {
        /// The limit.
        limit: u8,
    },
    /// The model says how to use it in no way that this firmware knows (task, input pre-processing). Set inputs and read outputs instead.
    NoTask,
    /// The model cannot be loaded.
    Load(LoadError),
    /// The model's run ended early.
    Run(RunError),
    /// The camera's frame does not fit the model's input; the input is no picture, or the frame is larger than 16,384 pixels.
    FrameDoesNotFit,
    /// This firmware runs models of one signer only, and the model is not proved to be of that signer.
    Signature(SignatureFault),
}

/// Why a camera delivered no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CameraFault {
    /// The board has none.
    Absent,
    /// The camera has no more frames (a recording ended).
    Ended,
    /// The frame is shorter than announced, or its header is damaged.
    Damaged,
    /// The bus or the peripheral failed.
    Bus,
}

/// Why a model is not proved to be of the firmware's signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SignatureFault {
    /// It has no signature; sign it.
    Absent,
    /// Its signature is of another key than the firmware's; sign it with the right one.
    AnotherKey,
    /// Its signature does not belong to its bytes: it was changed after signing.
    Wrong,
}
