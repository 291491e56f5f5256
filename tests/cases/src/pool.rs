//! Pools.

use ocellus_format::{DType, ops};
use ocellus_kernels::{AveragePoolIo, Kernels, UnaryIo, reference};

use crate::{
    Case, Checked, Fault,
    compare::{Targets, accept, compare},
    draw,
    memory::Memory,
    rng::Rng,
};

pub(crate) struct MaxPool2d;

impl Case for MaxPool2d {
    type Params = ops::MaxPool2d;

    fn draw(rng: &mut Rng) -> ops::MaxPool2d {
        ops::MaxPool2d {
            window: draw::window(rng, 12),
            channels: draw::channels(rng).min(65),
            output: draw::output(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::MaxPool2d,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let w = &p.window;
        let misalign = draw::misalign(rng);
        let x = memory.s8((w.in_h * w.in_w * p.channels) as usize, misalign)?;
        draw::activations(rng, x);
        let y_len = (w.out_h * w.out_w * p.channels) as usize;
        accept(p, &[(DType::S8, x.len())], false, y_len)?;
        let targets = Targets {
            y_len,
            misalign: draw::misalign(rng),
            scratch_bytes: 0,
            x_len: x.len(),
        };
        compare(
            memory,
            &targets,
            |y| reference::max_pool_2d_s8(p, UnaryIo { x, y }),
            |y, _| k.max_pool_2d_s8(p, UnaryIo { x, y }),
        )
    }
}

pub(crate) struct AveragePool2d;

impl Case for AveragePool2d {
    type Params = ops::AveragePool2d;

    fn draw(rng: &mut Rng) -> ops::AveragePool2d {
        ops::AveragePool2d {
            window: draw::window(rng, 12),
            channels: draw::channels(rng).min(65),
            zero_point_in: draw::zero_point(rng),
            output: draw::output(rng),
            by_count: rng.one_in(2),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::AveragePool2d,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let w = &p.window;
        let misalign = draw::misalign(rng);
        let x = memory.s8((w.in_h * w.in_w * p.channels) as usize, misalign)?;
        let n = p.requant_count() as usize;
        let (multipliers, shifts) = (memory.s32(n)?, memory.bytes(n, 0)?);
        draw::activations(rng, x);
        draw::requants(
            rng,
            u64::from(w.kernel_h * w.kernel_w) * 64,
            multipliers,
            shifts,
        );
        let y_len = (w.out_h * w.out_w * p.channels) as usize;
        accept(
            p,
            &[(DType::S8, x.len()), (DType::S32, n), (DType::U8, n)],
            true,
            y_len,
        )?;
        let targets = Targets {
            y_len,
            misalign: draw::misalign(rng),
            scratch_bytes: 0,
            x_len: x.len(),
        };
        compare(
            memory,
            &targets,
            |y| {
                reference::average_pool_2d_s8(
                    p,
                    AveragePoolIo {
                        x,
                        multipliers,
                        shifts,
                        y,
                    },
                )
            },
            |y, _| {
                k.average_pool_2d_s8(
                    p,
                    AveragePoolIo {
                        x,
                        multipliers,
                        shifts,
                        y,
                    },
                )
            },
        )
    }
}
