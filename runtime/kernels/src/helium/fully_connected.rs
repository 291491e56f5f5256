//! Fully connected of `s8` by `s8`: rows as a [convolution's](super::block), one row four channels at a time.
//!
//! Scratch: none for one row with interleaved weights, else rescales and four rows, as a convolution has.

use core::arch::asm;
use core::mem::offset_of;

use ocellus_format::{Isa, WeightLayout, ops::FullyConnected};

use super::block::{Channels, row_len};
use super::requantize::{Rescale, rescales};
use crate::{
    ConvIo, reference,
    select::{self, CHANNELS_MAX},
};

pub(super) fn fully_connected_s8(p: &FullyConnected, mut io: ConvIo<'_>) {
    let done = if p.rows == 1 && p.layout == WeightLayout::Interleave2x16 {
        one_row(p, &mut io)
    } else {
        rows(p, &mut io)
    };
    if done.is_none() {
        reference::fully_connected_s8(p, io);
    }
}

/// `None` where the layout is another's, scratch is missing, or an operand is too short.
fn rows(p: &FullyConnected, io: &mut ConvIo<'_>) -> Option<()> {
    let (in_c, out_c) = (p.in_c as usize, p.out_c as usize);
    let scratch_bytes = select::fully_connected(Isa::Helium, p).scratch_bytes;
    let scratch = io.scratch.get_mut(..scratch_bytes as usize)?;
    let table_bytes = select::rescales_bytes(p.out_c) as usize;
    let (table, copies) = scratch.split_at_mut_checked(table_bytes)?;
    let table: &mut [Rescale] = bytemuck::try_cast_slice_mut(table).ok()?;
    let copies: &mut [i8] = bytemuck::cast_slice_mut(copies);
    for first in (0..out_c).step_by(CHANNELS_MAX) {
        let members = first..out_c.min(first + CHANNELS_MAX);
        let count = members.len();
        rescales(
            io.bias.get(members.clone())?,
            io.multipliers.get(members.clone())?,
            io.shifts.get(members)?,
            table,
        )?;
        let matrix = (p.layout, io.weights);
        let channels = Channels::new(matrix, (first, in_c), table, count, out_c, p.output)?;
        let y = io.y.get_mut(first..)?;
        channels.rows_of(io.x, [in_c, p.rows as usize], copies, y)?;
    }
    Some(())
}

/// What the block keeps in memory; the first five change with every four channels.
#[repr(C)]
struct State {
    bias: *const i32,
    multipliers: *const i32,
    shifts: *const u8,
    y: *mut i8,
    left: usize,
    x: *const i8,
    in_c: usize,
    /// From the first weights of a pair of channels to those of the next.
    pair: usize,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// `None` where an operand is too short.
fn one_row(p: &FullyConnected, io: &mut ConvIo<'_>) -> Option<()> {
    let (in_c, out_c) = (p.in_c as usize, p.out_c as usize);
    let pair = 2 * row_len(p.layout, in_c);
    let fits = io.x.len() >= in_c
        && io.weights.len() >= out_c.div_ceil(2) * pair
        && io.bias.len().min(io.multipliers.len()).min(io.shifts.len()) >= out_c
        && io.y.len() >= out_c
        && in_c > 0
        && out_c > 0;
    if !fits {
        return None;
    }
    let mut state = State {
        bias: io.bias.as_ptr(),
        multipliers: io.multipliers.as_ptr(),
        shifts: io.shifts.as_ptr(),
        y: io.y.as_mut_ptr(),
        left: out_c,
        x: io.x.as_ptr(),
        in_c,
        pair,
        zero_point: p.output.zero_point.into(),
        min: p.output.min.into(),
        max: p.output.max.into(),
    };
    // SAFETY: for every four channels of `out_c`, or fewer at the end, tail predication loads `in_c` inputs, and of two pairs of channels the runs that hold `in_c` weights each; where two or
    // fewer channels are left, the first pair is read twice. `VCTP` predicates the loads of biases, multipliers and shifts and the stores of outputs to the channels that are
    // left. All were measured above. The state is read and written as itself. What is pushed is popped: r6 and r7, which the compiler may keep for itself, and the
    // predicate. Every other register that is written is named as clobbered.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "vmrs r6, vpr",
            "push {{r6}}",
            "ldrd r0, r2, [r12, #{min}]",
            "vdup.32 q5, r0",
            "vdup.32 q6, r2",
            "ldr r0, [r12, #{zero_point}]",
            "vdup.32 q7, r0",
            "mvn r5, #0",
            "vmov.i32 q4, #31",
            "2:",
            "add r8, r12, #{left}",
            "ldm r8, {{r7, r8, r10, r11}}",
            "cmp r7, #2",
            "it ls",
            "movls r11, #0",
            "add r11, r9",
            "movs r0, #0",
            "movs r2, #0",
            "movs r4, #0",
            "movs r6, #0",
            "dlstp.8 lr, r10",
            "3:",
            "vldrb.u8 q0, [r8], #16",
            "vldrb.u8 q1, [r9], #32",
            "vmladava.s8 r0, q0, q1",
            "vldrb.u8 q2, [r9, #-16]",
            "vmladava.s8 r2, q0, q2",
            "vldrb.u8 q1, [r11], #32",
            "vmladava.s8 r4, q0, q1",
            "vldrb.u8 q2, [r11, #-16]",
            "vmladava.s8 r6, q0, q2",
            "letp lr, 3b",
            "mov r9, r11",
            "vmov q0[2], q0[0], r0, r4",
            "vmov q0[3], q0[1], r2, r6",
            "ldm r12, {{r0, r1, r2, r3}}",
            "vctp.32 r7",
            "vpsttt",
            "vldrwt.u32 q1, [r0], #16",
            "vldrwt.u32 q2, [r1], #16",
            "vldrbt.u32 q3, [r2], #4",
            "vadd.i32 q0, q0, q1",
            // To the right by 31 less the shift, at least by one; what that takes from the shift goes to the left before.
            "vsub.i32 q3, q4, q3",
            "vdup.32 q1, r5",
            "vmin.s32 q1, q1, q3",
            "vsub.i32 q3, q3, q1",
            "vqshl.s32 q0, q0, q3",
            "vqdmulh.s32 q0, q0, q2",
            "vrshl.s32 q0, q0, q1",
            "vqadd.s32 q0, q0, q7",
            "vmax.s32 q0, q0, q5",
            "vmin.s32 q0, q0, q6",
            "vpst",
            "vstrbt.32 q0, [r3], #4",
            "subs r7, #4",
            "mov r8, r7",
            "stm r12, {{r0, r1, r2, r3, r8}}",
            "bgt 2b",
            "pop {{r6}}",
            "vmsr vpr, r6",
            "pop {{r6, r7}}",
            min = const offset_of!(State, min),
            zero_point = const offset_of!(State, zero_point),
            left = const offset_of!(State, left),
            in("r12") &raw mut state,
            inout("r9") io.weights.as_ptr() => _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r10") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
        );
    }
    Some(())
}
