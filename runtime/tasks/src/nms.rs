//! Boxes, and which of them to keep.

use core::cmp::Ordering;

/// A box: corners `(x0, y0)` top left and `(x1, y1)` bottom right, in pixels, edges exclusive (width is `x1 - x0`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BBox {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

impl BBox {
    /// Square pixels; 0 for an empty or inverted box.
    pub fn area(&self) -> f32 {
        (self.x1 - self.x0).max(0.0) * (self.y1 - self.y0).max(0.0)
    }

    /// Intersection over union, `0..=1`.
    pub fn iou(&self, other: &BBox) -> f32 {
        let common = BBox {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
        .area();
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }
}

/// Something found in a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detection {
    /// Where.
    pub bbox: BBox,
    /// How sure, `0..=1`.
    pub score: f32,
    /// What.
    pub class_id: u32,
}

/// Keeps the best detections that fit a slice.
#[derive(Debug)]
pub struct Best<'a> {
    places: &'a mut [Detection],
    len: usize,
}

impl<'a> Best<'a> {
    /// Starts empty.
    pub fn new(places: &'a mut [Detection]) -> Best<'a> {
        Best { places, len: 0 }
    }

    /// Adds a detection; where all places are taken, the weakest goes.
    pub fn push(&mut self, detection: Detection) {
        if let Some(place) = self.places.get_mut(self.len) {
            *place = detection;
            self.len += 1;
            return;
        }
        let weakest = self
            .places
            .iter_mut()
            .min_by(|a, b| a.score.total_cmp(&b.score));
        if let Some(weakest) = weakest.filter(|weakest| weakest.score < detection.score) {
            *weakest = detection;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What there is.
    pub fn as_mut_slice(&mut self) -> &mut [Detection] {
        self.places.get_mut(..self.len).unwrap_or_default()
    }
}

/// Greedy non-maximum suppression: strongest first, a detection falls where one of its class that was kept overlaps it by more than `iou`.
///
/// Sorts `found` and moves what is kept to its front; returns how many. Equal scores keep the order of their positions (top, then left), so that the
/// result does not depend on the order of discovery.
pub fn nms(found: &mut [Detection], iou: f32) -> usize {
    sort(found);
    let mut kept = 0;
    for index in 0..found.len() {
        let Some(&candidate) = found.get(index) else {
            break;
        };
        let stronger = found.get(..kept).unwrap_or_default();
        let overlaps = |other: &Detection| {
            other.class_id == candidate.class_id && other.bbox.iou(&candidate.bbox) > iou
        };
        if !stronger.iter().any(overlaps) {
            if let Some(place) = found.get_mut(kept) {
                *place = candidate;
            }
            kept += 1;
        }
    }
    kept
}

/// Strongest first. By insertion: the standard library's sort holds a panic for orders that contradict themselves.
fn sort(found: &mut [Detection]) {
    for end in 1..found.len() {
        for at in (1..=end).rev() {
            let Some([left, right]) = found.get_mut(at - 1..=at) else {
                break;
            };
            if order(left, right).is_le() {
                break;
            }
            core::mem::swap(left, right);
        }
    }
}

fn order(a: &Detection, b: &Detection) -> Ordering {
    let position = |d: &Detection| (d.class_id, d.bbox.y0, d.bbox.x0, d.bbox.y1, d.bbox.x1);
    let ((ca, ay0, ax0, ay1, ax1), (cb, by0, bx0, by1, bx1)) = (position(a), position(b));
    (b.score.total_cmp(&a.score))
        .then(ca.cmp(&cb))
        .then(ay0.total_cmp(&by0))
        .then(ax0.total_cmp(&bx0))
        .then(ay1.total_cmp(&by1))
        .then(ax1.total_cmp(&bx1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(x0: f32, score: f32, class_id: u32) -> Detection {
        Detection {
            bbox: BBox {
                x0,
                y0: 0.0,
                x1: x0 + 10.0,
                y1: 10.0,
            },
            score,
            class_id,
        }
    }

    #[test]
    fn overlap_of_half_shifted_squares_is_a_third() {
        let (a, b) = (detection(0.0, 1.0, 0).bbox, detection(5.0, 1.0, 0).bbox);
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.iou(&detection(20.0, 1.0, 0).bbox), 0.0);
    }

    #[test]
    fn the_strongest_of_a_cluster_stays_and_classes_do_not_mix() {
        let mut found = [
            detection(1.0, 0.5, 0),
            detection(0.0, 0.9, 0),
            detection(0.0, 0.4, 1),
            detection(40.0, 0.3, 0),
        ];
        let kept = nms(&mut found, 0.4);
        assert_eq!(
            found[..kept],
            [
                detection(0.0, 0.9, 0),
                detection(0.0, 0.4, 1),
                detection(40.0, 0.3, 0)
            ]
        );
    }

    #[test]
    fn a_full_slice_drops_the_weakest() {
        let mut places = [Detection::default(); 2];
        let mut best = Best::new(&mut places);
        for score in [0.2, 0.1, 0.3, 0.05] {
            best.push(detection(0.0, score, 0));
        }
        assert_eq!(best.len(), 2);
        best.as_mut_slice()
            .sort_by(|a, b| a.score.total_cmp(&b.score));
        assert_eq!(
            best.as_mut_slice().iter().map(|d| d.score).sum::<f32>(),
            0.5
        );
    }
}
