use ocellus_format::ops::LayerNorm;

use super::access::{at, requant_at, span, span_mut};
use super::requantize;
use crate::LayerNormIo;

/// Rows of mean 0 and variance 1, scaled and shifted: exact sums, one square root and one reciprocal a row.
pub fn layer_norm_s8(p: &LayerNorm, io: LayerNormIo<'_>) {
    let n = p.n as usize;
    let (mut parameter, mut run) = (0, 0);
    for row in 0..p.rows as usize {
        let x = span(io.x, row * n, n);
        let normal = Normal::of(p, x);
        for (y, &x) in span_mut(io.y, row * n, n).iter_mut().zip(x) {
            let scaled = requantize(
                normal.value(x),
                requant_at(io.multipliers, io.shifts, parameter),
            );
            let shifted = scaled.saturating_add(at(io.offsets, parameter));
            let half = 1 << (LayerNorm::OFFSET_BITS - 1);
            *y = p
                .output
                .finish(shifted.saturating_add(half) >> LayerNorm::OFFSET_BITS);
            run += 1;
            if run >= p.run {
                run = 0;
                parameter += 1;
                if parameter >= p.parameters as usize {
                    parameter = 0;
                }
            }
        }
    }
}

/// How the values of a row become normal ones.
struct Normal {
    zero_point: i32,
    n: i32,
    sum: i32,
    reciprocal: i64,
    shift: u32,
}

impl Normal {
    fn of(p: &LayerNorm, x: &[i8]) -> Normal {
        let zero_point = i32::from(p.zero_point_in);
        let (mut sum, mut squares) = (0_i32, 0_u64);
        for &x in x {
            let d = i32::from(x) - zero_point;
            sum = sum.wrapping_add(d);
            squares = squares.wrapping_add((d * d) as u64);
        }
        if !p.centered {
            sum = 0;
        }
        // n^2 times the variance: below 2^48, and not negative.
        let square = i64::from(sum).wrapping_mul(i64::from(sum)) as u64;
        let variance = u64::from(p.n).wrapping_mul(squares).wrapping_sub(square);
        let variance = (variance << LayerNorm::VARIANCE_BITS).wrapping_add(p.epsilon);
        // A root of 32 bits whatever the variance.
        let up = variance.leading_zeros() / 2;
        let root = root(variance.wrapping_shl(2 * up));
        let reciprocal = (1_u64 << 63).checked_div(root).unwrap_or(0);
        Normal {
            zero_point,
            n: p.n as i32,
            sum,
            reciprocal: reciprocal as i64,
            shift: 63_u32
                .wrapping_sub(LayerNorm::NORMAL_BITS + LayerNorm::VARIANCE_BITS / 2)
                .wrapping_sub(up),
        }
    }

    /// With [`LayerNorm::NORMAL_BITS`] behind the point.
    fn value(&self, x: i8) -> i32 {
        let d = i32::from(x) - self.zero_point;
        let centered = self.n.wrapping_mul(d).wrapping_sub(self.sum);
        let half = 1_i64.wrapping_shl(self.shift.wrapping_sub(1));
        let product = i64::from(centered).wrapping_mul(self.reciprocal);
        product.wrapping_add(half).wrapping_shr(self.shift) as i32
    }
}

/// The square root, rounded down.
fn root(square: u64) -> u64 {
    let mut root = 0_u64;
    let mut rest = square;
    let mut bit = 1_u64 << 62;
    while bit > 0 {
        let candidate = root | bit;
        root >>= 1;
        if rest >= candidate {
            rest -= candidate;
            root |= bit;
        }
        bit >>= 2;
    }
    root
}
