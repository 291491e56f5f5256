//! Operators that work element by element, and reductions.

use rayon::prelude::*;

use super::View;
use crate::{BinaryOp, Function, Step, UnaryOp};

const CHUNK: usize = 1 << 14;

fn map(x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out = f(*x));
}

fn map_pairs(a: &[f32], b: &[f32], out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    let operands = a.iter().zip(b);
    out.iter_mut()
        .zip(operands)
        .for_each(|(out, (a, b))| *out = f(*a, *b));
}

impl UnaryOp {
    /// The function itself.
    // Loops of `apply_to` know which function it is.
    #[inline(always)]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            UnaryOp::Clip { min, max } => x.max(min).min(max),
            UnaryOp::LeakyRelu { slope } => {
                if x < 0.0 {
                    slope * x
                } else {
                    x
                }
            }
            UnaryOp::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
            UnaryOp::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            UnaryOp::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            UnaryOp::Silu => x / (1.0 + libm::expf(-x)),
            UnaryOp::Tanh => libm::tanhf(x),
            UnaryOp::Exp => libm::expf(x),
            UnaryOp::Log => libm::logf(x),
            UnaryOp::Sqrt => x.sqrt(),
            UnaryOp::Pow { exponent: 2.0 } => x * x,
            UnaryOp::Pow { exponent } => libm::powf(x, exponent),
            UnaryOp::Erf
            | UnaryOp::Softplus
            | UnaryOp::Elu { .. }
            | UnaryOp::Threshold { .. }
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Sign
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Atan => self.exact(f64::from(x)) as f32,
            UnaryOp::Abs => x.abs(),
            UnaryOp::Neg => -x,
            UnaryOp::Affine { scale, offset } => scale * x + offset,
        }
    }

    /// Of many values. The usual functions have loops of their own, which a compiler makes vector instructions of.
    fn apply_to(self, x: &[f32], out: &mut [f32]) {
        use UnaryOp::{Affine, Clip, HardSigmoid, HardSwish};
        match self {
            Clip { min, max } => map(x, out, |x| Clip { min, max }.apply(x)),
            Affine { scale, offset } => map(x, out, |x| Affine { scale, offset }.apply(x)),
            HardSigmoid { alpha, beta } => map(x, out, |x| HardSigmoid { alpha, beta }.apply(x)),
            HardSwish => map(x, out, |x| HardSwish.apply(x)),
            op => map(x, out, |x| op.apply(x)),
        }
    }
}

impl BinaryOp {
    /// The function itself.
    // Loops of `apply_to` know which function it is.
    #[inline(always)]
    pub fn apply(self, a: f32, b: f32) -> f32 {
        match self {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a * b,
            BinaryOp::Div => a / b,
            BinaryOp::Minimum => a.min(b),
            BinaryOp::Maximum => a.max(b),
        }
    }

    /// Of many pairs.
    fn apply_to(self, a: &[f32], b: &[f32], out: &mut [f32]) {
        use BinaryOp::{Add, Div, Mul, Sub};
        match self {
            Add => map_pairs(a, b, out, |a, b| Add.apply(a, b)),
            Sub => map_pairs(a, b, out, |a, b| Sub.apply(a, b)),
            Mul => map_pairs(a, b, out, |a, b| Mul.apply(a, b)),
            Div => map_pairs(a, b, out, |a, b| Div.apply(a, b)),
            op => map_pairs(a, b, out, |a, b| op.apply(a, b)),
        }
    }
}

pub(super) fn unary(op: UnaryOp, x: &[f32], out: &mut [f32]) {
    out.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(out, x)| op.apply_to(x, out));
}

pub(super) fn function(function: &Function, x: &[f32], out: &mut [f32]) {
    let rows = out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
    rows.for_each(|(out, x)| {
        let mut values: Vec<Vec<f32>> = vec![x.to_vec()];
        for step in function.steps() {
            let mut result = vec![0.0; x.len()];
            match *step {
                Step::Unary(op, x) => op.apply_to(&values[x], &mut result),
                Step::Binary(op, a, b) => op.apply_to(&values[a], &values[b], &mut result),
                Step::Constant(value) => result.fill(value),
            }
            values.push(result);
        }
        if let Some(result) = values.last() {
            out.copy_from_slice(result);
        }
    });
}

pub(super) fn clamp(out: &mut [f32], min: f32, max: f32) {
    out.par_chunks_mut(CHUNK)
        .for_each(|out| out.iter_mut().for_each(|x| *x = x.max(min).min(max)));
}

