//! The engine: loads a model file, proves its structure and runs it in an arena.
//!
//! No heap, no panic, no `unsafe`. All memory is the arena that the caller hands over, in one piece or in several, and a stack of some kilobytes. [`Model::load`] proves
//! the whole file once (`docs/model-format.md`, what load proves); after that a run has nothing left to refuse.
//!
//! ```
//! #![no_std]
//! use ocellus::kernels::Reference;
//! use ocellus::{Aligned, Engine, LoadError, Model, OpTable, op_table};
//!
//! // Only the operators named here are linked. `OpTable::ALL` links every one.
//! static OPS: OpTable<Reference> = op_table![conv_2d, fully_connected, softmax];
//!
//! /// The class of a picture that is already quantized.
//! fn classify(file: &Aligned<[u8]>, picture: &[i8], arena: &mut [u8]) -> Result<Option<usize>, LoadError> {
//!     let model = Model::load(&file.0, &OPS)?;
//!     let mut engine = Engine::new(model, Reference, arena)?;
//!     if let Some(input) = engine.input(0) {
//!         input.values.iter_mut().zip(picture).for_each(|(to, from)| *to = *from);
//!     }
//!     if engine.run(&mut ()).is_err() {
//!         return Ok(None);
//!     }
//!     let scores = engine.output(0).map(|output| output.values).unwrap_or_default();
//!     Ok(scores.iter().enumerate().max_by_key(|(_, score)| **score).map(|(class, _)| class))
//! }
//! # fn main() {
//! #     assert!(matches!(classify(&Aligned(*b"not a model"), &[], &mut []), Err(LoadError::Format(_))));
//! # }
//! ```
//!
//! In firmware the two pieces of memory are statics: `static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("model.oce"));`, and an
//! `Aligned<[u8; N]>` with the model's `arena_bytes` as `N`.
#![no_std]
#![forbid(unsafe_code)]

mod arena;
mod call;
mod engine;
mod error;
mod hook;
mod model;
mod table;
mod tensor;

pub mod ops;

pub use engine::Engine;
pub use error::{LoadError, RunError};
pub use hook::{Hook, Written};
pub use model::Model;
pub use ocellus_format::Aligned;
pub use table::{OpEntry, OpTable};
pub use tensor::{Tensor, TensorMut};

pub use ocellus_format as format;
pub use ocellus_kernels as kernels;
