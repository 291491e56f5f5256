use ocellus_format::ops::MaxPool2d;

use super::access::{at, put};
use crate::UnaryIo;

/// The largest value of each window inside the picture.
pub fn max_pool_2d_s8(p: &MaxPool2d, io: UnaryIo<'_>) {
    let w = &p.window;
    let (in_w, channels) = (w.in_w as usize, p.channels as usize);
    let mut index = 0;
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            for c in 0..channels {
                let mut largest = i8::MIN;
                for iy in (0..w.kernel_h).filter_map(|ky| w.row(oy, ky)) {
                    for ix in (0..w.kernel_w).filter_map(|kx| w.column(ox, kx)) {
                        largest = largest
                            .max(at(io.x, (iy as usize * in_w + ix as usize) * channels + c));
                    }
                }
                put(io.y, index, largest.max(p.output.min).min(p.output.max));
                index += 1;
            }
        }
    }
}
