//! Transposed 2-D convolution of `s8` by `s8`, one weight scale an output channel; weights `Ohwi`.
//!
//! Output pixels whose positions leave the same remainders by the strides are reached by the same taps. Each such phase is a convolution of its own, whose window runs
//! over the input in steps of one: a later tap of the transposed window reads an earlier row.

use ocellus_format::{
    Isa, Requant, WeightLayout,
    ops::{TransposeConv2d, Window2d},
};

use super::product::{Channels, Columns, Product, multiply};
use super::rows::PaddedRows;
use crate::{ConvIo, Kernels, reference, select};

/// Output channels whose biases are prepared at a time.
const CHANNELS: usize = 256;

pub(super) fn transpose_conv_2d_s8<P: Product + Kernels>(
    product: P,
    p: &TransposeConv2d,
    mut io: ConvIo<'_>,
) {
    let w = &p.window;
    let (in_c, out_c) = (p.in_c as usize, p.out_c as usize);
    let group_in_c = in_c.checked_div(p.groups as usize).unwrap_or(0);
    let group_out_c = out_c.checked_div(p.groups as usize).unwrap_or(0);
    let kernel_len = w.kernel_h as usize * w.kernel_w as usize * group_in_c;
    if select::transpose_conv_2d(P::ISA, p).isa == Isa::Reference
        || io.x.len() < w.in_h as usize * w.in_w as usize * in_c
        || io.y.len() < w.out_h as usize * w.out_w as usize * out_c
        || io.weights.len() < out_c * kernel_len
        || io.bias.len() < out_c
        || io.multipliers.len() < out_c
        || io.shifts.len() < out_c
    {
        reference::transpose_conv_2d_s8(p, io);
        return;
    }
    for oy in 0..w.out_h.min(w.stride_h) {
        for ox in 0..w.out_w.min(w.stride_w) {
            let (rows, columns) = (
                Axis::new(oy, w.pad_top, w.kernel_h, w.dilation_h, w.stride_h, w.out_h),
                Axis::new(
                    ox,
                    w.pad_left,
                    w.kernel_w,
                    w.dilation_w,
                    w.stride_w,
                    w.out_w,
                ),
            );
            let phase = Phase {
                p,
                weights: io.weights,
                rows,
                columns,
                group_in_c,
                kernel_len,
                first_out: 0,
            };
            for group in 0..p.groups as usize {
                let end = (group + 1) * group_out_c;
                for first_out in (group * group_out_c..end).step_by(CHANNELS) {
                    let some = first_out..end.min(first_out + CHANNELS);
                    let phase = Phase { first_out, ..phase };
                    let to = (oy as usize * w.out_w as usize + ox as usize) * out_c + first_out;
                    phase.run(product, group, some, to, &mut io);
                }
            }
        }
    }
}

/// One axis of a phase.
#[derive(Clone, Copy)]
struct Axis {
    /// The last tap that reaches the phase's outputs, and how many do.
    last: u32,
    taps: u32,
    /// From one of them to the next.
    step: u32,
    /// Where the last one reads for the first output, and how far before it each next one does.
    first_in: isize,
    back: u32,
    /// Outputs.
    count: u32,
}

impl Axis {
    fn new(out: u32, pad: u32, kernel: u32, dilation: u32, stride: u32, size: u32) -> Axis {
        let position = i64::from(out) + i64::from(pad);
        let reached = |k: u32| {
            (position - i64::from(k) * i64::from(dilation)).checked_rem(stride.into()) == Some(0)
        };
        let first = (0..kernel).find(|&k| reached(k));
        let last = (0..kernel).rev().find(|&k| reached(k));
        let step = first
            .and_then(|first| (first + 1..kernel).find(|&k| reached(k)).map(|k| k - first))
            .unwrap_or(1);
        let count = size.saturating_sub(out).div_ceil(stride);
        let (Some(first), Some(last)) = (first, last) else {
            return Axis {
                last: 0,
                taps: 0,
                step,
                first_in: 0,
                back: 1,
                count,
            };
        };
        let from = position - i64::from(last) * i64::from(dilation);
        Axis {
            last,
            taps: (last - first) / step + 1,
            step,
            first_in: from.checked_div(stride.into()).unwrap_or(0) as isize,
            back: (step * dilation).checked_div(stride).unwrap_or(0).max(1),
            count,
        }
    }

