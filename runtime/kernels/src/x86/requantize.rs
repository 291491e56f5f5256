//! Accumulators into outputs, eight or sixteen at a time. `docs/numerics.md`, rule 3.
//!
//! Two forms. From a shift of [`HIGH_SHIFT_MIN`] on, half a step is a multiple of `2^32`: the low word of the product never reaches the result, and
//! everything behind the multiplication happens in 32 bits. The wide form holds for every shift and stays in 64 bits until after it.

use core::arch::x86_64::*;

use ocellus_format::{Requant, ops::OutputS8};

/// Smallest shift of the form in 32 bits.
const HIGH_SHIFT_MIN: u8 = 33;

/// The wide form clamps here, far outside `s8` whatever the zero point, so that a sum with the zero point cannot overflow.
const WIDE_LIMIT: i64 = 1 << 20;

/// Biases and scales of `N` consecutive output channels, in the order of the accumulators' lanes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Scales<const N: usize> {
    pub(super) bias: [i32; N],
    multiplier: [i32; N],
    shift: [i32; N],
}

impl<const N: usize> Scales<N> {
    /// Outputs that are nobody's.
    pub(super) const NONE: Scales<N> = Scales {
        bias: [0; N],
        multiplier: [0; N],
        shift: [Requant::SHIFT_MAX as i32; N],
    };

    /// Sets what lane `lane` does.
    pub(super) fn set(&mut self, lane: usize, bias: i32, multiplier: i32, shift: u8) {
        self.bias[lane] = bias;
        self.multiplier[lane] = multiplier;
        self.shift[lane] = i32::from(shift);
    }
}

/// True where the form in 32 bits is exact for every channel.
pub(super) fn all_high(shifts: &[u8]) -> bool {
    shifts
        .iter()
        .all(|shift| (HIGH_SHIFT_MIN..=Requant::SHIFT_MAX).contains(shift))
}

/// Eight lanes of [`Scales`] in registers.
#[derive(Clone, Copy)]
pub(super) struct Scale8 {
    multiplier: __m256i,
    shift: __m256i,
}

impl Scale8 {
    /// Lanes `first..first + 8`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn load<const N: usize>(scales: &Scales<N>, first: usize) -> Scale8 {
        Scale8 {
            multiplier: load8(&scales.multiplier[first..first + 8]),
            shift: load8(&scales.shift[first..first + 8]),
        }
    }

    /// Eight multipliers with eight shifts.
    #[inline]
    pub(super) fn new(multiplier: __m256i, shift: __m256i) -> Scale8 {
        Scale8 { multiplier, shift }
    }

    /// The same scale in every lane.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn splat(r: Requant) -> Scale8 {
        Scale8 {
            multiplier: _mm256_set1_epi32(r.multiplier),
            shift: _mm256_set1_epi32(i32::from(r.shift)),
        }
    }

    /// Rescales, in the form that `HIGH` names.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn apply<const HIGH: bool>(self, acc: __m256i) -> __m256i {
        let even = _mm256_mul_epi32(acc, self.multiplier);
        let odd = _mm256_mul_epi32(
            _mm256_srli_epi64::<32>(acc),
            _mm256_srli_epi64::<32>(self.multiplier),
        );
        if HIGH {
            let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
            let half = _mm256_sllv_epi32(
                _mm256_set1_epi32(1),
                _mm256_sub_epi32(self.shift, _mm256_set1_epi32(i32::from(HIGH_SHIFT_MIN))),
            );
            let shift = _mm256_sub_epi32(self.shift, _mm256_set1_epi32(32));
            return _mm256_srav_epi32(_mm256_add_epi32(high, half), shift);
        }
        let even = shift_wide(
            even,
            _mm256_and_si256(self.shift, _mm256_set1_epi64x(0xffff_ffff)),
        );
        let odd = shift_wide(odd, _mm256_srli_epi64::<32>(self.shift));
        _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd))
    }
}

/// Rounding shift right of four 64-bit products, clamped to [`WIDE_LIMIT`].
#[inline]
#[target_feature(enable = "avx2")]
fn shift_wide(product: __m256i, shift: __m256i) -> __m256i {
    let one = _mm256_set1_epi64x(1);
    let half = _mm256_sllv_epi64(one, _mm256_sub_epi64(shift, one));
    let sum = _mm256_add_epi64(product, half);
    // There is no arithmetic shift of 64 bits: shift `sum + 2^63`, which is not negative, and take what that added away again.
    let offset = _mm256_set1_epi64x(i64::MIN);
    let value = _mm256_sub_epi64(
        _mm256_srlv_epi64(_mm256_xor_si256(sum, offset), shift),
        _mm256_srlv_epi64(offset, shift),
    );
    let (low, high) = (
        _mm256_set1_epi64x(-WIDE_LIMIT),
        _mm256_set1_epi64x(WIDE_LIMIT),
    );
    let value = _mm256_blendv_epi8(value, high, _mm256_cmpgt_epi64(value, high));
    _mm256_blendv_epi8(value, low, _mm256_cmpgt_epi64(low, value))
}

