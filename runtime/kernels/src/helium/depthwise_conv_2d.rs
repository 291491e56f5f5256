//! Depthwise 2-D convolution of `s8` by `s8`: [planes](super::depthwise_planes) for windows that span one or two vectors, four channels at a time in 32-bit
//! lanes for others.
//!
//! There, a window that lies inside the picture is read where it is; at the border it is copied to scratch with the padding filled in, so that one loop
//! serves both. Scratch: such a window. A channel multiplier above 1 goes to the reference.

use core::arch::asm;
use core::mem::offset_of;

use ocellus_format::{Isa, ops::DepthwiseConv2d};

use super::copy::copy;
use super::depthwise_planes;
use crate::{
    ConvIo, reference,
    select::{self, Planes},
};

pub(super) fn depthwise_conv_2d_s8(p: &DepthwiseConv2d, mut io: ConvIo<'_>) {
    let done = match Planes::new(p) {
        Some(plan) => depthwise_planes::run(p, &plan, &mut io),
        None => windows(p, &mut io),
    };
    if done.is_none() {
        reference::depthwise_conv_2d_s8(p, io);
    }
}

/// What the loop over channels keeps in memory.
#[repr(C)]
struct State {
    x: *const i8,
    weights: *const i8,
    y: *mut i8,
    shifts: *const u8,
    /// From a tap to the next.
    column: usize,
    channels: usize,
    bias: *const i32,
    multipliers: *const i32,
    kernel_w: usize,
    kernel_h: usize,
    /// From behind the last tap of a row to the first of the next.
    rest: usize,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// `None` where the layer is not one of this kernel's, scratch is missing, or an operand is too short.
fn windows(p: &DepthwiseConv2d, io: &mut ConvIo<'_>) -> Option<()> {
    let chosen = select::depthwise_conv_2d(Isa::Helium, p);
    if chosen.isa != Isa::Helium || p.multiplier != 1 {
        return None;
    }
    let w = &p.window;
    let channels = p.in_c as usize;
    let (kernel_h, kernel_w) = (w.kernel_h as usize, w.kernel_w as usize);
    let window_len = kernel_h * kernel_w * channels;
    let window: &mut [i8] = bytemuck::cast_slice_mut(io.scratch.get_mut(..window_len)?);
    let (weights, bias) = (io.weights.get(..window_len)?, io.bias.get(..channels)?);
    let multipliers = io.multipliers.get(..channels)?;
    let shifts = io.shifts.get(..channels)?;
    let mut pixels = io.y.chunks_exact_mut(channels.max(1));
    for oy in 0..w.out_h {
        let rows_inside = w.row(oy, 0).is_some() && w.row(oy, w.kernel_h - 1).is_some();
        for ox in 0..w.out_w {
            let y = pixels.next()?;
            let inside =
                rows_inside && w.column(ox, 0).is_some() && w.column(ox, w.kernel_w - 1).is_some();
            let (x, column, row) = match (inside, w.row(oy, 0), w.column(ox, 0)) {
                (true, Some(iy), Some(ix)) => {
                    let first = (iy as usize * w.in_w as usize + ix as usize) * channels;
                    let row = w.dilation_h as usize * w.in_w as usize * channels;
                    (io.x.get(first..)?, w.dilation_w as usize * channels, row)
                }
                _ => {
                    copy_window(p, io.x, oy, ox, window);
                    (&*window, channels, kernel_w * channels)
                }
            };
            let last = (kernel_h - 1) * row + (kernel_w - 1) * column + channels;
            if x.len() < last || channels == 0 {
                return None;
            }
            let state = State {
                x: x.as_ptr(),
                weights: weights.as_ptr(),
                y: y.as_mut_ptr(),
                shifts: shifts.as_ptr(),
                column,
                channels,
                bias: bias.as_ptr(),
                multipliers: multipliers.as_ptr(),
                kernel_w,
                kernel_h,
                rest: row.wrapping_sub(kernel_w * column),
                zero_point: p.output.zero_point.into(),
                min: p.output.min.into(),
                max: p.output.max.into(),
            };
            // SAFETY: the last tap ends inside `x`, as was measured; weights, bias, multipliers, shifts and `y` were cut to the channels. There is a channel and a tap.
            unsafe { pixel(&state) };
        }
    }
    Some(())
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

/// Writes all channels of an output pixel.
///
/// # Safety
/// `channels` values can be read from `kernel_h` times `kernel_w` taps of `x`, `column` apart and `rest` more between rows, from as many taps of the weights, and from bias, multipliers and
/// shifts, and written to `y`. None of these counts is 0.
unsafe fn pixel(state: &State) {
    // SAFETY: tail predication loads and stores exactly `channels` values, four at a time, of what the caller promises; pointers move from tap to tap. What is pushed is popped: r6
    // and r7, which the compiler may keep for itself. Every other register that is written is named as clobbered.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldrd r0, r1, [r12, #{min}]",
            "vdup.32 q6, r0",
            "vdup.32 q7, r1",
            "mvn r0, #0",
            "vdup.32 q4, r0",
            "vmov.i32 q5, #31",
            "ldm r12, {{r2, r3, r4, r5, r6, r7, r8, r9}}",
            "dlstp.32 lr, r7",
            "2:",
            "vldrw.u32 q0, [r8], #16",
            "mov r0, r2",
            "mov r1, r3",
            "ldr r11, [r12, #{kernel_h}]",
            "3:",
            "ldr r10, [r12, #{kernel_w}]",
            "4:",
            "vldrb.s32 q1, [r0]",
            "vldrb.s32 q2, [r1]",
            "add r0, r6",
            "add r1, r7",
            "vmul.i32 q1, q1, q2",
            "subs r10, #1",
            "vadd.i32 q0, q0, q1",
            "bne 4b",
            "ldr r10, [r12, #{rest}]",
            "add r0, r10",
            "subs r11, #1",
            "bne 3b",
            "vldrb.u32 q1, [r5], #4",
            "vldrw.u32 q2, [r9], #16",
            // To the right by 31 less the shift, at least by one; what that takes from the shift goes to the left before.
            "vsub.i32 q1, q5, q1",
            "vmin.s32 q3, q1, q4",
            "vsub.i32 q1, q1, q3",
            "vqshl.s32 q0, q0, q1",
            "ldr r10, [r12, #{zero_point}]",
            "vqdmulh.s32 q0, q0, q2",
            "adds r2, #4",
            "vrshl.s32 q0, q0, q3",
            "adds r3, #4",
            "vqadd.s32 q0, q0, r10",
            "vmax.s32 q0, q0, q6",
            "vmin.s32 q0, q0, q7",
            "vstrb.32 q0, [r4], #4",
            "letp lr, 2b",
            "pop {{r6, r7}}",
            min = const offset_of!(State, min),
            kernel_h = const offset_of!(State, kernel_h),
            kernel_w = const offset_of!(State, kernel_w),
            rest = const offset_of!(State, rest),
            zero_point = const offset_of!(State, zero_point),
            in("r12") state,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
        );
    }
}
