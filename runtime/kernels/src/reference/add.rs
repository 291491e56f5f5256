use ocellus_format::ops::Add;

use super::binary::for_each_pair;
use crate::BinaryIo;

/// Sum, or difference with a negative `multiplier_b`, of tensors with different scales.
pub fn add_s8(p: &Add, io: BinaryIo<'_>) {
    let shift = u32::from(p.shift);
    let half = 1_i32.wrapping_shl(shift.wrapping_sub(1));
    for_each_pair(&p.binary, io, |a, b| {
        let a = (i32::from(a) - i32::from(p.zero_point_a)).wrapping_mul(p.multiplier_a);
        let b = (i32::from(b) - i32::from(p.zero_point_b)).wrapping_mul(p.multiplier_b);
        p.output
            .finish(a.wrapping_add(b).wrapping_add(half).wrapping_shr(shift))
    });
}
