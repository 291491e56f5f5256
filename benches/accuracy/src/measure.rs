//! Converts and measures a row with the command that users have.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use ocellus_setup::Host;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rows::Row;
use crate::{peers, sources};

/// What came of a row; kept in `target/accuracy/results`, so that rows can be measured one at a time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Outcome {
    Measured(Box<Measured>),
    /// A step was refused, with the command's words.
    Refused(String),
    /// The data is not on this machine.
    NoData,
}

/// Of `ocellus evaluate --json`, or put together from its answers and those of the file's own runtime.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) samples: u64,
    pub(crate) metric: String,
    pub(crate) value: Option<f64>,
    pub(crate) against_value: Option<f64>,
    pub(crate) against_runtime: String,
    pub(crate) difference: Option<Difference>,
    pub(crate) agreement: Option<f64>,
    pub(crate) agreement_interval: Option<[f64; 2]>,
    pub(crate) agreement_same: u64,
    pub(crate) agreement_of: u64,
    /// Boxes that the model keeps.
    pub(crate) kept_boxes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Difference {
    pub(crate) value: f64,
    pub(crate) standard_error: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Converts by the default method and evaluates on what calibration has not seen.
pub(crate) fn measure(host: &Host, row: &Row) -> Result<Outcome> {
    let Some(files) = sources::files(host, row)? else {
        return Ok(Outcome::NoData);
    };
    let models = host.root.join("target/accuracy/models");
    std::fs::create_dir_all(&models).with_context(|| models.display().to_string())?;
    let converted = models.join(row.name).with_added_extension("oce");
    let mut convert = ocellus(host)?;
    convert.arg("convert").arg(&files.model);
    convert.arg("-o").arg(&converted);
    convert.arg("--recipe").arg(&files.recipe);
    if !row.quantized {
        convert.arg("--calibrate").arg(&files.calibrate);
        convert.args(["--every", &files.every.to_string()]);
    }
    if let Err(refusal) = json(&mut convert, host)? {
        return Ok(Outcome::Refused(refusal));
    }
    let mut evaluate = ocellus(host)?;
    evaluate.arg("evaluate").arg(&converted);
    evaluate.arg("--data").arg(&files.data);
    if !row.quantized {
        evaluate.arg("--against").arg(&files.model);
    }
    evaluate.arg("--recipe").arg(&files.recipe);
    evaluate.args(["--calibrated", "skip"]);
    let value = match json(&mut evaluate, host)? {
        Ok(value) => value,
        Err(refusal) => return Ok(Outcome::Refused(refusal)),
    };
    let said = "what `ocellus evaluate --json` says";
    let measured = if row.quantized {
        let said: peers::Said = serde_json::from_value(value).context(said)?;
        peers::Answers::of(host, row, &files)?.against(&said, &files.data)?
    } else {
        serde_json::from_value(value).context(said)?
    };
    Ok(Outcome::Measured(Box::new(measured)))
}

/// The program of this source tree.
fn ocellus(host: &Host) -> Result<Command> {
    let program = host.target.join("release/ocellus");
    if !program.is_file() {
        bail!(
            "{}: not built; start this with `cargo xtask accuracy`, which builds it",
            program.display()
        );
    }
    let mut command = Command::new(program);
    command.current_dir(&host.root);
    Ok(command)
}

/// The object that a command prints, or the paragraph of its refusal without the folders of this machine.
fn json(command: &mut Command, host: &Host) -> Result<Result<Value, String>> {
    command.arg("--json").stderr(Stdio::piped());
    let output = command.output().context("starting ocellus")?;
    if output.status.success() {
        let value = serde_json::from_slice(&output.stdout).context("what ocellus printed")?;
        return Ok(Ok(value));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let refusal = text
        .lines()
        .find_map(|line| line.strip_prefix("error: "))
        .with_context(|| format!("ocellus ended with {}: {text}", output.status))?;
    let root = host.root.display().to_string();
    Ok(Err(refusal.replace(&format!("{root}/"), "")))
}

/// Where an outcome is kept.
fn kept(host: &Host, row: &Row) -> std::path::PathBuf {
    let folder = host.root.join("target/accuracy/results");
    folder.join(row.name).with_added_extension("json")
}

/// The outcome of an earlier run.
pub(crate) fn recall(host: &Host, row: &Row) -> Option<Outcome> {
    let bytes = std::fs::read(kept(host, row)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Keeps an outcome.
pub(crate) fn keep(host: &Host, row: &Row, outcome: &Outcome) -> Result<()> {
    let path = kept(host, row);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let text = serde_json::to_string_pretty(outcome)?;
    Ok(ocellus_data::write_whole(&path, text.as_bytes())?)
}
