//! What model files of every format have in common: the choices that they leave open, reading them, and what an import gives.

use std::path::Path;

use ocellus_ir::Graph;

use crate::constant::stored_count;
use crate::error::{ImportError, Outcome, Refusal, shown};
use crate::{model, tflite};

/// Choices that the file leaves open.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Shapes of inputs, by name; they replace what the file says.
    pub input_shapes: Vec<(String, Vec<usize>)>,
    /// Tensors, by name, that become the outputs in place of the file's; what only the file's outputs need is not read. Empty: the file's
    /// own. A name that ends in `...`, as messages shorten long ones, stands for the one tensor that begins so.
    pub outputs: Vec<String>,
}

/// A model file as a graph, and what is known about its origin.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph; it passes [`Graph::verify`].
    pub graph: Graph,
    /// What the file is.
    pub format: SourceFormat,
    /// Who wrote the file, as it says; may be empty.
    pub producer: String,
    /// The file's own key and value pairs.
    pub metadata: Vec<(String, String)>,
    /// SHA-256 of the file.
    pub source_sha256: [u8; 32],
    /// What was assumed or left out, a sentence each.
    pub notes: Vec<String>,
}

/// The format of a model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceFormat {
    /// ONNX.
    Onnx {
        /// Version of the operator set.
        opset: i64,
    },
    /// TensorFlow Lite.
    TfLite,
}

/// Larger files cannot be models: both encodings end there.
const MAX_FILE_BYTES: u64 = 1 << 31;

/// Imports a file of any format. What it holds says which; its name only where that says nothing.
///
/// # Errors
/// An [`ImportError`], which names the file, the place and what to do.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let name = path.display().to_string();
    read(path)
        .and_then(|bytes| import_any(&name, &bytes, path.parent(), options))
        .map_err(|refusal| refusal.in_file(&name))
}

/// Imports the bytes of a file of any format; `name` is for messages, as in [`import`]. Tensors stored in other files are refused.
///
/// # Errors
/// As [`import`].
pub fn import_bytes(
    name: &str,
    bytes: &[u8],
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    import_any(name, bytes, None, options).map_err(|refusal| refusal.in_file(name))
}

/// The names of a file's inputs, in order, without the stored tensors that old ONNX files list among them.
///
/// # Errors
/// As [`import`].
pub fn input_names(path: &Path) -> Result<Vec<String>, ImportError> {
    let name = path.display().to_string();
    read(path)
        .and_then(|bytes| match is_tflite(&name, &bytes) {
            true => tflite::input_names(&bytes),
            false => model::onnx_input_names(&bytes),
        })
        .map_err(|refusal| refusal.in_file(&name))
}

/// The key and value pairs that a file holds about itself.
///
/// # Errors
/// An [`ImportError`]: the file cannot be read or is no model.
pub fn metadata(path: &Path) -> Result<Vec<(String, String)>, ImportError> {
    let name = path.display().to_string();
    read(path)
        .and_then(|bytes| match is_tflite(&name, &bytes) {
            true => tflite::read_metadata(&bytes),
            false => model::onnx_metadata(&bytes),
        })
        .map_err(|refusal| refusal.in_file(&name))
}

/// Which of the file's tensors a name of [`ImportOptions::outputs`] means.
pub(crate) fn find_output<'a>(
    wanted: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Outcome<&'a str> {
    if let Some(name) = names.clone().find(|name| *name == wanted) {
        return Ok(name);
    }
    let begins = |begin: &str| -> Vec<&'a str> {
        let mut found: Vec<&str> = names.clone().filter(|n| n.starts_with(begin)).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let reason = match wanted.strip_suffix("...").map(begins).as_deref() {
        Some(&[name]) => return Ok(name),
        Some(&[first, second, ..]) => {
            format!("`{}` and `{}` both begin so", shown(first), shown(second))
        }
        _ => "the file has no tensor of that name".to_owned(),
    };
    Err(Refusal::options(format!(
        "`--cut` names `{}`, but {reason}; `ocellus inspect` lists the layers of a file that converts, and a refusal names where to cut",
        shown(wanted)
    )))
}

/// What is said of an output that is the same whatever goes in, beside others that are not.
pub(crate) fn left_out(output: &str) -> String {
    format!(
        "output `{}` does not depend on the model's inputs and is left out: read its numbers from the file once",
        shown(output)
    )
}

