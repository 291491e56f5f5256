//! Depthwise 3x3, stride 1 or 2 along the inner axis: four outputs of a channel at a time from pairs of 16-bit neighbours.
//!
//! `SMLAD` of the pair `x0 x1` with `w0 w1` and `SMLABT` of `x2 x3` with `w1 w2` are one row's share of an output; with stride 1 the same words give its neighbour by
//! `SMLATB` and `SMLAD`. Four channels are spread into planes first, a strip of rows at a time, so that each input is widened once for all the outputs that it
//! is part of. The inner axis is the one of which less is lost to whole blocks of four.
//!
//! Scratch: the planes of a strip.

use core::arch::asm;
use core::mem::offset_of;

use ocellus_format::ops::DepthwiseConv2d;

use super::planes::{CHANNELS, Line, Pair, pair};
use super::requantize::Channels;
use super::simd::word;
use crate::ConvIo;
use crate::generic::smmla_constant;
use crate::select::Planes;

/// Taps along each axis.
const KERNEL: usize = 3;

/// One channel's plane, weights and rescale, and where its outputs go.
#[repr(C)]
struct State {
    /// For each row of the window `w0 w1` and `w1 w2`.
    weights: [u32; 2 * KERNEL],
    bias: i32,
    multiplier: i32,
    /// Bits to shift the high word of a product.
    shift: i32,
    constant: i32,
    /// End of a row of outputs, while it is written.
    y_end: *mut i8,
    x: *const u32,
    y: *mut i8,
    rows: usize,
    /// Bytes from what an output row reads to what the next reads.
    x_row: usize,
    /// Bytes from one output row to the next.
    y_row: usize,
    /// Bytes from a row's first output to behind its last.
    y_len: usize,
}

