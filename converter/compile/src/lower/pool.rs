//! Pools and means.

use ocellus_format::ops::{self, Window2d};
use ocellus_ir::{Node, Rounding, Window};

use super::{
    DeviceOp, Lowering, Operand, Placed, Values, output_s8, steps_of, unsupported, window_2d,
};
use crate::CompileError;
use crate::quantize::requant::{Likely, USUAL_STEPS, requant, requant_as, single_precision};

impl Lowering<'_> {
    pub(super) fn max_pool_2d(
        &mut self,
        node: &Node,
        kernel: [usize; 2],
        window: &Window,
    ) -> Result<(), CompileError> {
        let input = self.moved_input(node)?;
        let (x, y) = (self.input_shape(node, 0), self.output_shape(node));
        let op = ops::MaxPool2d {
            window: window_2d(node, window, kernel, x, &y)?,
            channels: y[3] as u32,
            output: output_s8(node, input.qparams),
        };
        self.finish(node, DeviceOp::MaxPool2d(op), vec![input.operand])
    }

    pub(super) fn average_pool_2d(
        &mut self,
        node: &Node,
        kernel: [usize; 2],
        window: &Window,
        count_include_pad: bool,
    ) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let (x, y) = (self.input_shape(node, 0), self.output_shape(node));
        let channels = y[3];
        let window = window_2d(node, window, kernel, x, &y)?;
        let by_count = !count_include_pad && touches_padding(&window);
        self.average(node, input, window, channels, by_count)
    }

    fn average(
        &mut self,
        node: &Node,
        input: Placed,
        window: Window2d,
        channels: usize,
        by_count: bool,
    ) -> Result<(), CompileError> {
        let qparams = self.output_params(node)?;
        let area = window.kernel_h * window.kernel_w;
        let counts = if by_count { 1..=area } else { area..=area };
        let output = output_s8(node, qparams);
        let steps = steps_of(output);
        let of_file = self.scales_are_of_file(node);
        let mut multipliers = Vec::new();
        let mut shifts = Vec::new();
        for count in counts {
            let factor =
                f64::from(input.qparams.scale) / (f64::from(qparams.scale) * f64::from(count));
            let likely = Likely {
                middle: 0.0,
                deviation: USUAL_STEPS * f64::from(count),
            };
            let r = match self.graph.rounding {
                _ if !of_file => requant(factor),
                Rounding::LiteRt { unsigned } if input.qparams == qparams => {
                    let below = if unsigned { -128 } else { 0 };
                    let zero_point = i64::from(qparams.zero_point - below);
                    let peer = stored_mean(i64::from(count), zero_point);
                    requant_as(peer, factor, steps, likely)
                }
                _ => {
                    let factor = input.qparams.scale / (qparams.scale * count as f32);
                    let peer = single_precision(factor);
                    requant_as(peer, f64::from(factor), steps, likely)
                }
            }
            .map_err(|e| unsupported(node, e.to_string(), "check the calibration data"))?;
            multipliers.push(r.multiplier);
            shifts.push(r.shift);
        }
        let op = ops::AveragePool2d {
            window,
            channels: channels as u32,
            zero_point_in: input.qparams.zero_point as i8,
            output,
            by_count,
        };
        let operands: Vec<Operand> = vec![
            input.operand,
            self.list(node, "multipliers", Values::S32(multipliers)),
            self.list(node, "shifts", Values::U8(shifts)),
        ];
        self.finish(node, DeviceOp::AveragePool2d(op), operands)
    }

    /// A mean over neighbouring axes is a pool over `[before, axes, after]`; others are brought together first.
    pub(super) fn mean(&mut self, node: &Node, axes: &[usize]) -> Result<(), CompileError> {
        let mut input = self.input(node, 0)?;
        let mut shape = self.input_shape(node, 0).to_vec();
        let mut reduced: Vec<usize> = axes
            .iter()
            .copied()
            .filter(|&axis| shape[axis] > 1)
            .collect();
        let (Some(&first), Some(&last)) = (reduced.first(), reduced.last()) else {
            // Every mean is of one value: at most the scale changes.
            return self.change_of_scale(node);
        };
        let neighbours = (first..=last).all(|axis| shape[axis] == 1 || reduced.contains(&axis));
        if !neighbours {
            let kept = (0..shape.len()).filter(|axis| !reduced.contains(axis));
            let order: Vec<usize> = kept.chain(reduced.iter().copied()).collect();
            input = self.permute(node, "together", input, &shape, &order)?;
            shape = order.iter().map(|&axis| shape[axis]).collect();
            reduced = (shape.len() - reduced.len()..shape.len()).collect();
        }
        let (first, last) = (reduced[0], reduced[reduced.len() - 1]);
        let before: usize = shape[..first].iter().product();
        let within = &shape[first..=last];
        let after: usize = shape[last + 1..].iter().product();
        // Two large axes stay two: a size of the format has 16 bits.
        let step = if before == 1 && within.len() > 1 {
            let (rows, columns) = (within[0], within[1..].iter().product::<usize>());
            [rows, columns, 1, 1, rows, columns]
        } else {
            let count = within.iter().product::<usize>();
            [before, count, before, 1, 1, count]
        };
        let [in_h, in_w, out_h, out_w, kernel_h, kernel_w] = step.map(|size| size as u32);
        let window = Window2d {
            in_h,
            in_w,
            out_h,
            out_w,
            kernel_h,
            kernel_w,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        };
        self.average(node, input, window, after, false)
    }
}

/// LiteRT's mean of `count` stored integers, halves away from zero, in steps from their zero point; of the sum of such steps.
fn stored_mean(count: i64, zero_point: i64) -> impl Fn(i64) -> i64 {
    move |sum| {
        let sum = sum + count * zero_point;
        let half = count / 2 * sum.signum();
        (sum + half) / count - zero_point
    }
}

/// True where a tap of some window lies outside the picture.
fn touches_padding(w: &Window2d) -> bool {
    (0..w.out_h).any(|oy| (0..w.kernel_h).any(|ky| w.row(oy, ky).is_none()))
        || (0..w.out_w).any(|ox| (0..w.kernel_w).any(|kx| w.column(ox, kx).is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_int8_has_halves_away_from_zero() {
        // Two of -128, whose sum of steps is 1: -127.5 is stored as -128.
        assert_eq!(stored_mean(2, -128)(1), 0);
        assert_eq!(stored_mean(2, -128)(2), 1);
        // 0.5 and -0.5 as they are stored.
        assert_eq!((stored_mean(2, 0)(1), stored_mean(2, 0)(-1)), (1, -1));
        // uint8 never is below zero.
        assert_eq!((stored_mean(4, 0)(2), stored_mean(4, 128)(-2)), (1, 0));
    }

    #[test]
    fn behind_a_relu_the_rescale_has_the_halves_of_int8() {
        // As the last pool of ResNet-8: 64 values, one scale, zero point -128.
        let (peer, likely) = (
            stored_mean(64, -128),
            Likely {
                middle: 0.0,
                deviation: 64.0 * USUAL_STEPS,
            },
        );
        let r = requant_as(&peer, 1.0 / 64.0, [0, 255], likely).unwrap();
        assert!(r.is_valid());
        for sum in 0..64 * 127 {
            let mean = (sum * i64::from(r.multiplier) + (1 << (r.shift - 1))) >> r.shift;
            assert_eq!(mean, peer(sum), "{sum}");
        }
    }
}
