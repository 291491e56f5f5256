//! Depthwise windows that span one or two vectors: one output channel at a time, one or two vectors of taps an output.
//!
//! Eight input channels are brought into a plane each, column by column: byte `row` of column `x` is at `x * height + row`, for the `height` input rows that a few
//! output rows see. There a window is a run of bytes, and one `VMLADAV` with weights that are 0 between and behind its columns gives a whole output:
//! the loop over outputs keeps weights and rescale of its channel in registers. Rows and columns that do not divide the picture overlap: their
//! outputs are written twice.
//!
//! Scratch: [`Planes`] says how much.

use core::arch::asm;
use core::mem::offset_of;

use ocellus_format::ops::DepthwiseConv2d;

use super::copy::fill;
use super::requantize::{Rescale, rescales};
use super::window::inside;
use crate::{
    ConvIo,
    select::{LANES, Planes},
};

/// Outputs of one round of the inner loop.
const ROUND: usize = 8;

/// The scratch of a layer.
struct Parts<'a> {
    rescales: &'a mut [Rescale],
    places: &'a mut [i16],
    weights: &'a mut [i8],
    planes: &'a mut [i8],
}

impl<'a> Parts<'a> {
    fn split(plan: &Planes, scratch: &'a mut [u8]) -> Option<Parts<'a>> {
        let (rescales, rest) = scratch.split_at_mut_checked(plan.rescales_bytes as usize)?;
        let (places, rest) = rest.split_at_mut_checked(plan.places_bytes as usize)?;
        let (weights, rest) = rest.split_at_mut_checked(plan.weights_bytes as usize)?;
        let planes = rest.get_mut(..plan.planes_bytes as usize)?;
        Some(Parts {
            rescales: bytemuck::try_cast_slice_mut(rescales).ok()?,
            places: bytemuck::try_cast_slice_mut(places).ok()?,
            weights: bytemuck::cast_slice_mut(weights),
            planes: bytemuck::cast_slice_mut(planes),
        })
    }
}

/// Writes the whole output. `None`, and part of it is not written, where scratch or an operand is too short.
pub(super) fn run(p: &DepthwiseConv2d, plan: &Planes, io: &mut ConvIo<'_>) -> Option<()> {
    let w = &p.window;
    let (in_c, out_c) = (p.in_c as usize, p.out_c() as usize);
    let (out_h, out_w) = (w.out_h as usize, w.out_w as usize);
    let (kernel_h, kernel_w) = (w.kernel_h as usize, w.kernel_w as usize);
    let parts = Parts::split(plan, io.scratch)?;
    place_outputs(p, plan, parts.places);
    let (rows, tile) = (plan.rows.max(1) as usize, plan.tile.max(1) as usize);
    let (height, vector_bytes) = (plan.height as usize, plan.vectors as usize * 16);
    let multiplier = p.multiplier.max(1) as usize;
    let (each, plane) = if multiplier == 1 {
        (LANES, plan.bytes as usize)
    } else {
        (multiplier, 0)
    };
    let mut state = State::new(p, plan, plane, parts.places);
    let mut filled = None;
    for first in (0..in_c).step_by(LANES) {
        let lanes = LANES.min(in_c - first);
        let (first_oc, members) = (first * multiplier, lanes * multiplier);
        let channels = first_oc..first_oc + members;
        rescales(
            io.bias.get(channels.clone())?,
            io.multipliers.get(channels.clone())?,
            io.shifts.get(channels)?,
            parts.rescales,
        )?;
        fill(parts.weights, 0);
        for member in (0..members).step_by(LANES) {
            spread(
                io.weights.get(first_oc + member..)?,
                [kernel_h, kernel_w, LANES.min(members - member)],
                [kernel_w * out_c, out_c],
                parts.weights.get_mut(member * vector_bytes..)?,
                [w.dilation_h as usize, height, vector_bytes],
            );
        }
        for oy in (0..out_h).step_by(rows) {
            let oy = oy.min(out_h.saturating_sub(rows));
            for ox in (0..out_w).step_by(tile) {
                let ox = ox.min(out_w - tile);
                let at = [first, lanes, oy, ox];
                filled = Some(fill_planes(p, plan, io.x, at, parts.planes, filled)?);
                let y = io.y.get_mut((oy * out_w + ox) * out_c + first_oc..)?;
                for lane in (0..members).step_by(each) {
                    let y = y.get_mut(lane..)?;
                    state.channels = each.min(members - lane);
                    // SAFETY: `y` holds the last output of the last of these channels. Planes, weights and rescales are those of all lanes, as `Planes` measured them: each
                    // part of the scratch has its length. Windows of a round that are not outputs end before the padding behind the planes.
                    unsafe {
                        if y.len() < state.reach + state.channels {
                            return None;
                        }
                        state.x = parts
                            .planes
                            .as_ptr()
                            .add(lane / multiplier * plan.bytes as usize);
                        state.weights = parts.weights.as_ptr().add(lane * vector_bytes);
                        state.rescales = parts.rescales.as_ptr().add(lane);
                        state.y = y.as_mut_ptr();
                        state.outputs(plan);
                    }
                }
            }
        }
    }
    Some(())
}

/// Where the outputs of each round go, from the first output of a plane on, in the order in which a round has them: two, four or eight columns of outputs. -1 where
/// there is none: with one vector of a window it is told from a place by its value, with two by its sign.
fn place_outputs(p: &DepthwiseConv2d, plan: &Planes, places: &mut [i16]) {
    let w = &p.window;
    let (mut row, mut column) = (0, 0);
    for round in places.chunks_exact_mut(ROUND) {
        for at in [0, 2, 4, 6, 1, 3, 5, 7] {
            if let Some(slot) = round.get_mut(at) {
                *slot = if row < w.out_h && column < plan.tile {
                    ((row * w.out_w + column) * p.out_c()) as u16 as i16
                } else {
                    -1
                };
            }
            row += 1;
            if row == plan.rows {
                (row, column) = (0, column + 1);
            }
        }
    }
}

/// Fills the planes of channels `first..first + lanes` with what the outputs from `(oy, ox)` on see. `filled` is what the call before left of the picture, as the
/// answer is for the next: where that is the same, padding lies already where it is wanted.
fn fill_planes(
    p: &DepthwiseConv2d,
    plan: &Planes,
    x: &[i8],
    [first, lanes, oy, ox]: [usize; 4],
    planes: &mut [i8],
    filled: Option<[usize; 4]>,
) -> Option<[usize; 4]> {
    let w = &p.window;
    let (in_w, in_c) = (w.in_w as usize, p.in_c as usize);
    let height = plan.height as usize;
    let rows = inside(
        oy * w.stride_h as usize,
        1,
        height,
        w.pad_top as usize,
        w.in_h as usize,
    );
    let width = (plan.tile as usize - 1) * w.stride_w as usize + w.kernel_w as usize;
    let columns = inside(
        ox * w.stride_w as usize,
        1,
        width,
        w.pad_left as usize,
        in_w,
    );
    let here = [rows.before, rows.count, columns.before, columns.count];
    // Not `==`, which is a call that compares bytes.
    let other = |last: [usize; 4]| last.iter().zip(&here).any(|(last, here)| last != here);
    if filled.is_none_or(other) {
        fill(planes, p.zero_point_in);
    }
    let from = (rows.first * in_w + columns.first) * in_c + first;
    if rows.count > 0 && columns.count > 0 {
        spread(
            x.get(from..)?,
            [rows.count, columns.count, lanes],
            [in_w * in_c, in_c],
            planes.get_mut(columns.before * height + rows.before..)?,
            [1, height, plan.bytes as usize],
        );
    }
    Some(here)
}

/// Reads `lanes` of up to eight neighbouring bytes of each of `rows` times `columns` places, and writes each eight, 0 behind `lanes`, `plane` bytes from each other; rows
/// and columns begin so many bytes from each other as the arrays say. Nothing happens where that leaves a slice.
#[inline(never)]
fn spread(
    x: &[i8],
    [rows, columns, lanes]: [usize; 3],
    [from_row, from_column]: [usize; 2],
    to: &mut [i8],
    [to_row, to_column, plane]: [usize; 3],
) {
    if rows == 0 || columns == 0 || lanes > LANES {
        return;
    }
    let last_x = (rows - 1) * from_row + (columns - 1) * from_column + lanes;
    let last = (columns - 1) * to_column + (LANES - 1) * plane;
    if x.len() < last_x || to.len() <= last + (rows - 1) * to_row || last > usize::from(u16::MAX) {
        return;
    }
    // SAFETY: for each row and column, `lanes` bytes are loaded at `row * from_row + column * from_column`, the others being predicated, which ends at `last_x` at most; and eight bytes
    // are stored at `row * to_row + column * to_column` and at multiples of `plane` behind it, of which the largest was compared with the length of `to`. As 16-bit offsets,
    // which are those without the row, none of them wraps. The predicate that was there is put back; every other register that is written is named as clobbered.
    unsafe {
        asm!(
            "vmrs {saved}, vpr",
            "movs r0, #0",
            "vidup.u16 q2, r0, #1",
            "vmul.i16 q2, q2, {plane}",
            "vctp.16 {lanes}",
            "2:",
            "vmov q1, q2",
            "mov r0, r1",
            "dls lr, {columns}",
            "cmp {lanes}, #8",
            "bne 4f",
            "3:",
            "vldrb.u16 q0, [r0]",
            "vstrb.16 q0, [{to}, q1]",
            "add r0, {from_column}",
            "vadd.i16 q1, q1, {to_column}",
            "le lr, 3b",
            "b 5f",
            "4:",
            "vpst",
            "vldrbt.u16 q0, [r0]",
            "vstrb.16 q0, [{to}, q1]",
            "add r0, {from_column}",
            "vadd.i16 q1, q1, {to_column}",
            "le lr, 4b",
            "5:",
            "add r1, {from_row}",
            "add {to}, {to_row}",
            "subs {rows}, #1",
            "bne 2b",
            "vmsr vpr, {saved}",
            saved = out(reg) _,
            plane = in(reg) plane,
            lanes = in(reg) lanes,
            rows = inout(reg) rows => _,
            columns = in(reg) columns,
            from_row = in(reg) from_row,
            from_column = in(reg) from_column,
            to = inout(reg) to.as_mut_ptr() => _,
            to_row = in(reg) to_row,
            to_column = in(reg) to_column,
            // Vector increments take an even register, widening loads r0 to r7 only.
            out("r0") _,
            inout("r1") x.as_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack),
        );
    }
}

