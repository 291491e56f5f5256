use ocellus_format::ops::Minimum;

use super::binary::for_each_pair;
use crate::BinaryIo;

/// The smaller of two.
pub fn minimum_s8(p: &Minimum, io: BinaryIo<'_>) {
    for_each_pair(&p.binary, io, Ord::min);
}
