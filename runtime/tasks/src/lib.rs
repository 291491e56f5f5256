//! Vision tasks: output arrays into classes and boxes. No heap: results go into slices that the caller hands over, and a result
//! that finds no room replaces a weaker one.
//!
//! A task knows arrays, not the engine, so a detector is tested with three lines of numbers. Functions beyond `+ - * /` come from `libm` on
//! every machine, so that PC and device agree to the bit.
#![no_std]
#![forbid(unsafe_code)]

mod array;
mod centerface;
mod classify;
mod nms;

pub use array::{ArrayS8, Reals};
pub use centerface::{CenterFaceMaps, centerface};
pub use classify::{Class, softmax, top_k};
pub use nms::{BBox, Best, Detection, nms};
