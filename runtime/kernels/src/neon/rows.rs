//! The input rows under some rows of outputs, copied with their padding, so that pixels are evenly spaced whatever the padding.

use core::mem::MaybeUninit;

use ocellus_format::ops::Window2d;

use super::product::{Line, Lines};
use crate::select::{NEON_ROWS_BYTES, NEON_RUNS_MAX};

const BYTES: usize = NEON_ROWS_BYTES as usize;
const RUNS_MAX: usize = NEON_RUNS_MAX as usize;
/// Bytes behind a row, for copies of whole vectors.
const SLACK: usize = 16;

/// Output pixels of a window that slides over some channels of a picture.
pub(super) struct PaddedRows<'a> {
    pub(super) window: &'a Window2d,
    pub(super) x: &'a [i8],
    /// Channels of the picture.
    pub(super) in_c: usize,
    /// The first that the window sees.
    pub(super) first_c: usize,
    /// How many it sees.
    pub(super) channels: usize,
    /// How often each of them is repeated.
    pub(super) repeat: usize,
    pub(super) zero_point: i8,
    /// The input row and column of the first output's first tap, in place of the window's padding.
    pub(super) top: isize,
    pub(super) left: isize,
    /// First output of the first pixel.
    pub(super) to: usize,
    /// From the outputs of one pixel to those of the next.
    pub(super) to_stride: usize,
    /// From the outputs of one row to those of the next.
    pub(super) to_row_stride: usize,
}

/// Places that neighbouring outputs of an axis read, from the first to the last.
fn reach(outputs: usize, stride: u32, kernel: u32, dilation: u32) -> usize {
    (outputs - 1) * stride as usize + (kernel as usize - 1) * dilation as usize + 1
}

/// How much of a picture is copied at a time.
struct Piece {
    /// Output rows and columns.
    rows: usize,
    columns: usize,
    /// Input rows that are copied, and how far apart they lie in the picture.
    held: usize,
    step: usize,
    /// Bytes of a copied row.
    row_bytes: usize,
}

impl Piece {
    /// As many output columns as there is room for, then as many rows. `None` where there is not room for one output.
    fn new(w: &Window2d, channels: usize) -> Option<Piece> {
        // Rows with gaps between them are copied for one output row.
        let step = w.dilation_h as usize;
        let held = |rows: usize| {
            if step == 1 {
                reach(rows, w.stride_h, w.kernel_h, 1)
            } else {
                w.kernel_h as usize
            }
        };
        let row_bytes =
            |columns: usize| reach(columns, w.stride_w, w.kernel_w, w.dilation_w) * channels;
        let fits = |rows: usize, columns: usize| held(rows) * row_bytes(columns) <= BYTES - SLACK;
        let mut columns = w.out_w as usize;
        while columns > 1 && !fits(1, columns) {
            columns = columns.div_ceil(2);
        }
        let rows = if step == 1 {
            let room = (BYTES - SLACK).checked_div(row_bytes(columns)).unwrap_or(0);
            let more = room.saturating_sub(w.kernel_h as usize);
            let more = more.checked_div(w.stride_h as usize).unwrap_or(0);
            (more + 1).min(w.out_h as usize)
        } else {
            1
        };
        fits(rows, columns).then(|| Piece {
            rows,
            columns,
            held: held(rows),
            step,
            row_bytes: row_bytes(columns),
        })
    }
}

