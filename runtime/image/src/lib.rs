//! Camera frames into model inputs: resize, letterbox, colour, normalization. Integer arithmetic up to the resized pixel, so that PC
//! and device see the same bytes.
//!
//! A frame goes straight into the model's input, pixel by pixel; no resized picture is kept. Shrinking averages over the covered area, enlarging
//! is bilinear with half-pixel centres, each axis by itself.
#![no_std]
#![forbid(unsafe_code)]

mod frame;
mod normalize;
mod resize;
mod span;

pub use frame::{Frame, FrameError, PixelFormat};
pub use normalize::{InputSize, into_f32, into_s8};
pub use resize::{Geometry, Target, resample};
