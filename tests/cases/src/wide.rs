//! Output channels with weights beyond `s8`. One routine computes them on every instruction set, over what the layer's kernel has written there: a case
//! shows that both meet, and the digest that the routine was compiled rightly.

use ocellus_format::DType;
use ocellus_kernels::WideIo;

use crate::{Fault, convolution::Layer, memory::Memory, rng::Rng};

/// Most wide channels of a case, and most bytes of their weights.
const CHANNELS: usize = 4;
const WEIGHTS_BYTES: usize = 8 * 1024;

/// Wide channels of a layer; none in three cases of four.
pub(crate) struct Wide<'m> {
    channels: &'m mut [u16],
    weights: &'m mut [i16],
}

impl<'m> Wide<'m> {
    pub(crate) fn draw(
        rng: &mut Rng,
        memory: &mut Memory<'m>,
        out_c: u32,
        taps: u32,
    ) -> Result<Wide<'m>, Fault> {
        let taps = taps as usize;
        let most = CHANNELS
            .min(out_c as usize)
            .min(WEIGHTS_BYTES / (2 * taps.max(1)));
        let count = if rng.one_in(4) { most } else { 0 };
        let channels = memory.u16(count)?;
        let weights = memory.s16(count * taps)?;
        // In order, with others between them, the last one often.
        let mut free = out_c - count as u32;
        let mut next = 0;
        for (place, channel) in channels.iter_mut().enumerate() {
            let skipped = match place + 1 == count && rng.one_in(2) {
                true => free,
                false => rng.size(0, free),
            };
            *channel = (next + skipped) as u16;
            (free, next) = (free - skipped, next + skipped + 1);
        }
        for weight in weights.iter_mut() {
            *weight = match rng.size(0, 3) {
                0 => rng.pick(&[-255, 255]),
                _ => rng.range(-255, 255) as i16,
            };
        }
        Ok(Wide { channels, weights })
    }

    /// A layer's operands, with these where there are some.
    pub(crate) fn inputs<'a>(
        &self,
        layer: [(DType, usize); 5],
        all: &'a mut [(DType, usize); 7],
    ) -> &'a [(DType, usize)] {
        let [x, weights, bias, multipliers, shifts] = layer;
        let channels = (DType::U16, self.channels.len());
        let wide = (DType::S16, self.weights.len());
        *all = [x, weights, bias, multipliers, shifts, channels, wide];
        if self.channels.is_empty() {
            &all[..5]
        } else {
            all
        }
    }

    pub(crate) fn io<'a>(&'a self, layer: &'a Layer<'_>, y: &'a mut [i8]) -> WideIo<'a> {
        WideIo {
            x: layer.x,
            channels: self.channels,
            weights: self.weights,
            bias: layer.bias,
            multipliers: layer.multipliers,
            shifts: layer.shifts,
            y,
        }
    }
}
