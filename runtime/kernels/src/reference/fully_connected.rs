use ocellus_format::ops::FullyConnected;

use super::access::{at, dot, put, requant_at, span};
use super::requantize;
use crate::ConvIo;

/// Matrix product with constant weights of `s8` by `s8`, one weight scale an output channel; weights `[out_c, in_c]`.
pub fn fully_connected_s8(p: &FullyConnected, io: ConvIo<'_>) {
    let (rows, in_c, out_c) = (p.rows as usize, p.in_c as usize, p.out_c as usize);
    let mut index = 0;
    for row in 0..rows {
        let x = span(io.x, row * in_c, in_c);
        for oc in 0..out_c {
            let acc = dot(at(io.bias, oc), x, span(io.weights, oc * in_c, in_c));
            let value = requantize(acc, requant_at(io.multipliers, io.shifts, oc));
            put(io.y, index, p.output.finish(value));
            index += 1;
        }
    }
}
