//! Numbers and shapes that find mistakes.

use ocellus_format::{
    Requant,
    ops::{OutputS8, Window2d},
};

use crate::rng::Rng;

/// Channels next to the widths of vectors and of blocks.
const CHANNELS: [u32; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 20, 24, 31, 32, 33, 48, 63, 64, 65, 96, 130,
];

/// Borders of the fast forms of requantize: 2 and 62 end the range; 31 to 33 and 55, 56 begin and end what a fast form can do.
const SHIFTS: [u8; 12] = [2, 3, 8, 16, 30, 31, 32, 33, 34, 55, 56, 62];

/// Ends of the mantissa, and none at all.
const MULTIPLIERS: [i32; 5] = [0, 1 << 30, (1 << 30) + 1, i32::MAX - 1, i32::MAX];

pub(crate) fn channels(rng: &mut Rng) -> u32 {
    rng.pick(&CHANNELS)
}

/// An address from which no vector load is aligned, half of the time.
pub(crate) fn misalign(rng: &mut Rng) -> usize {
    if rng.one_in(2) {
        0
    } else {
        rng.size(1, 15) as usize
    }
}

pub(crate) fn zero_point(rng: &mut Rng) -> i8 {
    match rng.size(0, 4) {
        0 => i8::MIN,
        1 => i8::MAX,
        2 => 0,
        _ => rng.range(-128, 127) as i8,
    }
}

/// Unclamped, a rectifier, or any clamp.
pub(crate) fn output(rng: &mut Rng) -> OutputS8 {
    let zero_point = zero_point(rng);
    let unclamped = OutputS8::unclamped(zero_point);
    match rng.size(0, 4) {
        0 => OutputS8 {
            min: zero_point,
            ..unclamped
        },
        1 => {
            let (a, b) = (rng.range(-128, 127) as i8, rng.range(-128, 127) as i8);
            OutputS8 {
                zero_point,
                min: a.min(b),
                max: a.max(b),
            }
        }
        _ => unclamped,
    }
}

/// Activations: anything, the two ends only (largest sums), or one value.
pub(crate) fn activations(rng: &mut Rng, values: &mut [i8]) {
    let style = rng.size(0, 5);
    let constant = rng.range(-128, 127) as i8;
    for value in values {
        *value = match style {
            0 => rng.pick(&[i8::MIN, i8::MAX]),
            1 => constant,
            _ => rng.bits() as i8,
        };
    }
}

/// Weights: anything, the ends only, or mostly zeros. A converter writes `-127..=127`; a file may hold -128 too, in one layer of four.
pub(crate) fn weights(rng: &mut Rng, values: &mut [i8]) {
    let style = rng.size(0, 5);
    let least = if rng.one_in(4) { i8::MIN } else { -127 };
    for value in values {
        *value = match style {
            0 => rng.pick(&[least, 127]),
            1 if !rng.one_in(8) => 0,
            _ => (rng.bits() as i8).max(least),
        };
    }
}

/// Biases that leave room for `taps` products in `s32`: none, small, or as large as can be.
pub(crate) fn biases(rng: &mut Rng, taps: u32, zero_point_folded: bool, values: &mut [i32]) -> u32 {
    let largest_product = if zero_point_folded {
        128 * 128
    } else {
        255 * 128
    };
    let sums = i64::from(taps) * largest_product;
    let room = (i64::from(i32::MAX) - sums).max(0);
    let limit = match rng.size(0, 3) {
        0 => 0,
        1 => room,
        _ => room.min(20_000),
    };
    for value in values {
        *value = if limit == room && rng.one_in(2) {
            rng.pick(&[-limit, limit]) as i32
        } else {
            rng.range(-limit, limit) as i32
        };
    }
    (sums + limit).min(i64::from(i32::MAX)) as u32
}

/// A mantissa.
fn multiplier(rng: &mut Rng) -> i32 {
    if rng.one_in(6) {
        rng.pick(&MULTIPLIERS)
    } else {
        rng.range(1 << 30, i64::from(i32::MAX)) as i32
    }
}

