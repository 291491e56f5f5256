//! Three input rows times two output channels at a time, from weights of which two share 16 bits, and their outputs.
//!
//! A word of weights `256 * b + a` is multiplied as it is into one sum, and its sign-extended low bytes into another: the second is channel `a`'s, and the
//! first less the second is 256 times channel `b`'s. So twelve products take one word of weights, three of inputs, one `SXTB16` and six `SMLAD`: twelve cycles on a Cortex-M4. Thirteen
//! registers hold sums, operands and pointers, the last one counts; everything else waits in memory until the products are done.

use core::arch::asm;
use core::{mem::offset_of, ptr};

use super::requantize::Channels;
use super::rows::{ROWS, RUN, Run};
use crate::generic::smmla_constant;

/// Runs of one round of the inner loop; a layer whose runs are no multiple enters it in the middle.
const ROUND: usize = 8;
/// Bytes of weights of two channels in a run.
const PAIR_RUN: usize = 2 * RUN;

/// Of two channels, in the order in which the loop reads them: where the sums of whole words and of low bytes begin, two multipliers, two addends of `SMMLA`, and two
/// shifts of its result, one byte each.
pub(super) type Record = [i32; 7];

/// A layer's weights and how its sums become outputs.
pub(super) struct Pairs<'a> {
    weights: &'a [i8],
    channels: Channels<'a>,
    /// One for every two channels; none where a shift has no short form.
    records: &'a [Record],
    /// Runs of a row.
    runs: usize,
    /// Of the channels with records.
    state: State,
}

/// What the loop keeps in memory.
#[repr(C)]
struct State {
    y0: *mut i8,
    y1: *mut i8,
    y2: *mut i8,
    /// Channels that are done.
    done: usize,
    /// Channels to do, an even count.
    count: usize,
    records: *const Record,
    /// Rounds of the inner loop, the first of which may be entered in the middle.
    rounds: usize,
    x: *const Run,
    /// Bytes of the rows that the first round leaves out.
    x_skip: usize,
    /// Weights that the first round leaves out.
    skip: usize,
    /// Bytes of instructions that the first round leaves out, and where it begins.
    left_out: usize,
    entry: usize,
    /// Where to put the sums of two channels, where these have no short rescale; null otherwise.
    sums: *mut [i32; 2 * ROWS],
}

impl<'a> Pairs<'a> {
    /// `None` where the weights are fewer than channels and taps say, or the records.
    pub(super) fn new(
        weights: &'a [i8],
        channels: Channels<'a>,
        taps: usize,
        records: &'a mut [Record],
    ) -> Option<Pairs<'a>> {
        let runs = taps.div_ceil(RUN);
        let count = channels.bias.len();
        let weights = weights.get(..count.div_ceil(2).checked_mul(runs * PAIR_RUN)?)?;
        let mut done = 0;
        if channels.is_short() {
            done = count / 2;
            let zero_point = channels.output.zero_point;
            for (pair, record) in records.get_mut(..done)?.iter_mut().enumerate() {
                let channel = |channel: usize| {
                    let bias = *channels.bias.get(channel)?;
                    let multiplier = *channels.multipliers.get(channel)?;
                    Some((bias, multiplier, *channels.shifts.get(channel)?))
                };
                let (a, b) = channel(2 * pair).zip(channel(2 * pair + 1))?;
                *record = [
                    b.0.wrapping_shl(8).wrapping_add(a.0),
                    a.0,
                    a.1,
                    b.1,
                    smmla_constant(a.2, zero_point),
                    smmla_constant(b.2, zero_point),
                    i32::from_le_bytes([a.2.wrapping_sub(32), b.2.wrapping_sub(32), 0, 0]),
                ];
            }
        }
        let records = records.get(..done)?;
        let state = State {
            count: 2 * done,
            ..State::new(runs)
        };
        (runs > 0).then_some(Pairs {
            weights,
            channels,
            records,
            runs,
            state,
        })
    }

    /// Writes the outputs of three rows, saturated but not clamped, whose channels begin at `at` in `y`. Rows may have one place: then one of them is kept.
    #[inline]
    pub(super) fn three_rows(&mut self, x: &[Run], y: &mut [i8], at: [usize; ROWS]) {
        let count = self.channels.bias.len();
        let last = at.iter().fold(0, |last, &at| last.max(at));
        let fits = last.checked_add(count).is_some_and(|end| end <= y.len());
        if !fits || x.len() < self.runs {
            return;
        }
        let whole = 2 * self.records.len();
        if whole > 0 {
            let state = &mut self.state;
            [state.y0, state.y1, state.y2] = at.map(|at| y.as_mut_ptr().wrapping_add(at));
            state.done = 0;
            state.records = self.records.as_ptr();
            state.x = x.as_ptr();
            // SAFETY: `whole` channels have a record for every two, and fit behind each of the three places in `y`; `x` has `runs`.
            unsafe { block(state, self.weights.as_ptr()) };
        }
        if whole < count {
            self.pair_by_pair(x, y, at, whole);
        }
    }

    /// The channels from `first` on, an even number, two at a time and by way of their sums.
    #[inline(never)]
    fn pair_by_pair(&self, x: &[Run], y: &mut [i8], at: [usize; ROWS], first: usize) {
        let pairs = self.weights.chunks_exact((self.runs * PAIR_RUN).max(1));
        for (weights, first) in pairs.zip((0..).step_by(2)).skip(first / 2) {
            let channels = self.channels.from(first);
            let [a, b] = [0, 1].map(|place| channels.bias.get(place).copied().unwrap_or(0));
            let record = [b.wrapping_shl(8).wrapping_add(a), a, 0, 0, 0, 0, 0];
            let mut sums = [0; 2 * ROWS];
            let mut state = State {
                count: 2,
                sums: &mut sums,
                records: &record,
                x: x.as_ptr(),
                ..State::new(self.runs)
            };
            // SAFETY: two channels, with a record and the weights of their runs. With `sums` nothing is written but these.
            unsafe { block(&mut state, weights.as_ptr()) };
            let [b0, b1, b2, a0, a1, a2] = sums;
            for (at, sums) in at.into_iter().zip([[a0, b0], [a1, b1], [a2, b2]]) {
                let two = y.get_mut(at + first..).unwrap_or_default();
                channels.finish(&sums, two);
            }
        }
    }
}

