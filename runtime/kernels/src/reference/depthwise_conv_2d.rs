use ocellus_format::ops::DepthwiseConv2d;

use super::access::{at, put, requant_at};
use super::requantize;
use crate::ConvIo;

/// Depthwise 2-D convolution of `s8` by `s8`, one weight scale an output channel; weights `Hwc`.
pub fn depthwise_conv_2d_s8(p: &DepthwiseConv2d, io: ConvIo<'_>) {
    let w = &p.window;
    let (in_w, in_c, out_c) = (w.in_w as usize, p.in_c as usize, p.out_c() as usize);
    let mut index = 0;
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            let mut oc = 0;
            for ic in 0..in_c {
                for _ in 0..p.multiplier {
                    let mut acc = at(io.bias, oc);
                    let mut tap = oc;
                    for ky in 0..w.kernel_h {
                        let row = w.row(oy, ky).map(|iy| iy as usize * in_w);
                        for kx in 0..w.kernel_w {
                            let x = match (row, w.column(ox, kx)) {
                                (Some(row), Some(ix)) => at(io.x, (row + ix as usize) * in_c + ic),
                                _ => p.zero_point_in,
                            };
                            acc = acc.wrapping_add(i32::from(x) * i32::from(at(io.weights, tap)));
                            tap += out_c;
                        }
                    }
                    let value = requantize(acc, requant_at(io.multipliers, io.shifts, oc));
                    put(io.y, index, p.output.finish(value));
                    index += 1;
                    oc += 1;
                }
            }
        }
    }
}
