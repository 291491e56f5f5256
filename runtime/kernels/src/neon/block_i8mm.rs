//! Products by `SMMLA`: each instruction multiplies eight taps of two pixels with eight taps of two output channels.
//!
//! Eight pixels by eight channels fill sixteen accumulators of two by two.

use core::arch::{aarch64::*, asm};

use ocellus_format::WeightLayout;

use super::NeonI8mm;
use super::product::{Pixels, Product, Round};
use super::requantize::{CHANNELS, Finish, Scales};
use super::store::{Rows, offsets};

/// Bytes of eight taps of a panel.
const ROW: usize = 8 * CHANNELS;

impl Product for NeonI8mm {
    const LAYOUT: WeightLayout = WeightLayout::Interleave8x8;
    const ASYMMETRIC_DIFFERS: bool = false;

    unsafe fn multiply(self, pixels: &Pixels<'_>, round: &Round<'_>) {
        // SAFETY: the token proves the matrix product; the rest is the caller's promise.
        unsafe { all_pixels(pixels, round) }
    }
}

/// # Safety
/// That of [`Product::multiply`].
#[target_feature(enable = "neon,i8mm")]
unsafe fn all_pixels(pixels: &Pixels<'_>, round: &Round<'_>) {
    // SAFETY: the caller's promise holds for each part of the pixels.
    unsafe {
        pixels.for_each(|some, left| {
            if left >= 8 {
                panels::<8, 4>(some, round)
            } else if left >= 4 {
                panels::<4, 2>(some, round)
            } else if left >= 2 {
                panels::<2, 1>(some, round)
            } else {
                panels::<1, 1>(some, round)
            }
        });
    }
}

/// `P` pixels, `PAIRS` of them or one alone, with every panel; returns `P`.
///
/// # Safety
/// That of [`Product::multiply`], for `P` pixels.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn panels<const P: usize, const PAIRS: usize>(
    pixels: &Pixels<'_>,
    round: &Round<'_>,
) -> usize {
    let finish = Finish::new(round.output);
    let mut panel = round.panels;
    let mut rows = Rows {
        y: pixels.y,
        stride: pixels.y_stride,
    };
    for (index, scales) in round.scales.iter().enumerate() {
        // SAFETY: the caller's promise: a panel for each of `scales`.
        let acc = unsafe { block::<P, PAIRS>(pixels, panel, scales) };
        let channels = round.channels - index * CHANNELS;
        // SAFETY: the caller's promise: as many outputs of `P` pixels as there are channels.
        unsafe {
            if channels < CHANNELS || !round.high {
                // A copy, so that the sums themselves need not lie in memory.
                let sums = acc;
                rows.write_any(&sums, scales, finish, channels.min(CHANNELS));
            } else if round.plain {
                rows.write::<P, true>(acc, scales, finish);
            } else {
                rows.write::<P, false>(acc, scales, finish);
            }
        }
        panel = panel.wrapping_add(round.panel);
        rows.y = rows.y.wrapping_add(CHANNELS);
    }
    P
}

/// The sums of `P` pixels with the channels of a panel.
///
/// # Safety
/// Every run of `P` pixels and the panel can be read.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn block<const P: usize, const PAIRS: usize>(
    pixels: &Pixels<'_>,
    panel: *const i8,
    scales: &Scales,
) -> [[int32x4_t; 2]; P] {
    let (low, high) = (scales.bias4(0), scales.bias4(1));
    let (a, b) = (zip1(low, low), zip2(low, low));
    let (c, d) = (zip1(high, high), zip2(high, high));
    let mut acc = [[a, b, c, d]; PAIRS];
    let offsets = offsets::<P>(pixels.stride);
    let mut w = panel;
    for &run in pixels.runs {
        // SAFETY: the run begins there.
        let mut x = unsafe { pixels.x.add(run) };
        for _ in 0..pixels.run / 16 {
            // SAFETY: sixteen taps of each pixel are left, and as many rows of the panel.
            unsafe {
                let taps: [int64x2_t; P] = core::array::from_fn(|pixel| {
                    vreinterpretq_s64_s8(vld1q_s8(x.add(offsets[pixel])))
                });
                let pairs = core::array::from_fn(|pair| {
                    vzip1q_s64(taps[2 * pair], taps[(2 * pair + 1).min(P - 1)])
                });
                eight_taps(&mut acc, &pairs, w);
                let pairs = core::array::from_fn(|pair| {
                    vzip2q_s64(taps[2 * pair], taps[(2 * pair + 1).min(P - 1)])
                });
                eight_taps(&mut acc, &pairs, w.add(ROW));
                x = x.add(16);
                w = w.add(2 * ROW);
            }
        }
        if pixels.run & 8 != 0 {
            // SAFETY: eight taps are left.
            unsafe {
                let tap =
                    |pixel: usize| vreinterpret_s64_s8(vld1_s8(x.add(offsets[pixel.min(P - 1)])));
                let pairs =
                    core::array::from_fn(|pair| vcombine_s64(tap(2 * pair), tap(2 * pair + 1)));
                eight_taps(&mut acc, &pairs, w);
                w = w.add(ROW);
            }
        }
    }
    let mut sums = [[a; 2]; P];
    for (pixels, acc) in sums.chunks_mut(2).zip(&acc) {
        let [a, b, c, d] = *acc;
        pixels[0] = [zip1(a, b), zip1(c, d)];
        if let Some(second) = pixels.get_mut(1) {
            *second = [zip2(a, b), zip2(c, d)];
        }
    }
    sums
}

/// The first halves of two vectors.
#[inline(always)]
fn zip1(a: int32x4_t, b: int32x4_t) -> int32x4_t {
    // SAFETY: AArch64 has Advanced SIMD.
    unsafe {
        vreinterpretq_s32_s64(vzip1q_s64(
            vreinterpretq_s64_s32(a),
            vreinterpretq_s64_s32(b),
        ))
    }
}

/// The second halves of two vectors.
#[inline(always)]
fn zip2(a: int32x4_t, b: int32x4_t) -> int32x4_t {
    // SAFETY: AArch64 has Advanced SIMD.
    unsafe {
        vreinterpretq_s32_s64(vzip2q_s64(
            vreinterpretq_s64_s32(a),
            vreinterpretq_s64_s32(b),
        ))
    }
}

/// Eight taps of pairs of pixels with those of eight channels.
///
/// # Safety
/// `w` points to [`ROW`] weights.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn eight_taps<const PAIRS: usize>(
    acc: &mut [[int32x4_t; 4]; PAIRS],
    pairs: &[int64x2_t; PAIRS],
    w: *const i8,
) {
    for channels in 0..4 {
        // SAFETY: the caller says so.
        let weights = unsafe { vld1q_s8(w.add(16 * channels)) };
        for (acc, &pair) in acc.iter_mut().zip(pairs) {
            acc[channels] = smmla(acc[channels], vreinterpretq_s8_s64(pair), weights);
        }
    }
}

/// `SMMLA`; the intrinsic is not stable.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes the registers that are named, and nothing else.
    unsafe {
        asm!(
            "smmla {acc:v}.4s, {a:v}.16b, {b:v}.16b",
            acc = inout(vreg) acc,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}
