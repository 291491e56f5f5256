use core::arch::asm;

use ocellus_format::ops::Softmax;

use crate::{SoftmaxIo, reference};

/// Softmax over the innermost axis: largest value and sum of exponentials in vectors, then a division a value.
pub(super) fn softmax_s8(p: &Softmax, io: SoftmaxIo<'_>) {
    let n = p.n as usize;
    let Some(table) = io.table.first_chunk::<256>().filter(|_| n > 0) else {
        reference::softmax_s8(p, io);
        return;
    };
    let rows = io.x.chunks_exact(n).zip(io.y.chunks_exact_mut(n));
    for (x, y) in rows.take(p.rows as usize) {
        let (largest, sum) = largest_and_sum(x, table);
        let half = sum / 2;
        for (y, &x) in y.iter_mut().zip(x) {
            let distance = largest.wrapping_sub(x) as u8;
            let exponential = table.get(usize::from(distance)).copied().unwrap_or(0);
            let scaled = exponential
                .wrapping_shl(p.out_bits.into())
                .wrapping_add(half);
            // The largest value's exponential is 2^exp_bits, so a sum of a sound table is never 0.
            let q = scaled.checked_div(sum).unwrap_or(0);
            *y = (q.min(255) as u8 ^ 0x80) as i8;
        }
    }
}

/// The largest of some values, and the sum of the table's entries by distance from it, wrapping.
fn largest_and_sum(x: &[i8], table: &[u32; 256]) -> (i8, u32) {
    let n = x.len();
    if n == 0 {
        return (i8::MIN, 0);
    }
    let (mut largest, mut sum) = (i32::from(i8::MIN), 0_u32);
    // SAFETY: tail predication loads `n` values twice, as many as there are. A distance from the largest value is a byte, and the table has an entry for each. The registers are
    // named as clobbered.
    unsafe {
        asm!(
            "mov {second}, r0",
            "dlstp.8 lr, {n}",
            "2:",
            "vldrb.u8 q0, [r0], #16",
            "vmaxv.s8 r2, q0",
            "letp lr, 2b",
            "sxtb r2, r2",
            "vdup.32 q1, r2",
            "mov r0, {second}",
            "dlstp.32 lr, {n}",
            "3:",
            "vldrb.s32 q0, [r0], #4",
            "vsub.i32 q0, q1, q0",
            "vldrw.u32 q2, [{table}, q0, uxtw #2]",
            "vaddva.u32 r4, q2",
            "letp lr, 3b",
            n = in(reg) n,
            second = out(reg) _,
            table = in(reg) table.as_ptr(),
            // Widening loads take r0 to r7 only, sums an even register.
            inout("r0") x.as_ptr() => _,
            inout("r2") largest,
            inout("r4") sum,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack, readonly),
        );
    }
    (largest as i8, sum)
}
