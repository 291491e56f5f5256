//! One input row times four output channels at a time, from weights of which two share 16 bits, and their outputs. `pair_block.rs` says what such weights are.
//!
//! A run of four values takes a word of inputs, four of weights, six `SXTB16` and eight `SMLAD`: sixteen products in twenty cycles on a Cortex-M4, and no scratch.

use core::arch::asm;
use core::{mem::offset_of, ptr};

use super::requantize::Channels;
use super::rows::RUN;
use super::simd::{even, odd, partial_word, smlad, word};

/// Bytes of weights of two channels in a run.
const PAIR_RUN: usize = 2 * RUN;
/// Output channels at a time.
const CHANNELS: usize = 4;
/// Runs of one round of the inner loop; a row whose runs are no multiple enters it in the middle.
const ROUND: usize = 8;
/// Bytes of a run's instructions.
const RUN_CODE: usize = 19 * 4;

/// What the loop keeps in memory.
#[repr(C)]
struct State {
    /// The row, less what the first round leaves out.
    x: *const i8,
    /// Where the row ends.
    x_end: *const i8,
    /// Weights that the first round leaves out.
    skip: usize,
    /// Where the first round begins.
    entry: usize,
    /// Bytes from one pair's weights to the next's.
    pair_len: usize,
    /// Times four channels.
    count: usize,
    bias: *const i32,
    multipliers: *const i32,
    shifts: *const u8,
    y: *mut i8,
    /// Twice the zero point plus one: the zero point and half a step, before both are shifted.
    zero_point: i32,
    /// Where to put the sums of four channels, where these are not to be outputs yet; null otherwise.
    sums: *mut [i32; CHANNELS],
}

/// Writes one output a channel.
pub(super) fn pair_row(channels: &Channels<'_>, weights: &[i8], x: &[i8], y: &mut [i8]) {
    let out_c = channels.bias.len();
    let pair_len = x.len().div_ceil(RUN) * PAIR_RUN;
    if pair_len == 0 || weights.len() < out_c.div_ceil(2) * pair_len || y.len() < out_c {
        return;
    }
    let mut done = 0;
    if channels.is_short() && x.len().is_multiple_of(RUN) && out_c >= CHANNELS {
        done = out_c / CHANNELS * CHANNELS;
        let mut state = State {
            count: out_c / CHANNELS,
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            shifts: channels.shifts.as_ptr(),
            y: y.as_mut_ptr(),
            zero_point: 2 * i32::from(channels.output.zero_point) + 1,
            ..State::new(x, pair_len)
        };
        // SAFETY: `done` channels are not more than bias, multipliers, shifts and `y` have, and half as many times `pair_len` not more than the weights; the row
        // is whole runs.
        unsafe { block(&mut state, weights.as_ptr()) };
        channels.clamp(y.get_mut(..done).unwrap_or_default());
    }
    let pairs = weights
        .chunks((2 * pair_len).max(1))
        .zip(y.chunks_mut(CHANNELS));
    for ((weights, y), first) in pairs
        .zip((0..out_c).step_by(CHANNELS))
        .skip(done / CHANNELS)
    {
        let channels = channels.from(first);
        let (first, second) = weights.split_at_checked(pair_len).unwrap_or_default();
        // Behind an odd pair follows that pair again; its sums have no place in `y`.
        let second = if second.is_empty() { first } else { second };
        let mut sums = dot(x, first, second);
        for (sum, &bias) in sums.iter_mut().zip(channels.bias) {
            *sum = sum.wrapping_add(bias);
        }
        channels.finish(&sums, y);
    }
}

