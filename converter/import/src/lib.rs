//! Model files into the converter's graph.
//!
//! [`import`] reads the raw nodes of an ONNX file or the operators of a TensorFlow Lite file, where each still has its own name, and
//! writes [`ocellus_ir::Graph`]: shapes settled, constants folded, pictures in `Nhwc` (between transposes where the file has another
//! order). What is not supported is refused by name, with the node and what to do. [`TractReference`] runs the same ONNX file through
//! another implementation, to compare with.

#![forbid(unsafe_code)]

mod attributes;
mod constant;
mod cut;
mod ending;
mod error;
mod fold;
mod inline;
mod masks;
mod model;
mod operators;
mod reference;
mod source;
mod tflite;
mod values;

pub use error::{ErrorKind, ImportError, Place};
pub use model::{import_onnx, import_onnx_bytes};
pub use operators::supported_operators;
pub use reference::{ReferenceInput, ReferenceOutput, TractReference};
pub use source::{
    ImportOptions, Imported, SourceFormat, import, import_bytes, input_names, is_tflite_file,
    metadata,
};
pub use tflite::supported_tflite_operators;
