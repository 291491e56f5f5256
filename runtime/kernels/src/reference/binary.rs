use ocellus_format::ops::Binary;

use super::access::at;
use crate::BinaryIo;

/// Applies `f` to every pair of a broadcast, in the output's order.
///
/// In place, element `i` of `a` is read before element `i` of the output is written, and `a` is not broadcast.
pub(super) fn for_each_pair(p: &Binary, mut io: BinaryIo<'_>, f: impl Fn(i8, i8) -> i8) {
    let [n0, n1, n2, n3] = p.shape.map(|size| size as usize);
    let [a0, a1, a2, a3] = p.strides(p.broadcast_a).map(|stride| stride as usize);
    let [b0, b1, b2, b3] = p.strides(p.broadcast_b).map(|stride| stride as usize);
    let mut index = 0;
    for i0 in 0..n0 {
        for i1 in 0..n1 {
            for i2 in 0..n2 {
                let a = i0 * a0 + i1 * a1 + i2 * a2;
                let b = i0 * b0 + i1 * b1 + i2 * b2;
                for i3 in 0..n3 {
                    let y = f(io.a_y.get(a + i3 * a3), at(io.b, b + i3 * b3));
                    io.a_y.put(index, y);
                    index += 1;
                }
            }
        }
    }
}