fn import_any(
    name: &str,
    bytes: &[u8],
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Outcome<Imported> {
    match is_tflite(name, bytes) {
        true => tflite::import(bytes, options),
        false => model::import(bytes, folder, options),
    }
}

/// True for a TensorFlow Lite file, which [`TractReference`](crate::TractReference) does not read.
///
/// # Errors
/// An [`ImportError`]: the file cannot be read.
pub fn is_tflite_file(path: &Path) -> Result<bool, ImportError> {
    let name = path.display().to_string();
    read(path)
        .map(|bytes| is_tflite(&name, &bytes))
        .map_err(|refusal| refusal.in_file(&name))
}

/// True for a TensorFlow Lite file: by its identifier, or, where that is damaged, by its name.
fn is_tflite(name: &str, bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3") || name.ends_with(".tflite")
}

pub(crate) fn read(path: &Path) -> Outcome<Vec<u8>> {
    let failed = |error: std::io::Error| Refusal::unreadable(format!("it cannot be read: {error}"));
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(Refusal::unreadable(
            "it is a directory; give the path of an .onnx or .tflite file",
        ));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(Refusal::malformed(
            "it is larger than 2 GiB, which no model file is",
        ));
    }
    std::fs::read(path).map_err(failed)
}

/// A size as the file states it, or the name of an open one.
pub(crate) type StatedSize = Result<usize, String>;

/// The shape of an input, from what the file states and the options; `notes` takes what was assumed.
pub(crate) fn settle_shape(
    name: &str,
    sizes: Option<Vec<StatedSize>>,
    options: &ImportOptions,
    notes: &mut Vec<String>,
) -> Outcome<Vec<usize>> {
    let text = |sizes: &[StatedSize]| {
        let words: Vec<String> = sizes
            .iter()
            .map(|size| {
                size.as_ref()
                    .map_or_else(|open| shown(open), usize::to_string)
            })
            .collect();
        format!("[{}]", words.join(", "))
    };
    let given = options
        .input_shapes
        .iter()
        .rev()
        .find(|(input, _)| input == name)
        .map(|(_, shape)| shape);
    let name = shown(name);
    let shape = match (given, sizes) {
        (Some(shape), sizes) => {
            if let Some(sizes) = sizes.filter(|sizes| sizes.len() != shape.len()) {
                return Err(Refusal::options(format!(
                    "`--input` gives it {} axes, but the file says {}",
                    shape.len(),
                    text(&sizes)
                )));
            }
            if shape.contains(&0) {
                return Err(Refusal::options("`--input` gives it a size of 0"));
            }
            shape.clone()
        }
        (None, None) => {
            return Err(Refusal::options(format!(
                "the file gives it no shape; add one with `--input {name}=SHAPE`"
            )));
        }
        (None, Some(sizes)) => {
            let mut shape = Vec::with_capacity(sizes.len());
            for (axis, size) in sizes.iter().enumerate() {
                shape.push(match size {
                    Ok(size) => *size,
                    Err(_) if axis == 0 => {
                        notes.push(format!("input `{name}`: axis 0 of {} is open and was taken as 1", text(&sizes)));
                        1
                    }
                    Err(_) => {
                        let example: Vec<String> = sizes
                            .iter()
                            .enumerate()
                            .map(|(axis, size)| match size {
                                Ok(size) => size.to_string(),
                                Err(_) if axis == 0 => "1".to_owned(),
                                Err(open) => shown(open),
                            })
                            .collect();
                        return Err(Refusal::options(format!(
                            "its shape {} is open; fix it with `--input {name}={}`, with numbers for the names",
                            text(&sizes),
                            example.join("x")
                        )));
                    }
                });
            }
            shape
        }
    };
    if let [batch, rest @ ..] = &shape[..]
        && rest.len() >= 3
        && *batch != 1
    {
        let sizes: Vec<String> = rest.iter().map(usize::to_string).collect();
        return Err(Refusal::options(format!(
            "its batch is {batch}, but a device takes one at a time; use `--input {name}=1x{}`",
            sizes.join("x")
        )));
    }
    stored_count(&shape)?;
    Ok(shape)
}

/// Every override must name an input.
pub(crate) fn check_overrides(names: &[&str], options: &ImportOptions) -> Outcome<()> {
    match options
        .input_shapes
        .iter()
        .find(|(name, _)| !names.contains(&name.as_str()))
    {
        Some((wrong, _)) => {
            let known: Vec<String> = names
                .iter()
                .take(8)
                .map(|name| format!("`{}`", shown(name)))
                .collect();
            Err(Refusal::options(format!(
                "`--input` names `{}`, but the model's inputs are {}",
                shown(wrong),
                known.join(", ")
            )))
        }
        None => Ok(()),
    }
}
