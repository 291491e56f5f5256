use ocellus_format::ops::Mul;

use super::binary::for_each_pair;
use super::requantize;
use crate::BinaryIo;

/// Product.
pub fn mul_s8(p: &Mul, io: BinaryIo<'_>) {
    for_each_pair(&p.binary, io, |a, b| {
        let a = i32::from(a) - i32::from(p.zero_point_a);
        let b = i32::from(b) - i32::from(p.zero_point_b);
        p.output.finish(requantize(a * b, p.requant))
    });
}
