//! Top-1, top-5 and agreement.

use serde::Serialize;

/// Indices of the `k` largest scores, largest first; equal scores in the order of their index.
pub fn rank(scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(k);
    order
}

/// Counts over a labelled data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClassifyTally {
    /// Pictures.
    pub samples: u64,
    /// The strongest class is the label.
    pub top1: u64,
    /// The label is among the five strongest.
    pub top5: u64,
    /// The strongest class is the other model's strongest.
    pub agree: u64,
}

impl ClassifyTally {
    /// Adds a picture: its scores, its label, and the other model's strongest class where there is another model.
    pub fn add(&mut self, scores: &[f32], label: usize, other: Option<usize>) {
        let ranking = rank(scores, 5);
        self.samples += 1;
        self.top1 += u64::from(ranking.first() == Some(&label));
        self.top5 += u64::from(ranking.contains(&label));
        self.agree += u64::from(other.is_some() && ranking.first() == other.as_ref());
    }

    /// A count as a share of the samples, `0..=1`.
    pub fn share(&self, count: u64) -> f64 {
        if self.samples == 0 {
            0.0
        } else {
            count as f64 / self.samples as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_labels_and_agreement() {
        let mut tally = ClassifyTally::default();
        tally.add(&[0.1, 0.9, 0.3], 1, Some(1));
        tally.add(&[0.1, 0.9, 0.3, 0.8, 0.7, 0.6], 0, Some(3));
        assert_eq!(
            tally,
            ClassifyTally {
                samples: 2,
                top1: 1,
                top5: 1,
                agree: 1
            }
        );
        assert_eq!(tally.share(tally.top1), 0.5);
    }
}
