//! Products of matrices whose bits depend on the operands alone, and a dot product for single rows.
//!
//! Ranges and rounded weights are chosen by what is computed here, so a library that takes fused multiply-adds where the processor has them would write
//! another model file on another machine. Here every element is the same sum on all of them: products, rounded, are added in the order of `k`, in blocks of
//! [`DEPTH`], whose sums are added in turn. How many elements are summed side by side is the processor's.

use std::ops::Range;

/// A matrix inside a slice: element `(i, j)` is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
pub(super) struct Strided<'a> {
    pub(super) data: &'a [f32],
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Strided<'_> {
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }

    fn transposed(self) -> Self {
        Strided {
            data: self.data,
            row: self.column,
            column: self.row,
        }
    }

    /// Rows `rows` of columns `columns`, `WIDTH` rows side by side: one array a column, then the next rows; missing rows are 0.
    fn pack<const WIDTH: usize>(
        self,
        rows: Range<usize>,
        columns: Range<usize>,
        packed: &mut Vec<[f32; WIDTH]>,
    ) {
        packed.clear();
        for first in rows.clone().step_by(WIDTH) {
            let count = (rows.end - first).min(WIDTH);
            for column in columns.clone() {
                let from = &self.data[first * self.row + column * self.column..];
                let mut side_by_side = [0.0; WIDTH];
                if self.row == 1 {
                    side_by_side[..count].copy_from_slice(&from[..count]);
                } else {
                    let values = from.iter().step_by(self.row);
                    for (slot, &value) in side_by_side[..count].iter_mut().zip(values) {
                        *slot = value;
                    }
                }
                packed.push(side_by_side);
            }
        }
    }
}

/// Products that are summed up before they are added to the rest. Part of what the sums are: the same on all machines.
const DEPTH: usize = 256;

/// Rows and columns of the operands that are packed at a time: what a second-level cache holds.
const ROWS: usize = 96;
const COLUMNS: usize = 1024;

/// Operands of `out[m, n] = beta * out + lhs[m, k] * rhs[k, n]`, where rows of `out` are `row` elements apart.
struct Product<'a> {
    m: usize,
    k: usize,
    n: usize,
    lhs: Strided<'a>,
    rhs: Strided<'a>,
    out: &'a mut [f32],
    row: usize,
}

