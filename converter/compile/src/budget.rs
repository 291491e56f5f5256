//! Whether a model fits the memory of a board, and what is in the way where it does not.

use crate::Target;
use crate::plan::aligned;
use crate::report::{Report, TensorReport};

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
    /// Index of the region with each part of the arena.
    pub arena: Vec<usize>,
}

/// The memory of each part of an arena, by the firmware's rule: the first with room for it behind the parts that it holds already. `None` where a part has no
/// place.
pub fn places(parts: &[u64], memories: &[u64]) -> Option<Vec<usize>> {
    let mut free = memories.to_vec();
    let mut place = |&bytes: &u64| {
        let memory = free.iter().position(|&free| free >= bytes)?;
        free[memory] -= bytes;
        Some(memory)
    };
    parts.iter().map(&mut place).collect()
}

/// An arena that no region holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.explain(self.input.as_ref().map(ToString::to_string).as_deref()))]
pub struct ArenaTooLarge {
    /// The plan's peak.
    pub needed_bytes: u64,
    /// Of the largest region.
    pub available_bytes: u64,
    /// The largest region.
    pub region: String,
    /// The layer with the most bytes alive.
    pub layer: String,
    /// What is alive there, the largest first.
    pub alive: String,
    /// The largest tensor.
    pub tensor: String,
    /// Its size.
    pub tensor_bytes: u64,
    /// What writes it.
    pub tensor_layer: String,
    /// What another size of the input would do; `None` where that is no picture.
    pub input: Option<InputSize>,
    /// What else would make it fit.
    pub remedies: String,
    /// The model file has no place either.
    pub file: Option<FileTooLarge>,
}

impl ArenaTooLarge {
    /// The refusal, with this sentence on the input's size.
    pub fn explain(&self, input: Option<&str>) -> String {
        let ArenaTooLarge {
            needed_bytes,
            available_bytes,
            region,
            layer,
            alive,
            tensor,
            tensor_bytes,
            tensor_layer,
            remedies,
            file,
            ..
        } = self;
        let writer = match tensor_layer.as_str() {
            "" => "an input of the model".to_owned(),
            layer => format!("written by layer `{layer}`"),
        };
        let input = input.map(|input| format!("{input}. ")).unwrap_or_default();
        let file = file.as_ref().map(|file| format!(". Besides, {file}"));
        let file = file.unwrap_or_default();
        format!(
            "the model needs {needed_bytes} bytes of RAM and the largest region, `{region}`, has {available_bytes}. Most are alive in layer \
             `{layer}`: {alive}; the largest tensor is `{tensor}` ({tensor_bytes} bytes), {writer}. {input}{remedies}{file}"
        )
    }
}

/// What another size of the input would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSize {
    /// The largest at which the model would fit, by the shapes of its tensors.
    Fits {
        /// Rows and columns.
        size: [usize; 2],
        /// What they are now.
        instead_of: [usize; 2],
        /// The arena that it would need.
        estimated_bytes: u64,
    },
    /// None is small enough.
    DoesNotHelp {
        /// What depends on no size.
        fixed_bytes: u64,
    },
}

impl std::fmt::Display for InputSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            InputSize::Fits {
                size: [rows, columns],
                instead_of: [h, w],
                estimated_bytes,
            } => write!(
                f,
                "An input of about {rows}x{columns} instead of {h}x{w} would fit (estimated: {estimated_bytes} bytes)"
            ),
            InputSize::DoesNotHelp { fixed_bytes } => write!(
                f,
                "A smaller input does not help: {fixed_bytes} bytes do not depend on its size"
            ),
        }
    }
}

/// A model file that no region holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model file has {needed_bytes} bytes and the largest region for it, `{region}`, has {available_bytes}. The layer with the most weights is \
     `{layer}` ({layer_bytes} bytes). Use a narrower model, or a board with more flash"
)]
pub struct FileTooLarge {
    /// The model file.
    pub needed_bytes: u64,
    /// Of the largest region.
    pub available_bytes: u64,
    /// The largest region.
    pub region: String,
    /// The layer with the most weights.
    pub layer: String,
    /// Bytes of its constants.
    pub layer_bytes: u64,
}

