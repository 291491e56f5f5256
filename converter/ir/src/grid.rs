//! The 8-bit numbers that a file fixes for a tensor, where its model is quantized already.

use std::sync::Arc;

/// The 8-bit numbers of a tensor: `real = scale * (q - zero_point)`.
///
/// The graph stays one of real numbers. A computed tensor with a grid is rounded and saturated to it, in the float execution too, so that
/// executing the graph is executing the quantized model. A constant with a grid holds whole steps, and its integers are
/// `round(value / scale)`: zero points of weights need not be kept, and a weight of the older `u8` scheme may be 255 steps from zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Real value of one step, above zero: one number; for a constant one, or one an index of axis 0 (the output channel of weights).
    pub scales: Arc<[f32]>,
    /// The number that stands for 0, of the device's `s8`: `-128..=127`. That of a `u8` file is 128 higher. Of a constant it says only where
    /// the file's numbers end, and is 0 where there are several scales.
    pub zero_point: i32,
}

/// Largest distance of a constant from zero, in steps.
pub const GRID_CONSTANT_MAX: f32 = 255.0;

impl Grid {
    /// One scale; the zero point is one of `s8`.
    pub fn new(scale: f32, zero_point: i32) -> Self {
        Self {
            scales: [scale].into(),
            zero_point,
        }
    }

    /// A constant's grid, one scale an index of axis 0, or one for all.
    pub fn weights(scales: impl Into<Arc<[f32]>>) -> Self {
        Self {
            scales: scales.into(),
            zero_point: 0,
        }
    }

    /// The scale of a computed tensor.
    pub fn scale(&self) -> f32 {
        self.scales.first().copied().unwrap_or(1.0)
    }

    /// The smallest and the largest real number of a computed tensor.
    pub fn range(&self) -> (f32, f32) {
        let real = |q: i32| (q - self.zero_point) as f32 * self.scale();
        (real(-128), real(127))
    }

    /// Rounds to the nearest step, halves to even, and saturates: what QuantizeLinear and DequantizeLinear do to a real number.
    pub fn round(&self, real: f32) -> f32 {
        let zero = self.zero_point as f32;
        let q = ((real / self.scale()).round_ties_even() + zero).clamp(-128.0, 127.0);
        (q - zero) * self.scale()
    }

    /// Rounds every value of a computed tensor.
    pub fn round_all(&self, values: &mut [f32]) {
        values
            .iter_mut()
            .for_each(|value| *value = self.round(*value));
    }

    /// True where limiting to a range and rounding may change places: its ends are steps, or beyond the grid's own.
    pub fn has_limits(&self, min: f32, max: f32) -> bool {
        let (low, high) = self.range();
        (min <= low || self.round(min) == min) && (max >= high || self.round(max) == max)
    }

    /// True for numbers that a computed tensor can have.
    pub fn is_valid(&self) -> bool {
        let one = |scale: f32| scale.is_finite() && scale > 0.0;
        self.scales.iter().all(|&scale| one(scale)) && (-128..=127).contains(&self.zero_point)
    }

    /// True where a constant's values are whole steps, at most [`GRID_CONSTANT_MAX`] from zero, and as many as the scales ask for.
    pub fn holds(&self, values: &[f32]) -> bool {
        let rows = self.scales.len();
        let Some(columns) = values.len().checked_div(rows) else {
            return false;
        };
        rows * columns == values.len()
            && values
                .chunks(columns.max(1))
                .zip(self.scales.iter())
                .all(|(row, &scale)| row.iter().all(|&value| step(value, scale).is_some()))
    }

    /// The integers of a constant, `round(value / scale)`, row-major; `None` where the counts do not fit or a value is no whole step.
    pub fn steps(&self, values: &[f32]) -> Option<Vec<i16>> {
        let columns = values.len().checked_div(self.scales.len())?;
        if self.scales.len() * columns != values.len() {
            return None;
        }
        let rows = values.chunks(columns.max(1)).zip(self.scales.iter());
        rows.flat_map(|(row, &scale)| row.iter().map(move |&value| step(value, scale)))
            .collect()
    }
}

/// A value in steps, where that is a whole number of at most [`GRID_CONSTANT_MAX`].
fn step(value: f32, scale: f32) -> Option<i16> {
    let exact = value / scale;
    let whole = exact.round_ties_even();
    // A value is a whole number times the scale in `f32`: the quotient is off by two roundings.
    ((exact - whole).abs() <= 1e-3 && whole.abs() <= GRID_CONSTANT_MAX).then_some(whole as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_halves_to_even_and_saturates() {
        let grid = Grid::new(0.5, -128);
        assert_eq!(
            [-1.0, 0.25, 0.75, 100.0, 200.0].map(|v| grid.round(v)),
            [0.0, 0.0, 1.0, 100.0, 127.5]
        );
        assert_eq!(grid.range(), (0.0, 127.5));
    }

    #[test]
    fn limits_are_steps_or_beyond_the_ends() {
        let grid = Grid::new(0.5, 0);
        for (min, max) in [
            (0.0, 1.5),
            (-64.0, 63.5),
            (-1e9, f32::INFINITY),
            (63.5, 64.0),
        ] {
            assert!(grid.has_limits(min, max), "{min}..{max}");
        }
        for (min, max) in [(0.0, 0.3), (0.2, 1.0), (64.0, 70.0), (-80.0, -70.0)] {
            assert!(!grid.has_limits(min, max), "{min}..{max}");
        }
    }

    #[test]
    fn steps_come_back() {
        let scales = [0.1f32, 0.003];
        let q = [-255i16, 3, 7, 255, 0, -128];
        let values: Vec<f32> = q
            .iter()
            .enumerate()
            .map(|(i, &q)| f32::from(q) * scales[i / 3])
            .collect();
        assert_eq!(
            Grid::weights(scales).steps(&values).as_deref(),
            Some(&q[..])
        );
        assert_eq!(Grid::weights(scales).steps(&[0.15, 0.0]), None);
        assert_eq!(Grid::weights([1.0]).steps(&[256.0]), None);
        assert_eq!(Grid::weights([1.0, 2.0]).steps(&[1.0, 2.0, 4.0]), None);
    }
}
