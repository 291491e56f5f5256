//! A recipe says what a model file does not: what its input means and what its outputs are for.

use std::path::{Path, PathBuf};

use ocellus_format::{Colour, Fit, Preprocess};
use serde::{Deserialize, Serialize};

use crate::DataError;

/// A recipe file. Every part may be left out; what is assumed then is said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Where the model comes from.
    #[serde(default)]
    pub source: SourceRecipe,
    /// What the model's input means.
    #[serde(default)]
    pub input: InputRecipe,
    /// What its outputs are for.
    pub task: Option<TaskRecipe>,
    /// Names of the classes: in the file, or in a text file beside the recipe, one a line.
    #[serde(default)]
    pub labels: Vec<String>,
    /// A text file with the names of the classes, relative to the recipe.
    pub labels_file: Option<PathBuf>,
    /// How activations get their scales.
    #[serde(default)]
    pub calibration: CalibrationRecipe,
}

/// Where a model comes from; for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceRecipe {
    /// A short name; the model's name in reports.
    pub name: String,
    /// Package or page.
    pub from: String,
    /// SPDX identifier.
    pub licence: String,
}

/// What a picture input means.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputRecipe {
    /// Sizes in the file's order of axes, where the file leaves them open or they are to be others.
    pub shape: Option<Vec<usize>>,
    /// `rgb`, `bgr` or `gray`.
    pub colour: String,
    /// `stretch`, `letterbox`, `corner` or `crop`.
    pub fit: String,
    /// Value of what `letterbox` and `corner` leave free, in all channels.
    pub fill: Option<u8>,
    /// The share that `crop` takes of the largest part of the input's shape.
    pub crop: Option<f32>,
    /// Subtracted from pixels `0..=255`, one a channel.
    pub mean: [f32; 3],
    /// Divides what remains, one a channel.
    pub std: [f32; 3],
}

impl Default for InputRecipe {
    fn default() -> InputRecipe {
        InputRecipe {
            shape: None,
            colour: "rgb".to_owned(),
            fit: "stretch".to_owned(),
            fill: None,
            crop: None,
            mean: [0.0; 3],
            std: [255.0; 3],
        }
    }
}

impl InputRecipe {
    /// How shapes are made equal.
    fn fit(&self) -> Result<Fit, String> {
        let fit = match (self.fit.as_str(), self.fill) {
            ("stretch", _) => Fit::Stretch,
            ("letterbox", None | Some(Fit::GREY)) => Fit::Letterbox,
            ("letterbox" | "corner", fill) => Fit::Padded {
                is_at_corner: self.fit == "corner",
                fill: fill.unwrap_or(Fit::GREY),
            },
            ("crop", _) => {
                let share = self.crop.unwrap_or(1.0);
                if !(0.001..=1.0).contains(&share) {
                    return Err(format!(
                        "input.crop {share} is no share; write a number from 0.001 to 1"
                    ));
                }
                Fit::Crop {
                    per_mille: (share * 1000.0).round() as u16,
                }
            }
            (other, _) => {
                return Err(format!(
                    "input.fit `{other}` is unknown; write `stretch`, `letterbox`, `corner` or `crop`"
                ));
            }
        };
        if self.fill.is_some() && !matches!(fit, Fit::Letterbox | Fit::Padded { .. }) {
            return Err(format!(
                "input.fill fills what `letterbox` and `corner` leave free; input.fit is `{}`",
                self.fit
            ));
        }
        if self.crop.is_some() && !matches!(fit, Fit::Crop { .. }) {
            return Err(format!(
                "input.crop is the share of `crop`; input.fit is `{}`",
                self.fit
            ));
        }
        Ok(fit)
    }
}

/// What outputs are for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TaskRecipe {
    /// The strongest classes of one output.
    Classify(ClassifyRecipe),
    /// Face centres on a grid.
    CenterFace(CenterFaceRecipe),
    /// FastestDet: one output with objectness, box and classes of each cell.
    FastestDet(GridRecipe),
    /// An SSD whose boxes the graph has decoded.
    Ssd(SsdRecipe),
    /// YOLOv8 and its kin: one output with boxes and classes.
    Yolo(GridRecipe),
    /// A class for each pixel.
    Segment(SegmentRecipe),
    /// Whether something is in the picture.
    Binary(BinaryRecipe),
    /// Text, by connectionist temporal classification.
    Ctc(CtcRecipe),
}

