//! Readers and the packer of weight layouts: portable, so that any machine runs any file.

use ocellus_format::{WeightLayout, ops::Conv2d};

/// Channels of one block of [`WeightLayout::Interleave4x16`].
const BLOCK: usize = 4;
/// Values of one run of [`WeightLayout::Interleave4x16`].
const RUN: usize = 16;

/// The weights of a convolution, read channel by channel in the order of `Ohwi`, however they lie.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dWeights<'a> {
    weights: &'a [i8],
    layout: WeightLayout,
    taps: usize,
    group_out_c: usize,
}

/// Where one output channel's weights lie.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    first: usize,
}

impl<'a> Conv2dWeights<'a> {
    /// The weights of a convolution with these parameters.
    pub fn new(p: &Conv2d, weights: &'a [i8]) -> Conv2dWeights<'a> {
        Conv2dWeights {
            weights,
            layout: p.layout,
            taps: p.taps() as usize,
            group_out_c: p.group_out_c() as usize,
        }
    }

    /// The group of output channel `oc`, and where its weights lie.
    #[inline]
    pub fn split(&self, oc: usize) -> (usize, Channel) {
        let group = oc.checked_div(self.group_out_c).unwrap_or(0);
        let first = match self.layout {
            WeightLayout::Interleave4x16 => {
                let member = oc - group * self.group_out_c;
                let blocks = self.group_out_c.div_ceil(BLOCK);
                let block_len = self.taps.div_ceil(RUN) * BLOCK * RUN;
                (group * blocks + member / BLOCK) * block_len + member % BLOCK * RUN
            }
            _ => oc * self.taps,
        };
        (group, Channel { first })
    }

    /// Index in the tensor of value `tap` of a channel, `tap` counting `kernel_h * kernel_w * in_c / groups`.
    #[inline]
    pub fn index(&self, channel: Channel, tap: usize) -> usize {
        match self.layout {
            WeightLayout::Interleave4x16 => channel.first + tap / RUN * (BLOCK * RUN) + tap % RUN,
            _ => channel.first + tap,
        }
    }

    /// The `len` values of a channel from `tap` on, in pieces that lie together: `(distance from tap, values)`.
    #[inline]
    pub fn runs(
        &self,
        channel: Channel,
        tap: usize,
        len: usize,
    ) -> impl Iterator<Item = (usize, &'a [i8])> {
        let this = *self;
        let mut done = 0;
        core::iter::from_fn(move || {
            let left = len.checked_sub(done).filter(|&left| left > 0)?;
            let at = tap + done;
            let piece = match this.layout {
                WeightLayout::Interleave4x16 => left.min(RUN - at % RUN),
                _ => left,
            };
            let start = this.index(channel, at);
            let run = this.weights.get(start..start.checked_add(piece)?)?;
            let first = done;
            done += piece;
            Some((first, run))
        })
    }
}

/// Writes `Ohwi` weights in the layout that `p` names; `to` is [`Conv2d::weights_len`] long. Fillers become 0.
pub fn pack_conv_2d(p: &Conv2d, ohwi: &[i8], to: &mut [i8]) {
    to.fill(0);
    let packed = Conv2dWeights::new(p, &[]);
    let taps = p.taps() as usize;
    if taps == 0 {
        return;
    }
    for (oc, values) in ohwi.chunks_exact(taps).enumerate() {
        let (_, channel) = packed.split(oc);
        for (tap, &value) in values.iter().enumerate() {
            if let Some(slot) = to.get_mut(packed.index(channel, tap)) {
                *slot = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocellus_format::ops::{OutputS8, Window2d};

    fn params(in_c: u32, out_c: u32, groups: u32) -> Conv2d {
        Conv2d {
            window: Window2d {
                in_h: 3,
                in_w: 3,
                out_h: 1,
                out_w: 1,
                kernel_h: 3,
                kernel_w: 3,
                stride_h: 1,
                stride_w: 1,
                dilation_h: 1,
                dilation_w: 1,
                pad_top: 0,
                pad_left: 0,
            },
            in_c,
            out_c,
            groups,
            zero_point_in: 0,
            output: OutputS8::unclamped(0),
            layout: WeightLayout::Interleave4x16,
            acc_bound: 0,
        }
    }

    #[test]
    fn packed_weights_read_back_in_order() {
        for (in_c, out_c, groups) in [(3, 5, 1), (16, 4, 1), (6, 10, 2), (1, 1, 1), (5, 35, 5)] {
            let p = params(in_c, out_c, groups);
            let taps = p.taps() as usize;
            let mut ohwi = [0_i8; 5 * 9 * 35];
            let ohwi = &mut ohwi[..taps * out_c as usize];
            for (i, w) in ohwi.iter_mut().enumerate() {
                *w = (i * 7 % 255) as i8;
            }
            let mut packed = [99_i8; 8192];
            let packed = &mut packed[..p.weights_len().unwrap() as usize];
            pack_conv_2d(&p, ohwi, packed);
            let reader = Conv2dWeights::new(&p, packed);
            for oc in 0..out_c as usize {
                let (group, channel) = reader.split(oc);
                assert_eq!(group, oc / (out_c / groups) as usize);
                let mut at = 0;
                for (first, run) in reader.runs(channel, 0, taps) {
                    assert_eq!(first, at);
                    assert_eq!(run, &ohwi[oc * taps + at..oc * taps + at + run.len()]);
                    at += run.len();
                }
                assert_eq!(at, taps);
            }
        }
    }

    #[test]
    fn fillers_of_a_packed_tensor_are_zero() {
        let p = params(1, 1, 1);
        let mut packed = [99_i8; 64];
        pack_conv_2d(&p, &[1, 2, 3, 4, 5, 6, 7, 8, 9], &mut packed);
        assert_eq!(&packed[..9], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(packed[9..].iter().all(|&w| w == 0));
    }
}
