//! Transposed 2-D convolution of `s8` by `s8`: the taps that reach an output pixel are gathered into a row, the others are the zero point, and
//! [channels](super::block) of one group are multiplied with it.
//!
//! Scratch: the rescales of some channels, then some gathered rows.

use ocellus_format::{Isa, WeightLayout, ops::TransposeConv2d};

use super::block::Channels;
use super::copy::{copy, fill};
use super::requantize::{Rescale, rescales};
use crate::{
    ConvIo, reference,
    select::{self, CHANNELS_MAX},
};

pub(super) fn transpose_conv_2d_s8(p: &TransposeConv2d, mut io: ConvIo<'_>) {
    if convolve(p, &mut io).is_none() {
        reference::transpose_conv_2d_s8(p, io);
    }
}

/// `None` where scratch is missing or an operand is too short.
fn convolve(p: &TransposeConv2d, io: &mut ConvIo<'_>) -> Option<()> {
    let w = &p.window;
    let chosen = select::transpose_conv_2d(Isa::Helium, p);
    if chosen.isa != Isa::Helium {
        return None;
    }
    let out_c = p.out_c as usize;
    let group_in_c = p.in_c.checked_div(p.groups)? as usize;
    let group_out_c = p.out_c.checked_div(p.groups)?;
    let taps = w.kernel_h as usize * w.kernel_w as usize * group_in_c;
    let scratch = io.scratch.get_mut(..chosen.scratch_bytes as usize)?;
    let table_bytes = select::rescales_bytes(group_out_c) as usize;
    let (table, rows) = scratch.split_at_mut_checked(table_bytes)?;
    let table: &mut [Rescale] = bytemuck::try_cast_slice_mut(table).ok()?;
    let rows: &mut [i8] = bytemuck::cast_slice_mut(rows);
    let batch = rows.len().checked_div(taps)?.max(1);
    let pixels = w.out_h as usize * w.out_w as usize;
    let group_out_c = group_out_c as usize;
    for group in 0..p.groups as usize {
        for first in (0..group_out_c).step_by(CHANNELS_MAX) {
            let count = CHANNELS_MAX.min(group_out_c - first);
            let first_oc = group * group_out_c + first;
            let members = first_oc..first_oc + count;
            rescales(
                io.bias.get(members.clone())?,
                io.multipliers.get(members.clone())?,
                io.shifts.get(members)?,
                table,
            )?;
            // A row has the zero point where no tap is, so what it gives goes out of the bias, of every tap.
            let weights = io.weights.get(first_oc * taps..)?;
            for ([bias, ..], weights) in table.iter_mut().zip(weights.chunks_exact(taps)) {
                let sum = weights.iter().fold(0_i32, |sum, &w| sum + i32::from(w));
                *bias = bias.wrapping_sub(sum.wrapping_mul(p.zero_point_in.into()));
            }
            let matrix = (WeightLayout::Portable, io.weights);
            let channels = Channels::new(matrix, (first_oc, taps), table, count, out_c, p.output)?;
            let (mut oy, mut ox) = (0, 0);
            for at in (0..pixels).step_by(batch) {
                let some = batch.min(pixels - at);
                for row in rows.chunks_exact_mut(taps).take(some) {
                    gather(p, io.x, [oy, ox], group * group_in_c, group_in_c, row);
                    ox += 1;
                    if ox == w.out_w {
                        (oy, ox) = (oy + 1, 0);
                    }
                }
                let y = io.y.get_mut(at * out_c + first_oc..)?;
                channels.rows(rows, taps, some, y)?;
            }
        }
    }
    Some(())
}

/// The taps that reach an output pixel, of `run` channels from `first` on.
fn gather(
    p: &TransposeConv2d,
    x: &[i8],
    [oy, ox]: [u32; 2],
    first: usize,
    run: usize,
    row: &mut [i8],
) {
    let w = &p.window;
    fill(row, p.zero_point_in);
    let mut taps = row.chunks_exact_mut(run.max(1));
    for ky in 0..w.kernel_h {
        let iy = p.row(oy, ky);
        for (kx, tap) in (0..w.kernel_w).zip(&mut taps) {
            if let (Some(iy), Some(ix)) = (iy, p.column(ox, kx)) {
                let pixel = iy as usize * w.in_w as usize + ix as usize;
                copy(tap, x.get(pixel * p.in_c as usize + first..).unwrap_or(&[]));
            }
        }
    }
}
