//! Functions of one or two values at the same place: sum, product, smaller, larger, by table, leaky rectifier.
//!
//! Sums and products are of four values at a time in 32-bit lanes, on rows of the broadcast in which nothing is repeated.

use core::arch::asm;
use core::mem::offset_of;

use ocellus_format::ops::{Add, Binary, Lookup, Maximum, Minimum, Mul, Prelu};

use super::requantize::rescale;
use crate::{BinaryIo, InOut, LookupIo, PreluIo, generic::RowsOf, reference};

/// Hands over `a`, `b` and the output of each row and their length, which is not 0; `a` is the output where that replaces it. `false`, and nothing is done, where the broadcast has
/// no rows or a slice is too short.
fn rows(
    p: &Binary,
    io: &mut BinaryIo<'_>,
    mut row: impl FnMut(*const i8, *const i8, *mut i8, usize),
) -> bool {
    RowsOf::new(p).is_some_and(|rows| {
        rows.for_each(io, |a, b, y| {
            let n = y.len().min(b.len());
            let first = y.as_mut_ptr();
            let a = a.map_or(first.cast_const(), <[i8]>::as_ptr);
            row(a, b.as_ptr(), first, n);
        })
    })
}

/// Sum, or difference with a negative `multiplier_b`, of tensors with different scales.
pub(super) fn add_s8(p: &Add, mut io: BinaryIo<'_>) {
    let shift = u32::from(p.shift);
    // The zero points and the half in one addend: sums of 32 bits wrap, and the true sum does not leave them.
    let addend = 1_i32
        .wrapping_shl(shift.wrapping_sub(1))
        .wrapping_sub(i32::from(p.zero_point_a).wrapping_mul(p.multiplier_a))
        .wrapping_sub(i32::from(p.zero_point_b).wrapping_mul(p.multiplier_b));
    let done = rows(&p.binary, &mut io, |a, b, y, n| {
        // SAFETY: tail predication loads `n` values of each input and stores `n` outputs, which each of the three rows has. Where the output replaces `a`, four values are
        // loaded before the same four are stored. The registers are named as clobbered.
        unsafe {
            asm!(
                "vdup.32 q3, {multiplier_a}",
                "vdup.32 q4, {min}",
                "vdup.32 q5, {max}",
                "dlstp.32 lr, {n}",
                "2:",
                "vldrb.s32 q0, [r0], #4",
                "vldrb.s32 q1, [r1], #4",
                "vmlas.i32 q0, q3, {addend}",
                "vmla.i32 q0, q1, {multiplier_b}",
                "vshl.s32 q0, {shift}",
                "vadd.i32 q0, q0, {zero_point}",
                "vmax.s32 q0, q0, q4",
                "vmin.s32 q0, q0, q5",
                "vstrb.32 q0, [r2], #4",
                "letp lr, 2b",
                multiplier_a = in(reg) p.multiplier_a,
                min = in(reg) i32::from(p.output.min),
                max = in(reg) i32::from(p.output.max),
                n = in(reg) n,
                addend = in(reg) addend,
                multiplier_b = in(reg) p.multiplier_b,
                // To the right.
                shift = in(reg) -i32::from(p.shift),
                zero_point = in(reg) i32::from(p.output.zero_point),
                // Widening loads and narrowing stores take r0 to r7 only.
                inout("r0") a => _,
                inout("r1") b => _,
                inout("r2") y => _,
                out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d6") _, out("d7") _,
                out("d8") _, out("d9") _, out("d10") _, out("d11") _,
                options(nostack),
            );
        }
    });
    if !done {
        reference::add_s8(p, io);
    }
}

