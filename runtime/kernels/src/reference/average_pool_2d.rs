use ocellus_format::ops::AveragePool2d;

use super::access::{at, put, requant_at};
use super::requantize;
use crate::AveragePoolIo;

/// The mean of each window: a sum over the taps inside the picture, rescaled by their count or by the whole window's.
///
/// A window wholly in the padding gives the output's zero point.
pub fn average_pool_2d_s8(p: &AveragePool2d, io: AveragePoolIo<'_>) {
    let w = &p.window;
    let (in_w, channels) = (w.in_w as usize, p.channels as usize);
    let zero_point = i32::from(p.zero_point_in);
    let mut index = 0;
    for oy in 0..w.out_h {
        for ox in 0..w.out_w {
            for c in 0..channels {
                let mut acc = 0_i32;
                let mut count = 0_usize;
                for iy in (0..w.kernel_h).filter_map(|ky| w.row(oy, ky)) {
                    for ix in (0..w.kernel_w).filter_map(|kx| w.column(ox, kx)) {
                        let x = at(io.x, (iy as usize * in_w + ix as usize) * channels + c);
                        acc = acc.wrapping_add(i32::from(x) - zero_point);
                        count += 1;
                    }
                }
                let entry = if p.by_count {
                    count.saturating_sub(1)
                } else {
                    0
                };
                let value = requantize(acc, requant_at(io.multipliers, io.shifts, entry));
                put(io.y, index, p.output.finish(value));
                index += 1;
            }
        }
    }
}
