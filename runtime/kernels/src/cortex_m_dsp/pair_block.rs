//! Three input rows times two output channels at a time, from weights of which two share 16 bits, and their outputs.
//!
//! A word of weights `256 * b + a` is multiplied as it is into one sum, and its sign-extended low bytes into another: the second is channel `a`'s, and the
//! first less the second is 256 times channel `b`'s. So twelve products take one word of weights, three of inputs, one `SXTB16` and six `SMLAD`: twelve cycles on a Cortex-M4. Thirteen
//! registers hold sums, operands and pointers, the last one counts; everything else waits in memory until the products are done.

use core::arch::asm;
use core::{mem::offset_of, ptr};

use super::requantize::Channels;
use super::rows::{ROWS, RUN, Run};

/// Runs of one round of the inner loop; a layer whose runs are no multiple enters it in the middle.
const ROUND: usize = 8;
/// Bytes of weights of two channels in a run.
const PAIR_RUN: usize = 2 * RUN;

/// A layer's weights and how its sums become outputs.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a> {
    weights: &'a [i8],
    channels: Channels<'a>,
    /// Runs of a row.
    runs: usize,
}

/// What the loop keeps in memory.
#[repr(C)]
struct State {
    y0: *mut i8,
    y1: *mut i8,
    y2: *mut i8,
    /// Channels that are done.
    done: usize,
    multipliers: *const i32,
    shifts: *const u8,
    bias: *const i32,
    /// Twice the zero point plus one: the zero point and half a step, before both are shifted.
    zero_point: i32,
    /// Channels to do, an even count.
    count: usize,
    /// Rounds of the inner loop, the first of which may be entered in the middle.
    rounds: usize,
    /// The rows, less what the first round leaves out.
    x: *const Run,
    /// Weights that the first round leaves out.
    skip: usize,
    /// Where the first round begins.
    entry: usize,
    /// Where to put the sums of two channels, where these have no short rescale; null otherwise.
    sums: *mut [i32; 2 * ROWS],
}

impl<'a> Pairs<'a> {
    /// `None` where the weights are fewer than channels and taps say.
    pub(super) fn new(weights: &'a [i8], channels: Channels<'a>, taps: usize) -> Option<Pairs<'a>> {
        let runs = taps.div_ceil(RUN);
        let pairs = channels.bias.len().div_ceil(2);
        let weights = weights.get(..pairs.checked_mul(runs.checked_mul(PAIR_RUN)?)?)?;
        (runs > 0).then_some(Pairs {
            weights,
            channels,
            runs,
        })
    }

    /// Writes the outputs of three rows, whose channels begin at `at` in `y`. Rows may have one place: then one of them is kept.
    #[inline]
    pub(super) fn three_rows(&self, x: &[Run], y: &mut [i8], at: [usize; ROWS]) {
        let count = self.channels.bias.len();
        let inside = |at: usize| at.checked_add(count).is_some_and(|end| end <= y.len());
        let Some(x) = x.get(..self.runs) else { return };
        if !at.iter().all(|&at| inside(at)) {
            return;
        }
        if !self.channels.is_short() {
            self.pair_by_pair(x, y, at, 0);
            return;
        }
        let [y0, y1, y2] = at.map(|at| y.as_mut_ptr().wrapping_add(at));
        let whole = count & !1;
        if whole > 0 {
            let mut state = State {
                y0,
                y1,
                y2,
                multipliers: self.channels.multipliers.as_ptr(),
                shifts: self.channels.shifts.as_ptr(),
                bias: self.channels.bias.as_ptr(),
                count: whole,
                ..self.state(x)
            };
            // SAFETY: `whole` channels are not more than bias, multipliers and shifts have, nor than fit behind each of the three places in `y`; `state` has filled
            // in the rest for a row of `runs`, which `x` has.
            unsafe { block(&mut state, self.weights.as_ptr()) };
        }
        if whole < count {
            self.pair_by_pair(x, y, at, whole);
        }
        for at in at {
            self.channels
                .clamp(y.get_mut(at..at + count).unwrap_or_default());
        }
    }

    /// The channels from `first` on, an even number, two at a time and by way of their sums.
    fn pair_by_pair(&self, x: &[Run], y: &mut [i8], at: [usize; ROWS], first: usize) {
        let pairs = self.weights.chunks_exact(self.runs * PAIR_RUN);
        for (weights, first) in pairs.zip((0..).step_by(2)).skip(first / 2) {
            let channels = self.channels.from(first);
            let bias = [0, 1].map(|place| channels.bias.get(place).copied().unwrap_or(0));
            let mut sums = [0; 2 * ROWS];
            let mut state = State {
                bias: bias.as_ptr(),
                count: 2,
                sums: &mut sums,
                ..self.state(x)
            };
            // SAFETY: two channels: `bias` has two values and `weights` their runs. With `sums` nothing is written but these, and no multiplier and no shift is read.
            unsafe { block(&mut state, weights.as_ptr()) };
            let [b0, b1, b2, a0, a1, a2] = sums;
            for (at, sums) in at.into_iter().zip([[a0, b0], [a1, b1], [a2, b2]]) {
                let two = y.get_mut(at + first..).unwrap_or_default();
                channels.finish(&sums, two);
            }
        }
    }

    /// What the loop needs for rows of this length; nothing to do.
    fn state(&self, x: &[Run]) -> State {
        let left_out = self.runs.next_multiple_of(ROUND) - self.runs;
        State {
            y0: ptr::null_mut(),
            y1: ptr::null_mut(),
            y2: ptr::null_mut(),
            done: 0,
            multipliers: ptr::null(),
            shifts: ptr::null(),
            bias: ptr::null(),
            zero_point: 2 * i32::from(self.channels.output.zero_point) + 1,
            count: 0,
            rounds: self.runs.div_ceil(ROUND),
            x: x.as_ptr().wrapping_sub(left_out),
            skip: left_out * PAIR_RUN,
            entry: left_out * RUN_CODE,
            sums: ptr::null_mut(),
        }
    }
}

