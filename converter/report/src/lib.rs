//! What is known of a model file, as one page that needs nothing else: no script, no network, no other file.
//!
//! [`Report`] is the data, [`Report::to_html`] the page. Where the numbers come from is the caller's business. Text from files goes through
//! the template's escaping; charts are SVG in the page, axes by `plotters`, marks by the same template, so that each has its name and figures
//! under the pointer.

mod chart;
mod charts;
mod data;
mod memory;
mod page;
mod tables;
mod text;

pub use data::{
    Accuracy, Board, Errors, Fit, Headline, Histogram, Layer, LayerCost, Memory, MemoryBox,
    MemoryKind, MemoryPart, Part, Provenance, Region, Report, TensorError,
};

/// Why a page was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A chart has no room for its axes.
    #[error("the chart \"{title}\" cannot be drawn: {reason}")]
    Chart {
        /// Which chart.
        title: String,
        /// What the drawing library says.
        reason: String,
    },
}
