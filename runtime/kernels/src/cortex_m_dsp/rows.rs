//! Three input rows as 16-bit pairs, in the order in which the products read them.
//!
//! A run is four values of each row: values 0 and 2 of the first row, of the second, of the third; then values 1 and 3 likewise. Six words.

use core::arch::asm;
use core::{mem::offset_of, ptr};

/// Input rows at a time.
pub(super) const ROWS: usize = 3;
/// Values of a run.
pub(super) const RUN: usize = 4;
/// Four values of each row.
pub(super) type Run = [u32; 2 * ROWS];

/// Pieces of three rows: each piece is a number of runs that lie together, and the next lies `skip` bytes behind its end.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Pieces {
    /// One or more.
    pub(super) count: usize,
    /// Runs of a piece, one or more.
    pub(super) runs: usize,
    pub(super) skip: usize,
}

impl Pieces {
    /// From a row's first value to behind the last of its last piece.
    #[inline]
    fn extent(&self) -> usize {
        let len = self.runs * RUN;
        self.count * len + (self.count - 1) * self.skip
    }
}

/// Widens the beginnings of three rows. False, and nothing is done, where they or `to` are too short.
#[inline(never)]
pub(super) fn widen(rows: &[&[i8]; ROWS], pieces: &Pieces, to: &mut [Run]) -> bool {
    let [first, second, third] = rows;
    let shortest = first.len().min(second.len()).min(third.len());
    if pieces.extent() > shortest || pieces.count * pieces.runs > to.len() || pieces.runs == 0 {
        return false;
    }
    // SAFETY: for each piece `runs` rounds read four bytes of each row, in all not more than its extent; they write a run each, and `to` has
    // room for all. Words may lie at any address: these cores read them so. What is pushed is popped; r6 and r7 are the compiler's. Every other register that is
    // written is named.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "ldr r12, [r0, #{count}]",
            "ldr r6, [r0, #{runs}]",
            "ldr r7, [r0, #{skip}]",
            "2:",
            "mov lr, r6",
            "3:",
            "ldr r3, [r8], #4",
            "ldr r4, [r9], #4",
            "ldr r5, [r10], #4",
            "sxtb16 r0, r3",
            "sxtb16 r1, r4",
            "sxtb16 r2, r5",
            "sxtb16 r3, r3, ror #8",
            "sxtb16 r4, r4, ror #8",
            "sxtb16 r5, r5, ror #8",
            "subs lr, #1",
            "stm r11!, {{r0, r1, r2, r3, r4, r5}}",
            "bne 3b",
            "add r8, r7",
            "add r9, r7",
            "add r10, r7",
            "subs r12, #1",
            "bne 2b",
            "pop {{r6, r7}}",
            count = const offset_of!(Pieces, count),
            runs = const offset_of!(Pieces, runs),
            skip = const offset_of!(Pieces, skip),
            inout("r0") ptr::from_ref(pieces) => _,
            inout("r8") first.as_ptr() => _,
            inout("r9") second.as_ptr() => _,
            inout("r10") third.as_ptr() => _,
            inout("r11") to.as_mut_ptr() => _,
            out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r12") _, out("lr") _,
        );
    }
    true
}

/// Copies `count` pieces of `words` words, `from_step` bytes apart in `from` and `to_step` in `to`. False, and nothing is done, where they do not lie inside.
#[inline(never)]
pub(super) fn copy_words(
    from: &[i8],
    from_step: usize,
    to: &mut [i8],
    to_step: usize,
    words: usize,
    count: usize,
) -> bool {
    let extent = |step: usize| (count - 1) * step + words * RUN;
    if count == 0 || words == 0 {
        return true;
    }
    if extent(from_step) > from.len() || extent(to_step) > to.len() {
        return false;
    }
    let len = words * RUN;
    // SAFETY: for each piece `words` rounds read and write a word, at any address; the last piece ends inside both slices. Every register that is written is named.
    unsafe {
        asm!(
            "2:",
            "cmp {words}, #3",
            "beq 4f",
            "mov r0, {words}",
            "3:",
            "ldr r1, [{from}], #4",
            "subs r0, #1",
            "str r1, [{to}], #4",
            "bne 3b",
            "b 5f",
            // Three columns of three channels.
            "4:",
            "ldr r0, [{from}], #4",
            "ldr r1, [{from}], #4",
            "ldr r2, [{from}], #4",
            "str r0, [{to}], #4",
            "str r1, [{to}], #4",
            "str r2, [{to}], #4",
            "5:",
            "add {from}, {from}, {from_skip}",
            "add {to}, {to}, {to_skip}",
            "subs {count}, #1",
            "bne 2b",
            words = in(reg) words,
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            from_skip = in(reg) from_step.wrapping_sub(len),
            to_skip = in(reg) to_step.wrapping_sub(len),
            count = inout(reg) count => _,
            out("r0") _, out("r1") _, out("r2") _,
            options(nostack),
        );
    }
    true
}
