use ocellus_format::ops::Conv2d;

use super::access::{at, dot, dot_constant, put, requant_at, span};
use super::requantize;
use crate::ConvIo;
use crate::layout::Matrix;

/// 2-D convolution of `s8` by `s8`, one weight scale an output channel; any weight layout.
pub fn conv_2d_s8(p: &Conv2d, io: ConvIo<'_>) {
    let w = &p.window;
    let weights = Matrix::conv_2d(p, io.weights);
    let (in_w, in_c, out_c) = (w.in_w as usize, p.in_c as usize, p.out_c as usize);
    let group_in_c = p.group_in_c() as usize;
    let mut index = 0;
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            for oc in 0..out_c {
                let group = oc.checked_div(p.group_out_c() as usize).unwrap_or(0);
                let first_ic = group.wrapping_mul(group_in_c);
                let mut acc = at(io.bias, oc);
                let mut tap = 0;
                for ky in 0..w.kernel_h {
                    let row = w.row(oy, ky).map(|iy| iy as usize * in_w);
                    for kx in 0..w.kernel_w {
                        let x = match (row, w.column(ox, kx)) {
                            (Some(row), Some(ix)) => Some(span(
                                io.x,
                                (row + ix as usize) * in_c + first_ic,
                                group_in_c,
                            )),
                            _ => None,
                        };
                        // A packed layout keeps a channel's weights together in runs only.
                        weights.visit(oc, tap, group_in_c, |first, run| {
                            acc = match x {
                                Some(x) => dot(acc, x.get(first..).unwrap_or(&[]), run),
                                None => dot_constant(acc, p.zero_point_in, run),
                            };
                        });
                        tap += group_in_c;
                    }
                }
                let value = requantize(acc, requant_at(io.multipliers, io.shifts, oc));
                put(io.y, index, p.output.finish(value));
                index += 1;
            }
        }
    }
}