impl State {
    /// What the loop needs for rows of so many runs; nothing to do.
    fn new(runs: usize) -> State {
        let left_out = runs.next_multiple_of(ROUND) - runs;
        State {
            y0: ptr::null_mut(),
            y1: ptr::null_mut(),
            y2: ptr::null_mut(),
            done: 0,
            count: 0,
            records: ptr::null(),
            rounds: runs.div_ceil(ROUND),
            x: ptr::null(),
            x_skip: left_out * size_of::<Run>(),
            skip: left_out * PAIR_RUN,
            left_out: left_out * RUN_CODE,
            entry: 0,
            sums: ptr::null_mut(),
        }
    }
}

/// Bytes of a run's instructions.
const RUN_CODE: usize = 22 * 4;

/// # Safety
/// For `count` channels, two or more and even: `records` points to one for every two, `weights` to their runs; `x` to the rows'. `sums` points to six
/// integers and `count` is 2; or it is null, and `y0`, `y1`, `y2` point to `count` places each.
#[inline(never)]
unsafe fn block(state: &mut State, weights: *const i8) {
    // SAFETY: a round reads eight runs of weights and rows at offsets from r1 and r0, less those that the first round skips by its entry: r0 and r1 begin as much lower, so that no
    // address below the runs is read. After the last round r1 is at the next two channels. Each two channels read one record, and write two bytes at `done` behind each of
    // three places. The branch into the round is to its label plus as many runs' instructions as are left out, each of RUN_CODE bytes
    // since every one is forced to four. r6 and r7, which the compiler may keep for itself, are pushed and popped with the pointer to the state; every other
    // register that is written is named.
    unsafe {
        asm!(
            "push {{r2, r6, r7}}",
            "mov r7, r2",
            "ldr r3, [r7, #{x}]",
            "ldr r4, [r7, #{x_skip}]",
            "sub r3, r3, r4",
            "str r3, [r7, #{x}]",
            "adr.w r3, 3f",
            "ldr r4, [r7, #{left_out}]",
            "add r3, r3, r4",
            "add r3, r3, #1",
            "str r3, [r7, #{entry}]",
            // Two channels: the sums begin with the biases.
            "2:",
            "ldr r2, [r7, #{records}]",
            "ldrd r8, r11, [r2], #8",
            "str r2, [r7, #{records}]",
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
            "ldr r0, [r7, #{records}]",
            "ldm r0!, {{r2, r3, r4, r5, r6}}",
            "str r0, [r7, #{records}]",
            "smmla r11, r11, r2, r4",
            "smmla r12, r12, r2, r4",
            "smmla lr, lr, r2, r4",
            "smmla r8, r8, r3, r5",
            "smmla r9, r9, r3, r5",
            "smmla r10, r10, r3, r5",
            "asr r11, r11, r6",
            "asr r12, r12, r6",
            "asr lr, lr, r6",
            "lsr r6, r6, #8",
            "asr r8, r8, r6",
            "asr r9, r9, r6",
            "asr r10, r10, r6",
            "ssat r11, #8, r11",
            "ssat r12, #8, r12",
            "ssat lr, #8, lr",
            "ssat r8, #8, r8",
            "ssat r9, #8, r9",
            "ssat r10, #8, r10",
            "ldm r7, {{r2, r3, r4, r5, r6}}",
            "bfi r11, r8, #8, #8",
            "bfi r12, r9, #8, #8",
            "bfi lr, r10, #8, #8",
            "strh r11, [r2, r5]",
            "strh r12, [r3, r5]",
            "strh lr, [r4, r5]",
            "add r5, #2",
            "str r5, [r7, #{done}]",
            "cmp r5, r6",
            "bne.w 2b",
            "b 5f",
            "4:",
            "stm r0, {{r8, r9, r10, r11, r12, lr}}",
            "5:",
            "pop {{r2, r6, r7}}",
            entry = const offset_of!(State, entry),
            skip = const offset_of!(State, skip),
            x = const offset_of!(State, x),
            x_skip = const offset_of!(State, x_skip),
            left_out = const offset_of!(State, left_out),
            rounds = const offset_of!(State, rounds),
            sums = const offset_of!(State, sums),
            records = const offset_of!(State, records),
            done = const offset_of!(State, done),
            inout("r1") weights => _,
            inout("r2") core::ptr::from_mut(state) => _,
            out("r0") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
        );
    }
}
