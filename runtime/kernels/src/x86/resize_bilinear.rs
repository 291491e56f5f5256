use ocellus_format::ops::ResizeBilinear;

use super::Avx2;
use crate::{IndexedIo, generic, reference};

/// Bilinear resize, a row of channels at a time.
pub(super) fn resize_bilinear_s8(_: Avx2, p: &ResizeBilinear, io: IndexedIo<'_>) {
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
    // SAFETY: the token proves AVX2.
    unsafe { pixels(p, io.x, rows.as_chunks().0, columns.as_chunks().0, io.y) }
}

#[target_feature(enable = "avx2")]
fn pixels(p: &ResizeBilinear, x: &[i8], rows: &[[u16; 3]], columns: &[[u16; 3]], y: &mut [i8]) {
    generic::resize_bilinear(p, x, rows, columns, y);
}
