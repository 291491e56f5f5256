//! Real factors into integer ones. `docs/numerics.md`, rule 3 and the row of `add`.

use ocellus_format::{Requant, ops};

/// A factor that no [`Requant`] or pair of multipliers expresses: not finite, or too large.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the change of scale {0:e} is too large for the integer arithmetic")]
pub struct FactorTooLarge(
    /// The factor.
    pub f64,
);

/// Splits a finite, normal number above zero into `m * 2^e`, `m` in `[0.5, 1)`.
fn split(value: f64) -> (f64, i32) {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    (
        f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52)),
        exponent,
    )
}

/// The integer form of a real factor; a negative one has a negative multiplier.
///
/// # Errors
/// [`FactorTooLarge`] above `2^29`, or where the factor is not a number.
pub fn requant(factor: f64) -> Result<Requant, FactorTooLarge> {
    let zero = Requant {
        multiplier: 0,
        shift: Requant::SHIFT_MAX,
    };
    if !factor.is_finite() {
        return Err(FactorTooLarge(factor));
    }
    if factor.abs() < f64::MIN_POSITIVE {
        return Ok(zero);
    }
    let (mantissa, exponent) = split(factor.abs());
    let mut multiplier = (mantissa * 2f64.powi(31)).round_ties_even() as i64;
    let mut shift = 31 - exponent;
    if multiplier == 1 << 31 {
        multiplier = 1 << 30;
        shift -= 1;
    }
    if shift > i32::from(Requant::SHIFT_MAX) {
        return Ok(zero);
    }
    if shift < i32::from(Requant::SHIFT_MIN) {
        return Err(FactorTooLarge(factor));
    }
    let magnitude = multiplier as i32;
    Ok(Requant {
        multiplier: if factor < 0.0 { -magnitude } else { magnitude },
        shift: shift as u8,
    })
}

/// Where accumulators are likely to lie.
#[derive(Clone, Copy, Debug)]
pub struct Likely {
    /// The middle.
    pub middle: f64,
    /// How far from it is still usual.
    pub deviation: f64,
}

/// How far from its zero point a tensor of a quantized file usually is, in steps.
pub const USUAL_STEPS: f64 = 40.0;

/// Multipliers that are tried on either side of the exact one: single precision's own error reaches no farther.
const NEIGHBOURS: i64 = 512;

/// Accumulators up to here are exact in single precision.
const EXACT_IN_F32: f64 = (1u32 << 24) as f64;

/// What runs quantized files rescales in single precision, halves to even.
pub fn single_precision(factor: f32) -> impl Fn(i64) -> i64 {
    move |acc| (acc as f32 * factor).round_ties_even() as i64
}

/// The integer form of a factor between a file's own scales that rounds as `peer` does. Near halves the peer's result differs from that of the exact factor; of
/// the multipliers around the exact one this gives the peer's result for most accumulators, those near `likely` first. `steps` are the least and the largest
/// result that no limit cuts off, without the zero point.
///
/// # Errors
/// [`FactorTooLarge`], as [`requant`]
pub fn requant_as(
    peer: impl Fn(i64) -> i64,
    factor: f64,
    steps: [i32; 2],
    likely: Likely,
) -> Result<Requant, FactorTooLarge> {
    let exact = requant(factor)?;
    if exact.multiplier <= 0 || exact.shift >= Requant::SHIFT_MAX {
        return Ok(exact);
    }
    let nominal = i64::from(exact.multiplier);
    let limits = limits_beside_halves(&peer, factor, exact, steps, likely);
    let missed = |multiplier: i64| -> f64 {
        let missed = limits.iter().filter(|limit| !limit.admits(multiplier));
        missed.map(|limit| limit.weight).sum()
    };
    let tried = std::iter::once(nominal)
        .chain(limits.iter().map(|limit| limit.multiplier))
        .filter(|multiplier| *multiplier < 1 << 31);
    let best = tried
        .map(|multiplier| (missed(multiplier), (multiplier - nominal).abs(), multiplier))
        .min_by(|a, b| (a.0.total_cmp(&b.0)).then((a.1, a.2).cmp(&(b.1, b.2))));
    let multiplier = best.map_or(nominal, |(.., multiplier)| multiplier);
    // One below `2^30` is the same factor with twice the multiplier.
    let short = multiplier < 1 << 30;
    Ok(Requant {
        multiplier: (multiplier << u8::from(short)) as i32,
        shift: exact.shift + u8::from(short),
    })
}

