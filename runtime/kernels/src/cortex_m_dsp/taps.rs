//! Which taps of a window lie inside the picture.

use ocellus_format::ops::Window2d;

/// The taps of a window along one axis that lie inside the picture.
pub(super) struct Taps {
    /// Where the first lies.
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Taps {
    /// Along the rows of output row `oy`.
    pub(super) fn rows(w: &Window2d, oy: u32) -> Taps {
        Taps::inside(oy * w.stride_h, w.pad_top, w.dilation_h, w.kernel_h, w.in_h)
    }

    /// Along the columns of output column `ox`.
    pub(super) fn columns(w: &Window2d, ox: u32) -> Taps {
        Taps::inside(
            ox * w.stride_w,
            w.pad_left,
            w.dilation_w,
            w.kernel_w,
            w.in_w,
        )
    }

    fn inside(start: u32, pad: u32, dilation: u32, kernel: u32, size: u32) -> Taps {
        let dilation = dilation.max(1);
        let skipped = pad.saturating_sub(start).div_ceil(dilation).min(kernel);
        let first = (start + skipped * dilation).saturating_sub(pad);
        let room = size.saturating_sub(first).div_ceil(dilation);
        Taps {
            first,
            count: room.min(kernel - skipped),
        }
    }
}
