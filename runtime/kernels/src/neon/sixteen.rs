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
    match a {
        Some(a) => {
            for ((y, a), b) in y
                .chunks_mut(LANES)
                .zip(a.chunks(LANES))
                .zip(b.chunks(LANES))
            {
                put(f(sixteen(a), sixteen(b)), y);
            }
        }
        None => {
            for (y, b) in y.chunks_mut(LANES).zip(b.chunks(LANES)) {
                put(f(sixteen(y), sixteen(b)), y);
            }
        }
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
