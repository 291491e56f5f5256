use core::arch::aarch64::vmaxq_s8;

use ocellus_format::ops::Maximum;

use super::sixteen::each;
use crate::{BinaryIo, generic::RowsOf, reference};

/// The larger of two.
pub(super) fn maximum_s8(p: &Maximum, mut io: BinaryIo<'_>) {
    let done = RowsOf::new(&p.binary).is_some_and(|rows| {
        rows.for_each(&mut io, |a, b, y| {
            // SAFETY: AArch64 has Advanced SIMD.
            each(a, b, y, |a, b| unsafe { vmaxq_s8(a, b) });
        })
    });
    if !done {
        reference::maximum_s8(p, io);
    }
}