/// Product of two tensors.
pub(super) fn mul_s8(p: &Mul, mut io: BinaryIo<'_>) {
    let [_, multiplier, left, right] = rescale(0, p.requant);
    let constants = [
        i32::from(p.output.min),
        i32::from(p.output.max),
        p.zero_point_a.into(),
        p.zero_point_b.into(),
        multiplier,
        left,
        right,
        p.output.zero_point.into(),
    ];
    let done = rows(&p.binary, &mut io, |a, b, y, n| {
        // SAFETY: as in `add_s8`; the constants are eight words.
        unsafe {
            asm!(
                "ldrd r3, r4, [r12]",
                "vdup.32 q2, r3",
                "vdup.32 q3, r4",
                "add r12, #8",
                "ldm r12, {{r3, r4, r5, r8, r9, r10}}",
                "dlstp.32 lr, {n}",
                "2:",
                "vldrb.s32 q0, [r0], #4",
                "vldrb.s32 q1, [r1], #4",
                "vsub.i32 q0, q0, r3",
                "vsub.i32 q1, q1, r4",
                "vmul.i32 q0, q0, q1",
                "vqshl.s32 q0, r8",
                "vqdmulh.s32 q0, q0, r5",
                "vrshl.s32 q0, r9",
                "vqadd.s32 q0, q0, r10",
                "vmax.s32 q0, q0, q2",
                "vmin.s32 q0, q0, q3",
                "vstrb.32 q0, [r2], #4",
                "letp lr, 2b",
                n = in(reg) n,
                inout("r12") constants.as_ptr() => _,
                inout("r0") a => _,
                inout("r1") b => _,
                inout("r2") y => _,
                out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _,
                out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                options(nostack),
            );
        }
    });
    if !done {
        reference::mul_s8(p, io);
    }
}

/// A function of two bytes as one instruction, sixteen at a time.
macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident, $params:ty, $instruction:literal) => {
        $(#[$doc])*
        pub(super) fn $name(p: &$params, mut io: BinaryIo<'_>) {
            let done = rows(&p.binary, &mut io, |a, b, y, n| {
                // SAFETY: as in `add_s8`, sixteen values at a time.
                unsafe {
                    asm!(
                        "dlstp.8 lr, {n}",
                        "2:",
                        "vldrb.u8 q0, [{a}], #16",
                        "vldrb.u8 q1, [{b}], #16",
                        concat!($instruction, " q0, q0, q1"),
                        "vstrb.8 q0, [{y}], #16",
                        "letp lr, 2b",
                        n = in(reg) n,
                        a = inout(reg) a => _,
                        b = inout(reg) b => _,
                        y = inout(reg) y => _,
                        out("lr") _,
                        out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                        options(nostack, preserves_flags),
                    );
                }
            });
            if !done {
                reference::$name(p, io);
            }
        }
    };
}

bytes! {
    /// The smaller of two.
    minimum_s8, Minimum, "vmin.s8"
}

bytes! {
    /// The larger of two.
    maximum_s8, Maximum, "vmax.s8"
}

/// Input and output of `len` values; `None` where one is shorter.
fn in_out(x_y: &mut InOut<'_>, len: usize) -> Option<(*const i8, *mut i8)> {
    match x_y {
        InOut::Apart(x, y) => Some((x.get(..len)?.as_ptr(), y.get_mut(..len)?.as_mut_ptr())),
        InOut::InPlace(y) => {
            let first = y.get_mut(..len)?.as_mut_ptr();
            Some((first.cast_const(), first))
        }
    }
}

/// `y = table[x + 128]`, sixteen at a time.
pub(super) fn lookup_s8(p: &Lookup, mut io: LookupIo<'_>) {
    let n = p.len as usize;
    let (Some((x, y)), Some(table)) = (in_out(&mut io.x_y, n), io.table.first_chunk::<256>())
    else {
        reference::lookup_s8(p, io);
        return;
    };
    if n == 0 {
        return;
    }
    // SAFETY: tail predication loads `n` inputs and stores `n` outputs, as many as there are; an index is a byte, and the table has an entry for each. Where the output replaces the
    // input, sixteen values are loaded before the same ones are stored. The registers are named as clobbered.
    unsafe {
        asm!(
            "vmov.i8 q1, #0x80",
            "dlstp.8 lr, {n}",
            "2:",
            "vldrb.u8 q0, [{x}], #16",
            "veor q0, q0, q1",
            "vldrb.u8 q2, [{table}, q0]",
            "vstrb.8 q2, [{y}], #16",
            "letp lr, 2b",
            n = in(reg) n,
            table = in(reg) table.as_ptr(),
            x = inout(reg) x => _,
            y = inout(reg) y => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack, preserves_flags),
        );
    }
}

