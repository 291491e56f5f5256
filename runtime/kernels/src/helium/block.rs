//! Rows of inputs times output channels, and their outputs: what convolution and fully connected have in common.
//!
//! Four rows at a time, each a whole output pixel's inputs. Where two channels are interleaved, eight `VMLADAVA` share four loads of inputs and two of weights; portable
//! weights are read one channel at a time, with predication at their end. The loop over channels, the products and requantize are one `asm!` block, so that layers of
//! few channels pay for no set-up between them. Lanes are pixels: what belongs to a channel are scalars, in a table that is made once for all pixels.

use core::arch::asm;
use core::mem::offset_of;

use ocellus_format::{WeightLayout, ops::OutputS8};

use super::copy::copy;
use super::requantize::Rescale;

/// Rows of a block.
pub(super) const ROWS: usize = 4;
/// Values of one run of the interleaved layout.
pub(super) const RUN: usize = 16;

/// Some output channels of a layer, with their weights and rescales.
pub(super) struct Channels<'a> {
    weights: &'a [i8],
    rescales: &'a [Rescale],
    /// Output channels.
    count: usize,
    interleaved: bool,
    /// Bytes of an input row that are read.
    row: usize,
    /// Runs of a row behind the first: half of them, rounded up, times two, and one where they are odd. For portable weights the bytes of a row.
    loops: usize,
    lanes: Lanes,
}

/// What every block loads, in 16-bit lanes: two of them a pixel, one a channel.
#[repr(C)]
struct Lanes {
    /// Where the first pixel's outputs of two channels go, and those of the next pixels.
    places: [u16; 8],
    min: [i16; 8],
    max: [i16; 8],
    zero_point: [i16; 8],
}

/// What the loops keep in memory. The first nine are copied for each block and change with the channels.
#[repr(C)]
struct State {
    x: [*const i8; ROWS],
    loops: usize,
    rescales: *const Rescale,
    y: *mut i8,
    /// Behind the last pair of channels, or the last channel of portable weights.
    end: *mut i8,
    /// The predicate for one channel more, or 0.
    odd: usize,
    /// The predicate of the pairs.
    pairs: usize,
    weights: *const i8,
    lanes: *const Lanes,
    /// From a block's rows to the next one's, in bytes.
    x_step: usize,
    y_step: usize,
    blocks: usize,
}

/// Bytes of a row that are read where it has `taps` values.
pub(super) fn row_len(layout: WeightLayout, taps: usize) -> usize {
    match layout {
        WeightLayout::Portable => taps,
        _ => taps.next_multiple_of(RUN),
    }
}

impl<'a> Channels<'a> {
    /// The channels from `first` on of a matrix of `taps` values a channel, as many as there are rescales. `pixel` is the distance of outputs. `None` where the
    /// weights have another layout or end before.
    pub(super) fn new(
        (layout, weights): (WeightLayout, &'a [i8]),
        (first, taps): (usize, usize),
        rescales: &'a [Rescale],
        count: usize,
        pixel: usize,
        output: OutputS8,
    ) -> Option<Channels<'a>> {
        let interleaved = match layout {
            WeightLayout::Portable => false,
            WeightLayout::Interleave2x16 => true,
            _ => return None,
        };
        let row = row_len(layout, taps);
        let (read, loops) = if interleaved {
            let rest = (row / RUN).checked_sub(1)?;
            (count.next_multiple_of(2), rest.div_ceil(2) * 2 + rest % 2)
        } else {
            (count, taps)
        };
        let weights = weights.get(first.checked_mul(row)?..)?;
        let fits = weights.len() >= read * row && rescales.len() >= read && row > 0 && count > 0;
        // The last place is three pixels and a channel away.
        if !fits || pixel > usize::from(u16::MAX) / ROWS {
            return None;
        }
        let mut places = [0; 8];
        for (lane, place) in places.iter_mut().enumerate() {
            *place = (lane / 2 * pixel + lane % 2) as u16;
        }
        Some(Channels {
            weights,
            rescales,
            count,
            interleaved,
            row,
            loops,
            lanes: Lanes {
                places,
                min: [output.min.into(); 8],
                max: [output.max.into(); 8],
                zero_point: [output.zero_point.into(); 8],
            },
        })
    }

