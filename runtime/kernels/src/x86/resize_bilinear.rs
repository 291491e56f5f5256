use ocellus_format::ops::ResizeBilinear;

use super::Avx2;
use crate::{IndexedIo, reference};

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
    let (in_w, channels) = (p.in_w as usize, p.channels as usize);
    for (row, line) in rows
        .iter()
        .zip(y.chunks_exact_mut(p.out_w as usize * channels))
    {
        let (iy, wy) = blend(row, p.in_h);
        for (column, y) in columns.iter().zip(line.chunks_exact_mut(channels)) {
            let (ix, wx) = blend(column, p.in_w);
            let pixel = |iy: usize, ix: usize| {
                let first = (iy * in_w + ix) * channels;
                &x[first..first + channels]
            };
            let top = pixel(iy[0], ix[0]).iter().zip(pixel(iy[0], ix[1]));
            let bottom = pixel(iy[1], ix[0]).iter().zip(pixel(iy[1], ix[1]));
            for ((y, (&a, &b)), (&c, &d)) in y.iter_mut().zip(top).zip(bottom) {
                let top = i32::from(a) * wx[0] + i32::from(b) * wx[1];
                let bottom = i32::from(c) * wx[0] + i32::from(d) * wx[1];
                *y = ((top * wy[0] + bottom * wy[1] + (1 << 21)) >> 22) as i8;
            }
        }
    }
}

/// Two indices of an axis and their weights, clamped.
fn blend(&[i0, i1, f]: &[u16; 3], size: u32) -> ([usize; 2], [i32; 2]) {
    let last = (size as usize).saturating_sub(1);
    let f = f.min(ResizeBilinear::ONE);
    (
        [usize::from(i0).min(last), usize::from(i1).min(last)],
        [i32::from(ResizeBilinear::ONE - f), i32::from(f)],
    )
}
