//! Reads and writes that cannot fail.

use ocellus_format::Requant;

/// Element `index`, or 0 outside.
#[inline]
pub(super) fn at<T: Copy + Default>(values: &[T], index: usize) -> T {
    values.get(index).copied().unwrap_or_default()
}

/// `len` elements from `start`; empty where they do not all lie inside.
#[inline]
pub(super) fn span<T>(values: &[T], start: usize, len: usize) -> &[T] {
    start
        .checked_add(len)
        .and_then(|end| values.get(start..end))
        .unwrap_or(&[])
}

/// `len` elements from `start`; empty where they do not all lie inside.
#[inline]
pub(super) fn span_mut<T>(values: &mut [T], start: usize, len: usize) -> &mut [T] {
    start
        .checked_add(len)
        .and_then(|end| values.get_mut(start..end))
        .unwrap_or(&mut [])
}

/// Writes element `index`, where there is one.
#[inline]
pub(super) fn put<T>(values: &mut [T], index: usize, value: T) {
    if let Some(slot) = values.get_mut(index) {
        *slot = value;
    }
}

/// Copies as many elements as both hold.
#[inline]
pub(super) fn copy(to: &mut [i8], from: &[i8]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// The rescale of channel `index`; outside, one that gives 0.
#[inline]
pub(super) fn requant_at(multipliers: &[i32], shifts: &[u8], index: usize) -> Requant {
    match (multipliers.get(index), shifts.get(index)) {
        (Some(&multiplier), Some(&shift)) => Requant { multiplier, shift },
        _ => Requant {
            multiplier: 0,
            shift: Requant::SHIFT_MAX,
        },
    }
}

/// Sum of products over the shorter of the two, wrapping.
#[inline]
pub(super) fn dot(acc: i32, x: &[i8], weights: &[i8]) -> i32 {
    x.iter().zip(weights).fold(acc, |acc, (&x, &w)| {
        acc.wrapping_add(i32::from(x) * i32::from(w))
    })
}

/// Sum of products with one value in place of the input, wrapping.
#[inline]
pub(super) fn dot_constant(acc: i32, x: i8, weights: &[i8]) -> i32 {
    weights
        .iter()
        .fold(acc, |acc, &w| acc.wrapping_add(i32::from(x) * i32::from(w)))
}
