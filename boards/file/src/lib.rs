//! A board's data file: chip, memory, emulator, sensor, link.
//!
//! One TOML file describes one board. Its readers are the image builder (linker script, target CPU),
//! the converter's `--board` (budget and report), the emulator's command line and the README's table, so
//! that none of them holds an address or a size of its own.
//!
//! A **region** is a memory as the core sees it. A **slot** is a part of a region with a role; slots never
//! overlap. Several slots of one role are in order of preference: a plan that does not fit the first
//! arena goes to the second.
//!
//! ```
//! use ocellus_board_file::{Board, Role};
//!
//! let board = Board::find("qemu-m55")?;
//! let (slot, region) = board.place(Role::Arena, 8_600_000)?;
//! assert_eq!(region.name, "DDR");
//! assert_eq!(slot.size_bytes, 0x0400_0000);
//! # Ok::<(), ocellus_board_file::BoardError>(())
//! ```

#![forbid(unsafe_code)]

mod error;
mod find;
mod memory;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use error::BoardError;
pub use find::workspace_root;
pub use memory::{Region, RegionKind, Role, Slot};

/// A board, as its data file describes it and [`Board::check`] accepted it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Board {
    /// What `--board` takes; lower case, digits and dashes.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The chip, or the FPGA image that stands for one.
    pub chip: String,
    /// Value of `-C target-cpu`; none for the PC itself.
    pub target_cpu: Option<String>,
    /// Rust target triple; none means the one this tool was built for.
    pub triple: Option<String>,
    /// Best instruction set that the board executes.
    pub isa: Isa,
    /// Clock of the core, where one is defined.
    pub clock_hz: Option<u64>,
    /// How the board is emulated; none for the PC itself and for real boards.
    pub emulator: Option<Emulator>,
    /// Memories, bare metal only; a board with an operating system has none.
    #[serde(default, rename = "region")]
    pub regions: Vec<Region>,
    /// Uses of the memories.
    #[serde(default, rename = "slot")]
    pub slots: Vec<Slot>,
    /// Where frames come from.
    pub sensor: Sensor,
    /// Where answers go.
    pub link: Link,
    /// The data file that this was read from.
    #[serde(skip)]
    pub path: PathBuf,
}

/// Instruction sets that kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Isa {
    /// Portable code.
    Reference,
    /// The DSP extension of Cortex-M4, M7 and M33.
    CortexMDsp,
    /// The vector extension of Cortex-M55 and M85.
    Helium,
    /// Advanced SIMD of Cortex-A.
    Neon,
    /// Advanced SIMD with dot products: Cortex-A55, A76.
    NeonDot,
    /// Advanced SIMD with products of int8 matrices.
    #[serde(rename = "neon-i8mm")]
    NeonI8mm,
    /// 256-bit vectors of x86-64.
    Avx2,
}

impl Isa {
    /// The name used in files, options and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::CortexMDsp => "cortex-m-dsp",
            Self::Helium => "helium",
            Self::Neon => "neon",
            Self::NeonDot => "neon-dot",
            Self::NeonI8mm => "neon-i8mm",
            Self::Avx2 => "avx2",
        }
    }
}

/// The command that stands for the board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Emulator {
    /// Whole machine or one Linux process.
    pub kind: EmulatorKind,
    /// The program, looked up in `PATH`.
    pub program: String,
    /// Value of `-machine`; system emulation only.
    pub machine: Option<String>,
    /// Value of `-cpu`.
    pub cpu: String,
    /// Further arguments, passed as they are.
    #[serde(default)]
    pub args: Vec<String>,
}

/// What is emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EmulatorKind {
    /// The whole machine, from its reset vector.
    System,
    /// One statically linked Linux program.
    User,
}

impl Emulator {
    /// The arguments that the data file fixes: machine, CPU and the extra ones.
    #[must_use]
    pub fn base_args(&self) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(machine) = &self.machine {
            out.extend(["-machine".to_owned(), machine.clone()]);
        }
        out.extend(["-cpu".to_owned(), self.cpu.clone()]);
        out.extend(self.args.iter().cloned());
        out
    }
}

/// Where frames come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sensor {
    /// How a frame reaches memory.
    pub kind: SensorKind,
    /// Pixel formats it delivers.
    pub formats: Vec<PixelFormat>,
    /// Widest frame.
    pub max_width_px: u32,
    /// Highest frame.
    pub max_height_px: u32,
}

/// How a frame reaches memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SensorKind {
    /// A file on the PC, read through the debugger's semihosting calls.
    Semihosting,
    /// A file named on the command line.
    File,
}

/// Layout of a frame's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PixelFormat {
    /// One byte, luminance.
    Gray8,
    /// Three bytes: red, green, blue.
    Rgb888,
    /// Two bytes, little-endian: 5 bits red, 6 green, 5 blue.
    Rgb565,
}

/// Where answers go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Link {
    /// The carrier.
    pub kind: LinkKind,
}

/// What carries the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LinkKind {
    /// A file on the PC, written through the debugger's semihosting calls.
    Semihosting,
    /// A serial port.
    Uart,
    /// Standard output.
    Stdio,
}

impl Board {
    /// Reads a board's text; `path` is for messages only.
    ///
    /// # Errors
    /// - [`BoardError::Syntax`]: not TOML, an unknown key, a missing one
    /// - [`BoardError::Wrong`]: [`Board::check`] found something
    pub fn parse(text: &str, path: &Path) -> Result<Self, BoardError> {
        let mut board: Self = toml::from_str(text).map_err(|e| BoardError::Syntax {
            path: path.to_owned(),
            what: one_line(&e, text),
        })?;
        board.check().map_err(|what| BoardError::Wrong {
            path: path.to_owned(),
            what,
        })?;
        board.path = path.to_owned();
        Ok(board)
    }

    /// Reads a board's file.
    ///
    /// # Errors
    /// - [`BoardError::Read`]: the file cannot be read
    /// - those of [`Board::parse`]
    pub fn load(path: &Path) -> Result<Self, BoardError> {
        let text = std::fs::read_to_string(path).map_err(|e| BoardError::Read {
            path: path.to_owned(),
            what: e.to_string(),
        })?;
        Self::parse(&text, path)
    }

    /// Whether images for this board run without an operating system.
    #[must_use]
    pub fn is_bare_metal(&self) -> bool {
        !self.regions.is_empty()
    }
}

/// A parser's complaint with its line, without the excerpt that takes several lines.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let words: Vec<&str> = error.message().split_whitespace().collect();
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!(
            "line {}: {}",
            before.matches('\n').count() + 1,
            words.join(" ")
        ),
        None => words.join(" "),
    }
}
