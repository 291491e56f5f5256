//! Scale and zero point of a tensor, and real numbers into `s8`.

use ocellus_format::QParams;

/// Smallest scale of a tensor. One that is zero everywhere has a scale all the same.
const SCALE_MIN: f64 = 1e-20;

/// The parameters whose 256 steps cover a range; it is widened to contain zero, which is exact.
pub fn from_range(min: f32, max: f32) -> QParams {
    let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
    let width = max - min;
    if width <= 0.0 {
        return QParams {
            scale: 1.0 / 255.0,
            zero_point: -128,
        };
    }
    let scale = (width / 255.0).max(SCALE_MIN) as f32;
    let zero_point = (-128.0 - min / f64::from(scale))
        .round_ties_even()
        .clamp(-128.0, 127.0);
    QParams {
        scale,
        zero_point: zero_point as i32,
    }
}

/// The `s8` that stands for a real number: rule 1, in `f64`. Infinities saturate.
pub fn quantize_value(params: QParams, real: f64) -> i8 {
    // Below `2^51` a sum with this has no fraction: halves go to even. Quicker than a call of `rint`, which is what `round_ties_even` is on old x86.
    const INTEGERS: f64 = 1.5 * (1u64 << 52) as f64;
    let steps = (real / f64::from(params.scale)).clamp(-1e9, 1e9) + INTEGERS - INTEGERS;
    (steps + f64::from(params.zero_point)).clamp(-128.0, 127.0) as i8
}

/// The real number that an `s8` stands for, in `f64`.
pub fn dequantize_value(params: QParams, q: i8) -> f64 {
    f64::from(params.scale) * f64::from(i32::from(q) - params.zero_point)
}

/// The least and the largest real number that a scale reaches.
pub fn reach(params: QParams) -> (f32, f32) {
    let end = |q| dequantize_value(params, q) as f32;
    (end(i8::MIN), end(i8::MAX))
}

/// The table of a function of one value. Where it has none, the entry stands for 0.
pub fn table(input: QParams, output: QParams, f: impl Fn(f64) -> f64) -> Vec<i8> {
    (-128..=127i8)
        .map(|q| {
            let value = f(dequantize_value(input, q));
            quantize_value(output, if value.is_nan() { 0.0 } else { value })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_exact() {
        assert_eq!(
            from_range(0.0, 255.0),
            QParams {
                scale: 1.0,
                zero_point: -128
            }
        );
    }

    #[test]
    fn zero_is_exact_and_the_ends_are_reached() {
        for (min, max) in [
            (-1.0, 1.0),
            (-0.3, 7.0),
            (0.2, 5.0),
            (-5.0, -2.0),
            (-1e-10, 3e-9),
            (-3e38, 3e38),
            (0.0, 0.0),
        ] {
            let q = from_range(min, max);
            assert!(
                q.scale > 0.0 && q.scale.is_finite() && (-128..=127).contains(&q.zero_point),
                "{min}..{max}: {q:?}"
            );
            assert_eq!(dequantize_value(q, quantize_value(q, 0.0)), 0.0);
            for end in [min, max] {
                let error = dequantize_value(q, quantize_value(q, f64::from(end))) - f64::from(end);
                assert!(
                    error.abs() <= f64::from(q.scale) * 0.5001,
                    "{min}..{max}: {error}"
                );
            }
        }
    }

    #[test]
    fn values_round_as_their_own_method_does() {
        let q = QParams {
            scale: 0.7,
            zero_point: -3,
        };
        let halves = (-400..400).map(|i| f64::from(q.scale) * (f64::from(i) / 2.0));
        let others = (-9000..9000).map(|i| f64::from(i) / 83.0);
        let ends = [f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, -0.0];
        for real in halves.chain(others).chain(ends) {
            let steps = (real / f64::from(q.scale)).round_ties_even() - 3.0;
            assert_eq!(quantize_value(q, real), steps as i8, "{real}");
        }
    }

    #[test]
    fn a_table_of_the_identity_between_equal_scales_is_the_identity() {
        let q = from_range(-1.7, 4.2);
        assert!(table(q, q, |x| x).into_iter().eq(-128..=127));
        assert_eq!(table(q, q, |_| f64::INFINITY), [127; 256]);
        assert_eq!(table(q, q, |_| f64::NAN), [q.zero_point as i8; 256]);
    }
}
