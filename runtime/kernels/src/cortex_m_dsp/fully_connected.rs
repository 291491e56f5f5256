//! Fully connected of `s8` by `s8`, one weight scale an output channel.
//!
//! A row is multiplied as it lies, with four channels at a time.

use ocellus_format::{Isa, WeightLayout, ops::FullyConnected};

use super::pair_row::pair_row;
use super::requantize::Channels;
use super::rows::RUN;
use super::simd::{even, odd, partial_word, smlad, word};
use crate::{ConvIo, reference, select};

pub(super) fn fully_connected_s8(p: &FullyConnected, io: ConvIo<'_>) {
    let chosen = select::fully_connected(Isa::CortexMDsp, p);
    let out_c = p.out_c as usize;
    let channels = Channels::new(io.bias, io.multipliers, io.shifts, p.output, 0, out_c);
    let (Isa::CortexMDsp, Some(channels)) = (chosen.isa, channels) else {
        reference::fully_connected_s8(p, io);
        return;
    };
    let in_c = p.in_c as usize;
    let rows = io.x.chunks_exact(in_c.max(1));
    for (x, y) in rows.zip(io.y.chunks_exact_mut(out_c.max(1))) {
        match p.layout {
            WeightLayout::Pair2x4 => pair_row(&channels, io.weights, x, y),
            _ => plain_row(&channels, io.weights, x, y),
        }
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
