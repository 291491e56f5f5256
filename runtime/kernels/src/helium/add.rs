//! Sum of two tensors of one shape, four values at a time in 32-bit lanes.

use core::arch::asm;

use ocellus_format::{Isa, ops::Add};

use crate::{BinaryIo, InOut, reference, select};

/// Sum, or difference with a negative `multiplier_b`, of tensors with different scales.
pub(super) fn add_s8(p: &Add, mut io: BinaryIo<'_>) {
    if select::add(Isa::Helium, p).isa != Isa::Helium {
        reference::add_s8(p, io);
        return;
    }
    let shift = u32::from(p.shift);
    // The zero points and the half in one addend: sums of 32 bits wrap, and the true sum does not leave them.
    let addend = 1_i32
        .wrapping_shl(shift.wrapping_sub(1))
        .wrapping_sub(i32::from(p.zero_point_a).wrapping_mul(p.multiplier_a))
        .wrapping_sub(i32::from(p.zero_point_b).wrapping_mul(p.multiplier_b));
    let (a, y, len) = match &mut io.a_y {
        InOut::Apart(a, y) => (a.as_ptr(), y.as_mut_ptr(), a.len().min(y.len())),
        InOut::InPlace(y) => {
            let first = y.as_mut_ptr();
            (first.cast_const(), first, y.len())
        }
    };
    let n = len.min(io.b.len());
    if n == 0 {
        return;
    }
    // SAFETY: tail predication loads `n` values of each input and stores `n` outputs; `n` is not above the length of any of the slices. Where the
    // output replaces `a`, four values are loaded before the same four are stored. The registers are named as clobbered.
    unsafe {
        asm!(
            "vdup.32 q3, {addend}",
            "vdup.32 q4, {min}",
            "vdup.32 q5, {max}",
            "dlstp.32 lr, {n}",
            "2:",
            "vldrb.s32 q0, [r0], #4",
            "vldrb.s32 q1, [r1], #4",
            "vmov q2, q3",
            "vmla.i32 q2, q0, {multiplier_a}",
            "vmla.i32 q2, q1, {multiplier_b}",
            "vshl.s32 q2, {shift}",
            "vadd.i32 q2, q2, {zero_point}",
            "vmax.s32 q2, q2, q4",
            "vmin.s32 q2, q2, q5",
            "vstrb.32 q2, [r2], #4",
            "letp lr, 2b",
            addend = in(reg) addend,
            min = in(reg) i32::from(p.output.min),
            max = in(reg) i32::from(p.output.max),
            n = in(reg) n,
            multiplier_a = in(reg) p.multiplier_a,
            multiplier_b = in(reg) p.multiplier_b,
            // To the right.
            shift = in(reg) -i32::from(p.shift),
            zero_point = in(reg) i32::from(p.output.zero_point),
            // Widening loads and narrowing stores take r0 to r7 only.
            inout("r0") a => _,
            inout("r1") io.b.as_ptr() => _,
            inout("r2") y => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
}
