//! The mean of each window.

use ocellus_format::{Requant, ops::AveragePool2d};

use super::Avx2;
use super::block_avx2::store;
use super::requantize::{Scale8, finish16_in_order, load8};
use crate::{AveragePoolIo, reference};

/// Channels at a time.
const CHANNELS: usize = 64;

pub(super) fn average_pool_2d_s8(_: Avx2, p: &AveragePool2d, io: AveragePoolIo<'_>) {
    let w = &p.window;
    let channels = p.channels as usize;
    let requants = p.requant_count() as usize;
    if io.x.len() < w.in_h as usize * w.in_w as usize * channels
        || io.y.len() < w.out_h as usize * w.out_w as usize * channels
        || io.multipliers.len() < requants
        || io.shifts.len() < requants
        || channels == 0
    {
        reference::average_pool_2d_s8(p, io);
        return;
    }
    // SAFETY: the token proves AVX2.
    unsafe { pixels(p, io) }
}

#[target_feature(enable = "avx2")]
fn pixels(p: &AveragePool2d, io: AveragePoolIo<'_>) {
    let w = &p.window;
    let channels = p.channels as usize;
    for (oy, line) in (0..w.out_h).zip(io.y.chunks_exact_mut(w.out_w as usize * channels)) {
        for (ox, y) in (0..w.out_w).zip(line.chunks_exact_mut(channels)) {
            for (y, first) in y.chunks_mut(CHANNELS).zip((0..channels).step_by(CHANNELS)) {
                let mut sums = [0_i32; CHANNELS];
                let mut count = 0;
                for iy in (0..w.kernel_h).filter_map(|ky| w.row(oy, ky)) {
                    for ix in (0..w.kernel_w).filter_map(|kx| w.column(ox, kx)) {
                        let at = (iy as usize * w.in_w as usize + ix as usize) * channels + first;
                        for (sum, &x) in sums.iter_mut().zip(&io.x[at..at + y.len()]) {
                            *sum += i32::from(x);
                        }
                        count += 1;
                    }
                }
                let entry = if p.by_count {
                    usize::try_from(count - 1).unwrap_or(0)
                } else {
                    0
                };
                let scale = Scale8::splat(Requant {
                    multiplier: io.multipliers[entry],
                    shift: io.shifts[entry],
                });
                let zero_points = count * i32::from(p.zero_point_in);
                for sum in &mut sums {
                    *sum -= zero_points;
                }
                for (y, sums) in y.chunks_mut(16).zip(sums.as_chunks::<16>().0) {
                    let [a, b] = [0, 8].map(|lane| scale.apply::<false>(load8(&sums[lane..])));
                    store(finish16_in_order(a, b, p.output), y);
                }
            }
        }
    }
}
