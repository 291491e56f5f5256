//! Models as commands open them: a float graph, a float reference, or a model file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ocellus_compile::interpret::Interpreter;
use ocellus_data::{InputRecipe, Recipe, TaskRecipe};
use ocellus_format::{AlignedBytes, FormatError, ModelView, Preprocess, Task};
use ocellus_import::{ImportOptions, Imported};
use ocellus_ir::passes::{CheckSample, Checking};
use ocellus_ir::{BorderType, Graph};

use crate::args::SourceArgs;
use crate::layout::PictureAxes;

/// A recipe, and the overrides of the command line.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) recipe: Recipe,
    /// The recipe's file, for messages.
    pub(crate) recipe_path: PathBuf,
    /// A recipe was given.
    pub(crate) has_recipe: bool,
    pub(crate) options: ImportOptions,
}

impl Source {
    pub(crate) fn new(args: &SourceArgs) -> Result<Source> {
        let recipe = args.recipe.as_deref().map(Recipe::read).transpose()?;
        Ok(Source {
            recipe_path: args.recipe.clone().unwrap_or_default(),
            has_recipe: recipe.is_some(),
            recipe: recipe.unwrap_or_default(),
            options: ImportOptions {
                input_shapes: args.input_shapes.clone(),
                outputs: args.cut.clone(),
            },
        })
    }

    pub(crate) fn with_recipe(recipe: Recipe) -> Source {
        Source {
            recipe,
            recipe_path: PathBuf::from("recipe"),
            has_recipe: true,
            options: ImportOptions::default(),
        }
    }

    /// The same with another shape of an input.
    pub(crate) fn with_input(&self, name: &str, shape: Vec<usize>) -> Source {
        let mut other = self.clone();
        let shapes = &mut other.options.input_shapes;
        shapes.retain(|(known, _)| known != name);
        shapes.push((name.to_owned(), shape));
        other
    }

    /// Imports an ONNX or TensorFlow Lite file; the recipe's shape is that of the only input.
    pub(crate) fn import(&self, path: &Path) -> Result<Imported> {
        Ok(ocellus_import::import(path, &self.import_options(path)?)?)
    }

    /// The overrides: the command line's, and the recipe's shape for the first input that the file declares.
    pub(crate) fn import_options(&self, path: &Path) -> Result<ImportOptions> {
        let mut options = self.options.clone();
        if let Some(shape) = self
            .recipe
            .input
            .shape
            .clone()
            .filter(|_| options.input_shapes.is_empty())
        {
            // Only the names matter here: sizes that the file leaves open are what the recipe fixes.
            let names = ocellus_import::input_names(path)?;
            let name = names
                .first()
                .with_context(|| format!("{}: the model has no input", path.display()))?;
            options.input_shapes.push((name.clone(), shape));
        }
        Ok(options)
    }

    /// The recipe's task for a model with these outputs.
    pub(crate) fn task(&self, outputs: &[String]) -> Result<Task> {
        task_of(&self.recipe, outputs).with_context(|| self.recipe_path.display().to_string())
    }

    /// How pictures become a float input of that type: the recipe's, or what is assumed without one.
    pub(crate) fn preprocess(&self, border: BorderType) -> Result<Preprocess> {
        let mut preprocess = self.recipe.preprocess().map_err(anyhow::Error::msg)?;
        if border != BorderType::F32 && preprocess.std == InputRecipe::default().std {
            // A model that takes bytes takes pixels; a recipe that does not speak of numbers is silent about it, and a division by 255 would leave 0 and 1.
            preprocess.std = [1.0; 3];
        }
        Ok(preprocess)
    }
}

/// The optimized graph of an ONNX or TensorFlow Lite file.
pub(crate) struct FloatModel {
    pub(crate) imported: Imported,
    pub(crate) passes: Vec<ocellus_ir::passes::PassReport>,
}

impl FloatModel {
    /// Imports and optimizes. What a conversion has checked already is not checked again.
    pub(crate) fn open(path: &Path, source: &Source, disabled: &[String]) -> Result<FloatModel> {
        FloatModel::optimized(
            source.import(path)?,
            path,
            disabled,
            Checking::Never,
            vec![],
        )
    }

    /// Imports and optimizes; each pass has to leave what the graph computes on samples, which `samples` makes for it.
    pub(crate) fn open_checked(
        path: &Path,
        source: &Source,
        disabled: &[String],
        checking: Checking,
        samples: impl FnOnce(&Graph) -> Result<Vec<CheckSample>>,
    ) -> Result<FloatModel> {
        let imported = source.import(path)?;
        let samples = match checking {
            Checking::Never => Vec::new(),
            _ => samples(&imported.graph)?,
        };
        FloatModel::optimized(imported, path, disabled, checking, samples)
    }

