//! Classification: the strongest entries of a score array.

use crate::Reals;

/// One entry of a ranking.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Class {
    /// Index in the score array.
    pub class_id: u32,
    /// Its real value.
    pub score: f32,
}

/// Fills `ranking` with the strongest entries, strongest first; equal scores in the order of their index. Returns how many there are.
pub fn top_k(scores: impl Reals, ranking: &mut [Class]) -> usize {
    let mut len = 0;
    for index in 0..scores.len() {
        let class = Class {
            class_id: index as u32,
            score: scores.real(index),
        };
        let Some(at) = ranking
            .iter()
            .take(len)
            .position(|other| class.score > other.score)
            .or((len < ranking.len()).then_some(len))
        else {
            continue;
        };
        len = (len + 1).min(ranking.len());
        let mut moved = class;
        for place in ranking.get_mut(at..len).unwrap_or_default() {
            core::mem::swap(place, &mut moved);
        }
    }
    len
}

/// The probability of an entry: `exp(score) / sum of exp`, for models that end in logits.
pub fn softmax(scores: impl Reals, index: usize) -> f32 {
    let strongest = (0..scores.len())
        .map(|i| scores.real(i))
        .fold(f32::NEG_INFINITY, f32::max);
    let exp = |real: f32| libm::expf(real - strongest);
    let sum: f32 = (0..scores.len()).map(|i| exp(scores.real(i))).sum();
    if sum > 0.0 {
        exp(scores.real(index)) / sum
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArrayS8;
    use ocellus_format::QParams;

    const SCORES: ArrayS8<'_> = ArrayS8 {
        data: &[3, 9, -4, 9, 5],
        qparams: QParams {
            scale: 0.5,
            zero_point: 1,
        },
    };

    #[test]
    fn ranks_strongest_first_and_ties_by_index() {
        let mut ranking = [Class::default(); 3];
        assert_eq!(top_k(SCORES, &mut ranking), 3);
        assert_eq!(ranking.map(|class| class.class_id), [1, 3, 4]);
        assert_eq!(ranking[2].score, 2.0);
    }

    #[test]
    fn a_long_ranking_holds_every_class_once() {
        let mut ranking = [Class::default(); 8];
        assert_eq!(top_k(SCORES, &mut ranking), 5);
        assert_eq!(
            ranking[4],
            Class {
                class_id: 2,
                score: -2.5
            }
        );
    }

    #[test]
    fn softmax_adds_up_to_one() {
        let sum: f32 = (0..5).map(|i| softmax(SCORES, i)).sum();
        assert!((sum - 1.0).abs() < 1e-6);
    }
}
