//! Sum or difference, four values at a time.
//!
//! `SMLAWB` multiplies 32 bits by 16 and drops the lowest 16 of the product: with a factor of `multiplier * 2^8` and the value in the high byte of a half, what it drops is
//! zero, and one instruction adds an exact `multiplier * value`.

use core::arch::asm;

use ocellus_format::ops::Add;

use super::requantize::clamp;
use crate::{BinaryIo, InOut, reference, select::row_axis};

/// Values at a time.
const WORD: usize = 4;

/// What the loop keeps in memory.
#[repr(C)]
struct State {
    /// Half a step, less what the zero points weigh.
    constant: i32,
    zero_point: i32,
    shift: u32,
    a_end: *const i8,
}

pub(super) fn add_s8(p: &Add, mut io: BinaryIo<'_>) {
    let all = p.binary.shape;
    let Some(axis) = row_axis(&p.binary) else {
        reference::add_s8(p, io);
        return;
    };
    let len_of = |sizes: &[u32]| sizes.iter().fold(1, |len, &size| len * size as usize);
    let len = len_of(&all);
    let row = len_of(all.get(axis..).unwrap_or(&[]));
    let (a, y, room) = match &mut io.a_y {
        InOut::Apart(a, y) => (a.as_ptr(), y.as_mut_ptr(), a.len().min(y.len())),
        InOut::InPlace(y) => (y.as_ptr(), y.as_mut_ptr(), y.len()),
    };
    if io.b.len() < row || room < len || row == 0 {
        return;
    }
    let half = 1_i32.wrapping_shl(u32::from(p.shift).wrapping_sub(1));
    let constant = half
        .wrapping_sub(i32::from(p.zero_point_a).wrapping_mul(p.multiplier_a))
        .wrapping_sub(i32::from(p.zero_point_b).wrapping_mul(p.multiplier_b));
    let words = row / WORD;
    for first in (0..len).step_by(row.max(1)) {
        if words > 0 {
            let a = a.wrapping_add(first);
            let mut state = State {
                constant,
                zero_point: i32::from(p.output.zero_point),
                shift: u32::from(p.shift),
                a_end: a.wrapping_add(words * WORD),
            };
            // SAFETY: the rows from `first` on lie inside of `a` and of the output, which are one or apart, and `words` are not more than a row of `b` has.
            unsafe { block(p, &mut state, a, io.b.as_ptr(), y.wrapping_add(first)) };
        }
        for at in words * WORD..row {
            let b = io.b.get(at).copied().unwrap_or(0);
            let sum = i32::from(io.a_y.get(first + at))
                .wrapping_mul(p.multiplier_a)
                .wrapping_add(i32::from(b).wrapping_mul(p.multiplier_b))
                .wrapping_add(constant);
            let value = sum.wrapping_shr(u32::from(p.shift));
            io.a_y.put(first + at, p.output.finish(value));
        }
    }
    let (InOut::Apart(_, y) | InOut::InPlace(y)) = io.a_y;
    clamp(p.output, y);
}

/// # Safety
/// From `a` to the state's end, and as far from `b` and `y` on, all can be read or written; that is a whole number of words, one or more. `y` is `a` or apart from it.
unsafe fn block(p: &Add, state: &mut State, a: *const i8, b: *const i8, y: *mut i8) {
    // SAFETY: each round reads a word at `a` and at `b` and writes one at `y`, at any address, until `a` is at its end. What is pushed is popped; r6 and r7 are the compiler's.
    // Every other register that is written is named.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "mov r7, r12",
            "mov r6, #0xff00ff00",
            "2:",
            "ldr r0, [r8], #4",
            "ldr r1, [r9], #4",
            "ldr r12, [r7]",
            "and r2, r6, r0, lsl #8",
            "and r3, r6, r1, lsl #8",
            "smlawb r4, r10, r2, r12",
            "smlawt r5, r10, r2, r12",
            "smlawb r4, r11, r3, r4",
            "smlawt r5, r11, r3, r5",
            "and r0, r6, r0",
            "and r1, r6, r1",
            "smlawb r2, r10, r0, r12",
            "smlawt r3, r10, r0, r12",
            "smlawb r2, r11, r1, r2",
            "smlawt r3, r11, r1, r3",
            "ldr r0, [r7, #4]",
            "ldr r1, [r7, #8]",
            "ldr r12, [r7, #12]",
            "asr r4, r4, r1",
            "asr r2, r2, r1",
            "asr r5, r5, r1",
            "asr r3, r3, r1",
            "add r4, r4, r0",
            "add r2, r2, r0",
            "add r5, r5, r0",
            "add r3, r3, r0",
            "ssat r4, #8, r4",
            "ssat r2, #8, r2",
            "ssat r5, #8, r5",
            "ssat r3, #8, r3",
            "bfi r4, r2, #8, #8",
            "bfi r4, r5, #16, #8",
            "bfi r4, r3, #24, #8",
            "str r4, [lr], #4",
            "cmp r8, r12",
            "bne 2b",
            "pop {{r6, r7}}",
            in("r10") p.multiplier_a.wrapping_shl(8),
            in("r11") p.multiplier_b.wrapping_shl(8),
            inout("r8") a => _,
            inout("r9") b => _,
            inout("lr") y => _,
            inout("r12") core::ptr::from_mut(state) => _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
        );
    }
}
