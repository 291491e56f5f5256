//! Depthwise 2-D convolution of `s8` by `s8`, sixteen channels at a time; a channel multiplier of 1, weights `Hwc`.
//!
//! Taps go in pairs: the words of two taps are interleaved, and one `madd` multiplies both and adds. A tap in the padding reads a row of zero points.

use core::arch::x86_64::*;

use ocellus_format::{Isa, ops::DepthwiseConv2d};

use super::Avx2;
use super::block_avx2::store;
use super::requantize::{Scale8, Scales, all_high, finish16, load8};
use super::simd::Simd;
use crate::{ConvIo, reference, select};

/// Channels of a block.
const LANES: usize = 16;
/// Taps of a window at most.
const WINDOW_MAX: usize = select::WINDOW_MAX as usize;
/// Pairs of taps times blocks that are packed at a time.
const PAIRS: usize = 512;
/// Blocks that are packed at a time at most.
const BLOCKS: usize = 64;

/// Channels in the order of the lanes that interleaving makes: first those of the low halves, then those of the high halves.
const ORDER: [usize; LANES] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];

/// Weights of two taps of sixteen channels, in the order of [`ORDER`].
type Pair = [[i16; 2]; LANES];

pub(super) fn depthwise_conv_2d_s8(simd: Simd, p: &DepthwiseConv2d, io: ConvIo<'_>) {
    let w = &p.window;
    let channels = p.in_c as usize;
    let window = w.kernel_h as usize * w.kernel_w as usize;
    if select::depthwise_conv_2d(simd.isa(), p).isa == Isa::Reference
        || io.x.len() < w.in_h as usize * w.in_w as usize * channels
        || io.y.len() < w.out_h as usize * w.out_w as usize * channels
        || io.weights.len() < window * channels
        || io.bias.len() < channels
        || io.multipliers.len() < channels
        || io.shifts.len() < channels
        || channels == 0
    {
        reference::depthwise_conv_2d_s8(p, io);
        return;
    }
    let pairs = window.div_ceil(2);
    let at_a_time = (PAIRS / pairs).min(BLOCKS);
    let mut packed = Packed {
        weights: [[[0; 2]; LANES]; PAIRS],
        scales: [Scales::NONE; BLOCKS],
        starts: [0; BLOCKS],
        blocks: 0,
        pairs,
    };
    let mut block = 0;
    while block * LANES < channels {
        packed.fill(channels, window, block, at_a_time, &io);
        run(simd.avx2(), p, &packed, io.x, io.shifts, io.y);
        block += at_a_time;
    }
}

/// The weights of some blocks, and what becomes of their sums.
struct Packed {
    weights: [Pair; PAIRS],
    scales: [Scales<LANES>; BLOCKS],
    /// First channel of each block. The last block of a tensor begins early enough to be full, where there are channels enough; the
    /// outputs that two blocks share are written twice.
    starts: [usize; BLOCKS],
    blocks: usize,
    pairs: usize,
}

impl Packed {
    fn fill(
        &mut self,
        channels: usize,
        window: usize,
        first: usize,
        at_a_time: usize,
        io: &ConvIo<'_>,
    ) {
        let all = channels.div_ceil(LANES);
        self.blocks = at_a_time.min(all - first);
        for block in 0..self.blocks {
            let start = ((first + block) * LANES).min(channels.saturating_sub(LANES));
            self.starts[block] = start;
            self.scales[block] = Scales::NONE;
            let weights = &mut self.weights[block * self.pairs..][..self.pairs];
            weights.fill([[0; 2]; LANES]);
            for (lane, channel) in ORDER.map(|channel| start + channel).into_iter().enumerate() {
                if channel >= channels {
                    continue;
                }
                for tap in 0..window {
                    weights[tap / 2][lane][tap % 2] =
                        i16::from(io.weights[tap * channels + channel]);
                }
                self.scales[block].set(
                    lane,
                    io.bias[channel],
                    io.multipliers[channel],
                    io.shifts[channel],
                );
            }
        }
    }
}

