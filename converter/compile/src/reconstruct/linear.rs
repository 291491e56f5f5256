//! Factors of symmetric positive definite matrices, in `f64`.
//!
//! Sums are taken in an order that depends on the sizes alone, so results do not depend on the count of threads.

use rayon::prelude::*;

/// Columns that are factored together.
const BLOCK: usize = 48;

/// A lower triangle `L` with `L * L^T` the matrix; row-major, what is above the diagonal is meaningless.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    size: usize,
    lower: Vec<f64>,
}

/// Sum of products in eight partial sums, so that it vectorizes.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_blocks, a_tail) = a.as_chunks::<8>();
    let (b_blocks, b_tail) = b.as_chunks::<8>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + a_tail.iter().zip(b_tail).map(|(a, b)| a * b).sum::<f64>()
}

impl Factor {
    /// Factors a matrix, of which the lower triangle is read. `None` where it is not positive definite.
    pub(super) fn new(mut matrix: Vec<f64>, size: usize) -> Option<Factor> {
        for first in (0..size).step_by(BLOCK) {
            let last = (first + BLOCK).min(size);
            let (above, below) = matrix.split_at_mut(last * size);
            for i in first..last {
                for j in first..=i {
                    let (head, tail) = above.split_at_mut(i * size);
                    let row = &mut tail[..size];
                    if i == j {
                        let rest = row[i] - dot(&row[..i], &row[..i]);
                        if rest.is_nan() || rest <= 0.0 {
                            return None;
                        }
                        row[i] = rest.sqrt();
                    } else {
                        let other = &head[j * size..(j + 1) * size];
                        row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
                    }
                }
            }
            below.par_chunks_mut(size).for_each(|row| {
                for j in first..last {
                    let other = &above[j * size..(j + 1) * size];
                    row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
                }
            });
        }
        Some(Factor {
            size,
            lower: matrix,
        })
    }

    /// A row of the triangle, up to the diagonal.
    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.lower[i * self.size..i * self.size + i + 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_times_itself_is_the_matrix_and_one_without_is_refused() {
        let size = 131;
        let mut state = 7u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f64 / (1 << 24) as f64 - 0.5
        };
        let rows: Vec<f64> = (0..size * 2 * size).map(|_| next()).collect();
        let mut matrix = vec![0.0; size * size];
        for row in rows.chunks(size) {
            for i in 0..size {
                for j in 0..size {
                    matrix[i * size + j] += row[i] * row[j];
                }
            }
        }
        let factor = Factor::new(matrix.clone(), size).unwrap();
        for i in 0..size {
            for j in 0..=i {
                let product = dot(&factor.row(i)[..=j], factor.row(j));
                assert!((product - matrix[i * size + j]).abs() < 1e-9, "{i} {j}");
            }
        }
        matrix[size + 1] = -1.0;
        assert!(Factor::new(matrix, size).is_none());
    }
}
