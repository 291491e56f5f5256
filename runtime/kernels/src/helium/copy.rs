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
