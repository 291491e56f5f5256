//! Rows of inputs times columns of weights: what every kind of convolution comes down to.
//!
//! Weights lie in panels of [`CHANNELS`] output channels, [`Product::STEP`] taps of each side by side: as the file has them, where it was
//! converted for the instruction set, or packed on the stack. Inputs are read where they lie, as long as the pixels of a line are evenly spaced and every
//! run of taps is a multiple of a step; else the taps of a few pixels are gathered first.

use core::mem::MaybeUninit;

use ocellus_format::{WeightLayout, ops::OutputS8};

use super::requantize::{CHANNELS, Finish, Scales, all_high};
use crate::layout::Matrix;

/// Taps of an output channel at most, where they are packed or gathered.
pub(super) const TAPS_MAX: usize = crate::select::NEON_TAPS_MAX as usize;
/// Bytes of panels that one round over the pixels multiplies with: they stay in the first-level cache.
const ROUND_BYTES: usize = 16 << 10;
/// Panels of a round at most.
const ROUND_PANELS: usize = 32;
/// Pixels whose taps are gathered at a time: no instruction set takes more.
const TILE_PIXELS: usize = 8;
/// Taps that are copied at a time.
const CHUNK: usize = 16;
/// Bytes behind the taps of a gathered pixel that copies of whole vectors may write.
const TILE_SLACK: usize = CHUNK;
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
    /// Largest magnitude of a sum; 0 where that is not known.
    pub(super) acc_bound: u32,
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

/// Rows of output pixels whose taps are evenly spaced in memory.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// What is read.
    pub(super) x: &'a [i8],
    /// First tap of the first pixel.
    pub(super) first: usize,
    /// From one pixel to the next.
    pub(super) stride: usize,
    /// Pixels of a row.
    pub(super) count: usize,
    /// From one row to the next.
    pub(super) row_stride: usize,
    pub(super) rows: usize,
    /// Where the runs of taps begin, from the pixel's first tap on.
    pub(super) runs: &'a [usize],
    /// Taps of a run.
    pub(super) run: usize,
    /// First output of the first pixel.
    pub(super) to: usize,
    /// From the outputs of one pixel to those of the next.
    pub(super) to_stride: usize,
    /// From the outputs of one row to those of the next.
    pub(super) to_row_stride: usize,
}

impl Line<'_> {
    /// Where behind the first the last pixel reads, and where it writes.
    pub(super) fn last(&self) -> (usize, usize) {
        let (rows, count) = (self.rows - 1, self.count - 1);
        (
            rows * self.row_stride + count * self.stride,
            rows * self.to_row_stride + count * self.to_stride,
        )
    }

    /// One row.
    fn row(&self, index: usize) -> Line<'_> {
        Line {
            first: self.first + index * self.row_stride,
            rows: 1,
            to: self.to + index * self.to_row_stride,
            ..*self
        }
    }
}

/// Where lines come from.
pub(super) trait Lines {
    /// Pixels of all lines.
    fn pixels(&self) -> usize;

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
    /// That of [`Finish`] is exact.
    pub(super) plain: bool,
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
    pub(super) row_stride: usize,
    pub(super) rows: usize,
    pub(super) y: *mut i8,
    pub(super) y_stride: usize,
    pub(super) y_row_stride: usize,
}

impl Pixels<'_> {
    /// Hands every row over, as it is left: `pixels` says how many of it it has dealt with.
    ///
    /// # Safety
    /// Pixels and outputs lie in memory that may be pointed into.
    #[inline(always)]
    pub(super) unsafe fn for_each(&self, mut pixels: impl FnMut(&Self, usize) -> usize) {
        let mut some = *self;
        for row in 0..self.rows {
            let mut left = self.count;
            // SAFETY: the caller says so.
            unsafe {
                some.x = self.x.add(row * self.row_stride);
                some.y = self.y.add(row * self.y_row_stride);
            }
            while left > 0 {
                let done = pixels(&some, left);
                left -= done;
                some.x = some.x.wrapping_add(done * some.stride);
                some.y = some.y.wrapping_add(done * some.y_stride);
            }
        }
    }
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
            // Weights that are used once need no cache.
            let at_a_time = if lines.pixels() <= TILE_PIXELS {
                ROUND_PANELS
            } else {
                (ROUND_BYTES / panel).clamp(1, ROUND_PANELS)
            };
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
    let (first, mut tap) = (tap, tap);
    let mut rest = weights;
    if tap.is_multiple_of(P::STEP) {
        let steps = rest.chunks_exact(P::STEP);
        tap += rest.len() - steps.remainder().len();
        rest = steps.remainder();
        let places = lane[first / P::STEP * row..].chunks_mut(row);
        for (to, from) in places.zip(steps) {
            to[..P::STEP].copy_from_slice(from);
        }
    }
    for &weight in rest {
        lane[tap / P::STEP * row + tap % P::STEP] = weight;
        tap += 1;
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
    let bias = channels.bias[some.clone()].chunks(CHANNELS);
    let multipliers = channels.multipliers[some.clone()].chunks(CHANNELS);
    let shifts = channels.shifts[some.clone()].chunks(CHANNELS);
    let eights = bias.zip(multipliers).zip(shifts);
    for (slot, ((bias, multipliers), shifts)) in scales.iter_mut().zip(eights) {
        slot.write(Scales::new(bias, multipliers, shifts));
    }
    // SAFETY: the loop has written the first `count`, as many as there are eights.
    let scales = unsafe { core::slice::from_raw_parts(scales.as_ptr().cast::<Scales>(), count) };
    let used = packed_len::<P>(channels.taps, some.len());
    let round = Round {
        panels: panels[..used].as_ptr(),
        panel: packed_len::<P>(channels.taps, CHANNELS),
        scales,
        channels: some.len(),
        high: all_high(&channels.shifts[some.clone()]),
        plain: Finish::is_plain(
            channels.output,
            &channels.shifts[some.clone()],
            channels.acc_bound,
        ),
        // Looking at weights that are used once or twice costs more than it saves.
        symmetric: P::ASYMMETRIC_DIFFERS && lines.pixels() > 2 && !has_lowest(&panels[..used]),
        output: channels.output,
    };
    let padded = taps_padded::<P>(channels);
    lines.for_each(|line| {
        if line.run * line.runs.len() == channels.taps && line.count > 0 && line.rows > 0 {
            line_of::<P>(product, line, &round, padded, some.start, y);
        }
    });
}

