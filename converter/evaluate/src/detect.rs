//! Average precision of boxes, and which boxes two models share.

use std::collections::BTreeMap;

use ocellus_tasks::{BBox, Detection};

/// Overlap from which two boxes are the same.
pub const SAME_IOU: f32 = 0.5;
/// Most boxes of a class that count in a picture, the strongest.
const MAX_BOXES: usize = 100;
/// Recalls at which precision is read: 0, 0.01 .. 1.
const RECALLS: usize = 101;

/// A labelled box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// Where, in pixels of the picture.
    pub bbox: BBox,
    /// What, in the numbering of the detections.
    pub class_id: u32,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    score: f32,
    picture: usize,
    hit: bool,
}

#[derive(Clone, Debug, Default)]
struct ClassRecord {
    /// Labelled boxes of each picture that has any.
    labels: Vec<(usize, u64)>,
    /// Detections in pictures that are labelled.
    found: Vec<Found>,
}

/// Detections against labels over many pictures: average precision as COCO defines it, at one overlap.
///
/// In each picture and class the strongest 100 detections are matched, strongest first, each to the free label that it overlaps most, if by at least
/// 0.5. Over all pictures, by falling score: precision is hits of what was found, recall hits of what is labelled. Precision is made monotonic (the
/// largest at this recall or a higher one), read at 101 recalls and averaged; where a recall is not reached it counts 0. AP50 is the mean over the
/// classes that are labelled at least once.
#[derive(Clone, Debug, Default)]
pub struct PrecisionTally {
    pictures: usize,
    classes: BTreeMap<u32, ClassRecord>,
}

impl PrecisionTally {
    /// Adds a picture.
    pub fn add(&mut self, labels: &[Label], detections: &[Detection]) {
        let picture = self.pictures;
        self.pictures += 1;
        let mut of_class: BTreeMap<u32, (Vec<BBox>, Vec<Detection>)> = BTreeMap::new();
        for label in labels {
            of_class
                .entry(label.class_id)
                .or_default()
                .0
                .push(label.bbox);
        }
        for detection in detections {
            let (_, found) = of_class.entry(detection.class_id).or_default();
            found.push(*detection);
        }
        for (class, (labels, mut found)) in of_class {
            let record = self.classes.entry(class).or_default();
            if !labels.is_empty() {
                record.labels.push((picture, labels.len() as u64));
            }
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(MAX_BOXES);
            let hits = matches(&labels, &found);
            record
                .found
                .extend(found.iter().zip(hits).map(|(d, hit)| Found {
                    score: d.score,
                    picture,
                    hit: hit.is_some(),
                }));
        }
    }

