//! 2-D convolution of `s8` by `s8`, one weight scale an output channel.
//!
//! Three output pixels at a time: their inputs are widened to 16 bits once, in the order of the products, then multiplied with every output channel.
//!
//! Scratch: the widened rows, then bytes of windows that reach into the padding or whose rows are no whole runs.

use ocellus_format::{Isa, ops::Conv2d};

use super::product::Product;
use super::requantize::Channels;
use super::rows::{ROWS, RUN, Run, widen};
use crate::{
    ConvIo, reference,
    select::{self, gathers_rows, is_pointwise},
};

pub(super) fn conv_2d_s8(p: &Conv2d, io: ConvIo<'_>) {
    let chosen = select::conv_2d(Isa::CortexMDsp, p);
    let runs = (p.taps() as usize).div_ceil(RUN);
    let enough = io.scratch.len() >= chosen.scratch_bytes as usize;
    let split = io.scratch.split_at_mut_checked(runs * size_of::<Run>());
    let (Isa::CortexMDsp, true, Some((wide, bytes))) = (chosen.isa, enough, split) else {
        reference::conv_2d_s8(
            p,
            ConvIo {
                scratch: &mut [],
                ..io
            },
        );
        return;
    };
    let Ok(wide) = bytemuck::try_cast_slice_mut::<u8, Run>(wide) else {
        return;
    };
    let count = p.group_out_c() as usize;
    for group in 0..p.groups as usize {
        let first = group * count;
        let channels = Channels::new(io.bias, io.multipliers, io.shifts, p.output, first, count);
        let len = io.weights.len().checked_div(p.groups as usize).unwrap_or(0);
        let weights = io.weights.get(group * len..(group + 1) * len);
        let taps = p.taps() as usize;
        let product = channels
            .zip(weights)
            .and_then(|(channels, weights)| Product::new(p.layout, weights, channels, taps));
        let Some(product) = product else { return };
        let mut windows = Windows::new(p, io.x, group);
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(bytes);
        let pixels = p.window.out_h as usize * p.window.out_w as usize;
        for pixel in (0..pixels).step_by(ROWS) {
            windows.gather(bytes, wide);
            let at = |row: usize| (pixel + row).min(pixels - 1) * p.out_c as usize + first;
            product.three_rows(wide, io.y, [at(0), at(1), at(2)]);
        }
    }
}

/// The windows of consecutive output pixels of one group.
struct Windows<'a> {
    p: &'a Conv2d,
    x: &'a [i8],
    pointwise: bool,
    /// A row of the window is whole runs, side by side in the input.
    by_rows: bool,
    /// The group's first input channel.
    channel: usize,
    group_in_c: usize,
    /// The next output pixel.
    next: Place,
}

/// An output pixel.
#[derive(Clone, Copy)]
struct Place {
    oy: u32,
    ox: u32,
}

