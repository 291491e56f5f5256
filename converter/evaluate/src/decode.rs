//! Output arrays of detectors into boxes, for those that devices do not decode yet. Arrays are in the model file's order of axes.

use ocellus_tasks::{BBox, Detection, nms};

/// Most boxes that suppression looks at, the strongest.
const MAX_CANDIDATES: usize = 2000;

/// An output of a model.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Sizes in the file's order of axes.
    pub shape: &'a [usize],
    /// Row-major.
    pub values: &'a [f32],
}

/// An output that is not what a decoder reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "output `{output}` has shape {shape:?}, and {decoder} reads {needs}; name another output in the recipe, or another task"
)]
pub struct DecodeError {
    /// Its name.
    pub output: String,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Which decoder.
    pub decoder: &'static str,
    /// What that reads.
    pub needs: &'static str,
}

impl Array<'_> {
    fn refuse(&self, decoder: &'static str, needs: &'static str) -> DecodeError {
        DecodeError {
            output: self.name.to_owned(),
            shape: self.shape.to_vec(),
            decoder,
            needs,
        }
    }

    /// Sizes without a leading batch of 1, if there are `N` and the values are as many.
    fn sizes<const N: usize>(&self) -> Option<[usize; N]> {
        let sizes = match self.shape {
            [1, rest @ ..] if rest.len() == N => rest,
            all => all,
        };
        let sizes: [usize; N] = sizes.try_into().ok()?;
        (sizes.iter().product::<usize>() == self.values.len()).then_some(sizes)
    }
}

/// How four numbers are a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxForm {
    /// Left, top, right, bottom.
    Corners,
    /// Top, left, bottom, right.
    CornersYx,
    /// Centre's column and row, width, height.
    Centre,
}

impl BoxForm {
    fn bbox(self, [a, b, c, d]: [f32; 4], scale_x: f32, scale_y: f32) -> BBox {
        let [x0, y0, x1, y1] = match self {
            BoxForm::Corners => [a, b, c, d],
            BoxForm::CornersYx => [b, a, d, c],
            BoxForm::Centre => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
        };
        BBox {
            x0: x0 * scale_x,
            y0: y0 * scale_y,
            x1: x1 * scale_x,
            y1: y1 * scale_y,
        }
    }
}

/// Sizes of a model's input, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputPixels {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// FastestDet, anchor-free: `[1, 5 + classes, rows, columns]`, each cell an objectness, four numbers of a box and the classes' probabilities.
///
/// The box's centre is the cell's corner plus `tanh` of the first two numbers, in cells; its width and height are `sigmoid` of the others, as shares of
/// the input. The score is `objectness^0.6 * probability^0.4` of the strongest class.
///
/// # Errors
/// [`DecodeError`]
pub fn fastestdet(
    output: Array<'_>,
    input: InputPixels,
    threshold: f32,
) -> Result<Vec<Detection>, DecodeError> {
    let refusal = || output.refuse("fastestdet", "[1, 5 + classes, rows, columns]");
    let [channels, rows, columns] = output.sizes::<3>().ok_or_else(refusal)?;
    if channels < 6 {
        return Err(refusal());
    }
    let cells = rows * columns;
    let sigmoid = |v: f32| 1.0 / (1.0 + libm::expf(-v));
    let mut found = Vec::new();
    for cell in 0..cells {
        let at = |channel: usize| output.values[channel * cells + cell];
        let Some((class, probability)) = strongest((5..channels).map(at)) else {
            continue;
        };
        let score = libm::powf(at(0).max(0.0), 0.6) * libm::powf(probability.max(0.0), 0.4);
        if score < threshold {
            continue;
        }
        let (row, column) = (cell / columns, cell % columns);
        let centre = [
            (libm::tanhf(at(1)) + column as f32) / columns as f32,
            (libm::tanhf(at(2)) + row as f32) / rows as f32,
            sigmoid(at(3)),
            sigmoid(at(4)),
        ];
        found.push(Detection {
            bbox: BoxForm::Centre.bbox(centre, input.width as f32, input.height as f32),
            score,
            class_id: class as u32,
        });
    }
    Ok(found)
}

/// How an SSD's outputs are to be read, whose boxes the graph has decoded already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SsdForm {
    /// How four numbers are a box.
    pub boxes: BoxForm,
    /// They are shares of the input, not pixels.
    pub normalized: bool,
    /// The first score of each box is that of no object; classes count from the second.
    pub background: bool,
}

/// Boxes `[1, n, 4]` with scores `[1, n, classes]`; each box counts once for each class above the threshold.
///
/// # Errors
/// [`DecodeError`]
pub fn ssd(
    scores: Array<'_>,
    boxes: Array<'_>,
    form: SsdForm,
    input: InputPixels,
    threshold: f32,
) -> Result<Vec<Detection>, DecodeError> {
    let [count, four] = boxes
        .sizes::<2>()
        .ok_or_else(|| boxes.refuse("ssd", "boxes [1, n, 4]"))?;
    if four != 4 {
        return Err(boxes.refuse("ssd", "boxes [1, n, 4]"));
    }
    let refusal = || scores.refuse("ssd", "scores [1, n, classes] with the n of the boxes");
    let [rows, classes] = scores.sizes::<2>().ok_or_else(refusal)?;
    let first = usize::from(form.background);
    if rows != count || classes <= first {
        return Err(refusal());
    }
    let scale = |size: usize| if form.normalized { size as f32 } else { 1.0 };
    let (scale_x, scale_y) = (scale(input.width), scale(input.height));
    let mut found = Vec::new();
    for (numbers, scores) in boxes
        .values
        .chunks_exact(4)
        .zip(scores.values.chunks_exact(classes))
    {
        let &[a, b, c, d] = numbers else { continue };
        for (class, &score) in scores[first..].iter().enumerate() {
            if score >= threshold {
                found.push(Detection {
                    bbox: form.boxes.bbox([a, b, c, d], scale_x, scale_y),
                    score,
                    class_id: class as u32,
                });
            }
        }
    }
    Ok(found)
}

