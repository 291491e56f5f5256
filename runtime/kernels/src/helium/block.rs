//! Two input rows times four interleaved output channels at a time, and their outputs.
//!
//! Eight `VMLADAVA` share two loads of inputs and four of weights; the loop over channels, the products and requantize are one `asm!` block, so that
//! layers of few channels pay for no set-up between them. Runs of sixteen need no predication: fillers of the weights are 0, whatever
//! the inputs there are.

use core::arch::asm;
use core::mem::offset_of;

use super::requantize::Requants;

/// Values of one run of the interleaved layout.
pub(super) const RUN: usize = 16;

/// The products of layers whose every shift has the vector form.
#[derive(Clone, Copy)]
pub(super) struct Channels<'a> {
    weights: &'a [i8],
    bias: &'a [i32],
    multipliers: &'a [i32],
    shifts: &'a [u8],
    zero_point: i32,
    min: i32,
    max: i32,
    /// Bytes of an input row that are read.
    row: usize,
}

/// What the inner loop keeps in memory. The first six change with every four channels, and are loaded and stored together.
#[repr(C)]
struct State {
    y0: *mut i8,
    y1: *mut i8,
    shifts: *const u8,
    bias: *const i32,
    multipliers: *const i32,
    left: usize,
    zero_point: i32,
    x0: *const i8,
    x1: *const i8,
    weights: *const i8,
    row: usize,
    min: i32,
    max: i32,
}

