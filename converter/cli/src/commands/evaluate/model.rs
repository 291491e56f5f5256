//! A model of either kind, from a picture to its output arrays.

use std::path::Path;

use anyhow::{Context, Result};
use ocellus_compile::interpret::Taps;
use ocellus_evaluate::decode::{Array, InputPixels};
use ocellus_format::{CalibrationData, Preprocess, Task};
use ocellus_image::Geometry;

use crate::commands::run::{borders, reference_border, run_here};
use crate::float::FloatRuntime;
use crate::input::{Border, Given};
use crate::layout::{PictureAxes, transpose};
use crate::source::{ModelFile, Source, is_model_file, picture_axes};

/// A model that pictures are put into.
pub(super) struct Model {
    runs: Runs,
    axes: PictureAxes,
}

enum Runs {
    Float {
        runtime: FloatRuntime,
        border: Border,
        preprocess: Preprocess,
    },
    Int8(Box<ModelFile>),
}

/// An output in the source's order of axes.
pub(super) struct OutputArray {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// What came of a picture.
pub(super) struct Outputs {
    pub(super) arrays: Vec<OutputArray>,
    /// Where the picture lies in the input.
    pub(super) geometry: Option<Geometry>,
    /// Axes of the input.
    pub(super) axes: PictureAxes,
}

impl OutputArray {
    pub(super) fn array(&self) -> Array<'_> {
        Array {
            name: &self.name,
            shape: &self.shape,
            values: &self.values,
        }
    }

    /// Sizes and values with the channels last, where the model's pictures have them first.
    pub(super) fn channels_last(&self, axes: PictureAxes) -> (Vec<usize>, Vec<f32>) {
        match self.shape[..] {
            [n, c, h, w] if !axes.channels_last => (
                vec![n, h, w, c],
                transpose(&self.shape, &self.values, &[0, 2, 3, 1]),
            ),
            _ => (self.shape.clone(), self.values.clone()),
        }
    }
}

impl Outputs {
    pub(super) fn input(&self) -> InputPixels {
        InputPixels {
            width: self.axes.width,
            height: self.axes.height,
        }
    }

    pub(super) fn first(&self) -> Result<&OutputArray> {
        self.arrays.first().context("the model has no output")
    }

    pub(super) fn named(&self, name: &str) -> Result<&OutputArray> {
        self.arrays
            .iter()
            .find(|array| array.name == name)
            .with_context(|| {
                let names: Vec<&str> = self.arrays.iter().map(|a| a.name.as_str()).collect();
                format!(
                    "the recipe names output `{name}`, and the model's outputs are {}; write one of those",
                    names.join(", ")
                )
            })
    }
}

impl Model {
    pub(super) fn open(path: &Path, source: &Source) -> Result<Model> {
        let (runs, border) = if is_model_file(path)? {
            let file = ModelFile::open(path)?;
            let border = borders(&file).into_iter().next();
            (Runs::Int8(Box::new(file)), border)
        } else {
            let runtime = FloatRuntime::open(path, source)?;
            let input = runtime.inputs().into_iter().next();
            let input =
                input.with_context(|| format!("{}: the model has no input", path.display()))?;
            let border = reference_border(&input);
            let runs = Runs::Float {
                preprocess: source.preprocess(input.border)?,
                border: border.clone(),
                runtime,
            };
            (runs, Some(border))
        };
        let border =
            border.with_context(|| format!("{}: the model has no input", path.display()))?;
        let axes = picture_axes(&border.name, &border.shape)
            .with_context(|| path.display().to_string())?;
        Ok(Model { runs, axes })
    }

    pub(super) fn run(&self, given: &Given) -> Result<Outputs> {
        let (arrays, geometry) = match &self.runs {
            Runs::Float {
                runtime,
                border,
                preprocess,
            } => {
                let (values, geometry) = given.in_file_order(border, preprocess)?;
                let outputs = runtime.run(&[&values])?;
                let arrays = outputs.into_iter().map(|output| OutputArray {
                    name: output.name,
                    shape: output.shape,
                    values: output.values,
                });
                (arrays.collect(), geometry)
            }
            Runs::Int8(file) => {
                let ran = run_here(file, std::slice::from_ref(given), None, Taps::None)?;
                let outputs = file.interpreter.assemble(&ran.outcome);
                let arrays = outputs
                    .into_iter()
                    .map(|(name, shape, values)| OutputArray {
                        name,
                        shape,
                        values,
                    });
                (arrays.collect(), ran.geometry)
            }
        };
        Ok(Outputs {
            arrays,
            geometry,
            axes: self.axes,
        })
    }

    /// What runs it.
    pub(super) fn runtime(&self) -> &'static str {
        match &self.runs {
            Runs::Float { runtime, .. } => runtime.name(),
            Runs::Int8(_) => "ocellus, int8",
        }
    }

    /// The task of a model file.
    pub(super) fn task(&self) -> Result<Task> {
        match &self.runs {
            Runs::Float { .. } => Ok(Task::None),
            Runs::Int8(file) => Ok(file.task()?.1),
        }
    }

    /// Pictures that calibration has seen, by the beginnings of their SHA-256.
    pub(super) fn calibration_prefixes(&self) -> &[[u8; 8]] {
        match &self.runs {
            Runs::Int8(file) => match &file.interpreter.info().calibration.data {
                CalibrationData::Samples(set) => &set.prefixes,
                _ => &[],
            },
            Runs::Float { .. } => &[],
        }
    }
}
