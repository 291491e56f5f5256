//! Fully connected of `s8` by `s8`, one weight scale an output channel; weights `[out_c, in_c]`.

use ocellus_format::{Isa, ops::FullyConnected};

use super::product::{Channels, Line, Lines, Product, Weights, multiply};
use crate::{ConvIo, Kernels, layout::Matrix, reference, select};

pub(super) fn fully_connected_s8<P: Product + Kernels>(
    product: P,
    p: &FullyConnected,
    io: ConvIo<'_>,
) {
    let (rows, in_c, out_c) = (p.rows as usize, p.in_c as usize, p.out_c as usize);
    let (Some(x), Some(weights), Some(bias), Some(multipliers), Some(shifts), true) = (
        io.x.get(..rows * in_c),
        io.weights
            .get(..p.weights_len().unwrap_or(u64::MAX) as usize),
        io.bias.get(..out_c),
        io.multipliers.get(..out_c),
        io.shifts.get(..out_c),
        io.y.len() >= rows * out_c && select::fully_connected(P::ISA, p).isa != Isa::Reference,
    ) else {
        reference::fully_connected_s8(p, io);
        return;
    };
    let columns = Weights {
        weights,
        layout: p.layout,
        matrix: Matrix::fully_connected(p, weights),
        taps: in_c,
        first: 0,
        start: 0,
    };
    let lines = Rows {
        x,
        rows,
        in_c,
        out_c,
    };
    let channels = Channels {
        taps: in_c,
        bias,
        multipliers,
        shifts,
        output: p.output,
        acc_bound: p.acc_bound,
    };
    multiply(product, &channels, &columns, &lines, io.y);
}

struct Rows<'a> {
    x: &'a [i8],
    rows: usize,
    in_c: usize,
    out_c: usize,
}

impl Lines for Rows<'_> {
    fn pixels(&self) -> usize {
        self.rows
    }

    fn for_each(&self, mut line: impl FnMut(&Line<'_>)) {
        line(&Line {
            x: self.x,
            first: 0,
            stride: self.in_c,
            count: self.rows,
            row_stride: 0,
            rows: 1,
            runs: &[0],
            run: self.in_c,
            to: 0,
            to_stride: self.out_c,
            to_row_stride: 0,
        });
    }
}
