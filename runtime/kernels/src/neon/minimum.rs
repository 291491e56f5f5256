use core::arch::aarch64::vminq_s8;

use ocellus_format::ops::Minimum;

use super::sixteen::each;
use crate::{BinaryIo, generic::RowsOf, reference};

/// The smaller of two.
pub(super) fn minimum_s8(p: &Minimum, mut io: BinaryIo<'_>) {
    let done = RowsOf::new(&p.binary).is_some_and(|rows| {
        rows.for_each(&mut io, |a, b, y| {
            // SAFETY: AArch64 has Advanced SIMD.
            each(a, b, y, |a, b| unsafe { vminq_s8(a, b) });
        })
    });
    if !done {
        reference::minimum_s8(p, io);
    }
}
