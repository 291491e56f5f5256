use ocellus_format::ops::MaxPool2d;

use super::Avx2;
use crate::{UnaryIo, reference};

/// The largest value of each window inside the picture, a row of channels at a time.
pub(super) fn max_pool_2d_s8(_: Avx2, p: &MaxPool2d, io: UnaryIo<'_>) {
    let w = &p.window;
    let channels = p.channels as usize;
    if io.x.len() < w.in_h as usize * w.in_w as usize * channels
        || io.y.len() < w.out_h as usize * w.out_w as usize * channels
        || channels == 0
    {
        reference::max_pool_2d_s8(p, io);
        return;
    }
    // SAFETY: the token proves AVX2.
    unsafe { pixels(p, io.x, io.y) }
}

#[target_feature(enable = "avx2")]
fn pixels(p: &MaxPool2d, x: &[i8], y: &mut [i8]) {
    let w = &p.window;
    let channels = p.channels as usize;
    for (oy, line) in (0..w.out_h).zip(y.chunks_exact_mut(w.out_w as usize * channels)) {
        for (ox, y) in (0..w.out_w).zip(line.chunks_exact_mut(channels)) {
            y.fill(i8::MIN);
            for iy in (0..w.kernel_h).filter_map(|ky| w.row(oy, ky)) {
                for ix in (0..w.kernel_w).filter_map(|kx| w.column(ox, kx)) {
                    let first = (iy as usize * w.in_w as usize + ix as usize) * channels;
                    for (y, &x) in y.iter_mut().zip(&x[first..first + channels]) {
                        *y = x.max(*y);
                    }
                }
            }
            for y in y {
                *y = (*y).max(p.output.min).min(p.output.max);
            }
        }
    }
}
