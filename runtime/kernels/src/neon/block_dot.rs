//! Products by `SDOT`: each instruction multiplies four taps of a pixel with four taps of four output channels.
//!
//! Eight pixels by eight channels fill sixteen accumulators; sixteen taps of a pixel are one load, and a lane of it meets both halves of a
//! panel: 64 products of four for twelve loads.

use core::arch::{aarch64::*, asm};

use ocellus_format::WeightLayout;

use super::NeonDot;
use super::product::{Pixels, Product, Round};
use super::requantize::{CHANNELS, Finish, Scales};
use super::store::{Rows, offsets};

impl Product for NeonDot {
    const LAYOUT: WeightLayout = WeightLayout::Interleave8x4;
    const ASYMMETRIC_DIFFERS: bool = false;

    unsafe fn multiply(self, pixels: &Pixels<'_>, round: &Round<'_>) {
        // SAFETY: the token proves the dot product; the rest is the caller's promise.
        unsafe { all_pixels(pixels, round) }
    }
}

/// # Safety
/// That of [`Product::multiply`].
#[target_feature(enable = "neon,dotprod")]
unsafe fn all_pixels(pixels: &Pixels<'_>, round: &Round<'_>) {
    // SAFETY: the caller's promise holds for each part of the pixels.
    unsafe {
        pixels.for_each(|some, left| {
            if left >= 8 {
                panels::<8>(some, round)
            } else if left >= 4 {
                panels::<4>(some, round)
            } else if left >= 2 {
                panels::<2>(some, round)
            } else {
                panels::<1>(some, round)
            }
        });
    }
}

/// `P` pixels with every panel; returns `P`.
///
/// # Safety
/// That of [`Product::multiply`], for `P` pixels.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn panels<const P: usize>(pixels: &Pixels<'_>, round: &Round<'_>) -> usize {
    let finish = Finish::new(round.output);
    let mut panel = round.panels;
    let mut rows = Rows {
        y: pixels.y,
        stride: pixels.y_stride,
    };
    for (index, scales) in round.scales.iter().enumerate() {
        // SAFETY: the caller's promise: a panel for each of `scales`.
        let acc = unsafe { block::<P>(pixels, panel, scales) };
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
#[target_feature(enable = "neon,dotprod")]
unsafe fn block<const P: usize>(
    pixels: &Pixels<'_>,
    panel: *const i8,
    scales: &Scales,
) -> [[int32x4_t; 2]; P] {
    let offsets = offsets::<P>(pixels.stride);
    if let (8, true, Some(offsets)) = (
        P,
        pixels.run.is_multiple_of(16) && !pixels.runs.is_empty(),
        offsets.first_chunk(),
    ) {
        // SAFETY: the caller's promise; there is a run, and it has sixteen taps at least, as none is empty.
        let eight = unsafe { eight_pixels(offsets, pixels, panel, scales) };
        return core::array::from_fn(|pixel| eight[pixel]);
    }
    let mut acc = [[scales.bias4(0), scales.bias4(1)]; P];
    let mut w = panel;
    for &run in pixels.runs {
        // SAFETY: the run begins there.
        let mut x = unsafe { pixels.x.add(run) };
        for _ in 0..pixels.run / 16 {
            // SAFETY: sixteen taps of each pixel are left, and as many rows of the panel.
            unsafe {
                let taps: [int8x16_t; P] =
                    core::array::from_fn(|pixel| vld1q_s8(x.add(offsets[pixel])));
                quad::<P, 0>(&mut acc, &taps, w);
                quad::<P, 1>(&mut acc, &taps, w.add(32));
                quad::<P, 2>(&mut acc, &taps, w.add(64));
                quad::<P, 3>(&mut acc, &taps, w.add(96));
                x = x.add(16);
                w = w.add(128);
            }
        }
        if pixels.run & 8 != 0 {
            // SAFETY: eight taps are left.
            unsafe {
                let taps: [int8x16_t; P] = core::array::from_fn(|pixel| {
                    let taps = vld1_s8(x.add(offsets[pixel]));
                    vcombine_s8(taps, vdup_n_s8(0))
                });
                quad::<P, 0>(&mut acc, &taps, w);
                quad::<P, 1>(&mut acc, &taps, w.add(32));
                x = x.add(8);
                w = w.add(64);
            }
        }
        if pixels.run & 4 != 0 {
            // SAFETY: four taps are left.
            unsafe {
                let taps: [int8x16_t; P] = core::array::from_fn(|pixel| {
                    let taps = x.add(offsets[pixel]).cast::<i32>().read_unaligned();
                    vreinterpretq_s8_s32(vsetq_lane_s32::<0>(taps, vdupq_n_s32(0)))
                });
                quad::<P, 0>(&mut acc, &taps, w);
                w = w.add(32);
            }
        }
    }
    acc
}

/// Four taps, those of lane `LANE`, of each pixel with those of eight channels.
///
/// # Safety
/// `w` points to 32 weights.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn quad<const P: usize, const LANE: u32>(
    acc: &mut [[int32x4_t; 2]; P],
    taps: &[int8x16_t; P],
    w: *const i8,
) {
    // SAFETY: the caller says so.
    let (low, high) = unsafe { (vld1q_s8(w), vld1q_s8(w.add(16))) };
    for (acc, &taps) in acc.iter_mut().zip(taps) {
        acc[0] = sdot::<LANE>(acc[0], low, taps);
        acc[1] = sdot::<LANE>(acc[1], high, taps);
    }
}

