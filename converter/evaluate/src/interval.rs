//! How sure a number is that was measured on a sample of pictures: standard errors and 95 % intervals.
//!
//! Two models are compared on the same pictures, so the differences are paired: what is hard for both cancels.

use serde::Serialize;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

/// Seed of every bootstrap: the same measurement gives the same interval.
const SEED: u64 = 0x0ce1_1005;

/// A measured number, and how far another sample of as many pictures might move it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// What was measured.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

/// A share `k / n` of independent samples, with Wilson's score interval:
/// `(p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)`. Standard error `sqrt(p (1 - p) / n)`.
///
/// `None` without samples.
pub fn share(count: u64, of: u64) -> Option<Estimate> {
    if of == 0 {
        return None;
    }
    let n = of as f64;
    let p = count as f64 / n;
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    Some(Estimate {
        value: p,
        standard_error: (p * (1.0 - p) / n).sqrt(),
        low: ((centre - half) / scale).max(0.0),
        high: ((centre + half) / scale).min(1.0),
    })
}

/// The difference of two shares on the same `n` samples, of which `gained` count for the first alone and `lost` for the second alone:
/// `d = (gained - lost) / n`, McNemar's standard error `sqrt(gained + lost - (gained - lost)^2 / n) / n`.
///
/// The interval is that of Agresti and Min (2005): the same formulas after half a sample was added to each of the four cells, `d' ± z se'`, so that
/// no interval is a point.
///
/// `None` without samples.
pub fn paired_difference(gained: u64, lost: u64, n: u64) -> Option<Estimate> {
    if n == 0 {
        return None;
    }
    let wald = |gained: f64, lost: f64, n: f64| {
        let difference = (gained - lost) / n;
        let variance = (gained + lost - (gained - lost).powi(2) / n).max(0.0);
        (difference, variance.sqrt() / n)
    };
    let (gained, lost, n) = (gained as f64, lost as f64, n as f64);
    let (value, standard_error) = wald(gained, lost, n);
    let (centre, spread) = wald(gained + 0.5, lost + 0.5, n + 2.0);
    Some(Estimate {
        value,
        standard_error,
        low: (centre - Z * spread).max(-1.0),
        high: (centre + Z * spread).min(1.0),
    })
}

/// Any statistic of a set of pictures: pictures are drawn with replacement, 2,000 times from a fixed seed. The standard error is the standard
/// deviation over these draws, the interval their 2.5th to 97.5th percentile.
///
/// `statistic` gets how often each picture was drawn (all ones: the measurement itself) and answers `None` where such a draw has no value; those
/// draws are left out. `None` where the measurement itself has none.
pub fn bootstrap(pictures: usize, statistic: impl Fn(&[u32]) -> Option<f64>) -> Option<Estimate> {
    let value = statistic(&vec![1; pictures])?;
    let mut state = SEED;
    let mut values = Vec::with_capacity(RESAMPLES);
    let mut counts = vec![0; pictures];
    for _ in 0..RESAMPLES {
        counts.fill(0);
        for _ in 0..pictures {
            counts[below(&mut state, pictures)] += 1;
        }
        values.extend(statistic(&counts));
    }
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    // Percentiles by nearest rank.
    let at = |share: f64| {
        let rank = (share * n).ceil() as usize;
        values.get(rank.saturating_sub(1)).copied().unwrap_or(value)
    };
    Some(Estimate {
        value,
        standard_error: if values.len() > 1 {
            (squares / (n - 1.0)).sqrt()
        } else {
            0.0
        },
        low: at(0.025),
        high: at(0.975),
    })
}

/// The ratio of two sums over pictures, `sum a / sum b`, by [`bootstrap`]; `None` where the second is 0.
pub fn ratio(parts: &[(u64, u64)]) -> Option<Estimate> {
    bootstrap(parts.len(), |weights| {
        let sum = |of: fn(&(u64, u64)) -> u64| -> u64 {
            let weighted = parts.iter().zip(weights);
            weighted.map(|(p, &weight)| of(p) * u64::from(weight)).sum()
        };
        let (a, b) = (sum(|p| p.0), sum(|p| p.1));
        (b > 0).then(|| a as f64 / b as f64)
    })
}

/// A whole number below `n`, which is above 0: SplitMix64, then the high half of a product.
fn below(state: &mut u64, n: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    ((u128::from(z) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    #[test]
    fn wilson_as_published() {
        // Newcombe 1998, table I, method 3.
        for (count, of, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let estimate = share(count, of).unwrap();
            assert!(
                close(estimate.low, low) && close(estimate.high, high),
                "{count} of {of}: {estimate:?}"
            );
        }
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn paired_shares_by_hand() {
        // 1600 pictures: 20 gained, 28 lost.
        let estimate = paired_difference(20, 28, 1600).unwrap();
        assert!(close(estimate.value, -0.005));
        assert!(close(
            estimate.standard_error,
            (48.0_f64 - 0.04).sqrt() / 1600.0
        ));
        let spread = (49.0_f64 - 64.0 / 1602.0).sqrt() / 1602.0;
        assert!(close(estimate.low, -8.0 / 1602.0 - 1.96 * spread));
        // Nothing differs: the interval is no point, and the standard error is 0.
        let equal = paired_difference(0, 0, 100).unwrap();
        assert_eq!((equal.value, equal.standard_error), (0.0, 0.0));
        assert!(equal.low < 0.0 && equal.high > 0.0 && close(equal.low, -equal.high));
    }

    #[test]
    fn the_bootstrap_of_a_mean_has_the_error_of_a_mean() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let mean = |counts: &[u32]| {
            let sum: f64 = counts
                .iter()
                .zip(&values)
                .map(|(&c, v)| f64::from(c) * v)
                .sum();
            Some(sum / 100.0)
        };
        let estimate = bootstrap(values.len(), mean).unwrap();
        assert!(close(estimate.value, 4.5));
        // The standard deviation of 0..=9 is 2.872.
        assert!(
            (estimate.standard_error - 0.2872).abs() < 0.015,
            "{estimate:?}"
        );
        assert!((estimate.low - (4.5 - 0.563)).abs() < 0.06, "{estimate:?}");
        assert!((estimate.high - (4.5 + 0.563)).abs() < 0.06, "{estimate:?}");
        assert_eq!(bootstrap(values.len(), mean), Some(estimate));
    }

    #[test]
    fn a_ratio_is_of_sums_not_of_pictures() {
        let estimate = ratio(&[(1, 1), (0, 3)]).unwrap();
        assert_eq!(estimate.value, 0.25);
        assert_eq!((estimate.low, estimate.high), (0.0, 1.0));
        assert_eq!(ratio(&[(0, 0)]), None);
    }

    #[test]
    fn draws_without_a_value_are_left_out() {
        let first = |counts: &[u32]| (counts[0] > 0).then_some(1.0);
        let estimate = bootstrap(3, first).unwrap();
        assert_eq!(
            (estimate.low, estimate.high, estimate.standard_error),
            (1.0, 1.0, 0.0)
        );
        assert_eq!(bootstrap(3, |_| None), None);
    }
}
