//! Products of computed matrices: along both where they lie so, else four columns at a time.

use ocellus_format::ops::BatchMatMul;

use super::dot::{dot, dot_rows};
use super::requantize::finish;
use crate::{BatchMatMulIo, generic::SMMLA_SHIFTS, reference};

/// Columns at a time.
const COLUMNS: usize = 4;

pub(super) fn batch_mat_mul_s8(p: &BatchMatMul, io: BatchMatMulIo<'_>) {
    if p.transposed_a && p.transposed_b {
        reference::batch_mat_mul_s8(p, io);
        return;
    }
    let (m, k, n) = (p.m as usize, p.k as usize, p.n as usize);
    let [s0, s1, s2] = p.stack;
    let a_strides = p.strides(p.broadcast_a);
    let b_strides = p.strides(p.broadcast_b);
    let mut outputs = io.y.chunks_exact_mut((m * n).max(1));
    for i0 in 0..s0 {
        for i1 in 0..s1 {
            for i2 in 0..s2 {
                let index = |strides: [u32; 3]| {
                    let [d0, d1, d2] = strides;
                    (i0 * d0 + i1 * d1 + i2 * d2) as usize
                };
                let matrix = |all, number: usize, len: usize| -> &[i8] {
                    let all: &[i8] = all;
                    all.get(number * len..(number + 1) * len).unwrap_or(&[])
                };
                product(
                    p,
                    matrix(io.a, index(a_strides), m * k),
                    matrix(io.b, index(b_strides), k * n),
                    outputs.next().unwrap_or_default(),
                );
            }
        }
    }
}

/// One product.
fn product(p: &BatchMatMul, a: &[i8], b: &[i8], y: &mut [i8]) {
    let (m, k, n) = (p.m as usize, p.k as usize, p.n as usize);
    let short = SMMLA_SHIFTS.contains(&p.requant.shift);
    for (row, y) in y.chunks_exact_mut(n.max(1)).enumerate() {
        if p.transposed_b {
            let a = a.get(row * k..(row + 1) * k).unwrap_or(&[]);
            for (y, b) in y.iter_mut().zip(b.chunks_exact(k.max(1))) {
                let sum = dot(0, a, p.zero_point_a, b, p.zero_point_b);
                *y = finish(sum, p.requant, p.output, short);
            }
            continue;
        }
        let (first, step) = if p.transposed_a {
            (row, m)
        } else {
            (row * k, 1)
        };
        let a = a.get(first..).unwrap_or(&[]);
        for (y, column) in y.chunks_mut(COLUMNS).zip((0..n).step_by(COLUMNS)) {
            let b = b.get(column..).unwrap_or(&[]);
            let sums = dot_rows(a, step, p.zero_point_a, b, n, p.zero_point_b, k);
            for (y, sum) in y.iter_mut().zip(sums) {
                *y = finish(sum, p.requant, p.output, short);
            }
        }
    }
}
