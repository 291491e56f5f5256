//! 2-D convolution of `s8` by `s8`, one weight scale an output channel.
//!
//! Two output pixels are gathered into an im2col row each, then multiplied with four output channels at a time where the weights are
//! interleaved, else with two. A 1x1 kernel needs no gathering: its rows are the input's.
//!
//! Scratch: two rows of accumulators, then two im2col rows.

use ocellus_format::{WeightLayout, ops::Conv2d};

use super::block::{Channels, RUN};
use super::copy::copy;
use super::dot::{Rows, two_rows};
use super::requantize::Requants;
use crate::{
    ConvIo, reference,
    select::{self, is_pointwise},
};

pub(super) fn conv_2d_s8(p: &Conv2d, io: ConvIo<'_>) {
    let chosen = select::conv_2d(ocellus_format::Isa::Helium, p);
    let enough = io.scratch.len() >= chosen.scratch_bytes as usize
        && bytemuck::try_cast_slice::<u8, i32>(
            io.scratch
                .get(..chosen.scratch_bytes as usize / 4 * 4)
                .unwrap_or(&[]),
        )
        .is_ok();
    let known = matches!(
        p.layout,
        WeightLayout::Portable | WeightLayout::Interleave4x16
    );
    if chosen.isa != ocellus_format::Isa::Helium || !enough || !known {
        reference::conv_2d_s8(p, io);
        return;
    }
    let group_out_c = p.group_out_c() as usize;
    let taps = p.taps() as usize;
    let Some((accumulators, rows)) = io
        .scratch
        .split_at_mut_checked(2 * group_out_c.next_multiple_of(4) * 4)
    else {
        return;
    };
    let Ok(accumulators) = bytemuck::try_cast_slice_mut::<u8, i32>(accumulators) else {
        return;
    };
    let rows: &mut [i8] = bytemuck::cast_slice_mut(rows);
    let requants = Requants::new(io.multipliers, io.shifts, p.output);
    let weights_len = match p.layout {
        WeightLayout::Interleave4x16 => taps.div_ceil(16) * 64 * group_out_c.div_ceil(4),
        _ => taps * group_out_c,
    };
    for group in 0..p.groups as usize {
        let first = group * group_out_c;
        let weights = io
            .weights
            .get(group * weights_len..(group + 1) * weights_len)
            .unwrap_or(&[]);
        let bias = io.bias.get(first..first + group_out_c).unwrap_or(&[]);
        let requants = requants.channels(first, group_out_c);
        let (weights, channels) = match p.layout {
            WeightLayout::Interleave4x16 => (
                Rows::Interleaved(weights),
                Channels::new(weights, bias, requants, taps),
            ),
            _ => (Rows::Plain(weights), None),
        };
        let mut pixels = Pixels::new(p, io.x, group);
        let mut y_rest = &mut *io.y;
        let (row0, row1) = rows.split_at_mut(pixels.row_len.min(rows.len()));
        while let Some(x0) = pixels.next_row(row0) {
            let x1 = pixels.next_row(row1);
            let (y0, rest) = take_pixel(y_rest, p.out_c as usize, first, group_out_c);
            let (y1, rest) = match x1 {
                Some(_) => take_pixel(rest, p.out_c as usize, first, group_out_c),
                None => (&mut [][..], rest),
            };
            y_rest = rest;
            let x = [x0, x1.unwrap_or(x0)];
            if let Some(channels) = &channels
                && channels.two_rows(x, [&mut *y0, &mut *y1])
            {
                continue;
            }
            let x = x.map(|row| row.get(..taps).unwrap_or(row));
            two_rows(x, weights, bias, requants, accumulators, [y0, y1]);
        }
    }
}

/// The group's channels of the first pixel of `y`, and the pixels behind it.
fn take_pixel(y: &mut [i8], out_c: usize, first: usize, len: usize) -> (&mut [i8], &mut [i8]) {
    let Some((pixel, rest)) = y.split_at_mut_checked(out_c) else {
        return (&mut [], &mut []);
    };
    (pixel.get_mut(first..first + len).unwrap_or_default(), rest)
}

