use ocellus_format::ops::Lookup;

use crate::{InOut, LookupIo, reference};

/// `y = table[x + 128]`: a load a value, which no vector instruction of AVX2 beats for a table of 256 bytes.
pub(super) fn lookup_s8(p: &Lookup, mut io: LookupIo<'_>) {
    let len = p.len as usize;
    let Some(table) = io.table.first_chunk::<256>() else {
        reference::lookup_s8(p, io);
        return;
    };
    let entry = |x: i8| table[usize::from(x.cast_unsigned() ^ 0x80)];
    match &mut io.x_y {
        InOut::Apart(x, y) => {
            for (y, &x) in y.iter_mut().zip(*x).take(len) {
                *y = entry(x);
            }
        }
        InOut::InPlace(y) => {
            for y in y.iter_mut().take(len) {
                *y = entry(*y);
            }
        }
    }
}
