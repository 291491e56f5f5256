use ocellus_format::ops::Slice;

use super::access::{at, put};
use super::transpose::strides;
use crate::UnaryIo;

/// A box of the input, with steps.
pub fn slice_s8(p: &Slice, io: UnaryIo<'_>) {
    let [n0, n1, n2, n3] = p.out_shape.map(|size| size as usize);
    let [b0, b1, b2, b3] = p.begin.map(|begin| begin as usize);
    let [t0, t1, t2, t3] = p.step.map(|step| step as usize);
    let [s0, s1, s2, s3] = strides(p.in_shape);
    let mut index = 0;
    for i0 in 0..n0 {
        for i1 in 0..n1 {
            for i2 in 0..n2 {
                let row = (b0 + i0 * t0) * s0 + (b1 + i1 * t1) * s1 + (b2 + i2 * t2) * s2;
                for i3 in 0..n3 {
                    put(io.y, index, at(io.x, row + (b3 + i3 * t3) * s3));
                    index += 1;
                }
            }
        }
    }
}
