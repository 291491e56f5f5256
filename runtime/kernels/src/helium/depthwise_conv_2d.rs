//! Depthwise 2-D convolution of `s8` by `s8`: [planes](super::depthwise_planes) for windows of up to 32 taps, four channels at a time in 32-bit lanes for others.
//!
//! There, a window that lies inside the picture is read where it is; at the border it is copied to scratch with the padding filled in, so that one loop
//! serves both. Scratch: a row of accumulators, then a window of `kernel_h * kernel_w * in_c`. A channel multiplier above 1 goes to the reference.

use core::arch::asm;

use ocellus_format::{Isa, ops::DepthwiseConv2d};

use super::copy::copy;
use super::depthwise_planes;
use super::requantize::{Requants, requantize_row};
use crate::{
    ConvIo, reference,
    select::{self, Planes},
};

pub(super) fn depthwise_conv_2d_s8(p: &DepthwiseConv2d, mut io: ConvIo<'_>) {
    let chosen = select::depthwise_conv_2d(Isa::Helium, p);
    let w = &p.window;
    let channels = p.in_c as usize;
    let done = match Planes::new(p) {
        Some(plan) => depthwise_planes::run(p, &plan, &mut io),
        None => false,
    };
    if done {
        return;
    }
    let accumulators_bytes = channels.next_multiple_of(4) * 4;
    let window_bytes = channels * w.kernel_h as usize * w.kernel_w as usize;
    let aligned = io
        .scratch
        .get(..accumulators_bytes)
        .is_some_and(|bytes| bytemuck::try_cast_slice::<u8, i32>(bytes).is_ok());
    let enough = io.scratch.len() >= accumulators_bytes + window_bytes;
    if chosen.isa != Isa::Helium || p.multiplier != 1 || !enough || !aligned {
        reference::depthwise_conv_2d_s8(p, io);
        return;
    }
    let Some((accumulators, window)) = io.scratch.split_at_mut_checked(accumulators_bytes) else {
        return;
    };
    let Ok(accumulators) = bytemuck::try_cast_slice_mut::<u8, i32>(accumulators) else {
        return;
    };
    let window: &mut [i8] = bytemuck::cast_slice_mut(window);
    let requants = Requants::new(io.multipliers, io.shifts, p.output);
    let (kernel_h, kernel_w) = (w.kernel_h as usize, w.kernel_w as usize);
    let in_place = Steps {
        column: w.dilation_w as usize * channels,
        row: w.dilation_h as usize * w.in_w as usize * channels,
    };
    let copied = Steps {
        column: channels,
        row: kernel_w * channels,
    };
    let mut pixels = io.y.chunks_exact_mut(channels.max(1));
    for oy in 0..w.out_h {
        let rows_inside = w.row(oy, 0).is_some() && w.row(oy, w.kernel_h - 1).is_some();
        for ox in 0..w.out_w {
            let Some(y) = pixels.next() else { return };
            let inside =
                rows_inside && w.column(ox, 0).is_some() && w.column(ox, w.kernel_w - 1).is_some();
            let (x, steps) = match (inside, w.row(oy, 0), w.column(ox, 0)) {
                (true, Some(iy), Some(ix)) => {
                    let first = (iy as usize * w.in_w as usize + ix as usize) * channels;
                    (io.x.get(first..).unwrap_or(&[]), in_place)
                }
                _ => {
                    copy_window(p, io.x, oy, ox, window);
                    (&*window, copied)
                }
            };
            for (acc, &bias) in accumulators.iter_mut().zip(io.bias) {
                *acc = bias;
            }
            accumulate(
                x,
                io.weights,
                accumulators,
                channels,
                [kernel_h, kernel_w],
                steps,
            );
            requantize_row(accumulators, requants, y);
        }
    }
}

/// Distances between taps of the input, in bytes.
#[derive(Clone, Copy)]
struct Steps {
    column: usize,
    row: usize,
}

fn copy_window(p: &DepthwiseConv2d, x: &[i8], oy: u32, ox: u32, window: &mut [i8]) {
    let w = &p.window;
    let channels = p.in_c as usize;
    let mut places = window.chunks_exact_mut(channels.max(1));
    for ky in 0..w.kernel_h {
        let iy = w.row(oy, ky);
        for kx in 0..w.kernel_w {
            let Some(place) = places.next() else { return };
            match (iy, w.column(ox, kx)) {
                (Some(iy), Some(ix)) => {
                    let first = (iy as usize * w.in_w as usize + ix as usize) * channels;
                    copy(place, x.get(first..).unwrap_or(&[]));
                }
                _ => place.fill(p.zero_point_in),
            }
        }
    }
}

/// Adds the products of a window with its weights to one accumulator a channel.
fn accumulate(
    x: &[i8],
    weights: &[i8],
    accumulators: &mut [i32],
    channels: usize,
    [kernel_h, kernel_w]: [usize; 2],
    steps: Steps,
) {
    let last = (kernel_h - 1) * steps.row + (kernel_w - 1) * steps.column + channels;
    if x.len() < last
        || weights.len() < kernel_h * kernel_w * channels
        || accumulators.len() < channels
        || channels == 0
    {
        return;
    }
    let after_row = steps.row.wrapping_sub(kernel_w * steps.column);
    for first in (0..channels).step_by(4) {
        let n = (channels - first).min(4);
        // SAFETY: predicated loads touch `n` channels from `first` on, `first + n <= channels`, of each tap. Tap `(ky, kx)` starts at
        // `ky * steps.row + kx * steps.column` in the input, whose last one ends at `last <= x.len()`, and at `(ky * kernel_w + kx) * channels` in
        // the weights, which were measured above. One accumulator a channel is loaded and stored. `add` stays inside the slices.
        unsafe {
            asm!(
                "dlstp.32 lr, {n}",
                "vldrw.u32 q0, [{acc}]",
                "2:",
                "mov {kx}, {kernel_w}",
                "3:",
                "vldrb.s32 q1, [r0]",
                "vldrb.s32 q2, [r1]",
                "add r0, {column}",
                "add r1, {channels}",
                "vmul.i32 q1, q1, q2",
                "subs {kx}, #1",
                "vadd.i32 q0, q0, q1",
                "bne 3b",
                "add r0, {after_row}",
                "subs {ky}, #1",
                "bne 2b",
                "vstrw.32 q0, [{acc}]",
                "lctp",
                n = in(reg) n,
                acc = in(reg) accumulators.as_mut_ptr().add(first),
                ky = inout(reg) kernel_h => _,
                kx = out(reg) _,
                kernel_w = in(reg) kernel_w,
                column = in(reg) steps.column,
                channels = in(reg) channels,
                after_row = in(reg) after_row,
                // Widening loads take r0 to r7 only.
                inout("r0") x.as_ptr().add(first) => _,
                inout("r1") weights.as_ptr().add(first) => _,
                out("lr") _,
                out("d0") _, out("d1") _, out("d2") _,
                out("d3") _, out("d4") _, out("d5") _,
                options(nostack),
            );
        }
    }
}
