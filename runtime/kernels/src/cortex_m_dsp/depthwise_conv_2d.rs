//! Depthwise 2-D convolution of `s8` by `s8`, one weight scale an output channel; weights `Hwc`.
//!
//! 3x3 windows with strides 1 and 2 have a kernel of their own. Others are done where the values lie, four channels at a time.

use ocellus_format::{Isa, ops::DepthwiseConv2d};

use super::depthwise_3x3::depthwise_3x3;
use super::planes::CHANNELS;
use super::requantize::Channels;
use super::simd::{even, odd, smlabb, smlatt, word};
use crate::{
    ConvIo, reference,
    select::{self, Planes},
};

pub(super) fn depthwise_conv_2d_s8(p: &DepthwiseConv2d, io: ConvIo<'_>) {
    let chosen = select::depthwise_conv_2d(Isa::CortexMDsp, p);
    let w = &p.window;
    let in_c = p.in_c as usize;
    let channels = Channels::new(io.bias, io.multipliers, io.shifts, p.output, 0, in_c);
    let fits = io.x.len() >= w.in_h as usize * w.in_w as usize * in_c
        && io.y.len() >= w.out_h as usize * w.out_w as usize * in_c
        && io.weights.len() >= w.kernel_h as usize * w.kernel_w as usize * in_c;
    let (Isa::CortexMDsp, true, Some(channels)) = (chosen.isa, fits, channels) else {
        reference::depthwise_conv_2d_s8(p, io);
        return;
    };
    let enough = io.scratch.len() >= chosen.scratch_bytes as usize;
    match Planes::new(p).filter(|_| enough && channels.is_short()) {
        Some(planes) => depthwise_3x3(p, &planes, &channels, io),
        None => windows(p, &channels, io),
    }
}

/// Any window: pixel by pixel, and four channels at a time.
#[inline(never)]
fn windows(p: &DepthwiseConv2d, channels: &Channels<'_>, io: ConvIo<'_>) {
    let w = &p.window;
    let in_c = p.in_c as usize;
    let padding = u32::from(p.zero_point_in as u8) * 0x0101_0101;
    let mut outputs = io.y.chunks_exact_mut(in_c.max(1));
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            let y = outputs.next().unwrap_or_default();
            for (y, first) in y.chunks_mut(CHANNELS).zip((0..).step_by(CHANNELS)) {
                let channels = channels.from(first);
                let mut sums = [0; CHANNELS];
                for (sum, &bias) in sums.iter_mut().zip(channels.bias) {
                    *sum = bias;
                }
                let mut tap = first;
                for ky in 0..w.kernel_h {
                    let row = w.row(oy, ky).map(|iy| iy as usize * w.in_w as usize);
                    for kx in 0..w.kernel_w {
                        let pixel = row.zip(w.column(ox, kx));
                        let x = match pixel {
                            Some((row, ix)) => {
                                four(io.x, (row + ix as usize) * in_c + first, y.len())
                            }
                            None => padding,
                        };
                        let weights = four(io.weights, tap, y.len());
                        tap += in_c;
                        let [s0, s1, s2, s3] = sums;
                        sums = [
                            smlabb(even(x), even(weights), s0),
                            smlabb(odd(x), odd(weights), s1),
                            smlatt(even(x), even(weights), s2),
                            smlatt(odd(x), odd(weights), s3),
                        ];
                    }
                }
                channels.finish(&sums, y);
            }
        }
    }
}

/// Four values from `at`, of which `count` have a meaning.
#[inline(always)]
fn four(values: &[i8], at: usize, count: usize) -> u32 {
    match values.get(at..).and_then(|values| values.first_chunk()) {
        Some(four) => word(four),
        None => super::simd::partial_word(values.get(at..at + count).unwrap_or(&[])),
    }
}