/// YOLOv8 and its kin: `[1, 4 + classes, n]`, centre, width and height in pixels of the input and a probability a class; the strongest class counts.
///
/// # Errors
/// [`DecodeError`]
pub fn yolo(output: Array<'_>, threshold: f32) -> Result<Vec<Detection>, DecodeError> {
    let refusal = || output.refuse("yolo", "[1, 4 + classes, n]");
    let [channels, count] = output.sizes::<2>().ok_or_else(refusal)?;
    if channels < 5 {
        return Err(refusal());
    }
    let mut found = Vec::new();
    for index in 0..count {
        let at = |channel: usize| output.values[channel * count + index];
        let Some((class, score)) = strongest((4..channels).map(at)) else {
            continue;
        };
        if score >= threshold {
            found.push(Detection {
                bbox: BoxForm::Centre.bbox([at(0), at(1), at(2), at(3)], 1.0, 1.0),
                score,
                class_id: class as u32,
            });
        }
    }
    Ok(found)
}

/// Drops boxes that a stronger one of their class overlaps by more than `iou`; strongest first.
#[must_use]
pub fn suppressed(mut found: Vec<Detection>, iou: f32) -> Vec<Detection> {
    // The device's suppression sorts by insertion, which is quick where the order is right already.
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MAX_CANDIDATES);
    let kept = nms(&mut found, iou);
    found.truncate(kept);
    found
}

/// Position and value of the largest; the first of equal ones.
fn strongest(values: impl Iterator<Item = f32>) -> Option<(usize, f32)> {
    values
        .enumerate()
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: InputPixels = InputPixels {
        width: 40,
        height: 20,
    };

    fn array<'a>(shape: &'a [usize], values: &'a [f32]) -> Array<'a> {
        Array {
            name: "out",
            shape,
            values,
        }
    }

    fn near(bbox: BBox, [x0, y0, x1, y1]: [f32; 4]) -> bool {
        [bbox.x0 - x0, bbox.y0 - y0, bbox.x1 - x1, bbox.y1 - y1]
            .iter()
            .all(|d| d.abs() < 1e-4)
    }

    #[test]
    fn a_cell_of_fastestdet() {
        // One row of two cells, two classes: objectness, x, y, w, h, classes.
        let values = [
            0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.25, 0.5, 0.75,
        ];
        let found = fastestdet(array(&[1, 7, 1, 2], &values), INPUT, 0.1).unwrap();
        let [only] = found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(only.class_id, 1);
        assert!((only.score - libm::powf(0.75, 0.4)).abs() < 1e-6);
        // The centre is the second cell's corner; sigmoid(0) is half the input.
        assert!(near(only.bbox, [10.0, -5.0, 30.0, 5.0]), "{only:?}");
    }

    #[test]
    fn boxes_of_an_ssd() {
        let scores = [0.2, 0.8, 0.9, 0.1];
        let boxes = [0.0, 0.25, 0.5, 0.75, 0.0, 0.0, 1.0, 1.0];
        let form = SsdForm {
            boxes: BoxForm::Corners,
            normalized: true,
            background: true,
        };
        let (scores, boxes) = (array(&[1, 2, 2], &scores), array(&[1, 2, 4], &boxes));
        let found = ssd(scores, boxes, form, INPUT, 0.5).unwrap();
        let [only] = found[..] else {
            panic!("{found:?}")
        };
        assert_eq!((only.class_id, only.score), (0, 0.8));
        assert!(near(only.bbox, [0.0, 5.0, 20.0, 15.0]));
        let form = SsdForm {
            boxes: BoxForm::CornersYx,
            background: false,
            ..form
        };
        let found = ssd(scores, boxes, form, INPUT, 0.5).unwrap();
        assert_eq!(found.len(), 2);
        assert!(near(found[0].bbox, [10.0, 0.0, 30.0, 10.0]));
        let error = ssd(boxes, scores, form, INPUT, 0.5)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("out") && error.contains("[1, n, 4]"),
            "{error}"
        );
    }

    #[test]
    fn columns_of_a_yolo() {
        let values = [
            10.0, 20.0, //
            8.0, 8.0, //
            4.0, 4.0, //
            2.0, 2.0, //
            0.1, 0.3, //
            0.6, 0.2,
        ];
        let found = yolo(array(&[1, 6, 2], &values), 0.25).unwrap();
        assert_eq!(found.iter().map(|d| d.class_id).collect::<Vec<_>>(), [1, 0]);
        assert!(near(found[0].bbox, [8.0, 7.0, 12.0, 9.0]));
        assert!(yolo(array(&[1, 6, 2], &values[1..]), 0.25).is_err());
    }

    #[test]
    fn the_strongest_of_a_heap_stays() {
        let values = [
            10.0, 10.5, 30.0, //
            8.0, 8.0, 8.0, //
            4.0, 4.0, 4.0, //
            4.0, 4.0, 4.0, //
            0.5, 0.9, 0.4,
        ];
        let found = yolo(array(&[5, 3], &values), 0.25).unwrap();
        let kept = suppressed(found, 0.45);
        assert_eq!(kept.iter().map(|d| d.score).collect::<Vec<_>>(), [0.9, 0.4]);
    }
}
