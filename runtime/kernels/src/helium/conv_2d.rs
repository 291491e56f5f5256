//! 2-D convolution of `s8` by `s8`, one weight scale an output channel.
//!
//! Four to sixteen output pixels at a time: their taps are gathered into an im2col row each, then multiplied with [channels](super::block) of one group. A 1x1 kernel of
//! stride 1 needs no gathering: its rows are the input's, but for the last ones where a row is read beyond its end.
//!
//! Scratch: the rescales of some channels, then as many im2col rows.

use core::ops::Range;

use ocellus_format::{Isa, ops::Conv2d};

use super::block::{Channels, row_len};
use super::copy::{copy_pieces, fill};
use super::requantize::{Rescale, rescales};
use super::window::{self, Inside};
use crate::{
    ConvIo, reference,
    select::{self, CHANNELS_MAX, is_direct},
};

pub(super) fn conv_2d_s8(p: &Conv2d, mut io: ConvIo<'_>) {
    if convolve(p, &mut io).is_none() {
        reference::conv_2d_s8(p, io);
    }
}

/// `None` where the layer is not one of this kernel's, scratch is missing, or an operand is too short.
fn convolve(p: &Conv2d, io: &mut ConvIo<'_>) -> Option<()> {
    let chosen = select::conv_2d(Isa::Helium, p);
    if chosen.isa != Isa::Helium {
        return None;
    }
    let (group_out_c, out_c) = (p.group_out_c() as usize, p.out_c as usize);
    let taps = p.taps() as usize;
    let scratch = io.scratch.get_mut(..chosen.scratch_bytes as usize)?;
    let table_bytes = select::rescales_bytes(p.group_out_c()) as usize;
    let (table, rows) = scratch.split_at_mut_checked(table_bytes)?;
    let table: &mut [Rescale] = bytemuck::try_cast_slice_mut(table).ok()?;
    let rows: &mut [i8] = bytemuck::cast_slice_mut(rows);
    let row = row_len(p.layout, taps);
    let (in_c, pixels) = (
        p.in_c as usize,
        p.window.out_h as usize * p.window.out_w as usize,
    );
    let weights_len = p.layout.matrix_len(p.group_out_c(), taps as u64)? as usize;
    for group in 0..p.groups as usize {
        let from = group.checked_mul(weights_len)?;
        let weights = io.weights.get(from..from.checked_add(weights_len)?)?;
        for first in (0..group_out_c).step_by(CHANNELS_MAX) {
            let count = CHANNELS_MAX.min(group_out_c - first);
            let first_oc = group * group_out_c + first;
            let members = first_oc..first_oc + count;
            rescales(
                io.bias.get(members.clone())?,
                io.multipliers.get(members.clone())?,
                io.shifts.get(members)?,
                table,
            )?;
            let matrix = (p.layout, weights);
            let channels = Channels::new(matrix, (first, taps), table, count, out_c, p.output)?;
            let y = io.y.get_mut(first_oc..)?;
            if is_direct(p) {
                channels.rows_of(io.x, [in_c, pixels], rows, y)?;
            } else {
                gathered_rows(&channels, p, io.x, group, row, rows, y)?;
            }
        }
    }
    Some(())
}

fn gathered_rows(
    channels: &Channels<'_>,
    p: &Conv2d,
    x: &[i8],
    group: usize,
    row: usize,
    rows: &mut [i8],
    y: &mut [i8],
) -> Option<()> {
    let w = &p.window;
    let pixels = w.out_h as usize * w.out_w as usize;
    let mut taps = Taps::new(p, x, group);
    let batch = rows.len().checked_div(row)?.max(1);
    for first in (0..pixels).step_by(batch) {
        let count = batch.min(pixels - first);
        let mut gathered = 0;
        while gathered < count {
            let to = rows.get_mut(gathered * row..)?;
            gathered += taps.gather(to, row, count - gathered)?;
        }
        channels.rows(rows, row, count, y.get_mut(first * p.out_c as usize..)?)?;
    }
    Some(())
}

/// The taps of consecutive output pixels of one group.
struct Taps<'a> {
    p: &'a Conv2d,
    x: &'a [i8],
    /// The columns of a kernel's row lie side by side in the input.
    together: bool,
    /// The group's first channel.
    channel: usize,
    group_in_c: usize,
    oy: u32,
    ox: u32,
    /// The rows of output row `oy`.
    rows: Inside,
    /// Output columns whose windows have every column inside the picture.
    inside: Range<u32>,
}

impl<'a> Taps<'a> {
    fn new(p: &'a Conv2d, x: &'a [i8], group: usize) -> Taps<'a> {
        let w = &p.window;
        let group_in_c = p.group_in_c() as usize;
        let span = (w.kernel_w - 1) * w.dilation_w;
        let stride = w.stride_w.max(1);
        let end = (w.in_w + w.pad_left).saturating_sub(span).div_ceil(stride);
        Taps {
            p,
            x,
            together: p.groups == 1 && w.dilation_w == 1,
            channel: group * group_in_c,
            group_in_c,
            oy: 0,
            ox: 0,
            rows: window::rows(w, 0),
            inside: w.pad_left.div_ceil(stride)..end.min(w.out_w),
        }
    }

    /// Gathers the taps of the next pixels, at least one and at most `most`, into rows `row` bytes from each other; the answer is how many. What follows the taps in
    /// a row has no meaning. `None` where a slice ends before.
    fn gather(&mut self, to: &mut [i8], row: usize, most: usize) -> Option<usize> {
        let w = &self.p.window;
        let columns = window::columns(w, self.ox);
        let count = if self.together && self.inside.contains(&self.ox) {
            most.min((self.inside.end - self.ox) as usize)
        } else {
            1
        };
        self.pixels(columns, to, [count, row])?;
        self.ox += count as u32;
        if self.ox >= w.out_w {
            (self.oy, self.ox) = (self.oy + 1, 0);
            self.rows = window::rows(w, self.oy);
        }
        Some(count)
    }

    /// Copies the taps inside the picture of `count` pixels from one with these columns on; the others become padding.
    fn pixels(&self, columns: Inside, to: &mut [i8], [count, step]: [usize; 2]) -> Option<()> {
        let (w, rows) = (&self.p.window, self.rows);
        let (kernel_h, kernel_w) = (w.kernel_h as usize, w.kernel_w as usize);
        if rows.count < kernel_h || columns.count < kernel_w {
            fill(to.get_mut(..count * step)?, self.p.zero_point_in);
        }
        if rows.count == 0 || columns.count == 0 {
            return Some(());
        }
        let pixel = self.p.in_c as usize;
        let in_row = w.in_w as usize * pixel;
        let row = w.dilation_h as usize * in_row;
        let tap = |ky: usize, kx: usize| (ky * kernel_w + kx) * self.group_in_c;
        let first = rows.first * in_row + columns.first * pixel + self.channel;
        let from = self.x.get(first..)?;
        let to = to.get_mut(tap(rows.before, columns.before)..)?;
        if self.together {
            let from_steps = [w.stride_w as usize * pixel, row];
            let len = columns.count * self.group_in_c;
            copy_pieces(
                to,
                [step, tap(1, 0)],
                from,
                from_steps,
                [count, rows.count, len],
            );
        } else {
            let from_steps = [row, w.dilation_w as usize * pixel];
            let counts = [rows.count, columns.count, self.group_in_c];
            copy_pieces(to, [tap(1, 0), self.group_in_c], from, from_steps, counts);
        }
        Some(())
    }
}
