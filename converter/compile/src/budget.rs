//! Whether a model fits the memory of a board, and what is in the way where it does not.

use crate::report::Report;

/// Memory of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The board's name for it.
    pub name: String,
    /// Bytes that a model may take of it: without what the firmware needs.
    pub free_bytes: u64,
    /// It can hold the arena; otherwise it holds the model file.
    pub is_ram: bool,
}

/// Which region holds what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Index of the region with the model file.
    pub model: usize,
    /// Index of the region with the arena.
    pub arena: usize,
}

/// Why a model does not fit a board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverBudget {
    /// No region holds the arena.
    #[error(
        "the model needs {needed_bytes} bytes of RAM and the largest region, `{region}`, has {available_bytes}. Most are alive in layer `{layer}`; \
         the largest tensor is `{tensor}` ({tensor_bytes} bytes), written by layer `{tensor_layer}`. A smaller input size helps most \
         (halving both sides needs a quarter); otherwise choose a board with more RAM"
    )]
    Arena {
        /// The plan's peak.
        needed_bytes: u64,
        /// Of the largest region.
        available_bytes: u64,
        /// The largest region.
        region: String,
        /// The layer with the most bytes alive.
        layer: String,
        /// The largest tensor.
        tensor: String,
        /// Its size.
        tensor_bytes: u64,
        /// What writes it.
        tensor_layer: String,
    },
    /// No region holds the model file.
    #[error(
        "the model file has {needed_bytes} bytes and the largest region for it, `{region}`, has {available_bytes}. The layer with the most weights is \
         `{layer}` ({layer_bytes} bytes). Use a narrower model, or a board with more flash"
    )]
    Flash {
        /// The model file.
        needed_bytes: u64,
        /// Of the largest region.
        available_bytes: u64,
        /// The largest region.
        region: String,
        /// The layer with the most weights.
        layer: String,
        /// Bytes of its constants.
        layer_bytes: u64,
    },
    /// The board has no region of a kind.
    #[error("the board's data file declares no {kind} for models; add a region to it")]
    NoRegion {
        /// `RAM` or `flash`.
        kind: &'static str,
    },
}

/// Finds the first region that holds the model and the first that holds the arena: regions are listed from fast to slow.
///
/// # Errors
/// [`OverBudget`], which names what is in the way.
pub fn fit(report: &Report, regions: &[Region]) -> Result<Placement, OverBudget> {
    let largest = |is_ram: bool, kind| {
        let candidates = regions.iter().filter(move |region| region.is_ram == is_ram);
        candidates
            .max_by_key(|region| region.free_bytes)
            .ok_or(OverBudget::NoRegion { kind })
    };
    let first = |is_ram: bool, needed: u64| {
        regions
            .iter()
            .position(|r| r.is_ram == is_ram && r.free_bytes >= needed)
    };
    let (ram, flash) = (largest(true, "RAM")?, largest(false, "flash")?);
    let Some(arena) = first(true, report.arena_bytes) else {
        let tensor = report.tensors.iter().max_by_key(|tensor| tensor.size_bytes);
        return Err(OverBudget::Arena {
            needed_bytes: report.arena_bytes,
            available_bytes: ram.free_bytes,
            region: ram.name.clone(),
            layer: report.peak_layer.clone(),
            tensor: tensor.map(|t| t.name.clone()).unwrap_or_default(),
            tensor_bytes: tensor.map_or(0, |t| t.size_bytes),
            tensor_layer: tensor.map(|t| t.layer.clone()).unwrap_or_default(),
        });
    };
    let Some(model) = first(false, report.model_bytes) else {
        let layer = report
            .layers
            .iter()
            .max_by_key(|layer| layer.constant_bytes);
        return Err(OverBudget::Flash {
            needed_bytes: report.model_bytes,
            available_bytes: flash.free_bytes,
            region: flash.name.clone(),
            layer: layer.map(|l| l.name.clone()).unwrap_or_default(),
            layer_bytes: layer.map_or(0, |l| l.constant_bytes),
        });
    };
    Ok(Placement { model, arena })
}