/// What the loop over channels keeps in memory; the first four change with every channel.
#[repr(C)]
struct State {
    x: *const i8,
    weights: *const i8,
    rescales: *const Rescale,
    y: *mut i8,
    plane: usize,
    channels: usize,
    places: *const i16,
    rounds: usize,
    /// From a window to the next, and from that to the third.
    steps: [usize; 2],
    zero_point: i32,
    min: i32,
    max: i32,
    /// Where the last output of a channel is.
    reach: usize,
}

impl State {
    /// What does not change within a layer.
    fn new(p: &DepthwiseConv2d, plan: &Planes, plane: usize, places: &[i16]) -> State {
        let w = &p.window;
        let (row, column) = (w.stride_h as usize, (plan.height * w.stride_w) as usize);
        let rows = plan.rows.min(w.out_h);
        State {
            x: core::ptr::null(),
            weights: core::ptr::null(),
            rescales: core::ptr::null(),
            y: core::ptr::null_mut(),
            plane,
            channels: 0,
            places: places.as_ptr(),
            rounds: places.len() / ROUND,
            steps: if plan.rows == 2 {
                [row, column - row]
            } else {
                [column, column]
            },
            zero_point: p.output.zero_point.into(),
            min: p.output.min.into(),
            max: p.output.max.into(),
            reach: (((rows - 1) * w.out_w + plan.tile - 1) * p.out_c()) as usize,
        }
    }

