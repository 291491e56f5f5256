//! Counts of values, whose range grows with what it sees.
//!
//! A bin is a power of two wide and bin edges are multiples of it, so growing merges pairs of bins and loses nothing: the result depends on
//! the values alone, not on their order.

/// Bins of every histogram.
pub const BIN_COUNT: usize = 2048;

/// Smallest exponent of a bin's width; what is finer counts as equal.
const EXPONENT_MIN: i32 = -60;

/// Largest magnitude of the first bin's number: a value's bin is found in `f32` arithmetic, which is exact up to here.
const START_MAX: f64 = (1 << 24) as f64;

/// A histogram of finite values.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Bin `i` counts the values in `[(start + i) * width, (start + i + 1) * width)`.
    start: i64,
    exponent: i32,
    counts: Vec<u64>,
    total: u64,
    min: f32,
    max: f32,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            start: 0,
            exponent: EXPONENT_MIN,
            counts: vec![0; BIN_COUNT],
            total: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }
}

/// Quicker than a call, which `f32::floor` is on old x86.
fn floor(value: f32) -> i64 {
    let towards_zero = value as i64;
    towards_zero - i64::from(towards_zero as f32 > value)
}

impl Histogram {
    /// Adds values. Returns false, and adds nothing, where one is not finite.
    pub fn add(&mut self, values: &[f32]) -> bool {
        let (mut min, mut max, mut finite) = (f32::INFINITY, f32::NEG_INFINITY, true);
        for &value in values {
            min = min.min(value);
            max = max.max(value);
            finite &= value.is_finite();
        }
        if !finite {
            return false;
        }
        if values.is_empty() {
            return true;
        }
        self.reach(min, max);
        let inverse = 2f32.powi(-self.exponent);
        for &value in values {
            let bin = floor(value * inverse) - self.start;
            self.counts[bin.clamp(0, BIN_COUNT as i64 - 1) as usize] += 1;
        }
        self.total += values.len() as u64;
        true
    }

    /// Makes every value from `min` to `max` fall into a bin.
    fn reach(&mut self, min: f32, max: f32) {
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        let index = |value: f32, exponent: i32| (f64::from(value) * 2f64.powi(-exponent)).floor();
        let mut exponent = self.exponent;
        while index(self.max, exponent) - index(self.min, exponent) >= BIN_COUNT as f64
            || index(self.min, exponent).abs() > START_MAX
        {
            exponent += 1;
        }
        let start = index(self.min, exponent) as i64;
        if (exponent, start) == (self.exponent, self.start) {
            return;
        }
        let mut counts = vec![0; BIN_COUNT];
        for (bin, &count) in self
            .counts
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0)
        {
            let moved = ((self.start + bin as i64) >> (exponent - self.exponent).min(63)) - start;
            counts[moved.clamp(0, BIN_COUNT as i64 - 1) as usize] += count;
        }
        (self.start, self.exponent, self.counts) = (start, exponent, counts);
    }

    /// Values seen.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The smallest and largest value seen; `None` before the first.
    pub fn min_max(&self) -> Option<(f32, f32)> {
        (self.total > 0).then_some((self.min, self.max))
    }

    /// Bins with their lower edge and width, in order.
    pub fn bins(&self) -> impl Iterator<Item = (f64, f64, u64)> + '_ {
        let width = 2f64.powi(self.exponent);
        self.counts
            .iter()
            .enumerate()
            .map(move |(bin, &count)| ((self.start + bin as i64) as f64 * width, width, count))
    }

    /// The value below which a share `p` (0 to 1) of the values lies, between bin edges by proportion, never outside what was seen.
    pub fn quantile(&self, p: f64) -> Option<f32> {
        let (min, max) = self.min_max()?;
        let wanted = p.clamp(0.0, 1.0) * self.total as f64;
        let mut below = 0.0;
        for (edge, width, count) in self.bins() {
            let count = count as f64;
            if count > 0.0 && below + count >= wanted {
                let value = edge + width * ((wanted - below) / count);
                return Some((value as f32).clamp(min, max));
            }
            below += count;
        }
        Some(max)
    }

    /// The range that an 8-bit scale should cover so that the mean squared error, of rounding inside and clipping outside, is least.
    /// Contains zero.
    pub fn least_error_range(&self) -> Option<(f32, f32)> {
        let (min, max) = self.min_max()?;
        let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        let error = |low: f64, high: f64| {
            let step = (high - low) / 255.0;
            let rounding = step * step / 12.0;
            self.bins()
                .filter(|&(_, _, count)| count > 0)
                .map(|(edge, width, count)| {
                    let value = (edge + width / 2.0).clamp(min, max);
                    let outside = (low - value).max(value - high).max(0.0);
                    count as f64 * (rounding + outside * outside)
                })
                .sum::<f64>()
        };
        let (low, high) = narrowed((min, max), 70, error);
        Some((low as f32, high as f32))
    }
}