/// Sums of a row with the two channels of each of two pairs, of which the second is the first again or lies behind it.
#[inline(never)]
fn dot(x: &[i8], first: &[i8], second: &[i8]) -> [i32; CHANNELS] {
    let mut sums = [0; CHANNELS];
    let (whole, rest) = x.as_chunks::<RUN>();
    let weights = [first, second].map(|weights| weights.as_chunks::<PAIR_RUN>().0);
    if !whole.is_empty() && weights.iter().all(|weights| weights.len() >= whole.len()) {
        let mut state = State {
            count: 1,
            sums: &mut sums,
            ..State::new(
                whole.as_flattened(),
                second.as_ptr().addr().wrapping_sub(first.as_ptr().addr()),
            )
        };
        // SAFETY: four channels; both pairs have the weights of the row's whole runs, `pair_len` bytes apart. With `sums` nothing is written but these, and
        // neither bias, multiplier nor shift is read.
        unsafe { block(&mut state, first.as_ptr()) };
    }
    if !rest.is_empty() {
        let x = partial_word(rest);
        for (sums, weights) in sums.chunks_exact_mut(2).zip(weights) {
            let Some((words, [])) = weights.get(whole.len()).map(|run| run.as_chunks::<4>()) else {
                continue;
            };
            let ([a, b], [first, second]) = (sums, words) else {
                continue;
            };
            let (first, second) = (word(first), word(second));
            let low = smlad(even(first), even(x), smlad(even(second), odd(x), 0));
            let both = smlad(first, even(x), smlad(second, odd(x), 0));
            *a = a.wrapping_add(low);
            *b = b.wrapping_add(both.wrapping_sub(low) >> 8);
        }
    }
    sums
}

impl State {
    /// What the loop needs for a row of whole runs; nothing to do.
    fn new(x: &[i8], pair_len: usize) -> State {
        let runs = x.len() / RUN;
        let left_out = runs.next_multiple_of(ROUND) - runs;
        State {
            x: x.as_ptr().wrapping_sub(left_out * RUN),
            x_end: x.as_ptr().wrapping_add(runs * RUN),
            skip: left_out * PAIR_RUN,
            entry: left_out * RUN_CODE,
            pair_len,
            count: 0,
            bias: ptr::null(),
            multipliers: ptr::null(),
            shifts: ptr::null(),
            y: ptr::null_mut(),
            zero_point: 0,
            sums: ptr::null_mut(),
        }
    }
}

