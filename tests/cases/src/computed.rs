//! Indices that are computed, and what is picked by them. Few different values, so that many are equal; some indices point outside, where a kernel clamps.

use ocellus_format::{
    DType,
    ops::{self, IndexType, Params},
};
use ocellus_kernels::{ArgMaxIo, Indices, IndicesMut, Kernels, TakeIo, reference};

use crate::{
    Case, Checked, Fault,
    compare::{Targets, accept, accept_output, compare},
    draw,
    memory::Memory,
    rng::Rng,
};

/// Sizes of an axis next to where the type of the index changes.
const AXES: [u32; 12] = [1, 2, 3, 5, 8, 17, 21, 80, 255, 256, 257, 600];

/// Values of which many are equal, in one layer of two.
fn values(rng: &mut Rng, x: &mut [i8]) {
    draw::activations(rng, x);
    if rng.one_in(2) {
        x.iter_mut().for_each(|x| *x >>= 6);
    }
}

/// The narrow type where it counts the axis, and the wide one at times.
fn index_type(rng: &mut Rng, n: u32) -> IndexType {
    if rng.one_in(4) {
        IndexType::U16
    } else {
        IndexType::for_count(n)
    }
}

fn width(index: IndexType) -> usize {
    match index {
        IndexType::U8 => 1,
        IndexType::U16 => 2,
        IndexType::S32 => 4,
    }
}

fn indices_mut(index: IndexType, y: &mut [i8]) -> IndicesMut<'_> {
    match index {
        IndexType::U8 => IndicesMut::U8(bytemuck::cast_slice_mut(y)),
        _ => IndicesMut::U16(bytemuck::cast_slice_mut(y)),
    }
}

fn indices(index: IndexType, bytes: &[u8]) -> Indices<'_> {
    match index {
        IndexType::U8 => Indices::U8(bytes),
        IndexType::U16 => Indices::U16(bytemuck::cast_slice(bytes)),
        IndexType::S32 => Indices::S32(bytemuck::cast_slice(bytes)),
    }
}

