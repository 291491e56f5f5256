use ocellus_format::ops::FullyConnected;

use super::access::{at, dot, put, requant_at, span};
use super::requantize;
use crate::ConvIo;
use crate::layout::Matrix;

/// Matrix product with constant weights of `s8` by `s8`, one weight scale an output channel; any weight layout.
pub fn fully_connected_s8(p: &FullyConnected, io: ConvIo<'_>) {
    let (rows, in_c, out_c) = (p.rows as usize, p.in_c as usize, p.out_c as usize);
    let weights = Matrix::fully_connected(p, io.weights);
    let mut index = 0;
    for row in 0..rows {
        let x = span(io.x, row * in_c, in_c);
        for oc in 0..out_c {
            let mut acc = at(io.bias, oc);
            weights.visit(oc, 0, in_c, |first, run| {
                acc = dot(acc, x.get(first..).unwrap_or(&[]), run);
            });
            let value = requantize(acc, requant_at(io.multipliers, io.shifts, oc));
            put(io.y, index, p.output.finish(value));
            index += 1;
        }
    }
}
