//! The input rows under a row of outputs, copied with their padding, so that the pixels of a line are evenly spaced whatever the padding.
//!
//! A row stays where it is while the window moves over it: each value is copied once.

use core::mem::MaybeUninit;

use ocellus_format::ops::{Conv2d, Window2d};

use super::product::{Line, Lines, zeroed};
use crate::select::{NEON_ROWS_BYTES, NEON_RUNS_MAX};

const BYTES: usize = NEON_ROWS_BYTES as usize;
const RUNS_MAX: usize = NEON_RUNS_MAX as usize;
/// Bytes behind a row, for copies of whole vectors.
const SLACK: usize = 16;

/// Output pixels of one group of a convolution.
pub(super) struct PaddedRows<'a> {
    p: &'a Conv2d,
    x: &'a [i8],
    group: usize,
}

impl<'a> PaddedRows<'a> {
    pub(super) fn new(p: &'a Conv2d, x: &'a [i8], group: usize) -> PaddedRows<'a> {
        PaddedRows { p, x, group }
    }
}

/// Input columns that outputs `0..columns` read.
fn reach(w: &Window2d, columns: usize) -> usize {
    (columns - 1) * w.stride_w as usize + (w.kernel_w as usize - 1) * w.dilation_w as usize + 1
}

impl Lines for PaddedRows<'_> {
    #[inline(never)]
    fn for_each(&self, mut line: impl FnMut(&Line<'_>)) {
        let mut space = [MaybeUninit::<i8>::uninit(); BYTES];
        let p = self.p;
        let w = &p.window;
        let in_c = p.group_in_c() as usize;
        let out_w = w.out_w as usize;
        let (kernel_h, kernel_w) = (w.kernel_h as usize, w.kernel_w as usize);
        // As many output columns at a time as the space has room for.
        let mut columns = out_w;
        let row_bytes = |columns: usize| reach(w, columns) * in_c;
        while columns > 1 && row_bytes(columns) * kernel_h + SLACK > BYTES {
            columns = columns.div_ceil(2);
        }
        let row_bytes = row_bytes(columns);
        if row_bytes * kernel_h + SLACK > BYTES {
            return;
        }
        let space = zeroed(&mut space[..row_bytes * kernel_h + SLACK]);
        // Taps of a row of the window lie side by side, where the window has no gaps.
        let together = w.dilation_w == 1;
        let runs_of_row = if together { 1 } else { kernel_w };
        let run = if together { kernel_w * in_c } else { in_c };
        let mut runs = [0; RUNS_MAX];
        let Some(runs) = runs.get_mut(..kernel_h * runs_of_row) else {
            return;
        };
        for first in (0..out_w).step_by(columns) {
            let count = columns.min(out_w - first);
            let width = reach(w, count);
            // Which input row, counted from the padding's first, each slot holds.
            let mut held = [usize::MAX; RUNS_MAX];
            for oy in 0..w.out_h as usize {
                for ky in 0..kernel_h {
                    let row = oy * w.stride_h as usize + ky * w.dilation_h as usize;
                    let slot = self.slot(row);
                    let to = slot * row_bytes;
                    if held[slot] != row {
                        held[slot] = row;
                        let column = first * w.stride_w as usize;
                        self.copy_row(row, column, &mut space[to..to + width * in_c]);
                    }
                    for (kx, run) in runs[ky * runs_of_row..][..runs_of_row]
                        .iter_mut()
                        .enumerate()
                    {
                        *run = to + kx * w.dilation_w as usize * in_c;
                    }
                }
                line(&Line {
                    x: space,
                    first: 0,
                    stride: w.stride_w as usize * in_c,
                    runs,
                    run,
                    count,
                    to: (oy * out_w + first) * p.out_c as usize
                        + self.group * p.group_out_c() as usize,
                    to_stride: p.out_c as usize,
                });
            }
        }
    }
}

impl PaddedRows<'_> {
    /// Where a row lies. Rows of one window are multiples of the dilation apart, and no two of them share a slot.
    fn slot(&self, row: usize) -> usize {
        let w = &self.p.window;
        let step = row.checked_div(w.dilation_h as usize).unwrap_or(0);
        step.checked_rem(w.kernel_h as usize).unwrap_or(0)
    }

    /// Copies a row from a column on, both counted from the padding's first.
    fn copy_row(&self, row: usize, column: usize, to: &mut [i8]) {
        let p = self.p;
        let w = &p.window;
        let in_c = p.group_in_c() as usize;
        let inside = row
            .checked_sub(w.pad_top as usize)
            .filter(|&iy| iy < w.in_h as usize);
        let Some(iy) = inside else {
            to.fill(p.zero_point_in);
            return;
        };
        let width = to.len().checked_div(in_c).unwrap_or(0);
        let pad = w.pad_left as usize;
        // Columns of the picture that lie in the row.
        let start = pad.max(column).min(column + width);
        let end = (pad + w.in_w as usize).min(column + width).max(start);
        let (before, rest) = to.split_at_mut((start - column) * in_c);
        let (middle, after) = rest.split_at_mut((end - start) * in_c);
        before.fill(p.zero_point_in);
        after.fill(p.zero_point_in);
        if middle.is_empty() {
            return;
        }
        let from = (iy * w.in_w as usize + start - pad) * p.in_c as usize + self.group * in_c;
        if p.groups == 1 {
            let len = middle.len();
            middle.copy_from_slice(&self.x[from..from + len]);
        } else {
            for (to, from) in middle
                .chunks_exact_mut(in_c)
                .zip(self.x[from..].chunks(p.in_c as usize))
            {
                to.copy_from_slice(&from[..in_c]);
            }
        }
    }
}
