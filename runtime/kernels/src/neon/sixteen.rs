//! Rows of values, sixteen at a time.

use core::arch::aarch64::*;

/// Values of a vector.
pub(super) const LANES: usize = 16;

/// The first sixteen values; those that are missing become zeros.
#[inline(always)]
pub(super) fn sixteen(values: &[i8]) -> int8x16_t {
    let mut short = [0_i8; LANES];
    let values = values.first_chunk::<LANES>().unwrap_or_else(|| {
        for (to, &from) in short.iter_mut().zip(values) {
            *to = from;
        }
        &short
    });
    // SAFETY: the reference is to sixteen values.
    unsafe { vld1q_s8(values.as_ptr()) }
}

/// Writes as many of sixteen values as there is room for.
#[inline(always)]
pub(super) fn put(values: int8x16_t, to: &mut [i8]) {
    if let Some(to) = to.first_chunk_mut::<LANES>() {
        // SAFETY: the reference is to sixteen values.
        unsafe { vst1q_s8(to.as_mut_ptr(), values) };
        return;
    }
    let mut bytes = [0_i8; LANES];
    // SAFETY: `bytes` has sixteen values.
    unsafe { vst1q_s8(bytes.as_mut_ptr(), values) };
    for (to, from) in to.iter_mut().zip(bytes) {
        *to = from;
    }
}

/// Writes a function of two rows; without `a`, of the row that is written.
#[inline(always)]
pub(super) fn each(
    a: Option<&[i8]>,
    b: &[i8],
    y: &mut [i8],
    f: impl Fn(int8x16_t, int8x16_t) -> int8x16_t,
) {
    let (chunks_b, rest_b) = b.as_chunks::<LANES>();
    let (chunks_y, rest_y) = y.as_chunks_mut::<LANES>();
    let (chunks_a, rest_a) = match a {
        Some(a) => {
            let (chunks, rest) = a.as_chunks::<LANES>();
            (Some(chunks), Some(rest))
        }
        None => (None, None),
    };
    match chunks_a {
        Some(chunks_a) => {
            for ((y, a), b) in chunks_y.iter_mut().zip(chunks_a).zip(chunks_b) {
                put(f(sixteen(a), sixteen(b)), y);
            }
        }
        None => {
            for (y, b) in chunks_y.iter_mut().zip(chunks_b) {
                put(f(sixteen(y), sixteen(b)), y);
            }
        }
    }
    if !rest_y.is_empty() {
        put(
            f(sixteen(rest_a.unwrap_or(rest_y)), sixteen(rest_b)),
            rest_y,
        );
    }
}

/// Sixteen values in 32 bits.
#[inline(always)]
pub(super) fn widen(values: int8x16_t) -> [int32x4_t; 4] {
    // SAFETY: AArch64 has Advanced SIMD.
    unsafe {
        let (low, high) = (vmovl_s8(vget_low_s8(values)), vmovl_high_s8(values));
        [
            vmovl_s16(vget_low_s16(low)),
            vmovl_high_s16(low),
            vmovl_s16(vget_low_s16(high)),
            vmovl_high_s16(high),
        ]
    }
}
