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
    let largest = factor_a.abs().max(factor_b.abs());
    if !(factor_a.is_finite() && factor_b.is_finite()) {
        return Err(FactorTooLarge(largest));
    }
    for shift in (1..=23u8).rev() {
        let scaled = |factor: f64| (factor * f64::from(1 << shift)).round_ties_even();
        if scaled(largest) <= f64::from(ops::Add::MULTIPLIER_MAX) {
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
