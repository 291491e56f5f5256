//! Depthwise 2-D convolution of `s8` by `s8`, sixteen channels at a time; weights `Hwc`.
//!
//! Taps go in pairs: two products of which none is of -128 by -128 fit 16 bits, and their sum is added to 32 bits. Where a weight is -128, each product is added
//! by itself. Input rows are copied with their padding, and with each channel repeated where there is a channel multiplier.

use core::arch::{aarch64::*, asm};
use core::mem::MaybeUninit;

use ocellus_format::{Isa, ops::DepthwiseConv2d};

use super::product::{Line, Lines};
use super::requantize::{Finish, Scale4, Scales, all_high};
use super::rows::PaddedRows;
use super::store::offsets_opaque;
use super::{NeonDot, depthwise_dot};
use crate::{ConvIo, reference, select};

/// Channels of a block.
const LANES: usize = 16;
/// Taps of a window at most.
const WINDOW_MAX: usize = select::NEON_RUNS_MAX as usize;
/// Blocks of channels that go over the picture at a time at most.
const BLOCKS: usize = 64;

/// With the token of the dot product, where the machine has it.
pub(super) fn depthwise_conv_2d_s8(
    isa: Isa,
    dot: Option<NeonDot>,
    p: &DepthwiseConv2d,
    mut io: ConvIo<'_>,
) {
    let w = &p.window;
    let out_c = p.out_c() as usize;
    let window = w.kernel_h as usize * w.kernel_w as usize;
    let (Some(weights), Some(bias), Some(multipliers), Some(shifts)) = (
        io.weights.get(..window * out_c),
        io.bias.get(..out_c),
        io.multipliers.get(..out_c),
        io.shifts.get(..out_c),
    ) else {
        reference::depthwise_conv_2d_s8(p, io);
        return;
    };
    if select::depthwise_conv_2d(isa, p).isa == Isa::Reference
        || io.x.len() < w.in_h as usize * w.in_w as usize * p.in_c as usize
        || io.y.len() < w.out_h as usize * w.out_w as usize * out_c
    {
        reference::depthwise_conv_2d_s8(p, io);
        return;
    }
    if dot.is_some_and(|token| depthwise_dot::depthwise_conv_2d_s8(token, p, &mut io)) {
        return;
    }
    // A block reads sixteen weights of a tap; fewer channels than that are padded.
    let mut narrow;
    let (weights, weights_stride) = if out_c < LANES {
        narrow = [0; WINDOW_MAX * LANES];
        for (to, from) in narrow
            .chunks_exact_mut(LANES)
            .zip(weights.chunks_exact(out_c))
        {
            to[..out_c].copy_from_slice(from);
        }
        (&narrow[..window * LANES], LANES)
    } else {
        (weights, out_c)
    };
    let lines = PaddedRows {
        window: w,
        x: io.x,
        in_c: p.in_c as usize,
        first_c: 0,
        channels: p.in_c as usize,
        repeat: p.multiplier as usize,
        zero_point: p.zero_point_in,
        top: -(w.pad_top as isize),
        left: -(w.pad_left as isize),
        to: 0,
        to_stride: out_c,
        to_row_stride: w.out_w as usize * out_c,
    };
    let plain =
        all_high(shifts) && weights.iter().fold(0, |least, &weight| weight.min(least)) != i8::MIN;
    let finish = Finish::new(p.output);
    for first in (0..out_c).step_by(BLOCKS * LANES) {
        let end = out_c.min(first + BLOCKS * LANES);
        let mut scales = [const { MaybeUninit::<[Scales; 2]>::uninit() }; BLOCKS];
        let starts = || {
            (first..end)
                .step_by(LANES)
                .map(|start| start.min(out_c.saturating_sub(LANES)))
        };
        let (scales, _) = scales.split_at_mut((end - first).div_ceil(LANES));
        for (scales, start) in scales.iter_mut().zip(starts()) {
            scales.write([0, 8].map(|half| {
                let some = (start + half).min(out_c)..(start + half + 8).min(out_c);
                Scales::new(
                    &bias[some.clone()],
                    &multipliers[some.clone()],
                    &shifts[some],
                )
            }));
        }
        // SAFETY: there is a start for each of them, and the loop has written them all.
        let scales = unsafe { scales.assume_init_ref() };
        lines.for_each(|line| {
            let mut taps = [0; WINDOW_MAX];
            let Some(taps) = taps.get_mut(..window) else {
                return;
            };
            let runs_of_row = line
                .runs
                .len()
                .checked_div(w.kernel_h as usize)
                .unwrap_or(0);
            let rows = taps.chunks_exact_mut(w.kernel_w as usize);
            if runs_of_row == 1 {
                for (row, &run) in rows.zip(line.runs) {
                    for (kx, tap) in row.iter_mut().enumerate() {
                        *tap = run + kx * out_c;
                    }
                }
            } else {
                taps.copy_from_slice(line.runs);
            }
            for (scales, start) in scales.iter().zip(starts()) {
                let block = Block {
                    line,
                    taps,
                    weights: &weights[start..],
                    weights_stride,
                    scales,
                    finish,
                    start,
                    channels: out_c.min(LANES),
                };
                block.run(plain, io.y);
            }
        });
    }
}

