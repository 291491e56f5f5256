use ocellus_format::{WeightLayout, ops::FullyConnected};

use super::dot::{Rows, two_rows};
use super::requantize::Requants;
use crate::{ConvIo, reference};

/// Fully connected of `s8` by `s8`, two input rows at a time. Scratch: two rows of accumulators.
pub(super) fn fully_connected_s8(p: &FullyConnected, io: ConvIo<'_>) {
    let (in_c, out_c) = (p.in_c as usize, p.out_c as usize);
    let accumulators_len = 2 * out_c.next_multiple_of(4);
    let fits = matches!(bytemuck::try_cast_slice::<u8, i32>(io.scratch), Ok(words) if words.len() >= accumulators_len);
    if !fits || in_c == 0 || out_c == 0 || p.layout != WeightLayout::Portable {
        reference::fully_connected_s8(p, io);
        return;
    }
    let Ok(accumulators) = bytemuck::try_cast_slice_mut::<u8, i32>(io.scratch) else {
        return;
    };
    let requants = Requants::new(io.multipliers, io.shifts, p.output);
    let bias = io.bias.get(..out_c).unwrap_or(&[]);
    for (x, y) in
        io.x.chunks((2 * in_c).max(1))
            .zip(io.y.chunks_mut((2 * out_c).max(1)))
    {
        let (x0, x1) = x.split_at_checked(in_c).unwrap_or((x, &[]));
        let x1 = if x1.is_empty() { x0 } else { x1 };
        if let Some((y0, y1)) = y.split_at_mut_checked(out_c) {
            two_rows(
                [x0, x1],
                Rows::Plain(io.weights),
                bias,
                requants,
                accumulators,
                [y0, y1],
            );
        }
    }
}
