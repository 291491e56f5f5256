//! Transposed 2-D convolution of `s8` by `s8`, one weight scale an output channel; weights `Ohwi`.
//!
//! Output pixels whose positions leave the same remainders by the strides are reached by the same taps: each such phase is a convolution of its own.

use core::num::NonZeroU32;

use ocellus_format::{Isa, ops::TransposeConv2d};

use super::product::{Channels, Columns, Rows, multiply};
use super::simd::Simd;
use crate::{ConvIo, layout::Matrix, reference, select};

/// Output channels whose biases are prepared at a time.
const CHANNELS: usize = 256;
/// Taps of a window at most.
const WINDOW_MAX: usize = select::WINDOW_MAX as usize;

pub(super) fn transpose_conv_2d_s8(simd: Simd, p: &TransposeConv2d, io: ConvIo<'_>) {
    let w = &p.window;
    let (in_c, out_c) = (p.in_c as usize, p.out_c as usize);
    let (Some(groups), Some(stride_h), Some(stride_w)) = (
        NonZeroU32::new(p.groups),
        NonZeroU32::new(w.stride_h),
        NonZeroU32::new(w.stride_w),
    ) else {
        return;
    };
    let group_in_c = (p.in_c / groups) as usize;
    let group_out_c = (p.out_c / groups) as usize;
    let kernel_len = w.kernel_h as usize * w.kernel_w as usize * group_in_c;
    if select::transpose_conv_2d(simd.isa(), p).isa == Isa::Reference
        || io.x.len() < w.in_h as usize * w.in_w as usize * in_c
        || io.y.len() < w.out_h as usize * w.out_w as usize * out_c
        || io.weights.len() < out_c * kernel_len
        || io.bias.len() < out_c
        || io.multipliers.len() < out_c
        || io.shifts.len() < out_c
        || !simd.takes(&Matrix::transpose_conv_2d(p, io.weights))
    {
        reference::transpose_conv_2d_s8(p, io);
        return;
    }
    for oy in 0..w.out_h.min(w.stride_h) {
        for ox in 0..w.out_w.min(w.stride_w) {
            let mut taps = [(0, 0); WINDOW_MAX];
            let mut count = 0;
            for ky in (0..w.kernel_h).filter(|&ky| meets(oy, ky, w.pad_top, w.dilation_h, stride_h))
            {
                for kx in
                    (0..w.kernel_w).filter(|&kx| meets(ox, kx, w.pad_left, w.dilation_w, stride_w))
                {
                    taps[count] = (ky, kx);
                    count += 1;
                }
            }
            let columns = (w.out_w - ox).div_ceil(w.stride_w) as usize;
            let phase = Phase {
                p,
                x: io.x,
                weights: io.weights,
                taps: &taps[..count],
                kernel_len,
                group_in_c,
                first_out: 0,
                first_in: 0,
                oy,
                ox,
                columns,
                pixels: columns * (w.out_h - oy).div_ceil(w.stride_h) as usize,
            };
            for group in 0..p.groups as usize {
                let end = (group + 1) * group_out_c;
                for first_out in (group * group_out_c..end).step_by(CHANNELS) {
                    let some = first_out..end.min(first_out + CHANNELS);
                    let phase = Phase {
                        first_out,
                        first_in: group * group_in_c,
                        ..phase
                    };
                    let mut bias = [0; CHANNELS];
                    let bias = &mut bias[..some.len()];
                    for ((channel, bias), &given) in
                        bias.iter_mut().enumerate().zip(&io.bias[some.clone()])
                    {
                        *bias = given.wrapping_sub(phase.zero_point_sum(channel));
                    }
                    multiply(
                        simd,
                        &Channels {
                            taps: count * group_in_c,
                            bias,
                            multipliers: &io.multipliers[some.clone()],
                            shifts: &io.shifts[some],
                            output: p.output,
                        },
                        &phase,
                        &phase,
                        io.y,
                    );
                }
            }
        }
    }
}

/// True where tap `k` reaches an output position, and every one a multiple of the stride away, unless it reads outside the picture.
fn meets(out: u32, k: u32, pad: u32, dilation: u32, stride: NonZeroU32) -> bool {
    let stride = i64::from(stride.get());
    (i64::from(out) + i64::from(pad) - i64::from(k) * i64::from(dilation)).checked_rem(stride)
        == Some(0)
}

/// The output pixels of one phase, with some output channels of one group.
#[derive(Clone, Copy)]
struct Phase<'a> {
    p: &'a TransposeConv2d,
    x: &'a [i8],
    weights: &'a [i8],
    /// Row and column of the taps that reach them.
    taps: &'a [(u32, u32)],
    /// Weights of an output channel.
    kernel_len: usize,
    group_in_c: usize,
    first_out: usize,
    first_in: usize,
    /// First pixel.
    oy: u32,
    ox: u32,
    /// Pixels of a row, and of all rows.
    columns: usize,
    pixels: usize,
}

impl Phase<'_> {
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
    fn visit(&self, channel: usize, mut piece: impl FnMut(usize, &[i8])) {
        let kernel_w = self.p.window.kernel_w as usize;
        let first = (self.first_out + channel) * self.kernel_len;
        for (tap, &(ky, kx)) in self.taps.iter().enumerate() {
            let at = first + (ky as usize * kernel_w + kx as usize) * self.group_in_c;
            piece(
                tap * self.group_in_c,
                &self.weights[at..at + self.group_in_c],
            );
        }
    }
}

impl Rows for Phase<'_> {
    fn count(&self) -> usize {
        self.pixels
    }

    fn gather(&self, first: usize, tile: &mut [i8], stride: usize, to: &mut [usize]) {
        let p = self.p;
        let w = &p.window;
        for ((pixel, row), to) in (first..).zip(tile.chunks_exact_mut(stride)).zip(to) {
            let (row_index, column) = (
                pixel.checked_div(self.columns).unwrap_or(0),
                pixel.checked_rem(self.columns).unwrap_or(0),
            );
            let oy = self.oy + row_index as u32 * w.stride_h;
            let ox = self.ox + column as u32 * w.stride_w;
            *to =
                (oy as usize * w.out_w as usize + ox as usize) * p.out_c as usize + self.first_out;
            let places = row.chunks_exact_mut(self.group_in_c);
            for (place, &(ky, kx)) in places.zip(self.taps) {
                match (p.row(oy, ky), p.column(ox, kx)) {
                    (Some(iy), Some(ix)) => {
                        let at = (iy as usize * w.in_w as usize + ix as usize) * p.in_c as usize
                            + self.first_in;
                        place.copy_from_slice(&self.x[at..at + self.group_in_c]);
                    }
                    _ => place.fill(p.zero_point_in),
                }
            }
        }
    }
}
