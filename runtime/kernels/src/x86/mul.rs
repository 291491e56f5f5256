//! Product of two tensors.

use core::arch::x86_64::*;

use ocellus_format::ops::Mul;

use super::Avx2;
use super::block_avx2::store;
use super::requantize::{Scale8, finish16_in_order};
use crate::{BinaryIo, generic::RowsOf, reference};

/// Values at a time.
const LANES: usize = 16;

pub(super) fn mul_s8(_: Avx2, p: &Mul, mut io: BinaryIo<'_>) {
    let done = RowsOf::new(&p.binary).is_some_and(|rows| {
        // SAFETY: the token proves AVX2.
        rows.for_each(&mut io, |a, b, y| unsafe { row(p, a, b, y) })
    });
    if !done {
        reference::mul_s8(p, io);
    }
}

#[target_feature(enable = "avx2")]
fn row(p: &Mul, a: Option<&[i8]>, b: &[i8], y: &mut [i8]) {
    let scale = Scale8::splat(p.requant);
    let zero_a = _mm256_set1_epi32(i32::from(p.zero_point_a));
    let zero_b = _mm256_set1_epi32(i32::from(p.zero_point_b));
    for (index, (y, b)) in y.chunks_mut(LANES).zip(b.chunks(LANES)).enumerate() {
        let a = match a {
            Some(a) => sixteen(a.get(index * LANES..).unwrap_or(&[])),
            None => sixteen(y),
        };
        let b = sixteen(b);
        let [low, high] = [0, 1].map(|half| {
            let (a, b) = if half == 0 {
                (a, b)
            } else {
                (_mm_srli_si128::<8>(a), _mm_srli_si128::<8>(b))
            };
            let a = _mm256_sub_epi32(_mm256_cvtepi8_epi32(a), zero_a);
            let b = _mm256_sub_epi32(_mm256_cvtepi8_epi32(b), zero_b);
            scale.apply::<false>(_mm256_mullo_epi32(a, b))
        });
        store(finish16_in_order(low, high, p.output), y);
    }
}

/// The first sixteen values; those that are missing become zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sixteen(values: &[i8]) -> __m128i {
    let mut short = [0_i8; LANES];
    let values = values.first_chunk::<LANES>().unwrap_or_else(|| {
        for (to, &from) in short.iter_mut().zip(values) {
            *to = from;
        }
        &short
    });
    // SAFETY: the reference is to sixteen bytes.
    unsafe { _mm_loadu_si128(values.as_ptr().cast()) }
}
