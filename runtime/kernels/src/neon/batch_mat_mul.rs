//! Products of two stacks of matrices of which neither is constant.
//!
//! A column of `b` is an output channel, a row of `a` a pixel. The sum of `a * (b - zero_point_b)` is one over the row read twice: once with the column, once with a constant;
//! what the zero point of `a` takes from it is the same for a whole column, and its bias.

use core::mem::MaybeUninit;

use ocellus_format::{Isa, WeightLayout, ops::BatchMatMul};

use super::product::{Channels, Columns, Line, Lines, Product, multiply, zeroed};
use crate::{BatchMatMulIo, Kernels, reference, select};

/// Columns whose biases are prepared at a time.
const CHANNELS: usize = 256;
/// Values of a column that are collected at a time.
const PIECE: usize = 256;
/// Bytes of rows of `a` that are collected at a time.
const ROWS_BYTES: usize = select::NEON_TAPS_MAX as usize;

pub(super) fn batch_mat_mul_s8<P: Product + Kernels>(
    product: P,
    p: &BatchMatMul,
    io: BatchMatMulIo<'_>,
) {
    let [s0, s1, s2] = p.stack.map(|size| size as usize);
    let [a0, a1, a2] = p.strides(p.broadcast_a).map(|stride| stride as usize);
    let [b0, b1, b2] = p.strides(p.broadcast_b).map(|stride| stride as usize);
    let (m, k, n) = (p.m as usize, p.k as usize, p.n as usize);
    let last = |size: usize| size.saturating_sub(1);
    let last_a = last(s0) * a0 + last(s1) * a1 + last(s2) * a2;
    let last_b = last(s0) * b0 + last(s1) * b1 + last(s2) * b2;
    if select::batch_mat_mul(P::ISA, p).isa == Isa::Reference
        || io.a.len() < (last_a + 1) * m * k
        || io.b.len() < (last_b + 1) * k * n
        || io.y.len() < s0 * s1 * s2 * m * n
    {
        reference::batch_mat_mul_s8(p, io);
        return;
    }
    let mut outputs = io.y.chunks_exact_mut(m * n);
    for i0 in 0..s0 {
        for i1 in 0..s1 {
            for i2 in 0..s2 {
                let a = (i0 * a0 + i1 * a1 + i2 * a2) * m * k;
                let b = (i0 * b0 + i1 * b1 + i2 * b2) * k * n;
                if let Some(y) = outputs.next() {
                    matrix(product, p, &io.a[a..a + m * k], &io.b[b..b + k * n], y);
                }
            }
        }
    }
}

/// One product.
fn matrix<P: Product>(product: P, p: &BatchMatMul, a: &[i8], b: &[i8], y: &mut [i8]) {
    let (k, n) = (p.k as usize, p.n as usize);
    let constants = constants(p.zero_point_b);
    let reads = 1 + constants.len();
    let multipliers = [p.requant.multiplier; CHANNELS];
    let shifts = [p.requant.shift; CHANNELS];
    for first in (0..n).step_by(CHANNELS) {
        let some = (n - first).min(CHANNELS);
        let columns = Matrix {
            p,
            b,
            first,
            constants,
        };
        let mut bias = [0; CHANNELS];
        for (channel, bias) in bias.iter_mut().enumerate().take(some) {
            let mut sum = 0_i32;
            columns.visit(channel, |_, values| {
                sum = values
                    .iter()
                    .fold(sum, |sum, &value| sum.wrapping_add(i32::from(value)));
            });
            *bias = sum.wrapping_mul(-i32::from(p.zero_point_a));
        }
        let channels = Channels {
            taps: reads * k,
            bias: &bias[..some],
            multipliers: &multipliers[..some],
            shifts: &shifts[..some],
            output: p.output,
            acc_bound: 0,
        };
        let lines = Rows {
            p,
            a,
            runs: &[0; 3][..reads],
            first,
        };
        multiply(product, &channels, &columns, &lines, y);
    }
}

/// Values whose sum is the opposite of a zero point.
const fn constants(zero_point: i8) -> &'static [i8] {
    /// The opposite of each zero point but -128.
    const OPPOSITES: [i8; 256] = {
        let mut all = [0; 256];
        let mut zero_point = -127;
        while zero_point < 128 {
            all[(zero_point + 128) as usize] = -zero_point as i8;
            zero_point += 1;
        }
        all
    };
    match zero_point {
        0 => &[],
        i8::MIN => &[64, 64],
        _ => {
            let (_, from) = OPPOSITES.split_at((zero_point as i16 + 128) as usize);
            let (one, _) = from.split_at(1);
            one
        }
    }
}

/// Columns of `b`, and the constants that the row meets when it is read again.
struct Matrix<'a> {
    p: &'a BatchMatMul,
    b: &'a [i8],
    first: usize,
    constants: &'a [i8],
}

impl Columns for Matrix<'_> {
    fn panels(&self, _: WeightLayout) -> Option<&[i8]> {
        None
    }

    fn visit(&self, channel: usize, mut piece: impl FnMut(usize, &[i8])) {
        let (k, n) = (self.p.k as usize, self.p.n as usize);
        let column = self.first + channel;
        let mut values = [0; PIECE];
        if self.p.transposed_b {
            piece(0, &self.b[column * k..][..k]);
        } else {
            for first in (0..k).step_by(PIECE) {
                let values = &mut values[..(k - first).min(PIECE)];
                let rows = self.b[first * n..].chunks_exact(n);
                for (value, row) in values.iter_mut().zip(rows) {
                    *value = row[column];
                }
                piece(first, values);
            }
        }
        for (read, &constant) in (1..).zip(self.constants) {
            values.fill(constant);
            for first in (0..k).step_by(PIECE) {
                piece(read * k + first, &values[..(k - first).min(PIECE)]);
            }
        }
    }
}

/// Rows of `a`, against some columns.
struct Rows<'a> {
    p: &'a BatchMatMul,
    a: &'a [i8],
    runs: &'a [usize],
    first: usize,
}

impl Lines for Rows<'_> {
    fn pixels(&self) -> usize {
        self.p.m as usize
    }

    fn for_each(&self, mut line: impl FnMut(&Line<'_>)) {
        let (m, k, n) = (self.p.m as usize, self.p.k as usize, self.p.n as usize);
        let some = Line {
            x: self.a,
            first: 0,
            stride: k,
            count: m,
            row_stride: 0,
            rows: 1,
            runs: self.runs,
            run: k,
            to: self.first,
            to_stride: n,
            to_row_stride: 0,
        };
        if !self.p.transposed_a {
            line(&some);
            return;
        }
        let mut rows = [MaybeUninit::uninit(); ROWS_BYTES];
        let at_a_time = ROWS_BYTES.checked_div(k).unwrap_or(0).max(1);
        for row in (0..m).step_by(at_a_time) {
            let count = at_a_time.min(m - row);
            let rows = zeroed(&mut rows[..count * k]);
            for (column, a) in self.a.chunks_exact(m).enumerate() {
                for (to, &from) in rows.chunks_exact_mut(k).zip(&a[row..row + count]) {
                    to[column] = from;
                }
            }
            line(&Line {
                x: rows,
                count,
                to: self.first + row * n,
                ..some
            });
        }
    }
}
