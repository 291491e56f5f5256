//! 2-D convolution of `s8` by `s8`, one weight scale an output channel; any weight layout.

use ocellus_format::{Isa, ops::Conv2d};

use super::product::{Channels, Columns, Rows, multiply};
use super::simd::Simd;
use crate::{ConvIo, layout::Matrix, reference, select};

pub(super) fn conv_2d_s8(simd: Simd, p: &Conv2d, io: ConvIo<'_>) {
    let w = &p.window;
    let pixels = w.out_h as usize * w.out_w as usize;
    let out_c = p.out_c as usize;
    let (Some(bias), Some(multipliers), Some(shifts)) = (
        io.bias.get(..out_c),
        io.multipliers.get(..out_c),
        io.shifts.get(..out_c),
    ) else {
        return;
    };
    if select::conv_2d(simd.isa(), p).isa == Isa::Reference
        || io.x.len() < w.in_h as usize * w.in_w as usize * p.in_c as usize
        || io.y.len() < pixels * out_c
        || !simd.takes(&Matrix::conv_2d(p, io.weights))
    {
        reference::conv_2d_s8(p, io);
        return;
    }
    let group_out_c = p.group_out_c() as usize;
    for group in 0..p.groups as usize {
        let first = group * group_out_c;
        let some = first..first + group_out_c;
        multiply(
            simd,
            &Channels {
                taps: p.taps() as usize,
                bias: &bias[some.clone()],
                multipliers: &multipliers[some.clone()],
                shifts: &shifts[some],
                output: p.output,
            },
            &Weights {
                weights: Matrix::conv_2d(p, io.weights),
                first,
                taps: p.taps() as usize,
            },
            &Pixels {
                p,
                x: io.x,
                group,
                pixels,
            },
            io.y,
        );
    }
}

/// The weights of one group.
struct Weights<'a> {
    weights: Matrix<'a>,
    first: usize,
    taps: usize,
}

impl Columns for Weights<'_> {
    fn visit(&self, channel: usize, piece: impl FnMut(usize, &[i8])) {
        self.weights
            .visit(self.first + channel, 0, self.taps, piece);
    }
}

/// The taps of output pixels of one group.
struct Pixels<'a> {
    p: &'a Conv2d,
    x: &'a [i8],
    group: usize,
    pixels: usize,
}

impl Rows for Pixels<'_> {
    fn count(&self) -> usize {
        self.pixels
    }

    fn gather(&self, first: usize, tile: &mut [i8], stride: usize, to: &mut [usize]) {
        let p = self.p;
        let w = &p.window;
        let out_c = p.out_c as usize;
        let first_channel = self.group * p.group_out_c() as usize;
        for (pixel, to) in (first..).zip(to.iter_mut()) {
            *to = pixel * out_c + first_channel;
        }
        let taps = p.taps() as usize;
        let plain = select::is_pointwise(p) && w.stride_h == 1 && w.in_w == w.out_w;
        if plain && p.groups == 1 && stride == p.in_c as usize {
            // Every stride is 1 and nothing is padded: the tile is a piece of the input.
            let len = tile.len();
            tile.copy_from_slice(&self.x[first * stride..first * stride + len]);
            return;
        }
        let Some(out_w) = core::num::NonZeroUsize::new(w.out_w as usize) else {
            return;
        };
        let (mut oy, mut ox) = ((first / out_w) as u32, (first % out_w) as u32);
        for row in tile.chunks_exact_mut(stride) {
            self.gather_row(&mut row[..taps], oy, ox);
            ox += 1;
            if ox == w.out_w {
                (oy, ox) = (oy + 1, 0);
            }
        }
    }
}

impl Pixels<'_> {
    /// Writes the taps of an output pixel.
    fn gather_row(&self, row: &mut [i8], oy: u32, ox: u32) {
        let p = self.p;
        let w = &p.window;
        let (in_w, in_c) = (w.in_w as usize, p.in_c as usize);
        let group_in_c = p.group_in_c() as usize;
        let row_taps = w.kernel_w as usize * group_in_c;
        // The columns of a row lie side by side, where all of them lie inside.
        let together = (p.groups == 1 && w.dilation_w == 1)
            .then(|| w.column(ox, w.kernel_w - 1).and_then(|_| w.column(ox, 0)))
            .flatten();
        for (ky, places) in (0..w.kernel_h).zip(row.chunks_exact_mut(row_taps)) {
            let Some(iy) = w.row(oy, ky) else {
                places.fill(p.zero_point_in);
                continue;
            };
            let line = iy as usize * in_w;
            if let Some(ix) = together {
                let first = (line + ix as usize) * in_c;
                places.copy_from_slice(&self.x[first..first + row_taps]);
                continue;
            }
            for (kx, place) in (0..w.kernel_w).zip(places.chunks_exact_mut(group_in_c)) {
                match w.column(ox, kx) {
                    Some(ix) => {
                        let first = (line + ix as usize) * in_c + self.group * group_in_c;
                        place.copy_from_slice(&self.x[first..first + group_in_c]);
                    }
                    None => place.fill(p.zero_point_in),
                }
            }
        }
    }
}