    /// Sorts what was found; to be called before [`ap50`](Self::ap50).
    #[must_use]
    pub fn sorted(mut self) -> Self {
        for record in self.classes.values_mut() {
            // Stable: equal scores stay in the order of the pictures.
            record.found.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        self
    }

    /// Pictures added.
    pub fn pictures(&self) -> usize {
        self.pictures
    }

    /// Mean over the classes, where picture `i` counts `weights[i]` times; `None` where nothing is labelled.
    pub fn ap50(&self, weights: &[u32]) -> Option<f64> {
        let of_classes: Vec<f64> = self
            .classes
            .values()
            .filter_map(|record| record.average_precision(weights))
            .collect();
        (!of_classes.is_empty()).then(|| of_classes.iter().sum::<f64>() / of_classes.len() as f64)
    }
}

impl ClassRecord {
    fn average_precision(&self, weights: &[u32]) -> Option<f64> {
        let weight = |picture: usize| u64::from(weights.get(picture).copied().unwrap_or(0));
        let labelled: u64 = self
            .labels
            .iter()
            .map(|&(picture, count)| count * weight(picture))
            .sum();
        if labelled == 0 {
            return None;
        }
        let (mut hits, mut all) = (0, 0);
        // The best precision at each count of hits.
        let mut curve: Vec<(u64, f64)> = Vec::new();
        for found in &self.found {
            let times = weight(found.picture);
            if times == 0 {
                continue;
            }
            all += times;
            if found.hit {
                hits += times;
                curve.push((hits, hits as f64 / all as f64));
            }
        }
        let mut best: f64 = 0.0;
        for (_, precision) in curve.iter_mut().rev() {
            best = best.max(*precision);
            *precision = best;
        }
        let mut sum = 0.0;
        let mut at = curve.iter().peekable();
        for step in 0..RECALLS as u64 {
            // The first point with `hits / labelled >= step / 100`, in whole numbers.
            while at
                .peek()
                .is_some_and(|&&(hits, _)| hits * (RECALLS as u64 - 1) < step * labelled)
            {
                at.next();
            }
            sum += at.peek().map_or(0.0, |&&(_, precision)| precision);
        }
        Some(sum / RECALLS as f64)
    }
}

/// For each detection, strongest first, the label that it takes.
fn matches(labels: &[BBox], detections: &[Detection]) -> Vec<Option<usize>> {
    let mut free = vec![true; labels.len()];
    detections
        .iter()
        .map(|detection| {
            let overlap = |i: usize| labels[i].iou(&detection.bbox);
            let best = (0..labels.len())
                .filter(|&i| free[i] && overlap(i) >= SAME_IOU)
                .max_by(|&a, &b| overlap(a).total_cmp(&overlap(b)))?;
            free[best] = false;
            Some(best)
        })
        .collect()
}

/// How many boxes two models have in common, each counted once: the same class, overlapping by at least 0.5; strongest first.
pub fn common_boxes(first: &[Detection], second: &[Detection]) -> usize {
    let mut order: Vec<&Detection> = first.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut free = vec![true; second.len()];
    let mut common = 0;
    for detection in order {
        let overlap = |i: usize| second[i].bbox.iou(&detection.bbox);
        let best = (0..second.len())
            .filter(|&i| {
                free[i] && second[i].class_id == detection.class_id && overlap(i) >= SAME_IOU
            })
            .max_by(|&a, &b| overlap(a).total_cmp(&overlap(b)));
        if let Some(best) = best {
            free[best] = false;
            common += 1;
        }
    }
    common
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

    fn label(x0: f32, class_id: u32) -> Label {
        Label {
            bbox: square(x0),
            class_id,
        }
    }

    fn detection(x0: f32, score: f32, class_id: u32) -> Detection {
        Detection {
            bbox: square(x0),
            score,
            class_id,
        }
    }

    #[test]
    fn a_miss_between_two_hits() {
        let mut tally = PrecisionTally::default();
        tally.add(
            &[label(0.0, 0), label(50.0, 0)],
            &[
                detection(0.0, 0.9, 0),
                detection(90.0, 0.8, 0),
                detection(51.0, 0.7, 0),
            ],
        );
        let tally = tally.sorted();
        // Recalls 0 to 0.5 at precision 1, the other fifty at 2/3.
        let wanted = (51.0 + 50.0 * 2.0 / 3.0) / 101.0;
        assert!((tally.ap50(&[1]).unwrap() - wanted).abs() < 1e-12);
    }

    #[test]
    fn a_second_box_on_a_label_is_a_miss_and_unlabelled_classes_do_not_count() {
        let mut tally = PrecisionTally::default();
        tally.add(
            &[label(0.0, 3)],
            &[
                detection(0.0, 0.9, 3),
                detection(1.0, 0.95, 3),
                detection(0.0, 0.99, 7),
            ],
        );
        // The strongest takes the label.
        assert_eq!(tally.sorted().ap50(&[1]), Some(1.0));
        let mut tally = PrecisionTally::default();
        tally.add(&[label(0.0, 3)], &[detection(9.0, 0.9, 3)]);
        assert_eq!(tally.sorted().ap50(&[1]), Some(0.0));
        assert_eq!(PrecisionTally::default().ap50(&[]), None);
    }

    #[test]
    fn a_picture_drawn_twice_counts_as_two_pictures() {
        let (good, bad) = (
            [detection(0.0, 0.9, 0)],
            [detection(70.0, 0.95, 0), detection(80.0, 0.5, 0)],
        );
        let labels = [label(0.0, 0)];
        let mut weighted = PrecisionTally::default();
        weighted.add(&labels, &good);
        weighted.add(&labels, &bad);
        let mut plain = PrecisionTally::default();
        for detections in [&good[..], &good, &good, &bad] {
            plain.add(&labels, detections);
        }
        let (weighted, plain) = (weighted.sorted(), plain.sorted());
        assert_eq!(weighted.ap50(&[3, 1]), plain.ap50(&[1; 4]));
        assert_eq!(weighted.ap50(&[1, 0]), Some(1.0));
    }

    #[test]
    fn common_boxes_are_counted_once_and_by_class() {
        let first = [
            detection(0.0, 0.9, 0),
            detection(1.0, 0.8, 0),
            detection(50.0, 0.7, 1),
        ];
        assert_eq!(common_boxes(&first, &first), 3);
        assert_eq!(common_boxes(&first, &[detection(0.5, 0.2, 0)]), 1);
        assert_eq!(common_boxes(&first, &[detection(50.0, 0.2, 0)]), 0);
        assert_eq!(common_boxes(&first, &[]), 0);
    }
}
