//! Model files into the converter's graph.
//!
//! [`import_onnx`] reads the raw nodes of an ONNX file, where every operator still has its own name, and writes
//! [`ocellus_ir::Graph`]: shapes settled, constants folded, pictures in `Nhwc` between transposes. What is not supported is refused
//! by name, with the node and what to do. [`TractReference`] runs the same file through another implementation, to compare with.

#![forbid(unsafe_code)]

mod attributes;
mod constant;
mod cut;
mod error;
mod fold;
mod inline;
mod model;
mod operators;
mod reference;
mod values;

pub use error::{ErrorKind, ImportError, Place};
pub use model::{ImportOptions, Imported, import_onnx, import_onnx_bytes, input_names, metadata};
pub use operators::supported_operators;
pub use reference::{ReferenceInput, ReferenceOutput, TractReference};
