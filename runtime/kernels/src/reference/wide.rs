//! Output channels whose weights do not fit `s8`, of any layer: few, so one routine serves every instruction set. It computes anew what the
//! layer's kernel has written there.

use ocellus_format::ops::{Conv2d, DepthwiseConv2d, FullyConnected, OutputS8, Window2d};

use super::access::{at, put, requant_at, span};
use super::requantize;
use crate::WideIo;

/// The layer as a convolution whose taps read `run` neighbouring input channels each.
struct Taps {
    window: Window2d,
    in_c: usize,
    out_c: usize,
    run: usize,
    zero_point_in: i8,
    output: OutputS8,
}

impl Taps {
    /// `first_ic` is the first input channel that an output channel reads.
    fn compute(&self, io: WideIo<'_>, first_ic: impl Fn(usize) -> usize) {
        let w = &self.window;
        let taps = (w.kernel_h as usize) * (w.kernel_w as usize) * self.run;
        for (position, &channel) in io.channels.iter().enumerate() {
            let oc = usize::from(channel);
            if oc >= self.out_c {
                continue;
            }
            let weights = span(io.weights, position * taps, taps);
            let first = first_ic(oc);
            let mut index = oc;
            for oy in 0..w.out_h {
                for ox in 0..w.out_w {
                    let mut acc = at(io.bias, oc);
                    let mut tap = 0;
                    for ky in 0..w.kernel_h {
                        let row = w.row(oy, ky).map(|iy| iy as usize * w.in_w as usize);
                        for kx in 0..w.kernel_w {
                            let run = span(weights, tap, self.run);
                            tap += self.run;
                            let x = match (row, w.column(ox, kx)) {
                                (Some(row), Some(ix)) => {
                                    let start = (row + ix as usize) * self.in_c + first;
                                    Some(span(io.x, start, self.run))
                                }
                                _ => None,
                            };
                            for (i, &w) in run.iter().enumerate() {
                                let x = x.map_or(self.zero_point_in, |x| at(x, i));
                                acc = acc.wrapping_add(i32::from(x) * i32::from(w));
                            }
                        }
                    }
                    let value = requantize(acc, requant_at(io.multipliers, io.shifts, oc));
                    put(io.y, index, self.output.finish(value));
                    index += self.out_c;
                }
            }
        }
    }
}

/// The wide channels of a 2-D convolution.
pub fn conv_2d_wide_s8(p: &Conv2d, io: WideIo<'_>) {
    let (run, members) = (p.group_in_c() as usize, p.group_out_c() as usize);
    let taps = Taps {
        window: p.window,
        in_c: p.in_c as usize,
        out_c: p.out_c as usize,
        run,
        zero_point_in: p.zero_point_in,
        output: p.output,
    };
    taps.compute(io, |oc| {
        oc.checked_div(members).unwrap_or(0).wrapping_mul(run)
    });
}

/// The wide channels of a depthwise 2-D convolution; their weights are `[n, kernel_h * kernel_w]`.
pub fn depthwise_conv_2d_wide_s8(p: &DepthwiseConv2d, io: WideIo<'_>) {
    let taps = Taps {
        window: p.window,
        in_c: p.in_c as usize,
        out_c: p.out_c() as usize,
        run: 1,
        zero_point_in: p.zero_point_in,
        output: p.output,
    };
    taps.compute(io, |oc| oc.checked_div(p.multiplier as usize).unwrap_or(0));
}

/// The wide channels of a fully connected layer: a 1x1 convolution over a column of rows.
pub fn fully_connected_wide_s8(p: &FullyConnected, io: WideIo<'_>) {
    let taps = Taps {
        window: Window2d {
            in_h: p.rows,
            in_w: 1,
            out_h: p.rows,
            out_w: 1,
            kernel_h: 1,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        },
        in_c: p.in_c as usize,
        out_c: p.out_c as usize,
        run: p.in_c as usize,
        zero_point_in: 0,
        output: p.output,
    };
    taps.compute(io, |_| 0);
}
