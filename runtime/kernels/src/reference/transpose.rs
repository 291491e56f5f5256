use ocellus_format::ops::{MOVE_RANK, Transpose};

use super::access::{at, put};
use crate::UnaryIo;

/// Axes in another order.
pub fn transpose_s8(p: &Transpose, io: UnaryIo<'_>) {
    let in_strides = strides(p.in_shape);
    let axes = p.order.map(usize::from);
    let [n0, n1, n2, n3] = axes.map(|axis| at(&p.in_shape, axis) as usize);
    let [s0, s1, s2, s3] = axes.map(|axis| at(&in_strides, axis));
    let mut index = 0;
    for i0 in 0..n0 {
        for i1 in 0..n1 {
            for i2 in 0..n2 {
                let row = i0 * s0 + i1 * s1 + i2 * s2;
                for i3 in 0..n3 {
                    put(io.y, index, at(io.x, row + i3 * s3));
                    index += 1;
                }
            }
        }
    }
}

/// Elements from one index to the next on each axis of a dense tensor.
pub(super) fn strides(shape: [u32; MOVE_RANK]) -> [usize; MOVE_RANK] {
    let [_, n1, n2, n3] = shape.map(|size| size as usize);
    [
        n1.wrapping_mul(n2).wrapping_mul(n3),
        n2.wrapping_mul(n3),
        n3,
        1,
    ]
}
