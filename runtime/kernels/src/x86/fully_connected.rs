//! Fully connected of `s8` by `s8`, one weight scale an output channel; any weight layout.
//!
//! Many rows pay for packing weights. Few do not: each weight is then read once, where it lies, and multiplied along its channel. Weights whose layout is
//! another machine's are packed anew in any case.

use core::arch::x86_64::*;

use ocellus_format::{Requant, ops::FullyConnected};

use super::Avx2;
use super::product::{Channels, Columns, Rows, TAPS_MAX, multiply};
use super::simd::Simd;
use crate::{ConvIo, layout::Matrix, reference};

/// Rows from which packing pays.
const ROWS_PACKED: usize = 6;
/// Channels at a time.
const CHANNELS: usize = 4;
/// Values of a vector.
const LANES: usize = 32;

pub(super) fn fully_connected_s8(simd: Simd, p: &FullyConnected, io: ConvIo<'_>) {
    let (rows, in_c, out_c) = (p.rows as usize, p.in_c as usize, p.out_c as usize);
    let (Some(x), Some(weights), Some(bias), Some(multipliers), Some(shifts), true) = (
        io.x.get(..rows * in_c),
        io.weights
            .get(..p.weights_len().unwrap_or(u64::MAX) as usize),
        io.bias.get(..out_c),
        io.multipliers.get(..out_c),
        io.shifts.get(..out_c),
        io.y.len() >= rows * out_c && in_c > 0 && out_c > 0,
    ) else {
        reference::fully_connected_s8(p, io);
        return;
    };
    let matrix = Matrix::fully_connected(p, weights);
    let packs = rows >= ROWS_PACKED || matrix.portable().is_none();
    if packs && in_c <= TAPS_MAX && simd.takes(&matrix) {
        let channels = Channels {
            taps: in_c,
            bias,
            multipliers,
            shifts,
            output: p.output,
        };
        let layer = Layer {
            x,
            matrix,
            rows,
            in_c,
            out_c,
        };
        multiply(simd, &channels, &layer, &layer, io.y);
        return;
    }
    let Some(weights) = matrix.portable() else {
        reference::fully_connected_s8(p, io);
        return;
    };
    for (x, y) in x.chunks_exact(in_c).zip(io.y.chunks_exact_mut(out_c)) {
        let columns = weights.chunks(CHANNELS * in_c).zip(y.chunks_mut(CHANNELS));
        for ((weights, y), first) in columns.zip((0..out_c).step_by(CHANNELS)) {
            let sums = dot(simd.avx2(), x, weights);
            for ((y, sum), channel) in y.iter_mut().zip(sums).zip(first..) {
                let r = Requant {
                    multiplier: multipliers[channel],
                    shift: shifts[channel],
                };
                let acc = bias[channel].wrapping_add(sum);
                *y = p.output.finish(reference::requantize(acc, r));
            }
        }
    }
}

struct Layer<'a> {
    x: &'a [i8],
    matrix: Matrix<'a>,
    rows: usize,
    in_c: usize,
    out_c: usize,
}

impl Columns for Layer<'_> {
    fn visit(&self, channel: usize, piece: impl FnMut(usize, &[i8])) {
        self.matrix.visit(channel, 0, self.in_c, piece);
    }
}

impl Rows for Layer<'_> {
    fn count(&self) -> usize {
        self.rows
    }

    fn gather(&self, first: usize, tile: &mut [i8], stride: usize, to: &mut [usize]) {
        let rows = self.x[first * self.in_c..].chunks_exact(self.in_c);
        for ((row, x), (index, to)) in tile
            .chunks_exact_mut(stride)
            .zip(rows)
            .zip((first..).zip(to))
        {
            row[..x.len()].copy_from_slice(x);
            *to = index * self.out_c;
        }
    }
}

/// Sums of a row with up to four channels, whose weights lie one behind the other.
fn dot(_: Avx2, x: &[i8], weights: &[i8]) -> [i32; CHANNELS] {
    let mut channels = [&weights[..0]; CHANNELS];
    for (channel, weights) in channels.iter_mut().zip(weights.chunks_exact(x.len())) {
        *channel = weights;
    }
    // SAFETY: the token proves AVX2.
    unsafe { dot_channels(x, channels) }
}

#[target_feature(enable = "avx2")]
fn dot_channels(x: &[i8], channels: [&[i8]; CHANNELS]) -> [i32; CHANNELS] {
    let mut sums = [_mm256_setzero_si256(); CHANNELS];
    let ones = _mm256_set1_epi16(1);
    let mut least = ones;
    let (vectors, tail) = x.as_chunks::<LANES>();
    let weights = channels.map(|channel| channel.as_chunks::<LANES>().0);
    for (index, x) in vectors.iter().enumerate() {
        // SAFETY: the reference is to 32 bytes.
        let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
        let magnitude = _mm256_abs_epi8(x);
        for (sum, weights) in sums.iter_mut().zip(&weights) {
            if let Some(w) = weights.get(index) {
                // SAFETY: the reference is to 32 bytes.
                let w = unsafe { _mm256_loadu_si256(w.as_ptr().cast()) };
                // Two products are at most 2 * 128 * 127 and do not saturate.
                least = _mm256_min_epi8(least, w);
                let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(w, x));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    let lowest = _mm256_cmpeq_epi8(least, _mm256_set1_epi8(i8::MIN));
    if _mm256_movemask_epi8(lowest) != 0 {
        // -128 has no opposite to move an input's sign to. No converter writes it.
        return channels.map(|channel| products(x, channel).fold(0, i32::wrapping_add));
    }
    let done = x.len() - tail.len();
    let mut out = [0; CHANNELS];
    for ((out, sum), channel) in out.iter_mut().zip(sums).zip(channels) {
        let mut lanes = [0_i32; 8];
        // SAFETY: `lanes` has 32 bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sum) };
        let rest = products(tail, channel.get(done..).unwrap_or(&[]));
        *out = rest.chain(lanes).fold(0, i32::wrapping_add);
    }
    out
}

fn products(x: &[i8], weights: &[i8]) -> impl Iterator<Item = i32> {
    let pairs = x.iter().zip(weights);
    pairs.map(|(&x, &w)| i32::from(x) * i32::from(w))
}