impl TaskRecipe {
    /// The word after `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            TaskRecipe::Classify(_) => "classify",
            TaskRecipe::CenterFace(_) => "centerface",
            TaskRecipe::FastestDet(_) => "fastestdet",
            TaskRecipe::Ssd(_) => "ssd",
            TaskRecipe::Yolo(_) => "yolo",
            TaskRecipe::Segment(_) => "segment",
            TaskRecipe::Binary(_) => "binary",
            TaskRecipe::Ctc(_) => "ctc",
        }
    }
}

/// Settings of a classifier.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifyRecipe {
    /// How many classes an answer lists.
    #[serde(default = "five")]
    pub top_k: u8,
    /// The output holds logits, not probabilities.
    #[serde(default)]
    pub logits: bool,
    /// Class 0 of the model is "background": class `i` of a data set is entry `i + 1`.
    #[serde(default)]
    pub background: bool,
}

fn five() -> u8 {
    5
}

/// Settings of a CenterFace detector. Outputs by their names in the model file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CenterFaceRecipe {
    /// Input pixels from one cell to the next.
    pub stride: u8,
    /// Smallest score of a face.
    pub score_threshold: f32,
    /// Overlap above which the weaker of two faces falls.
    pub nms_iou: f32,
    /// Heat map.
    pub heat: String,
    /// Logarithm of height and width.
    pub size: String,
    /// Offset of row and column.
    pub offset: String,
    /// Landmarks.
    pub landmarks: String,
}

/// Settings of a detector with one output.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GridRecipe {
    /// Smallest score of a box that is kept.
    pub score_threshold: f32,
    /// Overlap above which the weaker of two boxes of a class falls.
    pub nms_iou: f32,
}

/// Settings of an SSD. Outputs by their names in the model file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SsdRecipe {
    /// Smallest score of a box that is kept.
    pub score_threshold: f32,
    /// Overlap above which the weaker of two boxes of a class falls.
    pub nms_iou: f32,
    /// Scores, `[1, n, classes]`.
    pub scores: String,
    /// Boxes, `[1, n, 4]`.
    pub boxes: String,
    /// What the four numbers of a box are.
    #[serde(default)]
    pub form: BoxFormRecipe,
    /// They are pixels of the input, not shares of it.
    #[serde(default)]
    pub pixels: bool,
    /// The first score is that of no object.
    #[serde(default)]
    pub background: bool,
}

/// What the four numbers of a box are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxFormRecipe {
    /// Left, top, right, bottom.
    #[default]
    Xyxy,
    /// Top, left, bottom, right.
    Yxyx,
    /// Centre's column and row, width, height.
    Cxcywh,
}

/// Settings of a segmenter: output 0 holds class numbers `[1, rows, columns]`, or scores with the classes on an axis of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentRecipe {
    /// The model's class for pixels that the data set labels with a class that the model does not know; without it they count for nothing.
    pub other: Option<String>,
    /// Classes of the data set whose pixels count for nothing.
    pub ignore: Vec<String>,
}

/// Settings of a yes-or-no classifier: output 0 has an entry for yes and one for no.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryRecipe {
    /// The entry that means yes.
    pub yes: usize,
    /// The data set's class that must be in the picture for a yes.
    pub class: String,
    /// Boxes below this share of the picture do not count.
    #[serde(default)]
    pub min_area: f32,
}

/// Settings of a text recognizer: output 0 holds a score a character at each step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CtcRecipe {
    /// The class that stands for no character; the others follow in order.
    #[serde(default)]
    pub blank: usize,
    /// Key of the model file's metadata with the characters, one a line; without it they are the recipe's labels.
    pub characters_key: Option<String>,
    /// A space follows the last of them.
    #[serde(default)]
    pub space: bool,
}

/// How activations get their scales.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalibrationRecipe {
    /// A folder of pictures or a `.npz` file, relative to the recipe.
    pub data: Option<PathBuf>,
    /// `min-max`, `percentile`, `mse` or `entropy`.
    pub method: Option<String>,
    /// Share of values inside the range, in percent, for `percentile`.
    pub percentile: Option<f64>,
}

