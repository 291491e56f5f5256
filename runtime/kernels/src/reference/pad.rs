use ocellus_format::ops::Pad;

use super::access::{copy, span, span_mut};
use super::transpose::strides;
use crate::UnaryIo;

/// A frame of one value around the input.
pub fn pad_s8(p: &Pad, io: UnaryIo<'_>) {
    io.y.fill(p.value);
    let [n0, n1, n2, n3] = p.in_shape.map(|size| size as usize);
    let [b0, b1, b2, b3] = p.before.map(|before| before as usize);
    let [s0, s1, s2, _] = strides(p.out_shape());
    let mut from = 0;
    for i0 in 0..n0 {
        for i1 in 0..n1 {
            for i2 in 0..n2 {
                let to = (b0 + i0) * s0 + (b1 + i1) * s1 + (b2 + i2) * s2 + b3;
                copy(span_mut(io.y, to, n3), span(io.x, from, n3));
                from += n3;
            }
        }
    }
}