/// A scale that takes accumulators of about `magnitude` to about the range of `s8`.
fn fitting(rng: &mut Rng, magnitude: u64) -> Requant {
    let log2 = 64 - (magnitude / 64).leading_zeros() as i64;
    let shift = (31 + log2 + rng.range(-1, 1)).clamp(2, 62) as u8;
    Requant {
        multiplier: multiplier(rng),
        shift,
    }
}

/// A scale from the list of troubles.
fn troublesome(rng: &mut Rng) -> Requant {
    let shift = if rng.one_in(2) {
        rng.pick(&SHIFTS)
    } else {
        rng.range(2, 62) as u8
    };
    Requant {
        multiplier: multiplier(rng),
        shift,
    }
}

/// One scale.
pub(crate) fn requant(rng: &mut Rng, magnitude: u64) -> Requant {
    if rng.one_in(4) {
        troublesome(rng)
    } else {
        fitting(rng, magnitude)
    }
}

/// A layer's scales: all fitting (the kernels' fast path), all troublesome, or mixed.
pub(crate) fn requants(rng: &mut Rng, magnitude: u64, multipliers: &mut [i32], shifts: &mut [u8]) {
    let style = rng.size(0, 4);
    for (multiplier, shift) in multipliers.iter_mut().zip(shifts) {
        let r = match style {
            0 => troublesome(rng),
            1 => requant(rng, magnitude),
            _ => fitting(rng, magnitude),
        };
        (*multiplier, *shift) = (r.multiplier, r.shift);
    }
}

/// The size that a sum of `taps` random products has.
pub(crate) fn sum_magnitude(taps: u32) -> u64 {
    5_400 * u64::from(taps.isqrt().max(1))
}

/// One axis of a window.
#[derive(Clone, Copy)]
struct Axis {
    input: u32,
    output: u32,
    kernel: u32,
    stride: u32,
    dilation: u32,
    pad: u32,
}

/// A window over a picture of at most `largest` rows and columns.
///
/// Strides beyond the kernel, padding that the stride does not divide, dilation, pictures of one pixel, outputs wholly in the padding.
pub(crate) fn window(rng: &mut Rng, largest: u32) -> Window2d {
    let flat = rng.one_in(8);
    let square = rng.one_in(2);
    let h = if flat {
        Axis {
            input: 1,
            output: 1,
            kernel: 1,
            stride: 1,
            dilation: 1,
            pad: 0,
        }
    } else {
        axis(rng, largest)
    };
    let w = if square && !flat {
        h
    } else {
        axis(rng, largest)
    };
    Window2d {
        in_h: h.input,
        in_w: w.input,
        out_h: h.output,
        out_w: w.output,
        kernel_h: h.kernel,
        kernel_w: w.kernel,
        stride_h: h.stride,
        stride_w: w.stride,
        dilation_h: h.dilation,
        dilation_w: w.dilation,
        pad_top: h.pad,
        pad_left: w.pad,
    }
}

fn axis(rng: &mut Rng, largest: u32) -> Axis {
    let kernel = rng.pick(&[1, 2, 3, 3, 3, 3, 4, 5, 7]);
    let stride = rng.pick(&[1, 1, 1, 2, 2, 3, kernel + 1]);
    let dilation = if rng.one_in(4) { rng.size(2, 3) } else { 1 };
    let extent = (kernel - 1) * dilation + 1;
    let input = if rng.one_in(6) {
        1
    } else {
        rng.size(1, largest)
    };
    let pad = match rng.size(0, 2) {
        0 => 0,
        1 => (extent - 1) / 2,
        _ => rng.size(0, extent - 1),
    };
    let pad_after = if rng.one_in(2) {
        pad
    } else {
        rng.size(0, extent - 1)
    };
    let mut output = (input + pad + pad_after).saturating_sub(extent) / stride + 1;
    if rng.one_in(12) {
        output += 1;
    }
    Axis {
        input,
        output,
        kernel,
        stride,
        dilation,
        pad,
    }
}
