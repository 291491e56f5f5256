//! A tile times a panel in vectors of 256 bits.
//!
//! `maddubs` multiplies bytes without sign by bytes with sign, so the sign of the input moves to the weight. Weights lie in `-127..=127`, which `Simd::takes` saw to, and inputs
//! in `-128..=127`: a sum of two products is at most 32,512 and does not saturate.

use core::arch::x86_64::*;

use super::Avx2;
use super::product::{Block, PANEL, QUAD, Step};
use super::requantize::{Scale8, finish16_in_order, load8};

/// Input rows at a time.
const ROWS: usize = 4;
/// Output channels at a time.
const LANES: usize = 16;

/// Writes the outputs of a block.
pub(super) fn multiply(_: Avx2, block: &Block<'_>, y: &mut [i8]) {
    if block.is_sound(y) {
        // SAFETY: the token proves AVX2.
        unsafe {
            if block.high {
                run::<true>(block, y);
            } else {
                run::<false>(block, y);
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn run<const HIGH: bool>(block: &Block<'_>, y: &mut [i8]) {
    let stride = block.stride();
    for lane in (0..block.channels).step_by(LANES) {
        let channels = (block.channels - lane).min(LANES);
        let scales = [
            Scale8::load(block.scales, lane),
            Scale8::load(block.scales, lane + 8),
        ];
        let bias = [
            load8(&block.scales.bias[lane..]),
            load8(&block.scales.bias[lane + 8..]),
        ];
        for (to, rows) in block
            .to
            .chunks(ROWS)
            .zip(block.tile.chunks_exact(ROWS * stride))
        {
            let sums = sums(rows, stride, block.panel, lane, bias);
            for ([a, b], &to) in sums.into_iter().zip(to) {
                let [scale_a, scale_b] = scales;
                let out = finish16_in_order(
                    scale_a.apply::<HIGH>(a),
                    scale_b.apply::<HIGH>(b),
                    block.output,
                );
                store(
                    out,
                    y.get_mut(to + lane..to + lane + channels)
                        .unwrap_or_default(),
                );
            }
        }
    }
}

/// Stores the first `to.len()` of sixteen bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store(bytes: __m128i, to: &mut [i8]) {
    if let Some(to) = to.first_chunk_mut::<16>() {
        // SAFETY: the reference is to sixteen bytes.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), bytes) };
    } else {
        let mut all = [0_i8; 16];
        // SAFETY: `all` has sixteen bytes.
        unsafe { _mm_storeu_si128(all.as_mut_ptr().cast(), bytes) };
        for (to, byte) in to.iter_mut().zip(all) {
            *to = byte;
        }
    }
}

/// Sums of four rows with sixteen channels from `lane` on. `rows` holds four rows, each as long as the panel.
#[inline]
#[target_feature(enable = "avx2")]
fn sums(
    rows: &[i8],
    stride: usize,
    panel: &[Step],
    lane: usize,
    bias: [__m256i; 2],
) -> [[__m256i; 2]; ROWS] {
    let mut acc = [bias; ROWS];
    if rows.len() < ROWS * stride || stride < panel.len() * QUAD || lane + LANES > PANEL {
        return acc;
    }
    let ones = _mm256_set1_epi16(1);
    let mut x = rows.as_ptr();
    for step in panel {
        let weights = step.as_ptr().wrapping_add(lane).cast::<__m256i>();
        // SAFETY: `lane + 16 <= 32` channels of four bytes each, that is two vectors, lie inside the step.
        let w = unsafe {
            [
                _mm256_loadu_si256(weights),
                _mm256_loadu_si256(weights.add(1)),
            ]
        };
        for (row, acc) in acc.iter_mut().enumerate() {
            // SAFETY: row `row` starts at `row * stride` and holds four bytes a step; this is a step of `panel`, and `stride` bytes are at
            // least four for each.
            let quad = unsafe { x.add(row * stride).cast::<i32>().read_unaligned() };
            let x = _mm256_set1_epi32(quad);
            let magnitude = _mm256_abs_epi8(x);
            for (acc, w) in acc.iter_mut().zip(w) {
                let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(w, x));
                *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(pairs, ones));
            }
        }
        x = x.wrapping_add(QUAD);
    }
    acc
}