impl Product<'_> {
    /// Adds the product, in tiles of `M` rows and `N` columns that stay in registers.
    #[inline(always)]
    fn add<const M: usize, const N: usize>(self) {
        let (mut rows, mut columns) = (Vec::new(), Vec::new());
        let blocks = |size: usize, step: usize| {
            (0..size)
                .step_by(step)
                .map(move |first| first..size.min(first + step))
        };
        for across in blocks(self.n, COLUMNS) {
            for deep in blocks(self.k, DEPTH) {
                let right = self.rhs.transposed();
                right.pack::<N>(across.clone(), deep.clone(), &mut columns);
                for down in blocks(self.m, ROWS) {
                    self.lhs.pack::<M>(down.clone(), deep.clone(), &mut rows);
                    let right = across.clone().step_by(N);
                    for (left, packed) in right.zip(columns.chunks_exact(deep.len())) {
                        let width = (across.end - left).min(N);
                        let tops = down.clone().step_by(M);
                        for (top, other) in tops.zip(rows.chunks_exact(deep.len())) {
                            let sums = tile::<M, N>(other, packed);
                            let height = (down.end - top).min(M);
                            for (y, sums) in (top..top + height).zip(&sums) {
                                let out = &mut self.out[y * self.row + left..][..width];
                                for (out, sum) in out.iter_mut().zip(sums) {
                                    *out += sum;
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_avx2(self) {
        self.add::<6, 16>();
    }
}

/// Sums of products over two packed panels.
#[inline(always)]
fn tile<const M: usize, const N: usize>(lhs: &[[f32; M]], rhs: &[[f32; N]]) -> [[f32; N]; M] {
    let mut sums = [[0.0; N]; M];
    for (lhs, rhs) in lhs.iter().zip(rhs) {
        for (sums, &left) in sums.iter_mut().zip(lhs) {
            for (sum, &right) in sums.iter_mut().zip(rhs) {
                *sum += left * right;
            }
        }
    }
    sums
}

/// `out[m, n] = beta * out + lhs[m, k] * rhs[k, n]`, where rows of `out` are `row` elements apart. With `beta` 0 what `out` holds counts for nothing.
#[allow(
    unsafe_code,
    reason = "the same code, compiled for AVX2 too, is called where the processor has it"
)]
pub(super) fn sgemm(
    [m, k, n]: [usize; 3],
    lhs: Strided<'_>,
    rhs: Strided<'_>,
    beta: f32,
    out: &mut [f32],
    row: usize,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(
        lhs.holds(m, k) && rhs.holds(k, n) && row >= n && (m - 1) * row + n <= out.len(),
        "shapes were inferred"
    );
    for out in out.chunks_mut(row).take(m) {
        for value in &mut out[..n] {
            *value = if beta == 0.0 { 0.0 } else { beta * *value };
        }
    }
    let product = Product {
        m,
        k,
        n,
        lhs,
        rhs,
        out,
        row,
    };
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just found to have what the function is compiled for.
        unsafe { product.add_avx2() };
        return;
    }
    product.add::<4, 8>();
}

/// Neighbouring columns of a row-major matrix.
#[derive(Clone, Debug)]
pub struct Columns<'a> {
    /// The matrix.
    pub data: &'a [f32],
    /// Columns of the matrix.
    pub width: usize,
    /// Those that count.
    pub range: Range<usize>,
}

/// Adds `lhs^T * rhs` to `out`, which has a row for each column of `lhs` and a column for each of `rhs`.
///
/// # Panics
/// Where a slice has another length than `rows` and the columns ask for.
pub fn add_transposed_product(rows: usize, lhs: Columns<'_>, rhs: Columns<'_>, out: &mut [f32]) {
    let (m, n) = (lhs.range.len(), rhs.range.len());
    assert_eq!(
        (lhs.data.len(), rhs.data.len(), out.len()),
        (rows * lhs.width, rows * rhs.width, m * n),
        "lengths follow from the shapes"
    );
    if rows == 0 {
        return;
    }
    let transposed = Strided {
        data: &lhs.data[lhs.range.start..],
        row: 1,
        column: lhs.width,
    };
    let right = Strided {
        data: &rhs.data[rhs.range.start..],
        row: rhs.width,
        column: 1,
    };
    sgemm([m, rows, n], transposed, right, 1.0, out, n);
}

/// Sum of products, in eight partial sums so that it vectorizes.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a_blocks, a_tail) = a.as_chunks::<8>();
    let (b_blocks, b_tail) = b.as_chunks::<8>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_tail.iter().zip(b_tail).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The same sums one by one.
    fn naive([m, k, n]: [usize; 3], lhs: Strided<'_>, rhs: Strided<'_>) -> Vec<f32> {
        let mut out = Vec::new();
        for y in 0..m {
            for x in 0..n {
                let mut total = 0.0f32;
                for first in (0..k).step_by(DEPTH) {
                    let mut sum = 0.0f32;
                    for i in first..k.min(first + DEPTH) {
                        let right = rhs.data[i * rhs.row + x * rhs.column];
                        sum += lhs.data[y * lhs.row + i * lhs.column] * right;
                    }
                    total += sum;
                }
                out.push(total);
            }
        }
        out
    }

    fn rows(data: &[f32], width: usize) -> Strided<'_> {
        Strided {
            data,
            row: width,
            column: 1,
        }
    }

    #[test]
    fn every_width_gives_the_same_bits() {
        let mut random = Random::new(3);
        for [m, k, n] in [
            [1, 1, 1],
            [5, 7, 9],
            [6, 300, 16],
            [13, 513, 37],
            [100, 3, 1100],
            [97, 2, 5],
        ] {
            let (a, b) = (random.values(m * k), random.values(k * n));
            for (lhs, rhs) in [
                (rows(&a, k), rows(&b, n)),
                (rows(&a, m).transposed(), rows(&b, n)),
                (rows(&a, k), rows(&b, k).transposed()),
            ] {
                let wanted = naive([m, k, n], lhs, rhs);
                let mut out = vec![f32::NAN; m * n];
                sgemm([m, k, n], lhs, rhs, 0.0, &mut out, n);
                assert_eq!(out, wanted, "{m} {k} {n}");
                let mut narrow = vec![0.0; m * n];
                let product = Product {
                    m,
                    k,
                    n,
                    lhs,
                    rhs,
                    out: &mut narrow,
                    row: n,
                };
                product.add::<4, 8>();
                assert_eq!(narrow, wanted, "{m} {k} {n}");
            }
        }
    }

    #[test]
    fn what_is_beside_the_product_stays() {
        let a = [1.0, 2.0];
        let mut out = [1.0; 8];
        sgemm([2, 1, 2], rows(&a, 1), rows(&a, 2), 2.0, &mut out, 4);
        assert_eq!(out, [3.0, 4.0, 1.0, 1.0, 4.0, 6.0, 1.0, 1.0]);
    }
}
