//! 2-D convolution of `s8` by `s8`, one weight scale an output channel.
//!
//! Three output pixels at a time: their inputs are widened to 16 bits once, in the order of the products, then multiplied with every output channel.
//!
//! Scratch: the widened rows, then records of channels that share weights, as many as are done at once, then bytes of windows that reach into the padding or whose rows are no whole runs.

use ocellus_format::{Isa, ops::Conv2d};

use super::pair_block::Record;
use super::product::Product;
use super::requantize::{Channels, clamp};
use super::rows::{ROWS, RUN, Run};
use super::windows::Windows;
use crate::{
    ConvIo, reference,
    select::{self, pair_records},
};

pub(super) fn conv_2d_s8(p: &Conv2d, io: ConvIo<'_>) {
    let chosen = select::conv_2d(Isa::CortexMDsp, p);
    let scratch = io.scratch.get_mut(..chosen.scratch_bytes as usize);
    let (Isa::CortexMDsp, Some(scratch)) = (chosen.isa, scratch) else {
        let scratch = &mut [];
        reference::conv_2d_s8(p, ConvIo { scratch, ..io });
        return;
    };
    let taps = p.taps() as usize;
    let (count, at_once) = (p.group_out_c() as usize, pair_records(p) as usize);
    let wide_bytes = taps.div_ceil(RUN) * size_of::<Run>();
    let Some((wide, rest)) = scratch.split_at_mut_checked(wide_bytes) else {
        return;
    };
    let split = rest.split_at_mut_checked(at_once * size_of::<Record>());
    let Some((records, bytes)) = split else {
        return;
    };
    let (Ok(wide), Ok(records)) = (
        bytemuck::try_cast_slice_mut::<u8, Run>(wide),
        bytemuck::try_cast_slice_mut::<u8, Record>(records),
    ) else {
        return;
    };
    let bytes: &mut [i8] = bytemuck::cast_slice_mut(bytes);
    let pixels = p.window.out_h as usize * p.window.out_w as usize;
    let out_c = p.out_c as usize;
    for group in 0..p.groups as usize {
        let mut done = 0;
        while done < count {
            // As many channels as there are records for, or all of them.
            let some = match at_once {
                0 => count,
                pairs => (count - done).min(2 * pairs),
            };
            let first = group * count + done;
            let weights = weights_of(p, group, done).and_then(|start| io.weights.get(start..));
            let channels = Channels::new(io.bias, io.multipliers, io.shifts, p.output, first, some);
            let product = weights.zip(channels).and_then(|(weights, channels)| {
                Product::new(p.layout, weights, channels, taps, records)
            });
            let Some(mut product) = product else { return };
            let last = (pixels - 1) * out_c + first;
            let mut windows = Windows::new(p, io.x, group);
            let mut at = first;
            while at <= last {
                windows.gather(bytes, wide);
                let places = [at, (at + out_c).min(last), (at + 2 * out_c).min(last)];
                product.three_rows(wide, io.y, places);
                at += ROWS * out_c;
            }
            done += some;
        }
    }
    clamp(p.output, io.y);
}

/// Where the weights of a group's channel begin that opens a block.
fn weights_of(p: &Conv2d, group: usize, channel: usize) -> Option<usize> {
    let taps = u64::from(p.taps());
    let whole = p.layout.matrix_len(p.group_out_c(), taps)?;
    let before = p.layout.matrix_len(channel as u32, taps)?;
    usize::try_from(whole.checked_mul(group as u64)?.checked_add(before)?).ok()
}
