use ocellus_format::ops::Take;

use super::access::{copy, span, span_mut};
use crate::TakeIo;

/// Computed indices of one axis.
pub fn take_s8(p: &Take, io: TakeIo<'_>) {
    let (in_n, inner) = (p.in_n as usize, p.inner as usize);
    let mut to = 0;
    for outer in 0..p.outer as usize {
        for i in 0..p.out_n as usize {
            let chosen = io.indices.of_axis(i, p.in_n);
            copy(
                span_mut(io.y, to, inner),
                span(io.x, (outer * in_n + chosen) * inner, inner),
            );
            to += inner;
        }
    }
}