/// What an accumulator asks of the multiplier.
struct Limit {
    multiplier: i64,
    /// Not below `multiplier`, else not above it.
    at_least: bool,
    weight: f64,
}

impl Limit {
    fn admits(&self, multiplier: i64) -> bool {
        if self.at_least {
            multiplier >= self.multiplier
        } else {
            multiplier <= self.multiplier
        }
    }
}

/// What the accumulators on both sides of each half ask for, as far as multipliers beside the exact one can miss it.
fn limits_beside_halves(
    peer: &impl Fn(i64) -> i64,
    factor: f64,
    exact: Requant,
    steps: [i32; 2],
    likely: Likely,
) -> Vec<Limit> {
    let mut limits = Vec::new();
    for above in i64::from(steps[0]) + 1..=i64::from(steps[1]) {
        let half = (above as f64 - 0.5) / factor;
        if half.abs() > EXACT_IN_F32 {
            continue;
        }
        let mut first = half.floor() as i64 - 1;
        while peer(first) < above {
            first += 1;
        }
        let edge = (i128::from(above) << exact.shift) - (1 << (exact.shift - 1));
        for (acc, reaches) in [(first - 1, false), (first, true)] {
            // `acc * multiplier >= edge` where the result is reached, below it where not; in both with a positive `acc`.
            let edge = if reaches { edge } else { edge - 1 };
            let (at_least, edge, acc_abs) = match acc {
                0 => continue,
                1.. => (reaches, edge, i128::from(acc)),
                _ => (!reaches, -edge, -i128::from(acc)),
            };
            let multiplier = if at_least {
                -(-edge).div_euclid(acc_abs)
            } else {
                edge.div_euclid(acc_abs)
            };
            if (multiplier - i128::from(exact.multiplier)).abs() <= i128::from(NEIGHBOURS) {
                let far = (acc as f64 - likely.middle) / likely.deviation;
                limits.push(Limit {
                    multiplier: multiplier as i64,
                    at_least,
                    weight: 1.0 / (1.0 + far * far),
                });
            }
        }
    }
    limits
}

/// True where every fast kernel rescales in its short form: `shift` in `33..=55`, or a multiplier of 0.
pub fn is_fast(r: Requant) -> bool {
    r.multiplier == 0 || (33..=55).contains(&r.shift)
}

/// Multipliers and shift of an addition: `(a - za) * ma + (b - zb) * mb`, shifted, with the largest shift that the format allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddFactors {
    /// Of the first operand.
    pub multiplier_a: i32,
    /// Of the second operand.
    pub multiplier_b: i32,
    /// Bits to shift right.
    pub shift: u8,
}

/// The integer form of two real factors that share a shift.
///
/// # Errors
/// [`FactorTooLarge`] above `2^21`.
pub fn add_factors(factor_a: f64, factor_b: f64) -> Result<AddFactors, FactorTooLarge> {
    factors_up_to(f64::from(ops::Add::MULTIPLIER_MAX), factor_a, factor_b)
}

/// As [`add_factors`], with those of XNNPACK: the larger one has 21 bits.
///
/// # Errors
/// [`FactorTooLarge`] above `2^20`.
pub fn add_factors_of_21_bits(factor_a: f32, factor_b: f32) -> Result<AddFactors, FactorTooLarge> {
    let largest = f64::from((1u32 << 21) - 1);
    factors_up_to(largest, f64::from(factor_a), f64::from(factor_b))
}

