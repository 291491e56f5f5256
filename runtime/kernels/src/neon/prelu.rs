use core::arch::aarch64::*;

use ocellus_format::ops::Prelu;

use super::requantize::{Finish, Scale4};
use super::sixteen::{LANES, put, sixteen, widen};
use crate::{InOut, PreluIo, reference};

/// Leaky rectifier: one scale where the input is not negative, one for each channel where it is.
pub(super) fn prelu_s8(p: &Prelu, mut io: PreluIo<'_>) {
    let channels = p.channels as usize;
    let len = p.rows as usize * channels;
    let (Some(multipliers), Some(shifts)) =
        (io.multipliers.get(..channels), io.shifts.get(..channels))
    else {
        return;
    };
    let y = match &mut io.x_y {
        InOut::Apart(x, y) => match (x.get(..len), y.get_mut(..len)) {
            (Some(x), Some(y)) => {
                y.copy_from_slice(x);
                Some(y)
            }
            _ => None,
        },
        InOut::InPlace(y) => y.get_mut(..len),
    };
    match y {
        Some(y) if channels > 0 => in_place(p, multipliers, shifts, y),
        _ => reference::prelu_s8(p, io),
    }
}

fn in_place(p: &Prelu, multipliers: &[i32], shifts: &[u8], y: &mut [i8]) {
    let channels = multipliers.len();
    let finish = Finish::new(p.output);
    // SAFETY: AArch64 has Advanced SIMD.
    let (zero_point, positive) = unsafe {
        (
            vdupq_n_s32(p.zero_point_in.into()),
            [
                vdupq_n_s32(p.positive.multiplier),
                vdupq_n_s32(p.positive.shift.into()),
            ],
        )
    };
    for first in (0..channels).step_by(LANES) {
        let some = first..channels.min(first + LANES);
        let mut scales = [[0_i32; LANES], [i32::from(p.positive.shift); LANES]];
        for (lane, channel) in some.clone().enumerate() {
            scales[0][lane] = multipliers[channel];
            scales[1][lane] = i32::from(shifts[channel]);
        }
        // SAFETY: four of sixteen lanes.
        let negative: [[int32x4_t; 2]; 4] = core::array::from_fn(|quarter| unsafe {
            scales
                .each_ref()
                .map(|lanes| vld1q_s32(lanes.as_ptr().add(4 * quarter)))
        });
        for row in y.chunks_exact_mut(channels) {
            let y = &mut row[some.clone()];
            let x = widen(sixteen(y));
            let rescaled = core::array::from_fn(|quarter| {
                // SAFETY: AArch64 has Advanced SIMD.
                let (d, [multiplier, shift]) = unsafe {
                    let d = vsubq_s32(x[quarter], zero_point);
                    let below = vcltzq_s32(d);
                    let pick =
                        |field: usize| vbslq_s32(below, negative[quarter][field], positive[field]);
                    (d, [pick(0), pick(1)])
                };
                Scale4::new(multiplier, shift).apply::<false>(d)
            });
            put(finish.sixteen(rescaled), y);
        }
    }
}