impl<'a> Channels<'a> {
    /// `None` where a shift has no vector form, or a slice is shorter than `taps` and the channels say.
    pub(super) fn new(
        weights: &'a [i8],
        bias: &'a [i32],
        requants: Requants<'a>,
        taps: usize,
    ) -> Option<Channels<'a>> {
        let row = taps.next_multiple_of(RUN);
        let (multipliers, shifts) = requants.narrow(bias.len())?;
        let fits = weights.len() >= bias.len().next_multiple_of(4) * row;
        (fits && row > 0 && !bias.is_empty()).then_some(Channels {
            weights,
            bias,
            multipliers,
            shifts,
            zero_point: i32::from(requants.output().zero_point),
            min: i32::from(requants.output().min),
            max: i32::from(requants.output().max),
            row,
        })
    }

    /// Writes the outputs of two input rows. `y1` is empty where there is only one. False, and nothing is written, where a
    /// row is shorter than its runs.
    #[inline]
    pub(super) fn two_rows(&self, x: [&[i8]; 2], y: [&mut [i8]; 2]) -> bool {
        let [x0, x1] = x;
        let [y0, y1] = y;
        let out_c = self.bias.len();
        if x0.len() < self.row || x1.len() < self.row || y0.len() < out_c {
            return false;
        }
        let y0 = y0.as_mut_ptr();
        let y1 = if y1.len() < out_c {
            y0
        } else {
            y1.as_mut_ptr()
        };
        let mut state = State {
            y0,
            y1,
            shifts: self.shifts.as_ptr(),
            bias: self.bias.as_ptr(),
            multipliers: self.multipliers.as_ptr(),
            left: out_c,
            zero_point: self.zero_point,
            x0: x0.as_ptr(),
            x1: x1.as_ptr(),
            weights: self.weights.as_ptr(),
            row: self.row,
            min: self.min,
            max: self.max,
        };
        // SAFETY: for every four channels of `out_c`, or fewer at the end, the block reads `row` bytes of each input row, a multiple of 16 that is not above
        // either's length, and `4 * row` bytes of the weights, `out_c` rounded up to four times `row` in all: `new` measured them. `VCTP` predicates the loads
        // of biases, multipliers and shifts and the stores of outputs to the channels that are left; each of those slices has `out_c` values or more, and
        // `y1` is `y0` or as long. The state is read and written as itself. What is pushed is popped: r6 and r7, which the compiler may keep for itself, and the
        // predicate. Every other register that is written is named as clobbered.
        unsafe {
            asm!(
                "push {{r6, r7}}",
                "vmrs r6, vpr",
                "push {{r6}}",
                "ldrd r0, r2, [r9, #{min}]",
                "vdup.32 q5, r0",
                "vdup.32 q6, r2",
                "vmov.i32 q7, #31",
                "ldrd r1, r3, [r9, #{x0}]",
                "ldrd r5, r11, [r9, #{weights}]",
                // Four channels. The first run begins the sums.
                "2:",
                "vldrb.u8 q0, [r1], #16",
                "vldrb.u8 q2, [r5], #16",
                "vmladav.s8 r0, q0, q2",
                "vldrb.u8 q1, [r3], #16",
                "vmladav.s8 r8, q1, q2",
                "vldrb.u8 q3, [r5], #16",
                "vmladav.s8 r2, q0, q3",
                "vldrb.u8 q2, [r5], #16",
                "vmladav.s8 r10, q1, q3",
                "vldrb.u8 q3, [r5], #16",
                "vmladav.s8 r4, q0, q2",
                "vmladav.s8 r12, q1, q2",
                "vmladav.s8 r6, q0, q3",
                "vmladav.s8 lr, q1, q3",
                "subs r7, r11, #16",
                "beq 4f",
                "3:",
                "vldrb.u8 q0, [r1], #16",
                "vldrb.u8 q2, [r5], #16",
                "vmladava.s8 r0, q0, q2",
                "vldrb.u8 q1, [r3], #16",
                "vmladava.s8 r8, q1, q2",
                "vldrb.u8 q3, [r5], #16",
                "vmladava.s8 r2, q0, q3",
                "vldrb.u8 q2, [r5], #16",
                "vmladava.s8 r10, q1, q3",
                "vldrb.u8 q3, [r5], #16",
                "vmladava.s8 r4, q0, q2",
                "subs r7, #16",
                "vmladava.s8 r12, q1, q2",
                "vmladava.s8 r6, q0, q3",
                "vmladava.s8 lr, q1, q3",
                "bne 3b",
                "4:",
                "vmov q0[2], q0[0], r0, r4",
                "vmov q0[3], q0[1], r2, r6",
                "vmov q1[2], q1[0], r8, r12",
                "vmov q1[3], q1[1], r10, lr",
                "ldm r9, {{r0, r2, r4, r6, r8, r10, r12}}",
                "vctp.32 r10",
                "vpsttt",
                "vldrwt.u32 q2, [r6], #16",
                "vldrwt.u32 q3, [r8], #16",
                "vldrbt.u32 q4, [r4], #4",
                "vadd.i32 q0, q0, q2",
                "vadd.i32 q1, q1, q2",
                "vqdmulh.s32 q0, q0, q3",
                "vqdmulh.s32 q1, q1, q3",
                "vsub.i32 q4, q7, q4",
                "vrshl.s32 q0, q0, q4",
                "vrshl.s32 q1, q1, q4",
                "vadd.i32 q0, q0, r12",
                "vadd.i32 q1, q1, r12",
                "vmax.s32 q0, q0, q5",
                "vmax.s32 q1, q1, q5",
                "vmin.s32 q0, q0, q6",
                "vmin.s32 q1, q1, q6",
                "vpstt",
                "vstrbt.32 q0, [r0], #4",
                "vstrbt.32 q1, [r2], #4",
                "sub r1, r11",
                "sub r3, r11",
                "subs r10, #4",
                "stm r9, {{r0, r2, r4, r6, r8, r10}}",
                "bgt 2b",
                "pop {{r6}}",
                "vmsr vpr, r6",
                "pop {{r6, r7}}",
                min = const offset_of!(State, min),
                x0 = const offset_of!(State, x0),
                weights = const offset_of!(State, weights),
                in("r9") &raw mut state,
                out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
                out("r8") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                out("d8") _, out("d9") _, out("d10") _, out("d11") _,
                out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            );
        }
        true
    }
}
