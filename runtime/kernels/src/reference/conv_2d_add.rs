use ocellus_format::ops::{Add, Binary, Conv2dAdd};

use super::access::{span, span_mut};
use crate::{BinaryIo, Conv2dAddIo, ConvIo, InOut, Kernels};

/// A convolution and a sum, a band of rows after the other, by the two kernels of an instruction set. Each row of `a` is read in the band that writes
/// it, so that the output may lie there.
pub fn conv_2d_add_s8<K: Kernels>(kernels: K, p: &Conv2dAdd, mut io: Conv2dAddIo<'_>) {
    let w = &p.conv.window;
    let (in_row, out_row) = ((w.in_w * p.conv.in_c) as usize, p.row_len() as usize);
    let Some((band, scratch)) = io.scratch.split_at_mut_checked(p.band_bytes() as usize) else {
        return;
    };
    let Ok(band) = bytemuck::try_cast_slice_mut::<u8, i8>(band) else {
        return;
    };
    let mut first = 0;
    while first < w.out_h {
        let (conv, first_in, rows) = p.band(first);
        let (start, len) = (first as usize * out_row, rows as usize * out_row);
        let b = span_mut(band, 0, len);
        kernels.conv_2d_s8(
            &conv,
            ConvIo {
                x: span(
                    io.x,
                    first_in as usize * in_row,
                    conv.window.in_h as usize * in_row,
                ),
                weights: io.weights,
                bias: io.bias,
                multipliers: io.multipliers,
                shifts: io.shifts,
                y: &mut *b,
                scratch: &mut *scratch,
            },
        );
        let add = Add {
            binary: Binary::flat([1, rows, w.out_w, p.conv.out_c]),
            ..p.add
        };
        let a_y = match &mut io.a_y {
            InOut::Apart(a, y) => InOut::Apart(span(a, start, len), span_mut(y, start, len)),
            InOut::InPlace(y) => InOut::InPlace(span_mut(y, start, len)),
        };
        kernels.add_s8(&add, BinaryIo { a_y, b });
        first += rows.max(1);
    }
}
