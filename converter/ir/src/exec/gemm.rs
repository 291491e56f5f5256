//! A safe border around `matrixmultiply`, and a dot product for single rows.

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
}

/// `out[m, n] = beta * out + lhs[m, k] * rhs[k, n]`, where rows of `out` are `row` elements apart.
#[allow(
    unsafe_code,
    reason = "the library's only entry takes pointers; bounds are checked here"
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
    // A slice never spans more than isize::MAX bytes, and the strides were checked to stay inside.
    let [rsa, csa, rsb, csb, rsc] =
        [lhs.row, lhs.column, rhs.row, rhs.column, row].map(|stride| stride.cast_signed());
    // SAFETY: the assertion above keeps every element that the strides reach inside its slice; `out` is borrowed mutably, so it
    // overlaps neither operand, and with `row >= n` no two of its elements are the same.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            lhs.data.as_ptr(),
            rsa,
            csa,
            rhs.data.as_ptr(),
            rsb,
            csb,
            beta,
            out.as_mut_ptr(),
            rsc,
            1,
        );
    }
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
