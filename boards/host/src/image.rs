//! Firmware images.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use ocellus_board_file::Board;
use ocellus_format::ops::OpCode;
use ocellus_format::{ModelView, Task};
use ocellus_setup::{DeviceToolchain, Host, Progress, device_toolchain};
use sha2::{Digest, Sha256};

use crate::BoardError;

/// Lines of the compiler's output that an error quotes.
const LOG_LINES: usize = 40;

/// Operators that an image holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorSet {
    /// Every one: for devices whose model will be updated alone.
    All,
    /// These.
    Only(BTreeSet<OpCode>),
}

impl OperatorSet {
    /// Those of a model.
    pub fn of(model: &ModelView<'_>) -> OperatorSet {
        OperatorSet::Only(
            model
                .program()
                .operators()
                .map(|operator| operator.code)
                .collect(),
        )
    }

    /// As the image's build script reads it.
    fn list(&self) -> String {
        match self {
            OperatorSet::All => "all".to_owned(),
            OperatorSet::Only(codes) => codes
                .iter()
                .map(|code| code.name())
                .collect::<Vec<_>>()
                .join(","),
        }
    }
}

/// What an image can do beside loading a model, running it, and telling what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Operators that it links.
    pub operators: OperatorSet,
    /// Frames of the board's camera become inputs, and outputs become answers, as the model's task section says.
    pub vision: bool,
}

impl Contents {
    /// Everything.
    pub const ALL: Contents = Contents {
        operators: OperatorSet::All,
        vision: true,
    };

    /// What a run of the model needs, from inputs that are set to outputs that are read.
    pub fn run(model: &ModelView<'_>) -> Contents {
        Contents {
            operators: OperatorSet::of(model),
            vision: false,
        }
    }

    /// What a run needs, and what the model's task section asks for, where there is one that asks for something.
    pub fn of(model: &ModelView<'_>) -> Contents {
        let record = model.task().ok().flatten();
        Contents {
            vision: record.is_some_and(|record| {
                record.preprocess.is_some() || !matches!(record.task, Task::None)
            }),
            ..Contents::run(model)
        }
    }

    /// A name for the set, unlike that of any other.
    fn key(&self) -> String {
        self.operators.list() + if self.vision { "+vision" } else { "" }
    }
}

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Work, and totals: one pair of markers around an inference.
    Plain,
    /// Markers around every layer.
    Profile,
    /// The kernels' cases.
    Conformance,
}

impl Variant {
    /// The word in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain",
            Variant::Profile => "profile",
            Variant::Conformance => "conformance",
        }
    }

    /// The cargo feature.
    const fn feature(self) -> Option<&'static str> {
        match self {
            Variant::Plain => None,
            Variant::Profile => Some("profile"),
            Variant::Conformance => Some("conformance"),
        }
    }
}

/// A linked firmware image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The file.
    pub elf: PathBuf,
    /// Bytes that it takes in flash: code, constants and initial values.
    pub code_bytes: u64,
    /// Bytes of its variables in RAM.
    pub statics_bytes: u64,
    /// Names of linked functions that belong to the panic machinery; none in an image without operating system.
    pub panic_symbols: Vec<String>,
}

/// Builds the firmware for a board; `None` for the PC itself, whose firmware is part of this tool.
///
/// The compiler is installed if it is missing. Outputs lie below `target/firmware`; an image that is up to date costs a look at its sources.
///
/// # Errors
/// - [`BoardError::Setup`]: no compiler for the device
/// - [`BoardError::Build`]: it does not compile
/// - [`BoardError::Image`]: the output is not what it should be
pub fn build_image(
    host: &Host,
    board: &Board,
    contents: &Contents,
    variant: Variant,
    progress: &dyn Progress,
) -> Result<Option<Image>, BoardError> {
    build(host, board, contents, variant, None, progress)
}

/// Builds the firmware for a board without operating system that loads models only of this signer, an Ed25519 public key; `None` for others,
/// whose processes run what their owner gives them.
///
/// # Errors
/// Those of [`build_image`].
pub fn build_signed_image(
    host: &Host,
    board: &Board,
    contents: &Contents,
    signer: &[u8; 32],
    progress: &dyn Progress,
) -> Result<Option<Image>, BoardError> {
    if !board.is_bare_metal() {
        return Ok(None);
    }
    build(
        host,
        board,
        contents,
        Variant::Plain,
        Some(signer),
        progress,
    )
}

