//! Boxes found against boxes labelled.

use ocellus_tasks::{BBox, Detection};
use serde::Serialize;

/// What a detector found of what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaceScore {
    /// Labelled boxes.
    pub labelled: usize,
    /// Labelled boxes that a detection covers.
    pub found: usize,
    /// Detections that cover no labelled box of their own.
    pub false_positives: usize,
}

/// Matches detections to labels, strongest detection first: each takes the free label that it overlaps most, if by at least `iou`.
pub fn match_boxes(labels: &[BBox], detections: &[Detection], iou: f32) -> FaceScore {
    let mut order: Vec<&Detection> = detections.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut free = vec![true; labels.len()];
    let mut found = 0;
    for detection in order {
        let best = (0..labels.len())
            .filter(|&i| free[i] && labels[i].iou(&detection.bbox) >= iou)
            .max_by(|&a, &b| {
                labels[a]
                    .iou(&detection.bbox)
                    .total_cmp(&labels[b].iou(&detection.bbox))
            });
        if let Some(best) = best {
            free[best] = false;
            found += 1;
        }
    }
    FaceScore {
        labelled: labels.len(),
        found,
        false_positives: detections.len() - found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x0: f32) -> BBox {
        BBox {
            x0,
            y0: 0.0,
            x1: x0 + 10.0,
            y1: 10.0,
        }
    }

    #[test]
    fn a_label_is_found_once() {
        let detection = |x0, score| Detection {
            bbox: square(x0),
            score,
            class_id: 0,
        };
        let score = match_boxes(
            &[square(0.0), square(50.0)],
            &[
                detection(0.5, 0.9),
                detection(1.0, 0.8),
                detection(90.0, 0.7),
            ],
            0.4,
        );
        assert_eq!(
            score,
            FaceScore {
                labelled: 2,
                found: 1,
                false_positives: 2
            }
        );
    }
}
