//! Converts and benches a model with the command that users have, and keeps what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use ocellus_setup::Host;
use serde::{Deserialize, Serialize};

/// A model of the document.
pub(crate) struct Model {
    /// Its name in tables and records.
    pub(crate) name: &'static str,
    /// Below `../shared/data/models`.
    file: &'static str,
    /// Options of `ocellus convert`.
    options: &'static [&'static str],
}

/// MLPerf Tiny's int8 files.
pub(crate) const MODELS: [Model; 5] = [
    Model {
        name: "IC",
        file: "mlperf_tiny/ic_resnet8_int8.tflite",
        options: &[],
    },
    Model {
        name: "VWW",
        file: "mlperf_tiny/vww_96_int8.tflite",
        options: &[],
    },
    Model {
        name: "VWW, all channels",
        file: "mlperf_tiny/vww_96_int8.tflite",
        options: &["--no-pass", "dead-channels"],
    },
    Model {
        name: "KWS",
        file: "mlperf_tiny/kws_ref_int8.tflite",
        options: &[],
    },
    Model {
        name: "AD",
        file: "mlperf_tiny/ad01_int8.tflite",
        options: &[],
    },
];

/// What `ocellus bench --json` says of a model on a board.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Figures {
    /// The document's name, not the file's.
    pub(crate) model: String,
    pub(crate) board: String,
    pub(crate) macs: u64,
    pub(crate) macs_on_simd_share: f64,
    pub(crate) instructions: u64,
    pub(crate) estimated_cycles: Option<u64>,
    pub(crate) load_instructions: Option<u64>,
    pub(crate) arena_bytes: u64,
    pub(crate) model_bytes: u64,
    pub(crate) code_bytes: Option<u64>,
}

/// The figures of a commit.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    /// Day and hash of the commit that was measured.
    pub(crate) date: String,
    pub(crate) commit: String,
    /// Tracked files differed from the commit.
    pub(crate) modified: bool,
    /// What counted, and what compiled the images.
    pub(crate) emulator: String,
    pub(crate) compiler: String,
    pub(crate) figures: Vec<Figures>,
}

/// Converts a model for a board and counts one inference.
pub(crate) fn measure(host: &Host, model: &Model, board: &str) -> Result<Figures> {
    let source = host.root.join("../shared/data/models").join(model.file);
    ensure!(
        source.is_file(),
        "{}: not there; the models of MLPerf Tiny are needed to measure",
        source.display()
    );
    let folder = host.root.join("target/performance");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let converted = folder.join(format!("{board}.oce"));
    let mut convert = ocellus(host)?;
    convert
        .arg("convert")
        .arg(&source)
        .arg("-o")
        .arg(&converted);
    convert.args(["--board", board]).args(model.options);
    output(&mut convert)?;
    let mut bench = ocellus(host)?;
    bench.arg("bench").arg(&converted).args(["--board", board]);
    let text = output(&mut bench)?;
    let mut figures: Figures =
        serde_json::from_slice(&text).context("what `ocellus bench --json` says")?;
    model.name.clone_into(&mut figures.model);
    Ok(figures)
}

/// The program of this source tree.
fn ocellus(host: &Host) -> Result<Command> {
    let program = host.target.join("release/ocellus");
    if !program.is_file() {
        bail!(
            "{}: not built; start this with `cargo xtask performance`, which builds it",
            program.display()
        );
    }
    let mut command = Command::new(program);
    command.current_dir(&host.root);
    Ok(command)
}

/// The JSON that a command prints.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .arg("--json")
        .stderr(Stdio::piped())
        .output()
        .context("starting ocellus")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("ocellus ended with {}: {text}", output.status);
    }
    Ok(output.stdout)
}

/// Where records lie.
fn folder(host: &Host) -> PathBuf {
    host.root.join("benches/record")
}

/// The latest record: names begin with the day.
pub(crate) fn last(host: &Host) -> Result<Option<Record>> {
    let folder = folder(host);
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut latest: Option<PathBuf> = None;
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_record = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_record && latest.as_ref().is_none_or(|latest| *latest < path) {
            latest = Some(path);
        }
    }
    let Some(path) = latest else { return Ok(None) };
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let record = serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
    Ok(Some(record))
}

impl Record {
    /// The record of what is checked out.
    pub(crate) fn of(host: &Host, figures: Vec<Figures>) -> Result<Record> {
        let git = |arguments: &[&str]| said(Command::new("git").args(arguments), &host.root);
        let status = git(&["status", "--porcelain", "--untracked-files=no"])?;
        Ok(Record {
            date: git(&["log", "-1", "--format=%cs"])?,
            commit: git(&["log", "-1", "--format=%h"])?,
            modified: !status.is_empty(),
            emulator: said(Command::new("qemu-system-arm").arg("--version"), &host.root)?,
            compiler: said(Command::new("rustc").arg("--version"), &host.root)?,
            figures,
        })
    }

    /// Writes it, in place of an earlier one of the same commit.
    pub(crate) fn keep(&self, host: &Host) -> Result<PathBuf> {
        let path = folder(host).join(format!("{}-{}.json", self.date, self.commit));
        std::fs::create_dir_all(folder(host)).with_context(|| path.display().to_string())?;
        let text = serde_json::to_string_pretty(self)? + "\n";
        ocellus_data::write_whole(&path, text.as_bytes())?;
        Ok(path)
    }
}

/// The first line that a program prints.
fn said(command: &mut Command, root: &Path) -> Result<String> {
    let output = command.current_dir(root).output();
    let output = output.with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