/// The part of a range, which contains zero, of the least error: each side is shortened by up to `steps` hundredths of its length.
pub(crate) fn narrowed(
    (min, max): (f64, f64),
    steps: u32,
    error: impl Fn(f64, f64) -> f64,
) -> (f64, f64) {
    let (mut low, mut high) = (min, max);
    // One side, then the other, twice: the error is nearly separable.
    for _ in 0..2 {
        let mut best = error(low, high);
        for step in 1..=steps {
            let candidate = max * (1.0 - f64::from(step) / 100.0);
            let e = error(low, candidate);
            if e < best {
                (best, high) = (e, candidate);
            }
        }
        for step in 1..=steps {
            let candidate = min * (1.0 - f64::from(step) / 100.0);
            let e = error(candidate, high);
            if e < best {
                (best, low) = (e, candidate);
            }
        }
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_below_are_those_of_floor() {
        let quarters = (-4_000..4_000).map(|i| i as f32 / 4.0);
        let large = [16_777_216.0, 33_554_436.0, 0.49999997, 1e-40].into_iter();
        for value in quarters.chain(large.flat_map(|v: f32| [v, -v])) {
            assert_eq!(floor(value), value.floor() as i64, "{value}");
        }
    }

    fn noise(count: usize, scale: f32) -> Vec<f32> {
        let mut state = 12345u32;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * scale
            })
            .collect()
    }

    #[test]
    fn the_order_of_batches_does_not_matter() {
        let (small, large) = (noise(1000, 0.01), noise(1000, 300.0));
        let (mut a, mut b) = (Histogram::default(), Histogram::default());
        assert!(a.add(&small) && a.add(&large));
        assert!(b.add(&large) && b.add(&small));
        assert_eq!(a, b);
        assert_eq!(a.total(), 2000);
        assert_eq!(a.bins().map(|(.., count)| count).sum::<u64>(), 2000);
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let ramp: Vec<f32> = (0..100_000).map(|i| i as f32 / 1000.0).collect();
        let mut h = Histogram::default();
        assert!(h.add(&ramp));
        for p in [0.0, 0.1, 0.5, 0.9, 0.999, 1.0] {
            let q = h.quantile(p).unwrap();
            assert!((f64::from(q) - p * 100.0).abs() < 0.1, "{p}: {q}");
        }
        assert_eq!(h.min_max(), Some((0.0, 99.999)));
    }

    #[test]
    fn one_outlier_is_clipped_by_least_error() {
        let mut values = noise(100_000, 2.0);
        values.push(50.0);
        let mut h = Histogram::default();
        assert!(h.add(&values));
        let (low, high) = h.least_error_range().unwrap();
        // Least where `50 - high = (high + 1) * 100000 / (12 * 255^2)`.
        assert!(
            (-1.0..=-0.95).contains(&low) && (43.0..=45.5).contains(&high),
            "{low}..{high}"
        );
    }

    #[test]
    fn values_that_are_not_numbers_are_refused_whole() {
        let mut h = Histogram::default();
        assert!(!h.add(&[1.0, f32::NAN]));
        assert!(!h.add(&[f32::INFINITY]));
        assert_eq!(h.min_max(), None);
        assert!(h.add(&[0.0, 0.0]));
        assert_eq!(h.min_max(), Some((0.0, 0.0)));
    }

    #[test]
    fn extreme_ranges_do_not_overflow() {
        let mut h = Histogram::default();
        assert!(h.add(&[1e-30, -1e-30]));
        assert!(h.add(&[3e38, -3e38]));
        assert_eq!(h.total(), 4);
        assert_eq!(h.quantile(1.0), Some(3e38));
    }
}
