//! Depthwise 2-D convolution by dot products, eight channels at a time.
//!
//! Four columns of a row of eight channels, interleaved, are what `SDOT` wants: four values of each channel side by side. A row of the window is
//! then one product with its weights in the first places, and with the weights moved on for the next output. A strip of the picture, as wide as two outputs need, is
//! interleaved once from top to bottom; every row of it serves all rows of the window.

use core::arch::{aarch64::*, asm};
use core::mem::MaybeUninit;

use ocellus_format::ops::{DepthwiseConv2d, Window2d};

use super::NeonDot;
use super::requantize::{Finish, Scales, all_high};
use crate::ConvIo;

/// Channels of a block.
const LANES: usize = 8;
/// Outputs of a row at a time.
const COLUMNS: usize = 2;
/// Output rows of a strip at most.
const STRIP: usize = 64;
/// Columns of the picture at most: two quads.
const REACH: usize = 8;
/// Rows of a strip at most, and their quads.
const STRIP_QUADS: usize = 2 * ((STRIP - 1) * 2 + 5);

/// Four columns of eight channels: of the first four channels, of the others.
type Quad = [int8x16_t; 2];

/// Runs a layer whose lengths have been checked; `false`, and nothing is done, where another kernel has to.
pub(super) fn depthwise_conv_2d_s8(_: NeonDot, p: &DepthwiseConv2d, io: &mut ConvIo<'_>) -> bool {
    let w = &p.window;
    let square = w.kernel_h == w.kernel_w && w.stride_h == w.stride_w;
    if p.multiplier != 1
        || !square
        || w.dilation_h != 1
        || w.dilation_w != 1
        || (p.in_c as usize) < LANES
        || (w.out_w as usize) < COLUMNS
        || !all_high(io.shifts)
    {
        return false;
    }
    // SAFETY: the token proves the dot product.
    unsafe {
        match (w.kernel_h, w.stride_h) {
            (3, 1) => layer::<3, 1, 1>(p, io),
            (5, 1) => layer::<5, 1, 2>(p, io),
            (5, 2) => layer::<5, 2, 2>(p, io),
            _ => return false,
        }
    }
    true
}

/// A window of `K` by `K` with steps of `S`; the columns under two outputs fit `Q` quads.
#[target_feature(enable = "neon,dotprod")]
fn layer<const K: usize, const S: usize, const Q: usize>(p: &DepthwiseConv2d, io: &mut ConvIo<'_>) {
    let plain = Finish::is_plain(p.output, io.shifts, p.acc_bound);
    let w = &p.window;
    let channels = p.in_c as usize;
    let finish = Finish::new(p.output);
    let padding = [p.zero_point_in; LANES];
    for start in (0..channels).step_by(LANES) {
        // The last block begins early enough to be full; what two blocks share is written twice.
        let first = start.min(channels - LANES);
        let scales = Scales::new(
            &io.bias[first..first + LANES],
            &io.multipliers[first..first + LANES],
            &io.shifts[first..first + LANES],
        );
        let weights = interleave_weights::<K, S, Q>(&io.weights[first..], channels);
        for row in (0..w.out_h as usize).step_by(STRIP) {
            let rows = (w.out_h as usize - row).min(STRIP);
            for column in (0..w.out_w as usize).step_by(COLUMNS) {
                let strip = Strip {
                    window: w,
                    channels,
                    first,
                    row,
                    rows,
                    column: column.min(w.out_w as usize - COLUMNS),
                };
                let mut quads = [const { MaybeUninit::<Quad>::uninit() }; STRIP_QUADS];
                strip.interleave::<K, S, Q>(io.x, &padding, &mut quads);
                if plain {
                    strip.outputs::<K, S, Q, true>(&quads, &weights, &scales, finish, io.y);
                } else {
                    strip.outputs::<K, S, Q, false>(&quads, &weights, &scales, finish, io.y);
                }
            }
        }
    }
}

/// The quads of each row of the window, for each of the two outputs.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn interleave_weights<const K: usize, const S: usize, const Q: usize>(
    weights: &[i8],
    stride: usize,
) -> [[[Quad; Q]; COLUMNS]; K] {
    core::array::from_fn(|ky| {
        core::array::from_fn(|column| {
            core::array::from_fn(|quad| {
                let taps = core::array::from_fn(|place| {
                    let tap = (4 * quad + place).checked_sub(column * S);
                    match tap.filter(|&kx| kx < K) {
                        Some(kx) => eight(&weights[(ky * K + kx) * stride..]),
                        None => vdup_n_s8(0),
                    }
                });
                interleave(taps)
            })
        })
    })
}

/// The first eight values.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn eight(values: &[i8]) -> int8x8_t {
    // SAFETY: the slice has eight values.
    unsafe { vld1_s8(values[..LANES].as_ptr()) }
}

/// Four values of each channel side by side.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn interleave([a, b, c, d]: [int8x8_t; 4]) -> Quad {
    let (low, high): (int8x16_t, int8x16_t);
    // SAFETY: the instructions read and write the registers that are named, and nothing else.
    unsafe {
        // The compiler would interleave halves and put them together.
        asm!(
            "zip1 {even:v}.16b, {a:v}.16b, {c:v}.16b",
            "zip1 {odd:v}.16b, {b:v}.16b, {d:v}.16b",
            "zip1 {low:v}.16b, {even:v}.16b, {odd:v}.16b",
            "zip2 {high:v}.16b, {even:v}.16b, {odd:v}.16b",
            a = in(vreg) a,
            b = in(vreg) b,
            c = in(vreg) c,
            d = in(vreg) d,
            even = out(vreg) _,
            odd = out(vreg) _,
            low = out(vreg) low,
            high = lateout(vreg) high,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [low, high]
}

/// Two columns of outputs of a block of channels.
struct Strip<'a> {
    window: &'a Window2d,
    /// Of the picture.
    channels: usize,
    /// First channel of the block.
    first: usize,
    /// First output row, and how many.
    row: usize,
    rows: usize,
    /// First output column.
    column: usize,
}

