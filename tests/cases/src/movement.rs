//! Copies without tables.

use core::fmt::Debug;

use ocellus_format::{
    DType,
    ops::{self, MOVE_RANK, Params},
};
use ocellus_kernels::{Kernels, UnaryIo, reference};

use crate::{
    Case, Checked, Fault,
    compare::{Targets, accept, compare},
    draw,
    memory::Memory,
    rng::Rng,
};

fn shape(rng: &mut Rng) -> [u32; MOVE_RANK] {
    let axis = [1, 1, 2, 3, 5, 8];
    [
        rng.pick(&axis),
        rng.pick(&axis),
        rng.pick(&axis),
        rng.pick(&[1, 2, 3, 4, 8, 15, 16, 17, 33]),
    ]
}

fn check_unary<'de, P: Params<'de> + Debug>(
    p: &P,
    (x_len, y_len): (usize, usize),
    rng: &mut Rng,
    memory: &mut Memory<'_>,
    reference: impl FnOnce(UnaryIo<'_>),
    tested: impl FnOnce(UnaryIo<'_>),
) -> Result<Checked, Fault> {
    let misalign = draw::misalign(rng);
    let x = memory.s8(x_len, misalign)?;
    x.fill_with(|| rng.bits() as i8);
    accept(p, &[(DType::S8, x_len)], false, y_len)?;
    let targets = Targets {
        y_len,
        misalign: draw::misalign(rng),
        scratch_bytes: 0,
        x_len,
    };
    compare(
        memory,
        &targets,
        |y| reference(UnaryIo { x, y }),
        |y, _| tested(UnaryIo { x, y }),
    )
}

fn len(shape: &[u32; MOVE_RANK]) -> usize {
    shape.iter().map(|&size| size as usize).product()
}

/// Three inputs of different widths, one after the other.
pub(crate) struct Concat;

impl Case for Concat {
    type Params = ops::Concat;

    fn draw(rng: &mut Rng) -> ops::Concat {
        ops::Concat {
            outer: rng.pick(&[1, 2, 7, 30]),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Concat,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let outer = p.outer as usize;
        let widths = [
            draw::channels(rng),
            draw::channels(rng),
            draw::channels(rng),
        ]
        .map(|width| width as usize);
        let total: usize = widths.iter().sum();
        let misalign = draw::misalign(rng);
        let x = memory.s8(outer * total, misalign)?;
        x.fill_with(|| rng.bits() as i8);
        accept(
            p,
            &widths.map(|width| (DType::S8, outer * width)),
            false,
            outer * total,
        )?;
        let inputs = |y: &mut [i8], copy: &dyn Fn(usize, UnaryIo<'_>)| {
            let mut column = 0;
            for width in widths {
                copy(
                    column,
                    UnaryIo {
                        x: &x[outer * column..outer * (column + width)],
                        y,
                    },
                );
                column += width;
            }
        };
        let targets = Targets {
            y_len: x.len(),
            misalign: draw::misalign(rng),
            scratch_bytes: 0,
            x_len: x.len(),
        };
        compare(
            memory,
            &targets,
            |y| inputs(y, &|column, io| reference::concat_s8(p, column, total, io)),
            |y, _| inputs(y, &|column, io| k.concat_s8(p, column, total, io)),
        )
    }
}

pub(crate) struct Slice;

impl Case for Slice {
    type Params = ops::Slice;

    fn draw(rng: &mut Rng) -> ops::Slice {
        let in_shape = shape(rng);
        let mut p = ops::Slice {
            in_shape,
            out_shape: in_shape,
            begin: [0; MOVE_RANK],
            step: [1; MOVE_RANK],
        };
        for (axis, &size) in in_shape.iter().enumerate() {
            if rng.one_in(2) {
                p.begin[axis] = rng.size(0, size - 1);
                p.step[axis] = rng.pick(&[1, 1, 2, 3]);
                p.out_shape[axis] = rng.size(1, (size - 1 - p.begin[axis]) / p.step[axis] + 1);
            }
        }
        p
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Slice,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let lens = (len(&p.in_shape), len(&p.out_shape));
        check_unary(
            p,
            lens,
            rng,
            memory,
            |io| reference::slice_s8(p, io),
            |io| k.slice_s8(p, io),
        )
    }
}

pub(crate) struct Pad;

impl Case for Pad {
    type Params = ops::Pad;

    fn draw(rng: &mut Rng) -> ops::Pad {
        let some = [0, 0, 0, 1, 2, 3];
        ops::Pad {
            in_shape: shape(rng),
            before: core::array::from_fn(|_| rng.pick(&some)),
            after: core::array::from_fn(|_| rng.pick(&some)),
            value: draw::zero_point(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Pad,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let lens = (len(&p.in_shape), len(&p.out_shape()));
        check_unary(
            p,
            lens,
            rng,
            memory,
            |io| reference::pad_s8(p, io),
            |io| k.pad_s8(p, io),
        )
    }
}

pub(crate) struct Transpose;

impl Case for Transpose {
    type Params = ops::Transpose;

    fn draw(rng: &mut Rng) -> ops::Transpose {
        let in_shape = shape(rng);
        let mut order = [0, 1, 2, 3];
        for axis in (1..MOVE_RANK).rev() {
            order.swap(axis, rng.size(0, axis as u32) as usize);
        }
        ops::Transpose { in_shape, order }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Transpose,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let lens = (len(&p.in_shape), len(&p.in_shape));
        check_unary(
            p,
            lens,
            rng,
            memory,
            |io| reference::transpose_s8(p, io),
            |io| k.transpose_s8(p, io),
        )
    }
}