/// Distance in `shape`'s data between neighbours on each axis of the broadcast result; 0 where it is repeated.
fn broadcast_strides(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut strides = vec![0; rank];
    let mut step = 1;
    for (stride, &size) in strides.iter_mut().rev().zip(shape.iter().rev()) {
        if size != 1 {
            *stride = step;
        }
        step *= size;
    }
    strides
}

pub(super) fn binary(op: BinaryOp, a: View<'_>, b: View<'_>, shape: &[usize], out: &mut [f32]) {
    match op {
        BinaryOp::Add => broadcast(a, b, shape, out, |a, b| a + b),
        BinaryOp::Sub => broadcast(a, b, shape, out, |a, b| a - b),
        BinaryOp::Mul => broadcast(a, b, shape, out, |a, b| a * b),
        BinaryOp::Div => broadcast(a, b, shape, out, |a, b| a / b),
        BinaryOp::Minimum => broadcast(a, b, shape, out, f32::min),
        BinaryOp::Maximum => broadcast(a, b, shape, out, f32::max),
    }
}

fn broadcast(
    a: View<'_>,
    b: View<'_>,
    shape: &[usize],
    out: &mut [f32],
    f: impl Fn(f32, f32) -> f32 + Sync,
) {
    if a.data.len() == out.len() && b.data.len() == out.len() {
        let operands = a.data.par_chunks(CHUNK).zip(b.data.par_chunks(CHUNK));
        return out
            .par_chunks_mut(CHUNK)
            .zip(operands)
            .for_each(|(out, (a, b))| {
                out.iter_mut()
                    .zip(a.iter().zip(b))
                    .for_each(|(out, (a, b))| *out = f(*a, *b));
            });
    }
    let inner = shape.last().copied().unwrap_or(1);
    let [sa, sb] = [a, b].map(|view| broadcast_strides(view.shape, shape.len()));
    let [step_a, step_b] = [&sa, &sb].map(|strides| strides.last().copied().unwrap_or(0));
    let outer = shape.len().saturating_sub(1);
    let rows = (CHUNK / inner).max(1);
    out.par_chunks_mut(rows * inner)
        .enumerate()
        .for_each(|(item, out)| {
            for (i, out) in out.chunks_exact_mut(inner).enumerate() {
                let (mut rest, mut at_a, mut at_b) = (item * rows + i, 0, 0);
                for axis in (0..outer).rev() {
                    let index = rest % shape[axis];
                    rest /= shape[axis];
                    at_a += index * sa[axis];
                    at_b += index * sb[axis];
                }
                match (step_a, step_b) {
                    (1, 1) => {
                        let operands = a.data[at_a..at_a + inner]
                            .iter()
                            .zip(&b.data[at_b..at_b + inner]);
                        out.iter_mut()
                            .zip(operands)
                            .for_each(|(out, (a, b))| *out = f(*a, *b));
                    }
                    (1, 0) => out
                        .iter_mut()
                        .zip(&a.data[at_a..at_a + inner])
                        .for_each(|(out, a)| *out = f(*a, b.data[at_b])),
                    (0, 1) => out
                        .iter_mut()
                        .zip(&b.data[at_b..at_b + inner])
                        .for_each(|(out, b)| *out = f(a.data[at_a], *b)),
                    _ => out.fill(f(a.data[at_a], b.data[at_b])),
                }
            }
        });
}

pub(super) fn prelu(x: View<'_>, slope: &[f32], out: &mut [f32]) {
    let c = x.shape.last().copied().unwrap_or(1);
    let rows = (CHUNK / c).max(1) * c;
    out.par_chunks_mut(rows)
        .zip(x.data.par_chunks(rows))
        .for_each(|(out, x)| {
            for (i, (out, &x)) in out.iter_mut().zip(x).enumerate() {
                *out = if x < 0.0 {
                    x * slope[i % c % slope.len()]
                } else {
                    x
                };
            }
        });
}

pub(super) fn softmax(x: View<'_>, axis: usize, out: &mut [f32]) {
    let size = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    out.par_chunks_mut(size * inner)
        .zip(x.data.par_chunks(size * inner))
        .for_each(|(out, x)| {
            for i in 0..inner {
                let max = x
                    .iter()
                    .skip(i)
                    .step_by(inner)
                    .fold(f32::NEG_INFINITY, |max, x| max.max(*x));
                let mut sum = 0.0;
                for (out, x) in out
                    .iter_mut()
                    .skip(i)
                    .step_by(inner)
                    .zip(x.iter().skip(i).step_by(inner))
                {
                    *out = libm::expf(x - max);
                    sum += *out;
                }
                out.iter_mut()
                    .skip(i)
                    .step_by(inner)
                    .for_each(|out| *out /= sum);
            }
        });
}

