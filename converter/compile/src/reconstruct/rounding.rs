//! Weights of a layer rounded together: the integers that come closest to its float outputs, given what it reads.
//!
//! With the covariance `H` of the quantized inputs, the mean squared error of an output with weights `q * scale` instead of `w` is
//! `(q * scale - w)^T H (q * scale - w)`. Rounding each weight alone ignores what the others can make up for. Here the weights are rounded one after
//! the other, each together with what the ones before it left (Babai's nearest plane; the same result as optimal brain quantization in a fixed
//! order), then single steps are taken while one of them lowers the error.
//!
//! Sources: Frantar and others, "GPTQ" (2022); Nagel and others, "Up or Down? Adaptive Rounding" (2020).

use rayon::prelude::*;

use super::linear::Factor;
use super::moments::Moments;

/// Share of the mean variance that is added to every variance: an input that hardly varies in the samples must not make up for others.
const DAMPING: f64 = 0.03;

/// The integers of one output, given its scale. Orders weights so that what varies most is rounded while all others can still make up for it.
pub(super) struct Rounder {
    /// Position of each weight, the last rounded first.
    order: Vec<usize>,
    /// Covariance in that order, damped.
    matrix: Vec<f64>,
    factor: Factor,
    /// Largest magnitude of an integer.
    limit: f64,
}

impl Rounder {
    /// For weights of `-limit..=limit`. `None` where the inputs do not vary at all.
    pub(super) fn new(moments: &Moments, limit: f64) -> Option<Rounder> {
        let taps = moments.taps;
        let covariance = moments.covariance();
        let variance = |i: usize| covariance[i * taps + i];
        let mean = (0..taps).map(variance).sum::<f64>() / taps as f64;
        if mean.is_nan() || mean <= 0.0 {
            return None;
        }
        let mut order: Vec<usize> = (0..taps).collect();
        order.sort_by(|&a, &b| variance(a).total_cmp(&variance(b)).then(a.cmp(&b)));
        let mut matrix = vec![0.0; taps * taps];
        for (row, &i) in matrix.chunks_exact_mut(taps).zip(&order) {
            for (value, &j) in row.iter_mut().zip(&order) {
                *value = covariance[i * taps + j];
                if i == j {
                    *value += DAMPING * mean;
                }
            }
        }
        let factor = Factor::new(matrix.clone(), taps)?;
        Some(Rounder {
            order,
            matrix,
            factor,
            limit,
        })
    }

    /// Rounds rows of weights, each with its scale.
    pub(super) fn round(&self, weights: &[f32], scales: &[f64]) -> Vec<i8> {
        let taps = self.order.len();
        let mut rounded = vec![0i8; weights.len()];
        rounded
            .par_chunks_mut(taps)
            .zip(weights.par_chunks(taps))
            .zip(scales)
            .for_each(|((rounded, weights), &scale)| {
                let wanted: Vec<f64> = self.order.iter().map(|&i| f64::from(weights[i])).collect();
                let mut q = nearest_plane(&self.factor, &wanted, scale, self.limit);
                descend(&self.matrix, &wanted, scale, self.limit, &mut q);
                for (&q, &i) in q.iter().zip(&self.order) {
                    rounded[i] = q as i8;
                }
            });
        rounded
    }
}

/// A weight's integer.
fn nearest(weight: f64, scale: f64, limit: f64) -> f64 {
    (weight / scale).round_ties_even().clamp(-limit, limit)
}

/// Rounds from the last weight to the first, each together with what the errors of the ones behind it ask of it.
fn nearest_plane(factor: &Factor, wanted: &[f64], scale: f64, limit: f64) -> Vec<f64> {
    let mut q = vec![0.0; wanted.len()];
    let mut owed = vec![0.0; wanted.len()];
    for k in (0..wanted.len()).rev() {
        let row = factor.row(k);
        q[k] = nearest(wanted[k] + owed[k] / row[k], scale, limit);
        let error = wanted[k] - q[k] * scale;
        for (owed, l) in owed.iter_mut().zip(&row[..k]) {
            *owed += l * error;
        }
    }
    q
}

