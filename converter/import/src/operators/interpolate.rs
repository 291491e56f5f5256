//! Resizing axis by axis, for what the graph's own operator does not do: copies where one value is chosen, a constant matrix where several are
//! weighed. Cubic, antialiased and cropped resizes are such, and those of other axes than rows and columns.

use ocellus_ir::{CoordinateMode, NearestMode, Op};

use crate::constant::element_count;
use crate::error::{Outcome, Refusal};
use crate::values::{Cx, Value};

/// How the source coordinate of an output index is found.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Coordinates {
    /// A rule that the graph has.
    Rule(CoordinateMode),
    /// As `half_pixel`, with the middle of a fractional size in the middle.
    HalfPixelSymmetric,
    /// A region from `start` to `end`, as shares of the axis; what lies outside of the picture is `fill`.
    Crop { start: f64, end: f64, fill: f32 },
}

/// What is computed from the values around a coordinate.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kernel {
    Nearest(NearestMode),
    /// A triangle, or a cubic with this coefficient.
    Weights {
        cubic: Option<f64>,
        antialias: bool,
        exclude_outside: bool,
    },
}

/// One axis to resize.
pub(super) struct Axis {
    pub(super) axis: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) scale: f64,
    pub(super) coordinates: Coordinates,
}

impl Axis {
    fn source(&self, index: usize) -> f64 {
        let (i, from, to) = (index as f64, self.from as f64, self.to as f64);
        let half_pixel = (i + 0.5) / self.scale - 0.5;
        match self.coordinates {
            Coordinates::Rule(CoordinateMode::HalfPixel) => half_pixel,
            Coordinates::Rule(CoordinateMode::PytorchHalfPixel) if self.to == 1 => 0.0,
            Coordinates::Rule(CoordinateMode::PytorchHalfPixel) => half_pixel,
            Coordinates::Rule(CoordinateMode::AlignCorners) if self.to == 1 => 0.0,
            Coordinates::Rule(CoordinateMode::AlignCorners) => i * (from - 1.0) / (to - 1.0),
            Coordinates::Rule(CoordinateMode::Asymmetric) => i / self.scale,
            Coordinates::HalfPixelSymmetric => {
                let adjustment = to / (self.scale * from);
                from / 2.0 * (1.0 - adjustment) + half_pixel
            }
            Coordinates::Crop { start, end, .. } if self.to == 1 => {
                0.5 * (start + end) * (from - 1.0)
            }
            Coordinates::Crop { start, end, .. } => {
                start * (from - 1.0) + i * (end - start) * (from - 1.0) / (to - 1.0)
            }
        }
    }

    /// Output indices whose source lies in the picture; all but for a crop.
    fn inside(&self) -> std::ops::Range<usize> {
        let last = self.from as f64 - 1.0;
        let is_inside = |&i: &usize| {
            !matches!(self.coordinates, Coordinates::Crop { .. })
                || (0.0..=last).contains(&self.source(i))
        };
        let begin = (0..self.to).find(is_inside).unwrap_or(self.to);
        let end = (begin..self.to)
            .rev()
            .find(is_inside)
            .map_or(begin, |i| i + 1);
        begin..end
    }

    fn nearest(&self, index: usize, mode: NearestMode) -> usize {
        let x = self.source(index);
        let rounded = match mode {
            NearestMode::Floor => x.floor(),
            NearestMode::Ceil => x.ceil(),
            NearestMode::RoundPreferFloor => (x - 0.5).ceil(),
            NearestMode::RoundPreferCeil => (x + 0.5).floor(),
        };
        rounded.clamp(0.0, self.from as f64 - 1.0) as usize
    }

    /// The weight of each value of the axis in the output at an index.
    fn weights(
        &self,
        index: usize,
        cubic: Option<f64>,
        antialias: bool,
        exclude: bool,
    ) -> Vec<f32> {
        let last = self.from as f64 - 1.0;
        let mut x = self.source(index);
        if cubic.is_none() && !antialias {
            x = x.clamp(0.0, last);
        }
        // A smaller picture takes in more values of the larger one.
        let scale = if antialias { self.scale.min(1.0) } else { 1.0 };
        let reach = if cubic.is_some() { 2.0 } else { 1.0 } / scale;
        let (first, end) = ((x - reach).floor(), (x + reach).ceil());
        let mut weights = vec![0.0f64; self.from];
        let mut at = first;
        while at <= end {
            let weight = kernel((at - x) * scale, cubic);
            let outside = !(0.0..=last).contains(&at);
            if !(outside && exclude) {
                weights[at.clamp(0.0, last) as usize] += weight;
            }
            at += 1.0;
        }
        let total: f64 = weights.iter().sum();
        let total = if total == 0.0 { 1.0 } else { total };
        weights.iter().map(|w| (w / total) as f32).collect()
    }
}

/// A triangle, or Keys' cubic, at a distance.
fn kernel(x: f64, cubic: Option<f64>) -> f64 {
    let x = x.abs();
    match cubic {
        None => (1.0 - x).max(0.0),
        Some(a) if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        Some(a) if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
        Some(_) => 0.0,
    }
}

/// Resizes the axes one after the other.
pub(super) fn by_axis(
    cx: &mut Cx<'_, '_>,
    x: &Value,
    axes: &[Axis],
    kernel: Kernel,
) -> Outcome<Value> {
    let mut value = x.clone();
    for axis in axes {
        let inside = axis.inside();
        if inside.is_empty() {
            return Err(Refusal::unsupported(
                "the region that it cuts out lies outside of the picture",
            ));
        }
        let (before, after) = (inside.start, axis.to - inside.end);
        value = match kernel {
            Kernel::Nearest(mode) => {
                let indices = inside.map(|i| axis.nearest(i, mode)).collect();
                cx.gather(&value, axis.axis, indices)?
            }
            Kernel::Weights {
                cubic,
                antialias,
                exclude_outside,
            } => {
                element_count(&[inside.len(), axis.from])?;
                let rows = inside.len();
                let matrix: Vec<f32> = inside
                    .flat_map(|i| axis.weights(i, cubic, antialias, exclude_outside))
                    .collect();
                cx.matrix_along(&value, axis.axis, rows, matrix)?
            }
        };
        if let (Coordinates::Crop { fill, .. }, true) = (axis.coordinates, before + after > 0) {
            let rank = cx.shape_of(&value).len();
            let (mut front, mut back) = (vec![0; rank], vec![0; rank]);
            (front[axis.axis], back[axis.axis]) = (before, after);
            let frame = Op::Pad {
                before: front,
                after: back,
                value: fill,
            };
            value = cx.emit_real(frame, &value)?;
        }
    }
    Ok(value)
}

impl Cx<'_, '_> {
    /// The product of a constant matrix `[rows, size]` with the values along an axis.
    pub(crate) fn matrix_along(
        &mut self,
        x: &Value,
        axis: usize,
        rows: usize,
        matrix: Vec<f32>,
    ) -> Outcome<Value> {
        let rank = self.shape_of(x).len();
        let mut order: Vec<usize> = (0..rank).filter(|&a| a != axis).collect();
        order.push(axis);
        let moved = self.transpose(x, &order)?;
        let size = matrix.len() / rows.max(1);
        let weights = self.weights(vec![rows, size], matrix)?;
        let operand = self.real(&moved)?;
        let y = self.emit(Op::FullyConnected, &[operand, weights])?;
        let y = self.live(y);
        let mut back = vec![0; rank];
        for (i, &axis) in order.iter().enumerate() {
            back[axis] = i;
        }
        self.transpose(&y, &back)
    }
}