/// True where some weight is -128.
fn has_lowest(weights: &[i8]) -> bool {
    weights.iter().fold(0, |least, &weight| weight.min(least)) == i8::MIN
}

/// Rows of pixels with every panel of a round.
fn line_of<P: Product>(
    product: P,
    line: &Line<'_>,
    round: &Round<'_>,
    padded: usize,
    first: usize,
    y: &mut [i8],
) {
    let far = line.runs.iter().fold(0, |far, &run| far.max(run));
    let (last_x, last_y) = line.last();
    if line.to + last_y + first + round.channels > y.len()
        || line.first + last_x + far + line.run > line.x.len()
    {
        return;
    }
    let even = line.run.is_multiple_of(P::STEP);
    // Reading beyond a single run is harmless, as no weight is there, where there is something to read.
    if even || line.runs.len() == 1 && line.first + last_x + far + padded <= line.x.len() {
        // SAFETY: the sums above say that the outputs of every pixel lie in `y`, and that every run lies in `x` up to the multiple of a step.
        unsafe {
            product.multiply(
                &Pixels {
                    x: line.x.as_ptr().add(line.first),
                    stride: line.stride,
                    runs: line.runs,
                    run: line.run.next_multiple_of(P::STEP),
                    count: line.count,
                    row_stride: line.row_stride,
                    rows: line.rows,
                    y: y.as_mut_ptr().add(line.to + first),
                    y_stride: line.to_stride,
                    y_row_stride: line.to_row_stride,
                },
                round,
            );
        }
        return;
    }
    // All rows but those with the last pixels, and of those all pixels but the last ones.
    if line.runs.len() == 1 && line.rows > 1 {
        for row in 0..line.rows {
            line_of::<P>(product, &line.row(row), round, padded, first, y);
        }
    } else if line.runs.len() == 1 && line.count > TILE_PIXELS {
        let many = line.count - TILE_PIXELS;
        let begin = Line {
            count: many,
            ..*line
        };
        let end = Line {
            first: line.first + many * line.stride,
            count: TILE_PIXELS,
            to: line.to + many * line.to_stride,
            ..*line
        };
        line_of::<P>(product, &begin, round, padded, first, y);
        gather_and_multiply(product, &end, round, padded, first, y);
    } else {
        gather_and_multiply(product, line, round, padded, first, y);
    }
}

/// Pixels whose taps cannot be read where they lie. They lie in `x`, and their outputs in `y`.
#[inline(never)]
fn gather_and_multiply<P: Product>(
    product: P,
    line: &Line<'_>,
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
    for row in 0..line.rows {
        let row = line.row(row);
        for pixel in (0..row.count).step_by(TILE_PIXELS) {
            let count = (row.count - pixel).min(TILE_PIXELS);
            let from = row.first + pixel * row.stride;
            gather(&row, from, &mut tile[..count * stride], stride);
            // SAFETY: the tile has the taps of `count` pixels, and every output lies in `y`: the caller has seen that.
            unsafe {
                product.multiply(
                    &Pixels {
                        x: tile.as_ptr(),
                        stride,
                        runs: &[0],
                        run: padded,
                        count,
                        row_stride: 0,
                        rows: 1,
                        y: y.as_mut_ptr().add(row.to + first + pixel * row.to_stride),
                        y_stride: row.to_stride,
                        y_row_stride: 0,
                    },
                    round,
                );
            }
        }
    }
}

/// Copies the taps of neighbouring pixels, the first of which begins at `from`, behind each other.
fn gather(line: &Line<'_>, from: usize, tile: &mut [i8], stride: usize) {
    let far = line.runs.iter().fold(0, |far, &run| far.max(run));
    let whole = line.run.next_multiple_of(CHUNK);
    let count = tile.len().checked_div(stride).unwrap_or(0);
    let read = from + count.saturating_sub(1) * line.stride + far + whole;
    // Whole vectors, where what lies behind each run can be read, and written: the next run, or no weight, covers it.
    let vectors =
        read <= line.x.len() && line.runs.len().saturating_sub(1) * line.run + whole <= stride;
    let mut from = from;
    for row in tile.chunks_exact_mut(stride) {
        if vectors {
            let mut to = row.as_mut_ptr();
            for &run in line.runs {
                // SAFETY: the sums above: `whole` values can be read behind the beginning of every run, and written.
                unsafe {
                    let from = line.x.as_ptr().add(from + run);
                    let (from, to_chunk) = (from.cast::<[i8; CHUNK]>(), to.cast::<[i8; CHUNK]>());
                    to_chunk.write_unaligned(from.read_unaligned());
                    for chunk in 1..whole / CHUNK {
                        to_chunk
                            .add(chunk)
                            .write_unaligned(from.add(chunk).read_unaligned());
                    }
                }
                to = to.wrapping_add(line.run);
            }
        } else {
            for (to, &run) in row.chunks_exact_mut(line.run).zip(line.runs) {
                to.copy_from_slice(&line.x[from + run..from + run + line.run]);
            }
        }
        from += line.stride;
    }
}
