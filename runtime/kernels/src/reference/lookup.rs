use ocellus_format::ops::Lookup;

use super::access::at;
use crate::LookupIo;

/// `y = table[x + 128]`.
pub fn lookup_s8(p: &Lookup, mut io: LookupIo<'_>) {
    for index in 0..p.len as usize {
        let entry = i32::from(io.x_y.get(index)) + 128;
        io.x_y.put(index, at(io.table, entry as usize));
    }
}
