use ocellus_format::ops::Maximum;

use super::binary::for_each_pair;
use crate::BinaryIo;

/// The larger of two.
pub fn maximum_s8(p: &Maximum, io: BinaryIo<'_>) {
    for_each_pair(&p.binary, io, Ord::max);
}
