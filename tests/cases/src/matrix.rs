//! Products of computed matrices, and rows brought to mean 0 and variance 1.

use ocellus_format::{DType, ops};
use ocellus_kernels::{BatchMatMulIo, Kernels, LayerNormIo, reference};

use crate::{
    Case, Checked, Fault,
    compare::{Targets, accept, compare},
    draw,
    memory::Memory,
    rng::Rng,
};

/// Sizes next to the widths of vectors and of blocks.
const SIZES: [u32; 14] = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48];

pub(crate) struct BatchMatMul;

impl Case for BatchMatMul {
    type Params = ops::BatchMatMul;

    fn draw(rng: &mut Rng) -> ops::BatchMatMul {
        let axis = [1, 1, 1, 2, 3];
        // The sum over a long axis leaves 24 bits.
        let k = if rng.one_in(12) {
            1_500
        } else {
            rng.pick(&SIZES)
        };
        let (m, n) = if k > 1_000 {
            (rng.size(1, 3), rng.size(1, 3))
        } else {
            (rng.pick(&SIZES), rng.pick(&SIZES))
        };
        let stack = if m * n > 900 || k > 1_000 {
            [1, 1, rng.size(1, 2)]
        } else {
            [rng.pick(&axis), rng.pick(&axis), rng.pick(&axis)]
        };
        let mut broadcast = || {
            if rng.one_in(3) {
                rng.size(0, 7) as u8
            } else {
                0
            }
        };
        let (broadcast_a, broadcast_b) = (broadcast(), broadcast());
        ops::BatchMatMul {
            stack,
            broadcast_a,
            broadcast_b,
            m,
            k,
            n,
            transposed_a: rng.one_in(2),
            transposed_b: rng.one_in(2),
            zero_point_a: draw::zero_point(rng),
            zero_point_b: draw::zero_point(rng),
            requant: draw::requant(rng, draw::sum_magnitude(k)),
            output: draw::output(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::BatchMatMul,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let (misalign_a, misalign_b) = (draw::misalign(rng), draw::misalign(rng));
        let matrices = |broadcast: u8| -> u32 {
            let axes = p.stack.iter().enumerate();
            axes.filter(|(axis, _)| broadcast >> axis & 1 == 0)
                .map(|(_, &size)| size)
                .product()
        };
        let a_len = (matrices(p.broadcast_a) * p.m * p.k) as usize;
        let b_len = (matrices(p.broadcast_b) * p.k * p.n) as usize;
        let y_len = (matrices(0) * p.m * p.n) as usize;
        let a = memory.s8(a_len, misalign_a)?;
        let b = memory.s8(b_len, misalign_b)?;
        draw::activations(rng, a);
        draw::activations(rng, b);
        accept(p, &[(DType::S8, a_len), (DType::S8, b_len)], false, y_len)?;
        let targets = Targets {
            y_len,
            misalign: draw::misalign(rng),
            scratch_bytes: 0,
            x_len: a_len + b_len,
        };
        compare(
            memory,
            &targets,
            |y| reference::batch_mat_mul_s8(p, BatchMatMulIo { a, b, y }),
            |y, _| k.batch_mat_mul_s8(p, BatchMatMulIo { a, b, y }),
        )
    }
}

pub(crate) struct LayerNorm;

impl Case for LayerNorm {
    type Params = ops::LayerNorm;

    fn draw(rng: &mut Rng) -> ops::LayerNorm {
        let n = rng.pick(&[1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 192, 1_000]);
        let rows = rng.pick(&[1, 2, 3, 9]);
        // A parameter an element of a row, a row, or several rows.
        let (run, parameters) = match rng.size(0, 3) {
            0 => (n, rows),
            1 => (rng.size(1, n), rng.size(1, rows)),
            _ => (1, n),
        };
        ops::LayerNorm {
            rows,
            n,
            run,
            parameters,
            centered: !rng.one_in(3),
            zero_point_in: draw::zero_point(rng),
            epsilon: match rng.size(0, 4) {
                0 => 0,
                1 => (1 << 62) - 1,
                2 => 1,
                _ => u64::from(rng.bits()) << rng.size(0, 20),
            },
            output: draw::output(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::LayerNorm,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let misalign = draw::misalign(rng);
        let parameters = p.parameters as usize;
        let x = memory.s8((p.rows * p.n) as usize, misalign)?;
        let (multipliers, shifts) = (memory.s32(parameters)?, memory.bytes(parameters, 0)?);
        let offsets = memory.s32(parameters)?;
        draw::activations(rng, x);
        // A normal value of 1 has 20 bits behind the point, a scaled one 12.
        draw::requants(rng, 1 << 15, multipliers, shifts);
        for (multiplier, offset) in multipliers.iter_mut().zip(offsets.iter_mut()) {
            if rng.one_in(4) {
                *multiplier = -*multiplier;
            }
            *offset = match rng.size(0, 7) {
                0 => rng.pick(&[i32::MIN, i32::MAX]),
                1 => 0,
                _ => rng.range(-(60 << 12), 60 << 12) as i32,
            };
        }
        let inputs = [
            (DType::S8, x.len()),
            (DType::S32, parameters),
            (DType::U8, parameters),
            (DType::S32, parameters),
        ];
        accept(p, &inputs, true, x.len())?;
        let targets = Targets {
            y_len: x.len(),
            misalign: draw::misalign(rng),
            scratch_bytes: 0,
            x_len: x.len(),
        };
        fn io<'a>(
            x: &'a [i8],
            (multipliers, shifts, offsets): (&'a [i32], &'a [u8], &'a [i32]),
            y: &'a mut [i8],
        ) -> LayerNormIo<'a> {
            LayerNormIo {
                x,
                multipliers,
                shifts,
                offsets,
                y,
            }
        }
        let constants = (&*multipliers, &*shifts, &*offsets);
        compare(
            memory,
            &targets,
            |y| reference::layer_norm_s8(p, io(x, constants, y)),
            |y, _| k.layer_norm_s8(p, io(x, constants, y)),
        )
    }
}
