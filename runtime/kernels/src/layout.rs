//! Readers and the packer of weight layouts: portable, so that any machine runs any file.

use ocellus_format::{
    Block, WeightLayout,
    ops::{Conv2d, FullyConnected, TransposeConv2d},
};

/// Values of one run of the longest layout.
const RUN_MAX: usize = 16;
/// The order of the values of a run of [`WeightLayout::Pair2x4`]: `SXTB16` of a word of inputs gives values 0 and 2, rotated 1 and 3.
const PAIR_ORDER: [usize; 4] = [0, 2, 1, 3];

/// Weights of output channels with as many values each, read channel by channel in the portable order, however they lie.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    weights: &'a [i8],
    layout: WeightLayout,
    /// Values of a channel.
    taps: usize,
    /// Channels of a group.
    channels: usize,
}

impl<'a> Matrix<'a> {
    /// The weights of a convolution.
    pub fn conv_2d(p: &Conv2d, weights: &'a [i8]) -> Matrix<'a> {
        Matrix {
            weights,
            layout: p.layout,
            taps: p.taps() as usize,
            channels: p.group_out_c() as usize,
        }
    }

    /// The weights of a transposed convolution, which are always portable.
    pub fn transpose_conv_2d(p: &TransposeConv2d, weights: &'a [i8]) -> Matrix<'a> {
        Matrix {
            weights,
            layout: WeightLayout::Portable,
            taps: weights.len().checked_div(p.out_c as usize).unwrap_or(0),
            channels: p.out_c as usize,
        }
    }

    /// The weights of a fully connected layer.
    pub fn fully_connected(p: &FullyConnected, weights: &'a [i8]) -> Matrix<'a> {
        Matrix {
            weights,
            layout: p.layout,
            taps: p.in_c as usize,
            channels: p.out_c as usize,
        }
    }

    /// The weights where each channel's lie together.
    pub fn portable(&self) -> Option<&'a [i8]> {
        (self.layout == WeightLayout::Portable).then_some(self.weights)
    }

    /// True where some weight is -128, which has no opposite. No converter writes it.
    pub fn has_lowest(&self) -> bool {
        if self.layout != WeightLayout::Pair2x4 {
            return self.weights.iter().fold(0, |least, &w| w.min(least)) == i8::MIN;
        }
        self.weights.chunks_exact(2).any(|pair| {
            pair.try_into().is_ok_and(|[a, b]: [i8; 2]| {
                split_pair(i16::from_le_bytes([a as u8, b as u8])).contains(&i8::MIN)
            })
        })
    }

    /// Hands over the `len` values of channel `oc` from `tap` on, in pieces: `(distance from tap, values)`.
    #[inline]
    pub fn visit(&self, oc: usize, tap: usize, len: usize, mut piece: impl FnMut(usize, &[i8])) {
        let Some(block) = self.layout.block() else {
            let first = oc * self.taps + tap;
            piece(0, self.weights.get(first..first + len).unwrap_or(&[]));
            return;
        };
        let run = block.run as usize;
        let mut done = 0;
        while done < len {
            let at = tap + done;
            let within = at % run;
            let count = (run - within).min(len - done);
            let values = self.run(block, oc, at / run);
            piece(done, values.get(within..within + count).unwrap_or(&[]));
            done += count;
        }
    }

    /// Run number `index` of a channel.
    #[inline]
    fn run(&self, block: Block, oc: usize, index: usize) -> [i8; RUN_MAX] {
        let mut values = [0; RUN_MAX];
        let (first, member) = self.block_start(block, oc, index);
        let run = block.run as usize;
        if self.layout == WeightLayout::Pair2x4 {
            let pairs = self.weights.get(first..first + 2 * run).unwrap_or(&[]);
            for (pair, at) in pairs.chunks_exact(2).zip(PAIR_ORDER) {
                let both = pair
                    .try_into()
                    .map_or(0, |[a, b]: [i8; 2]| i16::from_le_bytes([a as u8, b as u8]));
                if let Some(value) = values.get_mut(at) {
                    *value = split_pair(both)[member & 1];
                }
            }
        } else {
            let start = first + member * run;
            let lying = self.weights.get(start..start + run).unwrap_or(&[]);
            for (value, &lying) in values.iter_mut().zip(lying) {
                *value = lying;
            }
        }
        values
    }

    /// Where the block of a channel has run number `index`, and the channel's place in the block.
    #[inline]
    fn block_start(&self, block: Block, oc: usize, index: usize) -> (usize, usize) {
        let (channels, run) = (block.channels as usize, block.run as usize);
        let group = oc.checked_div(self.channels).unwrap_or(0);
        let in_group = oc - group * self.channels;
        let blocks = group * self.channels.div_ceil(channels) + in_group / channels;
        let runs = blocks * self.taps.div_ceil(run) + index;
        (runs * channels * run, in_group % channels)
    }

    /// Writes portable weights into `to`, which has this matrix's layout. Fillers become 0.
    fn pack(&self, portable: &[i8], to: &mut [i8]) {
        let Some(block) = self.layout.block() else {
            for (to, &weight) in to.iter_mut().zip(portable) {
                *to = weight;
            }
            return;
        };
        to.fill(0);
        let run = block.run as usize;
        for (oc, values) in portable.chunks_exact(self.taps.max(1)).enumerate() {
            for (index, values) in values.chunks(run).enumerate() {
                let (first, member) = self.block_start(block, oc, index);
                for (at, &value) in values.iter().enumerate() {
                    if self.layout == WeightLayout::Pair2x4 {
                        let place = PAIR_ORDER.iter().position(|&t| t == at).unwrap_or(0);
                        let pair = to.get_mut(first + 2 * place..first + 2 * place + 2);
                        if let Some([a, b]) = pair {
                            let both = i16::from_le_bytes([*a as u8, *b as u8]);
                            let scale = if member == 0 { 1 } else { 256 };
                            let both = both.wrapping_add(i16::from(value).wrapping_mul(scale));
                            [*a, *b] = both.to_le_bytes().map(|byte| byte as i8);
                        }
                    } else if let Some(slot) = to.get_mut(first + member * run + at) {
                        *slot = value;
                    }
                }
            }
        }
    }
}

/// The two weights of `256 * b + a`.
#[inline]
fn split_pair(both: i16) -> [i8; 2] {
    let a = both as i8;
    let b = both.wrapping_sub(i16::from(a)) >> 8;
    [a, b as i8]
}

/// True where [`WeightLayout::Pair2x4`] can hold these weights, whichever two come together: `256 * b + a` has to fit 16 bits, and does not for `b` = -128 with a negative `a`.
pub fn is_pairable(portable: &[i8]) -> bool {
    portable.iter().all(|&weight| weight > i8::MIN)
}

/// Writes `Ohwi` weights in the layout that `p` names; `to` is [`Conv2d::weights_len`] long. Fillers become 0. Weights of a pair layout are [pairable](is_pairable).
pub fn pack_conv_2d(p: &Conv2d, ohwi: &[i8], to: &mut [i8]) {
    Matrix::conv_2d(p, &[]).pack(ohwi, to);
}

/// Writes `[out_c, in_c]` weights in the layout that `p` names; `to` is [`FullyConnected::weights_len`] long. As [`pack_conv_2d`].
pub fn pack_fully_connected(p: &FullyConnected, portable: &[i8], to: &mut [i8]) {
    Matrix::fully_connected(p, &[]).pack(portable, to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocellus_format::ops::{OutputS8, Window2d};

    fn params(in_c: u32, out_c: u32, groups: u32, layout: WeightLayout) -> Conv2d {
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
            layout,
            acc_bound: 0,
        }
    }

    #[test]
    fn packed_weights_read_back_in_order() {
        for layout in [WeightLayout::Interleave4x16, WeightLayout::Pair2x4] {
            for (in_c, out_c, groups) in [(3, 5, 1), (16, 4, 1), (6, 10, 2), (1, 1, 1), (5, 35, 5)]
            {
                let p = params(in_c, out_c, groups, layout);
                let taps = p.taps() as usize;
                let mut ohwi = [0_i8; 5 * 9 * 35];
                let ohwi = &mut ohwi[..taps * out_c as usize];
                for (i, w) in ohwi.iter_mut().enumerate() {
                    *w = (i * 7 % 255) as i16 as i8;
                    *w = (*w).max(-127);
                }
                let mut packed = [99_i8; 8192];
                let packed = &mut packed[..p.weights_len().unwrap() as usize];
                pack_conv_2d(&p, ohwi, packed);
                let reader = Matrix::conv_2d(&p, packed);
                for oc in 0..out_c as usize {
                    for (tap, len) in [(0, taps), (taps / 3, taps / 2), (taps - 1, 1)] {
                        let mut at = 0;
                        reader.visit(oc, tap, len, |first, run| {
                            assert_eq!(first, at);
                            let from = oc * taps + tap + at;
                            assert_eq!(run, &ohwi[from..from + run.len()]);
                            at += run.len();
                        });
                        assert_eq!(at, len);
                    }
                }
            }
        }
    }

    #[test]
    fn fillers_of_a_packed_tensor_are_zero() {
        let p = params(1, 1, 1, WeightLayout::Interleave4x16);
        let mut packed = [99_i8; 64];
        pack_conv_2d(&p, &[1, 2, 3, 4, 5, 6, 7, 8, 9], &mut packed);
        assert_eq!(&packed[..9], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(packed[9..].iter().all(|&w| w == 0));
    }

    #[test]
    fn a_pair_is_one_integer() {
        let p = params(1, 2, 1, WeightLayout::Pair2x4);
        let mut ohwi = [0_i8; 18];
        ohwi[..4].copy_from_slice(&[1, -2, 3, -4]);
        ohwi[9..13].copy_from_slice(&[5, 6, -127, 127]);
        let mut packed = [99_i8; 24];
        pack_conv_2d(&p, &ohwi, &mut packed);
        let pairs: [i16; 4] = core::array::from_fn(|i| {
            i16::from_le_bytes([packed[2 * i] as u8, packed[2 * i + 1] as u8])
        });
        assert_eq!(
            pairs,
            [256 * 5 + 1, 256 * -127 + 3, 256 * 6 - 2, 256 * 127 - 4]
        );
        assert!(packed[20..].iter().all(|&w| w == 0));
    }

    #[test]
    fn every_pair_splits_again() {
        for a in -127..=127_i16 {
            for b in -127..=127_i16 {
                assert_eq!(split_pair(256 * b + a), [a as i8, b as i8]);
            }
        }
        assert!(is_pairable(&[127, -127]) && !is_pairable(&[-128]));
    }
}