    /// Writes the outputs of `channels` output channels.
    ///
    /// # Safety
    /// As the functions below ask for, each for its count of vectors and rows.
    unsafe fn outputs(&mut self, plan: &Planes) {
        // SAFETY: the caller's promise.
        unsafe {
            match (plan.vectors, plan.rows) {
                (1, 4) => one_vector::<1, 1, 3>(self),
                (1, _) => one_vector::<2, 8, 8>(self),
                _ => two_vectors(self),
            }
        }
    }
}

/// The loop over channels. `$sum` sums the products of a window into a register and goes on by a step of `$steps`.
macro_rules! channels_loop {
    ($state:ident, $load:literal, $before:literal, $after:literal, $zero_point:literal, $written:literal, $sum:ident, $($extra:tt)*) => {
        asm!(
            "push {{r6, r7}}",
            "vmrs r6, vpr",
            "push {{r6}}",
            "ldrd r0, r1, [r9, #{min}]",
            "vdup.16 q5, r0",
            "vdup.16 q6, r1",
            "ldr r7, [r9, #{zero_point}]",
            "2:",
            "ldm r9, {{r1, r2, r4, r5}}",
            "ldr r0, [r9, #{plane}]",
            "vldrb.u8 q4, [r2], #16",
            $load,
            "ldm r4!, {{r8, r10, r11, r12}}",
            "add r0, r1",
            "adds r6, r5, #1",
            "stm r9, {{r0, r2, r4, r6}}",
            "ldrd r3, lr, [r9, #{places}]",
            "dls lr, lr",
            $before,
            "3:",
            $sum!("r0", 0),
            $sum!("r2", 1),
            $sum!("r4", 0),
            $sum!("r6", 2),
            "vmov q2[2], q2[0], r0, r4",
            "vmov q2[3], q2[1], r2, r6",
            $sum!("r0", 0),
            $sum!("r2", 1),
            $sum!("r4", 0),
            $sum!("r6", 2),
            "vmov q3[2], q3[0], r0, r4",
            "vmov q3[3], q3[1], r2, r6",
            "vadd.i32 q2, q2, r8",
            "vadd.i32 q3, q3, r8",
            "vqshl.s32 q2, r11",
            "vqshl.s32 q3, r11",
            "vqdmulh.s32 q2, q2, r10",
            "vqdmulh.s32 q3, q3, r10",
            "vrshl.s32 q2, r12",
            "vrshl.s32 q3, r12",
            "vldrh.u16 q0, [r3], #16",
            "vqmovnb.s32 q2, q2",
            "vqmovnt.s32 q2, q3",
            concat!("vqadd.s16 q2, q2, ", $zero_point),
            "vmax.s16 q2, q2, q5",
            "vmin.s16 q2, q2, q6",
            $written,
            "vstrbt.16 q2, [r5, q0]",
            "le lr, 3b",
            $after,
            "ldr r0, [r9, #{channels}]",
            "subs r0, #1",
            "str r0, [r9, #{channels}]",
            "bne 2b",
            "pop {{r6}}",
            "vmsr vpr, r6",
            "pop {{r6, r7}}",
            min = const offset_of!(State, min),
            zero_point = const offset_of!(State, zero_point),
            plane = const offset_of!(State, plane),
            places = const offset_of!(State, places),
            channels = const offset_of!(State, channels),
            $($extra)*
            in("r9") $state,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
        )
    };
}