pub(super) fn mean(x: View<'_>, axes: &[usize], out: &mut [f32]) {
    let kept: Vec<usize> = x
        .shape
        .iter()
        .enumerate()
        .map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size })
        .collect();
    let strides = broadcast_strides(&kept, kept.len());
    let inner = x.shape.last().copied().unwrap_or(1);
    let outer = x.shape.len().saturating_sub(1);
    let step = strides.last().copied().unwrap_or(0);
    // A picture has up to a million elements a channel; f64 keeps their sum exact enough.
    let mut sums = vec![0.0f64; out.len()];
    for (row, x_row) in x.data.chunks_exact(inner).enumerate() {
        let (mut rest, mut at) = (row, 0);
        for axis in (0..outer).rev() {
            at += rest % x.shape[axis] * strides[axis];
            rest /= x.shape[axis];
        }
        for (i, &value) in x_row.iter().enumerate() {
            sums[at + i * step] += f64::from(value);
        }
    }
    let count: usize = axes.iter().map(|&axis| x.shape[axis]).product();
    out.iter_mut()
        .zip(sums)
        .for_each(|(out, sum)| *out = (sum / count as f64) as f32);
}

#[cfg(test)]
mod tests {
    use std::f32::consts::{FRAC_PI_4, LN_2, SQRT_2};

    use super::super::{View, eval};
    use crate::random::Random;
    use crate::{BinaryOp, Op, UnaryOp};

