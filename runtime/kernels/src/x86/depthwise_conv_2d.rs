//! Depthwise 2-D convolution of `s8` by `s8`, sixteen channels at a time; a channel multiplier of 1, weights `Hwc`.
//!
//! Taps go in pairs: the words of two taps are interleaved, and one `madd` multiplies both and adds. A tap in the padding reads a row of zero points.

use core::arch::x86_64::*;

use ocellus_format::{Isa, ops::DepthwiseConv2d};

use super::Avx2;
use super::block_avx2::store;
use super::mul::sixteen;
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

/// Pairs of taps of the window of most networks.
const PAIRS_3X3: usize = 5;

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
        match (narrow, all_high(shifts), packed.pairs) {
            (false, true, PAIRS_3X3) => pixels::<false, true, PAIRS_3X3>(p, packed, x, y),
            (false, true, _) => pixels::<false, true, 0>(p, packed, x, y),
            (false, false, _) => pixels::<false, false, 0>(p, packed, x, y),
            (true, true, _) => pixels::<true, true, 0>(p, packed, x, y),
            (true, false, _) => pixels::<true, false, 0>(p, packed, x, y),
        }
    }
}

/// Every output pixel, with the channels of `packed`. `FIXED` pairs of taps, or where that is 0, any count.
#[target_feature(enable = "avx2")]
fn pixels<const NARROW: bool, const HIGH: bool, const FIXED: usize>(
    p: &DepthwiseConv2d,
    packed: &Packed,
    x: &[i8],
    y: &mut [i8],
) {
    let w = &p.window;
    let channels = p.in_c as usize;
    let starts = &packed.starts[..packed.blocks];
    let first = starts[0];
    let reach = channels.min(starts[packed.blocks - 1] + LANES) - first;
    let padding = [p.zero_point_in; BLOCKS * LANES];
    let padding = &padding[..reach];
    let window = w.kernel_h as usize * w.kernel_w as usize;
    // A tap without weights, where their count is odd, reads the padding.
    let mut taps = [padding.as_ptr(); WINDOW_MAX];
    let taps = &mut taps[..window.next_multiple_of(2)];
    for (oy, line) in (0..w.out_h).zip(y.chunks_exact_mut(w.out_w as usize * channels)) {
        for (ox, y) in (0..w.out_w).zip(line.chunks_exact_mut(channels)) {
            let mut places = taps.iter_mut();
            for ky in 0..w.kernel_h {
                let row = w.row(oy, ky).map(|iy| iy as usize * w.in_w as usize);
                for (kx, place) in (0..w.kernel_w).zip(&mut places) {
                    let tap = match (row, w.column(ox, kx)) {
                        (Some(row), Some(ix)) => {
                            let at = (row + ix as usize) * channels + first;
                            &x[at..at + reach]
                        }
                        _ => padding,
                    };
                    *place = tap.as_ptr();
                }
            }
            let y = &mut y[first..first + reach];
            let blocks = packed.weights.chunks_exact(packed.pairs);
            for ((weights, scales), start) in blocks.zip(&packed.scales).zip(starts) {
                let at = start - first;
                let end = reach.min(at + LANES);
                // SAFETY: each tap points to `reach` values, and `end <= reach`; without `NARROW` a tensor has at least as many channels as a
                // block has lanes, every block is full and `end - at` is their count.
                let out =
                    unsafe { block::<NARROW, HIGH, FIXED>(taps, weights, scales, at..end, p) };
                store(out, &mut y[at..end]);
            }
        }
    }
}

/// Sixteen outputs of one pixel; those behind `some` are nobody's.
///
/// # Safety
/// Every tap points to `some.end` values. Without `NARROW`, `some` has sixteen.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn block<const NARROW: bool, const HIGH: bool, const FIXED: usize>(
    taps: &[*const i8],
    weights: &[Pair],
    scales: &Scales<LANES>,
    some: core::ops::Range<usize>,
    p: &DepthwiseConv2d,
) -> __m128i {
    let words = |tap: *const i8| {
        if NARROW {
            // SAFETY: the caller says so.
            let values = unsafe { core::slice::from_raw_parts(tap.add(some.start), some.len()) };
            return _mm256_cvtepi8_epi16(sixteen(values));
        }
        // SAFETY: the caller says so.
        _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(tap.add(some.start).cast()) })
    };
    let mut low = load8(&scales.bias);
    let mut high = load8(&scales.bias[8..]);
    let (taps, _) = taps.as_chunks::<2>();
    let mut add = |&[a, b]: &[*const i8; 2], weights: &Pair| {
        let (a, b) = (words(a), words(b));
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
    };
    match (taps.first_chunk::<FIXED>(), weights.first_chunk::<FIXED>()) {
        // A count that the compiler knows: no loop.
        (Some(taps), Some(weights)) if FIXED > 0 => {
            for (taps, weights) in taps.iter().zip(weights) {
                add(taps, weights);
            }
        }
        _ => {
            for (taps, weights) in taps.iter().zip(weights) {
                add(taps, weights);
            }
        }
    }
    let low = Scale8::load(scales, 0).apply::<HIGH>(low);
    let high = Scale8::load(scales, 8).apply::<HIGH>(high);
    finish16(low, high, p.output)
}
