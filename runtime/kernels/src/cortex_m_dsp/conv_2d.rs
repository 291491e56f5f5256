//! 2-D convolution of `s8` by `s8`, one weight scale an output channel.
//!
//! Three output pixels at a time: their inputs are widened to 16 bits once, in the order of the products, then multiplied with every output channel.
//!
//! Scratch: the widened rows, then bytes of windows that reach into the padding or whose rows are no whole runs.

use ocellus_format::{Isa, ops::Conv2d};

use super::product::Product;
use super::requantize::Channels;
use super::rows::{ROWS, RUN, Run};
use super::windows::Windows;
use crate::{ConvIo, reference, select};

pub(super) fn conv_2d_s8(p: &Conv2d, io: ConvIo<'_>) {
    let chosen = select::conv_2d(Isa::CortexMDsp, p);
    let runs = (p.taps() as usize).div_ceil(RUN);
    let enough = io.scratch.len() >= chosen.scratch_bytes as usize;
    let split = io.scratch.split_at_mut_checked(runs * size_of::<Run>());
    let (Isa::CortexMDsp, true, Some((wide, bytes))) = (chosen.isa, enough, split) else {
        reference::conv_2d_s8(
            p,
            ConvIo {
                scratch: &mut [],
                ..io
            },
        );
        return;
    };
    let Ok(wide) = bytemuck::try_cast_slice_mut::<u8, Run>(wide) else {
        return;
    };
    let count = p.group_out_c() as usize;
    for group in 0..p.groups as usize {
        let first = group * count;
        let channels = Channels::new(io.bias, io.multipliers, io.shifts, p.output, first, count);
        let len = io.weights.len().checked_div(p.groups as usize).unwrap_or(0);
        let weights = io.weights.get(group * len..(group + 1) * len);
        let taps = p.taps() as usize;
        let product = channels
            .zip(weights)
            .and_then(|(channels, weights)| Product::new(p.layout, weights, channels, taps));
        let Some(product) = product else { return };
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(bytes);
        let pixels = p.window.out_h as usize * p.window.out_w as usize;
        let out_c = p.out_c as usize;
        let last = (pixels - 1) * out_c + first;
        let mut windows = Windows::new(p, io.x, group);
        let mut at = first;
        while at <= last {
            windows.gather(bytes, wide);
            let places = [at, (at + out_c).min(last), (at + 2 * out_c).min(last)];
            product.three_rows(wide, io.y, places);
            at += ROWS * out_c;
        }
    }
}