fn build(
    host: &Host,
    board: &Board,
    contents: &Contents,
    variant: Variant,
    signer: Option<&[u8; 32]>,
    progress: &dyn Progress,
) -> Result<Option<Image>, BoardError> {
    let Some(triple) = &board.triple else {
        return Ok(None);
    };
    let toolchain = device_toolchain(host, triple, progress)?;
    // Boards with an operating system share their image: it asks its machine what it can do.
    let folder = host.target.join("firmware").join(if board.is_bare_metal() {
        &board.name
    } else {
        &toolchain.triple
    });
    fs::create_dir_all(&folder).map_err(BoardError::io(&folder))?;
    // Between a build and the copy of its output another process must not build another set of operators.
    let lock_path = folder.join("lock");
    let lock = File::create(&lock_path).map_err(BoardError::io(&lock_path))?;
    lock.lock().map_err(BoardError::io(&lock_path))?;

    progress.begin(&format!(
        "building the {} image for {}",
        variant.name(),
        board.name
    ));
    let signer = signer.map(hex);
    let features = Features {
        variant,
        signer: signer.as_deref(),
    };
    let built = compile(host, board, &toolchain, &folder, contents, features);
    progress.end(built.is_ok());
    let built = built?;

    let name = if board.is_bare_metal() {
        let what = contents.key() + signer.as_deref().unwrap_or_default();
        let digest = hex(&Sha256::digest(what)[..4]);
        format!("{}-{digest}.elf", variant.name())
    } else {
        // A process holds everything.
        format!("{}.elf", variant.name())
    };
    let elf = folder.join(name);
    copy_if_changed(&built, &elf)?;
    measure(elf).map(Some)
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What is compiled in beside the operators.
#[derive(Clone, Copy)]
struct Features<'a> {
    variant: Variant,
    /// The only signer whose models are loaded, in hexadecimal.
    signer: Option<&'a str>,
}

/// Runs cargo; the path of its output.
fn compile(
    host: &Host,
    board: &Board,
    toolchain: &DeviceToolchain,
    folder: &Path,
    contents: &Contents,
    features: Features<'_>,
) -> Result<PathBuf, BoardError> {
    let mut flags = Vec::new();
    if let Some(cpu) = &board.target_cpu
        && board.is_bare_metal()
    {
        // A process asks its machine instead, so that one image serves every core.
        flags.extend(["-C".to_owned(), format!("target-cpu={cpu}")]);
    }
    let mut command = toolchain.command(host, "build", &flags);
    let package = if board.is_bare_metal() {
        "ocellus-board-qemu"
    } else {
        "ocellus-board-linux"
    };
    if board.is_bare_metal() {
        command.args(["--manifest-path", "boards/qemu/Cargo.toml"]);
        command.env(
            "OCELLUS_BOARD",
            fs::canonicalize(&board.path).map_err(BoardError::io(&board.path))?,
        );
        command.env("OCELLUS_OPERATORS", contents.operators.list());
        if contents.vision {
            command.args(["--features", "vision"]);
        }
    } else {
        command.args(["--package", package, "--bin", package]);
    }
    command.arg("--release").arg("--target-dir").arg(folder);
    if let Some(feature) = features.variant.feature() {
        command.args(["--features", feature]);
    }
    if let Some(signer) = features.signer {
        command.args(["--features", "signed"]);
        command.env("OCELLUS_SIGNER", signer);
    }
    let program = PathBuf::from(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(BoardError::io(program))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text.lines().collect();
        return Err(BoardError::Build {
            board: board.name.clone(),
            status: output.status.to_string(),
            log: lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"),
        });
    }
    Ok(folder.join(&toolchain.triple).join("release").join(package))
}

/// Copies by way of a new file, so that an emulator that runs the old one is left alone.
fn copy_if_changed(from: &Path, to: &Path) -> Result<(), BoardError> {
    let new = fs::read(from).map_err(BoardError::io(from))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let draft = to.with_extension("new");
    fs::copy(from, &draft).map_err(BoardError::io(&draft))?;
    fs::rename(&draft, to).map_err(BoardError::io(to))
}

/// Reads sizes and symbols.
fn measure(elf: PathBuf) -> Result<Image, BoardError> {
    let bytes = fs::read(&elf).map_err(BoardError::io(&elf))?;
    let file = object::File::parse(bytes.as_slice()).map_err(|error| BoardError::Image {
        path: elf.clone(),
        what: error.to_string(),
    })?;
    let (mut code_bytes, mut statics_bytes) = (0, 0);
    for section in file.sections() {
        match section.kind() {
            SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => {
                code_bytes += section.size()
            }
            SectionKind::Data => {
                code_bytes += section.size();
                statics_bytes += section.size();
            }
            SectionKind::UninitializedData => statics_bytes += section.size(),
            _ => {}
        }
    }
    let panic_symbols = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok())
        .filter(|name| {
            ["panicking", "rust_begin_unwind", "panic_fmt"]
                .iter()
                .any(|word| name.contains(word))
        })
        .map(str::to_owned)
        .collect();
    Ok(Image {
        elf,
        code_bytes,
        statics_bytes,
        panic_symbols,
    })
}