/// What writes indices.
fn check_writer<'de, P: Params<'de>>(
    p: &P,
    (x_len, y_len): (usize, usize),
    index: IndexType,
    rng: &mut Rng,
    memory: &mut Memory<'_>,
    reference: impl FnOnce(ArgMaxIo<'_>),
    tested: impl FnOnce(ArgMaxIo<'_>),
) -> Result<Checked, Fault> {
    let misalign = draw::misalign(rng);
    let x = memory.s8(x_len, misalign)?;
    values(rng, x);
    accept_output(p, &[(DType::S8, x_len)], true, (index.dtype(), y_len))?;
    let bytes = width(index);
    let targets = Targets {
        y_len: y_len * bytes,
        misalign: draw::misalign(rng) / bytes * bytes,
        scratch_bytes: 0,
        x_len,
    };
    compare(
        memory,
        &targets,
        |y| {
            reference(ArgMaxIo {
                x,
                y: indices_mut(index, y),
            })
        },
        |y, _| {
            tested(ArgMaxIo {
                x,
                y: indices_mut(index, y),
            })
        },
    )
}

pub(crate) struct ArgMax;

impl Case for ArgMax {
    type Params = ops::ArgMax;

    fn draw(rng: &mut Rng) -> ops::ArgMax {
        let n = rng.pick(&AXES);
        ops::ArgMax {
            outer: rng.size(1, 6),
            n,
            inner: if rng.one_in(2) { 1 } else { rng.size(2, 9) },
            smallest: rng.one_in(3),
            last: rng.one_in(3),
            index: index_type(rng, n),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::ArgMax,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let y_len = (p.outer * p.inner) as usize;
        let lens = (y_len * p.n as usize, y_len);
        check_writer(
            p,
            lens,
            p.index,
            rng,
            memory,
            |io| reference::arg_max_s8(p, io),
            |io| k.arg_max_s8(p, io),
        )
    }
}

pub(crate) struct TopK;

impl Case for TopK {
    type Params = ops::TopK;

    fn draw(rng: &mut Rng) -> ops::TopK {
        let n = rng.pick(&AXES);
        ops::TopK {
            rows: rng.size(1, 4),
            n,
            k: if rng.one_in(4) {
                n
            } else {
                rng.size(1, n.min(10))
            },
            smallest: rng.one_in(3),
            index: index_type(rng, n),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::TopK,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let lens = ((p.rows * p.n) as usize, (p.rows * p.k) as usize);
        check_writer(
            p,
            lens,
            p.index,
            rng,
            memory,
            |io| reference::top_k_s8(p, io),
            |io| k.top_k_s8(p, io),
        )
    }
}

/// An index of an axis of `n`; seldom one outside, on either side where the type has one.
fn draw_index(rng: &mut Rng, index: IndexType, n: u32, to: &mut [u8]) {
    let outside = rng.one_in(20);
    let inside = rng.size(0, n - 1);
    match index {
        IndexType::U8 => to.copy_from_slice(&[if outside { u8::MAX } else { inside as u8 }]),
        IndexType::U16 => {
            let value = if outside { u16::MAX } else { inside as u16 };
            to.copy_from_slice(&value.to_le_bytes());
        }
        IndexType::S32 => {
            let n = n as i32;
            let value = match rng.size(0, 3) {
                0 if outside => rng.pick(&[i32::MIN, i32::MAX, n, -n - 1]),
                1 => inside as i32 - n,
                _ => inside as i32,
            };
            to.copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// What reads indices.
fn check_reader<'de, P: Params<'de>>(
    p: &P,
    [x_len, index_count, y_len]: [usize; 3],
    (index, in_n): (IndexType, u32),
    rng: &mut Rng,
    memory: &mut Memory<'_>,
    reference: impl FnOnce(TakeIo<'_>),
    tested: impl FnOnce(TakeIo<'_>),
) -> Result<Checked, Fault> {
    let misalign = draw::misalign(rng);
    let x = memory.s8(x_len, misalign)?;
    let list = memory.bytes(index_count * width(index), 0)?;
    draw::activations(rng, x);
    for entry in list.chunks_exact_mut(width(index)) {
        draw_index(rng, index, in_n, entry);
    }
    let computed = rng.one_in(2);
    let inputs = [(DType::S8, x_len), (index.dtype(), index_count)];
    accept(p, &inputs, !computed, y_len)?;
    let targets = Targets {
        y_len,
        misalign: draw::misalign(rng),
        scratch_bytes: 0,
        x_len,
    };
    let indices = indices(index, list);
    compare(
        memory,
        &targets,
        |y| reference(TakeIo { x, indices, y }),
        |y, _| tested(TakeIo { x, indices, y }),
    )
}

fn any_index_type(rng: &mut Rng) -> IndexType {
    rng.pick(&[IndexType::U8, IndexType::U16, IndexType::S32])
}

pub(crate) struct Take;

impl Case for Take {
    type Params = ops::Take;

    fn draw(rng: &mut Rng) -> ops::Take {
        ops::Take {
            outer: rng.size(1, 3),
            in_n: rng.pick(&AXES),
            out_n: rng.size(1, 20),
            inner: rng.pick(&[1, 2, 7, 16, 33]),
            index: any_index_type(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::Take,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let lens = [
            (p.outer * p.in_n * p.inner) as usize,
            p.out_n as usize,
            (p.outer * p.out_n * p.inner) as usize,
        ];
        check_reader(
            p,
            lens,
            (p.index, p.in_n),
            rng,
            memory,
            |io| reference::take_s8(p, io),
            |io| k.take_s8(p, io),
        )
    }
}

pub(crate) struct GatherElements;

impl Case for GatherElements {
    type Params = ops::GatherElements;

    fn draw(rng: &mut Rng) -> ops::GatherElements {
        ops::GatherElements {
            outer: rng.size(1, 3),
            in_n: rng.pick(&AXES),
            out_n: rng.size(1, 20),
            inner: rng.pick(&[1, 1, 2, 7, 16]),
            index: any_index_type(rng),
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::GatherElements,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let len = (p.outer * p.out_n * p.inner) as usize;
        let lens = [(p.outer * p.in_n * p.inner) as usize, len, len];
        check_reader(
            p,
            lens,
            (p.index, p.in_n),
            rng,
            memory,
            |io| reference::gather_elements_s8(p, io),
            |io| k.gather_elements_s8(p, io),
        )
    }
}
