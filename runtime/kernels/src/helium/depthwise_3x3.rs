//! Depthwise 3x3 windows, sixteen channels at a time.
//!
//! Products of bytes are added in pairs of taps as 16-bit lanes before they are widened: `2 * 128 * 127` does not leave `s16`, so a layer with a weight
//! of -128, which no converter writes, is not taken. Each of the nine taps has a pointer of its own, so that no address is computed in the loop.

use core::arch::asm;
use core::mem::offset_of;

use super::requantize::Requants;

/// Adds the 16-bit sums of even channels (`q6`) and odd channels (`q4`) to the accumulators.
macro_rules! widen {
    () => {
        "vmovlb.s16 q5, q6
         vmovlt.s16 q6, q6
         vadd.i32 q0, q0, q5
         vmovlb.s16 q5, q4
         vadd.i32 q2, q2, q6
         vmovlt.s16 q4, q4
         vadd.i32 q1, q1, q5
         vadd.i32 q3, q3, q4"
    };
}

/// Adds the products of two taps; the second tap's inputs are loaded twice for want of a ninth vector.
macro_rules! pair {
    ($a:literal, $b:literal) => {
        concat!(
            "vldrb.u8 q4, [",
            $a,
            "], #16
             vldrb.u8 q5, [r9]
             add r9, r10
             vmullb.s8 q6, q4, q5
             vmullt.s8 q4, q4, q5
             vldrb.u8 q7, [",
            $b,
            "]
             vldrb.u8 q5, [r9]
             add r9, r10
             vmullb.s8 q7, q7, q5
             vadd.i16 q6, q6, q7
             vldrb.u8 q7, [",
            $b,
            "], #16
             vmullt.s8 q7, q7, q5
             vadd.i16 q4, q4, q7
             ",
            widen!()
        )
    };
}

/// Channels of a block.
const LANES: usize = 16;
/// Taps of a window.
const TAPS: usize = 9;

/// A layer whose every shift has the vector form.
#[derive(Clone, Copy)]
pub(super) struct Channels<'a> {
    weights: &'a [i8],
    bias: &'a [i32],
    multipliers: &'a [i32],
    shifts: &'a [u8],
    zero_point: i32,
    min: i32,
    max: i32,
}

/// What the inner loop keeps in memory.
#[repr(C)]
struct State {
    x: [*const i8; TAPS],
    weights: *const i8,
    channels: usize,
    bias: *const i32,
    multipliers: *const i32,
    shifts: *const u8,
    y: *mut i8,
    zero_point: i32,
    min: i32,
    max: i32,
    /// From the last tap's weights of a block back to the first tap's of the next.
    rewind: usize,
    blocks: usize,
}

impl<'a> Channels<'a> {
    /// `None` where there are fewer than sixteen channels, a weight is -128, a shift has no vector form, or a slice is too short.
    pub(super) fn new(
        channels: usize,
        weights: &'a [i8],
        bias: &'a [i32],
        requants: Requants<'a>,
    ) -> Option<Channels<'a>> {
        let weights = weights.get(..TAPS.checked_mul(channels)?)?;
        let (multipliers, shifts) = requants.narrow(channels)?;
        let smallest = weights.iter().copied().min()?;
        let fits = channels >= LANES && smallest > i8::MIN;
        fits.then_some(Channels {
            weights,
            bias: bias.get(..channels)?,
            multipliers,
            shifts,
            zero_point: i32::from(requants.output().zero_point),
            min: i32::from(requants.output().min),
            max: i32::from(requants.output().max),
        })
    }

    /// Writes the outputs of one pixel, where `y` and every tap hold all channels. The taps of the first row begin at `x`, `x + column` and
    /// `x + 2 * column`, those of the next ones `row` further.
    #[inline]
    pub(super) fn window(&self, x: &[i8], column: usize, row: usize, y: &mut [i8]) {
        let channels = self.bias.len();
        let last = column
            .checked_add(row)
            .and_then(|sum| sum.checked_mul(2))
            .and_then(|at| at.checked_add(channels));
        if y.len() < channels || last.is_none_or(|last| x.len() < last) {
            return;
        }
        let first = x.as_ptr();
        let tap = |ky: usize, kx: usize| first.wrapping_add(ky * row + kx * column);
        let x = [
            tap(0, 0),
            tap(0, 1),
            tap(0, 2),
            tap(1, 0),
            tap(1, 1),
            tap(1, 2),
            tap(2, 0),
            tap(2, 1),
            tap(2, 2),
        ];
        // SAFETY: the last tap ends inside `x`, and every other begins before it.
        unsafe { self.pixel_at(x, y) }
    }

    /// # Safety
    /// `channels` values can be read from each tap on, and `y` is as long.
    #[inline]
    unsafe fn pixel_at(&self, x: [*const i8; TAPS], y: &mut [i8]) {
        let channels = self.bias.len();
        let whole = channels / LANES;
        let done = whole * LANES;
        // SAFETY: the caller's promise, for the first `done` channels.
        unsafe { self.blocks(x, y.as_mut_ptr(), 0, whole) };
        if done < channels {
            // The last block begins early enough to be full; outputs that two blocks share are written twice.
            let first = channels - LANES;
            let x = x.map(|tap| tap.wrapping_add(first));
            // SAFETY: the caller's promise, for the last sixteen of at least sixteen channels.
            unsafe { self.blocks(x, y.as_mut_ptr().wrapping_add(first), first, 1) };
        }
    }

    /// # Safety
    /// `16 * blocks` values can be read from each tap and written from `y` on, `first + 16 * blocks` is at most the channels, and `blocks` is not 0.
    #[inline]
    unsafe fn blocks(&self, x: [*const i8; TAPS], y: *mut i8, first: usize, blocks: usize) {
        let channels = self.bias.len();
        let mut state = State {
            x,
            weights: self.weights.as_ptr().wrapping_add(first),
            channels,
            bias: self.bias.as_ptr().wrapping_add(first),
            multipliers: self.multipliers.as_ptr().wrapping_add(first),
            shifts: self.shifts.as_ptr().wrapping_add(first),
            y,
            zero_point: self.zero_point,
            min: self.min,
            max: self.max,
            rewind: (TAPS - 1) * channels - LANES,
            blocks,
        };
        // SAFETY: each of `blocks` rounds reads sixteen inputs from each tap's pointer, which then moves on by sixteen; sixteen weights from each of nine rows of
        // `channels`; sixteen biases, multipliers and shifts; and writes sixteen outputs. The caller promises that taps and `y` hold them, and channels
        // `first..first + 16 * blocks` lie inside the other slices, which `new` made one value a channel long, the weights nine. The state is read
        // and written as itself. r6 and r7, which the compiler may keep for itself, are pushed and popped; every other register that is written is
        // named as clobbered.
        unsafe {
            asm!(
                "push {{r6, r7}}",
                "mov r12, r11",
                "ldm r12!, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10}}",
                "2:",
                "ldr r12, [r11, #{bias}]",
                // Channels 0, 4, 8, 12 in the first vector, 1, 5, 9, 13 in the second: as widening even and odd lanes twice gives them.
                "vld40.32 {{q0, q1, q2, q3}}, [r12]",
                "vld41.32 {{q0, q1, q2, q3}}, [r12]",
                "vld42.32 {{q0, q1, q2, q3}}, [r12]",
                "vld43.32 {{q0, q1, q2, q3}}, [r12]!",
                "str r12, [r11, #{bias}]",
                pair!("r0", "r1"),
                pair!("r2", "r3"),
                pair!("r4", "r5"),
                pair!("r6", "r7"),
                "vldrb.u8 q4, [r8], #16",
                "vldrb.u8 q5, [r9]",
                "vmullb.s8 q6, q4, q5",
                "vmullt.s8 q4, q4, q5",
                widen!(),
                "ldr r12, [r11, #{multipliers}]",
                "vld40.32 {{q4, q5, q6, q7}}, [r12]",
                "vld41.32 {{q4, q5, q6, q7}}, [r12]",
                "vld42.32 {{q4, q5, q6, q7}}, [r12]",
                "vld43.32 {{q4, q5, q6, q7}}, [r12]!",
                "str r12, [r11, #{multipliers}]",
                "vqdmulh.s32 q0, q0, q4",
                "vqdmulh.s32 q1, q1, q5",
                "vqdmulh.s32 q2, q2, q6",
                "vqdmulh.s32 q3, q3, q7",
                "ldr r12, [r11, #{shifts}]",
                "vldrb.u8 q4, [r12], #16",
                "vmov.i8 q5, #31",
                "str r12, [r11, #{shifts}]",
                "vsub.i8 q4, q5, q4",
                "vmovlb.s8 q5, q4",
                "vmovlt.s8 q4, q4",
                "vmovlb.s16 q6, q5",
                "vmovlt.s16 q5, q5",
                "vrshl.s32 q0, q0, q6",
                "vrshl.s32 q2, q2, q5",
                "vmovlb.s16 q6, q4",
                "vmovlt.s16 q4, q4",
                "vrshl.s32 q1, q1, q6",
                "vrshl.s32 q3, q3, q4",
                "ldrd r12, lr, [r11, #{y}]",
                "vqmovnb.s32 q0, q0",
                "vqmovnb.s32 q1, q1",
                "vqmovnt.s32 q0, q2",
                "vqmovnt.s32 q1, q3",
                "vqadd.s16 q0, q0, lr",
                "vqadd.s16 q1, q1, lr",
                "ldr lr, [r11, #{min}]",
                "vqmovnb.s16 q0, q0",
                "vdup.8 q4, lr",
                "ldr lr, [r11, #{max}]",
                "vqmovnt.s16 q0, q1",
                "vdup.8 q5, lr",
                "vmax.s8 q0, q0, q4",
                "vmin.s8 q0, q0, q5",
                "vstrb.8 q0, [r12], #16",
                "str r12, [r11, #{y}]",
                "ldrd r12, lr, [r11, #{rewind}]",
                "sub r9, r12",
                "subs lr, #1",
                "str lr, [r11, #{blocks}]",
                "bne 2b",
                "pop {{r6, r7}}",
                bias = const offset_of!(State, bias),
                multipliers = const offset_of!(State, multipliers),
                shifts = const offset_of!(State, shifts),
                y = const offset_of!(State, y),
                min = const offset_of!(State, min),
                max = const offset_of!(State, max),
                rewind = const offset_of!(State, rewind),
                blocks = const offset_of!(State, blocks),
                in("r11") &raw mut state,
                out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
                out("r8") _, out("r9") _, out("r10") _, out("r12") _, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                out("d8") _, out("d9") _, out("d10") _, out("d11") _,
                out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            );
        }
    }
}