/// Passes over a layer's weights at most.
const SWEEPS: usize = 32;

/// Takes single steps while one lowers the error.
fn descend(matrix: &[f64], wanted: &[f64], scale: f64, limit: f64, q: &mut [f64]) {
    let taps = wanted.len();
    let error: Vec<f64> = q.iter().zip(wanted).map(|(q, w)| q * scale - w).collect();
    let mut gradient: Vec<f64> = matrix
        .chunks_exact(taps)
        .map(|row| row.iter().zip(&error).map(|(h, e)| h * e).sum())
        .collect();
    for _ in 0..SWEEPS {
        let mut changed = false;
        for k in 0..taps {
            let step = if gradient[k] > 0.0 { -1.0 } else { 1.0 };
            let moved = step * scale;
            let gain = 2.0 * moved * gradient[k] + moved * moved * matrix[k * taps + k];
            if gain < 0.0 && (q[k] + step).abs() <= limit {
                q[k] += step;
                changed = true;
                for (g, h) in gradient.iter_mut().zip(&matrix[k * taps..(k + 1) * taps]) {
                    *g += h * moved;
                }
            }
        }
        if !changed {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs of which many vary together, as those of neighbouring pixels do.
    fn moments(taps: usize) -> Moments {
        let mut state = 11u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 26) as f32
        };
        let mut moments = Moments::new(taps);
        for _ in 0..500 {
            let common = next() * 2.0;
            let row: Vec<f32> = (0..taps).map(|_| (common + next() / 4.0).floor()).collect();
            moments.add(&row);
        }
        moments
    }

    fn weights(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0)
            .collect()
    }

    fn error(moments: &Moments, weights: &[f32], q: &[i8], scale: f64) -> f64 {
        let taps = moments.taps;
        let covariance = moments.covariance();
        let e: Vec<f64> = q
            .iter()
            .zip(weights)
            .map(|(&q, &w)| f64::from(q) * scale - f64::from(w))
            .collect();
        (0..taps * taps)
            .map(|i| e[i / taps] * e[i % taps] * covariance[i])
            .sum()
    }

    #[test]
    fn rounding_together_is_far_better_where_inputs_vary_together() {
        let (taps, rows) = (36, 20);
        let (moments, weights, scale) = (moments(taps), weights(taps * rows), 1.0 / 127.0);
        let rounder = Rounder::new(&moments, 127.0).unwrap();
        let together = rounder.round(&weights, &[scale; 20]);
        let each: Vec<i8> = weights
            .iter()
            .map(|&w| nearest(f64::from(w), scale, 127.0) as i8)
            .collect();
        let total = |q: &[i8]| -> f64 {
            let rows = q.chunks(taps).zip(weights.chunks(taps));
            rows.map(|(q, w)| error(&moments, w, q, scale)).sum()
        };
        let (together, each) = (total(&together), total(&each));
        assert!(together * 4.0 < each, "{together} {each}");
    }

    #[test]
    fn no_single_step_is_better_and_limits_hold() {
        let taps = 12;
        let (moments, weights) = (moments(taps), weights(taps));
        let scale = 1.0 / 75.0;
        let rounder = Rounder::new(&moments, 70.0).unwrap();
        let q = rounder.round(&weights, &[scale]);
        assert!(q.iter().all(|q| (-70..=70).contains(q)) && q.contains(&-70));
        let wanted: Vec<f64> = rounder
            .order
            .iter()
            .map(|&i| f64::from(weights[i]))
            .collect();
        let in_order: Vec<f64> = rounder.order.iter().map(|&i| f64::from(q[i])).collect();
        let mut again = in_order.clone();
        descend(&rounder.matrix, &wanted, scale, 70.0, &mut again);
        assert_eq!(in_order, again);
    }

    #[test]
    fn inputs_that_never_vary_are_no_ground_for_a_choice() {
        let mut moments = Moments::new(3);
        moments.add(&[5.0; 9]);
        assert!(Rounder::new(&moments, 127.0).is_none());
    }
}
