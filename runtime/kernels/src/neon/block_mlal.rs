//! Products of cores without dot product instructions: `SMULL` and `SMLAL2` multiply sixteen taps and add them in pairs, `SADALP` adds the pairs up.
//!
//! Two products of which none is of -128 by -128 fit 16 bits: 2 * 128 * 127 = 32,512. Where a weight is -128, each product is added up by itself.
//! An accumulator has four partial sums of one output, added across at the end; four pixels by four channels fill sixteen.

use core::arch::aarch64::*;

use ocellus_format::WeightLayout;

use super::Neon;
use super::product::{Pixels, Product, Round};
use super::requantize::{CHANNELS, Finish, Scales};
use super::store::{Fours, offsets};

/// Output channels of a block.
const BLOCK: usize = 4;

impl Product for Neon {
    const LAYOUT: WeightLayout = WeightLayout::Interleave4x16;
    const ASYMMETRIC_DIFFERS: bool = true;

    unsafe fn multiply(self, pixels: &Pixels<'_>, round: &Round<'_>) {
        // SAFETY: the caller's promise holds for each part of the pixels.
        unsafe {
            pixels.for_each(|some, left| {
                if left >= 4 {
                    panels::<4>(some, round)
                } else if left >= 2 {
                    panels::<2>(some, round)
                } else {
                    panels::<1>(some, round)
                }
            });
        }
    }
}

/// `P` pixels with every panel; returns `P`.
///
/// # Safety
/// That of [`Product::multiply`], for `P` pixels.
#[inline]
unsafe fn panels<const P: usize>(pixels: &Pixels<'_>, round: &Round<'_>) -> usize {
    let finish = Finish::new(round.output);
    let mut block_at = round.panels;
    let mut y = pixels.y;
    let mut left = round.channels;
    for scales in round.scales {
        for half in 0..CHANNELS / BLOCK {
            // SAFETY: the caller's promise: half a panel for each four channels.
            let acc = unsafe {
                if round.symmetric {
                    block::<P, true>(pixels, block_at, scales, half)
                } else {
                    block::<P, false>(pixels, block_at, scales, half)
                }
            };
            let rows = Fours {
                y,
                stride: pixels.y_stride,
                channels: left,
            };
            // SAFETY: the caller's promise: `left` outputs of `P` pixels.
            unsafe { rows.write(acc, scales, half, round.high, finish) };
            left = left.saturating_sub(BLOCK);
            if left == 0 {
                break;
            }
            // SAFETY: there is another half of a panel and another output.
            unsafe {
                block_at = block_at.add(round.panel / 2);
                y = y.add(BLOCK);
            }
        }
    }
    P
}

/// The sums of `P` pixels with four channels.
///
/// # Safety
/// Every run of `P` pixels and half a panel can be read.
#[inline(always)]
unsafe fn block<const P: usize, const SYMMETRIC: bool>(
    pixels: &Pixels<'_>,
    block: *const i8,
    scales: &Scales,
    half: usize,
) -> [int32x4_t; P] {
    // SAFETY: AArch64 has Advanced SIMD.
    let zero = unsafe { vdupq_n_s32(0) };
    let mut acc = [[zero; BLOCK]; P];
    let offsets = offsets::<P>(pixels.stride);
    let mut w = block;
    for &run in pixels.runs {
        // SAFETY: the run begins there.
        let mut x = unsafe { pixels.x.add(run) };
        for _ in 0..pixels.run / 16 {
            // SAFETY: sixteen taps of each pixel are left, and as many of each channel.
            unsafe {
                let taps: [int8x16_t; P] =
                    core::array::from_fn(|pixel| vld1q_s8(x.add(offsets[pixel])));
                for channel in 0..BLOCK {
                    let weights = vld1q_s8(w.add(16 * channel));
                    for (acc, &taps) in acc.iter_mut().zip(&taps) {
                        acc[channel] = add_products::<SYMMETRIC>(acc[channel], taps, weights);
                    }
                }
                x = x.add(16);
                w = w.add(16 * BLOCK);
            }
        }
    }
    let bias = scales.bias4(half);
    acc.map(|[a, b, c, d]| {
        // SAFETY: AArch64 has Advanced SIMD.
        unsafe { vaddq_s32(vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)), bias) }
    })
}

/// Sixteen products, added to four partial sums.
#[inline(always)]
fn add_products<const SYMMETRIC: bool>(
    acc: int32x4_t,
    taps: int8x16_t,
    weights: int8x16_t,
) -> int32x4_t {
    // SAFETY: AArch64 has Advanced SIMD.
    unsafe {
        let low = vmull_s8(vget_low_s8(taps), vget_low_s8(weights));
        if SYMMETRIC {
            return vpadalq_s16(acc, vmlal_high_s8(low, taps, weights));
        }
        vpadalq_s16(vpadalq_s16(acc, low), vmull_high_s8(taps, weights))
    }
}
