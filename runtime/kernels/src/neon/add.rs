use core::arch::aarch64::*;

use ocellus_format::ops::Add;

use super::requantize::Finish;
use super::sixteen::{each, widen};
use crate::{BinaryIo, generic::RowsOf, reference};

/// Sum, or difference with a negative `multiplier_b`, of tensors with different scales.
pub(super) fn add_s8(p: &Add, mut io: BinaryIo<'_>) {
    // The zero points in one addend: sums of 32 bits wrap, and the true sum does not leave them.
    let addend = 0_i32
        .wrapping_sub(i32::from(p.zero_point_a).wrapping_mul(p.multiplier_a))
        .wrapping_sub(i32::from(p.zero_point_b).wrapping_mul(p.multiplier_b));
    let finish = Finish::new(p.output);
    // SAFETY: AArch64 has Advanced SIMD.
    let (addend, multiplier_a, multiplier_b, shift) = unsafe {
        (
            vdupq_n_s32(addend),
            vdupq_n_s32(p.multiplier_a),
            vdupq_n_s32(p.multiplier_b),
            vdupq_n_s32(-i32::from(p.shift)),
        )
    };
    let done = RowsOf::new(&p.binary).is_some_and(|rows| {
        rows.for_each(&mut io, |a, b, y| {
            each(a, b, y, |a, b| {
                let (a, b) = (widen(a), widen(b));
                finish.sixteen(core::array::from_fn(|quarter| {
                    // SAFETY: AArch64 has Advanced SIMD.
                    unsafe {
                        let sum = vmlaq_s32(addend, a[quarter], multiplier_a);
                        vrshlq_s32(vmlaq_s32(sum, b[quarter], multiplier_b), shift)
                    }
                }))
            });
        })
    });
    if !done {
        reference::add_s8(p, io);
    }
}
