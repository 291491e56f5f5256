//! The largest value of each window, four channels at a time.

use ocellus_format::ops::MaxPool2d;

use super::requantize::clamp;
use super::simd::{larger, word};
use super::taps::Taps;
use crate::{UnaryIo, reference};

/// Channels of a word.
const CHANNELS: usize = 4;
/// The smallest value in each byte.
const SMALLEST: u32 = 0x8080_8080;

pub(super) fn max_pool_2d_s8(p: &MaxPool2d, io: UnaryIo<'_>) {
    let w = &p.window;
    let channels = p.channels as usize;
    if channels < CHANNELS {
        reference::max_pool_2d_s8(p, io);
        return;
    }
    let mut outputs = io.y.chunks_exact_mut(channels);
    for oy in 0..w.out_h {
        let rows = Taps::rows(w, oy);
        for ox in 0..w.out_w {
            let y = outputs.next().unwrap_or_default();
            let columns = Taps::columns(w, ox);
            let step = w.dilation_w as usize * channels;
            for first in (0..channels).step_by(CHANNELS) {
                // The last four channels may have been done in part.
                let first = first.min(channels - CHANNELS);
                let mut largest = SMALLEST;
                for row in 0..rows.count {
                    let iy = rows.first + row * w.dilation_h;
                    let line = (iy * w.in_w + columns.first) as usize * channels + first;
                    let mut x = io.x.get(line..).unwrap_or(&[]);
                    for _ in 0..columns.count {
                        largest = larger(largest, x.first_chunk().map_or(SMALLEST, word));
                        x = x.get(step..).unwrap_or(&[]);
                    }
                }
                let y = y.get_mut(first..).and_then(|y| y.first_chunk_mut::<4>());
                if let Some(y) = y {
                    *y = largest.to_le_bytes().map(|byte| byte as i8);
                }
            }
        }
    }
    clamp(p.output, io.y);
}
