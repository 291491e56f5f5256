//! Rows of inputs times columns of weights: what every kind of convolution comes down to.
//!
//! Weights lie in panels of [`CHANNELS`] output channels, [`Product::STEP`] taps of each side by side: as the file has them, where it was
//! converted for the instruction set, or packed on the stack. Inputs are read where they lie, as long as the pixels of a line are evenly spaced and every
//! run of taps is a multiple of a step; else the taps of a few pixels are gathered first.

use core::mem::MaybeUninit;

use ocellus_format::{WeightLayout, ops::OutputS8};

use super::requantize::{CHANNELS, Scales, all_high};
use crate::layout::Matrix;

/// Taps of an output channel at most, where they are packed or gathered.
pub(super) const TAPS_MAX: usize = crate::select::NEON_TAPS_MAX as usize;
/// Bytes of panels that one round over the pixels multiplies with: they stay in the first-level cache.
const ROUND_BYTES: usize = 16 << 10;
/// Panels of a round at most.
const ROUND_PANELS: usize = 32;
/// Pixels whose taps are gathered at a time: no instruction set takes more.
const TILE_PIXELS: usize = 8;
/// Bytes behind the taps of a gathered pixel that copies of whole vectors may write.
const TILE_SLACK: usize = 16;
const PACKED_BYTES: usize = TAPS_MAX * CHANNELS;
const TILE_BYTES: usize = (TAPS_MAX + TILE_SLACK) * TILE_PIXELS;

/// Output channels and what becomes of their sums. The slices have one value a channel.
#[derive(Clone, Copy)]
pub(super) struct Channels<'a> {
    /// Products of one output.
    pub(super) taps: usize,
    pub(super) bias: &'a [i32],
    pub(super) multipliers: &'a [i32],
    pub(super) shifts: &'a [u8],
    pub(super) output: OutputS8,
}

/// Where the weights of output channels come from.
pub(super) trait Columns {
    /// The panels themselves, where they lie in a layout.
    fn panels(&self, layout: WeightLayout) -> Option<&[i8]>;

    /// Hands the weights of a channel over in pieces, each with its first tap. Taps that are not handed over weigh nothing.
    fn visit(&self, channel: usize, piece: impl FnMut(usize, &[i8]));
}

/// Output channels of a layer that lie behind each other.
pub(super) struct Weights<'a> {
    /// All weights of the layer.
    pub(super) weights: &'a [i8],
    pub(super) layout: WeightLayout,
    /// The same, read channel by channel.
    pub(super) matrix: Matrix<'a>,
    pub(super) taps: usize,
    /// First channel.
    pub(super) first: usize,
    /// Where the channels lie.
    pub(super) start: usize,
}

impl Columns for Weights<'_> {
    fn panels(&self, layout: WeightLayout) -> Option<&[i8]> {
        (self.layout == layout)
            .then(|| self.weights.get(self.start..))
            .flatten()
    }

    fn visit(&self, channel: usize, piece: impl FnMut(usize, &[i8])) {
        self.matrix.visit(self.first + channel, 0, self.taps, piece);
    }
}

/// Output pixels whose taps are evenly spaced in memory.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// What is read.
    pub(super) x: &'a [i8],
    /// First tap of the first pixel.
    pub(super) first: usize,
    /// From one pixel to the next.
    pub(super) stride: usize,
    /// Where the runs of taps begin, from the pixel's first tap on.
    pub(super) runs: &'a [usize],
    /// Taps of a run.
    pub(super) run: usize,
    /// Pixels.
    pub(super) count: usize,
    /// First output of the first pixel.
    pub(super) to: usize,
    /// From the outputs of one pixel to those of the next.
    pub(super) to_stride: usize,
}