impl Strip<'_> {
    /// Interleaves the rows under the strip.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn interleave<const K: usize, const S: usize, const Q: usize>(
        &self,
        x: &[i8],
        padding: &[i8; LANES],
        quads: &mut [MaybeUninit<Quad>; STRIP_QUADS],
    ) {
        let w = self.window;
        let stride = w.in_w as usize * self.channels;
        // Rows above the picture, inside, below.
        let rows = (self.rows - 1) * S + K;
        let above = (w.pad_top as usize).saturating_sub(self.row * S).min(rows);
        let iy = (self.row * S + above).saturating_sub(w.pad_top as usize);
        let inside = (w.in_h as usize).saturating_sub(iy).min(rows - above);
        let empty = interleave([eight(padding); 4]);
        for quad in quads[..above * Q].iter_mut() {
            quad.write(empty);
        }
        for quad in quads[(above + inside) * Q..rows * Q].iter_mut() {
            quad.write(empty);
        }
        if inside == 0 {
            return;
        }
        // A column beside the picture is the padding, again and again.
        let mut at = [padding.as_ptr(); REACH];
        let mut step = [0; REACH];
        for (index, (at, step)) in at.iter_mut().zip(&mut step).enumerate().take(K + S) {
            let ix = (self.column * S + index).checked_sub(w.pad_left as usize);
            if let Some(ix) = ix.filter(|&ix| ix < w.in_w as usize) {
                let place = (iy * w.in_w as usize + ix) * self.channels + self.first;
                *at = x[place..place + (inside - 1) * stride + LANES].as_ptr();
                *step = stride;
            }
        }
        for quads in quads[above * Q..(above + inside) * Q].chunks_exact_mut(Q) {
            for (index, quad) in quads.iter_mut().enumerate() {
                let columns = core::array::from_fn(|place| {
                    let column = (4 * index + place).min(K + S - 1);
                    // SAFETY: of a column inside, the slice above has eight values in each of `inside` rows; the padding has eight.
                    unsafe { vld1_s8(at[column]) }
                });
                quad.write(interleave(columns));
            }
            for (at, step) in at.iter_mut().zip(&step).take(K + S) {
                *at = at.wrapping_add(*step);
            }
        }
    }

    /// Multiplies and writes the outputs.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn outputs<const K: usize, const S: usize, const Q: usize, const PLAIN: bool>(
        &self,
        quads: &[MaybeUninit<Quad>; STRIP_QUADS],
        weights: &[[[Quad; Q]; COLUMNS]; K],
        scales: &Scales,
        finish: Finish,
        y: &mut [i8],
    ) {
        let line = self.window.out_w as usize * self.channels;
        let to = self.row * line + self.column * self.channels + self.first;
        let len = (self.rows - 1) * line + self.channels + LANES;
        let y = &mut y[to..to + len];
        let weights = *weights;
        let mut row = 0;
        while row < self.rows {
            let quads = quads[row * S * Q..].as_ptr().cast::<Quad>();
            // SAFETY: `interleave` has written every quad of the rows under the strip, and `y` has the outputs of all rows of the strip.
            unsafe {
                let y = y.as_mut_ptr().add(row * line);
                if row + 2 <= self.rows {
                    let places = [y, y.add(line)];
                    self.rows_of::<K, S, Q, 2, PLAIN>(quads, &weights, scales, finish, places);
                    row += 2;
                } else {
                    self.rows_of::<K, S, Q, 1, PLAIN>(quads, &weights, scales, finish, [y]);
                    row += 1;
                }
            }
        }
    }

    /// Two outputs in each of `R` rows.
    ///
    /// # Safety
    /// `quads` points to the quads under the rows; each of `y` to the first of two pixels of the strip.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn rows_of<
        const K: usize,
        const S: usize,
        const Q: usize,
        const R: usize,
        const PLAIN: bool,
    >(
        &self,
        quads: *const Quad,
        weights: &[[[Quad; Q]; COLUMNS]; K],
        scales: &Scales,
        finish: Finish,
        y: [*mut i8; R],
    ) {
        let mut acc = [[[scales.bias4(0), scales.bias4(1)]; COLUMNS]; R];
        for (ky, weights) in weights.iter().enumerate() {
            for (row, acc) in acc.iter_mut().enumerate() {
                for quad in 0..Q {
                    // SAFETY: the caller says so.
                    let x = unsafe { quads.add((row * S + ky) * Q + quad).read() };
                    for (acc, weights) in acc.iter_mut().zip(weights) {
                        acc[0] = sdot(acc[0], x[0], weights[quad][0]);
                        acc[1] = sdot(acc[1], x[1], weights[quad][1]);
                    }
                }
            }
        }
        let (low, high) = (scales.scale4(0), scales.scale4(1));
        for ([[a, b], [c, d]], y) in acc.into_iter().zip(y) {
            let sixteen = finish.sixteen_or::<PLAIN>([
                low.apply::<true>(a),
                high.apply::<true>(b),
                low.apply::<true>(c),
                high.apply::<true>(d),
            ]);
            // SAFETY: the caller says so.
            unsafe {
                vst1_s8(y, vget_low_s8(sixteen));
                vst1_s8(y.add(self.channels), vget_high_s8(sixteen));
            }
        }
    }
}

/// `SDOT`; the intrinsic is not stable.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes the registers that are named, and nothing else.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {a:v}.16b, {b:v}.16b",
            acc = inout(vreg) acc,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}