/// Why a model does not fit a board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverBudget {
    /// No region holds the arena.
    #[error(transparent)]
    Arena(Box<ArenaTooLarge>),
    /// No region holds the model file.
    #[error(transparent)]
    File(FileTooLarge),
    /// The board has no region of a kind.
    #[error("the board's data file declares no {kind} for models; add a region to it")]
    NoRegion {
        /// `RAM` or `flash`.
        kind: &'static str,
    },
}

/// Finds the first region that holds the model and those of the arena's parts ([`places`]): regions are listed from fast to slow.
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
    let (ram, flash) = (largest(true, "RAM")?, largest(false, "flash")?);
    let rams: Vec<usize> = (0..regions.len()).filter(|&r| regions[r].is_ram).collect();
    let sizes: Vec<u64> = rams.iter().map(|&r| regions[r].free_bytes).collect();
    let parts: Vec<u64> = report.parts.iter().map(|part| part.bytes).collect();
    let holds = |r: &Region| !r.is_ram && r.free_bytes >= report.model_bytes;
    let model = regions.iter().position(holds).ok_or_else(|| {
        let layers = report.layers.iter();
        let layer = layers.max_by_key(|layer| layer.constant_bytes);
        FileTooLarge {
            needed_bytes: report.model_bytes,
            available_bytes: flash.free_bytes,
            region: flash.name.clone(),
            layer: layer.map(|l| l.name.clone()).unwrap_or_default(),
            layer_bytes: layer.map_or(0, |l| l.constant_bytes),
        }
    });
    let Some(arena) = places(&parts, &sizes) else {
        let tensor = report.tensors.iter().max_by_key(|tensor| tensor.size_bytes);
        return Err(OverBudget::Arena(Box::new(ArenaTooLarge {
            needed_bytes: report.arena_bytes,
            available_bytes: ram.free_bytes,
            region: ram.name.clone(),
            layer: report.peak_layer.clone(),
            alive: alive_at_peak(report),
            input: smaller_input(report, ram.free_bytes),
            remedies: remedies(report, ram.free_bytes, &sizes),
            tensor: tensor.map(|t| t.name.clone()).unwrap_or_default(),
            tensor_bytes: tensor.map_or(0, |t| t.size_bytes),
            tensor_layer: tensor.map(|t| t.layer.clone()).unwrap_or_default(),
            file: model.err(),
        })));
    };
    let model = model.map_err(OverBudget::File)?;
    let arena = arena.into_iter().map(|memory| rams[memory]).collect();
    Ok(Placement { model, arena })
}

/// Tensors and scratch alive at the peak that are named.
const NAMED_MAX: usize = 4;

/// What is alive in the layer with the most bytes alive, the largest first.
fn alive_at_peak(report: &Report) -> String {
    let Some(step) = peak_step(report) else {
        return "the inputs of the model".into();
    };
    let mut alive: Vec<(u64, String)> = report
        .tensors
        .iter()
        .filter(|tensor| (tensor.first_step..=tensor.last_step).contains(&step))
        .map(|tensor| (tensor.size_bytes, format!("`{}`", tensor.name)))
        .collect();
    alive.push((scratch_at(report, step), "scratch".into()));
    alive.retain(|(bytes, _)| *bytes > 0);
    alive.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    let more = alive.len().saturating_sub(NAMED_MAX);
    let mut named: Vec<String> = alive
        .iter()
        .take(NAMED_MAX)
        .map(|(bytes, name)| format!("{name} ({bytes})"))
        .collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    named.join(", ")
}

fn peak_step(report: &Report) -> Option<usize> {
    let layers = report.layers.iter();
    let layer = layers.enumerate().max_by_key(|(index, layer)| {
        // The first of equals, as the plan counts.
        (layer.live_bytes, std::cmp::Reverse(*index))
    });
    layer.map(|(index, _)| index + 1)
}

fn scratch_at(report: &Report, step: usize) -> u64 {
    let layer = step.checked_sub(1).and_then(|i| report.layers.get(i));
    layer.map_or(0, |layer| layer.scratch_bytes)
}