/// `SDOT` by lane; the intrinsic is not stable.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot<const LANE: u32>(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes the registers that are named, and nothing else.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {a:v}.16b, {b:v}.4b[{lane}]",
            acc = inout(vreg) acc,
            a = in(vreg) a,
            b = in(vreg) b,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// Sums of four pixels.
type FourPixels = (
    int32x4_t,
    int32x4_t,
    int32x4_t,
    int32x4_t,
    int32x4_t,
    int32x4_t,
    int32x4_t,
    int32x4_t,
);

/// What [`block`] does for eight pixels where runs are multiples of sixteen taps: as few instructions beside the products as can be, so not left to the compiler.
///
/// # Safety
/// That of [`block`]; there is at least one run, and it is a multiple of sixteen that is not 0.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn eight_pixels(
    offsets: &[usize; 8],
    pixels: &Pixels<'_>,
    panel: *const i8,
    scales: &Scales,
) -> [[int32x4_t; 2]; 8] {
    /// Four taps, those of a lane, of eight pixels with the eight channels of two registers.
    macro_rules! quad {
        ($low:literal, $high:literal, $lane:literal) => {
            quad!($low, $high, $lane, 0 1 2 3 4 5 6 7)
        };
        ($low:literal, $high:literal, $lane:literal, $($pixel:literal)*) => {
            concat!($(
                "sdot {a", $pixel, ":v}.4s, {", $low, ":v}.16b, {t", $pixel, ":v}.4b[", $lane, "]\n",
                "sdot {b", $pixel, ":v}.4s, {", $high, ":v}.16b, {t", $pixel, ":v}.4b[", $lane, "]\n",
            )*)
        };
    }
    let (a0, b0, a1, b1, a2, b2, a3, b3): FourPixels;
    let (a4, b4, a5, b5, a6, b6, a7, b7): FourPixels;
    // SAFETY: the loops load sixteen taps of eight pixels at a time, as often as all runs have them, and 128 bytes of the panel for each
    // time, which is what the panel has; the list of runs is read once. Every register is named.
    unsafe {
        asm!(
            // Biases: a load is one instruction for two of them, a copy is one for each.
            "ldp {a0:q}, {b0:q}, [{bias}]",
            "ldp {a1:q}, {b1:q}, [{bias}]",
            "ldp {a2:q}, {b2:q}, [{bias}]",
            "ldp {a3:q}, {b3:q}, [{bias}]",
            "ldp {a4:q}, {b4:q}, [{bias}]",
            "ldp {a5:q}, {b5:q}, [{bias}]",
            "ldp {a6:q}, {b6:q}, [{bias}]",
            "ldp {a7:q}, {b7:q}, [{bias}]",
            // A run.
            "2:",
            "ldr {x}, [{runs}], #8",
            "mov {chunks}, {chunks_of_run}",
            "add {x}, {x}, {base}",
            // Sixteen taps.
            "3:",
            "ldr {t1:q}, [{x}, {o1}]",
            "ldp {w0:q}, {w1:q}, [{w}], #128",
            "ldr {t2:q}, [{x}, {o2}]",
            "ldr {t3:q}, [{x}, {o3}]",
            "ldr {t4:q}, [{x}, {o4}]",
            "ldr {t5:q}, [{x}, {o5}]",
            "ldr {t6:q}, [{x}, {o6}]",
            "ldr {t7:q}, [{x}, {o7}]",
            "ldr {t0:q}, [{x}], #16",
            "ldp {w2:q}, {w3:q}, [{w}, #-96]",
            quad!("w0", "w1", 0),
            "ldp {w0:q}, {w1:q}, [{w}, #-64]",
            quad!("w2", "w3", 1),
            "ldp {w2:q}, {w3:q}, [{w}, #-32]",
            quad!("w0", "w1", 2),
            quad!("w2", "w3", 3),
            "subs {chunks}, {chunks}, #1",
            "b.ne 3b",
            "subs {count}, {count}, #1",
            "b.ne 2b",
            x = out(reg) _, chunks = out(reg) _,
            runs = inout(reg) pixels.runs.as_ptr() => _,
            count = inout(reg) pixels.runs.len() => _,
            bias = in(reg) scales.bias.as_ptr(),
            base = in(reg) pixels.x,
            chunks_of_run = in(reg) pixels.run / 16,
            w = inout(reg) panel => _,
            o1 = in(reg) offsets[1], o2 = in(reg) offsets[2], o3 = in(reg) offsets[3],
            o4 = in(reg) offsets[4], o5 = in(reg) offsets[5], o6 = in(reg) offsets[6],
            o7 = in(reg) offsets[7],
            t0 = out(vreg) _, t1 = out(vreg) _, t2 = out(vreg) _, t3 = out(vreg) _,
            t4 = out(vreg) _, t5 = out(vreg) _, t6 = out(vreg) _, t7 = out(vreg) _,
            w0 = out(vreg) _, w1 = out(vreg) _, w2 = out(vreg) _, w3 = out(vreg) _,
            a0 = out(vreg) a0, b0 = out(vreg) b0, a1 = out(vreg) a1, b1 = out(vreg) b1,
            a2 = out(vreg) a2, b2 = out(vreg) b2, a3 = out(vreg) a3, b3 = out(vreg) b3,
            a4 = out(vreg) a4, b4 = out(vreg) b4, a5 = out(vreg) a5, b5 = out(vreg) b5,
            a6 = out(vreg) a6, b6 = out(vreg) b6, a7 = out(vreg) a7, b7 = out(vreg) b7,
            options(nostack, readonly),
        );
    }
    [
        [a0, b0],
        [a1, b1],
        [a2, b2],
        [a3, b3],
        [a4, b4],
        [a5, b5],
        [a6, b6],
        [a7, b7],
    ]
}
