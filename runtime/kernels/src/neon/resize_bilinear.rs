use ocellus_format::ops::ResizeBilinear;

use crate::{IndexedIo, generic, reference};

/// Bilinear resize, a row of channels at a time.
pub(super) fn resize_bilinear_s8(p: &ResizeBilinear, io: IndexedIo<'_>) {
    let channels = p.channels as usize;
    let (Some(rows), Some(columns), true) = (
        io.rows.get(..p.out_h as usize * 3),
        io.columns.get(..p.out_w as usize * 3),
        io.x.len() >= p.in_h as usize * p.in_w as usize * channels
            && io.y.len() >= p.out_h as usize * p.out_w as usize * channels
            && channels > 0
            && p.in_h > 0
            && p.in_w > 0,
    ) else {
        reference::resize_bilinear_s8(p, io);
        return;
    };
    generic::resize_bilinear(p, io.x, rows.as_chunks().0, columns.as_chunks().0, io.y);
}
