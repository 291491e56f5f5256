//! Sums over what a layer reads: all that a least-squares rounding needs, whatever the number of samples.

use ocellus_ir::exec::{Columns, add_transposed_product};
use rayon::prelude::*;

/// Rows whose products are added up in `f32` before they go into the `f64` sums. Inputs are whole numbers up to 255, so the products' sums stay
/// below `2^24`: exact, in any order and on any machine.
const ROWS_EXACT: usize = 256;

/// Columns of a block of products; blocks are what threads share.
const BLOCK: usize = 64;

/// Sums over the rows of one group of a layer.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub(super) taps: usize,
    pub(super) rows: f64,
    /// `[taps, taps]`: products of inputs; the upper triangle.
    products: Vec<f64>,
    pub(super) sums: Vec<f64>,
}

impl Moments {
    pub(super) fn new(taps: usize) -> Moments {
        Moments {
            taps,
            rows: 0.0,
            products: vec![0.0; taps * taps],
            sums: vec![0.0; taps],
        }
    }

    /// Adds rows `[rows, taps]`: inputs in steps from the zero point.
    pub(super) fn add(&mut self, x: &[f32]) {
        let taps = self.taps;
        for x in x.chunks(ROWS_EXACT * taps) {
            let rows = x.len() / taps;
            self.rows += rows as f64;
            for row in x.chunks_exact(taps) {
                add_to(&mut self.sums, row);
            }
            let columns = |range| Columns {
                data: x,
                width: taps,
                range,
            };
            let blocks = self.products.par_chunks_mut(BLOCK * taps).enumerate();
            blocks.for_each_init(Vec::new, |part: &mut Vec<f32>, (block, products)| {
                let first = block * BLOCK;
                let last = (first + BLOCK).min(taps);
                let width = taps - first;
                part.clear();
                part.resize((last - first) * width, 0.0);
                add_transposed_product(rows, columns(first..last), columns(first..taps), part);
                for (sums, part) in products
                    .chunks_exact_mut(taps)
                    .zip(part.chunks_exact(width))
                {
                    add_to(&mut sums[first..], part);
                }
            });
        }
    }

    /// The covariance of the inputs, `[taps, taps]`.
    pub(super) fn covariance(&self) -> Vec<f64> {
        let mut covariance = vec![0.0; self.taps * self.taps];
        for i in 0..self.taps {
            for j in i..self.taps {
                let value = self.products[i * self.taps + j] / self.rows
                    - self.sums[i] / self.rows * (self.sums[j] / self.rows);
                covariance[i * self.taps + j] = value;
                covariance[j * self.taps + i] = value;
            }
        }
        covariance
    }
}

fn add_to(sums: &mut [f64], values: &[f32]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += f64::from(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_covariance_is_that_of_the_rows() {
        let (taps, rows) = (70, 600);
        let mut state = 5u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as f32 - 100.0
        };
        let x: Vec<f32> = (0..rows * taps).map(|_| next()).collect();
        let mut moments = Moments::new(taps);
        moments.add(&x[..7 * taps]);
        moments.add(&x[7 * taps..]);
        let n = rows as f64;
        let mean = |column: usize| {
            let column = x.iter().skip(column).step_by(taps);
            column.map(|&v| f64::from(v)).sum::<f64>() / n
        };
        let covariance = moments.covariance();
        for (i, j) in [(0, 0), (3, 69), (69, 3), (65, 66), (66, 65)] {
            let products = x
                .chunks(taps)
                .map(|row| f64::from(row[i]) * f64::from(row[j]));
            let wanted = products.sum::<f64>() / n - mean(i) * mean(j);
            assert!((covariance[i * taps + j] - wanted).abs() < 1e-6, "{i} {j}");
        }
    }
}
