//! What a command may need, how to see whether it is here, and how to get it.

use ocellus_board_file::Board;

use crate::command::output;
use crate::plugin::plugin_path;
use crate::{
    DeviceToolchain, Host, Package, Progress, SetupError, apt, catalogue, cycles_plugin,
    emulator_version,
};

/// Something that a command needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Need {
    /// A compiler for a triple.
    RustTarget(String),
    /// An emulator, by its program: `qemu-system-arm`, `qemu-aarch64`.
    Emulator(String),
    /// Python's package client.
    Pip,
    /// The plugin that counts instructions in the emulators.
    CyclesPlugin,
    /// A browser without a window: only tests look at pages with it.
    Browser,
    /// Files out of a public package.
    Package(&'static Package),
}

/// Whether a need is met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It is here.
    Present {
        /// Version or path.
        what: String,
    },
    /// It is not, and this is how to get it by hand.
    Missing {
        /// A command, or a sentence.
        how: String,
    },
}

impl Status {
    /// Whether it is here.
    #[must_use]
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Present { .. })
    }
}

impl Need {
    /// Everything that any command needs for the boards and packages in the tree; what `ocellus doctor` lists.
    #[must_use]
    pub fn all(boards: &[Board]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let packages = catalogue::ALL.iter().map(|p| Self::Package(p));
        let rest = [Self::CyclesPlugin, Self::Pip].into_iter().chain(packages);
        for need in boards.iter().flat_map(Self::for_board).chain(rest) {
            if !all.iter().any(|n| n.title() == need.title()) {
                all.push(need);
            }
        }
        all
    }

    /// What building for a board and running there needs.
    #[must_use]
    pub fn for_board(board: &Board) -> Vec<Self> {
        let target = board.triple.clone().map(Self::RustTarget);
        target
            .into_iter()
            .chain(
                board
                    .emulator
                    .iter()
                    .map(|e| Self::Emulator(e.program.clone())),
            )
            .collect()
    }

    /// One line for people.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::RustTarget(triple) => format!("Rust target {triple}"),
            Self::Emulator(program) => format!("emulator {program}"),
            Self::Pip => "Python's pip".to_owned(),
            Self::CyclesPlugin => "instruction counter".to_owned(),
            Self::Browser => format!("browser {BROWSER}"),
            Self::Package(package) => format!("files of {}", package.source.title()),
        }
    }

    /// Whether it is here. Fetches and changes nothing.
    #[must_use]
    pub fn check(&self, host: &Host) -> Status {
        let (found, how) = match self {
            Self::RustTarget(triple) => (
                DeviceToolchain::find(host, triple).map(|t| format!("{} ({})", t.triple, t.origin)),
                format!("rustup target add {triple}"),
            ),
            Self::Emulator(program) => (
                emulator_version(host, program),
                format!("apt-get install {}", emulator_package(program)),
            ),
            Self::Pip => (
                host.find("python3")
                    .and_then(|p| output(host, &p, &["-m", "pip", "--version"])),
                "apt-get install python3-pip".to_owned(),
            ),
            Self::CyclesPlugin => {
                let path = plugin_path(host);
                (
                    path.is_file().then(|| path.display().to_string()),
                    "cargo build --release --package ocellus-cycles".to_owned(),
                )
            }
            Self::Browser => (
                host.find(BROWSER)
                    .and_then(|program| output(host, &program, &["--version"])),
                format!("apt-get install {BROWSER}"),
            ),
            Self::Package(package) => {
                let missing = package.missing(host);
                let names = match missing.as_slice() {
                    [a] => (*a).to_owned(),
                    more => format!("{} of its files", more.len()),
                };
                (
                    missing
                        .is_empty()
                        .then(|| package.folder(host).display().to_string()),
                    format!("fetch {names} from {}", package.source.title()),
                )
            }
        };
        match found {
            Some(what) => Status::Present { what },
            None => Status::Missing { how },
        }
    }

    /// Gets it.
    ///
    /// # Errors
    /// - [`SetupError`] of the way taken
    /// - [`SetupError::StillMissing`]: the way was taken to its end, and it is not here
    pub fn fix(&self, host: &Host, progress: &dyn Progress) -> Result<(), SetupError> {
        match self {
            Self::RustTarget(triple) => {
                crate::device_toolchain(host, triple, progress).map(drop)?
            }
            Self::Emulator(program) => apt::install(host, &[emulator_package(program)], progress)?,
            Self::Pip => apt::install(host, &["python3", "python3-pip"], progress)?,
            Self::CyclesPlugin => cycles_plugin(host, progress).map(drop)?,
            Self::Browser => apt::install(host, &[BROWSER], progress)?,
            Self::Package(package) => {
                if matches!(
                    package.source,
                    crate::Source::Pypi { .. } | crate::Source::Wheel { .. }
                ) {
                    ensure(&[Self::Pip], host, progress)?;
                }
                package.fetch(host, progress)?;
            }
        }
        match self.check(host) {
            Status::Present { .. } => Ok(()),
            Status::Missing { how } => Err(SetupError::StillMissing {
                what: self.title(),
                how,
            }),
        }
    }
}

/// Gets what of this is missing, in order, and stops at the first failure.
///
/// # Errors
/// Those of [`Need::fix`].
pub fn ensure(needs: &[Need], host: &Host, progress: &dyn Progress) -> Result<(), SetupError> {
    needs
        .iter()
        .filter(|n| !n.check(host).is_present())
        .try_for_each(|n| n.fix(host, progress))
}

/// The browser's program and Debian's package.
const BROWSER: &str = "chromium";

/// Debian's package of an emulator.
fn emulator_package(program: &str) -> &'static str {
    match program.strip_prefix("qemu-system-") {
        Some("arm" | "aarch64") => "qemu-system-arm",
        Some(_) => "qemu-system",
        None => "qemu-user",
    }
}
