use ocellus_format::ops::ResizeBilinear;

use super::access::{at, put};
use crate::IndexedIo;

/// Bilinear resize: four input pixels, weighted by the tables, rounded once.
pub fn resize_bilinear_s8(p: &ResizeBilinear, io: IndexedIo<'_>) {
    let (in_w, channels) = (p.in_w as usize, p.channels as usize);
    let mut index = 0;
    for oy in 0..p.out_h as usize {
        let row = Blend::read(io.rows, oy, p.in_h);
        for ox in 0..p.out_w as usize {
            let column = Blend::read(io.columns, ox, p.in_w);
            for c in 0..channels {
                let x = |iy: usize, ix: usize| i32::from(at(io.x, (iy * in_w + ix) * channels + c));
                let top = x(row.i0, column.i0) * column.w0 + x(row.i0, column.i1) * column.w1;
                let bottom = x(row.i1, column.i0) * column.w0 + x(row.i1, column.i1) * column.w1;
                let acc = top * row.w0 + bottom * row.w1;
                put(io.y, index, ((acc + (1 << 21)) >> 22) as i8);
                index += 1;
            }
        }
    }
}

/// Two indices of an axis and their weights.
struct Blend {
    i0: usize,
    i1: usize,
    w0: i32,
    w1: i32,
}

impl Blend {
    /// Entry `index` of a table of `(i0, i1, f)`, its indices and `f` clamped.
    fn read(table: &[u16], index: usize, size: u32) -> Blend {
        let last = (size as usize).saturating_sub(1);
        let f = at(table, index * 3 + 2).min(ResizeBilinear::ONE);
        Blend {
            i0: usize::from(at(table, index * 3)).min(last),
            i1: usize::from(at(table, index * 3 + 1)).min(last),
            w0: i32::from(ResizeBilinear::ONE - f),
            w1: i32::from(f),
        }
    }
}
