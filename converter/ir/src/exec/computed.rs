//! Operators whose operands are all computed: products of matrices, normalization, indices.

use rayon::prelude::*;

use super::View;
use super::gemm::{Strided, sgemm};

/// `transposed`: the operand lies with its columns before its rows.
pub(super) fn batch_mat_mul(
    a: View<'_>,
    b: View<'_>,
    transposed: [bool; 2],
    shape: &[usize],
    out: &mut [f32],
) {
    let [lead @ .., m, n] = shape else { return };
    let (m, n) = (*m, *n);
    let k = a.shape[a.shape.len() - if transposed[0] { 2 } else { 1 }];
    let matrix = |view: &View<'_>, index: usize| {
        let own = &view.shape[..view.shape.len() - 2];
        let (mut rest, mut at, mut step) = (index, 0, 1);
        for (axis, &size) in lead.iter().enumerate().rev() {
            let i = rest % size;
            rest /= size;
            if let Some(&own) = (axis + own.len())
                .checked_sub(lead.len())
                .and_then(|axis| own.get(axis))
            {
                at += (i % own) * step;
                step *= own;
            }
        }
        at
    };
    out.par_chunks_mut(m * n)
        .enumerate()
        .for_each(|(index, y)| {
            let strided = |view: View<'_>, rows, columns, transposed| {
                let len = rows * columns;
                let start = matrix(&view, index) * len;
                let (row, column) = if transposed { (1, rows) } else { (columns, 1) };
                (start, len, row, column)
            };
            let (start, len, row, column) = strided(a, m, k, transposed[0]);
            let left = Strided {
                data: &a.data[start..start + len],
                row,
                column,
            };
            let (start, len, row, column) = strided(b, k, n, transposed[1]);
            let right = Strided {
                data: &b.data[start..start + len],
                row,
                column,
            };
            sgemm([m, k, n], left, right, 0.0, y, n);
        });
}

/// How [`crate::Op::LayerNorm`] normalizes.
#[derive(Clone, Copy)]
pub(super) struct Norm {
    pub(super) n: usize,
    pub(super) run: usize,
    pub(super) epsilon: f32,
    pub(super) centered: bool,
}

/// Sums are in `f64`.
pub(super) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], norm: Norm, out: &mut [f32]) {
    let Norm {
        n,
        run,
        epsilon,
        centered,
    } = norm;
    out.par_chunks_mut(n)
        .zip(x.par_chunks(n))
        .enumerate()
        .for_each(|(row, (y, x))| {
            let mean = if centered {
                x.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64
            } else {
                0.0
            };
            let square = |&v: &f32| (f64::from(v) - mean).powi(2);
            let variance = x.iter().map(square).sum::<f64>() / n as f64;
            let deviation = (variance + f64::from(epsilon)).sqrt();
            for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                let parameter = (row * n + i) / run % gamma.len();
                let centered = f64::from(x) - mean;
                // A row of one value has no deviation.
                let normal = if centered == 0.0 {
                    0.0
                } else {
                    centered / deviation
                };
                *y = (normal * f64::from(gamma[parameter]) + f64::from(beta[parameter])) as f32;
            }
        });
}

/// `[outer, n, inner]` to `[outer, inner]`; of equal values the first, or the last.
pub(super) fn arg_max(x: View<'_>, axis: usize, smallest: bool, last: bool, out: &mut [f32]) {
    let n = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    for (index, y) in out.iter_mut().enumerate() {
        let start = index / inner * n * inner + index % inner;
        let value = |i: usize| x.data[start + i * inner];
        let mut best = 0;
        for i in 1..n {
            let (new, old) = (value(i), value(best));
            let better = if smallest { new < old } else { new > old };
            if better || (last && new == old) {
                best = i;
            }
        }
        *y = best as f32;
    }
}

/// Of each row of `n` the indices of the `k` best; of equal values the first comes first.
pub(super) fn top_k(x: &[f32], n: usize, k: usize, smallest: bool, out: &mut [f32]) {
    for (y, x) in out.chunks_exact_mut(k).zip(x.chunks_exact(n)) {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| {
            let ascending = x[a].total_cmp(&x[b]);
            if smallest {
                ascending
            } else {
                ascending.reverse()
            }
        });
        for (y, index) in y.iter_mut().zip(order) {
            *y = index as f32;
        }
    }
}

/// An index of an axis of `n` as it is used: below zero from the end, then the nearest inside.
fn index_of(value: f32, n: usize) -> usize {
    let from_start = if value < 0.0 { value + n as f32 } else { value };
    // A cast saturates, and takes what is no number as 0.
    (from_start as usize).min(n.saturating_sub(1))
}

/// Indices of one axis, for all of the axes before it.
pub(super) fn take(x: View<'_>, indices: &[f32], axis: usize, out: &mut [f32]) {
    let n = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    for (index, y) in out.chunks_exact_mut(inner).enumerate() {
        let (outer, i) = (index / indices.len(), index % indices.len());
        let from = (outer * n + index_of(indices[i], n)) * inner;
        y.copy_from_slice(&x.data[from..from + inner]);
    }
}

/// An index of one axis for each element.
pub(super) fn gather_elements(x: View<'_>, indices: View<'_>, axis: usize, out: &mut [f32]) {
    let (n, out_n) = (x.shape[axis], indices.shape[axis]);
    let inner: usize = x.shape[axis + 1..].iter().product();
    for (at, (y, &index)) in out.iter_mut().zip(indices.data).enumerate() {
        let (outer, column) = (at / inner / out_n, at % inner);
        *y = x.data[(outer * n + index_of(index, n)) * inner + column];
    }
}
