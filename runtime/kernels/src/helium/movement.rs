//! Copies: pieces of bytes that lie together, and bytes at a distance from each other.

use core::arch::asm;

use ocellus_format::ops::{Concat, Gather, MOVE_RANK, Pad, ResizeNearest, Slice, Transpose};

use super::copy::{copy, copy_pieces, fill};
use crate::{IndexedIo, UnaryIo};

pub(super) fn concat_s8(p: &Concat, column: usize, total: usize, io: UnaryIo<'_>) {
    let rows = p.outer as usize;
    let width = io.x.len().checked_div(rows).unwrap_or(0);
    let to = io.y.get_mut(column..).unwrap_or_default();
    copy_pieces(to, [0, total], io.x, [0, width], [1, rows, width]);
}

/// Where an input begins for each index of the outermost axis of four; and how far apart its elements are on each axis.
fn copy_box(
    x: &[i8],
    begin: usize,
    steps: [usize; MOVE_RANK],
    shape: [usize; MOVE_RANK],
    y: &mut [i8],
) {
    let [n0, n1, n2, n3] = shape;
    let [s0, s1, s2, s3] = steps;
    let whole = n1 * n2 * n3;
    for (i0, y) in (0..n0).zip(y.chunks_exact_mut(whole.max(1))) {
        let Some(x) = x.get(begin + i0 * s0..) else {
            return;
        };
        if s3 == 1 {
            copy_pieces(y, [n2 * n3, n3], x, [s1, s2], [n1, n2, n3]);
            continue;
        }
        for (row, y) in y.chunks_exact_mut(n3.max(1)).enumerate() {
            let (i1, i2) = (
                row.checked_div(n2).unwrap_or(0),
                row.checked_rem(n2).unwrap_or(0),
            );
            let Some(x) = x.get(i1 * s1 + i2 * s2..) else {
                return;
            };
            copy_apart(x, s3, y);
        }
    }
}

/// Copies bytes that are `step` apart, as many as `y` has, four at a time. Nothing happens where `x` ends before.
fn copy_apart(x: &[i8], step: usize, y: &mut [i8]) {
    let Some(last) = y.len().checked_sub(1) else {
        return;
    };
    if last.checked_mul(step).is_none_or(|at| at >= x.len()) {
        return;
    }
    // SAFETY: tail predication loads as many bytes, `step` apart, as it stores, and `y` has; the last one lies in `x`, as was measured. Offsets within a load are below four
    // steps. The registers are named as clobbered.
    unsafe {
        asm!(
            "movs r0, #0",
            "vidup.u32 q1, r0, #1",
            "vmul.i32 q1, q1, {step}",
            "lsl {step}, {step}, #2",
            "dlstp.32 lr, {n}",
            "2:",
            "vldrb.u32 q0, [r1, q1]",
            "add r1, {step}",
            "vstrb.32 q0, [r2], #4",
            "letp lr, 2b",
            step = inout(reg) step => _,
            n = in(reg) y.len(),
            // Vector increments take an even register, widening loads and narrowing stores r0 to r7 only.
            out("r0") _,
            inout("r1") x.as_ptr() => _,
            inout("r2") y.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

/// Elements from one index to the next on each axis of a dense tensor.
fn strides(shape: [u32; MOVE_RANK]) -> [usize; MOVE_RANK] {
    let [_, n1, n2, n3] = shape.map(|size| size as usize);
    [n1 * n2 * n3, n2 * n3, n3, 1]
}

pub(super) fn slice_s8(p: &Slice, io: UnaryIo<'_>) {
    let strides = strides(p.in_shape);
    let mut begin = 0;
    let mut steps = strides;
    let axes = steps.iter_mut().zip(&p.begin).zip(&p.step);
    for ((stride, &first), &step) in axes {
        begin += *stride * first as usize;
        *stride *= step as usize;
    }
    copy_box(
        io.x,
        begin,
        steps,
        p.out_shape.map(|size| size as usize),
        io.y,
    );
}

pub(super) fn transpose_s8(p: &Transpose, io: UnaryIo<'_>) {
    let strides = strides(p.in_shape);
    let axes = p.order.map(usize::from);
    let shape = axes.map(|axis| p.in_shape.get(axis).map_or(0, |&size| size as usize));
    let steps = axes.map(|axis| strides.get(axis).copied().unwrap_or(0));
    copy_box(io.x, 0, steps, shape, io.y);
}

pub(super) fn pad_s8(p: &Pad, io: UnaryIo<'_>) {
    fill(io.y, p.value);
    let [n0, n1, n2, n3] = p.in_shape.map(|size| size as usize);
    let [b0, b1, b2, b3] = p.before.map(|before| before as usize);
    let [s0, s1, s2, _] = strides(p.out_shape());
    let whole = n1 * n2 * n3;
    for (i0, x) in (0..n0).zip(io.x.chunks_exact(whole.max(1))) {
        let to = (b0 + i0) * s0 + b1 * s1 + b2 * s2 + b3;
        let y = io.y.get_mut(to..).unwrap_or_default();
        copy_pieces(y, [s1, s2], x, [n2 * n3, n3], [n1, n2, n3]);
    }
}

pub(super) fn gather_s8(p: &Gather, io: IndexedIo<'_>) {
    let (in_n, inner) = (p.in_n as usize, p.inner as usize);
    let mut pieces = io.y.chunks_exact_mut(inner.max(1));
    for x in
        io.x.chunks_exact((in_n * inner).max(1))
            .take(p.outer as usize)
    {
        for (&chosen, y) in io.rows.iter().take(p.out_n as usize).zip(&mut pieces) {
            let chosen = usize::from(chosen).min(in_n.saturating_sub(1));
            copy(y, x.get(chosen * inner..).unwrap_or(&[]));
        }
    }
}

pub(super) fn resize_nearest_s8(p: &ResizeNearest, io: IndexedIo<'_>) {
    let (in_h, in_w, channels) = (p.in_h as usize, p.in_w as usize, p.channels as usize);
    let mut pixels = io.y.chunks_exact_mut(channels.max(1));
    for &iy in io.rows.iter().take(p.out_h as usize) {
        let row = usize::from(iy).min(in_h.saturating_sub(1)) * in_w;
        for (&ix, y) in io.columns.iter().take(p.out_w as usize).zip(&mut pixels) {
            let pixel = row + usize::from(ix).min(in_w.saturating_sub(1));
            copy(y, io.x.get(pixel * channels..).unwrap_or(&[]));
        }
    }
}
