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
    let mut some = *pixels;
    let mut left = pixels.count;
    while left > 0 {
        // SAFETY: the caller's promise holds for each part of the pixels.
        let done = unsafe {
            if left >= 8 {
                panels::<8, 4>(&some, round)
            } else if left >= 4 {
                panels::<4, 2>(&some, round)
            } else if left >= 2 {
                panels::<2, 1>(&some, round)
            } else {
                panels::<1, 1>(&some, round)
            }
        };
        left -= done;
        if left > 0 {
            // SAFETY: the next pixel is one of the caller's.
            unsafe {
                some.x = some.x.add(done * some.stride);
                some.y = some.y.add(done * some.y_stride);
            }
        }
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
    let mut y = pixels.y;
    let mut left = round.channels;
    for scales in round.scales {
        // SAFETY: the caller's promise: a panel for each of `scales`.
        let acc = unsafe { block::<P, PAIRS>(pixels, panel, scales) };
        let rows = Rows {
            y,
            stride: pixels.y_stride,
            channels: left,
        };
        // SAFETY: the caller's promise: `left` outputs of `P` pixels.
        unsafe { rows.write(acc, scales, round.high, finish) };
        left = left.saturating_sub(CHANNELS);
        if left > 0 {
            // SAFETY: there is another panel and another output.
            unsafe {
                panel = panel.add(round.panel);
                y = y.add(CHANNELS);
            }
        }
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
    let twice = |bias: int32x4_t| {
        let bias = vreinterpretq_s64_s32(bias);
        [
            vreinterpretq_s32_s64(vzip1q_s64(bias, bias)),
            vreinterpretq_s32_s64(vzip2q_s64(bias, bias)),
        ]
    };
    let [[a, b], [c, d]] = [twice(scales.bias4(0)), twice(scales.bias4(1))];
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
    core::array::from_fn(|pixel| {
        let [a, b, c, d] = acc[pixel / 2].map(|acc| vreinterpretq_s64_s32(acc));
        if pixel % 2 == 0 {
            [
                vreinterpretq_s32_s64(vzip1q_s64(a, b)),
                vreinterpretq_s32_s64(vzip1q_s64(c, d)),
            ]
        } else {
            [
                vreinterpretq_s32_s64(vzip2q_s64(a, b)),
                vreinterpretq_s32_s64(vzip2q_s64(c, d)),
            ]
        }
    })
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
