//! Rows of inputs times columns of weights: what every kind of convolution comes down to.
//!
//! Weights are packed into panels of [`PANEL`] output channels, four taps of each side by side. A lane of a vector is then an output channel and
//! an accumulator is never summed across lanes, so that a row of few taps costs no more than its products. Input rows are gathered
//! into a tile, and every panel runs over the tile while that is in the first-level cache.
//!
//! Panels and tile lie on the stack: a file's scratch is planned for chips whose memory is small, and a PC's stack is not.

use ocellus_format::ops::OutputS8;

use super::requantize::{Scales, all_high};
use super::simd::Simd;
use super::{block_avx2, block_avx512};

/// Output channels of a panel.
pub(super) const PANEL: usize = 32;
/// Taps of a channel that lie side by side.
pub(super) const QUAD: usize = 4;
/// A tile's rows are a multiple: each inner loop takes 4, 6 or 12 at a time.
pub(super) const ROWS_MULTIPLE: usize = 12;

/// Four taps of each channel of a panel.
pub(super) type Step = [[i8; QUAD]; PANEL];

const STEPS_SMALL: usize = 256;
const STEPS_LARGE: usize = TAPS_MAX / QUAD;
const TILE_SMALL: usize = ROWS_MULTIPLE * STEPS_SMALL * QUAD;
const TILE_LARGE: usize = ROWS_MULTIPLE * STEPS_LARGE * QUAD;
/// Rows of a tile at most, panels packed at a time at most.
const TILE_ROWS: usize = 4 * ROWS_MULTIPLE;
const PANELS: usize = 16;

/// Taps at most.
pub(super) const TAPS_MAX: usize = crate::select::TAPS_MAX as usize;

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
    /// Hands the weights of a channel over in pieces, each with its first tap. Taps that are not handed over weigh nothing.
    fn visit(&self, channel: usize, piece: impl FnMut(usize, &[i8]));
}

/// Where input rows come from, and where their outputs go.
pub(super) trait Rows {
    /// How many there are.
    fn count(&self) -> usize;

    /// Writes rows `first..first + to.len()` into `tile`, `stride` bytes from one to the next, and where in `y` the outputs of each begin.
    fn gather(&self, first: usize, tile: &mut [i8], stride: usize, to: &mut [usize]);
}

/// A tile times a panel.
pub(super) struct Block<'a> {
    /// Input rows, a multiple of [`ROWS_MULTIPLE`], each as long as the panel.
    pub(super) tile: &'a [i8],
    pub(super) panel: &'a [Step],
    pub(super) scales: &'a Scales<PANEL>,
    /// The 32-bit form of requantize is exact.
    pub(super) high: bool,
    pub(super) output: OutputS8,
    /// First output of each row.
    pub(super) to: &'a [usize],
    /// Outputs of each row, at most [`PANEL`].
    pub(super) channels: usize,
}

impl Block<'_> {
    /// True where every read and write of an inner loop lies inside.
    pub(super) fn is_sound(&self, y: &[i8]) -> bool {
        let rows = self.to.len().next_multiple_of(ROWS_MULTIPLE);
        self.tile.len() >= rows * self.stride()
            && self.channels <= PANEL
            && self.to.iter().all(|&to| {
                to.checked_add(self.channels)
                    .is_some_and(|end| end <= y.len())
            })
    }

    /// Bytes from one row of the tile to the next.
    pub(super) fn stride(&self) -> usize {
        self.panel.len() * QUAD
    }
}

/// Multiplies every row with every column and writes the outputs. More than [`TAPS_MAX`] taps: nothing happens.
pub(super) fn multiply(
    simd: Simd,
    channels: &Channels<'_>,
    columns: &impl Columns,
    rows: &impl Rows,
    y: &mut [i8],
) {
    let steps = channels.taps.div_ceil(QUAD).max(1);
    let panels = channels.bias.len().div_ceil(PANEL);
    if steps * panels <= STEPS_SMALL {
        Workspace::<STEPS_SMALL, TILE_SMALL>::new().multiply(simd, channels, columns, rows, y);
    } else if steps <= STEPS_LARGE {
        Workspace::<STEPS_LARGE, TILE_LARGE>::new().multiply(simd, channels, columns, rows, y);
    }
}

