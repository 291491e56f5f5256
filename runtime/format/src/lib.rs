//! The Ocellus model file: types, checked view, writer, operator definitions.
//!
//! `docs/model-format.md` is the specification; `docs/numerics.md` the arithmetic that the operators mean. Converter and device both link
//! this crate, so that what they must agree on exists once.
#![no_std]
#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!(
    "model files are read in place and are little-endian; big-endian targets need a reader that copies"
);

#[cfg(feature = "write")]
extern crate alloc;

pub mod layout;
pub mod ops;

mod digest;
mod error;
#[cfg(feature = "write")]
mod info;
mod isa;
mod parts;
mod plan;
mod program;
mod quant;
mod record;
mod sign;
mod task;
mod tensor;
mod view;
#[cfg(feature = "write")]
mod write;

pub use digest::{digest, sha256, verify};
pub use error::{Family, FormatError};
#[cfg(feature = "write")]
pub use info::{
    Assembly, AssemblyStep, Attempt, BorderInput, BorderOutput, BorderType, Calibration,
    CalibrationData, Info, SampleSet,
};
pub use isa::{Block, Isa, WeightLayout};
pub use layout::{Aligned, FORMAT_VERSION, Tag};
pub use parts::{MAX_PARTS, Parts};
pub use program::{
    MAX_ARENA_BYTES, MAX_BORDER, MAX_INPUTS, MAX_OPERATORS, MAX_OUTPUTS, Operator, Operators,
    Program, TensorIds,
};
pub use quant::{QParams, Requant};
pub use record::take_record;
#[cfg(feature = "write")]
pub use sign::with_signature;
pub use sign::{
    SIGN_BYTES, SIGN_CONTEXT, SIGN_ED25519, SignatureRecord, signature_of, signed_message,
};
pub use task::{Colour, Fit, Preprocess, Task, TaskRecord};
pub use tensor::{
    Class, DType, Extent, MAX_RANK, RawTensor, TENSOR_RECORD_BYTES, TensorInfo, elements,
};
pub use view::ModelView;
#[cfg(feature = "write")]
pub use write::{AlignedBytes, Element, Scratch, TensorRef, WriteError, Writer, seal};
