use core::arch::aarch64::*;

use ocellus_format::ops::Lookup;

use super::sixteen::{LANES, put, sixteen};
use crate::{InOut, LookupIo, reference};

/// `y = table[x + 128]`: the table lies in sixteen registers, a quarter of it for each `TBL`; an index beyond a quarter leaves what another has found.
pub(super) fn lookup_s8(p: &Lookup, mut io: LookupIo<'_>) {
    let len = p.len as usize;
    let Some(table) = io.table.first_chunk::<256>() else {
        reference::lookup_s8(p, io);
        return;
    };
    // SAFETY: the reference is to 256 values.
    let quarters: [int8x16x4_t; 4] =
        core::array::from_fn(|quarter| unsafe { vld1q_s8_x4(table.as_ptr().add(64 * quarter)) });
    // SAFETY: AArch64 has Advanced SIMD.
    let found = |x: int8x16_t| unsafe {
        let quarter = vdupq_n_u8(64);
        let at = veorq_u8(vreinterpretq_u8_s8(x), vdupq_n_u8(0x80));
        let mut y = vqtbl4q_s8(quarters[0], at);
        let at = vsubq_u8(at, quarter);
        y = vqtbx4q_s8(y, quarters[1], at);
        let at = vsubq_u8(at, quarter);
        y = vqtbx4q_s8(y, quarters[2], at);
        let at = vsubq_u8(at, quarter);
        vqtbx4q_s8(y, quarters[3], at)
    };
    match &mut io.x_y {
        InOut::Apart(x, y) => {
            let len = len.min(x.len()).min(y.len());
            for (y, x) in y[..len].chunks_mut(LANES).zip(x[..len].chunks(LANES)) {
                put(found(sixteen(x)), y);
            }
        }
        InOut::InPlace(y) => {
            let len = len.min(y.len());
            for y in y[..len].chunks_mut(LANES) {
                put(found(sixteen(y)), y);
            }
        }
    }
}