impl<'a> Windows<'a> {
    fn new(p: &'a Conv2d, x: &'a [i8], group: usize) -> Windows<'a> {
        let group_in_c = p.group_in_c() as usize;
        Windows {
            p,
            x,
            pointwise: is_pointwise(p),
            by_rows: gathers_rows(p),
            channel: group * group_in_c,
            group_in_c,
            next: Place { oy: 0, ox: 0 },
        }
    }

    /// Widens the next three windows. Behind the last pixel follows that pixel again. `bytes` is scratch.
    fn gather(&mut self, bytes: &mut [i8], wide: &mut [Run]) {
        let places = [self.take(), self.take(), self.take()];
        if self.pointwise {
            let w = &self.p.window;
            let rows = places.map(|Place { oy, ox }| {
                let first = self.pixel(oy * w.stride_h, ox * w.stride_w);
                self.x.get(first..first + self.group_in_c).unwrap_or(&[])
            });
            widen(rows, wide);
        } else if self.by_rows {
            self.widen_rows(places, bytes, wide);
        } else {
            self.widen_windows(places, bytes, wide);
        }
    }

    /// The next pixel, or the last again.
    fn take(&mut self) -> Place {
        let (w, place) = (&self.p.window, self.next);
        if place.ox + 1 < w.out_w {
            self.next.ox += 1;
        } else if place.oy + 1 < w.out_h {
            self.next = Place {
                oy: place.oy + 1,
                ox: 0,
            };
        }
        place
    }

    /// Where the group's channels of an input pixel begin.
    #[inline]
    fn pixel(&self, iy: u32, ix: u32) -> usize {
        (iy as usize * self.p.window.in_w as usize + ix as usize) * self.p.in_c as usize
            + self.channel
    }

    /// Widens one row of the kernel after the other, from the input itself where that lies inside.
    fn widen_rows(&self, places: [Place; ROWS], bytes: &mut [i8], wide: &mut [Run]) {
        let w = &self.p.window;
        let len = w.kernel_w as usize * self.group_in_c;
        // The first input column of each window, where all of its columns lie inside.
        let columns = places.map(|place| {
            let last = w.column(place.ox, w.kernel_w - 1);
            last.and(w.column(place.ox, 0))
        });
        let mut done = 0;
        for ky in 0..w.kernel_h {
            let mut copies = bytes.chunks_exact_mut(len.max(1));
            let mut rows = [&[][..]; ROWS];
            for ((row, place), column) in rows.iter_mut().zip(places).zip(columns) {
                let inside = w.row(place.oy, ky).zip(column).and_then(|(iy, ix)| {
                    let first = self.pixel(iy, ix);
                    self.x.get(first..first + len)
                });
                *row = inside.unwrap_or_else(|| {
                    let copy = copies.next().unwrap_or_default();
                    self.copy_row(place, ky, copy);
                    copy
                });
            }
            done += widen(rows, wide.get_mut(done..).unwrap_or_default());
        }
    }

    /// Copies whole windows, then widens them.
    fn widen_windows(&self, places: [Place; ROWS], bytes: &mut [i8], wide: &mut [Run]) {
        let w = &self.p.window;
        let len = w.kernel_w as usize * self.group_in_c;
        let mut copies = bytes.chunks_exact_mut((len * w.kernel_h as usize).max(1));
        let rows = places.map(|place| {
            let copy = copies.next().unwrap_or_default();
            for (ky, row) in (0..w.kernel_h).zip(copy.chunks_exact_mut(len.max(1))) {
                self.copy_row(place, ky, row);
            }
            &*copy
        });
        widen(rows, wide);
    }

    /// Copies a row of a window; what lies in the padding is the zero point.
    fn copy_row(&self, place: Place, ky: u32, to: &mut [i8]) {
        let w = &self.p.window;
        let Some(iy) = w.row(place.oy, ky) else {
            to.fill(self.p.zero_point_in);
            return;
        };
        if self.p.groups > 1 || w.dilation_w > 1 {
            for (kx, to) in (0..w.kernel_w).zip(to.chunks_exact_mut(self.group_in_c.max(1))) {
                match w.column(place.ox, kx) {
                    Some(ix) => copy(to, self.x.get(self.pixel(iy, ix)..).unwrap_or(&[])),
                    None => to.fill(self.p.zero_point_in),
                }
            }
            return;
        }
        let left = place.ox * w.stride_w;
        let before = w.pad_left.saturating_sub(left).min(w.kernel_w);
        let first = (left + before).saturating_sub(w.pad_left);
        let inside = w.in_w.saturating_sub(first).min(w.kernel_w - before);
        if inside < w.kernel_w {
            to.fill(self.p.zero_point_in);
        }
        let from = before as usize * self.group_in_c;
        let to = to.get_mut(from..from + inside as usize * self.group_in_c);
        let x = self.x.get(self.pixel(iy, first)..).unwrap_or(&[]);
        copy(to.unwrap_or_default(), x);
    }
}

/// Copies as many values as `to` holds.
fn copy(to: &mut [i8], from: &[i8]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}
