use core::arch::aarch64::*;

use ocellus_format::ops::Mul;

use super::requantize::{Finish, Scale4, all_high};
use super::sixteen::each;
use crate::{BinaryIo, generic::RowsOf, reference};

/// Product of two tensors.
pub(super) fn mul_s8(p: &Mul, io: BinaryIo<'_>) {
    if all_high(&[p.requant.shift]) {
        rows::<true>(p, io);
    } else {
        rows::<false>(p, io);
    }
}

fn rows<const HIGH: bool>(p: &Mul, mut io: BinaryIo<'_>) {
    let scale = Scale4::splat(p.requant);
    let finish = Finish::new(p.output);
    // SAFETY: AArch64 has Advanced SIMD.
    let (zero_a, zero_b) = unsafe { (vdupq_n_s8(p.zero_point_a), vdupq_n_s8(p.zero_point_b)) };
    let done = RowsOf::new(&p.binary).is_some_and(|rows| {
        rows.for_each(&mut io, |a, b, y| {
            each(a, b, y, |a, b| {
                // SAFETY: AArch64 has Advanced SIMD.
                let products = unsafe {
                    let low = |v, zero| vsubl_s8(vget_low_s8(v), vget_low_s8(zero));
                    let (a_low, a_high) = (low(a, zero_a), vsubl_high_s8(a, zero_a));
                    let (b_low, b_high) = (low(b, zero_b), vsubl_high_s8(b, zero_b));
                    [
                        vmull_s16(vget_low_s16(a_low), vget_low_s16(b_low)),
                        vmull_high_s16(a_low, b_low),
                        vmull_s16(vget_low_s16(a_high), vget_low_s16(b_high)),
                        vmull_high_s16(a_high, b_high),
                    ]
                };
                finish.sixteen(products.map(|product| scale.apply::<HIGH>(product)))
            });
        })
    });
    if !done {
        reference::mul_s8(p, io);
    }
}
