use ocellus_format::ops::Softmax;

use super::access::{at, span, span_mut};
use crate::SoftmaxIo;

/// Softmax over the innermost axis: exponentials from a table by the distance from the row's maximum, one rounded division each.
pub fn softmax_s8(p: &Softmax, io: SoftmaxIo<'_>) {
    let n = p.n as usize;
    for row in 0..p.rows as usize {
        let x = span(io.x, row * n, n);
        let y = span_mut(io.y, row * n, n);
        let largest = i32::from(x.iter().copied().max().unwrap_or(0));
        let exponential = |x: i8| at(io.table, (largest - i32::from(x)) as usize);
        let sum = x
            .iter()
            .fold(0_u32, |sum, &x| sum.wrapping_add(exponential(x)));
        for (y, &x) in y.iter_mut().zip(x) {
            let scaled = exponential(x)
                .wrapping_shl(p.out_bits.into())
                .wrapping_add(sum / 2);
            // The largest value's exponential is 2^exp_bits, so a sum of a sound table is never 0.
            let q = scaled.checked_div(sum).unwrap_or(0);
            *y = (i64::from(q) - 128).min(127) as i8;
        }
    }
}