fn factors_up_to(
    multiplier_max: f64,
    factor_a: f64,
    factor_b: f64,
) -> Result<AddFactors, FactorTooLarge> {
    let largest = factor_a.abs().max(factor_b.abs());
    if !(factor_a.is_finite() && factor_b.is_finite()) {
        return Err(FactorTooLarge(largest));
    }
    for shift in (1..=23u8).rev() {
        let scaled = |factor: f64| (factor * f64::from(1 << shift)).round_ties_even();
        if scaled(largest) <= multiplier_max {
            return Ok(AddFactors {
                multiplier_a: scaled(factor_a) as i32,
                multiplier_b: scaled(factor_b) as i32,
                shift,
            });
        }
    }
    Err(FactorTooLarge(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(r: Requant) -> f64 {
        f64::from(r.multiplier) / 2f64.powi(i32::from(r.shift))
    }

    /// A stream of numbers for tests; splitmix64.
    fn numbers(seed: u64) -> impl Iterator<Item = u64> {
        (1..).map(move |i: u64| {
            let mut z = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }

    #[test]
    fn requant_is_within_half_a_bit_of_the_factor() {
        for n in numbers(7).take(20_000) {
            let factor = (1.0 + (n >> 12) as f64 / 2f64.powi(52)) * 2f64.powi((n % 57) as i32 - 30);
            let r = requant(factor).unwrap();
            assert!(r.is_valid(), "{factor:e}: {r:?}");
            assert!(
                ((value(r) - factor) / factor).abs() <= 2f64.powi(-31),
                "{factor:e}: {r:?}"
            );
            assert_eq!(requant(-factor).unwrap().multiplier, -r.multiplier);
        }
    }

    #[test]
    fn requant_at_the_edges() {
        assert_eq!(
            requant(0.5).unwrap(),
            Requant {
                multiplier: 1 << 30,
                shift: 31
            }
        );
        assert_eq!(
            requant(1.0).unwrap(),
            Requant {
                multiplier: 1 << 30,
                shift: 30
            }
        );
        // The mantissa rounds up to 2^31.
        assert_eq!(
            requant(1.0 - 2f64.powi(-40)).unwrap(),
            Requant {
                multiplier: 1 << 30,
                shift: 30
            }
        );
        assert_eq!(
            requant(0.0).unwrap(),
            Requant {
                multiplier: 0,
                shift: 62
            }
        );
        assert_eq!(
            requant(2f64.powi(-33)).unwrap(),
            Requant {
                multiplier: 0,
                shift: 62
            }
        );
        assert_eq!(
            requant(2f64.powi(-32)).unwrap(),
            Requant {
                multiplier: 1 << 30,
                shift: 62
            }
        );
        assert_eq!(requant(2f64.powi(27)).unwrap().shift, 3);
        assert!(requant(2f64.powi(29)).is_err());
        assert!(requant(f64::NAN).is_err());
        assert!(requant(f64::INFINITY).is_err());
    }

    #[test]
    fn fast_range_is_a_factor_below_a_quarter() {
        assert!(is_fast(requant(0.2499).unwrap()));
        assert!(!is_fast(requant(0.25).unwrap()));
        assert!(is_fast(requant(2f64.powi(-25)).unwrap()));
        assert!(!is_fast(requant(2f64.powi(-26)).unwrap()));
        assert!(is_fast(requant(0.0).unwrap()));
    }

    fn rescaled(r: Requant, acc: i64) -> i64 {
        (acc * i64::from(r.multiplier) + (1 << (r.shift - 1))) >> r.shift
    }

    const ANYWHERE: Likely = Likely {
        middle: 0.0,
        deviation: 1e4,
    };

    #[test]
    fn a_files_factor_rounds_as_single_precision_does() {
        let (mut by_exact, mut by_fitted) = (0, 0);
        for n in numbers(5).take(600) {
            let factor = (1.0 + (n >> 41) as f32 / 2f32.powi(23)) * 2f32.powi(-8);
            let peer = single_precision(factor);
            let exact = requant(f64::from(factor)).unwrap();
            let fitted = requant_as(&peer, f64::from(factor), [-128, 127], ANYWHERE).unwrap();
            assert!(fitted.is_valid(), "{factor:e}: {fitted:?}");
            // All accumulators whose result is not cut off.
            let last = (127.0 / factor) as i64;
            for acc in -last..=last {
                let wanted = peer(acc);
                by_exact += i64::from(rescaled(exact, acc) != wanted);
                by_fitted += i64::from(rescaled(fitted, acc) != wanted);
                assert!((rescaled(fitted, acc) - wanted).abs() <= 1);
            }
        }
        assert!(
            by_exact > 50 && by_fitted * 3 < by_exact,
            "{by_exact} {by_fitted}"
        );
    }

    #[test]
    fn the_likely_accumulators_come_first() {
        // All odd multiples of 4 are halves, and go to even: 0.5 to 0, 1.5 to 2. One multiplier sends all of a sign the same way.
        let factor = 0.125;
        let near = |middle: f64| Likely {
            middle,
            deviation: 1.0,
        };
        let of = |likely| requant_as(single_precision(factor), 0.125, [-128, 127], likely).unwrap();
        assert_eq!(rescaled(of(near(4.0)), 4), 0);
        assert_eq!(rescaled(of(near(12.0)), 12), 2);
        assert_eq!(rescaled(of(near(-4.0)), -4), 0);
        assert_eq!(rescaled(of(near(-12.0)), -12), -2);
    }

    /// Channel 16 of the first layer of MLPerf Tiny's kws_ref_int8.tflite: what `docs/testing.md` says of its outputs begins here.
    #[test]
    fn single_precision_is_no_line() {
        let factor = 0.011_739_915_f32;
        let peer = single_precision(factor);
        let accs = [1_661, 3 * 1_661, 9 * 1_661];
        // The real products lie just below 19.5, 58.5 and 175.5. Of a line, the first and the second result want less than 19.5 in 1,661, the second and
        // the third more: neither another multiplier nor an offset before the shift gives all three.
        assert_eq!(accs.map(&peer), [20, 58, 176]);
        let fitted = requant_as(&peer, f64::from(factor), [0, 255], ANYWHERE).unwrap();
        let missed = accs
            .iter()
            .filter(|&&acc| rescaled(fitted, acc) != peer(acc));
        assert!((1..3).contains(&missed.count()), "{fitted:?}");
    }

    #[test]
    fn a_factor_without_results_beside_halves_stays_exact() {
        let exact = requant(1e-9).unwrap();
        let fitted = requant_as(single_precision(1e-9), 1e-9, [-128, 127], ANYWHERE).unwrap();
        assert_eq!(fitted, exact);
        assert!(requant_as(single_precision(1e20), 1e20, [-128, 127], ANYWHERE).is_err());
    }

    #[test]
    fn factors_of_21_bits_are_those_of_xnnpack() {
        // 0.75 * 2^19 and the nearest to 2.045213 * 2^19: the larger has 21 bits.
        let f = add_factors_of_21_bits(0.75, 2.045_213).unwrap();
        assert_eq!(
            (f.multiplier_a, f.multiplier_b, f.shift),
            (393_216, 1_072_281, 19)
        );
        let f = add_factors_of_21_bits(1.0, -0.25).unwrap();
        assert_eq!(
            (f.multiplier_a, f.multiplier_b, f.shift),
            (1 << 20, -(1 << 18), 20)
        );
    }

    #[test]
    fn add_factors_keep_the_larger_one_to_21_bits() {
        for n in numbers(3).take(10_000) {
            let a = (1.0 + (n >> 12) as f64 / 2f64.powi(52)) * 2f64.powi((n % 20) as i32 - 10);
            let b = -a * ((n % 1000) as f64 / 1000.0);
            let f = add_factors(a, b).unwrap();
            let unit = 2f64.powi(-i32::from(f.shift));
            assert!(
                f.multiplier_a.abs() <= ops::Add::MULTIPLIER_MAX && (1..=23).contains(&f.shift)
            );
            assert!((f64::from(f.multiplier_a) * unit - a).abs() <= unit / 2.0);
            assert!((f64::from(f.multiplier_b) * unit - b).abs() <= unit / 2.0);
            // No larger shift would have done.
            assert!(f.shift == 23 || a / unit * 2.0 > f64::from(ops::Add::MULTIPLIER_MAX));
        }
        assert!(add_factors(2f64.powi(22), 0.0).is_err());
    }
}