    /// The taps in the order in which they read.
    fn taps(&self) -> impl Iterator<Item = usize> {
        let (last, step) = (self.last as usize, self.step as usize);
        (0..self.taps as usize).map(move |index| last - index * step)
    }
}

/// The output pixels of one phase, with some output channels of one group.
#[derive(Clone, Copy)]
struct Phase<'a> {
    p: &'a TransposeConv2d,
    weights: &'a [i8],
    rows: Axis,
    columns: Axis,
    group_in_c: usize,
    /// Weights of an output channel.
    kernel_len: usize,
    first_out: usize,
}

impl Phase<'_> {
    /// Writes the outputs, the first of which lies at `to`.
    fn run<P: Product>(
        &self,
        product: P,
        group: usize,
        some: core::ops::Range<usize>,
        to: usize,
        io: &mut ConvIo<'_>,
    ) {
        let w = &self.p.window;
        let to_stride = w.stride_w as usize * self.p.out_c as usize;
        let to_row_stride = w.stride_h as usize * w.out_w as usize * self.p.out_c as usize;
        let mut given = [0; CHANNELS];
        let given = &mut given[..some.len()];
        for ((channel, to), &bias) in given.iter_mut().enumerate().zip(&io.bias[some.clone()]) {
            *to = bias.wrapping_sub(self.zero_point_sum(channel));
        }
        let (multipliers, shifts) = (&io.multipliers[some.clone()], &io.shifts[some]);
        if self.rows.taps == 0 || self.columns.taps == 0 {
            // No tap: the bias alone.
            for row in 0..self.rows.count as usize {
                for column in 0..self.columns.count as usize {
                    let y = &mut io.y[to + row * to_row_stride + column * to_stride..];
                    let scales = multipliers.iter().zip(shifts);
                    for ((y, &bias), (&multiplier, &shift)) in y.iter_mut().zip(&*given).zip(scales)
                    {
                        let value = reference::requantize(bias, Requant { multiplier, shift });
                        *y = self.p.output.finish(value);
                    }
                }
            }
            return;
        }
        let window = Window2d {
            out_h: self.rows.count,
            out_w: self.columns.count,
            kernel_h: self.rows.taps,
            kernel_w: self.columns.taps,
            stride_h: 1,
            stride_w: 1,
            dilation_h: self.rows.back,
            dilation_w: self.columns.back,
            pad_top: 0,
            pad_left: 0,
            ..*w
        };
        let channels = Channels {
            taps: (self.rows.taps * self.columns.taps) as usize * self.group_in_c,
            bias: given,
            multipliers,
            shifts,
            output: self.p.output,
            acc_bound: 0,
        };
        let lines = PaddedRows {
            window: &window,
            x: io.x,
            in_c: self.p.in_c as usize,
            first_c: group * self.group_in_c,
            channels: self.group_in_c,
            repeat: 1,
            zero_point: self.p.zero_point_in,
            top: self.rows.first_in,
            left: self.columns.first_in,
            to,
            to_stride,
            to_row_stride,
        };
        multiply(product, &channels, self, &lines, io.y);
    }

    /// What the zero point adds to the sum of a channel where the products are of raw values. Taps outside the picture are read as the zero point.
    fn zero_point_sum(&self, channel: usize) -> i32 {
        let mut sum = 0_i32;
        self.visit(channel, |_, weights| {
            sum = weights
                .iter()
                .fold(sum, |sum, &w| sum.wrapping_add(i32::from(w)));
        });
        sum.wrapping_mul(i32::from(self.p.zero_point_in))
    }
}

impl Columns for Phase<'_> {
    fn panels(&self, _: WeightLayout) -> Option<&[i8]> {
        None
    }

    fn visit(&self, channel: usize, mut piece: impl FnMut(usize, &[i8])) {
        let kernel_w = self.p.window.kernel_w as usize;
        let first = (self.first_out + channel) * self.kernel_len;
        let mut tap = 0;
        for ky in self.rows.taps() {
            for kx in self.columns.taps() {
                let at = first + (ky * kernel_w + kx) * self.group_in_c;
                piece(tap, &self.weights[at..at + self.group_in_c]);
                tap += self.group_in_c;
            }
        }
    }
}