    fn optimized(
        mut imported: Imported,
        path: &Path,
        disabled: &[String],
        checking: Checking,
        samples: Vec<CheckSample>,
    ) -> Result<FloatModel> {
        let options = ocellus_ir::Options {
            disabled: disabled.to_vec(),
            checking,
            samples,
        };
        let passes = ocellus_ir::optimize(&mut imported.graph, &options)
            .with_context(|| format!("optimizing {}", path.display()))?;
        Ok(FloatModel { imported, passes })
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.imported.graph
    }
}

/// What a pass did, in a line; `None` where it did nothing.
pub(crate) fn pass_summary(report: &ocellus_ir::passes::PassReport) -> Option<String> {
    let checked = match report.largest_difference {
        None => String::new(),
        Some(0.0) => "; results equal".into(),
        Some(share) => format!("; results within {share:.1e} of the largest"),
    };
    (report.changes > 0).then(|| {
        format!(
            "pass {}: {} changed, {} nodes and {} multiply-accumulates saved{checked}",
            report.name, report.changes, report.nodes_saved, report.macs_saved
        )
    })
}

/// True for a model file by its name; another extension than `.oce`, `.onnx` and `.tflite` is an error.
pub(crate) fn is_model_file(path: &Path) -> Result<bool> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("oce") => Ok(true),
        Some("onnx" | "tflite") => Ok(false),
        _ => bail!(
            "{}: give an .onnx or .tflite file, or an .oce file (made by `ocellus convert`)",
            path.display()
        ),
    }
}

/// A model file, opened and proved.
pub(crate) struct ModelFile {
    pub(crate) bytes: AlignedBytes,
    pub(crate) interpreter: Interpreter,
}

impl ModelFile {
    pub(crate) fn open(path: &Path) -> Result<ModelFile> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        ModelFile::from_bytes(&bytes).with_context(|| path.display().to_string())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<ModelFile> {
        ocellus_format::verify(bytes).map_err(|e| match e {
            FormatError::Magic => {
                anyhow::anyhow!("not an Ocellus model file; make one with `ocellus convert`")
            }
            // Those whose text says what to do.
            FormatError::Truncated { .. } | FormatError::Digest | FormatError::Version { .. } => {
                anyhow::anyhow!("{e}")
            }
            _ => anyhow::anyhow!("{e}; copy the file again, or convert the model again"),
        })?;
        let interpreter = Interpreter::new(bytes)?;
        Ok(ModelFile {
            bytes: AlignedBytes::from(bytes),
            interpreter,
        })
    }

    pub(crate) fn view(&self) -> Result<ModelView<'_>> {
        ModelView::new_checked(&self.bytes).map_err(|e| anyhow::anyhow!("{e}"))
    }

    /// The task section: how pictures come in, what answers mean.
    pub(crate) fn task(&self) -> Result<(Option<Preprocess>, Task, Vec<String>)> {
        let view = self.view()?;
        let record = view.task().map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(record.map_or((None, Task::None, Vec::new()), |record| {
            (
                record.preprocess,
                record.task,
                record.labels.lines().map(str::to_owned).collect(),
            )
        }))
    }
}

/// The task of a recipe in the terms of a graph: outputs by position.
fn task_of(recipe: &Recipe, outputs: &[String]) -> Result<Task> {
    let position = |name: &String| {
        outputs
            .iter()
            .position(|output| output == name)
            .map(|i| i as u8)
            .with_context(|| {
                format!(
                    "the recipe names output `{name}`, and the model's outputs are {}; write one of those",
                    outputs.join(", ")
                )
            })
    };
    Ok(match &recipe.task {
        None => Task::None,
        Some(TaskRecipe::Classify(task)) => Task::Classify {
            top_k: task.top_k,
            softmax: task.logits,
        },
        Some(TaskRecipe::CenterFace(task)) => Task::CenterFace {
            stride: task.stride,
            score_threshold: task.score_threshold,
            nms_iou: task.nms_iou,
            heat: position(&task.heat)?,
            size: position(&task.size)?,
            offset: position(&task.offset)?,
            landmarks: position(&task.landmarks)?,
        },
        // Decoded on a PC, by `ocellus evaluate`; to a device the outputs are arrays.
        Some(
            TaskRecipe::FastestDet(_)
            | TaskRecipe::Ssd(_)
            | TaskRecipe::Yolo(_)
            | TaskRecipe::Segment(_)
            | TaskRecipe::Binary(_)
            | TaskRecipe::Ctc(_),
        ) => Task::None,
    })
}

/// The picture axes of an input, or an error that says what a picture input is.
pub(crate) fn picture_axes(name: &str, shape: &[usize]) -> Result<PictureAxes> {
    PictureAxes::of(shape).with_context(|| {
        format!("input `{name}` has shape {shape:?}, which is no picture ([1,h,w,c] or [1,c,h,w] with 1 or 3 channels); give a .npy file")
    })
}