/// Where lines come from.
pub(super) trait Lines {
    /// Hands every line over.
    fn for_each(&self, line: impl FnMut(&Line<'_>));
}

/// Panels, and what becomes of their sums.
pub(super) struct Round<'a> {
    pub(super) panels: *const i8,
    /// Bytes of a panel.
    pub(super) panel: usize,
    pub(super) scales: &'a [Scales],
    /// Output channels; the last panel may have more.
    pub(super) channels: usize,
    /// The short form of requantize is exact.
    pub(super) high: bool,
    /// No weight is -128.
    pub(super) symmetric: bool,
    pub(super) output: OutputS8,
}

/// Pixels that an inner loop multiplies with every panel of a round.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub(super) x: *const i8,
    pub(super) stride: usize,
    pub(super) runs: &'a [usize],
    /// A multiple of [`Product::STEP`].
    pub(super) run: usize,
    pub(super) count: usize,
    pub(super) y: *mut i8,
    pub(super) y_stride: usize,
}

/// The inner loops of an instruction set.
pub(super) trait Product: Copy {
    /// How the weights of a panel lie.
    const LAYOUT: WeightLayout;
    /// Taps of a channel that lie side by side in a panel.
    const STEP: usize = match Self::LAYOUT.block() {
        Some(block) => block.run as usize,
        None => 1,
    };
    /// Output channels that lie side by side; a panel has as many or twice as many.
    const INTERLEAVE: usize = match Self::LAYOUT.block() {
        Some(block) => block.channels as usize,
        None => 1,
    };
    /// True where the weight -128 needs another inner loop.
    const ASYMMETRIC_DIFFERS: bool;

    /// Multiplies pixels with panels and writes the outputs.
    ///
    /// # Safety
    /// - every run of every pixel can be read, and every output written
    /// - the panels have `scales.len() * panel` bytes, each panel the weights of all runs; where the last has no more than `INTERLEAVE` channels, half of that
    /// - there are as many scales as channels need
    unsafe fn multiply(self, pixels: &Pixels<'_>, round: &Round<'_>);
}

/// Bytes of `channels` output channels' weights in panels.
pub(super) fn packed_len<P: Product>(taps: usize, channels: usize) -> usize {
    taps.next_multiple_of(P::STEP) * channels.next_multiple_of(P::INTERLEAVE)
}

/// Multiplies every pixel with every column and writes the outputs. What lies outside of `y` is not written.
pub(super) fn multiply<P: Product>(
    product: P,
    channels: &Channels<'_>,
    columns: &impl Columns,
    lines: &impl Lines,
    y: &mut [i8],
) {
    let all = channels.bias.len();
    if channels.taps == 0 || channels.multipliers.len() < all || channels.shifts.len() < all {
        return;
    }
    match columns.panels(P::LAYOUT) {
        Some(panels) if panels.len() >= packed_len::<P>(channels.taps, all) => {
            let panel = packed_len::<P>(channels.taps, CHANNELS);
            let at_a_time = (ROUND_BYTES / panel).clamp(1, ROUND_PANELS);
            for first in (0..all).step_by(at_a_time * CHANNELS) {
                let some = first..all.min(first + at_a_time * CHANNELS);
                let panels = &panels[first / CHANNELS * panel..];
                round(product, channels, some, panels, lines, y);
            }
        }
        _ => pack_and_multiply(product, channels, columns, lines, y),
    }
}

