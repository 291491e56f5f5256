//! Copies and blends by tables. Some entries point outside, where a kernel clamps.

use core::fmt::Debug;

use ocellus_format::{
    DType,
    ops::{self, Params, ResizeBilinear as Bilinear},
};
use ocellus_kernels::{IndexedIo, Kernels, reference};

use crate::{
    Case, Checked, Fault,
    compare::{Targets, accept, compare},
    draw,
    memory::Memory,
    rng::Rng,
};

/// An index of `0..size`, seldom one behind it.
fn index(rng: &mut Rng, size: u32) -> u16 {
    if rng.one_in(40) {
        rng.pick(&[size as u16, u16::MAX])
    } else {
        rng.size(0, size - 1) as u16
    }
}

/// An entry `(i0, i1, f)` for each output; weights at both ends, and one too large.
fn blends(rng: &mut Rng, size: u32, table: &mut [u16]) {
    for entry in table.chunks_exact_mut(3) {
        let fraction = rng.size(0, 2048) as u16;
        let weight = if rng.one_in(4) {
            rng.pick(&[0, 1, 1024, 2047, Bilinear::ONE, u16::MAX])
        } else {
            fraction
        };
        entry.copy_from_slice(&[index(rng, size), index(rng, size), weight]);
    }
}

fn check_indexed<'de, P: Params<'de> + Debug>(
    p: &P,
    (x_len, y_len): (usize, usize),
    (rows, columns): (&[u16], &[u16]),
    rng: &mut Rng,
    memory: &mut Memory<'_>,
    reference: impl FnOnce(IndexedIo<'_>),
    tested: impl FnOnce(IndexedIo<'_>),
) -> Result<Checked, Fault> {
    let misalign = draw::misalign(rng);
    let x = memory.s8(x_len, misalign)?;
    draw::activations(rng, x);
    let inputs = [
        (DType::S8, x_len),
        (DType::U16, rows.len()),
        (DType::U16, columns.len()),
    ];
    let inputs = if columns.is_empty() {
        &inputs[..2]
    } else {
        &inputs[..]
    };
    accept(p, inputs, true, y_len)?;
    let targets = Targets {
        y_len,
        misalign: draw::misalign(rng),
        scratch_bytes: 0,
        x_len,
    };
    compare(
        memory,
        &targets,
        |y| {
            reference(IndexedIo {
                x,
                rows,
                columns,
                y,
            })
        },
        |y, _| {
            tested(IndexedIo {
                x,
                rows,
                columns,
                y,
            })
        },
    )
}

pub(crate) struct Gather;

impl Case for Gather {
    type Params = ops::Gather;

    fn draw(rng: &mut Rng) -> ops::Gather {
        ops::Gather {
            outer: rng.size(1, 5),
            in_n: rng.size(1, 12),
            out_n: rng.size(1, 12),
            inner: draw::channels(rng).min(33),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Gather,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let rows = memory.u16(p.out_n as usize)?;
        rows.fill_with(|| index(rng, p.in_n));
        let lens = (
            (p.outer * p.in_n * p.inner) as usize,
            (p.outer * p.out_n * p.inner) as usize,
        );
        check_indexed(
            p,
            lens,
            (rows, &[]),
            rng,
            memory,
            |io| reference::gather_s8(p, io),
            |io| k.gather_s8(p, io),
        )
    }
}

pub(crate) struct ResizeNearest;

impl Case for ResizeNearest {
    type Params = ops::ResizeNearest;

    fn draw(rng: &mut Rng) -> ops::ResizeNearest {
        ops::ResizeNearest {
            in_h: rng.size(1, 9),
            in_w: rng.size(1, 9),
            out_h: rng.size(1, 12),
            out_w: rng.size(1, 12),
            channels: draw::channels(rng).min(65),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::ResizeNearest,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let (rows, columns) = (memory.u16(p.out_h as usize)?, memory.u16(p.out_w as usize)?);
        rows.fill_with(|| index(rng, p.in_h));
        columns.fill_with(|| index(rng, p.in_w));
        let lens = (
            (p.in_h * p.in_w * p.channels) as usize,
            (p.out_h * p.out_w * p.channels) as usize,
        );
        check_indexed(
            p,
            lens,
            (rows, columns),
            rng,
            memory,
            |io| reference::resize_nearest_s8(p, io),
            |io| k.resize_nearest_s8(p, io),
        )
    }
}

pub(crate) struct ResizeBilinear;

impl Case for ResizeBilinear {
    type Params = Bilinear;

    fn draw(rng: &mut Rng) -> Bilinear {
        Bilinear {
            in_h: rng.size(1, 9),
            in_w: rng.size(1, 9),
            out_h: rng.size(1, 12),
            out_w: rng.size(1, 12),
            channels: draw::channels(rng).min(65),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &Bilinear,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let (rows, columns) = (
            memory.u16(p.out_h as usize * 3)?,
            memory.u16(p.out_w as usize * 3)?,
        );
        blends(rng, p.in_h, rows);
        blends(rng, p.in_w, columns);
        let lens = (
            (p.in_h * p.in_w * p.channels) as usize,
            (p.out_h * p.out_w * p.channels) as usize,
        );
        check_indexed(
            p,
            lens,
            (rows, columns),
            rng,
            memory,
            |io| reference::resize_bilinear_s8(p, io),
            |io| k.resize_bilinear_s8(p, io),
        )
    }
}