/// Bytes of a tensor where pictures have `share` of their rows and columns.
fn scaled_bytes(tensor: &TensorReport, share: f64) -> u64 {
    let &[_, h, w, _] = tensor.shape.as_slice() else {
        return tensor.size_bytes;
    };
    let scaled = |size: usize| ((size as f64 * share).ceil() as u64).max(1);
    tensor.size_bytes / (h * w).max(1) as u64 * scaled(h) * scaled(w)
}

/// Most bytes alive in a step where pictures have `share` of their rows and columns. Scratch does not depend on that.
fn alive_bytes(report: &Report, share: f64) -> u64 {
    let of = |step: usize| {
        let mut alive: Vec<(u64, u64)> = report
            .tensors
            .iter()
            .filter(|tensor| (tensor.first_step..=tensor.last_step).contains(&step))
            .map(|tensor| (tensor.offset, scaled_bytes(tensor, share)))
            .collect();
        // Two at one place: an output over its input.
        alive.sort_by_key(|&(offset, bytes)| (offset, std::cmp::Reverse(bytes)));
        alive.dedup_by_key(|(offset, _)| *offset);
        let tensors: u64 = alive.iter().map(|&(_, bytes)| aligned(bytes)).sum();
        tensors + aligned(scratch_at(report, step))
    };
    (0..=report.layers.len() + 1).map(of).max().unwrap_or(0)
}

/// The largest input with which the model would fit into so many bytes; `None` where the input is no picture.
fn smaller_input(report: &Report, available_bytes: u64) -> Option<InputSize> {
    let whole = alive_bytes(report, 1.0).max(1);
    // The plan's own loss against what is alive stays in proportion.
    let needs = |share: f64| {
        let alive = u128::from(alive_bytes(report, share)) * u128::from(report.arena_bytes);
        (alive / u128::from(whole)) as u64
    };
    let input = report.tensors.iter().find(|tensor| tensor.first_step == 0);
    let &[_, h, w, _] = input?.shape.as_slice() else {
        return None;
    };
    if h < 2 || w < 2 {
        return None;
    }
    let fits = |&rows: &usize| needs(rows as f64 / h as f64) <= available_bytes;
    Some(match (1..h).rev().find(fits) {
        Some(rows) => {
            // Networks halve their pictures several times.
            let rows = if rows >= 32 { rows / 8 * 8 } else { rows };
            InputSize::Fits {
                size: [rows, (w * rows).div_ceil(h)],
                instead_of: [h, w],
                estimated_bytes: needs(rows as f64 / h as f64),
            }
        }
        None => InputSize::DoesNotHelp {
            fixed_bytes: needs(0.0),
        },
    })
}

/// What else would make the model fit into so many bytes, those of the largest of some memories.
fn remedies(report: &Report, available_bytes: u64, memories: &[u64]) -> String {
    let mut remedies = Vec::new();
    let together: u64 = memories.iter().sum();
    if memories.len() > 1 && report.memories == memories {
        remedies.push(format!(
            "No plan over the {} memories, {together} bytes together, was found",
            memories.len()
        ));
    } else if together >= report.arena_bytes && report.parts.len() < 2 {
        remedies.push(format!(
            "The {} memories have {together} bytes together: a file for this board (`--board`) can use them all",
            memories.len()
        ));
    }
    if report.arena_lower_bound_bytes > available_bytes {
        remedies.push(format!(
            "No plan of this order of operators needs less than {} bytes",
            report.arena_lower_bound_bytes
        ));
    }
    let scratch = peak_step(report).map_or(0, |step| scratch_at(report, step));
    let without = report.arena_bytes.saturating_sub(scratch);
    if report.target == Target::Portable && without <= available_bytes {
        remedies.push(format!(
            "{scratch} bytes of it are scratch for whatever instruction set: a file for one (`--isa`) may need less"
        ));
    }
    remedies.push(format!(
        "Otherwise choose a board with a region of {} bytes of RAM, or a narrower model",
        report.arena_bytes
    ));
    remedies.join(". ")
}
