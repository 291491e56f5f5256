use core::arch::aarch64::*;

use ocellus_format::ops::MaxPool2d;

use super::pool::Taps;
use super::sixteen::{LANES, put, sixteen};
use crate::{UnaryIo, reference};

/// The largest value of each window inside the picture, sixteen channels at a time.
pub(super) fn max_pool_2d_s8(p: &MaxPool2d, io: UnaryIo<'_>) {
    let w = &p.window;
    let channels = p.channels as usize;
    if io.x.len() < w.in_h as usize * w.in_w as usize * channels
        || io.y.len() < w.out_h as usize * w.out_w as usize * channels
        || channels == 0
    {
        reference::max_pool_2d_s8(p, io);
        return;
    }
    // SAFETY: AArch64 has Advanced SIMD.
    let (min, max) = unsafe { (vdupq_n_s8(p.output.min), vdupq_n_s8(p.output.max)) };
    for (oy, line) in (0..w.out_h).zip(io.y.chunks_exact_mut(w.out_w as usize * channels)) {
        for (ox, y) in (0..w.out_w).zip(line.chunks_exact_mut(channels)) {
            let taps = Taps::of(w, oy, ox);
            for (y, first) in y.chunks_mut(LANES).zip((0..channels).step_by(LANES)) {
                // SAFETY: AArch64 has Advanced SIMD.
                let mut largest = unsafe { vdupq_n_s8(i8::MIN) };
                taps.for_each(|pixel| {
                    let at = pixel * channels + first;
                    // What lies behind the last channel is read, where there is something, and not written.
                    let x = sixteen(&io.x[at..]);
                    // SAFETY: AArch64 has Advanced SIMD.
                    largest = unsafe { vmaxq_s8(largest, x) };
                });
                // SAFETY: AArch64 has Advanced SIMD.
                put(unsafe { vminq_s8(vmaxq_s8(largest, min), max) }, y);
            }
        }
    }
}
