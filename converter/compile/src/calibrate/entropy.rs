//! The range by entropy: that whose 256 steps keep most of what the distribution says.
//!
//! A candidate cuts both ends by the same share. What lies outside counts at the ends (`P`); the same inside, spread evenly over each step's values that occur, is
//! what 256 steps know of it (`Q`). The best candidate has the least divergence of `Q` from `P`. Zero is exact in every scale and says nothing: where ReLU makes
//! half of the values zero, counting them would let the rest be cut away.
//!
//! After Migacz, "8-bit Inference with TensorRT" (2017).

use super::Histogram;

/// Steps of 8 bits.
const STEPS: usize = 256;

/// Candidates; each cuts a two-hundredth more than the one before, the last leaves three tenths.
const CANDIDATES: usize = 140;

impl Histogram {
    /// The range of least divergence. Contains zero.
    pub fn entropy_range(&self) -> Option<(f32, f32)> {
        let (min, max) = self.min_max()?;
        let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        let bins: Vec<(f64, f64)> = self
            .bins()
            .filter(|&(edge, width, count)| count > 0 && !(edge <= 0.0 && 0.0 < edge + width))
            .map(|(edge, width, count)| (edge + width / 2.0, count as f64))
            .collect();
        let mut best = (f64::INFINITY, min, max);
        for candidate in 0..CANDIDATES {
            let share = 1.0 - candidate as f64 / 200.0;
            let (low, high) = (min * share, max * share);
            let divergence = divergence(&bins, low, high);
            if divergence < best.0 {
                best = (divergence, low, high);
            }
        }
        Some((best.1 as f32, best.2 as f32))
    }
}

/// Divergence of the quantized from the clipped distribution; infinite where nothing is inside.
fn divergence(bins: &[(f64, f64)], low: f64, high: f64) -> f64 {
    let inside: Vec<(f64, f64)> = bins
        .iter()
        .copied()
        .filter(|&(value, _)| (low..=high).contains(&value))
        .collect();
    if inside.is_empty() {
        return f64::INFINITY;
    }
    let outside = |beyond: &dyn Fn(f64) -> bool| -> f64 {
        let cut = bins.iter().filter(|&&(value, _)| beyond(value));
        cut.map(|(_, count)| count).sum()
    };
    let mut reference: Vec<f64> = inside.iter().map(|(_, count)| *count).collect();
    let last = reference.len() - 1;
    reference[0] += outside(&|value| value < low);
    reference[last] += outside(&|value| value > high);
    let step = |value: f64| {
        let step = (value - low) / (high - low) * STEPS as f64;
        (step as usize).min(STEPS - 1)
    };
    let (mut sums, mut occurring) = ([0.0; STEPS], [0.0; STEPS]);
    for &(value, count) in &inside {
        sums[step(value)] += count;
        occurring[step(value)] += 1.0;
    }
    let known: f64 = inside.iter().map(|(_, count)| count).sum();
    let total: f64 = reference.iter().sum();
    inside
        .iter()
        .zip(&reference)
        .map(|(&(value, _), &p)| {
            let step = step(value);
            let (p, q) = (p / total, sums[step] / occurring[step] / known);
            p * libm::log(p / q)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that thin out from zero on both sides, the sum of twelve uniform ones.
    fn bell(count: usize) -> Vec<f32> {
        let mut state = 99u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        (0..count)
            .map(|_| (0..12).map(|_| next()).sum::<f32>() - 6.0)
            .collect()
    }

    fn of(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        assert!(histogram.add(values));
        histogram
    }

    #[test]
    fn a_lonely_outlier_is_cut_where_min_max_keeps_it() {
        let mut values = bell(200_000);
        values.push(14.0);
        let histogram = of(&values);
        let (low, high) = histogram.entropy_range().unwrap();
        assert_eq!(histogram.min_max().unwrap().1, 14.0);
        assert!(high < 13.0 && high > 3.5 && low < -1.5, "{low}..{high}");
    }

    #[test]
    fn values_that_fill_their_range_are_not_cut() {
        let values: Vec<f32> = (0..100_000).map(|i| i as f32 / 1000.0 - 50.0).collect();
        let (low, high) = of(&values).entropy_range().unwrap();
        assert!(low < -49.0 && high > 49.0, "{low}..{high}");
    }

    #[test]
    fn zeros_say_nothing() {
        let values: Vec<f32> = bell(50_000).into_iter().map(|v| v.max(0.0)).collect();
        let mut more = values.clone();
        more.extend([0.0; 500_000]);
        assert_eq!(of(&values).entropy_range(), of(&more).entropy_range());
        assert_eq!(of(&[0.0; 9]).entropy_range(), Some((0.0, 0.0)));
    }
}
