//! What the plugin writes: one JSON object, here as types.
//!
//! ```json
//! {"schema": 1, "target": "thumb", "brackets": [
//!   {"kind": "inference", "instructions": 3002, "estimated_cycles": 5000, "m55_cycles": null,
//!    "classes": {"data_processing": 2002, "branch": 1000, "branch_taken": 999},
//!    "instructions_checked": null,
//!    "layers": [{"instructions": 3, "estimated_cycles": 5, "m55_cycles": null, "classes": {}}]}],
//!  "warnings": []}
//! ```
//!
//! (`classes` always has all its fields; they are left out above.) Fields are only ever added.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The version of the shape that this crate writes and reads.
pub const SCHEMA: u32 = 1;

/// One run of one guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Which instruction set was decoded.
    pub target: Target,
    /// Every closed bracket, in the order in which they began.
    pub brackets: Vec<Bracket>,
    /// Markers that did not pair up, in words; empty in a sound run.
    pub warnings: Vec<String>,
}

/// The instruction set that was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Thumb-2 of an M-profile core.
    Thumb,
    /// A64.
    Aarch64,
}

/// What a bracket encloses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One run of the model.
    Inference,
    /// Proving the model's structure and building its program.
    Load,
    /// Hashing the model file and checking its signature.
    Verify,
}

/// Everything executed between one begin marker and its end marker, both excluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bracket {
    /// Which pair of markers enclosed it.
    pub kind: Kind,
    /// The counts of the whole bracket, layers included.
    #[serde(flatten)]
    pub counts: Counts,
    /// The same number counted instruction by instruction, where the plugin was given `check=on`.
    /// It differs from `instructions` only if the guest left a block in its middle, by a fault.
    pub instructions_checked: Option<u64>,
    /// The nth pair of layer markers inside, if any. Only inferences have layers.
    pub layers: Vec<Counts>,
}

/// Counts of one bracket or layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Executed instructions. One skipped by an `IT` block or by predication counts: it is fetched.
    pub instructions: u64,
    /// The in-order Cortex-M4 model. `None` for A64, and for a run that used Helium anywhere.
    pub estimated_cycles: Option<u64>,
    /// The rough Cortex-M55 range. `None` unless the run used Helium somewhere.
    pub m55_cycles: Option<CycleRange>,
    /// The same instructions by class.
    pub classes: Classes,
}

impl Counts {
    /// The one figure to show: the Cortex-M4 model, or else the upper end of the Cortex-M55 range.
    pub fn best_estimate(&self) -> Option<u64> {
        self.estimated_cycles
            .or(self.m55_cycles.map(|range| range.high))
    }
}

/// A range of cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CycleRange {
    /// A Helium load or store overlaps the Helium arithmetic next to it.
    pub low: u64,
    /// Nothing overlaps.
    pub high: u64,
}

/// Declares [`Classes`] with its field-wise views, so that the list of classes exists once.
macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Executed instructions by class. All fields but `branch_taken` add up to `instructions`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct Classes {
            $($(#[doc = $doc])+ pub $name: u64,)+
            /// Instructions that changed the flow: taken branches, and loads into the program counter.
            pub branch_taken: u64,
        }

        impl Classes {
            /// Adds every field of `other`, `times` over.
            pub(crate) fn add_scaled(&mut self, other: &Classes, times: u64) {
                $(self.$name += other.$name * times;)+
                self.branch_taken += other.branch_taken * times;
            }

            /// The number of instructions.
            pub fn total(&self) -> u64 {
                0 $(+ self.$name)+
            }
        }
    };
}

classes! {
    /// Moves, adds, logic, shifts, saturation, SIMD-in-register without a multiply.
    data_processing,
    /// 32-bit products, with or without accumulation.
    multiply,
    /// 64-bit products, with or without accumulation.
    long_multiply,
    /// Products of the DSP extension: `smlad`, `smlabb`, `smmla` and kin.
    dsp_mac,
    /// Loads of one register (also `ldrd`; float and NEON registers included).
    load,
    /// Stores of one register (also `strd`; float and NEON registers included).
    store,
    /// `ldm`, `stm`, `push`, `pop`, `vldm`, `vstm`; on A64 `ldp` and `stp`.
    load_store_multiple,
    /// Branches, calls, returns by `bx`, table branches, the ends of low-overhead loops.
    branch,
    /// Integer division.
    divide,
    /// Scalar float arithmetic, conversions and moves.
    float,
    /// Helium (MVE), its loads and stores included.
    helium,
    /// NEON arithmetic (and SVE, whole).
    neon,
    /// `it`, hints, barriers, system registers, and what the decoder does not know.
    other,
}

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The plugin wrote no such file: the guest was killed, or QEMU did not load the plugin.
    #[error(
        "no instruction report at {path}: QEMU was killed or did not load the plugin; see its standard error"
    )]
    Missing {
        /// Where the report should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a report.
    #[error("{path} is no instruction report; run the guest again")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and how it is wrong.
        source: serde_json::Error,
    },
    /// The plugin was built from another version of this crate.
    #[error(
        "{path} has report schema {found}, this tool reads {SCHEMA}; build the plugin again (cargo build --release -p ocellus-cycles)"
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
}

impl Report {
    /// Reads a report from a file.
    ///
    /// # Errors
    /// - [`ReadError::Missing`]: there is no readable file at `path`
    /// - [`ReadError::Malformed`]: its content is not a report
    /// - [`ReadError::Schema`]: the report is of another version
    pub fn read(path: &Path) -> Result<Report, ReadError> {
        let text = std::fs::read(path).map_err(|source| ReadError::Missing {
            path: path.into(),
            source,
        })?;
        let malformed = |source| ReadError::Malformed {
            path: path.into(),
            source,
        };
        // The schema first: another version's report would otherwise be called damaged.
        let head: Head = serde_json::from_slice(&text).map_err(malformed)?;
        if head.schema != SCHEMA {
            return Err(ReadError::Schema {
                path: path.into(),
                found: head.schema,
            });
        }
        serde_json::from_slice(&text).map_err(malformed)
    }

    /// The brackets of one kind, in order.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Bracket> {
        self.brackets
            .iter()
            .filter(move |bracket| bracket.kind == kind)
    }
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
}
