//! Detectors: average precision, and boxes that both models keep.

use std::path::Path;

use anyhow::{Result, bail};
use ocellus_data::{BoxFormRecipe, LabelFiles, TaskRecipe, read_boxes};
use ocellus_evaluate::decode::{BoxForm, SsdForm, fastestdet, ssd, suppressed, yolo};
use ocellus_evaluate::interval::{bootstrap, ratio};
use ocellus_evaluate::{Label, PrecisionTally, SAME_IOU, common_boxes};
use ocellus_format::Task;
use ocellus_tasks::{BBox, Detection};
use serde_json::{Map, json};

use super::model::Outputs;
use super::{Agreement, ClassMap, Measured, Subject, colour, percent};
use crate::answer::{Output, decode};
use crate::input::Given;

/// Boxes below the kept ones' score count for average precision, down to this.
const LEAST_SCORE: f32 = 0.01;

/// A picture.
struct Row {
    /// `None`: it has no file of boxes.
    labels: Option<Vec<Label>>,
    found: Vec<Detection>,
    other: Option<Vec<Detection>>,
}

/// How outputs become boxes.
struct Decoder<'a> {
    recipe: Option<&'a TaskRecipe>,
    /// CenterFace, as devices read it.
    task: Task,
    score_threshold: f32,
    nms_iou: f32,
}

impl<'a> Decoder<'a> {
    fn new(subject: &'a Subject<'_>) -> Result<Decoder<'a>> {
        let recipe = subject.source.recipe.task.as_ref();
        let task = match recipe {
            None => subject.model.task()?,
            Some(_) => Task::None,
        };
        let (score_threshold, nms_iou) = match (recipe, task) {
            (Some(TaskRecipe::CenterFace(r)), _) => (r.score_threshold, r.nms_iou),
            (Some(TaskRecipe::FastestDet(r) | TaskRecipe::Yolo(r)), _) => {
                (r.score_threshold, r.nms_iou)
            }
            (Some(TaskRecipe::Ssd(r)), _) => (r.score_threshold, r.nms_iou),
            (
                None,
                Task::CenterFace {
                    score_threshold,
                    nms_iou,
                    ..
                },
            ) => (score_threshold, nms_iou),
            _ => bail!("the model's task has no boxes"),
        };
        Ok(Decoder {
            recipe,
            task,
            score_threshold,
            nms_iou,
        })
    }

    /// What a model finds, strongest first, in pixels of the picture: down to the score that average precision looks at.
    fn detections(&self, subject: &Subject<'_>, outputs: &Outputs) -> Result<Vec<Detection>> {
        let least = self.score_threshold.min(LEAST_SCORE);
        let found = match self.recipe {
            Some(TaskRecipe::FastestDet(_)) => {
                fastestdet(outputs.first()?.array(), outputs.input(), least)?
            }
            Some(TaskRecipe::Yolo(_)) => yolo(outputs.first()?.array(), least)?,
            Some(TaskRecipe::Ssd(recipe)) => {
                let form = SsdForm {
                    boxes: match recipe.form {
                        BoxFormRecipe::Xyxy => BoxForm::Corners,
                        BoxFormRecipe::Yxyx => BoxForm::CornersYx,
                        BoxFormRecipe::Cxcywh => BoxForm::Centre,
                    },
                    normalized: !recipe.pixels,
                    background: recipe.background,
                };
                let scores = outputs.named(&recipe.scores)?.array();
                let boxes = outputs.named(&recipe.boxes)?.array();
                ssd(scores, boxes, form, outputs.input(), least)?
            }
            _ => return self.centerface(subject, outputs, least),
        };
        let mut kept = suppressed(found, self.nms_iou);
        for detection in &mut kept {
            if let Some(geometry) = outputs.geometry {
                let b = &mut detection.bbox;
                (b.x0, b.y0) = geometry.to_frame(b.x0, b.y0);
                (b.x1, b.y1) = geometry.to_frame(b.x1, b.y1);
            }
        }
        Ok(kept)
    }

    /// By the device's own code.
    fn centerface(
        &self,
        subject: &Subject<'_>,
        outputs: &Outputs,
        least: f32,
    ) -> Result<Vec<Detection>> {
        let names: Vec<String> = outputs.arrays.iter().map(|a| a.name.clone()).collect();
        let mut task = match self.recipe {
            Some(_) => subject.source.task(&names)?,
            None => self.task,
        };
        if let Task::CenterFace {
            score_threshold, ..
        } = &mut task
        {
            *score_threshold = least;
        }
        let maps: Vec<(Vec<usize>, Vec<f32>)> = outputs
            .arrays
            .iter()
            .map(|array| array.channels_last(outputs.axes))
            .collect();
        let maps: Vec<Output<&[f32]>> = maps
            .iter()
            .map(|(shape, values)| Output {
                shape: shape.clone(),
                values: values.as_slice(),
            })
            .collect();
        Ok(decode(&maps, task, outputs.geometry)
            .detections
            .unwrap_or_default())
    }

    /// Those above the recipe's score.
    fn kept(&self, found: &[Detection]) -> Vec<Detection> {
        let kept = found.iter().filter(|d| d.score >= self.score_threshold);
        kept.copied().collect()
    }
}

