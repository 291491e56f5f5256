//! The windows of a convolution's output pixels as widened rows, three at a time.

use ocellus_format::ops::Conv2d;

use super::rows::{Pieces, ROWS, RUN, Run, copy_words, widen};
use crate::select::{gathers_rows, is_contiguous};

/// Rows of a window that are done value by value.
const SHORT: usize = 16;

/// The windows of consecutive output pixels of one group.
pub(super) struct Windows<'a> {
    p: &'a Conv2d,
    x: &'a [i8],
    /// Values of a window.
    taps: usize,
    /// Every window is a piece of the input, and the next one follows.
    contiguous: bool,
    /// A row of the window is whole runs, side by side in the input.
    by_rows: bool,
    /// The columns of a window's row lie side by side in the input.
    dense: bool,
    group_in_c: usize,
    /// Values of a window's row, and from one of its rows to the next in the input.
    row_len: usize,
    row_step: usize,
    /// Values from one output's window to the next's.
    step: usize,
    /// The last row and column at which a window that lies inside begins; negative where none does.
    last_y: i32,
    last_x: i32,
    /// The windows of the first output of this row and of this output, of which the column is `ox` in row `oy`.
    line: Place,
    next: Place,
    oy: u32,
    ox: u32,
}

/// Where a window begins.
#[derive(Clone, Copy)]
struct Place {
    iy: i32,
    ix: i32,
    /// Index of its first value, where that lies inside.
    first: usize,
}