#[repr(C, align(64))]
struct Workspace<const STEPS: usize, const TILE: usize> {
    panels: [Step; STEPS],
    tile: [i8; TILE],
    scales: [Scales<PANEL>; PANELS],
}

impl<const STEPS: usize, const TILE: usize> Workspace<STEPS, TILE> {
    #[inline]
    fn new() -> Workspace<STEPS, TILE> {
        Workspace {
            panels: [[[0; QUAD]; PANEL]; STEPS],
            tile: [0; TILE],
            scales: [Scales::NONE; PANELS],
        }
    }

    #[inline(never)]
    fn multiply(
        &mut self,
        simd: Simd,
        channels: &Channels<'_>,
        columns: &impl Columns,
        rows: &impl Rows,
        y: &mut [i8],
    ) {
        let steps = channels.taps.div_ceil(QUAD).max(1);
        let stride = steps * QUAD;
        let tile_rows = (TILE / stride / ROWS_MULTIPLE * ROWS_MULTIPLE).min(TILE_ROWS);
        let at_a_time = (STEPS / steps).min(PANELS) * PANEL;
        if tile_rows == 0 || at_a_time == 0 {
            return;
        }
        let high = all_high(channels.shifts);
        let mut to = [0; TILE_ROWS];
        for first in (0..channels.bias.len()).step_by(at_a_time) {
            let some = first..channels.bias.len().min(first + at_a_time);
            self.pack(simd, channels, columns, some.clone(), steps);
            let mut row = 0;
            while row < rows.count() {
                let to = &mut to[..tile_rows.min(rows.count() - row)];
                let tile = &mut self.tile[..to.len() * stride];
                rows.gather(row, tile, stride, to);
                if let Simd::Avx512Vnni(token) = simd {
                    block_avx512::offset(token, tile);
                }
                row += to.len();
                to.iter_mut().for_each(|to| *to += first);
                let panels = self.panels.chunks_exact(steps).zip(&self.scales);
                for ((panel, scales), done) in panels.zip((0..some.len()).step_by(PANEL)) {
                    let block = Block {
                        tile: &self.tile,
                        panel,
                        scales,
                        high,
                        output: channels.output,
                        to,
                        channels: (some.len() - done).min(PANEL),
                    };
                    match simd {
                        Simd::Avx2(token) => block_avx2::multiply(token, &block, y),
                        Simd::Avx512Vnni(token) => block_avx512::multiply(token, &block, y),
                    }
                    to.iter_mut().for_each(|to| *to += PANEL);
                }
            }
        }
    }

    /// Packs the weights of some channels, and what becomes of their sums.
    fn pack(
        &mut self,
        simd: Simd,
        channels: &Channels<'_>,
        columns: &impl Columns,
        some: core::ops::Range<usize>,
        steps: usize,
    ) {
        let filled = some.len().div_ceil(PANEL);
        self.panels[..filled * steps].fill([[0; QUAD]; PANEL]);
        self.scales[..filled].fill(Scales::NONE);
        for (place, channel) in some.enumerate() {
            let panel = &mut self.panels[place / PANEL * steps..][..steps];
            let lane = place % PANEL;
            let mut sum = 0_i32;
            columns.visit(channel, |tap, weights| {
                sum = weights
                    .iter()
                    .fold(sum, |sum, &w| sum.wrapping_add(i32::from(w)));
                place_weights(panel, lane, tap, weights);
            });
            let bias = match simd {
                Simd::Avx2(_) => channels.bias[channel],
                // Rows are handed over as `x + 128`.
                Simd::Avx512Vnni(_) => channels.bias[channel].wrapping_sub(sum.wrapping_mul(128)),
            };
            self.scales[place / PANEL].set(
                lane,
                bias,
                channels.multipliers[channel],
                channels.shifts[channel],
            );
        }
    }
}

fn place_weights(panel: &mut [Step], lane: usize, tap: usize, weights: &[i8]) {
    let mut first = tap;
    let mut rest = weights;
    if tap.is_multiple_of(QUAD) {
        let (quads, tail) = weights.as_chunks::<QUAD>();
        for (step, quad) in panel[tap / QUAD..].iter_mut().zip(quads) {
            step[lane] = *quad;
        }
        first += quads.len() * QUAD;
        rest = tail;
    }
    for (tap, &weight) in (first..).zip(rest) {
        panel[tap / QUAD][lane][tap % QUAD] = weight;
    }
}
