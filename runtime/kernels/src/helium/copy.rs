//! Copies and fills of bytes, sixteen at a time.

use core::arch::asm;

/// Copies as many bytes as both hold.
#[inline]
pub(super) fn copy(to: &mut [i8], from: &[i8]) {
    let n = to.len().min(from.len());
    if n == 0 {
        return;
    }
    // SAFETY: tail predication loads and stores exactly `n` bytes, not more than either slice holds. The registers are named as clobbered.
    unsafe {
        asm!(
            "dlstp.8 lr, {n}",
            "2:",
            "vldrb.u8 q0, [{from}], #16",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 2b",
            n = in(reg) n,
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies `groups` times `pieces` of `len` bytes; groups and pieces begin so many bytes from each other as the steps say. Nothing happens where that leaves a slice.
#[inline(never)]
pub(super) fn copy_pieces(
    to: &mut [i8],
    [to_group, to_piece]: [usize; 2],
    from: &[i8],
    [from_group, from_piece]: [usize; 2],
    [groups, pieces, len]: [usize; 3],
) {
    if groups == 0 || pieces == 0 || len == 0 {
        return;
    }
    let last_to = (groups - 1) * to_group + (pieces - 1) * to_piece + len;
    let last_from = (groups - 1) * from_group + (pieces - 1) * from_piece + len;
    if to.len() < last_to || from.len() < last_from {
        return;
    }
    // So far do the pointers move with a piece.
    let moved = len.next_multiple_of(16);
    // From behind the last piece of a group to the first of the next.
    let to_rest = to_group.wrapping_sub(pieces * to_piece);
    let from_rest = from_group.wrapping_sub(pieces * from_piece);
    // SAFETY: tail predication loads and stores exactly `len` bytes of each piece of each group, of which the last one ends inside both slices, as was measured. The registers
    // are named as clobbered.
    unsafe {
        asm!(
            "2:",
            "mov r1, {pieces}",
            "3:",
            "dlstp.8 lr, {len}",
            "4:",
            "vldrb.u8 q0, [{from}], #16",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 4b",
            "subs r1, #1",
            "add {from}, {from_piece}",
            "add {to}, {to_piece}",
            "bne 3b",
            "subs r0, #1",
            "add {from}, {from_rest}",
            "add {to}, {to_rest}",
            "bne 2b",
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            from_piece = in(reg) from_piece.wrapping_sub(moved),
            to_piece = in(reg) to_piece.wrapping_sub(moved),
            from_rest = in(reg) from_rest,
            to_rest = in(reg) to_rest,
            pieces = in(reg) pieces,
            len = in(reg) len,
            inout("r0") groups => _,
            out("r1") _,
            out("lr") _,
            out("d0") _, out("d1") _,
            options(nostack),
        );
    }
}

/// Fills with one value.
#[inline]
pub(super) fn fill(to: &mut [i8], value: i8) {
    if to.is_empty() {
        return;
    }
    // SAFETY: tail predication stores exactly as many bytes as the slice holds. The registers are named as clobbered.
    unsafe {
        asm!(
            "vdup.8 q0, {value}",
            "dlstp.8 lr, {n}",
            "2:",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 2b",
            value = in(reg) i32::from(value),
            n = in(reg) to.len(),
            to = inout(reg) to.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _,
            options(nostack, preserves_flags),
        );
    }
}