/// Bytes of a run's instructions.
const RUN_CODE: usize = 22 * 4;

/// # Safety
/// For `count` channels, two or more and even, from the first: `bias` points to as many values; `weights` to their runs; `x` plus the runs left out to the rows'. `sums` points to
/// six integers and `count` is 2; or it is null, and `multipliers`, `shifts` point to `count` values, shifts are in `33..=55`, and `y0`, `y1`, `y2` to `count` places each.
unsafe fn block(state: &mut State, weights: *const i8) {
    // SAFETY: a round reads eight runs of weights and rows at offsets from r1 and r0, less those that the first round skips by its entry: r0 and r1 begin as much lower, so that no
    // address below the runs is read. After the last round r1 is at the next two channels. Bias, multipliers and shifts are read two at a time for two channels, and
    // three times two bytes written at `y + done`. The branch into the round is to its label plus as many runs' instructions as are left out, each of RUN_CODE bytes
    // since every one is forced to four. r6 and r7, which the compiler may keep for itself, are pushed and popped with the pointer to the state; every other
    // register that is written is named.
    unsafe {
        asm!(
            "push {{r2, r6, r7}}",
            "mov r7, r2",
            "adr.w r3, 3f",
            "ldr r4, [r7, #{entry}]",
            "add r3, r3, r4",
            "add r3, r3, #1",
            "str r3, [r7, #{entry}]",
            // Two channels: the sums begin with the biases.
            "2:",
            "ldr r2, [r7, #{bias}]",
            "ldrd r11, r8, [r2], #8",
            "str r2, [r7, #{bias}]",
            "add r8, r11, r8, lsl #8",
            "mov r12, r11",
            "mov lr, r11",
            "mov r9, r8",
            "mov r10, r8",
            "ldr r2, [r7, #{entry}]",
            "ldr r3, [r7, #{skip}]",
            "ldr r0, [r7, #{x}]",
            "ldr r7, [r7, #{rounds}]",
            "sub r1, r1, r3",
            "bx r2",
            ".p2align 2",
            "3:",
            ".irp k, 0, 1, 2, 3, 4, 5, 6, 7",
            "ldr.w r5, [r1, #(8 * \\k)]",
            "ldr.w r2, [r0, #(24 * \\k)]",
            "ldr.w r3, [r0, #(24 * \\k + 4)]",
            "ldr.w r4, [r0, #(24 * \\k + 8)]",
            "sxtb16 r6, r5",
            "smlad r8, r5, r2, r8",
            "smlad r9, r5, r3, r9",
            "smlad r10, r5, r4, r10",
            "smlad r11, r6, r2, r11",
            "smlad r12, r6, r3, r12",
            "smlad lr, r6, r4, lr",
            "ldr.w r5, [r1, #(8 * \\k + 4)]",
            "ldr.w r2, [r0, #(24 * \\k + 12)]",
            "ldr.w r3, [r0, #(24 * \\k + 16)]",
            "ldr.w r4, [r0, #(24 * \\k + 20)]",
            "sxtb16 r6, r5",
            "smlad r8, r5, r2, r8",
            "smlad r9, r5, r3, r9",
            "smlad r10, r5, r4, r10",
            "smlad r11, r6, r2, r11",
            "smlad r12, r6, r3, r12",
            "smlad lr, r6, r4, lr",
            ".endr",
            "add.w r0, r0, #192",
            "add.w r1, r1, #64",
            "subs r7, #1",
            "bne.w 3b",
            // The second channel's sums.
            "ldr r7, [sp]",
            "sub r8, r8, r11",
            "sub r9, r9, r12",
            "sub r10, r10, lr",
            "asr r8, r8, #8",
            "asr r9, r9, #8",
            "asr r10, r10, #8",
            "ldr r0, [r7, #{sums}]",
            "cmp r0, #0",
            "bne.w 4f",
            "ldrd r2, r3, [r7, #{multipliers}]",
            "ldrd r4, r5, [r2], #8",
            "ldrb r6, [r3]",
            "ldrb r0, [r3, #1]",
            "add r3, #2",
            "strd r2, r3, [r7, #{multipliers}]",
            "ldr r2, [r7, #{zero_point}]",
            "sub r6, #33",
            "sub r0, #33",
            "lsl r3, r2, r6",
            "lsl r2, r2, r0",
            "add r6, #1",
            "add r0, #1",
            "smmla r11, r11, r4, r3",
            "smmla r12, r12, r4, r3",
            "smmla lr, lr, r4, r3",
            "smmla r8, r8, r5, r2",
            "smmla r9, r9, r5, r2",
            "smmla r10, r10, r5, r2",
            "asr r11, r11, r6",
            "asr r12, r12, r6",
            "asr lr, lr, r6",
            "asr r8, r8, r0",
            "asr r9, r9, r0",
            "asr r10, r10, r0",
            "ssat r11, #8, r11",
            "ssat r12, #8, r12",
            "ssat lr, #8, lr",
            "ssat r8, #8, r8",
            "ssat r9, #8, r9",
            "ssat r10, #8, r10",
            "bfi r11, r8, #8, #8",
            "bfi r12, r9, #8, #8",
            "bfi lr, r10, #8, #8",
            "ldm r7, {{r2, r3, r4, r5}}",
            "strh r11, [r2, r5]",
            "strh r12, [r3, r5]",
            "strh lr, [r4, r5]",
            "ldr r2, [r7, #{count}]",
            "add r5, #2",
            "str r5, [r7, #{done}]",
            "cmp r5, r2",
            "bne.w 2b",
            "b 5f",
            "4:",
            "stm r0, {{r8, r9, r10, r11, r12, lr}}",
            "5:",
            "pop {{r2, r6, r7}}",
            entry = const offset_of!(State, entry),
            bias = const offset_of!(State, bias),
            skip = const offset_of!(State, skip),
            x = const offset_of!(State, x),
            rounds = const offset_of!(State, rounds),
            sums = const offset_of!(State, sums),
            multipliers = const offset_of!(State, multipliers),
            zero_point = const offset_of!(State, zero_point),
            count = const offset_of!(State, count),
            done = const offset_of!(State, done),
            inout("r1") weights => _,
            inout("r2") core::ptr::from_mut(state) => _,
            out("r0") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
        );
    }
}