    #[test]
    fn unary_functions_take_their_known_values() {
        let cases = [
            (UnaryOp::Clip { min: 0.0, max: 6.0 }, [0.0, 0.0, 2.0, 6.0]),
            (
                UnaryOp::Clip {
                    min: f32::NEG_INFINITY,
                    max: 1.0,
                },
                [-4.0, -1.0, 1.0, 1.0],
            ),
            (UnaryOp::LeakyRelu { slope: 0.5 }, [-2.0, -0.5, 2.0, 8.0]),
            (
                UnaryOp::Sigmoid,
                [0.017_986_2, 0.268_941_4, 0.880_797_1, 0.999_664_6],
            ),
            (
                UnaryOp::HardSigmoid {
                    alpha: 0.25,
                    beta: 0.5,
                },
                [0.0, 0.25, 1.0, 1.0],
            ),
            (UnaryOp::HardSwish, [0.0, -1.0 / 3.0, 5.0 / 3.0, 8.0]),
            (
                UnaryOp::Silu,
                [-0.071_944_8, -0.268_941_4, 1.761_594_2, 7.997_317],
            ),
            (
                UnaryOp::Tanh,
                [-0.999_329_3, -0.761_594_2, 0.964_027_6, 0.999_999_8],
            ),
            (
                UnaryOp::Exp,
                [0.018_315_6, 0.367_879_4, 7.389_056, 2_980.958],
            ),
            (UnaryOp::Log, [f32::NAN, f32::NAN, LN_2, 3.0 * LN_2]),
            (UnaryOp::Sqrt, [f32::NAN, f32::NAN, SQRT_2, 2.0 * SQRT_2]),
            (UnaryOp::Pow { exponent: 2.0 }, [16.0, 1.0, 4.0, 64.0]),
            (UnaryOp::Pow { exponent: -1.0 }, [-0.25, -1.0, 0.5, 0.125]),
            (UnaryOp::Erf, [-1.0, -0.842_700_8, 0.995_322_3, 1.0]),
            (
                UnaryOp::Softplus,
                [0.018_149_9, 0.313_261_7, 2.126_928, 8.000_335],
            ),
            (
                UnaryOp::Elu { alpha: 2.0 },
                [-1.963_368_7, -1.264_241_1, 2.0, 8.0],
            ),
            (UnaryOp::Threshold { threshold: 2.0 }, [0.0, 0.0, 0.0, 8.0]),
            (UnaryOp::Sign, [-1.0, -1.0, 1.0, 1.0]),
            (
                UnaryOp::Sin,
                [0.756_802_5, -0.841_471, 0.909_297_4, 0.989_358_2],
            ),
            (
                UnaryOp::Cos,
                [-0.653_643_6, 0.540_302_3, -0.416_146_8, -0.145_500_03],
            ),
            (
                UnaryOp::Atan,
                [-1.325_817_7, -FRAC_PI_4, 1.107_148_7, 1.446_441_3],
            ),
            (UnaryOp::Abs, [4.0, 1.0, 2.0, 8.0]),
            (UnaryOp::Neg, [4.0, 1.0, -2.0, -8.0]),
            (
                UnaryOp::Affine {
                    scale: 2.0,
                    offset: 1.0,
                },
                [-7.0, -1.0, 5.0, 17.0],
            ),
        ];
        for (op, expected) in cases {
            let out = eval(
                &Op::Unary(op),
                None,
                &[View {
                    shape: &[4],
                    data: &[-4.0, -1.0, 2.0, 8.0],
                }],
            )
            .unwrap();
            for (out, expected) in out.iter().zip(expected) {
                assert!(
                    (out.is_nan() && expected.is_nan())
                        || (out - expected).abs() <= 1e-5 * expected.abs().max(0.01),
                    "{op:?}: {out} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn binary_broadcasts_as_numpy_does() {
        let mut random = Random::new(3);
        let shapes: [(&[usize], &[usize]); 7] = [
            (&[2, 3, 4], &[4]),
            (&[3, 1], &[2, 3, 4]),
            (&[2, 3, 4], &[]),
            (&[2, 1, 4], &[1, 3, 1]),
            (&[5], &[5]),
            (&[2, 2, 1, 3], &[2, 1, 1]),
            (&[], &[]),
        ];
        for (left, right) in shapes {
            let [a, b] = [left, right].map(|shape| random.values(shape.iter().product()));
            for op in [
                BinaryOp::Add,
                BinaryOp::Sub,
                BinaryOp::Mul,
                BinaryOp::Div,
                BinaryOp::Minimum,
                BinaryOp::Maximum,
            ] {
                let shape = Op::Binary(op).output_shape(&[left, right]).unwrap();
                let out = eval(
                    &Op::Binary(op),
                    None,
                    &[
                        View {
                            shape: left,
                            data: &a,
                        },
                        View {
                            shape: right,
                            data: &b,
                        },
                    ],
                )
                .unwrap();
                for (i, &out) in out.iter().enumerate() {
                    let pick = |from: &[usize], data: &[f32]| {
                        let (mut rest, mut at, mut step) = (i, 0, 1);
                        for (axis, &size) in shape.iter().enumerate().rev() {
                            let index = rest % size;
                            rest /= size;
                            if let Some(own) = (axis + from.len()).checked_sub(shape.len()) {
                                at += step * (index % from[own]);
                                step *= from[own];
                            }
                        }
                        data[at]
                    };
                    let (a, b) = (pick(left, &a), pick(right, &b));
                    let expected = [a + b, a - b, a * b, a / b, a.min(b), a.max(b)][op as usize];
                    assert_eq!(
                        out, expected,
                        "{op:?} of {left:?} and {right:?}, element {i}"
                    );
                }
            }
        }
    }

    #[test]
    fn prelu_has_a_slope_a_channel_or_one() {
        let x = View {
            shape: &[2, 2],
            data: &[-1.0, -1.0, 2.0, -2.0],
        };
        assert_eq!(
            eval(
                &Op::Prelu,
                None,
                &[
                    x,
                    View {
                        shape: &[2],
                        data: &[0.5, 0.25]
                    }
                ]
            )
            .unwrap(),
            [-0.5, -0.25, 2.0, -0.5]
        );
        assert_eq!(
            eval(
                &Op::Prelu,
                None,
                &[
                    x,
                    View {
                        shape: &[1],
                        data: &[2.0]
                    }
                ]
            )
            .unwrap(),
            [-2.0, -2.0, 2.0, -4.0]
        );
    }

    #[test]
    fn softmax_adds_up_to_one_along_its_axis_only() {
        let x: Vec<f32> = [0.0, 1.0, 2.0]
            .iter()
            .flat_map(|&v: &f32| [libm::logf(libm::expf(v)), 1000.0])
            .collect();
        let out = eval(
            &Op::Softmax { axis: 0 },
            None,
            &[View {
                shape: &[3, 2],
                data: &x,
            }],
        )
        .unwrap();
        let expected = [
            0.090_030_57,
            1.0 / 3.0,
            0.244_728_47,
            1.0 / 3.0,
            0.665_240_94,
            1.0 / 3.0,
        ];
        assert!(
            out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
            "{out:?}"
        );
    }

    #[test]
    fn mean_reduces_inner_outer_and_middle_axes() {
        let x: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let mean = |axes: &[usize]| {
            let op = Op::Mean {
                axes: axes.to_vec(),
                keep_dims: false,
            };
            eval(
                &op,
                None,
                &[View {
                    shape: &[2, 3, 4],
                    data: &x,
                }],
            )
            .unwrap()
        };
        assert_eq!(mean(&[2]), [1.5, 5.5, 9.5, 13.5, 17.5, 21.5]);
        assert_eq!(mean(&[1]), [4.0, 5.0, 6.0, 7.0, 16.0, 17.0, 18.0, 19.0]);
        assert_eq!(mean(&[0, 2]), [7.5, 11.5, 15.5]);
        assert_eq!(mean(&[0, 1, 2]), [11.5]);
    }
}
