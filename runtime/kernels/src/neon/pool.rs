//! Where the taps of a pool's window lie.

use ocellus_format::ops::Window2d;

/// The taps of a window that lie inside the picture: evenly spaced rows of evenly spaced pixels.
#[derive(Clone, Copy)]
pub(super) struct Taps {
    /// The first pixel.
    pub(super) first: usize,
    pub(super) rows: usize,
    /// Pixels from one row to the next.
    pub(super) row_step: usize,
    pub(super) columns: usize,
    pub(super) column_step: usize,
}

impl Taps {
    /// Those of an output pixel.
    pub(super) fn of(w: &Window2d, oy: u32, ox: u32) -> Taps {
        let (iy, rows) = inside(oy * w.stride_h, w.pad_top, w.kernel_h, w.dilation_h, w.in_h);
        let (ix, columns) = inside(
            ox * w.stride_w,
            w.pad_left,
            w.kernel_w,
            w.dilation_w,
            w.in_w,
        );
        let in_w = w.in_w as usize;
        Taps {
            first: iy as usize * in_w + ix as usize,
            rows: rows as usize,
            row_step: w.dilation_h as usize * in_w,
            columns: columns as usize,
            column_step: w.dilation_w as usize,
        }
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.rows * self.columns
    }

    /// Hands over every pixel.
    #[inline(always)]
    pub(super) fn for_each(&self, mut pixel: impl FnMut(usize)) {
        let mut row = self.first;
        for _ in 0..self.rows {
            let mut at = row;
            for _ in 0..self.columns {
                pixel(at);
                at += self.column_step;
            }
            row += self.row_step;
        }
    }
}

/// The first place inside of an axis that a window reads, and how many it reads.
fn inside(from: u32, pad: u32, kernel: u32, dilation: u32, size: u32) -> (u32, u32) {
    // Taps before the picture, and before its end.
    let taps = |places: u32| {
        let whole = places.checked_div(dilation).unwrap_or(0);
        let part = places.checked_rem(dilation).unwrap_or(0);
        (whole + u32::from(part > 0)).min(kernel)
    };
    let before = taps(pad.saturating_sub(from));
    let end = taps((size + pad).saturating_sub(from));
    let first = (from + before * dilation).saturating_sub(pad);
    (first, end.saturating_sub(before))
}
