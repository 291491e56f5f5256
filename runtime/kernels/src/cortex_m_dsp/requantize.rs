//! Accumulators into `s8`.

use ocellus_format::{Requant, ops::OutputS8};

use super::simd::{beyond, clamp_bytes, saturate, smmla};
use crate::generic::{SMMLA_SHIFTS, smmla_constant};
use crate::reference;

/// Output channels: where their sums begin, and what becomes of them.
#[derive(Clone, Copy)]
pub(super) struct Channels<'a> {
    pub(super) bias: &'a [i32],
    pub(super) multipliers: &'a [i32],
    pub(super) shifts: &'a [u8],
    pub(super) output: OutputS8,
    /// Every shift has the short form.
    short: bool,
}

impl<'a> Channels<'a> {
    /// Channels `first..first + count` of a layer; `None` where the slices are shorter.
    pub(super) fn new(
        bias: &'a [i32],
        multipliers: &'a [i32],
        shifts: &'a [u8],
        output: OutputS8,
        first: usize,
        count: usize,
    ) -> Option<Channels<'a>> {
        let some = first..first.checked_add(count)?;
        let shifts = shifts.get(some.clone())?;
        Some(Channels {
            bias: bias.get(some.clone())?,
            multipliers: multipliers.get(some)?,
            shifts,
            output,
            short: all_short(shifts),
        })
    }

    /// True where every channel is rescaled by `SMMLA`, `ASR`, `SSAT`; the clamp comes after that.
    pub(super) fn is_short(&self) -> bool {
        self.short
    }

    /// The channels from `first` on.
    pub(super) fn from(&self, first: usize) -> Channels<'a> {
        Channels {
            bias: self.bias.get(first..).unwrap_or(&[]),
            multipliers: self.multipliers.get(first..).unwrap_or(&[]),
            shifts: self.shifts.get(first..).unwrap_or(&[]),
            ..*self
        }
    }

    /// Outputs of complete accumulators, one a channel, from the first channel on.
    #[inline(never)]
    pub(super) fn finish(&self, accumulators: &[i32], y: &mut [i8]) {
        let rescales = self.multipliers.iter().zip(self.shifts);
        for ((&acc, (&multiplier, &shift)), y) in accumulators.iter().zip(rescales).zip(y) {
            *y = finish(acc, Requant { multiplier, shift }, self.output, self.short);
        }
    }

    /// Applies the clamp to outputs that are only saturated.
    pub(super) fn clamp(&self, y: &mut [i8]) {
        clamp(self.output, y);
    }
}

/// True where every shift has the short form. Four are looked at at a time.
fn all_short(shifts: &[u8]) -> bool {
    let (words, tail) = shifts.as_chunks::<4>();
    let outside = words.iter().fold(0, |outside, word| {
        outside
            | beyond(
                u32::from_le_bytes(*word),
                *SMMLA_SHIFTS.start(),
                *SMMLA_SHIFTS.end(),
            )
    });
    outside == 0 && tail.iter().all(|shift| SMMLA_SHIFTS.contains(shift))
}

/// The output of a complete accumulator; `short` where its shift has the short form.
#[inline]
pub(super) fn finish(acc: i32, r: Requant, output: OutputS8, short: bool) -> i8 {
    if !short {
        return finish_long(acc, r, output);
    }
    let high = smmla(
        acc,
        r.multiplier,
        smmla_constant(r.shift, output.zero_point),
    );
    let value = saturate(high.wrapping_shr(u32::from(r.shift).wrapping_sub(32)));
    value.max(output.min).min(output.max)
}

#[cold]
#[inline(never)]
fn finish_long(acc: i32, r: Requant, output: OutputS8) -> i8 {
    output.finish(reference::requantize(acc, r))
}

/// Applies the clamp to outputs that are only saturated.
#[inline(never)]
pub(super) fn clamp(output: OutputS8, y: &mut [i8]) {
    let OutputS8 { min, max, .. } = output;
    if (min, max) == (i8::MIN, i8::MAX) {
        return;
    }
    let all = |byte: i8| u32::from(byte as u8) * 0x0101_0101;
    let (words, tail) = y.as_chunks_mut::<4>();
    for word in words {
        let value = u32::from_le_bytes(bytemuck::cast(*word));
        *word = bytemuck::cast(clamp_bytes(value, all(min), all(max)).to_le_bytes());
    }
    for y in tail {
        *y = (*y).max(min).min(max);
    }
}