/// Zero point and clamp for sixteen rescaled values: lanes of `a` and `b` as `packs` interleaves them, that is `a0..4 b0..4 a4..8 b4..8`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn finish16(a: __m256i, b: __m256i, output: OutputS8) -> __m128i {
    let zero_point = _mm256_set1_epi32(i32::from(output.zero_point));
    let words = _mm256_packs_epi32(
        _mm256_add_epi32(a, zero_point),
        _mm256_add_epi32(b, zero_point),
    );
    let bytes = _mm_packs_epi16(
        _mm256_castsi256_si128(words),
        _mm256_extracti128_si256::<1>(words),
    );
    let bytes = _mm_max_epi8(bytes, _mm_set1_epi8(output.min));
    _mm_min_epi8(bytes, _mm_set1_epi8(output.max))
}

/// As [`finish16`], of `a0..8 b0..8`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn finish16_in_order(a: __m256i, b: __m256i, output: OutputS8) -> __m128i {
    finish16(
        _mm256_permute2x128_si256::<0x20>(a, b),
        _mm256_permute2x128_si256::<0x31>(a, b),
        output,
    )
}

/// Eight values; fewer become zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load8(values: &[i32]) -> __m256i {
    match values.first_chunk::<8>() {
        // SAFETY: the reference is to eight values.
        Some(values) => unsafe { _mm256_loadu_si256(values.as_ptr().cast()) },
        None => _mm256_setzero_si256(),
    }
}

/// Sixteen lanes of [`Scales`] in registers.
#[derive(Clone, Copy)]
pub(super) struct Scale16 {
    multiplier: __m512i,
    shift: __m512i,
}

impl Scale16 {
    /// Lanes `first..first + 16`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn load<const N: usize>(scales: &Scales<N>, first: usize) -> Scale16 {
        Scale16 {
            multiplier: load16(&scales.multiplier[first..first + 16]),
            shift: load16(&scales.shift[first..first + 16]),
        }
    }

    /// Rescales, in the form that `HIGH` names, adds the zero point and clamps.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn apply<const HIGH: bool>(self, acc: __m512i, output: OutputS8) -> __m512i {
        const ODD: __mmask16 = 0b1010_1010_1010_1010;
        let even = _mm512_mul_epi32(acc, self.multiplier);
        let odd = _mm512_mul_epi32(
            _mm512_srli_epi64::<32>(acc),
            _mm512_srli_epi64::<32>(self.multiplier),
        );
        let value = if HIGH {
            let high = _mm512_mask_blend_epi32(ODD, _mm512_srli_epi64::<32>(even), odd);
            let half = _mm512_sllv_epi32(
                _mm512_set1_epi32(1),
                _mm512_sub_epi32(self.shift, _mm512_set1_epi32(i32::from(HIGH_SHIFT_MIN))),
            );
            let shift = _mm512_sub_epi32(self.shift, _mm512_set1_epi32(32));
            _mm512_srav_epi32(_mm512_add_epi32(high, half), shift)
        } else {
            let wide = |product: __m512i, shift: __m512i| {
                let one = _mm512_set1_epi64(1);
                let half = _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one));
                let value = _mm512_srav_epi64(_mm512_add_epi64(product, half), shift);
                let value = _mm512_max_epi64(value, _mm512_set1_epi64(-WIDE_LIMIT));
                _mm512_min_epi64(value, _mm512_set1_epi64(WIDE_LIMIT))
            };
            let even = wide(
                even,
                _mm512_and_si512(self.shift, _mm512_set1_epi64(0xffff_ffff)),
            );
            let odd = wide(odd, _mm512_srli_epi64::<32>(self.shift));
            _mm512_mask_blend_epi32(ODD, even, _mm512_slli_epi64::<32>(odd))
        };
        let value = _mm512_add_epi32(value, _mm512_set1_epi32(i32::from(output.zero_point)));
        let value = _mm512_max_epi32(value, _mm512_set1_epi32(i32::from(output.min)));
        _mm512_min_epi32(value, _mm512_set1_epi32(i32::from(output.max)))
    }
}

/// Sixteen values; fewer become zeros.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load16(values: &[i32]) -> __m512i {
    match values.first_chunk::<16>() {
        // SAFETY: the reference is to sixteen values.
        Some(values) => unsafe { _mm512_loadu_si512(values.as_ptr().cast()) },
        None => _mm512_setzero_si512(),
    }
}