    /// Writes the channels' outputs of `rows` rows, which begin `step` bytes from each other. `None`, and part of it is not written, where `x` ends before what is
    /// read, or `y` before the outputs.
    pub(super) fn rows(&self, x: &[i8], step: usize, rows: usize, y: &mut [i8]) -> Option<()> {
        let pixel = usize::from(self.lanes.places[2]);
        let last = rows.checked_sub(1)?;
        if x.len() < last * step + self.row || y.len() < last * pixel + self.count {
            return None;
        }
        let (blocks, tail) = (rows / ROWS, rows % ROWS);
        let (x, y) = (x.as_ptr(), y.as_mut_ptr());
        if blocks > 0 {
            self.blocks(x, step, [ROWS, blocks], y);
        }
        if tail > 0 {
            let done = blocks * ROWS;
            let (x, y) = (x.wrapping_add(done * step), y.wrapping_add(done * pixel));
            self.blocks(x, step, [tail, 1], y);
        }
        Some(())
    }

    /// As [`Channels::rows`] of `rows` rows of `len` values behind each other. The last ones, of which more would be read than there is, are copied to `copies` first.
    pub(super) fn rows_of(
        &self,
        x: &[i8],
        [len, rows]: [usize; 2],
        copies: &mut [i8],
        y: &mut [i8],
    ) -> Option<()> {
        let whole = match x.len().checked_sub(self.row) {
            Some(rest) => rows.min(rest.checked_div(len)? + 1),
            None => 0,
        };
        if whole > 0 {
            self.rows(x, len, whole, y)?;
        }
        let pixel = usize::from(self.lanes.places[2]);
        for first in (whole..rows).step_by(ROWS) {
            let count = ROWS.min(rows - first);
            for (i, place) in copies
                .chunks_exact_mut(self.row.max(1))
                .take(count)
                .enumerate()
            {
                let start = (first + i) * len;
                copy(place, x.get(start..start + len)?);
            }
            self.rows(copies, self.row, count, y.get_mut(first * pixel..)?)?;
        }
        Some(())
    }

    /// `blocks` times, at least once, `rows` of one to four rows, whose inputs and outputs [`Channels::rows`] measured.
    #[inline(never)]
    fn blocks(&self, x: *const i8, step: usize, [rows, blocks]: [usize; 2], y: *mut i8) {
        let pixel = usize::from(self.lanes.places[2]);
        // Four bits of the predicate a pixel, the upper two for the second channel.
        let pairs = (1 << (4 * rows)) - 1;
        let first = pairs & 0x3333;
        // A row that is not there is the last one again.
        let mut state = State {
            x: [0, 1, 2, 3].map(|row| x.wrapping_add(step * rows.saturating_sub(1).min(row))),
            loops: self.loops,
            rescales: self.rescales.as_ptr(),
            y,
            end: y.wrapping_add(self.count),
            odd: 0,
            pairs: first,
            weights: self.weights.as_ptr(),
            lanes: &raw const self.lanes,
            x_step: ROWS * step,
            y_step: ROWS * pixel,
            blocks,
        };
        if self.interleaved {
            state.end = y.wrapping_add(self.count / 2 * 2);
            state.odd = if self.count % 2 == 1 { first } else { 0 };
            state.pairs = pairs;
            // SAFETY: `rows` measured the inputs and outputs of every block, `new` weights and rescales of an even count of channels.
            unsafe { interleaved(&mut state) };
        } else {
            // SAFETY: as above, one channel after the other.
            unsafe { portable(&mut state) };
        }
    }
}

