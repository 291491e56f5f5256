//! Two inputs with broadcast: every pattern, and in place where the first input is not repeated.

use core::fmt::Debug;

use ocellus_format::{
    DType,
    ops::{self, Binary, Params},
};
use ocellus_kernels::{BinaryIo, InOut, Kernels, reference};

use crate::{
    Case, Checked, Fault,
    compare::{Targets, accept, compare},
    draw,
    memory::Memory,
    rng::Rng,
};

fn draw_binary(rng: &mut Rng) -> Binary {
    let axis = [1, 1, 2, 3, 4, 7];
    let innermost = [1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 33, 65];
    let shape = [
        rng.pick(&axis),
        rng.pick(&axis),
        rng.pick(&axis),
        rng.pick(&innermost),
    ];
    let mut binary = Binary::flat(shape);
    match rng.size(0, 7) {
        // A value for each channel, and one value: what networks do most.
        0 => binary.broadcast_b = 0b0111,
        1 => binary.broadcast_b = 0b1111,
        2 => binary.broadcast_a = rng.size(0, 15) as u8,
        3 => binary.broadcast_b = rng.size(0, 15) as u8,
        4 => {
            (binary.broadcast_a, binary.broadcast_b) =
                (rng.size(0, 15) as u8, rng.size(0, 15) as u8)
        }
        _ => {}
    }
    binary
}

/// Elements of an operand.
fn operand_len(p: &Binary, broadcast: u8) -> usize {
    p.shape
        .iter()
        .enumerate()
        .filter(|(axis, _)| broadcast >> axis & 1 == 0)
        .map(|(_, &size)| size as usize)
        .product()
}

fn check_binary<'de, P: Params<'de> + Debug>(
    p: &P,
    binary: &Binary,
    rng: &mut Rng,
    memory: &mut Memory<'_>,
    reference: impl FnOnce(BinaryIo<'_>),
    tested: impl FnOnce(BinaryIo<'_>),
) -> Result<Checked, Fault> {
    let (misalign_a, misalign_b) = (draw::misalign(rng), draw::misalign(rng));
    let a = memory.s8(operand_len(binary, binary.broadcast_a), misalign_a)?;
    let b = memory.s8(operand_len(binary, binary.broadcast_b), misalign_b)?;
    draw::activations(rng, a);
    draw::activations(rng, b);
    let y_len = operand_len(binary, 0);
    accept(
        p,
        &[(DType::S8, a.len()), (DType::S8, b.len())],
        false,
        y_len,
    )?;
    let in_place = a.len() == y_len && rng.one_in(2);
    let targets = Targets {
        y_len,
        misalign: draw::misalign(rng),
        scratch_bytes: 0,
        x_len: a.len() + b.len(),
    };
    compare(
        memory,
        &targets,
        |y| {
            reference(BinaryIo {
                a_y: InOut::Apart(a, y),
                b,
            })
        },
        |y, _| {
            let a_y = if in_place {
                y.copy_from_slice(a);
                InOut::InPlace(y)
            } else {
                InOut::Apart(a, y)
            };
            tested(BinaryIo { a_y, b });
        },
    )
}

pub(crate) struct Add;

impl Case for Add {
    type Params = ops::Add;

    fn draw(rng: &mut Rng) -> ops::Add {
        let largest = i64::from(ops::Add::MULTIPLIER_MAX);
        let shift = if rng.one_in(4) {
            rng.pick(&[1, 2, 22, 23])
        } else {
            rng.size(15, 23) as u8
        };
        let mut multiplier = || match rng.size(0, 5) {
            0 => rng.pick(&[-largest, largest, 0, 1, -1]) as i32,
            1 => rng.range(-largest, largest) as i32,
            // A step of the input is about a step of the output.
            _ => {
                let one = 1_i64 << shift;
                rng.range((one / 4).max(1), (one * 2).min(largest)) as i32
            }
        };
        let (multiplier_a, multiplier_b) = (multiplier(), multiplier());
        ops::Add {
            binary: draw_binary(rng),
            zero_point_a: draw::zero_point(rng),
            zero_point_b: draw::zero_point(rng),
            multiplier_a,
            multiplier_b: if rng.one_in(3) {
                -multiplier_b
            } else {
                multiplier_b
            },
            shift,
            output: draw::output(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Add,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        check_binary(
            p,
            &p.binary,
            rng,
            memory,
            |io| reference::add_s8(p, io),
            |io| k.add_s8(p, io),
        )
    }
}

pub(crate) struct Mul;

impl Case for Mul {
    type Params = ops::Mul;

    fn draw(rng: &mut Rng) -> ops::Mul {
        ops::Mul {
            binary: draw_binary(rng),
            zero_point_a: draw::zero_point(rng),
            zero_point_b: draw::zero_point(rng),
            requant: draw::requant(rng, 8_000),
            output: draw::output(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Mul,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        check_binary(
            p,
            &p.binary,
            rng,
            memory,
            |io| reference::mul_s8(p, io),
            |io| k.mul_s8(p, io),
        )
    }
}

pub(crate) struct Minimum;

impl Case for Minimum {
    type Params = ops::Minimum;

    fn draw(rng: &mut Rng) -> ops::Minimum {
        ops::Minimum {
            binary: draw_binary(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Minimum,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        check_binary(
            p,
            &p.binary,
            rng,
            memory,
            |io| reference::minimum_s8(p, io),
            |io| k.minimum_s8(p, io),
        )
    }
}

pub(crate) struct Maximum;

impl Case for Maximum {
    type Params = ops::Maximum;

    fn draw(rng: &mut Rng) -> ops::Maximum {
        ops::Maximum {
            binary: draw_binary(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Maximum,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        check_binary(
            p,
            &p.binary,
            rng,
            memory,
            |io| reference::maximum_s8(p, io),
            |io| k.maximum_s8(p, io),
        )
    }
}

pub(crate) struct Div;

impl Case for Div {
    type Params = ops::Div;

    fn draw(rng: &mut Rng) -> ops::Div {
        ops::Div {
            binary: draw_binary(rng),
            zero_point_a: draw::zero_point(rng),
            zero_point_b: draw::zero_point(rng),
            // Quotients of some units, with the bits behind the point.
            requant: draw::requant(rng, 2 << ops::Div::QUOTIENT_BITS),
            output: draw::output(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Div,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        check_binary(
            p,
            &p.binary,
            rng,
            memory,
            |io| reference::div_s8(p, io),
            |io| k.div_s8(p, io),
        )
    }
}
