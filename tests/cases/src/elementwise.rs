//! Look-up, leaky rectifier, softmax.

use ocellus_format::{DType, Requant, ops};
use ocellus_kernels::{InOut, Kernels, LookupIo, PreluIo, SoftmaxIo, reference};

use crate::{
    Case, Checked, Fault,
    compare::{Targets, accept, compare},
    draw,
    memory::Memory,
    rng::Rng,
};

/// Lengths next to the widths of vectors, and a long one.
const LENGTHS: [u32; 14] = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 1_000];

/// The output, holding the input already where the operator runs in place.
fn in_out<'a>(in_place: bool, x: &'a [i8], y: &'a mut [i8]) -> InOut<'a> {
    if in_place {
        y.copy_from_slice(x);
        InOut::InPlace(y)
    } else {
        InOut::Apart(x, y)
    }
}

pub(crate) struct Lookup;

impl Case for Lookup {
    type Params = ops::Lookup;

    fn draw(rng: &mut Rng) -> ops::Lookup {
        ops::Lookup {
            len: rng.pick(&LENGTHS),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Lookup,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let misalign = draw::misalign(rng);
        let x = memory.s8(p.len as usize, misalign)?;
        let table = memory.s8(256, 0)?;
        draw::activations(rng, x);
        table.fill_with(|| rng.bits() as i8);
        accept(p, &[(DType::S8, x.len()), (DType::S8, 256)], true, x.len())?;
        let in_place = rng.one_in(2);
        let targets = Targets {
            y_len: x.len(),
            misalign: draw::misalign(rng),
            scratch_bytes: 0,
            x_len: x.len(),
        };
        compare(
            memory,
            &targets,
            |y| {
                reference::lookup_s8(
                    p,
                    LookupIo {
                        x_y: InOut::Apart(x, y),
                        table,
                    },
                )
            },
            |y, _| {
                k.lookup_s8(
                    p,
                    LookupIo {
                        x_y: in_out(in_place, x, y),
                        table,
                    },
                )
            },
        )
    }
}

pub(crate) struct Prelu;

impl Case for Prelu {
    type Params = ops::Prelu;

    fn draw(rng: &mut Rng) -> ops::Prelu {
        ops::Prelu {
            rows: rng.pick(&[1, 2, 5, 30]),
            channels: draw::channels(rng),
            zero_point_in: draw::zero_point(rng),
            positive: draw::requant(rng, 64),
            output: draw::output(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Prelu,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let misalign = draw::misalign(rng);
        let n = p.channels as usize;
        let x = memory.s8(p.rows as usize * n, misalign)?;
        let (multipliers, shifts) = (memory.s32(n)?, memory.bytes(n, 0)?);
        draw::activations(rng, x);
        for (multiplier, shift) in multipliers.iter_mut().zip(shifts.iter_mut()) {
            let Requant {
                multiplier: magnitude,
                shift: bits,
            } = draw::requant(rng, 300);
            // A negative slope is a negative multiplier.
            (*multiplier, *shift) = (if rng.one_in(3) { -magnitude } else { magnitude }, bits);
        }
        accept(
            p,
            &[(DType::S8, x.len()), (DType::S32, n), (DType::U8, n)],
            true,
            x.len(),
        )?;
        let in_place = rng.one_in(2);
        let targets = Targets {
            y_len: x.len(),
            misalign: draw::misalign(rng),
            scratch_bytes: 0,
            x_len: x.len(),
        };
        compare(
            memory,
            &targets,
            |y| {
                reference::prelu_s8(
                    p,
                    PreluIo {
                        x_y: InOut::Apart(x, y),
                        multipliers,
                        shifts,
                    },
                )
            },
            |y, _| {
                k.prelu_s8(
                    p,
                    PreluIo {
                        x_y: in_out(in_place, x, y),
                        multipliers,
                        shifts,
                    },
                )
            },
        )
    }
}

pub(crate) struct Softmax;

impl Case for Softmax {
    type Params = ops::Softmax;

    fn draw(rng: &mut Rng) -> ops::Softmax {
        let n = rng.pick(&LENGTHS);
        let out_bits = rng.pick(&[8, 8, 9, 12, 15]);
        ops::Softmax {
            rows: rng.pick(&[1, 2, 3, 9]),
            n,
            exp_bits: ops::Softmax::exp_bits_for(n, out_bits),
            out_bits,
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Softmax,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let misalign = draw::misalign(rng);
        let x = memory.s8((p.rows * p.n) as usize, misalign)?;
        let table = memory.u32(256)?;
        draw::activations(rng, x);
        // Falls from 2^exp_bits by one factor, as an exponential does; how steeply, differs: down to a step, up to flat.
        let factor = rng.pick(&[0_u64, 1, 30_000, 60_000, 65_000, 65_536]);
        let mut value = 1_u64 << p.exp_bits;
        for entry in table.iter_mut() {
            *entry = value as u32;
            value = (value * factor) >> 16;
        }
        accept(p, &[(DType::S8, x.len()), (DType::U32, 256)], true, x.len())?;
        let targets = Targets {
            y_len: x.len(),
            misalign: draw::misalign(rng),
            scratch_bytes: 0,
            x_len: x.len(),
        };
        compare(
            memory,
            &targets,
            |y| reference::softmax_s8(p, SoftmaxIo { x, table, y }),
            |y, _| k.softmax_s8(p, SoftmaxIo { x, table, y }),
        )
    }
}