/// One vector of taps into a register.
macro_rules! sum_of_one {
    ($sum:literal, 0) => {
        concat!("vldrb.u8 q0, [r1], #{row}\nvmladav.s8 ", $sum, ", q0, q4")
    };
    ($sum:literal, 1) => {
        concat!(
            "vldrb.u8 q1, [r1], #{middle}\nvmladav.s8 ",
            $sum,
            ", q1, q4"
        )
    };
    ($sum:literal, 2) => {
        concat!("vldrb.u8 q1, [r1], #{last}\nvmladav.s8 ", $sum, ", q1, q4")
    };
}

/// Two vectors of taps into a register.
macro_rules! sum_of_two {
    ($sum:literal, 0) => {
        sum_of_two!($sum, "r9")
    };
    ($sum:literal, 1) => {
        sum_of_two!($sum, "r7")
    };
    ($sum:literal, 2) => {
        sum_of_two!($sum, "r7")
    };
    ($sum:literal, $step:literal) => {
        concat!(
            "vldrb.u8 q0, [r1]\nvmladav.s8 ",
            $sum,
            ", q0, q4\nvldrb.u8 q0, [r1, #16]\nvmladava.s8 ",
            $sum,
            ", q0, q7\nadd r1, ",
            $step
        )
    };
}

/// Windows of one vector, of which the second begins `ROW` bytes behind the first, the third `MIDDLE` behind that, the fourth `ROW` and the fifth `LAST`.
///
/// # Safety
/// For each of `channels`, which is not 0: sixteen bytes can be read from each of `8 * rounds` windows from `x + i * plane` on; there are sixteen weights, a rescale, and
/// from `y + i` on a byte at each of `8 * rounds` places that is not negative. `rounds` is not 0.
unsafe fn one_vector<const ROW: usize, const MIDDLE: usize, const LAST: usize>(state: &mut State) {
    // SAFETY: the caller's promise is what the loops read and write. The state is read and written as itself. What is pushed is popped: r6 and r7, which the compiler may
    // keep for itself, and the predicate. Every other register that is written is named as clobbered.
    unsafe {
        channels_loop!(
            state,
            "vmov.i8 q7, #255",
            "",
            "",
            "r7",
            "vpt.i16 ne, q0, q7",
            sum_of_one,
            row = const ROW,
            middle = const MIDDLE,
            last = const LAST,
        );
    }
}

/// Windows of two vectors, by turns `steps[0]` and `steps[1]` bytes apart.
///
/// # Safety
/// As [`one_vector`], with 32 bytes of each window and 32 weights.
unsafe fn two_vectors(state: &mut State) {
    // SAFETY: as in `one_vector`; what is pushed between is popped too.
    unsafe {
        channels_loop!(
            state,
            "vldrb.u8 q7, [r2], #16",
            "push {{r9}}\nldr r7, [r9, #{zero_point}]\nvdup.16 q1, r7\nldrd r9, r7, [r9, #{steps}]",
            "pop {{r9}}",
            "q1",
            "vpt.s16 ge, q0, zr",
            sum_of_two,
            steps = const offset_of!(State, steps),
        );
    }
}