/// The input rows of consecutive output pixels of one group.
struct Pixels<'a> {
    p: &'a Conv2d,
    x: &'a [i8],
    taps: usize,
    /// Bytes of a row in whole runs.
    row_len: usize,
    pointwise: bool,
    /// The columns of a kernel's row lie side by side in the input.
    together: bool,
    /// The group's first channel.
    channel: usize,
    group_in_c: usize,
    oy: u32,
    ox: u32,
}

impl<'a> Pixels<'a> {
    fn new(p: &'a Conv2d, x: &'a [i8], group: usize) -> Pixels<'a> {
        let (taps, group_in_c) = (p.taps() as usize, p.group_in_c() as usize);
        Pixels {
            p,
            x,
            taps,
            row_len: taps.next_multiple_of(RUN),
            pointwise: is_pointwise(p),
            together: p.groups == 1 && p.window.dilation_w == 1,
            channel: group * group_in_c,
            group_in_c,
            oy: 0,
            ox: 0,
        }
    }

    /// The taps of the next output pixel: in the input itself for a pointwise kernel, else gathered into `row`. What follows the taps up to a whole
    /// number of runs belongs to the slice where it can be read, and has no meaning.
    fn next_row<'r>(&mut self, row: &'r mut [i8]) -> Option<&'r [i8]>
    where
        'a: 'r,
    {
        let w = &self.p.window;
        let (oy, ox) = (self.oy, self.ox);
        if oy >= w.out_h {
            return None;
        }
        self.ox += 1;
        if self.ox >= w.out_w {
            (self.oy, self.ox) = (oy + 1, 0);
        }
        if self.pointwise {
            let first = self.pixel(oy * w.stride_h, ox * w.stride_w);
            let whole = self.x.get(first..first + self.row_len);
            return whole.or_else(|| self.x.get(first..first + self.taps));
        }
        if self.together {
            self.gather_rows(oy, ox, row);
        } else {
            self.gather_taps(oy, ox, row);
        }
        row.get(..self.row_len)
    }

    /// Where the group's channels of an input pixel begin.
    fn pixel(&self, iy: u32, ix: u32) -> usize {
        (iy as usize * self.p.window.in_w as usize + ix as usize) * self.p.in_c as usize
            + self.channel
    }

    /// Copies the columns of each of the kernel's rows at once.
    fn gather_rows(&self, oy: u32, ox: u32, row: &mut [i8]) {
        let w = &self.p.window;
        let left = ox * w.stride_w;
        let before = w.pad_left.saturating_sub(left).min(w.kernel_w);
        let first = (left + before).saturating_sub(w.pad_left);
        let inside = w.in_w.saturating_sub(first).min(w.kernel_w - before);
        let before_len = before as usize * self.group_in_c;
        let inside_len = inside as usize * self.group_in_c;
        let width = w.kernel_w as usize * self.group_in_c;
        for (ky, places) in (0..w.kernel_h).zip(row.chunks_exact_mut(width.max(1))) {
            let zero_point = self.p.zero_point_in;
            let (Some(iy), true) = (w.row(oy, ky), inside > 0) else {
                places.fill(zero_point);
                continue;
            };
            if inside < w.kernel_w {
                places.fill(zero_point);
            }
            let from = self.x.get(self.pixel(iy, first)..).unwrap_or(&[]);
            let to = places.get_mut(before_len..before_len + inside_len);
            copy(to.unwrap_or_default(), from);
        }
    }

    /// Copies tap by tap: groups, and kernels with holes.
    fn gather_taps(&self, oy: u32, ox: u32, row: &mut [i8]) {
        let w = &self.p.window;
        let mut places = row.chunks_exact_mut(self.group_in_c.max(1));
        for ky in 0..w.kernel_h {
            let iy = w.row(oy, ky);
            for kx in 0..w.kernel_w {
                let Some(place) = places.next() else { return };
                match (iy, w.column(ox, kx)) {
                    (Some(iy), Some(ix)) => {
                        copy(place, self.x.get(self.pixel(iy, ix)..).unwrap_or(&[]));
                    }
                    _ => place.fill(self.p.zero_point_in),
                }
            }
        }
    }
}