/// Sixteen channels of a line.
struct Block<'a> {
    line: &'a Line<'a>,
    /// Where the taps lie, from a pixel's first on.
    taps: &'a [usize],
    weights: &'a [i8],
    /// From the weights of one tap to those of the next.
    weights_stride: usize,
    scales: &'a [Scales; 2],
    finish: Finish,
    /// First channel.
    start: usize,
    /// Outputs of a pixel that are somebody's.
    channels: usize,
}

impl Block<'_> {
    /// Every pixel. `plain` is true where pairs of products fit 16 bits and the short form of requantize is exact.
    fn run(&self, plain: bool, y: &mut [i8]) {
        let line = self.line;
        let (last_x, last_y) = line.last();
        let to = line.to + self.start;
        let end = to + last_y + self.channels;
        let far = self.taps.iter().fold(0, |far, &tap| far.max(tap));
        let read = line.first + self.start + last_x + far + LANES;
        let weights = (self.taps.len() - 1) * self.weights_stride + LANES;
        if end > y.len() || read > line.x.len() || weights > self.weights.len() {
            return;
        }
        // A store of sixteen outputs may reach over those of the next pixels, which are written later, but not beyond the row.
        let whole = if self.channels == LANES {
            line.count
        } else {
            let reach = LANES.div_ceil(line.to_stride.max(1));
            line.count.saturating_sub(reach)
        };
        let pixels = Pixels {
            // SAFETY: by the sums above every tap of every pixel lies in `x`, sixteen values of it, and every output in `y`.
            x: unsafe { line.x.as_ptr().add(line.first + self.start) },
            // SAFETY: as above.
            y: unsafe { y.as_mut_ptr().add(to) },
            line,
            whole,
        };
        // SAFETY: as above; the weights have sixteen values a tap.
        unsafe {
            match (plain, self.taps.first_chunk::<9>()) {
                (true, Some(taps)) if self.taps.len() == 9 => self.nine_taps(taps, &pixels),
                (true, _) => self.any_taps::<true>(&pixels),
                (false, _) => self.any_taps::<false>(&pixels),
            }
        }
    }

    /// A window of nine taps, whose weights stay in registers.
    ///
    /// # Safety
    /// Every tap of every pixel can be read and every output written, sixteen values of it up to `whole`, and the weights have sixteen values a tap.
    #[inline(never)]
    unsafe fn nine_taps(&self, taps: &[usize; 9], pixels: &Pixels<'_>) {
        let taps = offsets_opaque(*taps);
        let weights: [int8x16_t; 9] = core::array::from_fn(|tap| {
            // SAFETY: the caller says so.
            unsafe { vld1q_s8(self.weights.as_ptr().add(tap * self.weights_stride)) }
        });
        let scale = self.scale();
        pixels.for_each(|x, y, whole| {
            let mut acc = self.bias();
            for pair in 0..4 {
                // SAFETY: the caller says so.
                unsafe {
                    let (a, b) = (
                        vld1q_s8(x.add(taps[2 * pair])),
                        vld1q_s8(x.add(taps[2 * pair + 1])),
                    );
                    add_pair(&mut acc, [a, b], [weights[2 * pair], weights[2 * pair + 1]]);
                }
            }
            // SAFETY: the caller says so.
            unsafe {
                add_one(&mut acc, vld1q_s8(x.add(taps[8])), weights[8]);
                let out = self.finish.sixteen(core::array::from_fn(|quarter| {
                    scale[quarter].apply::<true>(acc[quarter])
                }));
                self.put(y, whole, out);
            }
        });
    }

    /// Any window.
    ///
    /// # Safety
    /// That of [`Block::nine_taps`].
    #[inline(never)]
    unsafe fn any_taps<const PLAIN: bool>(&self, pixels: &Pixels<'_>) {
        let scale = self.scale();
        let (pairs, last) = self.taps.as_chunks::<2>();
        pixels.for_each(|x, y, whole| {
            let mut acc = self.bias();
            let mut w = self.weights.as_ptr();
            for &[a, b] in pairs {
                // SAFETY: the caller says so.
                unsafe {
                    let x = [vld1q_s8(x.add(a)), vld1q_s8(x.add(b))];
                    let next = w.add(self.weights_stride);
                    let weights = [vld1q_s8(w), vld1q_s8(next)];
                    if PLAIN {
                        add_pair(&mut acc, x, weights);
                    } else {
                        add_one(&mut acc, x[0], weights[0]);
                        add_one(&mut acc, x[1], weights[1]);
                    }
                    w = next.wrapping_add(self.weights_stride);
                }
            }
            // SAFETY: the caller says so.
            unsafe {
                if let [tap] = last {
                    add_one(&mut acc, vld1q_s8(x.add(*tap)), vld1q_s8(w));
                }
                let out = self.finish.sixteen(core::array::from_fn(|quarter| {
                    scale[quarter].apply::<PLAIN>(acc[quarter])
                }));
                self.put(y, whole, out);
            }
        });
    }

    #[inline(always)]
    fn bias(&self) -> [int32x4_t; 4] {
        let [a, b] = self.scales;
        [a.bias4(0), a.bias4(1), b.bias4(0), b.bias4(1)]
    }

    #[inline(always)]
    fn scale(&self) -> [Scale4; 4] {
        let [a, b] = self.scales;
        [a.scale4(0), a.scale4(1), b.scale4(0), b.scale4(1)]
    }

    /// Writes the outputs of a pixel, all sixteen where `whole`.
    ///
    /// # Safety
    /// They can be written.
    #[inline(always)]
    unsafe fn put(&self, y: *mut i8, whole: bool, out: int8x16_t) {
        if whole {
            // SAFETY: the caller says so.
            unsafe { vst1q_s8(y, out) };
            return;
        }
        let mut bytes = [0_i8; LANES];
        // SAFETY: `bytes` has sixteen values; the caller says that the outputs can be written.
        unsafe {
            vst1q_s8(bytes.as_mut_ptr(), out);
            y.copy_from_nonoverlapping(bytes.as_ptr(), self.channels);
        }
    }
}

