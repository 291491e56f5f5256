//! A tile times a panel in vectors of 512 bits.
//!
//! `vpdpbusd` multiplies bytes without sign by bytes with sign: rows are handed over as `x + 128`, and the biases hold `-128` times the sum of a
//! channel's weights.

use core::arch::x86_64::*;

use super::Avx512Vnni;
use super::product::{Block, PANEL, QUAD, Step};
use super::requantize::{Scale16, load16};

/// Output channels of a vector.
const LANES: usize = 16;

/// Adds 128 to every value, as bytes without sign.
pub(super) fn offset(_: Avx512Vnni, tile: &mut [i8]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn run(tile: &mut [i8]) {
        for x in tile {
            *x ^= i8::MIN;
        }
    }
    // SAFETY: the token proves these features.
    unsafe { run(tile) };
}

/// Writes the outputs of a block.
pub(super) fn multiply(_: Avx512Vnni, block: &Block<'_>, y: &mut [i8]) {
    if !block.is_sound(y) {
        return;
    }
    // SAFETY: the token proves these features.
    unsafe {
        match (block.channels > LANES, block.high) {
            (true, true) => run::<6, 2, true>(block, y),
            (true, false) => run::<6, 2, false>(block, y),
            (false, true) => run::<12, 1, true>(block, y),
            (false, false) => run::<12, 1, false>(block, y),
        }
    }
}

/// `ROWS` rows with `VECTORS` vectors of channels at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn run<const ROWS: usize, const VECTORS: usize, const HIGH: bool>(block: &Block<'_>, y: &mut [i8]) {
    let stride = block.stride();
    let mut bias = [_mm512_setzero_si512(); VECTORS];
    for (vector, bias) in bias.iter_mut().enumerate() {
        *bias = load16(&block.scales.bias[vector * LANES..]);
    }
    for (to, rows) in block
        .to
        .chunks(ROWS)
        .zip(block.tile.chunks_exact(ROWS * stride))
    {
        let sums = sums::<ROWS, VECTORS>(rows, stride, block.panel, bias);
        for vector in 0..VECTORS {
            let scale = Scale16::load(block.scales, vector * LANES);
            let first = vector * LANES;
            let channels = block.channels.saturating_sub(first).min(LANES);
            let mask = ((1_u32 << channels) - 1) as __mmask16;
            for (sums, &to) in sums.iter().zip(to) {
                let out = scale.apply::<HIGH>(sums[vector], block.output);
                if let Some(to) = y.get_mut(to + first..to + first + channels) {
                    // SAFETY: the mask stores `channels` bytes, as many as `to` has.
                    unsafe {
                        _mm512_mask_cvtsepi32_storeu_epi8(to.as_mut_ptr(), mask, out);
                    }
                }
            }
        }
    }
}

/// Sums of `ROWS` rows with the panel's first `VECTORS` vectors of channels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn sums<const ROWS: usize, const VECTORS: usize>(
    rows: &[i8],
    stride: usize,
    panel: &[Step],
    bias: [__m512i; VECTORS],
) -> [[__m512i; VECTORS]; ROWS] {
    let mut acc = [bias; ROWS];
    if rows.len() < ROWS * stride || stride < panel.len() * QUAD || VECTORS * LANES > PANEL {
        return acc;
    }
    let mut x = rows.as_ptr();
    for step in panel {
        let mut w = [_mm512_setzero_si512(); VECTORS];
        for (vector, w) in w.iter_mut().enumerate() {
            // SAFETY: a step is 32 channels of four bytes, two vectors, and `VECTORS` is not above that.
            *w = unsafe { _mm512_loadu_si512(step.as_ptr().cast::<__m512i>().add(vector)) };
        }
        for (row, acc) in acc.iter_mut().enumerate() {
            // SAFETY: row `row` starts at `row * stride` and holds four bytes a step; this is a step of `panel`, and `stride` bytes are at
            // least four for each.
            let quad = unsafe { x.add(row * stride).cast::<i32>().read_unaligned() };
            let x = _mm512_set1_epi32(quad);
            for (acc, w) in acc.iter_mut().zip(w) {
                *acc = _mm512_dpbusd_epi32(*acc, x, w);
            }
        }
        x = x.wrapping_add(QUAD);
    }
    acc
}
