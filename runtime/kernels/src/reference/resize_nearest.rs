use ocellus_format::ops::ResizeNearest;

use super::access::{at, copy, span, span_mut};
use crate::IndexedIo;

/// Nearest-neighbour resize: each output pixel copies the input pixel that the tables name.
pub fn resize_nearest_s8(p: &ResizeNearest, io: IndexedIo<'_>) {
    let (in_h, in_w, channels) = (p.in_h as usize, p.in_w as usize, p.channels as usize);
    let mut to = 0;
    for oy in 0..p.out_h as usize {
        let iy = usize::from(at(io.rows, oy)).min(in_h.saturating_sub(1));
        for ox in 0..p.out_w as usize {
            let ix = usize::from(at(io.columns, ox)).min(in_w.saturating_sub(1));
            copy(
                span_mut(io.y, to, channels),
                span(io.x, (iy * in_w + ix) * channels, channels),
            );
            to += channels;
        }
    }
}
