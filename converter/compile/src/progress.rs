//! How far a compilation is. What is told changes nothing of what is made.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What takes its time, in the order in which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Samples run through the equalized graph.
    Equalized,
    /// Samples are observed in halves, so that ranges of one are tried on the other.
    Halves,
    /// Ranges of tensors are tried on what reads them, sample by sample.
    Tensors,
    /// Ranges of all tensors are tried at the outputs.
    Outputs,
    /// The weights of layers are rounded.
    Layers,
}

impl Stage {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Stage::Equalized => "calibrating again",
            Stage::Halves => "calibrating on halves",
            Stage::Tensors => "trying ranges",
            Stage::Outputs => "trying sets of ranges",
            Stage::Layers => "rounding layers",
        }
    }
}

/// A part of a stage is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is at work.
    pub stage: Stage,
    /// Parts done.
    pub done: usize,
    /// All parts of the stage.
    pub of: usize,
}

/// Is told from any thread, of a stage's parts not always in their order.
pub type Tell<'a> = dyn Fn(Progress) + Sync + 'a;

/// Counts the parts of a stage.
pub(crate) struct Count<'a> {
    tell: &'a Tell<'a>,
    stage: Stage,
    of: usize,
    done: AtomicUsize,
}

impl<'a> Count<'a> {
    pub(crate) fn new(tell: &'a Tell<'a>, stage: Stage, of: usize) -> Count<'a> {
        Count {
            tell,
            stage,
            of,
            done: AtomicUsize::new(0),
        }
    }

    /// One more part is done.
    pub(crate) fn one(&self) {
        (self.tell)(Progress {
            stage: self.stage,
            done: self.done.fetch_add(1, Ordering::Relaxed) + 1,
            of: self.of,
        });
    }
}
