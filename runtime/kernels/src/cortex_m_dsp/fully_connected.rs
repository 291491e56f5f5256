//! Fully connected of `s8` by `s8`, one weight scale an output channel.
//!
//! One row is multiplied as it lies with four channels at a time. More rows are taken as windows of a convolution are. Scratch: three widened rows.

use ocellus_format::{Isa, WeightLayout, ops::FullyConnected};

use super::pair_row::pair_row;
use super::product::Product;
use super::requantize::Channels;
use super::rows::{ROWS, RUN, Run, widen};
use super::simd::{even, odd, partial_word, smlad, word};
use crate::{ConvIo, reference, select};

pub(super) fn fully_connected_s8(p: &FullyConnected, io: ConvIo<'_>) {
    let chosen = select::fully_connected(Isa::CortexMDsp, p);
    let (rows, in_c, out_c) = (p.rows as usize, p.in_c as usize, p.out_c as usize);
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
    if rows == 1 {
        match p.layout {
            WeightLayout::Pair2x4 => pair_row(&channels, io.weights, io.x, io.y),
            _ => plain_row(&channels, io.weights, io.x, io.y),
        }
        return;
    }
    let wide = io.scratch.get_mut(..in_c.div_ceil(RUN) * size_of::<Run>());
    let product = Product::new(p.layout, io.weights, channels, in_c);
    let (Some(Ok(wide)), Some(product)) = (wide.map(bytemuck::try_cast_slice_mut), product) else {
        return;
    };
    for row in (0..rows).step_by(ROWS) {
        let places = [0, 1, 2].map(|next| (row + next).min(rows - 1));
        let x = places.map(|row| io.x.get(row * in_c..(row + 1) * in_c).unwrap_or(&[]));
        widen(x, wide);
        product.three_rows(wide, io.y, places.map(|row| row * out_c));
    }
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