/// As [`multiply`], with panels that are packed on the stack.
#[inline(never)]
fn pack_and_multiply<P: Product>(
    product: P,
    channels: &Channels<'_>,
    columns: &impl Columns,
    lines: &impl Lines,
    y: &mut [i8],
) {
    let mut packed = [MaybeUninit::<i8>::uninit(); PACKED_BYTES];
    let panel = packed_len::<P>(channels.taps, CHANNELS);
    let at_a_time = (ROUND_BYTES.min(PACKED_BYTES) / panel)
        .clamp(1, ROUND_PANELS)
        .min(PACKED_BYTES / panel);
    if at_a_time == 0 {
        return;
    }
    let all = channels.bias.len();
    for first in (0..all).step_by(at_a_time * CHANNELS) {
        let some = first..all.min(first + at_a_time * CHANNELS);
        let used = some.len().div_ceil(CHANNELS) * panel;
        let packed = zeroed(&mut packed[..used]);
        for (place, channel) in some.clone().enumerate() {
            let block = taps_padded::<P>(channels) * P::INTERLEAVE;
            let start = place / P::INTERLEAVE * block + place % P::INTERLEAVE * P::STEP;
            let lane = &mut packed[start..];
            columns.visit(channel, |tap, weights| {
                place_weights::<P>(lane, tap, weights)
            });
        }
        round(product, channels, some, packed, lines, y);
    }
}

fn taps_padded<P: Product>(channels: &Channels<'_>) -> usize {
    channels.taps.next_multiple_of(P::STEP)
}

/// Makes zeros of what may be anything.
pub(super) fn zeroed(bytes: &mut [MaybeUninit<i8>]) -> &mut [i8] {
    let (pointer, len) = (bytes.as_mut_ptr().cast::<i8>(), bytes.len());
    // SAFETY: the slice is borrowed for as long as the result, and every byte of it is written before that exists.
    unsafe {
        pointer.write_bytes(0, len);
        core::slice::from_raw_parts_mut(pointer, len)
    }
}

/// Places weights of a channel, from `tap` on, in a panel from the channel's first place on.
fn place_weights<P: Product>(lane: &mut [i8], tap: usize, weights: &[i8]) {
    let row = P::INTERLEAVE * P::STEP;
    let mut tap = tap;
    let mut rest = weights;
    while !rest.is_empty() {
        let (step, within) = (tap / P::STEP, tap % P::STEP);
        let some = rest.len().min(P::STEP - within);
        let to = step * row + within;
        if some == P::STEP {
            lane[to..to + P::STEP].copy_from_slice(&rest[..P::STEP]);
        } else {
            for (to, &from) in lane[to..to + some].iter_mut().zip(rest) {
                *to = from;
            }
        }
        tap += some;
        rest = &rest[some..];
    }
}

/// Multiplies every pixel with some channels, whose panels begin with `panels`.
fn round<P: Product>(
    product: P,
    channels: &Channels<'_>,
    some: core::ops::Range<usize>,
    panels: &[i8],
    lines: &impl Lines,
    y: &mut [i8],
) {
    let mut scales = [const { MaybeUninit::<Scales>::uninit() }; ROUND_PANELS];
    let count = some.len().div_ceil(CHANNELS);
    for (index, slot) in scales[..count].iter_mut().enumerate() {
        let first = some.start + index * CHANNELS;
        let eight = first..some.end.min(first + CHANNELS);
        slot.write(Scales::new(
            &channels.bias[eight.clone()],
            &channels.multipliers[eight.clone()],
            &channels.shifts[eight],
        ));
    }
    // SAFETY: the loop has written the first `count`.
    let scales = unsafe { core::slice::from_raw_parts(scales.as_ptr().cast::<Scales>(), count) };
    let used = packed_len::<P>(channels.taps, some.len());
    let round = Round {
        panels: panels[..used].as_ptr(),
        panel: packed_len::<P>(channels.taps, CHANNELS),
        scales,
        channels: some.len(),
        high: all_high(&channels.shifts[some.clone()]),
        symmetric: !P::ASYMMETRIC_DIFFERS || !has_lowest(&panels[..used]),
        output: channels.output,
    };
    let padded = taps_padded::<P>(channels);
    lines.for_each(|line| {
        if line.run * line.runs.len() == channels.taps && line.count > 0 {
            line_of::<P>(product, line, &round, padded, some.start, y);
        }
    });
}

/// True where some weight is -128.
fn has_lowest(weights: &[i8]) -> bool {
    weights.iter().fold(0, |least, &weight| weight.min(least)) == i8::MIN
}

