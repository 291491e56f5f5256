//! What of a window lies inside the picture.

use ocellus_format::ops::Window2d;

/// The taps of one axis that lie inside the picture.
#[derive(Clone, Copy)]
pub(super) struct Inside {
    /// Taps before them.
    pub(super) before: usize,
    /// Where the first of them is in the picture.
    pub(super) first: usize,
    pub(super) count: usize,
}

/// Of `taps` places, `step` apart from `start` on, those inside of `size`; `pad` places lie before the first of these.
pub(super) fn inside(start: usize, step: usize, taps: usize, pad: usize, size: usize) -> Inside {
    let missing = pad.saturating_sub(start);
    let before = missing.div_ceil(step.max(1)).min(taps);
    let first = (start + before * step).saturating_sub(pad);
    let count = match size.checked_sub(first) {
        Some(rest) => rest.div_ceil(step.max(1)).min(taps - before),
        None => 0,
    };
    Inside {
        before,
        first,
        count,
    }
}

/// The rows of the window of output row `oy`.
pub(super) fn rows(w: &Window2d, oy: u32) -> Inside {
    inside(
        (oy * w.stride_h) as usize,
        w.dilation_h as usize,
        w.kernel_h as usize,
        w.pad_top as usize,
        w.in_h as usize,
    )
}

/// The columns of the window of output column `ox`.
pub(super) fn columns(w: &Window2d, ox: u32) -> Inside {
    inside(
        (ox * w.stride_w) as usize,
        w.dilation_w as usize,
        w.kernel_w as usize,
        w.pad_left as usize,
        w.in_w as usize,
    )
}
