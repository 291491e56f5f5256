//! Pools: the largest value of each window sixteen channels at a time, the mean four channels at a time in 32-bit lanes.
//!
//! One block computes all channels of an output pixel. Its inner loops run over the rows and columns of the window that lie inside the picture.

use core::arch::asm;
use core::mem::offset_of;

use ocellus_format::{
    Requant,
    ops::{AveragePool2d, MaxPool2d, OutputS8, Window2d},
};

use super::copy::fill;
use super::requantize::{Rescale, rescale};
use super::window::{columns, rows};
use crate::{AveragePoolIo, UnaryIo};

/// What the blocks keep in memory.
#[repr(C)]
struct State {
    /// From a tap to the next, and from the last of a row to the first of the next.
    column: usize,
    rest: usize,
    /// Taps of a row, rows.
    columns: usize,
    rows: usize,
    rescale: Rescale,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// A window inside the picture: its first tap, and how far the taps behind that lie. `None` where there is none.
fn window<'x>(
    w: &Window2d,
    channels: usize,
    x: &'x [i8],
    [oy, ox]: [u32; 2],
    output: OutputS8,
) -> Option<(&'x [i8], State)> {
    let (v, h) = (rows(w, oy), columns(w, ox));
    let row = w.in_w as usize * channels;
    let (column, row_step) = (
        w.dilation_w as usize * channels,
        w.dilation_h as usize * row,
    );
    let first = v.first * row + h.first * channels;
    let last = v.count.checked_sub(1)? * row_step + h.count.checked_sub(1)? * column + channels;
    let taps = x.get(first..first.checked_add(last)?)?;
    let state = State {
        column,
        rest: row_step.wrapping_sub(h.count * column),
        columns: h.count,
        rows: v.count,
        rescale: [0; 4],
        zero_point: i32::from(output.zero_point),
        min: i32::from(output.min),
        max: i32::from(output.max),
    };
    Some((taps, state))
}

/// Hands every output pixel over with where it is.
fn each_pixel(w: &Window2d, channels: usize, y: &mut [i8], mut f: impl FnMut([u32; 2], &mut [i8])) {
    let mut pixels = y.chunks_exact_mut(channels.max(1));
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            if let Some(pixel) = pixels.next() {
                f([oy, ox], pixel);
            }
        }
    }
}

pub(super) fn average_pool_2d_s8(p: &AveragePool2d, io: AveragePoolIo<'_>) {
    let channels = p.channels as usize;
    each_pixel(&p.window, channels, io.y, |at, y| {
        let Some((x, mut state)) = window(&p.window, channels, io.x, at, p.output) else {
            fill(y, p.output.finish(0));
            return;
        };
        let count = state.rows * state.columns;
        let entry = if p.by_count { count - 1 } else { 0 };
        let zero_points = i32::from(p.zero_point_in).wrapping_mul(count as i32);
        let (Some(&multiplier), Some(&shift)) = (io.multipliers.get(entry), io.shifts.get(entry))
        else {
            return;
        };
        state.rescale = rescale(zero_points.wrapping_neg(), Requant { multiplier, shift });
        mean(x, &state, y);
    });
}

pub(super) fn max_pool_2d_s8(p: &MaxPool2d, io: UnaryIo<'_>) {
    let channels = p.channels as usize;
    each_pixel(&p.window, channels, io.y, |at, y| {
        match window(&p.window, channels, io.x, at, p.output) {
            Some((x, state)) => largest(x, &state, y),
            None => fill(y, p.output.min),
        }
    });
}

/// The largest values of a window that [`window`] measured for as many channels as `y` holds.
fn largest(x: &[i8], state: &State, y: &mut [i8]) {
    // SAFETY: tail predication loads, of each tap, and stores exactly as many values as `y` has, sixteen at a time. The last tap of the last row ends where `x` does, as `window`
    // cut it; every other tap begins before it. Neither count is 0, and there is a channel. The loop's registers are named as clobbered.
    unsafe {
        asm!(
            "ldrd r2, r3, [{state}, #{min}]",
            "vdup.8 q2, r2",
            "vdup.8 q3, r3",
            "ldrd r2, r3, [{state}]",
            "ldr r4, [{state}, #{columns}]",
            "dlstp.8 lr, {n}",
            "2:",
            "mov r0, {x}",
            "vmov q0, q2",
            "ldr {row}, [{state}, #{rows}]",
            "3:",
            "mov r5, r4",
            "4:",
            "vldrb.u8 q1, [r0]",
            "add r0, r2",
            "vmax.s8 q0, q0, q1",
            "subs r5, #1",
            "bne 4b",
            "add r0, r3",
            "subs {row}, #1",
            "bne 3b",
            "vmin.s8 q0, q0, q3",
            "add {x}, #16",
            "vstrb.8 q0, [{y}], #16",
            "letp lr, 2b",
            min = const offset_of!(State, min),
            columns = const offset_of!(State, columns),
            rows = const offset_of!(State, rows),
            state = in(reg) state,
            n = in(reg) y.len(),
            row = out(reg) _,
            x = inout(reg) x.as_ptr() => _,
            y = inout(reg) y.as_mut_ptr() => _,
            out("r0") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            options(nostack),
        );
    }
}

/// The means of a window that [`window`] measured for as many channels as `y` holds.
fn mean(x: &[i8], state: &State, y: &mut [i8]) {
    // SAFETY: as in `largest`, four values at a time.
    unsafe {
        asm!(
            "ldr r2, [{state}, #{zero_point}]",
            "vdup.32 q4, r2",
            "ldrd r2, r3, [{state}, #{min}]",
            "vdup.32 q2, r2",
            "vdup.32 q3, r3",
            "ldrd r2, r3, [{state}]",
            "add r5, {state}, #{rescale}",
            "ldm r5, {{r5, r8, r10, r11}}",
            "vdup.32 q5, r5",
            "dlstp.32 lr, r12",
            "2:",
            "mov r0, r4",
            "vmov q0, q5",
            "ldr r12, [{state}, #{rows}]",
            "3:",
            "ldr r5, [{state}, #{columns}]",
            "4:",
            "vldrb.s32 q1, [r0]",
            "add r0, r2",
            "vadd.i32 q0, q0, q1",
            "subs r5, #1",
            "bne 4b",
            "add r0, r3",
            "subs r12, #1",
            "bne 3b",
            "vqshl.s32 q0, r10",
            "vqdmulh.s32 q0, q0, r8",
            "add r4, #4",
            "vrshl.s32 q0, r11",
            "vqadd.s32 q0, q0, q4",
            "vmax.s32 q0, q0, q2",
            "vmin.s32 q0, q0, q3",
            "vstrb.32 q0, [r1], #4",
            "letp lr, 2b",
            min = const offset_of!(State, min),
            zero_point = const offset_of!(State, zero_point),
            columns = const offset_of!(State, columns),
            rows = const offset_of!(State, rows),
            rescale = const offset_of!(State, rescale),
            state = in(reg) state,
            // Widening loads and narrowing stores take r0 to r7 only.
            out("r0") _,
            inout("r1") y.as_mut_ptr() => _,
            out("r2") _, out("r3") _,
            inout("r4") x.as_ptr() => _,
            inout("r12") y.len() => _,
            out("r5") _, out("r8") _, out("r10") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
}
