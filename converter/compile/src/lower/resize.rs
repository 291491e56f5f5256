//! Resizes, as tables that hold any coordinate rule.

use ocellus_format::ops::{ResizeBilinear, ResizeNearest};
use ocellus_ir::exec::{linear_taps, nearest_index, source_coordinate};
use ocellus_ir::{CoordinateMode, NearestMode, Node, ResizeMode};

use super::{DeviceOp, Lowering, Values, batch_refused, unsupported};
use crate::CompileError;

impl Lowering<'_> {
    pub(super) fn resize(
        &mut self,
        node: &Node,
        mode: ResizeMode,
        coordinates: CoordinateMode,
        scale: [f32; 2],
    ) -> Result<(), CompileError> {
        let input = self.moved_input(node)?;
        let (x, y) = (self.input_shape(node, 0).to_vec(), self.output_shape(node));
        let (&[batch, in_h, in_w, channels], &[_, out_h, out_w, _]) = (x.as_slice(), y.as_slice())
        else {
            return Err(unsupported(
                node,
                format!("its input has {} axes and not 4", x.len()),
                "resize pictures only",
            ));
        };
        if batch != 1 {
            return Err(batch_refused(node, batch));
        }
        let rows = Axis {
            mode: coordinates,
            size_in: in_h,
            size_out: out_h,
            scale: scale[0],
        };
        let columns = Axis {
            mode: coordinates,
            size_in: in_w,
            size_out: out_w,
            scale: scale[1],
        };
        let [h, w, oh, ow, c] = [in_h, in_w, out_h, out_w, channels].map(|size| size as u32);
        let (op, rows, columns) = match mode {
            ResizeMode::Nearest(rounding) => {
                let (rows, columns) = (rows.nearest(rounding), columns.nearest(rounding));
                let identity = |table: &[u16], size: usize| {
                    table.len() == size
                        && table.iter().enumerate().all(|(i, &t)| i == usize::from(t))
                };
                if identity(&rows, in_h) && identity(&columns, in_w) {
                    return self.alias(node);
                }
                let op = ResizeNearest {
                    in_h: h,
                    in_w: w,
                    out_h: oh,
                    out_w: ow,
                    channels: c,
                };
                (DeviceOp::ResizeNearest(op), rows, columns)
            }
            ResizeMode::Linear => {
                let op = ResizeBilinear {
                    in_h: h,
                    in_w: w,
                    out_h: oh,
                    out_w: ow,
                    channels: c,
                };
                (
                    DeviceOp::ResizeBilinear(op),
                    rows.linear(),
                    columns.linear(),
                )
            }
        };
        let shape = |table: &[u16], size: usize| {
            if table.len() == size {
                vec![size]
            } else {
                vec![size, 3]
            }
        };
        let rows = self.constant(node, "rows", shape(&rows, out_h), None, Values::U16(rows));
        let columns = self.constant(
            node,
            "columns",
            shape(&columns, out_w),
            None,
            Values::U16(columns),
        );
        self.finish(node, op, vec![input.operand, rows, columns])
    }
}

/// One axis of a resize.
struct Axis {
    mode: CoordinateMode,
    size_in: usize,
    size_out: usize,
    scale: f32,
}

impl Axis {
    fn source(&self, index: usize) -> f32 {
        source_coordinate(self.mode, index, self.scale, self.size_in, self.size_out)
    }

    fn nearest(&self, rounding: NearestMode) -> Vec<u16> {
        (0..self.size_out)
            .map(|index| nearest_index(rounding, self.source(index), self.size_in) as u16)
            .collect()
    }

    fn linear(&self) -> Vec<u16> {
        let one = f32::from(ResizeBilinear::ONE);
        (0..self.size_out)
            .flat_map(|index| {
                let (first, second, weight) = linear_taps(self.source(index), self.size_in);
                [
                    first as u16,
                    second as u16,
                    (weight * one).round_ties_even() as u16,
                ]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(mode: CoordinateMode, size_in: usize, size_out: usize) -> Axis {
        Axis {
            mode,
            size_in,
            size_out,
            scale: size_out as f32 / size_in as f32,
        }
    }

    #[test]
    fn doubling_copies_each_twice() {
        for (mode, rounding) in [
            (CoordinateMode::Asymmetric, NearestMode::Floor),
            (CoordinateMode::HalfPixel, NearestMode::RoundPreferFloor),
            (CoordinateMode::HalfPixel, NearestMode::RoundPreferCeil),
        ] {
            assert_eq!(
                axis(mode, 3, 6).nearest(rounding),
                [0, 0, 1, 1, 2, 2],
                "{mode:?} {rounding:?}"
            );
        }
    }

    #[test]
    fn halves_round_as_named() {
        // Sources 0.5, 2.5.
        assert_eq!(
            axis(CoordinateMode::HalfPixel, 4, 2).nearest(NearestMode::RoundPreferFloor),
            [0, 2]
        );
        assert_eq!(
            axis(CoordinateMode::HalfPixel, 4, 2).nearest(NearestMode::RoundPreferCeil),
            [1, 3]
        );
        assert_eq!(
            axis(CoordinateMode::HalfPixel, 4, 2).nearest(NearestMode::Ceil),
            [1, 3]
        );
    }

    #[test]
    fn linear_weights() {
        assert_eq!(
            axis(CoordinateMode::AlignCorners, 2, 3).linear(),
            [0, 1, 0, 0, 1, 1024, 1, 1, 0]
        );
        // Sources -0.25, 0.25, 0.75, 1.25: clamped to the picture.
        assert_eq!(
            axis(CoordinateMode::HalfPixel, 2, 4).linear(),
            [0, 1, 0, 0, 1, 512, 0, 1, 1536, 1, 1, 0]
        );
        assert_eq!(
            axis(CoordinateMode::Asymmetric, 2, 4).linear(),
            [0, 1, 0, 0, 1, 1024, 1, 1, 0, 1, 1, 0]
        );
        assert_eq!(axis(CoordinateMode::AlignCorners, 5, 1).linear(), [0, 1, 0]);
    }
}