fn run(_: Avx2, p: &DepthwiseConv2d, packed: &Packed, x: &[i8], shifts: &[u8], y: &mut [i8]) {
    let narrow = (p.in_c as usize) < LANES;
    // SAFETY: the token proves AVX2.
    unsafe {
        match (narrow, all_high(shifts)) {
            (false, true) => pixels::<false, true>(p, packed, x, y),
            (false, false) => pixels::<false, false>(p, packed, x, y),
            (true, true) => pixels::<true, true>(p, packed, x, y),
            (true, false) => pixels::<true, false>(p, packed, x, y),
        }
    }
}

/// Every output pixel, with the channels of `packed`.
#[target_feature(enable = "avx2")]
fn pixels<const NARROW: bool, const HIGH: bool>(
    p: &DepthwiseConv2d,
    packed: &Packed,
    x: &[i8],
    y: &mut [i8],
) {
    let w = &p.window;
    let channels = p.in_c as usize;
    let first = packed.starts[0];
    let reach = packed.starts[packed.blocks - 1] + LANES - first;
    let padding = [p.zero_point_in; BLOCKS * LANES + LANES];
    let window = w.kernel_h as usize * w.kernel_w as usize;
    let mut taps: [&[i8]; WINDOW_MAX] = [&[]; WINDOW_MAX];
    let taps = &mut taps[..window.next_multiple_of(2)];
    for (oy, line) in (0..w.out_h).zip(y.chunks_exact_mut(w.out_w as usize * channels)) {
        for (ox, y) in (0..w.out_w).zip(line.chunks_exact_mut(channels)) {
            let mut places = taps.iter_mut();
            for ky in 0..w.kernel_h {
                let row = w.row(oy, ky).map(|iy| iy as usize * w.in_w as usize);
                for (kx, place) in (0..w.kernel_w).zip(&mut places) {
                    *place = match (row, w.column(ox, kx)) {
                        (Some(row), Some(ix)) => {
                            let at = (row + ix as usize) * channels + first;
                            // Fewer channels than lanes: the last pixel ends before a vector does.
                            &x[at..x.len().min(at + reach)]
                        }
                        _ => &padding[..reach],
                    };
                }
            }
            if let Some(last) = places.next() {
                // Its weights are zero.
                *last = &padding[..reach];
            }
            let blocks = packed.weights.chunks_exact(packed.pairs);
            for ((weights, scales), &start) in blocks
                .zip(&packed.scales)
                .zip(&packed.starts[..packed.blocks])
            {
                let out = block::<NARROW, HIGH>(taps, weights, scales, start - first, p);
                let end = channels.min(start + LANES);
                store(out, &mut y[start..end]);
            }
        }
    }
}

/// Sixteen outputs of one pixel, `at` channels behind where the taps begin.
#[inline]
#[target_feature(enable = "avx2")]
fn block<const NARROW: bool, const HIGH: bool>(
    taps: &[&[i8]],
    weights: &[Pair],
    scales: &Scales<LANES>,
    at: usize,
    p: &DepthwiseConv2d,
) -> __m128i {
    let mut low = load8(&scales.bias);
    let mut high = load8(&scales.bias[8..]);
    let (taps, _) = taps.as_chunks::<2>();
    for ([a, b], weights) in taps.iter().zip(weights) {
        let a = words::<NARROW>(a, at);
        let b = words::<NARROW>(b, at);
        let weights = weights.as_ptr().cast::<__m256i>();
        // SAFETY: a pair of weights is 32 words, two vectors.
        let (w_low, w_high) = unsafe {
            (
                _mm256_loadu_si256(weights),
                _mm256_loadu_si256(weights.add(1)),
            )
        };
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w_low));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w_high));
    }
    let low = Scale8::load(scales, 0).apply::<HIGH>(low);
    let high = Scale8::load(scales, 8).apply::<HIGH>(high);
    finish16(low, high, p.output)
}

/// Sixteen values from `at` on, as words. `NARROW`: those that are missing become zeros.
#[inline]
#[target_feature(enable = "avx2")]
fn words<const NARROW: bool>(tap: &[i8], at: usize) -> __m256i {
    let mut short = [0_i8; LANES];
    let tap = tap.get(at..).unwrap_or(&[]);
    let values = match tap.first_chunk::<LANES>() {
        Some(values) => values,
        None => {
            if NARROW {
                for (to, &from) in short.iter_mut().zip(tap) {
                    *to = from;
                }
            }
            &short
        }
    };
    // SAFETY: the reference is to sixteen bytes.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(values.as_ptr().cast()) })
}
