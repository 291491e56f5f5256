//! Intersection over union of segmentations.

/// One picture's pixels by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pixels {
    both: Vec<u64>,
    labelled: Vec<u64>,
    predicted: Vec<u64>,
}

/// Predicted against labelled pixels over many pictures.
///
/// mIoU is the mean over the classes that are labelled at least once, background among them, of `both / (labelled + predicted - both)`, pixels counted
/// over all pictures.
#[derive(Clone, Debug)]
pub struct SegmentTally {
    classes: usize,
    pictures: Vec<Pixels>,
}

impl SegmentTally {
    /// For a model of so many classes.
    pub fn new(classes: usize) -> SegmentTally {
        SegmentTally {
            classes,
            pictures: Vec::new(),
        }
    }

    /// Adds a picture: for each pixel its labelled class (`None`: it counts for nothing) and the predicted one. Classes beyond the model's are no
    /// class of its own, so a prediction of one is only wrong.
    pub fn add(&mut self, pixels: impl Iterator<Item = (Option<usize>, usize)>) {
        let zeros = vec![0; self.classes];
        let mut counts = Pixels {
            both: zeros.clone(),
            labelled: zeros.clone(),
            predicted: zeros,
        };
        for (label, predicted) in pixels {
            let Some(label) = label else { continue };
            if let Some(count) = counts.labelled.get_mut(label) {
                *count += 1;
            }
            if let Some(count) = counts.predicted.get_mut(predicted) {
                *count += 1;
            }
            if label == predicted
                && let Some(count) = counts.both.get_mut(label)
            {
                *count += 1;
            }
        }
        self.pictures.push(counts);
    }

    /// Adds the pictures of another tally of as many classes.
    pub fn append(&mut self, mut other: SegmentTally) {
        self.pictures.append(&mut other.pictures);
    }

    /// Pictures added.
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Mean over the labelled classes, where picture `i` counts `weights[i]` times; `None` where nothing is labelled.
    pub fn miou(&self, weights: &[u32]) -> Option<f64> {
        let unions: Vec<f64> = (0..self.classes)
            .filter_map(|class| {
                let both = self.weighted(weights, |p| p.both[class]);
                let labelled = self.weighted(weights, |p| p.labelled[class]);
                let predicted = self.weighted(weights, |p| p.predicted[class]);
                (labelled > 0).then(|| both as f64 / (labelled + predicted - both) as f64)
            })
            .collect();
        (!unions.is_empty()).then(|| unions.iter().sum::<f64>() / unions.len() as f64)
    }

    /// Share of the labelled pixels whose class is right.
    pub fn pixel_accuracy(&self, weights: &[u32]) -> Option<f64> {
        let both = self.weighted(weights, |p| p.both.iter().sum());
        let labelled = self.weighted(weights, |p| p.labelled.iter().sum());
        (labelled > 0).then(|| both as f64 / labelled as f64)
    }

    fn weighted(&self, weights: &[u32], of: impl Fn(&Pixels) -> u64) -> u64 {
        let pictures = self.pictures.iter().zip(weights);
        pictures.map(|(p, &weight)| of(p) * u64::from(weight)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unions_by_hand() {
        let mut tally = SegmentTally::new(3);
        let labels = [Some(0), Some(0), Some(1), Some(1), None, Some(1)];
        let predicted = [0, 1, 1, 1, 2, 2];
        tally.add(labels.into_iter().zip(predicted));
        // Background 1 of 2, class 1 2 of 4; class 2 is nowhere labelled.
        assert_eq!(tally.miou(&[1]), Some((0.5 + 0.5) / 2.0));
        assert_eq!(tally.pixel_accuracy(&[1]), Some(3.0 / 5.0));
        assert_eq!(tally.miou(&[0]), None);
    }

    #[test]
    fn pixels_add_up_over_pictures() {
        let mut apart = SegmentTally::new(2);
        apart.add([(Some(0), 0), (Some(1), 0)].into_iter());
        let mut second = SegmentTally::new(2);
        second.add([(Some(1), 1)].into_iter());
        apart.append(second);
        let mut joined = SegmentTally::new(2);
        joined.add([(Some(0), 0), (Some(1), 0), (Some(1), 1), (Some(1), 1)].into_iter());
        assert_eq!(apart.miou(&[1, 2]), joined.miou(&[1]));
        assert_eq!(apart.pictures(), 2);
    }
}
