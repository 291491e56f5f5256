//! Pools and means.

use ocellus_format::ops::{self, Window2d};
use ocellus_ir::{Node, Window};

use super::{DeviceOp, Lowering, Operand, Placed, Values, output_s8, unsupported, window_2d};
use crate::CompileError;
use crate::quantize::requant::requant;

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
        let mut multipliers = Vec::new();
        let mut shifts = Vec::new();
        for count in counts {
            let factor =
                f64::from(input.qparams.scale) / (f64::from(qparams.scale) * f64::from(count));
            let r = requant(factor)
                .map_err(|e| unsupported(node, e.to_string(), "check the calibration data"))?;
            multipliers.push(r.multiplier);
            shifts.push(r.shift);
        }
        let op = ops::AveragePool2d {
            window,
            channels: channels as u32,
            zero_point_in: input.qparams.zero_point as i8,
            output: output_s8(node, qparams),
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

/// True where a tap of some window lies outside the picture.
fn touches_padding(w: &Window2d) -> bool {
    (0..w.out_h).any(|oy| (0..w.kernel_h).any(|ky| w.row(oy, ky).is_none()))
        || (0..w.out_w).any(|ox| (0..w.kernel_w).any(|kx| w.column(ox, kx).is_none()))
}
