//! The Ocellus model file: types, checked view, writer, operator definitions.
//!
//! `docs/model-format.md` is the specification; `docs/numerics.md` the arithmetic that the operators mean. Converter and device both link
//! this crate, so that what they must agree on exists once.
#![no_std]
#![deny(unsafe_code)]

pub mod ops;

mod isa;
mod quant;
mod tensor;

pub use isa::{Isa, WeightLayout};
pub use quant::{QParams, Requant};
pub use tensor::{Class, DType, MAX_RANK, RawTensor, TENSOR_RECORD_BYTES, TensorInfo};
