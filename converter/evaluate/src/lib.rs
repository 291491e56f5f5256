//! Accuracy, agreement and per-layer error. Plain functions over arrays: what ran where is the caller's business.

mod classify;
pub mod decode;
mod detect;
mod error;
mod faces;
pub mod interval;
mod segment;
mod text;

pub use classify::{ClassifyTally, rank};
pub use detect::{Label, PrecisionTally, SAME_IOU, common_boxes};
pub use error::{LayerError, OwnError, Share, worst_first};
pub use faces::{FaceScore, match_boxes};
pub use interval::Estimate;
pub use segment::SegmentTally;
pub use text::{TextTally, ctc_greedy, edit_distance};
