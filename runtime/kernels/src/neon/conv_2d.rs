//! 2-D convolution of `s8` by `s8`, one weight scale an output channel; any weight layout.

use ocellus_format::{Isa, ops::Conv2d};

use super::product::{Channels, Line, Lines, Product, Weights, multiply};
use super::rows::PaddedRows;
use crate::{ConvIo, Kernels, layout::Matrix, reference, select};

pub(super) fn conv_2d_s8<P: Product + Kernels>(product: P, p: &Conv2d, io: ConvIo<'_>) {
    let w = &p.window;
    let pixels = w.out_h as usize * w.out_w as usize;
    let out_c = p.out_c as usize;
    let (Some(bias), Some(multipliers), Some(shifts)) = (
        io.bias.get(..out_c),
        io.multipliers.get(..out_c),
        io.shifts.get(..out_c),
    ) else {
        return;
    };
    if select::conv_2d(P::ISA, p).isa == Isa::Reference
        || io.x.len() < w.in_h as usize * w.in_w as usize * p.in_c as usize
        || io.y.len() < pixels * out_c
    {
        reference::conv_2d_s8(p, io);
        return;
    }
    let group_out_c = p.group_out_c() as usize;
    let weights_len = p.weights_len().unwrap_or(0) as usize;
    let group_len = weights_len.checked_div(p.groups as usize).unwrap_or(0);
    for group in 0..p.groups as usize {
        let first = group * group_out_c;
        let some = first..first + group_out_c;
        let channels = Channels {
            taps: p.taps() as usize,
            bias: &bias[some.clone()],
            multipliers: &multipliers[some.clone()],
            shifts: &shifts[some],
            output: p.output,
            acc_bound: p.acc_bound,
        };
        let columns = Weights {
            weights: io.weights,
            layout: p.layout,
            matrix: Matrix::conv_2d(p, io.weights),
            taps: channels.taps,
            first,
            start: group * group_len,
        };
        if select::is_pointwise(p) {
            let lines = Pointwise { p, x: io.x, group };
            multiply(product, &channels, &columns, &lines, io.y);
        } else {
            let channels_in = p.group_in_c() as usize;
            let lines = PaddedRows {
                window: w,
                x: io.x,
                in_c: p.in_c as usize,
                first_c: group * channels_in,
                channels: channels_in,
                repeat: 1,
                zero_point: p.zero_point_in,
                top: -(w.pad_top as isize),
                left: -(w.pad_left as isize),
                to: first,
                to_stride: out_c,
                to_row_stride: w.out_w as usize * out_c,
            };
            multiply(product, &channels, &columns, &lines, io.y);
        }
    }
}

/// Output pixels of one group, each of one input pixel.
struct Pointwise<'a> {
    p: &'a Conv2d,
    x: &'a [i8],
    group: usize,
}

impl Lines for Pointwise<'_> {
    fn pixels(&self) -> usize {
        self.p.window.out_h as usize * self.p.window.out_w as usize
    }

    fn for_each(&self, mut line: impl FnMut(&Line<'_>)) {
        let p = self.p;
        let w = &p.window;
        let (in_c, out_c) = (p.in_c as usize, p.out_c as usize);
        let stride = w.stride_w as usize * in_c;
        // Rows behind each other are one.
        let whole = w.stride_h == 1 && w.stride_w == 1 && w.in_w == w.out_w;
        let (rows, count) = if whole {
            (1, w.out_h * w.out_w)
        } else {
            (w.out_h, w.out_w)
        };
        line(&Line {
            x: self.x,
            first: self.group * p.group_in_c() as usize,
            stride,
            count: count as usize,
            row_stride: w.stride_h as usize * w.in_w as usize * in_c,
            rows: rows as usize,
            runs: &[0],
            run: p.group_in_c() as usize,
            to: self.group * p.group_out_c() as usize,
            to_stride: out_c,
            to_row_stride: w.out_w as usize * out_c,
        });
    }
}
