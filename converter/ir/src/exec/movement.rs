//! Operators that only move values.

use rayon::prelude::*;

use super::View;

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Fills `out` of `shape`, where a step on axis `i` moves `step[i]` elements in `x`, from `start`.
fn gather_strided(x: &[f32], start: usize, step: &[usize], shape: &[usize], out: &mut [f32]) {
    let Some((&inner, outer)) = shape.split_last() else {
        out.copy_from_slice(&x[start..start + 1]);
        return;
    };
    let inner_step = step[outer.len()];
    let rows = ((1 << 14) / inner).max(1);
    out.par_chunks_mut(rows * inner)
        .enumerate()
        .for_each(|(item, out)| {
            for (i, out) in out.chunks_exact_mut(inner).enumerate() {
                let (mut rest, mut at) = (item * rows + i, start);
                for (&size, &step) in outer.iter().zip(step).rev() {
                    at += rest % size * step;
                    rest /= size;
                }
                if inner_step == 1 {
                    out.copy_from_slice(&x[at..at + inner]);
                } else {
                    out.iter_mut()
                        .enumerate()
                        .for_each(|(i, out)| *out = x[at + i * inner_step]);
                }
            }
        });
}

pub(super) fn transpose(x: View<'_>, order: &[usize]) -> Vec<f32> {
    if x.data.is_empty() || order.is_sorted() {
        return x.data.to_vec();
    }
    let mut out = vec![0.0; x.data.len()];
    let from = strides(x.shape);
    let shape: Vec<_> = order.iter().map(|&axis| x.shape[axis]).collect();
    let step: Vec<_> = order.iter().map(|&axis| from[axis]).collect();
    gather_strided(x.data, 0, &step, &shape, &mut out);
    out
}

pub(super) fn slice(
    x: View<'_>,
    begin: &[usize],
    step: &[usize],
    shape: &[usize],
    out: &mut [f32],
) {
    let from = strides(x.shape);
    let start = begin
        .iter()
        .zip(&from)
        .map(|(begin, stride)| begin * stride)
        .sum();
    let step: Vec<_> = step
        .iter()
        .zip(&from)
        .map(|(step, stride)| step * stride)
        .collect();
    gather_strided(x.data, start, &step, shape, out);
}

pub(super) fn pad(x: View<'_>, before: &[usize], value: f32, shape: &[usize], out: &mut [f32]) {
    out.fill(value);
    let Some((&inner, outer)) = x.shape.split_last() else {
        out.copy_from_slice(x.data);
        return;
    };
    if x.data.is_empty() {
        return;
    }
    let to = strides(shape);
    let start: usize = before
        .iter()
        .zip(&to)
        .map(|(before, stride)| before * stride)
        .sum();
    for (row, x) in x.data.chunks_exact(inner).enumerate() {
        let (mut rest, mut at) = (row, start);
        for (&size, &stride) in outer.iter().zip(&to).rev() {
            at += rest % size * stride;
            rest /= size;
        }
        out[at..at + inner].copy_from_slice(x);
    }
}

pub(super) fn concat(inputs: &[View<'_>], axis: usize, shape: &[usize], out: &mut [f32]) {
    let row: usize = shape[axis..].iter().product();
    let mut at = 0;
    for input in inputs {
        let part: usize = input.shape[axis..].iter().product();
        if part == 0 {
            continue;
        }
        for (out, x) in out.chunks_exact_mut(row).zip(input.data.chunks_exact(part)) {
            out[at..at + part].copy_from_slice(x);
        }
        at += part;
    }
}

pub(super) fn gather(x: View<'_>, axis: usize, indices: &[usize], out: &mut [f32]) {
    let inner: usize = x.shape[axis + 1..].iter().product();
    let row = x.shape[axis] * inner;
    out.par_chunks_mut(indices.len() * inner)
        .zip(x.data.par_chunks(row))
        .for_each(|(out, x)| {
            for (out, &index) in out.chunks_exact_mut(inner).zip(indices) {
                out.copy_from_slice(&x[index * inner..(index + 1) * inner]);
            }
        });
}

#[cfg(test)]
mod tests {
    use super::super::{View, eval};
    use crate::Op;

    fn run(op: Op, inputs: &[(&[usize], &[f32])]) -> Vec<f32> {
        let views: Vec<_> = inputs
            .iter()
            .map(|&(shape, data)| View { shape, data })
            .collect();
        eval(&op, None, &views).unwrap()
    }

    const SIX: &[f32] = &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0];

    #[test]
    fn transpose_reorders_axes() {
        assert_eq!(
            run(Op::Transpose { order: vec![1, 0] }, &[(&[2, 3], SIX)]),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        let x: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let out = run(
            Op::Transpose {
                order: vec![2, 0, 1],
            },
            &[(&[2, 3, 4], &x)],
        );
        for (i, out) in out.iter().enumerate() {
            let (a, b, c) = (i / 6, i / 3 % 2, i % 3);
            assert_eq!(*out, (b * 12 + c * 4 + a) as f32);
        }
    }

    #[test]
    fn slice_steps_on_every_axis() {
        let op = Op::Slice {
            begin: vec![0, 1],
            size: vec![2, 1],
            step: vec![1, 1],
        };
        assert_eq!(run(op, &[(&[2, 3], SIX)]), [1.0, 4.0]);
        let op = Op::Slice {
            begin: vec![1],
            size: vec![3],
            step: vec![2],
        };
        assert_eq!(run(op, &[(&[6], SIX)]), [1.0, 3.0, 5.0]);
    }

    #[test]
    fn pad_writes_the_frame() {
        let op = Op::Pad {
            before: vec![1, 0],
            after: vec![0, 2],
            value: 9.0,
        };
        assert_eq!(
            run(op, &[(&[1, 2], &SIX[..2])]),
            [9.0, 9.0, 9.0, 9.0, 0.0, 1.0, 9.0, 9.0]
        );
    }

    #[test]
    fn concat_joins_inner_and_outer_axes() {
        let parts: [(&[usize], &[f32]); 2] = [(&[2, 1], &SIX[..2]), (&[2, 2], &SIX[2..])];
        assert_eq!(
            run(Op::Concat { axis: 1 }, &parts),
            [0.0, 2.0, 3.0, 1.0, 4.0, 5.0]
        );
        let parts: [(&[usize], &[f32]); 3] =
            [(&[1, 2], &SIX[..2]), (&[0, 2], &[]), (&[2, 2], &SIX[2..])];
        assert_eq!(run(Op::Concat { axis: 0 }, &parts), SIX);
    }

    #[test]
    fn gather_repeats_and_reorders() {
        let op = Op::Gather {
            axis: 1,
            indices: vec![2, 0, 2],
        };
        assert_eq!(run(op, &[(&[2, 3], SIX)]), [2.0, 0.0, 2.0, 5.0, 3.0, 5.0]);
        let op = Op::Gather {
            axis: 0,
            indices: vec![1],
        };
        assert_eq!(run(op, &[(&[2, 3], SIX)]), [3.0, 4.0, 5.0]);
    }
}