impl<'a> Windows<'a> {
    #[inline(never)]
    pub(super) fn new(p: &'a Conv2d, x: &'a [i8], group: usize) -> Windows<'a> {
        let w = &p.window;
        let (in_c, group_in_c) = (p.in_c as usize, p.group_in_c() as usize);
        let line_len = w.in_w as usize * in_c;
        let last = |size: u32, kernel: u32, dilation: u32| {
            size as i32 - 1 - ((kernel - 1) * dilation) as i32
        };
        let first = Place {
            iy: -(w.pad_top as i32),
            ix: -(w.pad_left as i32),
            first: (group * group_in_c)
                .wrapping_sub(w.pad_top as usize * line_len)
                .wrapping_sub(w.pad_left as usize * in_c),
        };
        Windows {
            p,
            x,
            taps: p.taps() as usize,
            contiguous: is_contiguous(p),
            by_rows: gathers_rows(p),
            dense: p.groups == 1 && w.dilation_w == 1,
            group_in_c,
            row_len: w.kernel_w as usize * group_in_c,
            row_step: w.dilation_h as usize * line_len,
            step: w.stride_w as usize * in_c,
            last_y: last(w.in_h, w.kernel_h, w.dilation_h),
            last_x: last(w.in_w, w.kernel_w, w.dilation_w),
            line: first,
            next: first,
            oy: 0,
            ox: 0,
        }
    }

    /// Widens the next three windows. Behind the last pixel follows that pixel again. `bytes` is scratch.
    pub(super) fn gather(&mut self, bytes: &mut [i8], wide: &mut [Run]) {
        if self.contiguous {
            self.gather_contiguous(bytes, wide);
        } else if !self.gather_neighbours(bytes, wide) {
            self.gather_any(bytes, wide);
        }
    }

    /// Of a layer without windows: three pixels are three pieces of the input. What follows up to a whole run meets weights of 0.
    fn gather_contiguous(&mut self, bytes: &mut [i8], wide: &mut [Run]) {
        let (first, taps) = (self.next.first, self.taps);
        self.next.first = first + ROWS * self.step;
        if widen(&self.neighbours(first), &self.window_piece(), wide) {
            return;
        }
        // The last pixels: fewer than three, or no whole run can be read behind them.
        let last = self.x.len().saturating_sub(taps);
        for row in 0..ROWS {
            let from = (first + row * self.step).min(last);
            copy(bytes, row * taps, self.x, from, taps);
        }
        self.widen_copies(bytes, wide);
    }

    /// Three outputs of a row, whose windows lie inside. False, and nothing is done, where the next three are no such.
    fn gather_neighbours(&mut self, bytes: &mut [i8], wide: &mut [Run]) -> bool {
        let w = &self.p.window;
        let Place { iy, ix, first } = self.next;
        let last_ix = ix + (ROWS as u32 - 1) as i32 * w.stride_w as i32;
        if self.ox + ROWS as u32 > w.out_w
            || !self.dense
            || iy < 0
            || ix < 0
            || iy > self.last_y
            || last_ix > self.last_x
        {
            return false;
        }
        let rows = w.kernel_h as usize;
        let done = if self.by_rows {
            let pieces = Pieces {
                count: rows,
                runs: self.row_len / RUN,
                skip: self.row_step - self.row_len,
            };
            widen(&self.neighbours(first), &pieces, wide)
        } else {
            let words = self.row_len.div_ceil(RUN);
            let mut copied = true;
            for (row, x) in self.neighbours(first).into_iter().enumerate() {
                let to = bytes.get_mut(row * self.taps..).unwrap_or_default();
                copied &= copy_words(x, self.row_step, to, self.row_len, words, rows);
            }
            copied && self.widen_copies(bytes, wide)
        };
        if done {
            if self.ox + (ROWS as u32) < w.out_w {
                self.ox += ROWS as u32;
                self.next.ix += ROWS as i32 * w.stride_w as i32;
                self.next.first += ROWS * self.step;
            } else {
                self.next_line();
            }
        }
        done
    }

    /// The input from the windows of three outputs of a row on.
    #[inline(always)]
    fn neighbours(&self, first: usize) -> [&'a [i8]; ROWS] {
        let x = self.x;
        [0, 1, 2].map(|row| x.get(first + row * self.step..).unwrap_or(&[]))
    }

    /// Any three outputs.
    #[inline(never)]
    fn gather_any(&mut self, bytes: &mut [i8], wide: &mut [Run]) {
        let places = [self.take(), self.take(), self.take()];
        if self.by_rows {
            let (len, last_x) = (self.row_len, self.last_x);
            let piece = Pieces {
                count: 1,
                runs: len / RUN,
                skip: 0,
            };
            let mut wide = wide.chunks_exact_mut(piece.runs.max(1));
            for ky in 0..self.p.window.kernel_h {
                let mut copies = bytes.chunks_exact_mut(len.max(1));
                let rows = places.map(|place| {
                    let iy = place.iy + (ky * self.p.window.dilation_h) as i32;
                    let inside = iy >= 0
                        && iy < self.p.window.in_h as i32
                        && place.ix >= 0
                        && place.ix <= last_x;
                    if inside {
                        let first = place.first.wrapping_add(ky as usize * self.row_step);
                        return self.x.get(first..first + len).unwrap_or(&[]);
                    }
                    let copy = copies.next().unwrap_or_default();
                    self.copy_row(place, ky, copy);
                    copy
                });
                widen(&rows, &piece, wide.next().unwrap_or_default());
            }
            return;
        }
        let words = self.row_len.div_ceil(RUN);
        let rows = self.p.window.kernel_h;
        for (place, start) in places.into_iter().zip([0, self.taps, 2 * self.taps]) {
            let window = bytes.get_mut(start..).unwrap_or_default();
            let is_inside = place.iy >= 0
                && place.iy <= self.last_y
                && place.ix >= 0
                && place.ix <= self.last_x;
            if is_inside && self.dense {
                let x = self.x.get(place.first..).unwrap_or(&[]);
                if copy_words(x, self.row_step, window, self.row_len, words, rows as usize) {
                    continue;
                }
            }
            let window = window.chunks_exact_mut(self.row_len.max(1));
            for (ky, row) in (0..rows).zip(window) {
                self.copy_row(place, ky, row);
            }
        }
        self.widen_copies(bytes, wide);
    }

    /// Widens windows that have been copied, one behind the other.
    fn widen_copies(&self, bytes: &[i8], wide: &mut [Run]) -> bool {
        let rows = [0, 1, 2].map(|row| bytes.get(row * self.taps..).unwrap_or(&[]));
        widen(&rows, &self.window_piece(), wide)
    }

    /// A window in one piece. What follows up to a whole run meets weights of 0.
    fn window_piece(&self) -> Pieces {
        Pieces {
            count: 1,
            runs: self.taps.div_ceil(RUN),
            skip: 0,
        }
    }

    /// The next window, or the last again.
    fn take(&mut self) -> Place {
        let (w, place) = (&self.p.window, self.next);
        if self.ox + 1 < w.out_w {
            self.ox += 1;
            self.next.ix += w.stride_w as i32;
            self.next.first = place.first.wrapping_add(self.step);
        } else {
            self.next_line();
        }
        place
    }

    /// Goes on to the next row of outputs, or stays where there is none.
    fn next_line(&mut self) {
        let w = &self.p.window;
        if self.oy + 1 < w.out_h {
            (self.oy, self.ox) = (self.oy + 1, 0);
            self.line.iy += w.stride_h as i32;
            let rows = w.stride_h as usize * w.in_w as usize;
            self.line.first = self.line.first.wrapping_add(rows * self.p.in_c as usize);
            self.next = self.line;
        }
    }

    /// Copies a row of a window; what lies in the padding is the zero point.
    #[inline(never)]
    fn copy_row(&self, place: Place, ky: u32, to: &mut [i8]) {
        let w = &self.p.window;
        let iy = place.iy + (ky * w.dilation_h) as i32;
        let first = place.first.wrapping_add(ky as usize * self.row_step);
        let (in_w, c) = (w.in_w as i32, self.group_in_c);
        if iy < 0 || iy >= w.in_h as i32 {
            to.fill(self.p.zero_point_in);
            return;
        }
        if self.dense {
            let before = count(-place.ix, w.kernel_w);
            let inside = count(in_w - place.ix, w.kernel_w).saturating_sub(before);
            let (start, len) = (before as usize * c, inside as usize * c);
            let from = first.wrapping_add(start);
            if to.len() < SHORT {
                let x = self.x.get(from..from + len).unwrap_or(&[]);
                for (at, to) in to.iter_mut().enumerate() {
                    let inside = x.get(at.wrapping_sub(start));
                    *to = inside.copied().unwrap_or(self.p.zero_point_in);
                }
                return;
            }
            if inside < w.kernel_w {
                to.fill(self.p.zero_point_in);
            }
            copy(to, start, self.x, from, len);
            return;
        }
        let step = w.dilation_w as usize * self.p.in_c as usize;
        for (kx, to) in (0..w.kernel_w).zip(to.chunks_exact_mut(c.max(1))) {
            let ix = place.ix + (kx * w.dilation_w) as i32;
            if ix < 0 || ix >= in_w {
                to.fill(self.p.zero_point_in);
            } else {
                copy(to, 0, self.x, first.wrapping_add(kx as usize * step), c);
            }
        }
    }
}

/// Copies `len` values.
#[inline(never)]
fn copy(to: &mut [i8], to_first: usize, from: &[i8], from_first: usize, len: usize) {
    let to = to.get_mut(to_first..).unwrap_or_default();
    let from = from.get(from_first..).unwrap_or(&[]);
    let words = len / RUN;
    copy_words(from, 0, to, 0, words, 1);
    let bytes = to.iter_mut().zip(from).take(len).skip(words * RUN);
    for (to, &from) in bytes {
        *to = from;
    }
}

/// A coordinate as a count between 0 and a limit.
fn count(coordinate: i32, limit: u32) -> u32 {
    (coordinate.max(0) as u32).min(limit)
}
