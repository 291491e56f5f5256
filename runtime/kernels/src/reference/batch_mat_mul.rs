use ocellus_format::ops::BatchMatMul;

use super::access::at;
use super::requantize;
use crate::BatchMatMulIo;

/// Products of two stacks of matrices.
pub fn batch_mat_mul_s8(p: &BatchMatMul, io: BatchMatMulIo<'_>) {
    let [s0, s1, s2] = p.stack.map(|size| size as usize);
    let [a0, a1, a2] = p.strides(p.broadcast_a).map(|stride| stride as usize);
    let [b0, b1, b2] = p.strides(p.broadcast_b).map(|stride| stride as usize);
    let (m, k, n) = (p.m as usize, p.k as usize, p.n as usize);
    // Distances between rows, and between columns.
    let (a_row, a_column) = if p.transposed_a { (1, m) } else { (k, 1) };
    let (b_row, b_column) = if p.transposed_b { (1, k) } else { (n, 1) };
    let mut y = io.y.iter_mut();
    for i0 in 0..s0 {
        for i1 in 0..s1 {
            for i2 in 0..s2 {
                let a = (i0 * a0 + i1 * a1 + i2 * a2) * m * k;
                let b = (i0 * b0 + i1 * b1 + i2 * b2) * k * n;
                for row in 0..m {
                    for column in 0..n {
                        let mut acc = 0_i32;
                        for i in 0..k {
                            let left = at(io.a, a + row * a_row + i * a_column);
                            let right = at(io.b, b + i * b_row + column * b_column);
                            let left = i32::from(left) - i32::from(p.zero_point_a);
                            let right = i32::from(right) - i32::from(p.zero_point_b);
                            acc = acc.wrapping_add(left * right);
                        }
                        if let Some(y) = y.next() {
                            *y = p.output.finish(requantize(acc, p.requant));
                        }
                    }
                }
            }
        }
    }
}