/// The pixels of a line.
struct Pixels<'a> {
    x: *const i8,
    y: *mut i8,
    line: &'a Line<'a>,
    /// How many of a row may be written sixteen outputs at a time.
    whole: usize,
}

impl Pixels<'_> {
    /// Hands every pixel over: its first tap, its first output, and whether sixteen may be written.
    #[inline(always)]
    fn for_each(&self, mut pixel: impl FnMut(*const i8, *mut i8, bool)) {
        for row in 0..self.line.rows {
            let mut x = self.x.wrapping_add(row * self.line.row_stride);
            let mut y = self.y.wrapping_add(row * self.line.to_row_stride);
            for index in 0..self.line.count {
                pixel(x, y, index < self.whole);
                x = x.wrapping_add(self.line.stride);
                y = y.wrapping_add(self.line.to_stride);
            }
        }
    }
}

/// Adds the products of two taps of sixteen channels, which fit 16 bits.
#[inline(always)]
fn add_pair(acc: &mut [int32x4_t; 4], [a, b]: [int8x16_t; 2], [wa, wb]: [int8x16_t; 2]) {
    let (low, high): (int16x8_t, int16x8_t);
    // SAFETY: the instructions read and write the registers that are named, and nothing else.
    unsafe {
        // The compiler would move the upper halves of the weights to registers of their own, of which there are not enough.
        asm!(
            "smull {low:v}.8h, {a:v}.8b, {wa:v}.8b",
            "smull2 {high:v}.8h, {a:v}.16b, {wa:v}.16b",
            "smlal {low:v}.8h, {b:v}.8b, {wb:v}.8b",
            "smlal2 {high:v}.8h, {b:v}.16b, {wb:v}.16b",
            low = out(vreg) low,
            high = out(vreg) high,
            a = in(vreg) a,
            b = in(vreg) b,
            wa = in(vreg) wa,
            wb = in(vreg) wb,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    add_words(acc, low, high);
}

/// Adds the products of one tap of sixteen channels.
#[inline(always)]
fn add_one(acc: &mut [int32x4_t; 4], a: int8x16_t, w: int8x16_t) {
    let (low, high): (int16x8_t, int16x8_t);
    // SAFETY: the instructions read and write the registers that are named, and nothing else.
    unsafe {
        asm!(
            "smull {low:v}.8h, {a:v}.8b, {w:v}.8b",
            "smull2 {high:v}.8h, {a:v}.16b, {w:v}.16b",
            low = out(vreg) low,
            high = lateout(vreg) high,
            a = in(vreg) a,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    add_words(acc, low, high);
}

#[inline(always)]
fn add_words(acc: &mut [int32x4_t; 4], low: int16x8_t, high: int16x8_t) {
    // SAFETY: AArch64 has Advanced SIMD.
    unsafe {
        acc[0] = vaddw_s16(acc[0], vget_low_s16(low));
        acc[1] = vaddw_high_s16(acc[1], low);
        acc[2] = vaddw_s16(acc[2], vget_low_s16(high));
        acc[3] = vaddw_high_s16(acc[3], high);
    }
}
