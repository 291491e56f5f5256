use ocellus_format::ops::Gather;

use super::access::{at, copy, span, span_mut};
use crate::IndexedIo;

/// Chosen indices of one axis.
pub fn gather_s8(p: &Gather, io: IndexedIo<'_>) {
    let (in_n, inner) = (p.in_n as usize, p.inner as usize);
    let mut to = 0;
    for outer in 0..p.outer as usize {
        for i in 0..p.out_n as usize {
            let chosen = usize::from(at(io.rows, i)).min(in_n.saturating_sub(1));
            copy(
                span_mut(io.y, to, inner),
                span(io.x, (outer * in_n + chosen) * inner, inner),
            );
            to += inner;
        }
    }
}
