//! Leaky rectifier: one scale where the input is not negative, one for each channel where it is.

use core::arch::x86_64::*;

use ocellus_format::ops::Prelu;

use super::Avx2;
use super::block_avx2::store;
use super::mul::sixteen;
use super::requantize::{Scale8, finish16_in_order, load8};
use crate::{InOut, PreluIo, reference};

/// Channels at a time.
const LANES: usize = 16;

pub(super) fn prelu_s8(_: Avx2, p: &Prelu, mut io: PreluIo<'_>) {
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
        // SAFETY: the token proves AVX2.
        Some(y) if channels > 0 => unsafe { in_place(p, multipliers, shifts, y) },
        _ => reference::prelu_s8(p, io),
    }
}

#[target_feature(enable = "avx2")]
fn in_place(p: &Prelu, multipliers: &[i32], shifts: &[u8], y: &mut [i8]) {
    let channels = multipliers.len();
    let zero_point = _mm256_set1_epi32(i32::from(p.zero_point_in));
    let positive = [
        _mm256_set1_epi32(p.positive.multiplier),
        _mm256_set1_epi32(i32::from(p.positive.shift)),
    ];
    for first in (0..channels).step_by(LANES) {
        let some = first..channels.min(first + LANES);
        let mut scales = [[0_i32; LANES], [i32::from(p.positive.shift); LANES]];
        for (lane, channel) in some.clone().enumerate() {
            scales[0][lane] = multipliers[channel];
            scales[1][lane] = i32::from(shifts[channel]);
        }
        let negative = [0, 8].map(|lane| scales.map(|values| load8(&values[lane..])));
        for row in y.chunks_exact_mut(channels) {
            let y = &mut row[some.clone()];
            let x = sixteen(y);
            let halves = [x, _mm_srli_si128::<8>(x)];
            let [low, high] = [0, 1].map(|half| {
                let d = _mm256_sub_epi32(_mm256_cvtepi8_epi32(halves[half]), zero_point);
                let below = _mm256_srai_epi32::<31>(d);
                let [multiplier, shift] = [0, 1]
                    .map(|field| _mm256_blendv_epi8(positive[field], negative[half][field], below));
                Scale8::new(multiplier, shift).apply::<false>(d)
            });
            store(finish16_in_order(low, high, p.output), y);
        }
    }
}