/// Pushes what must come back, and makes room for what changes with the channels; loads what stays in vectors. `1:` begins a block.
macro_rules! enter {
    () => {
        "push {{r6, r7}}
         vmrs r6, vpr
         ldr r8, [r12, #{lanes}]
         vldrh.u16 q4, [r8]
         vldrh.u16 q5, [r8, #16]
         vldrh.u16 q6, [r8, #32]
         vldrh.u16 q7, [r8, #48]
         push {{r6, r12}}
         sub sp, #36
         1:
         ldrd r8, r9, [r12, #{pairs}]
         vmsr vpr, r8
         ldm r12, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}
         stm sp, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}"
    };
}

/// On to the next block, or pops what was pushed.
macro_rules! leave {
    () => {
        "ldr r12, [sp, #40]
         ldr r4, [r12, #{x_step}]
         ldm r12, {{r0, r1, r2, r3}}
         add r0, r4
         add r1, r4
         add r2, r4
         add r3, r4
         stm r12, {{r0, r1, r2, r3}}
         ldrd r0, r1, [r12, #{y}]
         ldrd r2, r3, [r12, #{y_step}]
         add r0, r2
         add r1, r2
         subs r3, #1
         strd r0, r1, [r12, #{y}]
         str r3, [r12, #{blocks}]
         bne 1b
         add sp, #36
         pop {{r6, r12}}
         vmsr vpr, r6
         pop {{r6, r7}}"
    };
}

/// Clamps 16-bit lanes around the zero point and stores them from `r10` on, which comes from the stack with the end in `r12`.
macro_rules! store {
    () => {
        "vqadd.s16 q0, q0, q7
         ldrd r10, r12, [sp, #24]
         vmax.s16 q0, q0, q5
         vmin.s16 q0, q0, q6
         vpst
         vstrbt.16 q0, [r10, q4]"
    };
}

/// One run of four rows and two channels.
macro_rules! run {
    ($sum:literal) => {
        concat!(
            "vldrb.u8 q0, [r9], #32\n",
            "vldrb.u8 q2, [r1], #16\n",
            $sum,
            " r0, q0, q2\n",
            "vldrb.u8 q1, [r9, #-16]\n",
            $sum,
            " r8, q1, q2\n",
            "vldrb.u8 q3, [r3], #16\n",
            $sum,
            " r2, q0, q3\n",
            "vldrb.u8 q2, [r5], #16\n",
            $sum,
            " r10, q1, q3\n",
            "vldrb.u8 q3, [r7], #16\n",
            $sum,
            " r4, q0, q2\n",
            $sum,
            " r12, q1, q2\n",
            $sum,
            " r6, q0, q3\n",
            $sum,
            " lr, q1, q3\n",
        )
    };
}

/// Two interleaved channels at a time.
///
/// # Safety
/// Of each row of each of `blocks`, which is not 0, the runs that `loops` says can be read, and as many of two channels from `weights` on for each two channels up to `end`, and two more where
/// `odd` is not 0; so can a rescale a channel, two where there is but the odd one. From `y` to `end`, and one further where there is an odd channel, outputs may be written
/// at the places that the predicates let through.
unsafe fn interleaved(state: &mut State) {
    // SAFETY: the caller's promise is what is read and written. The state is read and written as itself, its first part on the stack. What is pushed is popped: r6 and r7, which the
    // compiler may keep for itself, the predicate and the state's address. Every other register that is written is named as clobbered.
    unsafe {
        asm!(
            enter!(),
            "ldrd r10, r12, [sp, #24]",
            "b 6f",
            "2:",
            "ldm sp, {{r1, r3, r5, r7, r11}}",
            "lsrs r11, r11, #1",
            // The first run begins the sums.
            run!("vmladav.s8"),
            "bcs 4f",
            "beq 5f",
            "3:",
            run!("vmladava.s8"),
            "4:",
            run!("vmladava.s8"),
            "subs r11, #1",
            "bne 3b",
            "5:",
            "vmov q0[2], q0[0], r0, r4",
            "vmov q0[3], q0[1], r2, r6",
            "vmov q1[2], q1[0], r8, r12",
            "vmov q1[3], q1[1], r10, lr",
            "ldr r8, [sp, #20]",
            "ldm r8!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
            "str r8, [sp, #20]",
            "vadd.i32 q0, q0, r0",
            "vadd.i32 q1, q1, r4",
            "vqshl.s32 q0, r2",
            "vqshl.s32 q1, r6",
            "vqdmulh.s32 q0, q0, r1",
            "vqdmulh.s32 q1, q1, r5",
            "vrshl.s32 q0, r3",
            "vrshl.s32 q1, r7",
            "vqmovnb.s32 q0, q0",
            "vqmovnt.s32 q0, q1",
            store!(),
            "adds r10, #2",
            "str r10, [sp, #24]",
            "6:",
            "cmp r10, r12",
            "blo 2b",
            // One channel more, once.
            "ldr r0, [sp, #32]",
            "cbz r0, 7f",
            "vmsr vpr, r0",
            "movs r0, #0",
            "adds r12, #1",
            "str r12, [sp, #28]",
            "str r0, [sp, #32]",
            "b 2b",
            "7:",
            leave!(),
            pairs = const offset_of!(State, pairs),
            lanes = const offset_of!(State, lanes),
            x_step = const offset_of!(State, x_step),
            y = const offset_of!(State, y),
            y_step = const offset_of!(State, y_step),
            blocks = const offset_of!(State, blocks),
            inout("r12") state => _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
        );
    }
}

/// One channel at a time.
///
/// # Safety
/// As [`interleaved`], with `loops` bytes of each row and each channel, and no odd channel. There is a channel.
unsafe fn portable(state: &mut State) {
    // SAFETY: as in `interleaved`; tail predication loads exactly `loops` bytes of rows and weights.
    unsafe {
        asm!(
            enter!(),
            "mov r8, r9",
            "2:",
            "ldm sp, {{r1, r3, r5, r7, r11}}",
            "mov r9, r8",
            "add r8, r11",
            "movs r0, #0",
            "movs r2, #0",
            "movs r4, #0",
            "movs r6, #0",
            "dlstp.8 lr, r11",
            "3:",
            "vldrb.u8 q0, [r9], #16",
            "vldrb.u8 q1, [r1], #16",
            "vmladava.s8 r0, q0, q1",
            "vldrb.u8 q2, [r3], #16",
            "vmladava.s8 r2, q0, q2",
            "vldrb.u8 q1, [r5], #16",
            "vmladava.s8 r4, q0, q1",
            "vldrb.u8 q2, [r7], #16",
            "vmladava.s8 r6, q0, q2",
            "letp lr, 3b",
            "vmov q0[2], q0[0], r0, r4",
            "vmov q0[3], q0[1], r2, r6",
            "ldr r9, [sp, #20]",
            "ldm r9!, {{r0, r1, r2, r3}}",
            "str r9, [sp, #20]",
            "vadd.i32 q0, q0, r0",
            "vqshl.s32 q0, r2",
            "vqdmulh.s32 q0, q0, r1",
            "vrshl.s32 q0, r3",
            "vqmovnb.s32 q0, q0",
            store!(),
            "adds r10, #1",
            "str r10, [sp, #24]",
            "cmp r10, r12",
            "blo 2b",
            leave!(),
            pairs = const offset_of!(State, pairs),
            lanes = const offset_of!(State, lanes),
            x_step = const offset_of!(State, x_step),
            y = const offset_of!(State, y),
            y_step = const offset_of!(State, y_step),
            blocks = const offset_of!(State, blocks),
            inout("r12") state => _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
        );
    }
}