impl Recipe {
    /// Reads a recipe file and the labels that it names.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Recipe`] with the line where it is not what a recipe holds.
    pub fn read(path: &Path) -> Result<Recipe, DataError> {
        let text = std::fs::read_to_string(path).map_err(DataError::io(path))?;
        let mut recipe = Recipe::parse(&text, path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        if let Some(labels) = recipe.labels_file.take() {
            let file = folder.join(labels);
            let text = std::fs::read_to_string(&file).map_err(DataError::io(&file))?;
            recipe.labels = text
                .lines()
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect();
        }
        if let Some(data) = &mut recipe.calibration.data {
            *data = folder.join(&data);
        }
        Ok(recipe)
    }

    /// Reads the text of a recipe; `path` is for messages.
    ///
    /// # Errors
    /// [`DataError::Recipe`].
    pub fn parse(text: &str, path: &Path) -> Result<Recipe, DataError> {
        let error = |reason: String| DataError::Recipe {
            path: path.to_owned(),
            reason,
        };
        let recipe: Recipe = toml::from_str(text).map_err(|e| error(one_line(&e, text)))?;
        recipe.preprocess().map_err(error)?;
        Ok(recipe)
    }

    /// How a picture becomes the input.
    ///
    /// # Errors
    /// A sentence, where a word is unknown or a divisor is not a number above 0.
    pub fn preprocess(&self) -> Result<Preprocess, String> {
        let colour = match self.input.colour.as_str() {
            "rgb" => Colour::Rgb,
            "bgr" => Colour::Bgr,
            "gray" => Colour::Gray,
            other => {
                return Err(format!(
                    "input.colour `{other}` is unknown; write `rgb`, `bgr` or `gray`"
                ));
            }
        };
        let fit = self.input.fit()?;
        if self
            .input
            .std
            .iter()
            .any(|&std| !std.is_finite() || std <= 0.0)
            || self.input.mean.iter().any(|mean| !mean.is_finite())
        {
            return Err(
                "input.std must be above 0 and input.mean finite: (pixel - mean) / std".to_owned(),
            );
        }
        Ok(Preprocess {
            fit,
            colour,
            mean: self.input.mean,
            std: self.input.std,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_says_what_the_file_does_not() {
        let text = r#"
            labels = ["face"]
            [source]
            name = "centerface"
            [input]
            shape = [1, 3, 448, 640]
            std = [1, 1, 1]
            [task]
            kind = "centerface"
            stride = 4
            score_threshold = 0.35
            nms_iou = 0.4
            heat = "537"
            size = "538"
            offset = "539"
            landmarks = "540"
        "#;
        let recipe = Recipe::parse(text, Path::new("r.toml")).unwrap();
        assert_eq!(recipe.preprocess().unwrap().std, [1.0; 3]);
        assert!(
            matches!(recipe.task, Some(TaskRecipe::CenterFace(ref task)) if task.heat == "537")
        );
    }

    #[test]
    fn a_picture_is_fitted_as_the_recipe_says() {
        for (text, fit) in [
            ("", Fit::Stretch),
            ("fit = \"letterbox\"", Fit::Letterbox),
            (
                "fit = \"letterbox\"\nfill = 0",
                Fit::Padded {
                    is_at_corner: false,
                    fill: 0,
                },
            ),
            (
                "fit = \"corner\"",
                Fit::Padded {
                    is_at_corner: true,
                    fill: 114,
                },
            ),
            ("fit = \"crop\"\ncrop = 0.875", Fit::Crop { per_mille: 875 }),
        ] {
            let recipe = Recipe::parse(&format!("[input]\n{text}"), Path::new("r.toml")).unwrap();
            assert_eq!(recipe.preprocess().unwrap().fit, fit, "{text}");
        }
    }

    #[test]
    fn what_is_misspelt_is_named() {
        for (text, word) in [
            ("[input]\ncolor = \"rgb\"", "color"),
            ("[input]\ncolour = \"yuv\"", "yuv"),
            ("[input]\nstd = [0, 1, 1]", "std"),
            ("[input]\nfit = \"squash\"", "squash"),
            ("[input]\nfill = 0", "input.fill"),
            ("[input]\nfit = \"letterbox\"\ncrop = 0.5", "input.crop"),
            ("[input]\nfit = \"crop\"\ncrop = 1.5", "input.crop"),
        ] {
            let message = Recipe::parse(text, Path::new("r.toml"))
                .unwrap_err()
                .to_string();
            assert!(
                message.contains(word) && message.contains("r.toml"),
                "{message}"
            );
        }
    }
}
