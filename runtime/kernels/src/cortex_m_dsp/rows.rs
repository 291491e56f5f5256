//! Three input rows as 16-bit pairs, in the order in which the products read them.
//!
//! A run is four values of each row: values 0 and 2 of the first row, of the second, of the third; then values 1 and 3 likewise. Six words.

use core::arch::asm;

use super::simd::{even, odd, partial_word};

/// Input rows at a time.
pub(super) const ROWS: usize = 3;
/// Values of a run.
pub(super) const RUN: usize = 4;
/// Four values of each row.
pub(super) type Run = [u32; 2 * ROWS];

/// Widens values of three rows, as many as the shortest has, a multiple of [`RUN`] or the row's end. Returns how many runs it wrote.
#[inline]
pub(super) fn widen(rows: [&[i8]; ROWS], to: &mut [Run]) -> usize {
    let len = rows.iter().fold(usize::MAX, |len, row| len.min(row.len()));
    let whole = (len / RUN).min(to.len());
    // SAFETY: `whole` runs are not more than any row or `to` holds.
    unsafe { widen_whole(rows.map(<[i8]>::as_ptr), to.as_mut_ptr(), whole) };
    let (Some(run), 1..) = (to.get_mut(whole), len % RUN) else {
        return whole;
    };
    let words = rows.map(|row| partial_word(row.get(whole * RUN..len).unwrap_or(&[])));
    let [even_of, odd_of] = [even, odd].map(|half| words.map(half));
    *run = core::array::from_fn(|at| match at.checked_sub(ROWS) {
        None => even_of[at],
        Some(at) => odd_of[at],
    });
    whole + 1
}

/// # Safety
/// Each row has `4 * runs` readable bytes, and `to` has room for `runs`.
#[inline]
unsafe fn widen_whole(rows: [*const i8; ROWS], to: *mut Run, runs: usize) {
    if runs == 0 {
        return;
    }
    let [x0, x1, x2] = rows;
    // SAFETY: each round reads four bytes of each row and writes one run of 24 bytes, `runs` rounds. Words may lie at any address: these cores read them so. Every
    // register that is written is named.
    unsafe {
        asm!(
            "2:",
            "ldr r3, [{x0}], #4",
            "ldr r4, [{x1}], #4",
            "ldr r5, [{x2}], #4",
            "sxtb16 r0, r3",
            "sxtb16 r1, r4",
            "sxtb16 r2, r5",
            "sxtb16 r3, r3, ror #8",
            "sxtb16 r4, r4, ror #8",
            "sxtb16 r5, r5, ror #8",
            "subs {runs}, #1",
            "stm {to}!, {{r0, r1, r2, r3, r4, r5}}",
            "bne 2b",
            x0 = inout(reg) x0 => _,
            x1 = inout(reg) x1 => _,
            x2 = inout(reg) x2 => _,
            to = inout(reg) to => _,
            runs = inout(reg) runs => _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            options(nostack),
        );
    }
}