/// # Safety
/// With a row of one whole run or more, from `x` plus what is left out to `x_end`; for `count` times four channels, one or more: `weights` points to two pairs of them,
/// `pair_len` bytes apart, each with a row's runs, and the next two pairs follow behind these. `sums` points to four integers and `count` is 1; or it is null, and `bias`,
/// `multipliers`, `shifts` and `y` point to as many values as there are channels, and shifts are in `33..=55`.
#[inline(never)]
unsafe fn block(state: &mut State, weights: *const i8) {
    // SAFETY: a round reads eight runs of the row and of both pairs at offsets from r0, r1 and r2, less those that the first round skips by its entry: the three begin as much
    // lower, so that no address below the runs is read. The branch into the round is to its label plus as many runs' instructions as are left out, each of
    // RUN_CODE bytes since every one is forced to four. Bias, multipliers, shifts and outputs are read and written four at a time for four channels. What is
    // pushed is popped; r6 and r7 are the compiler's. Every other register that is written is named.
    unsafe {
        asm!(
            "ldr r1, [r0, #{x_end}]",
            "push {{r0, r1, r6, r7}}",
            "adr.w r3, 3f",
            "ldr r4, [r0, #{entry}]",
            "add r3, r3, r4",
            "add r3, r3, #1",
            "str r3, [r0, #{entry}]",
            // Four channels, whose first pair is at r2.
            "2:",
            "ldr r7, [sp]",
            "ldr r3, [r7, #{skip}]",
            "ldr r4, [r7, #{pair_len}]",
            "ldr r5, [r7, #{entry}]",
            "ldr r0, [r7, #{x}]",
            "sub r1, r2, r3",
            "add r2, r1, r4",
            "mov r9, #0",
            "mov r10, #0",
            "mov r11, #0",
            "mov lr, #0",
            "bx r5",
            ".p2align 2",
            "3:",
            ".irp k, 0, 1, 2, 3, 4, 5, 6, 7",
            "ldr.w r3, [r0, #(4 * \\k)]",
            "ldr.w r5, [r1, #(8 * \\k)]",
            "ldr.w r6, [r1, #(8 * \\k + 4)]",
            "ldr.w r7, [r2, #(8 * \\k)]",
            "ldr.w r8, [r2, #(8 * \\k + 4)]",
            "sxtb16 r4, r3",
            "sxtb16 r3, r3, ror #8",
            "sxtb16 r12, r5",
            "smlad r9, r12, r4, r9",
            "smlad r10, r5, r4, r10",
            "sxtb16 r12, r6",
            "smlad r9, r12, r3, r9",
            "smlad r10, r6, r3, r10",
            "sxtb16 r12, r7",
            "smlad r11, r12, r4, r11",
            "smlad lr, r7, r4, lr",
            "sxtb16 r12, r8",
            "smlad r11, r12, r3, r11",
            "smlad lr, r8, r3, lr",
            ".endr",
            "ldr r3, [sp, #4]",
            "add.w r0, r0, #32",
            "add.w r1, r1, #64",
            "add.w r2, r2, #64",
            "cmp r0, r3",
            "bne.w 3b",
            // The second channels' sums.
            "ldr r7, [sp]",
            "sub r10, r10, r9",
            "sub lr, lr, r11",
            "asr r10, r10, #8",
            "asr lr, lr, #8",
            "ldr r0, [r7, #{sums}]",
            "cmp r0, #0",
            "bne 4f",
            "ldr r0, [r7, #{bias}]",
            "ldm r0!, {{r3, r4, r5, r6}}",
            "str r0, [r7, #{bias}]",
            "add r9, r9, r3",
            "add r10, r10, r4",
            "add r11, r11, r5",
            "add lr, lr, r6",
            "ldr r0, [r7, #{multipliers}]",
            "ldr r8, [r7, #{shifts}]",
            "ldr r12, [r7, #{zero_point}]",
            "ldm r0!, {{r3, r4, r5, r6}}",
            "str r0, [r7, #{multipliers}]",
            "ldr r0, [r8], #4",
            "str r8, [r7, #{shifts}]",
            "uxtb r8, r0",
            "sub r8, r8, #33",
            "lsl r1, r12, r8",
            "add r8, r8, #1",
            "smmla r9, r9, r3, r1",
            "asr r9, r9, r8",
            "ssat r9, #8, r9",
            "uxtb r8, r0, ror #8",
            "sub r8, r8, #33",
            "lsl r1, r12, r8",
            "add r8, r8, #1",
            "smmla r10, r10, r4, r1",
            "asr r10, r10, r8",
            "ssat r10, #8, r10",
            "uxtb r8, r0, ror #16",
            "sub r8, r8, #33",
            "lsl r1, r12, r8",
            "add r8, r8, #1",
            "smmla r11, r11, r5, r1",
            "asr r11, r11, r8",
            "ssat r11, #8, r11",
            "uxtb r8, r0, ror #24",
            "sub r8, r8, #33",
            "lsl r1, r12, r8",
            "add r8, r8, #1",
            "smmla lr, lr, r6, r1",
            "asr lr, lr, r8",
            "ssat lr, #8, lr",
            "ldr r0, [r7, #{y}]",
            "ldr r1, [r7, #{count}]",
            "bfi r9, r10, #8, #8",
            "bfi r9, r11, #16, #8",
            "bfi r9, lr, #24, #8",
            "str r9, [r0], #4",
            "str r0, [r7, #{y}]",
            "subs r1, #1",
            "str r1, [r7, #{count}]",
            "bne.w 2b",
            "b 5f",
            "4:",
            "stm r0, {{r9, r10, r11, lr}}",
            "5:",
            "pop {{r0, r1, r6, r7}}",
            x = const offset_of!(State, x),
            x_end = const offset_of!(State, x_end),
            skip = const offset_of!(State, skip),
            entry = const offset_of!(State, entry),
            pair_len = const offset_of!(State, pair_len),
            count = const offset_of!(State, count),
            bias = const offset_of!(State, bias),
            multipliers = const offset_of!(State, multipliers),
            shifts = const offset_of!(State, shifts),
            y = const offset_of!(State, y),
            zero_point = const offset_of!(State, zero_point),
            sums = const offset_of!(State, sums),
            inout("r0") ptr::from_mut(state) => _,
            inout("r2") weights => _,
            out("r1") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
        );
    }
}