/// Adds a row's share to four outputs in r8 to r11 with stride 1, and goes on to the next row. `$first` begins the sums with r8.
macro_rules! row_of_stride_1 {
    (@ $at:literal, $r9:literal, $r10:literal, $r11:literal) => {
        concat!(
            "ldr r5, [r7, #8*", $at, "]
             ldr r6, [r7, #8*", $at, "+4]
             ldr r2, [r0]
             ldr r3, [r0, #16]
             ldr r4, [r0, #32]
             add r0, r0, r12
             smlatb r9, r2, r5, ", $r9, "
             smlad r10, r3, r5, ", $r10, "
             smlatb r11, r3, r5, ", $r11, "
             smlad r8, r2, r5, r8
             smlad r9, r3, r6, r9
             smlabt r10, r4, r6, r10
             smlad r11, r4, r6, r11
             smlabt r8, r3, r6, r8"
        )
    };
    (first) => { row_of_stride_1!(@ "0", "r8", "r8", "r8") };
    ($at:literal) => { row_of_stride_1!(@ $at, "r9", "r10", "r11") };
}

/// As [`row_of_stride_1`], with stride 2.
macro_rules! row_of_stride_2 {
    (@ $at:literal, $before:literal, $r9:literal, $r10:literal) => {
        concat!(
            $before,
            "ldr r5, [r7, #8*", $at, "]
             ldr r6, [r7, #8*", $at, "+4]
             ldr r2, [r0]
             ldr r3, [r0, #16]
             ldr r4, [r0, #32]
             smlad r9, r3, r5, ", $r9, "
             smlad r10, r4, r5, ", $r10, "
             smlad r8, r2, r5, r8
             ldr r2, [r0, #48]
             smlabt r8, r3, r6, r8
             ldr r3, [r0, #64]
             add r0, r0, r12
             smlabt r9, r4, r6, r9
             smlad r11, r2, r5, r11
             smlabt r10, r2, r6, r10
             smlabt r11, r3, r6, r11"
        )
    };
    (first) => { row_of_stride_2!(@ "0", "mov r11, r8\n", "r8", "r8") };
    ($at:literal) => { row_of_stride_2!(@ $at, "", "r9", "r10") };
}

/// The whole plane, from the three rows of a stride.
macro_rules! plane {
    ($state:ident, $kernel_row:expr, $y_step:expr, $forward:literal, $first:expr, $second:expr, $third:expr) => {
        asm!(
            "push {{r6, r7}}",
            "mov r7, r0",
            // A row of outputs.
            "2:",
            "ldr r0, [r7, #{x}]",
            "ldr r1, [r7, #{y}]",
            "ldr r2, [r7, #{y_len}]",
            "add r2, r2, r1",
            "str r2, [r7, #{y_end}]",
            // Four outputs.
            "3:",
            "ldr r8, [r7, #{bias}]",
            $first,
            $second,
            $third,
            "sub r0, r0, r12, lsl #1",
            "sub r0, r0, r12",
            concat!("add r0, #", $forward),
            "ldr r2, [r7, #{multiplier}]",
            "ldr r3, [r7, #{shift}]",
            "ldr r4, [r7, #{constant}]",
            "ldr r5, [r7, #{y_end}]",
            "smmla r8, r8, r2, r4",
            "smmla r9, r9, r2, r4",
            "smmla r10, r10, r2, r4",
            "smmla r11, r11, r2, r4",
            "asr r8, r8, r3",
            "asr r9, r9, r3",
            "asr r10, r10, r3",
            "asr r11, r11, r3",
            "ssat r8, #8, r8",
            "ssat r9, #8, r9",
            "ssat r10, #8, r10",
            "ssat r11, #8, r11",
            "sub r5, r5, r1",
            "cmp r5, lr, lsl #2",
            "blo 4f",
            "add r2, r1, lr",
            "strb r8, [r1]",
            "strb r9, [r1, lr]",
            "strb r10, [r1, lr, lsl #1]",
            "strb r11, [r2, lr, lsl #1]",
            "add r1, r1, lr, lsl #2",
            "bne 3b",
            "b 5f",
            // The row's last one, two or three.
            "4:",
            "strb r8, [r1]",
            "cmp r5, lr",
            "beq 5f",
            "strb r9, [r1, lr]",
            "cmp r5, lr, lsl #1",
            "beq 5f",
            "strb r10, [r1, lr, lsl #1]",
            "5:",
            "ldr r0, [r7, #{x}]",
            "ldr r1, [r7, #{y}]",
            "ldr r2, [r7, #{x_row}]",
            "ldr r3, [r7, #{y_row}]",
            "ldr r4, [r7, #{rows}]",
            "add r0, r0, r2",
            "add r1, r1, r3",
            "str r0, [r7, #{x}]",
            "str r1, [r7, #{y}]",
            "subs r4, #1",
            "str r4, [r7, #{rows}]",
            "bne 2b",
            "pop {{r6, r7}}",
            bias = const offset_of!(State, bias),
            multiplier = const offset_of!(State, multiplier),
            shift = const offset_of!(State, shift),
            constant = const offset_of!(State, constant),
            y_end = const offset_of!(State, y_end),
            x = const offset_of!(State, x),
            y = const offset_of!(State, y),
            rows = const offset_of!(State, rows),
            x_row = const offset_of!(State, x_row),
            y_row = const offset_of!(State, y_row),
            y_len = const offset_of!(State, y_len),
            inout("r0") core::ptr::from_mut($state) => _,
            in("r12") $kernel_row,
            in("lr") $y_step,
            out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        )
    };
}

impl State {
    /// All but the strip: where it lies, and its rows.
    fn new(
        weights: [u32; 2 * KERNEL],
        channels: &Channels<'_>,
        channel: usize,
        planes: &Planes,
    ) -> Option<State> {
        let shift = *channels.shifts.get(channel)?;
        Some(State {
            weights,
            bias: *channels.bias.get(channel)?,
            multiplier: *channels.multipliers.get(channel)?,
            shift: i32::from(shift) - 32,
            constant: smmla_constant(shift, channels.output.zero_point),
            y_end: core::ptr::null_mut(),
            x: core::ptr::null(),
            y: core::ptr::null_mut(),
            rows: 0,
            x_row: planes.row_pairs * size_of::<Pair>() * planes.outer.stride,
            y_row: planes.outer.y_step,
            y_len: planes.inner.out * planes.inner.y_step,
        })
    }

    /// # Safety
    /// With the window's rows at `x` and `rows - 1` times `x_row` behind, each of `row_pairs` pairs, all readable; with the outputs of a row `y_step` bytes apart from `y` on,
    /// `y_len` bytes in all, and of the next row `y_row` behind, all writable; one row or more, and a shift that `SMMLA` has.
    unsafe fn run(&mut self, row_pairs: usize, y_step: usize, stride: usize) {
        let kernel_row = row_pairs * size_of::<Pair>();
        let state = self;
        // SAFETY: for four outputs a block reads three pairs of each of three rows with stride 1 and goes on by two, with stride 2 five and goes on by four: `2 * stride` times the blocks
        // and one more are the `row_pairs` of `Planes`. Outputs behind a row's end are not stored. What is pushed is popped: r6 and r7, which the compiler may
        // keep for itself. Every other register that is written is named, and the state is read and written as itself.
        unsafe {
            if stride == 1 {
                plane!(
                    state,
                    kernel_row,
                    y_step,
                    "32",
                    row_of_stride_1!(first),
                    row_of_stride_1!("1"),
                    row_of_stride_1!("2")
                );
            } else {
                plane!(
                    state,
                    kernel_row,
                    y_step,
                    "64",
                    row_of_stride_2!(first),
                    row_of_stride_2!("1"),
                    row_of_stride_2!("2")
                );
            }
        }
    }
}

/// The weights of four channels from `first` on: for each row of the window `w0 w1` and `w1 w2`.
fn group_weights(
    weights: &[i8],
    first: usize,
    in_c: usize,
    planes: &Planes,
) -> [[u32; 2 * KERNEL]; CHANNELS] {
    let mut group = [[0; 2 * KERNEL]; CHANNELS];
    for row in 0..KERNEL {
        let [w0, w1, w2] = [0, 1, 2].map(|column| {
            let tap = row * planes.outer.w_step + column * planes.inner.w_step;
            let four = weights.get(tap * in_c + first..);
            four.and_then(|four| four.first_chunk()).map_or(0, word)
        });
        let both = pair(w0, w1).into_iter().zip(pair(w1, w2));
        for (channel, (early, late)) in group.iter_mut().zip(both) {
            if let Some([to_early, to_late]) = channel.get_mut(2 * row..2 * row + 2) {
                (*to_early, *to_late) = (early, late);
            }
        }
    }
    group
}

/// Writes the outputs of a layer for which [`Planes`] are planned.
#[inline(never)]
pub(super) fn depthwise_3x3(
    p: &DepthwiseConv2d,
    planes: &Planes,
    channels: &Channels<'_>,
    io: ConvIo<'_>,
) {
    let in_c = p.in_c as usize;
    let (inner, outer) = (&planes.inner, &planes.outer);
    let row_pairs = planes.row_pairs;
    // A file for any board may have more scratch than this kernel wants, and no whole number of pairs.
    let whole = io.scratch.len() / size_of::<Pair>() * size_of::<Pair>();
    let scratch = io.scratch.get_mut(..whole).unwrap_or_default();
    let Ok(buffer) = bytemuck::try_cast_slice_mut::<u8, Pair>(scratch) else {
        return;
    };
    let outputs = io.y.len();
    let padding = i16::from(p.zero_point_in) as u16;
    let padding = [u32::from(padding) * 0x1_0001; CHANNELS];
    for first_row in (0..outer.out).step_by(planes.strip_rows.max(1)) {
        let rows = planes.strip_rows.min(outer.out - first_row);
        let in_rows = (rows - 1) * outer.stride + KERNEL;
        let Some(strip) = buffer.get_mut(..in_rows * row_pairs) else {
            return;
        };
        // The padding is the same for all channels.
        strip.fill(padding);
        for first in (0..in_c).step_by(CHANNELS) {
            // The last four channels may have been done in part.
            let first = first.min(in_c - CHANNELS);
            for (row, to) in strip.chunks_exact_mut(row_pairs.max(1)).enumerate() {
                let at = (first_row * outer.stride + row).wrapping_sub(outer.pad);
                if at < outer.input {
                    let line = Line {
                        x: io.x.get(at * outer.step + first..).unwrap_or(&[]),
                        len: inner.input,
                        step: inner.step,
                        pad: inner.pad,
                    };
                    line.spread(to);
                }
            }
            let weights = group_weights(io.weights, first, in_c, planes);
            for (plane, weights) in weights.into_iter().enumerate() {
                let channel = first + plane;
                let Some(mut state) = State::new(weights, channels, channel, planes) else {
                    return;
                };
                let y = first_row * outer.y_step + channel;
                let end = y + (rows - 1) * outer.y_step + (inner.out - 1) * inner.y_step;
                if end >= outputs {
                    return;
                }
                state.x = strip.as_ptr().cast::<u32>().wrapping_add(plane);
                state.y = io.y.as_mut_ptr().wrapping_add(y);
                state.rows = rows;
                // SAFETY: the strip is the rows that `rows` outputs read, each of `row_pairs`, from the plane's word of the first pair on; the last output's place, `end`, lies in `y`. The
                // caller has seen to the shifts.
                unsafe { state.run(row_pairs, inner.y_step, inner.stride) };
            }
        }
    }
    channels.clamp(io.y);
}
