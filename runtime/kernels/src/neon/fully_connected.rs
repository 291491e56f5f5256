//! Fully connected of `s8` by `s8`, one weight scale an output channel; any weight layout.
//!
//! Portable weights of a channel that is too long to be packed are multiplied where they lie.

use core::arch::aarch64::*;

use ocellus_format::{Isa, Requant, ops::FullyConnected};

use super::product::{Channels, Line, Lines, Product, TAPS_MAX, Weights, multiply};
use super::sixteen::sixteen;
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
    let matrix = Matrix::fully_connected(p, weights);
    // Panels as they lie in the file, of whole steps, are read whatever their length.
    let as_they_lie = p.layout == P::LAYOUT && in_c.is_multiple_of(P::STEP);
    if in_c > TAPS_MAX && !as_they_lie {
        let Some(weights) = matrix.portable() else {
            reference::fully_connected_s8(p, io);
            return;
        };
        for (x, y) in x.chunks_exact(in_c).zip(io.y.chunks_exact_mut(out_c)) {
            let channels = y.iter_mut().zip(weights.chunks_exact(in_c)).zip(bias);
            for (((y, weights), &bias), (&multiplier, &shift)) in
                channels.zip(multipliers.iter().zip(shifts))
            {
                let acc = bias.wrapping_add(dot(x, weights));
                let value = reference::requantize(acc, Requant { multiplier, shift });
                *y = p.output.finish(value);
            }
        }
        return;
    }
    let columns = Weights {
        weights,
        layout: p.layout,
        matrix,
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

/// Sum of products of two rows of one length.
fn dot(x: &[i8], weights: &[i8]) -> i32 {
    // SAFETY: AArch64 has Advanced SIMD.
    let mut sums = unsafe { vdupq_n_s32(0) };
    for (x, weights) in x.chunks(16).zip(weights.chunks(16)) {
        let (x, weights) = (sixteen(x), sixteen(weights));
        // SAFETY: AArch64 has Advanced SIMD.
        unsafe {
            sums = vpadalq_s16(sums, vmull_s8(vget_low_s8(x), vget_low_s8(weights)));
            sums = vpadalq_s16(sums, vmull_high_s8(x, weights));
        }
    }
    // SAFETY: AArch64 has Advanced SIMD.
    unsafe { vaddvq_s32(sums) }
}
