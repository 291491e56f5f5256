use ocellus_format::ops::Concat;

use super::access::{copy, span, span_mut};
use crate::UnaryIo;

/// Copies one input, `[outer, width]`, into columns `column..column + width` of the output, `[outer, total]`.
pub fn concat_s8(p: &Concat, column: usize, total: usize, io: UnaryIo<'_>) {
    let outer = p.outer as usize;
    let width = io.x.len().checked_div(outer).unwrap_or(0);
    for row in 0..outer {
        let to = row.wrapping_mul(total).wrapping_add(column);
        copy(span_mut(io.y, to, width), span(io.x, row * width, width));
    }
}
