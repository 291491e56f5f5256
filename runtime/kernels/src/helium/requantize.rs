//! Accumulators into `s8`, whatever the shift.

use core::arch::asm;

use ocellus_format::Requant;

use crate::generic::SQDMULH_SHIFT_MIN;

/// Bias, multiplier, and two shifts of an accumulator: to the left before the product where the rescale's own is below [`SQDMULH_SHIFT_MIN`], and to the right, as a
/// negative number, behind it. Exact for every shift: where the left one saturates, the value is far outside of `s8`, whatever follows.
pub(super) type Rescale = [i32; 4];

/// Rescales are written as many at a time.
const BLOCK: usize = 4;

/// A single one.
pub(super) fn rescale(bias: i32, r: Requant) -> Rescale {
    let shift = i32::from(r.shift);
    let left = (i32::from(SQDMULH_SHIFT_MIN) - shift).max(0);
    [bias, r.multiplier, left, 31 - left - shift]
}

/// One for each bias, multiplier and shift. `to` has room for that, rounded up to four, of which the last ones have no meaning; `None` where it has not, or the counts differ.
pub(super) fn rescales(
    bias: &[i32],
    multipliers: &[i32],
    shifts: &[u8],
    to: &mut [Rescale],
) -> Option<()> {
    let n = bias.len();
    let alike = multipliers.len() == n && shifts.len() == n;
    if n == 0 || !alike || to.len() < n.next_multiple_of(BLOCK) {
        return None;
    }
    // SAFETY: for each four of `n`, or fewer at the end, `VCTP` predicates the loads to what is left of the three slices, which have `n` values each, and four rescales are stored, for
    // which there is room. The predicate that was there is put back; every other register that is written is named as clobbered.
    unsafe {
        asm!(
            "vmrs {saved}, vpr",
            "mvn {one}, #0",
            "vdup.32 q5, {one}",
            "vmov.i32 q4, #31",
            "2:",
            "vctp.32 {n}",
            "vpsttt",
            "vldrwt.u32 q0, [{bias}], #16",
            "vldrwt.u32 q1, [{multipliers}], #16",
            "vldrbt.u32 q2, [r0], #4",
            "vsub.i32 q2, q4, q2",
            "vmin.s32 q3, q2, q5",
            "vsub.i32 q2, q2, q3",
            "vst40.32 {{q0, q1, q2, q3}}, [{to}]",
            "vst41.32 {{q0, q1, q2, q3}}, [{to}]",
            "vst42.32 {{q0, q1, q2, q3}}, [{to}]",
            "vst43.32 {{q0, q1, q2, q3}}, [{to}]!",
            "subs {n}, #4",
            "bgt 2b",
            "vmsr vpr, {saved}",
            saved = out(reg) _,
            one = out(reg) _,
            n = inout(reg) n => _,
            bias = inout(reg) bias.as_ptr() => _,
            multipliers = inout(reg) multipliers.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            // Widening loads take r0 to r7 only.
            inout("r0") shifts.as_ptr() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
    Some(())
}
