use ocellus_format::ops::TransposeConv2d;

use super::access::{at, put, requant_at, span};
use super::requantize;
use crate::ConvIo;

/// Transposed 2-D convolution of `s8` by `s8`, one weight scale an output channel; weights `Ohwi`.
///
/// Written from the output's side: each output pixel gathers the taps that reach it. The bias does not hold the zero point.
pub fn transpose_conv_2d_s8(p: &TransposeConv2d, io: ConvIo<'_>) {
    let w = &p.window;
    let group_in_c = p.in_c.checked_div(p.groups).unwrap_or(0) as usize;
    let group_out_c = p.out_c.checked_div(p.groups).unwrap_or(0) as usize;
    let (in_w, in_c, out_c) = (w.in_w as usize, p.in_c as usize, p.out_c as usize);
    let kernel_len = w.kernel_h as usize * w.kernel_w as usize * group_in_c;
    let zero_point = i32::from(p.zero_point_in);
    let mut index = 0;
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            for oc in 0..out_c {
                let first_ic = oc.checked_div(group_out_c).unwrap_or(0) * group_in_c;
                let mut acc = at(io.bias, oc);
                let mut tap = oc * kernel_len;
                for ky in 0..w.kernel_h {
                    let row = p.row(oy, ky).map(|iy| iy as usize * in_w);
                    for kx in 0..w.kernel_w {
                        if let (Some(row), Some(ix)) = (row, p.column(ox, kx)) {
                            let x = span(io.x, (row + ix as usize) * in_c + first_ic, group_in_c);
                            for (&x, &weight) in x.iter().zip(span(io.weights, tap, group_in_c)) {
                                acc = acc
                                    .wrapping_add((i32::from(x) - zero_point) * i32::from(weight));
                            }
                        }
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
