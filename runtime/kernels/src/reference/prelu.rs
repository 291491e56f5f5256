use ocellus_format::ops::Prelu;

use super::access::requant_at;
use super::requantize;
use crate::PreluIo;

/// Leaky rectifier: one scale where the input is not negative, one for each channel where it is.
pub fn prelu_s8(p: &Prelu, mut io: PreluIo<'_>) {
    let mut index = 0;
    for _ in 0..p.rows {
        for c in 0..p.channels as usize {
            let d = i32::from(io.x_y.get(index)) - i32::from(p.zero_point_in);
            let r = if d >= 0 {
                p.positive
            } else {
                requant_at(io.multipliers, io.shifts, c)
            };
            io.x_y.put(index, p.output.finish(requantize(d, r)));
            index += 1;
        }
    }
}