/// One line with every panel of a round.
fn line_of<P: Product>(
    product: P,
    line: &Line<'_>,
    round: &Round<'_>,
    padded: usize,
    first: usize,
    y: &mut [i8],
) {
    let last = line.count - 1;
    let end = line.to + last * line.to_stride + first + round.channels;
    let far = line.runs.iter().fold(0, |far, &run| far.max(run));
    let read = line.first + last * line.stride + far + line.run;
    if end > y.len() || read > line.x.len() {
        return;
    }
    // How many pixels can be read where they lie: reading beyond a single run is harmless, as no weight is there, where there is something to read.
    let ready = if line.run.is_multiple_of(P::STEP) {
        line.count
    } else if line.runs.len() == 1 {
        let room = line.x.len() - line.first;
        let pixels = (room + line.stride).saturating_sub(padded + far);
        pixels
            .checked_div(line.stride)
            .map_or(0, |pixels| pixels.min(line.count))
    } else {
        0
    };
    if ready > 0 {
        let run = line.run.next_multiple_of(P::STEP);
        // SAFETY: the sums above say that the first output of every pixel, the last one and everything between lie in `y`, and that every run of
        // the first `ready` pixels lies in `x`; `first` of them is in `x`, as the last one is.
        unsafe {
            product.multiply(
                &Pixels {
                    x: line.x.as_ptr().add(line.first),
                    stride: line.stride,
                    runs: line.runs,
                    run,
                    count: ready,
                    y: y.as_mut_ptr().add(line.to + first),
                    y_stride: line.to_stride,
                },
                round,
            );
        }
    }
    if ready < line.count {
        gather_and_multiply(product, line, ready, round, padded, first, y);
    }
}

/// The pixels of a line from `done` on, whose taps cannot be read where they lie.
#[inline(never)]
fn gather_and_multiply<P: Product>(
    product: P,
    line: &Line<'_>,
    done: usize,
    round: &Round<'_>,
    padded: usize,
    first: usize,
    y: &mut [i8],
) {
    let mut tile = [MaybeUninit::<i8>::uninit(); TILE_BYTES];
    let stride = padded + TILE_SLACK;
    if stride * TILE_PIXELS > tile.len() {
        return;
    }
    let tile = zeroed(&mut tile[..stride * TILE_PIXELS]);
    let mut pixel = done;
    while pixel < line.count {
        let count = (line.count - pixel).min(TILE_PIXELS);
        for (row, at) in tile.chunks_exact_mut(stride).take(count).zip(pixel..) {
            let from = line.first + at * line.stride;
            for (place, &run) in line.runs.iter().enumerate() {
                let (to, from) = (place * line.run, from + run);
                copy_run(&mut row[to..], &line.x[from..], line.run);
            }
        }
        // SAFETY: the tile has the taps of `count` pixels, and the caller has seen that every output of the line lies in `y`.
        unsafe {
            product.multiply(
                &Pixels {
                    x: tile.as_ptr(),
                    stride,
                    runs: &[0],
                    run: padded,
                    count,
                    y: y.as_mut_ptr().add(line.to + first + pixel * line.to_stride),
                    y_stride: line.to_stride,
                },
                round,
            );
        }
        pixel += count;
    }
}

/// Copies `len` values, and up to 15 behind them where there is room on both sides: the next run, or no weight, covers them.
#[inline]
fn copy_run(to: &mut [i8], from: &[i8], len: usize) {
    let whole = len.next_multiple_of(16);
    if from.len() >= whole && to.len() >= whole {
        for (to, from) in to[..whole]
            .as_chunks_mut::<16>()
            .0
            .iter_mut()
            .zip(from[..whole].as_chunks::<16>().0)
        {
            *to = *from;
        }
    } else {
        to[..len].copy_from_slice(&from[..len]);
    }
}
