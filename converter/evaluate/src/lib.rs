//! Accuracy, agreement and per-layer error. Plain functions over arrays: what ran where is the caller's business.

mod classify;
mod error;
mod faces;

pub use classify::{ClassifyTally, rank};
pub use error::{LayerError, worst_first};
pub use faces::{FaceScore, match_boxes};