pub(super) fn measure(subject: &Subject<'_>) -> Result<(Measured, u64)> {
    let data = LabelFiles::boxes(&subject.args.data)?;
    let classes = ClassMap::new(&subject.source.recipe.labels, &data.names)?;
    let decoder = Decoder::new(subject)?;
    let pictures: Vec<&Path> = data
        .pictures
        .iter()
        .map(|(path, _)| path.as_path())
        .collect();
    let (rows, skipped) = subject.each(&pictures, |index, given| {
        let (path, boxes) = &data.pictures[index];
        let (outputs, other) = subject.run(given)?;
        let other = other.map(|other| decoder.detections(subject, &other));
        let row = Row {
            labels: match boxes {
                Some(boxes) => Some(labels(boxes, given, &classes)?),
                None => None,
            },
            found: decoder.detections(subject, &outputs)?,
            other: other.transpose()?,
        };
        draw(subject, &decoder, path, given, &row)?;
        Ok(row)
    })?;
    Ok((measured(subject, &decoder, &rows), skipped))
}

fn measured(subject: &Subject<'_>, decoder: &Decoder<'_>, rows: &[Row]) -> Measured {
    let compared = subject.other.is_some();
    let (mut tally, mut other_tally) = (PrecisionTally::default(), PrecisionTally::default());
    let (mut labelled, mut kept, mut other_kept, mut common) = (0, 0, 0, 0);
    let mut of_others = Vec::new();
    for row in rows {
        if let Some(labels) = &row.labels {
            labelled += labels.len();
            tally.add(labels, &row.found);
            other_tally.add(labels, row.other.as_deref().unwrap_or_default());
        }
        let ours = decoder.kept(&row.found);
        let theirs = decoder.kept(row.other.as_deref().unwrap_or_default());
        let both = common_boxes(&ours, &theirs);
        kept += ours.len();
        other_kept += theirs.len();
        common += both;
        of_others.push((both as u64, theirs.len() as u64));
    }
    let (tally, other_tally) = (tally.sorted(), other_tally.sorted());
    let pictures = tally.pictures();
    let when = |estimate: &dyn Fn() -> Option<ocellus_evaluate::Estimate>| {
        if compared { estimate() } else { None }
    };
    let value = bootstrap(pictures, |weights| tally.ap50(weights));
    let mut lines = vec![
        ("AP50", percent(value)),
        (
            "boxes",
            format!(
                "{kept} of score {} and more; {labelled} are labelled in {pictures} pictures",
                decoder.score_threshold
            ),
        ),
    ];
    let mut fields = Map::from_iter([
        ("labelled_boxes".to_owned(), json!(labelled)),
        ("kept_boxes".to_owned(), json!(kept)),
    ]);
    if compared {
        lines.push((
            "in common",
            format!(
                "{common} boxes, of {kept} and of the other's {other_kept} (same class, overlap {SAME_IOU} and more)"
            ),
        ));
        fields.insert("against_kept_boxes".to_owned(), json!(other_kept));
        fields.insert("common_boxes".to_owned(), json!(common));
    }
    Measured {
        task: subject
            .source
            .recipe
            .task
            .as_ref()
            .map_or("centerface", TaskRecipe::kind),
        samples: rows.len(),
        metric: "ap50",
        lines,
        value,
        against: when(&|| bootstrap(pictures, |weights| other_tally.ap50(weights))),
        difference: when(&|| {
            bootstrap(pictures, |weights| {
                Some(tally.ap50(weights)? - other_tally.ap50(weights)?)
            })
        }),
        agreement: compared.then(|| Agreement {
            same: common as u64,
            of: other_kept as u64,
            estimate: ratio(&of_others),
            what: "boxes of the other model",
        }),
        fields,
    }
}

/// The boxes of a picture in its pixels and the model's classes; those of classes that the model does not know are left out.
fn labels(path: &Path, given: &Given, classes: &ClassMap) -> Result<Vec<Label>> {
    let Some(picture) = given.picture() else {
        return Ok(Vec::new());
    };
    let (width, height) = (picture.width_px as f32, picture.height_px as f32);
    let boxes = read_boxes(path)?;
    Ok(boxes
        .iter()
        .filter_map(|found| {
            let [x0, y0, x1, y1] = found.corners;
            Some(Label {
                bbox: BBox {
                    x0: x0 * width,
                    y0: y0 * height,
                    x1: x1 * width,
                    y1: y1 * height,
                },
                class_id: classes.of(found.class)? as u32,
            })
        })
        .collect())
}

/// The model's kept boxes by class; the other model's that it does not keep in white.
fn draw(
    subject: &Subject<'_>,
    decoder: &Decoder<'_>,
    path: &Path,
    given: &Given,
    row: &Row,
) -> Result<()> {
    let (Some(_), Some(picture)) = (&subject.args.draw, given.picture()) else {
        return Ok(());
    };
    let mut picture = picture.clone();
    let corners = |d: &Detection| [d.bbox.x0, d.bbox.y0, d.bbox.x1, d.bbox.y1];
    let ours = decoder.kept(&row.found);
    for theirs in decoder.kept(row.other.as_deref().unwrap_or_default()) {
        if common_boxes(&[theirs], &ours) == 0 {
            picture.draw_box(corners(&theirs), 1, [255; 3]);
        }
    }
    for d in &ours {
        picture.draw_box(corners(d), 2, colour(d.class_id as usize));
    }
    subject.write_drawn(path, &picture)
}
