//! What a model's outputs mean: classes or boxes, in the picture's pixels.

use ocellus_compile::interpret::{Interpreter, Outcome};
use ocellus_format::{DType, QParams, Task};
use ocellus_image::Geometry;
use ocellus_tasks::{
    ArrayS8, Best, CenterFaceMaps, Class, Detection, Reals, centerface, nms, softmax, top_k,
};
use serde_json::{Value, json};

/// Most boxes that an answer holds.
pub(crate) const MAX_DETECTIONS: usize = 256;

/// What a model says of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) detections: Option<Vec<Detection>>,
    pub(crate) classes: Option<Vec<Class>>,
}

/// An output with its sizes: `[.., rows, columns, values]` for maps.
pub(crate) struct Output<A> {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: A,
}

/// Decodes the outputs of a run by the task of the model file.
pub(crate) fn answer(
    interpreter: &Interpreter,
    outcome: &Outcome,
    task: Task,
    geometry: Option<Geometry>,
) -> Answer {
    decode(&user_outputs(interpreter, outcome), task, geometry)
}

/// The program's output behind each of the user's outputs.
fn user_outputs<'a>(interpreter: &Interpreter, outcome: &'a Outcome) -> Vec<Output<ArrayS8<'a>>> {
    let unknown = QParams {
        scale: 1.0,
        zero_point: 0,
    };
    let outputs = interpreter.info().outputs.iter();
    outputs
        .map(|output| {
            let first = output
                .assembly
                .outputs()
                .next()
                .and_then(|position| outcome.outputs.get(usize::from(position)))
                // Tasks read scores and maps; indices are answers already.
                .filter(|tensor| tensor.dtype == DType::S8);
            match first {
                Some(tensor) => Output {
                    shape: tensor.shape.clone(),
                    values: ArrayS8 {
                        data: &tensor.values,
                        qparams: tensor.qparams,
                    },
                },
                None => Output {
                    shape: Vec::new(),
                    values: ArrayS8 {
                        data: &[],
                        qparams: unknown,
                    },
                },
            }
        })
        .collect()
}

/// Decodes outputs, maps with the channels last; `geometry` maps boxes back to the picture.
pub(crate) fn decode<A: Reals + Copy>(
    maps: &[Output<A>],
    task: Task,
    geometry: Option<Geometry>,
) -> Answer {
    match task {
        Task::Classify {
            top_k: k,
            softmax: logits,
        } => {
            let Some(scores) = maps.first() else {
                return Answer::default();
            };
            let mut ranking = vec![Class::default(); usize::from(k)];
            let len = top_k(scores.values, &mut ranking);
            ranking.truncate(len);
            if logits {
                for class in &mut ranking {
                    class.score = softmax(scores.values, class.class_id as usize);
                }
            }
            Answer {
                classes: Some(ranking),
                ..Answer::default()
            }
        }
        Task::CenterFace {
            stride,
            score_threshold,
            nms_iou,
            heat,
            size,
            offset,
            ..
        } => {
            let get = |position: u8| maps.get(usize::from(position));
            let (Some(heat), Some(size), Some(offset)) = (get(heat), get(size), get(offset)) else {
                return Answer::default();
            };
            let [.., rows, columns, 1] = heat.shape[..] else {
                return Answer::default();
            };
            let maps = CenterFaceMaps {
                rows: rows as u32,
                columns: columns as u32,
                heat: heat.values,
                log_size: size.values,
                offset: offset.values,
                stride_px: u32::from(stride),
            };
            let mut places = vec![Detection::default(); MAX_DETECTIONS];
            let mut found = Best::new(&mut places);
            centerface(&maps, score_threshold, &mut found);
            let kept = nms(found.as_mut_slice(), nms_iou);
            places.truncate(kept);
            for detection in &mut places {
                map_back(detection, geometry);
            }
            Answer {
                detections: Some(places),
                ..Answer::default()
            }
        }
        _ => Answer::default(),
    }
}

/// From pixels of the model's input to pixels of the picture.
fn map_back(detection: &mut Detection, geometry: Option<Geometry>) {
    if let Some(geometry) = geometry {
        let b = &mut detection.bbox;
        (b.x0, b.y0) = geometry.to_frame(b.x0, b.y0);
        (b.x1, b.y1) = geometry.to_frame(b.x1, b.y1);
    }
}

impl Answer {
    /// The fields of `--json`.
    pub(crate) fn add_to(&self, fields: &mut serde_json::Map<String, Value>, labels: &[String]) {
        let label = |class: u32| labels.get(class as usize).cloned();
        if let Some(detections) = &self.detections {
            let detections: Vec<Value> = detections
                .iter()
                .map(|d| {
                    let b = d.bbox;
                    json!({ "class_id": d.class_id, "label": label(d.class_id), "score": d.score, "box": [b.x0, b.y0, b.x1, b.y1] })
                })
                .collect();
            fields.insert("detections".to_owned(), detections.into());
        }
        if let Some(classes) = &self.classes {
            let classes: Vec<Value> = classes
                .iter()
                .map(|c| json!({ "class_id": c.class_id, "label": label(c.class_id), "score": c.score }))
                .collect();
            fields.insert("classes".to_owned(), classes.into());
        }
    }

    /// A line for each finding.
    pub(crate) fn lines(&self, labels: &[String]) -> Vec<String> {
        let label = |class: u32| {
            labels
                .get(class as usize)
                .cloned()
                .unwrap_or_else(|| format!("class {class}"))
        };
        let mut lines = Vec::new();
        for d in self.detections.iter().flatten() {
            let b = d.bbox;
            lines.push(format!(
                "{} {:.3} at ({:.0}, {:.0}) to ({:.0}, {:.0})",
                label(d.class_id),
                d.score,
                b.x0,
                b.y0,
                b.x1,
                b.y1
            ));
        }
        for c in self.classes.iter().flatten() {
            lines.push(format!("{} {:.4}", label(c.class_id), c.score));
        }
        lines
    }
}
