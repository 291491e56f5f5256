//! Transposed 2-D convolution of `s8` by `s8`: each output gathers the taps that reach it, a run of input channels at a time.

use ocellus_format::{Requant, ops::TransposeConv2d};

use super::dot::dot;
use super::requantize::finish;
use crate::{ConvIo, generic::SMMLA_SHIFTS};

pub(super) fn transpose_conv_2d_s8(p: &TransposeConv2d, io: ConvIo<'_>) {
    let w = &p.window;
    let (Some(group_in_c), Some(group_out_c)) = (
        p.in_c.checked_div(p.groups).map(|c| c as usize),
        p.out_c.checked_div(p.groups).map(|c| c as usize),
    ) else {
        return;
    };
    let (in_c, out_c) = (p.in_c as usize, p.out_c as usize);
    let kernel_len = w.kernel_h as usize * w.kernel_w as usize * group_in_c;
    let mut outputs = io.y.chunks_exact_mut(out_c.max(1));
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            let y = outputs.next().unwrap_or_default();
            for (oc, y) in y.iter_mut().enumerate() {
                let first_ic = oc.checked_div(group_out_c).unwrap_or(0) * group_in_c;
                let channel = (io.bias.get(oc), io.multipliers.get(oc), io.shifts.get(oc));
                let (Some(&bias), Some(&multiplier), Some(&shift)) = channel else {
                    return;
                };
                let mut acc = bias;
                let mut tap = oc * kernel_len;
                for ky in 0..w.kernel_h {
                    let row = p.row(oy, ky).map(|iy| (iy * w.in_w) as usize);
                    for kx in 0..w.kernel_w {
                        if let Some((row, ix)) = row.zip(p.column(ox, kx)) {
                            let first = (row + ix as usize) * in_c + first_ic;
                            let x = io.x.get(first..first + group_in_c).unwrap_or(&[]);
                            let weights = io.weights.get(tap..tap + group_in_c);
                            acc = dot(acc, x, p.zero_point_in, weights.unwrap_or(&[]), 0);
                        }
                        tap += group_in_c;
                    }
                }
                let short = SMMLA_SHIFTS.contains(&shift);
                *y = finish(acc, Requant { multiplier, shift }, p.output, short);
            }
        }
    }
}