impl Lines for PaddedRows<'_> {
    fn pixels(&self) -> usize {
        self.window.out_h as usize * self.window.out_w as usize
    }

    #[inline(never)]
    fn for_each(&self, mut line: impl FnMut(&Line<'_>)) {
        let mut space = [MaybeUninit::<i8>::uninit(); BYTES];
        let w = self.window;
        let channels = self.channels * self.repeat;
        let (out_h, out_w) = (w.out_h as usize, w.out_w as usize);
        let Some(piece) = Piece::new(w, channels) else {
            return;
        };
        let (space, _) = space.split_at_mut(piece.held * piece.row_bytes + SLACK);
        space[piece.held * piece.row_bytes..].fill(MaybeUninit::new(0));
        // Taps of a row of the window lie side by side, where the window has no gaps.
        let together = w.dilation_w == 1;
        let (runs_of_row, run) = if together {
            (1, w.kernel_w as usize * channels)
        } else {
            (w.kernel_w as usize, channels)
        };
        let mut runs = [0; RUNS_MAX];
        let Some(runs) = runs.get_mut(..w.kernel_h as usize * runs_of_row) else {
            return;
        };
        for (ky, runs) in runs.chunks_exact_mut(runs_of_row).enumerate() {
            for (kx, run) in runs.iter_mut().enumerate() {
                *run = ky * piece.row_bytes + kx * w.dilation_w as usize * channels;
            }
        }
        for oy in (0..out_h).step_by(piece.rows) {
            let rows = piece.rows.min(out_h - oy);
            for ox in (0..out_w).step_by(piece.columns) {
                let columns = piece.columns.min(out_w - ox);
                let width = reach(columns, w.stride_w, w.kernel_w, w.dilation_w) * channels;
                let copies = space.chunks_exact_mut(piece.row_bytes).take(piece.held);
                for (index, to) in copies.enumerate() {
                    let row = oy * w.stride_h as usize + index * piece.step;
                    self.copy_row(row, ox * w.stride_w as usize, &mut to[..width]);
                }
                // SAFETY: the first piece is the widest, whose rows fill the space but for its end, which has been filled above.
                let x = unsafe { space.assume_init_ref() };
                line(&Line {
                    x,
                    first: 0,
                    stride: w.stride_w as usize * channels,
                    count: columns,
                    row_stride: w.stride_h as usize * piece.row_bytes,
                    rows,
                    runs,
                    run,
                    to: oy * self.to_row_stride + ox * self.to_stride + self.to,
                    to_stride: self.to_stride,
                    to_row_stride: self.to_row_stride,
                });
            }
        }
    }
}

impl PaddedRows<'_> {
    /// Copies a row from a column on, both counted from the first output's first tap.
    fn copy_row(&self, row: usize, column: usize, to: &mut [MaybeUninit<i8>]) {
        let w = self.window;
        let in_c = self.channels * self.repeat;
        let (in_h, in_w) = (w.in_h as usize, w.in_w as usize);
        let Some(iy) = self.top.checked_add_unsigned(row).and_then(inside(in_h)) else {
            to.fill(MaybeUninit::new(self.zero_point));
            return;
        };
        // Columns of the picture that lie in the row.
        let width = to.len().checked_div(in_c).unwrap_or(0);
        let ix = self.left.saturating_add_unsigned(column);
        let start = ix.min(0).unsigned_abs().min(width);
        let ix = ix.max(0).unsigned_abs();
        let end = (start + in_w.saturating_sub(ix)).min(width);
        let (before, rest) = to.split_at_mut(start * in_c);
        let (middle, after) = rest.split_at_mut((end - start) * in_c);
        before.fill(MaybeUninit::new(self.zero_point));
        after.fill(MaybeUninit::new(self.zero_point));
        if middle.is_empty() {
            return;
        }
        let from = (iy * in_w + ix) * self.in_c + self.first_c;
        if self.repeat == 1 && in_c == self.in_c {
            let len = middle.len();
            middle.write_copy_of_slice(&self.x[from..from + len]);
        } else {
            for (to, from) in middle
                .chunks_exact_mut(in_c)
                .zip(self.x[from..].chunks(self.in_c))
            {
                for (to, &from) in to.chunks_exact_mut(self.repeat).zip(from) {
                    to.fill(MaybeUninit::new(from));
                }
            }
        }
    }
}

/// A place of an axis of `size`, where it is one.
fn inside(size: usize) -> impl Fn(isize) -> Option<usize> {
    move |at| usize::try_from(at).ok().filter(|&at| at < size)
}
