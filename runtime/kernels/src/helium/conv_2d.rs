//! 2-D convolution of `s8` by `s8`, one weight scale an output channel.
//!
//! Two output pixels are gathered into an im2col row each, then multiplied with two output channels at a time. A 1x1 kernel needs no
//! gathering: its rows are the input's.
//!
//! Scratch: two rows of accumulators, then two im2col rows.

use ocellus_format::{WeightLayout, ops::Conv2d};

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
        let weights = match p.layout {
            WeightLayout::Interleave4x16 => Rows::Interleaved(weights),
            _ => Rows::Plain(weights),
        };
        let bias = io.bias.get(first..first + group_out_c).unwrap_or(&[]);
        let requants = requants.channels(first, group_out_c);
        let mut pixels = Pixels {
            p,
            x: io.x,
            group,
            next: 0,
        };
        let mut y_rest = &mut *io.y;
        loop {
            let (row0, row1) = rows.split_at_mut((taps.next_multiple_of(16)).min(rows.len()));
            let Some(x0) = pixels.next_row(row0) else {
                break;
            };
            let x1 = pixels.next_row(row1);
            let (y0, rest) = take_pixel(y_rest, p.out_c as usize, first, group_out_c);
            let (y1, rest) = match x1 {
                Some(_) => take_pixel(rest, p.out_c as usize, first, group_out_c),
                None => (&mut [][..], rest),
            };
            y_rest = rest;
            two_rows(
                [x0, x1.unwrap_or(x0)],
                weights,
                bias,
                requants,
                accumulators,
                [y0, y1],
            );
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
    group: usize,
    next: u32,
}

impl<'a> Pixels<'a> {
    /// The taps of the next output pixel: in the input itself for a pointwise kernel, else gathered into `row`.
    fn next_row<'r>(&mut self, row: &'r mut [i8]) -> Option<&'r [i8]>
    where
        'a: 'r,
    {
        let p = self.p;
        let w = &p.window;
        let (oy, ox) = (
            self.next.checked_div(w.out_w)?,
            self.next.checked_rem(w.out_w)?,
        );
        if oy >= w.out_h {
            return None;
        }
        self.next += 1;
        let in_c = p.in_c as usize;
        let group_in_c = p.group_in_c() as usize;
        let channels = |iy: u32, ix: u32| {
            let first =
                (iy as usize * w.in_w as usize + ix as usize) * in_c + self.group * group_in_c;
            self.x.get(first..first + group_in_c).unwrap_or(&[])
        };
        if is_pointwise(p) {
            return Some(channels(oy * w.stride_h, ox * w.stride_w));
        }
        let mut places = row.chunks_exact_mut(group_in_c.max(1));
        for ky in 0..w.kernel_h {
            let iy = w.row(oy, ky);
            for kx in 0..w.kernel_w {
                let place = places.next()?;
                match (iy, w.column(ox, kx)) {
                    (Some(iy), Some(ix)) => {
                        for (to, &from) in place.iter_mut().zip(channels(iy, ix)) {
                            *to = from;
                        }
                    }
                    _ => place.fill(p.zero_point_in),
                }
            }
        }
        row.get(..p.taps() as usize)
    }
}
