//! Accumulators of a row of channels into `s8`.

use core::arch::asm;

use ocellus_format::{Requant, ops::OutputS8};

use crate::{generic::SQDMULH_SHIFT_MIN, reference};

/// Bias, multiplier, and two shifts of an accumulator: to the left before the product where the rescale's own is below [`SQDMULH_SHIFT_MIN`], and to the right, as a
/// negative number, behind it. Exact for every shift: where the left one saturates, the value is far outside of `s8`, whatever follows.
pub(super) type Rescale = [i32; 4];

/// One rescale for each bias, multiplier, shift and place in `to`, as many as the shortest has.
pub(super) fn rescales(bias: &[i32], multipliers: &[i32], shifts: &[u8], to: &mut [Rescale]) {
    for (((&bias, &multiplier), &shift), to) in bias.iter().zip(multipliers).zip(shifts).zip(to) {
        let left = (i32::from(SQDMULH_SHIFT_MIN) - i32::from(shift)).max(0);
        let right = 31 - left - i32::from(shift);
        *to = [bias, multiplier, left, right];
    }
}

/// How the accumulators of consecutive output channels become outputs.
#[derive(Clone, Copy)]
pub(super) struct Requants<'a> {
    multipliers: &'a [i32],
    shifts: &'a [u8],
    output: OutputS8,
    /// Every shift is at least [`SQDMULH_SHIFT_MIN`], so that the vector form is exact.
    narrow: bool,
}

impl<'a> Requants<'a> {
    /// Looks at every shift once.
    pub(super) fn new(multipliers: &'a [i32], shifts: &'a [u8], output: OutputS8) -> Requants<'a> {
        let narrow = shifts
            .iter()
            .all(|&shift| (SQDMULH_SHIFT_MIN..=Requant::SHIFT_MAX).contains(&shift));
        Requants {
            multipliers,
            shifts,
            output,
            narrow,
        }
    }

    /// The output's range.
    pub(super) fn output(self) -> OutputS8 {
        self.output
    }

    /// The first `len` multipliers and shifts, where every shift of the layer has the vector form.
    pub(super) fn narrow(self, len: usize) -> Option<(&'a [i32], &'a [u8])> {
        let (multipliers, shifts) = (self.multipliers.get(..len)?, self.shifts.get(..len)?);
        self.narrow.then_some((multipliers, shifts))
    }

    /// Those of channels `first..first + len`.
    pub(super) fn channels(self, first: usize, len: usize) -> Requants<'a> {
        Requants {
            multipliers: self.multipliers.get(first..first + len).unwrap_or(&[]),
            shifts: self.shifts.get(first..first + len).unwrap_or(&[]),
            ..self
        }
    }
}

/// Writes one output for each accumulator, multiplier, shift and place in `y`, as many as the shortest has.
pub(super) fn requantize_row(accumulators: &[i32], r: Requants<'_>, y: &mut [i8]) {
    if !r.narrow {
        let channels = accumulators.iter().zip(r.multipliers).zip(r.shifts);
        for (((&acc, &multiplier), &shift), y) in channels.zip(y) {
            *y = r
                .output
                .finish(reference::requantize(acc, Requant { multiplier, shift }));
        }
        return;
    }
    let n = accumulators
        .len()
        .min(r.multipliers.len())
        .min(r.shifts.len())
        .min(y.len());
    if n == 0 {
        return;
    }
    // SAFETY: tail predication loads `n` accumulators, multipliers and shifts, and stores `n` outputs; `n` is not above the length of any of the
    // four slices. The loop's registers are named as clobbered.
    unsafe {
        asm!(
            "vdup.32 q3, {base}",
            "vdup.32 q4, {min}",
            "vdup.32 q5, {max}",
            "dlstp.32 lr, {n}",
            "2:",
            "vldrw.u32 q0, [{acc}], #16",
            "vldrw.u32 q1, [{multipliers}], #16",
            "vldrb.u32 q2, [r0], #4",
            "vqdmulh.s32 q0, q0, q1",
            "vsub.i32 q2, q3, q2",
            "vrshl.s32 q0, q0, q2",
            "vadd.i32 q0, q0, {zero_point}",
            "vmax.s32 q0, q0, q4",
            "vmin.s32 q0, q0, q5",
            "vstrb.32 q0, [r1], #4",
            "letp lr, 2b",
            base = in(reg) 31,
            min = in(reg) i32::from(r.output.min),
            max = in(reg) i32::from(r.output.max),
            n = in(reg) n,
            acc = inout(reg) accumulators.as_ptr() => _,
            multipliers = inout(reg) r.multipliers.as_ptr() => _,
            zero_point = in(reg) i32::from(r.output.zero_point),
            // Widening loads and narrowing stores take r0 to r7 only.
            inout("r0") r.shifts.as_ptr() => _,
            inout("r1") y.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
}
