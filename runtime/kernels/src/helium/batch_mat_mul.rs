//! Products of computed matrices: four columns of the output at a time in 32-bit lanes, whichever way the matrices lie; where rows of `a` meet columns of `b` that both lie
//! together, one sum of eight products in 16-bit lanes after the other.

use core::arch::asm;
use core::mem::offset_of;

use ocellus_format::ops::BatchMatMul;

use super::requantize::rescale;
use crate::{BatchMatMulIo, reference};

/// One row of the output. What the blocks keep in memory.
#[repr(C)]
struct Row {
    a: *const i8,
    b: *const i8,
    y: *mut i8,
    zero_point_a: i32,
    zero_point_b: i32,
    n: usize,
    k: usize,
    /// From a value of a row of `a` to the next.
    a_step: usize,
    /// From a row of `b` to the next, and from a column to the next.
    b_row: usize,
    b_column: usize,
    multiplier: i32,
    left: i32,
    right: i32,
    zero_point: i32,
    min: i32,
    max: i32,
}

pub(super) fn batch_mat_mul_s8(p: &BatchMatMul, io: BatchMatMulIo<'_>) {
    let (m, k, n) = (p.m as usize, p.k as usize, p.n as usize);
    let [s0, s1, s2] = p.stack.map(|size| size as usize);
    let [a0, a1, a2] = p.strides(p.broadcast_a).map(|stride| stride as usize);
    let [b0, b1, b2] = p.strides(p.broadcast_b).map(|stride| stride as usize);
    if m == 0 || k == 0 || n == 0 {
        reference::batch_mat_mul_s8(p, io);
        return;
    }
    let (a_row, a_step) = if p.transposed_a { (1, m) } else { (k, 1) };
    let (b_row, b_column) = if p.transposed_b { (1, k) } else { (n, 1) };
    let [_, multiplier, left, right] = rescale(0, p.requant);
    let mut rows = io.y.chunks_exact_mut(n);
    for i0 in 0..s0 {
        for i1 in 0..s1 {
            for i2 in 0..s2 {
                let a = io.a.get((i0 * a0 + i1 * a1 + i2 * a2) * m * k..);
                let b = io.b.get((i0 * b0 + i1 * b1 + i2 * b2) * k * n..);
                let (Some(a), Some(b)) = (a, b) else { return };
                if a.len() < m * k || b.len() < k * n {
                    return;
                }
                for row in 0..m {
                    let Some(y) = rows.next() else { return };
                    let row = Row {
                        a: a.as_ptr().wrapping_add(row * a_row),
                        b: b.as_ptr(),
                        y: y.as_mut_ptr(),
                        zero_point_a: p.zero_point_a.into(),
                        zero_point_b: p.zero_point_b.into(),
                        n,
                        k,
                        a_step,
                        b_row,
                        b_column,
                        multiplier,
                        left,
                        right,
                        zero_point: p.output.zero_point.into(),
                        min: p.output.min.into(),
                        max: p.output.max.into(),
                    };
                    // SAFETY: both matrices are whole, and `y` has `n` values. None of the sizes is 0.
                    unsafe {
                        if a_step == 1 && b_row == 1 {
                            sums(&row);
                        } else {
                            columns(&row);
                        }
                    }
                }
            }
        }
    }
}

/// Rescales the accumulators in `q0`, clamps them and stores them from `r2` on.
macro_rules! finish {
    () => {
        "ldrd r8, r9, [r12, #{multiplier}]
         ldrd r10, r11, [r12, #{right}]
         vqshl.s32 q0, r9
         vqdmulh.s32 q0, q0, r8
         vrshl.s32 q0, r10
         vqadd.s32 q0, q0, r11
         vmax.s32 q0, q0, q6
         vmin.s32 q0, q0, q7"
    };
}

/// Columns of `b` four at a time.
///
/// # Safety
/// `k` values `a_step` apart can be read from `a`, `n` values `b_column` apart from each of `k` rows of `b`, which are `b_row` apart, and `n` values can be written to `y`. Neither `k` nor `n`
/// is 0.
unsafe fn columns(row: &Row) {
    // SAFETY: tail predication loads and stores `n` columns, four at a time, of what the caller promises; offsets of columns within a load are below four steps. What is pushed is
    // popped: r6 and r7, which the compiler may keep for itself. Every other register that is written is named as clobbered.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldrd r0, r1, [r12, #{min}]",
            "vdup.32 q6, r0",
            "vdup.32 q7, r1",
            "ldm r12, {{r0, r1, r2, r3, r4, r5}}",
            "ldr r6, [r12, #{b_column}]",
            "movs r0, #0",
            "vidup.u32 q2, r0, #1",
            "vmul.i32 q2, q2, r6",
            "lsls r7, r6, #2",
            "dlstp.32 lr, r5",
            "2:",
            "ldr r0, [r12]",
            "mov r5, r1",
            "ldrd r8, r9, [r12, #{k}]",
            "ldr r10, [r12, #{b_row}]",
            "vmov.i32 q0, #0",
            "3:",
            "ldrsb r6, [r0]",
            "vldrb.s32 q1, [r5, q2]",
            "subs r6, r6, r3",
            "vsub.i32 q1, q1, r4",
            "add r0, r9",
            "vmla.i32 q0, q1, r6",
            "add r5, r10",
            "subs r8, #1",
            "bne 3b",
            finish!(),
            "add r1, r7",
            "vstrb.32 q0, [r2], #4",
            "letp lr, 2b",
            "pop {{r6, r7}}",
            min = const offset_of!(Row, min),
            b_column = const offset_of!(Row, b_column),
            b_row = const offset_of!(Row, b_row),
            k = const offset_of!(Row, k),
            multiplier = const offset_of!(Row, multiplier),
            right = const offset_of!(Row, right),
            in("r12") row,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
        );
    }
}

/// Columns of `b` one at a time, which lie together as the row of `a` does.
///
/// # Safety
/// As [`columns`], with `a_step` and `b_row` 1.
unsafe fn sums(row: &Row) {
    // SAFETY: tail predication loads exactly `k` values of the row and of each of `n` columns, and one value is stored for each of these. What is pushed is popped, as in `columns`.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldrd r0, r1, [r12, #{min}]",
            "vdup.32 q6, r0",
            "vdup.32 q7, r1",
            "ldm r12, {{r0, r1, r2, r3, r4, r5}}",
            "2:",
            "ldr r0, [r12]",
            "ldr r8, [r12, #{k}]",
            "mov r7, r1",
            "movs r6, #0",
            "dlstp.16 lr, r8",
            "3:",
            "vldrb.s16 q0, [r0], #8",
            "vldrb.s16 q1, [r7], #8",
            "vsub.i16 q0, q0, r3",
            "vsub.i16 q1, q1, r4",
            "vmladava.s16 r6, q0, q1",
            "letp lr, 3b",
            "add r1, r8",
            "vdup.32 q0, r6",
            finish!(),
            "vmov.32 r6, q0[0]",
            "strb r6, [r2], #1",
            "subs r5, #1",
            "bne 2b",
            "pop {{r6, r7}}",
            min = const offset_of!(Row, min),
            k = const offset_of!(Row, k),
            multiplier = const offset_of!(Row, multiplier),
            right = const offset_of!(Row, right),
            in("r12") row,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
        );
    }
}