/// What the leaky rectifier keeps in memory.
#[repr(C)]
struct Leaky {
    x: *const i8,
    y: *mut i8,
    shifts: *const u8,
    zero_point_in: i32,
    zero_point_out: i32,
    multipliers: *const i32,
    channels: usize,
    /// How far the pointers move beyond a row.
    beyond: usize,
    rows: usize,
    positive_multiplier: i32,
    positive_shift: i32,
    min: i32,
    max: i32,
}

/// Leaky rectifier: one scale where the input is not negative, one for each channel where it is.
pub(super) fn prelu_s8(p: &Prelu, mut io: PreluIo<'_>) {
    let (rows, channels) = (p.rows as usize, p.channels as usize);
    let long = io.multipliers.len().min(io.shifts.len()) >= channels;
    let Some((x, y)) = in_out(&mut io.x_y, rows * channels).filter(|_| long && channels > 0) else {
        reference::prelu_s8(p, io);
        return;
    };
    if rows == 0 {
        return;
    }
    let mut state = Leaky {
        x,
        y,
        shifts: io.shifts.as_ptr(),
        zero_point_in: p.zero_point_in.into(),
        zero_point_out: p.output.zero_point.into(),
        multipliers: io.multipliers.as_ptr(),
        channels,
        beyond: channels.next_multiple_of(4) - channels,
        rows,
        positive_multiplier: p.positive.multiplier,
        positive_shift: p.positive.shift.into(),
        min: p.output.min.into(),
        max: p.output.max.into(),
    };
    // SAFETY: for each of `rows`, tail predication loads `channels` inputs, multipliers and shifts and stores as many outputs, which were measured. Where the output replaces the
    // input, four values are loaded before the same four are stored. The state is read and written as itself. The predicate that was there is put back; every other register that is
    // written is named as clobbered.
    unsafe {
        asm!(
            "vmrs r11, vpr",
            "add r10, r12, #{positive}",
            "ldm r10, {{r0, r1, r2, r3}}",
            "vdup.32 q4, r0",
            "vdup.32 q5, r1",
            "vdup.32 q6, r2",
            "vdup.32 q7, r3",
            "ldrd r0, r1, [r12]",
            "2:",
            "add r10, r12, #{shifts}",
            "ldm r10, {{r2, r3, r4, r8, r9, r10}}",
            "movs r5, #31",
            "dlstp.32 lr, r9",
            "3:",
            "vldrb.s32 q0, [r0], #4",
            "vldrw.u32 q2, [r8], #16",
            "vsub.i32 q0, q0, r3",
            "vldrb.u32 q1, [r2], #4",
            "vcmp.s32 ge, q0, zr",
            "vpsel q2, q4, q2",
            "vpsel q1, q5, q1",
            // To the right by the shift less 31, at least by one; what that adds to the shift goes to the left before.
            "vmov.i32 q3, #1",
            "vsub.i32 q1, q1, r5",
            "vmax.s32 q3, q3, q1",
            "vsub.i32 q1, q3, q1",
            "vneg.s32 q3, q3",
            "vqshl.s32 q0, q0, q1",
            "vqdmulh.s32 q0, q0, q2",
            "vrshl.s32 q0, q0, q3",
            "vqadd.s32 q0, q0, r4",
            "vmax.s32 q0, q0, q6",
            "vmin.s32 q0, q0, q7",
            "vstrb.32 q0, [r1], #4",
            "letp lr, 3b",
            "subs r0, r0, r10",
            "subs r1, r1, r10",
            "ldr r2, [r12, #{rows}]",
            "subs r2, #1",
            "str r2, [r12, #{rows}]",
            "bne 2b",
            "vmsr vpr, r11",
            positive = const offset_of!(Leaky, positive_multiplier),
            shifts = const offset_of!(Leaky, shifts),
            rows = const offset_of!(Leaky, rows),
            in("r12") &raw mut state,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            options(nostack),
        );
    }
}
