//! Fully connected of `s8` by `s8`, one weight scale an output channel.
//!
//! One row is multiplied as it lies with four channels at a time. More rows are taken as windows of a convolution are. Scratch: three widened rows.

use ocellus_format::{
    Isa, WeightLayout,
    ops::{Conv2d, FullyConnected, Window2d},
};

use super::conv_2d::conv_2d_s8;
use super::pair_row::pair_row;
use super::requantize::Channels;
use super::rows::RUN;
use super::simd::{even, odd, partial_word, smlad, word};
use crate::{ConvIo, reference, select};

pub(super) fn fully_connected_s8(p: &FullyConnected, io: ConvIo<'_>) {
    let chosen = select::fully_connected(Isa::CortexMDsp, p);
    let out_c = p.out_c as usize;
    let channels = Channels::new(io.bias, io.multipliers, io.shifts, p.output, 0, out_c);
    let enough = io.scratch.len() >= chosen.scratch_bytes as usize;
    let (Isa::CortexMDsp, true, Some(channels)) = (chosen.isa, enough, channels) else {
        reference::fully_connected_s8(
            p,
            ConvIo {
                scratch: &mut [],
                ..io
            },
        );
        return;
    };
    if p.rows == 1 {
        match p.layout {
            WeightLayout::Pair2x4 => pair_row(&channels, io.weights, io.x, io.y),
            _ => plain_row(&channels, io.weights, io.x, io.y),
        }
        return;
    }
    // Rows are the pixels of a layer without windows.
    let pixels = Conv2d {
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
        in_c: p.in_c,
        out_c: p.out_c,
        groups: 1,
        zero_point_in: 0,
        output: p.output,
        layout: p.layout,
        acc_bound: p.acc_bound,
    };
    conv_2d_s8(&pixels, io);
}

/// One row with weights of which each channel's lie together.
fn plain_row(channels: &Channels<'_>, weights: &[i8], x: &[i8], y: &mut [i8]) {
    let weights = weights.chunks_exact(x.len().max(1)).zip(channels.bias);
    for ((oc, (weights, &bias)), y) in weights.enumerate().zip(y.chunks_mut(1)) {
        let ((x, x_rest), (w, w_rest)) = (x.as_chunks::<RUN>(), weights.as_chunks::<RUN>());
        let words = x.iter().zip(w).map(|(x, w)| (word(x), word(w)));
        let rest = (partial_word(x_rest), partial_word(w_rest));
        let sum = words.chain([rest]).fold(bias, |sum, (x, w)| {
            smlad(odd(x), odd(w), smlad(even(x), even(w), sum))
        });
        channels.from(oc).finish(&[sum], y);
    }
}
