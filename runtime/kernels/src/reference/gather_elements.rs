use ocellus_format::ops::GatherElements;

use super::access::{at, put};
use crate::TakeIo;

/// A computed index for each element.
pub fn gather_elements_s8(p: &GatherElements, io: TakeIo<'_>) {
    let (in_n, inner) = (p.in_n as usize, p.inner as usize);
    let mut to = 0;
    for outer in 0..p.outer as usize {
        for _ in 0..p.out_n {
            for column in 0..inner {
                let chosen = io.indices.of_axis(to, p.in_n);
                put(io.y, to, at(io.x, (outer * in_n + chosen) * inner + column));
                to += 1;
            }
        }
    }
}
