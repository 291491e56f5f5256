//! Sums of products where neither side was prepared.

use super::rows::RUN;
use super::simd::{both_halves, even, minus, odd, partial_word, smlabb, smlad, smlatb, word};

/// `acc + sum((x - zero_point_x) * (w - zero_point_w))` over as many values as both have.
pub(super) fn dot(acc: i32, x: &[i8], zero_point_x: i8, w: &[i8], zero_point_w: i8) -> i32 {
    let len = x.len().min(w.len());
    let (zero_x, zero_w) = (both_halves(zero_point_x), both_halves(zero_point_w));
    let (x, x_rest) = x.get(..len).unwrap_or(&[]).as_chunks::<RUN>();
    let (w, w_rest) = w.get(..len).unwrap_or(&[]).as_chunks::<RUN>();
    let sum = x.iter().zip(w).fold(acc, |sum, (x, w)| {
        let (x, w) = (word(x), word(w));
        let sum = smlad(minus(even(x), zero_x), minus(even(w), zero_w), sum);
        smlad(minus(odd(x), zero_x), minus(odd(w), zero_w), sum)
    });
    x_rest.iter().zip(w_rest).fold(sum, |sum, (&x, &w)| {
        let x = i32::from(x) - i32::from(zero_point_x);
        sum.wrapping_add(x * (i32::from(w) - i32::from(zero_point_w)))
    })
}

/// Four sums of `k` products of one column of factors, `step` apart, with rows of `b`, `row` apart; of a row as many of the four as it has.
pub(super) fn dot_rows(
    a: &[i8],
    step: usize,
    zero_point_a: i8,
    b: &[i8],
    row: usize,
    zero_point_b: i8,
    k: usize,
) -> [i32; RUN] {
    let zero = both_halves(zero_point_b);
    let mut sums = [0; RUN];
    for i in 0..k {
        let factor = a.get(i * step).copied().unwrap_or(zero_point_a);
        let factor = (i32::from(factor) - i32::from(zero_point_a)) as u32;
        let b = b.get(i * row..).unwrap_or(&[]);
        let values = match b.first_chunk() {
            Some(four) => word(four),
            None => partial_word(b),
        };
        let (even, odd) = (minus(even(values), zero), minus(odd(values), zero));
        let [s0, s1, s2, s3] = sums;
        sums = [
            smlabb(even, factor, s0),
            smlabb(odd, factor, s1),
            smlatb(even, factor, s2),
            smlatb(odd, factor, s3),
        ];
    }
    sums
}
