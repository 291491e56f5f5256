//! Sum or difference, four values at a time.
//!
//! `SMLAWB` multiplies 32 bits by 16 and drops the lowest 16 of the product: with a factor of `multiplier * 2^8` and the value in the high byte of a half, what it drops is
//! zero, and one instruction adds an exact `multiplier * value`.

use core::arch::asm;

use ocellus_format::ops::Add;

use super::requantize::clamp;
use crate::{BinaryIo, generic::RowsOf, reference};

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
    let rows = RowsOf::new(&p.binary);
    let done = rows.is_some_and(|rows| rows.for_each(&mut io, |a, b, y| row(p, a, b, y)));
    if !done {
        reference::add_s8(p, io);
    }
}

/// One row; `a` is the output's where there is none.
fn row(p: &Add, a: Option<&[i8]>, b: &[i8], y: &mut [i8]) {
    let len = y.len().min(b.len()).min(a.map_or(usize::MAX, <[i8]>::len));
    let half = 1_i32.wrapping_shl(u32::from(p.shift).wrapping_sub(1));
    let constant = half
        .wrapping_sub(i32::from(p.zero_point_a).wrapping_mul(p.multiplier_a))
        .wrapping_sub(i32::from(p.zero_point_b).wrapping_mul(p.multiplier_b));
    let whole = len / WORD * WORD;
    if whole > 0 {
        let to = y.as_mut_ptr();
        let from = a.map_or(to.cast_const(), <[i8]>::as_ptr);
        let mut state = State {
            constant,
            zero_point: i32::from(p.output.zero_point),
            shift: u32::from(p.shift),
            a_end: from.wrapping_add(whole),
        };
        // SAFETY: `whole` is a number of words above 0 and not more than `a`, `b` and `y` have; `a` is `y` or apart from it.
        unsafe { block(p, &mut state, from, b.as_ptr(), to) };
    }
    for (at, (y, &b)) in y.iter_mut().zip(b).enumerate().skip(whole) {
        let a = a.map_or(*y, |a| a.get(at).copied().unwrap_or(0));
        let sum = i32::from(a)
            .wrapping_mul(p.multiplier_a)
            .wrapping_add(i32::from(b).wrapping_mul(p.multiplier_b))
            .wrapping_add(constant);
        *y = p.output.finish(sum.wrapping_shr(u32::from(p.shift)));
    }
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
