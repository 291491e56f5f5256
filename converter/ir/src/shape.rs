//! The shape of an operator's output from the shapes of its inputs: the one place where shape rules are written down.

#[cfg(test)]
mod tests;
mod window;

use thiserror::Error;

use crate::{Op, Step};
use window::convolution;

/// More elements than this are refused: no device in reach holds them, a PC does as real numbers (1 GiB), and sizes stay far from overflow.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// Why an operator does not fit its inputs.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// Too many or too few inputs.
    #[error("`{op}` takes {expected} inputs, not {actual}")]
    InputCount {
        /// The operator.
        op: &'static str,
        /// How many it takes.
        expected: &'static str,
        /// How many it was given.
        actual: usize,
    },
    /// An input has the wrong number of axes.
    #[error("input {input} of `{op}` must have {expected} axes, but its shape is {actual:?}")]
    Rank {
        /// The operator.
        op: &'static str,
        /// Which input.
        input: usize,
        /// Axes it must have.
        expected: usize,
        /// The shape it has.
        actual: Vec<usize>,
    },
    /// One size has to equal another.
    #[error("`{op}`: {what} must be {expected}, but is {actual}")]
    Size {
        /// The operator.
        op: &'static str,
        /// What the size is of.
        what: &'static str,
        /// What it has to be.
        expected: usize,
        /// What it is.
        actual: usize,
    },
    /// A size, step or count that must not be zero.
    #[error("`{op}`: {what} must not be 0")]
    Zero {
        /// The operator.
        op: &'static str,
        /// What is zero.
        what: &'static str,
    },
    /// Two shapes that do not broadcast.
    #[error("`{op}`: shapes {left:?} and {right:?} do not broadcast")]
    Broadcast {
        /// The operator.
        op: &'static str,
        /// Shape of the first input.
        left: Vec<usize>,
        /// Shape of the second input.
        right: Vec<usize>,
    },
    /// An axis or a list of axes that the shape does not have.
    #[error("`{op}`: axes {axes:?} do not fit shape {shape:?}")]
    Axes {
        /// The operator.
        op: &'static str,
        /// The axes as given.
        axes: Vec<usize>,
        /// The input's shape.
        shape: Vec<usize>,
    },
    /// The window does not fit once into the padded input, or padding eats the whole output.
    #[error("`{op}`: a window of {window} does not fit {what} of {actual} (padding included)")]
    WindowTooLarge {
        /// The operator.
        op: &'static str,
        /// `rows` or `columns`.
        what: &'static str,
        /// Extent of the window, dilation included.
        window: usize,
        /// Size of the padded input.
        actual: usize,
    },
    /// A reshape that changes the number of elements.
    #[error("`reshape`: {from:?} does not hold as many elements as {to:?}")]
    Elements {
        /// The input's shape.
        from: Vec<usize>,
        /// The shape asked for.
        to: Vec<usize>,
    },
    /// An index beyond the axis.
    #[error("`{op}`: index {index} is outside of axis {axis}, which has {size}")]
    Index {
        /// The operator.
        op: &'static str,
        /// The axis.
        axis: usize,
        /// The index.
        index: usize,
        /// The size of the axis.
        size: usize,
    },
    /// A number in the operator that makes no sense (not finite, limits the wrong way round).
    #[error("`{op}`: {what} is not a usable number")]
    Number {
        /// The operator.
        op: &'static str,
        /// Which one.
        what: &'static str,
    },
    /// The result is too large for any use here.
    #[error("`{op}`: the result would have more than {MAX_ELEMENTS} elements")]
    TooLarge {
        /// The operator.
        op: &'static str,
    },
}

/// The common shape of two operands under numpy's rules.
pub fn broadcast(
    op: &'static str,
    left: &[usize],
    right: &[usize],
) -> Result<Vec<usize>, ShapeError> {
    let rank = left.len().max(right.len());
    let size = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .and_then(|i| shape.get(i).copied())
            .unwrap_or(1)
    };
    (0..rank)
        .map(|axis| match (size(left, axis), size(right, axis)) {
            (a, b) if a == b => Ok(a),
            (1, b) => Ok(b),
            (a, 1) => Ok(a),
            _ => Err(ShapeError::Broadcast {
                op,
                left: left.to_vec(),
                right: right.to_vec(),
            }),
        })
        .collect()
}

/// True where `order` names each of `rank` axes once.
pub fn is_permutation(order: &[usize], rank: usize) -> bool {
    let mut seen = vec![false; rank];
    order.len() == rank
        && order.iter().all(|&axis| {
            seen.get_mut(axis)
                .is_some_and(|s| !std::mem::replace(s, true))
        })
}

impl Op {
    /// The shape of the output.
    ///
    /// # Errors
    /// A [`ShapeError`] where the inputs do not fit the operator or each other.
    pub fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let shape = self.infer(inputs)?;
        let elements = shape
            .iter()
            .try_fold(1usize, |n, &size| n.checked_mul(size))
            .filter(|&n| n <= MAX_ELEMENTS);
        if elements.is_none() {
            return Err(ShapeError::TooLarge { op: self.name() });
        }
        Ok(shape)
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let op = self.name();
        let x: &[usize] = match (self, inputs) {
            (
                Op::Conv2d { .. } | Op::TransposeConv2d { .. } | Op::FullyConnected,
                [x, _] | [x, _, _],
            ) => x,
            (Op::Conv2d { .. } | Op::TransposeConv2d { .. } | Op::FullyConnected, _) => {
                return Err(ShapeError::InputCount {
                    op,
                    expected: "2 or 3",
                    actual: inputs.len(),
                });
            }
            (Op::LayerNorm { .. }, [x, _, _]) => x,
            (Op::LayerNorm { .. }, _) => {
                return Err(ShapeError::InputCount {
                    op,
                    expected: "3",
                    actual: inputs.len(),
                });
            }
            (two, [x, _]) if two.takes_two() => x,
            (two, _) if two.takes_two() => {
                return Err(ShapeError::InputCount {
                    op,
                    expected: "2",
                    actual: inputs.len(),
                });
            }
            (Op::Concat { .. }, [x, ..]) => x,
            (Op::Concat { .. }, []) => {
                return Err(ShapeError::InputCount {
                    op,
                    expected: "1 or more",
                    actual: 0,
                });
            }
            (_, [x]) => x,
            _ => {
                return Err(ShapeError::InputCount {
                    op,
                    expected: "1",
                    actual: inputs.len(),
                });
            }
        };
        match self {
            Op::Conv2d { window, groups } => {
                let [n, h, w, oc, kernel] = convolution(op, inputs, *groups)?;
                let [oh, ow] = window.output(op, [h[0], w[0]], [kernel[0], kernel[1]])?;
                Ok(vec![n[0], oh, ow, oc[0]])
            }
            Op::TransposeConv2d {
                window,
                output_padding,
                groups,
            } => {
                let [n, h, w, oc, kernel] = convolution(op, inputs, *groups)?;
                window.check(op, [kernel[0], kernel[1]])?;
                let mut out = [0; 2];
                for (i, (size, what)) in [(h[0], "rows"), (w[0], "columns")].into_iter().enumerate()
                {
                    let extent = window
                        .extent(i, kernel[i])
                        .ok_or(ShapeError::TooLarge { op })?;
                    let full = size
                        .checked_sub(1)
                        .ok_or(ShapeError::Zero { op, what })?
                        .checked_mul(window.stride[i]);
                    let full = full
                        .and_then(|f| f.checked_add(extent)?.checked_add(output_padding[i]))
                        .ok_or(ShapeError::TooLarge { op })?;
                    let taken = window.pad_before[i]
                        .checked_add(window.pad_after[i])
                        .ok_or(ShapeError::TooLarge { op })?;
                    out[i] = full.checked_sub(taken).filter(|&o| o > 0).ok_or(
                        ShapeError::WindowTooLarge {
                            op,
                            what,
                            window: taken,
                            actual: full,
                        },
                    )?;
                }
                Ok(vec![n[0], out[0], out[1], oc[0]])
            }
            Op::FullyConnected => {
                let w = axes(op, inputs, 1, 2)?;
                let (&k, outer) = x.split_last().ok_or(ShapeError::Rank {
                    op,
                    input: 0,
                    expected: 2,
                    actual: vec![],
                })?;
                same(op, "columns of the weights", k, w[1])?;
                bias(op, inputs, w[0])?;
                Ok(outer.iter().copied().chain([w[0]]).collect())
            }
            Op::MaxPool2d { kernel, window } | Op::AveragePool2d { kernel, window, .. } => {
                let x = axes(op, inputs, 0, 4)?;
                let [oh, ow] = window.output(op, [x[1], x[2]], *kernel)?;
                Ok(vec![x[0], oh, ow, x[3]])
            }
            Op::Mean { axes, keep_dims } => {
                let sorted = axes.windows(2).all(|w| w[0] < w[1]);
                if axes.is_empty() || !sorted || axes.iter().any(|&a| a >= x.len()) {
                    return Err(ShapeError::Axes {
                        op,
                        axes: axes.clone(),
                        shape: x.to_vec(),
                    });
                }
                if axes.iter().any(|&a| x[a] == 0) {
                    return Err(ShapeError::Zero {
                        op,
                        what: "an axis to average",
                    });
                }
                let kept = x
                    .iter()
                    .enumerate()
                    .filter_map(|(i, &size)| match axes.contains(&i) {
                        true => keep_dims.then_some(1),
                        false => Some(size),
                    });
                Ok(kept.collect())
            }
            Op::Binary(_) => broadcast(op, inputs[0], inputs[1]),
            Op::Unary(unary) => {
                unary.check(op)?;
                Ok(x.to_vec())
            }
            Op::Function(function) => {
                for step in function.steps() {
                    if let Step::Unary(unary, _) = step {
                        unary.check(op)?;
                    }
                }
                Ok(x.to_vec())
            }
            Op::Prelu => {
                let slope = axes(op, inputs, 1, 1)?;
                let &c = x.last().ok_or(ShapeError::Rank {
                    op,
                    input: 0,
                    expected: 1,
                    actual: vec![],
                })?;
                if slope[0] != 1 {
                    same(op, "slopes", c, slope[0])?;
                }
                Ok(x.to_vec())
            }
            Op::Softmax { axis } => {
                axis_of(op, *axis, x)?;
                Ok(x.to_vec())
            }
            Op::BatchMatMul { transposed } => batch_mat_mul(op, inputs[0], inputs[1], *transposed),
            Op::LayerNorm {
                axis, run, epsilon, ..
            } => {
                axis_of(op, *axis, x)?;
                if *run == 0 {
                    return Err(ShapeError::Zero {
                        op,
                        what: "the run of a parameter",
                    });
                }
                if !epsilon.is_finite() || *epsilon < 0.0 {
                    return Err(ShapeError::Number {
                        op,
                        what: "epsilon",
                    });
                }
                let gamma = axes(op, inputs, 1, 1)?[0];
                same(op, "offsets", gamma, axes(op, inputs, 2, 1)?[0])?;
                if gamma == 0 {
                    return Err(ShapeError::Zero {
                        op,
                        what: "the number of factors",
                    });
                }
                Ok(x.to_vec())
            }
            Op::ArgMax {
                axis, keep_dims, ..
            } => {
                axis_of(op, *axis, x)?;
                if x[*axis] == 0 {
                    return Err(ShapeError::Zero {
                        op,
                        what: "the axis",
                    });
                }
                let mut out = x.to_vec();
                if *keep_dims {
                    out[*axis] = 1;
                } else {
                    out.remove(*axis);
                }
                Ok(out)
            }
            Op::TopK { k, .. } => {
                let (&n, outer) = x.split_last().ok_or(ShapeError::Rank {
                    op,
                    input: 0,
                    expected: 1,
                    actual: vec![],
                })?;
                if *k == 0 {
                    return Err(ShapeError::Zero { op, what: "`k`" });
                }
                if *k > n {
                    return Err(ShapeError::Index {
                        op,
                        axis: outer.len(),
                        index: *k,
                        size: n,
                    });
                }
                Ok(outer.iter().copied().chain([*k]).collect())
            }
            Op::Take { axis } => {
                axis_of(op, *axis, x)?;
                if x[*axis] == 0 {
                    return Err(ShapeError::Zero {
                        op,
                        what: "the axis",
                    });
                }
                let mut out = x[..*axis].to_vec();
                out.extend_from_slice(inputs[1]);
                out.extend_from_slice(&x[axis + 1..]);
                Ok(out)
            }
            Op::GatherElements { axis } => {
                let indices = axes(op, inputs, 1, x.len())?;
                axis_of(op, *axis, x)?;
                if x[*axis] == 0 {
                    return Err(ShapeError::Zero {
                        op,
                        what: "the axis",
                    });
                }
                for (i, (&size, &wanted)) in indices.iter().zip(x).enumerate() {
                    if i != *axis {
                        same(op, "an axis of the indices", wanted, size)?;
                    }
                }
                Ok(indices.to_vec())
            }
            Op::Concat { axis } => {
                let mut out = x.to_vec();
                axis_of(op, *axis, x)?;
                for (input, part) in inputs.iter().enumerate().skip(1) {
                    if part.len() != x.len() {
                        return Err(ShapeError::Rank {
                            op,
                            input,
                            expected: x.len(),
                            actual: part.to_vec(),
                        });
                    }
                    for (i, &size) in part.iter().enumerate() {
                        if i == *axis {
                            out[i] = out[i]
                                .checked_add(size)
                                .ok_or(ShapeError::TooLarge { op })?;
                        } else {
                            same(op, "an axis that is not joined", x[i], size)?;
                        }
                    }
                }
                Ok(out)
            }
            Op::Slice { begin, size, step } => {
                for list in [begin, size, step] {
                    same(op, "entries of begin, size and step", x.len(), list.len())?;
                }
                for (axis, &have) in x.iter().enumerate() {
                    if step[axis] == 0 {
                        return Err(ShapeError::Zero { op, what: "a step" });
                    }
                    if let Some(last) = size[axis].checked_sub(1) {
                        let index = last
                            .checked_mul(step[axis])
                            .and_then(|i| i.checked_add(begin[axis]))
                            .ok_or(ShapeError::TooLarge { op })?;
                        if index >= have {
                            return Err(ShapeError::Index {
                                op,
                                axis,
                                index,
                                size: have,
                            });
                        }
                    }
                }
                Ok(size.clone())
            }
            Op::Pad {
                before,
                after,
                value,
            } => {
                if value.is_nan() {
                    return Err(ShapeError::Number {
                        op,
                        what: "the value",
                    });
                }
                same(op, "entries of before", x.len(), before.len())?;
                same(op, "entries of after", x.len(), after.len())?;
                let padded = x
                    .iter()
                    .zip(before.iter().zip(after))
                    .map(|(&size, (&b, &a))| size.checked_add(b)?.checked_add(a));
                padded
                    .collect::<Option<_>>()
                    .ok_or(ShapeError::TooLarge { op })
            }
            Op::Reshape { shape } => {
                let count = |s: &[usize]| s.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
                match (count(x), count(shape)) {
                    (Some(a), Some(b)) if a == b => Ok(shape.clone()),
                    _ => Err(ShapeError::Elements {
                        from: x.to_vec(),
                        to: shape.clone(),
                    }),
                }
            }
            Op::Transpose { order } => {
                if !is_permutation(order, x.len()) {
                    return Err(ShapeError::Axes {
                        op,
                        axes: order.clone(),
                        shape: x.to_vec(),
                    });
                }
                Ok(order.iter().map(|&axis| x[axis]).collect())
            }
            Op::Gather { axis, indices } => {
                axis_of(op, *axis, x)?;
                if let Some(&index) = indices.iter().find(|&&i| i >= x[*axis]) {
                    return Err(ShapeError::Index {
                        op,
                        axis: *axis,
                        index,
                        size: x[*axis],
                    });
                }
                let mut out = x.to_vec();
                out[*axis] = indices.len();
                Ok(out)
            }
            Op::Resize { size, scale, .. } => {
                let x = axes(op, inputs, 0, 4)?;
                if size.contains(&0) || x[1] == 0 || x[2] == 0 {
                    return Err(ShapeError::Zero { op, what: "a size" });
                }
                if scale.iter().any(|s| !s.is_finite() || *s <= 0.0) {
                    return Err(ShapeError::Number {
                        op,
                        what: "the scale",
                    });
                }
                Ok(vec![x[0], size[0], size[1], x[3]])
            }
            Op::Quantize => Ok(x.to_vec()),
        }
    }
}

impl Op {
    /// True of operators of exactly two inputs.
    fn takes_two(&self) -> bool {
        matches!(
            self,
            Op::Binary(_)
                | Op::Prelu
                | Op::BatchMatMul { .. }
                | Op::Take { .. }
                | Op::GatherElements { .. }
        )
    }
}

/// The shape of a product of two stacks of matrices.
fn batch_mat_mul(
    op: &'static str,
    a: &[usize],
    b: &[usize],
    transposed: [bool; 2],
) -> Result<Vec<usize>, ShapeError> {
    let matrix = |input: usize, shape: &[usize]| match *shape {
        [ref lead @ .., rows, columns] if transposed[input] => Ok((lead.to_vec(), columns, rows)),
        [ref lead @ .., rows, columns] => Ok((lead.to_vec(), rows, columns)),
        _ => Err(ShapeError::Rank {
            op,
            input,
            expected: 2,
            actual: shape.to_vec(),
        }),
    };
    let (a_lead, m, k) = matrix(0, a)?;
    let (b_lead, rows, n) = matrix(1, b)?;
    same(op, "rows of the second operand", k, rows)?;
    if k == 0 {
        return Err(ShapeError::Zero {
            op,
            what: "the number of products",
        });
    }
    let mut out = broadcast(op, &a_lead, &b_lead)?;
    out.extend([m, n]);
    Ok(out)
}

impl crate::UnaryOp {
    fn check(&self, op: &'static str) -> Result<(), ShapeError> {
        use crate::UnaryOp::{Affine, Clip, Elu, HardSigmoid, LeakyRelu, Pow, Threshold};
        let finite = |value: f32, what| {
            if value.is_finite() {
                Ok(())
            } else {
                Err(ShapeError::Number { op, what })
            }
        };
        match *self {
            Clip { min, max } if min.is_nan() || max.is_nan() || min > max => {
                Err(ShapeError::Number {
                    op,
                    what: "a limit",
                })
            }
            LeakyRelu { slope } => finite(slope, "the slope"),
            Pow { exponent } => finite(exponent, "the exponent"),
            Elu { alpha } => finite(alpha, "alpha"),
            Threshold { threshold } => finite(threshold, "the threshold"),
            HardSigmoid { alpha, beta } => finite(alpha, "alpha").and(finite(beta, "beta")),
            Affine { scale, offset } => {
                finite(scale, "the scale").and(finite(offset, "the offset"))
            }
            _ => Ok(()),
        }
    }
}

fn same(
    op: &'static str,
    what: &'static str,
    expected: usize,
    actual: usize,
) -> Result<(), ShapeError> {
    if expected == actual {
        Ok(())
    } else {
        Err(ShapeError::Size {
            op,
            what,
            expected,
            actual,
        })
    }
}

fn axes<'a>(
    op: &'static str,
    inputs: &[&'a [usize]],
    input: usize,
    rank: usize,
) -> Result<&'a [usize], ShapeError> {
    let shape = inputs[input];
    if shape.len() == rank {
        Ok(shape)
    } else {
        Err(ShapeError::Rank {
            op,
            input,
            expected: rank,
            actual: shape.to_vec(),
        })
    }
}

fn axis_of(op: &'static str, axis: usize, shape: &[usize]) -> Result<(), ShapeError> {
    if axis < shape.len() {
        Ok(())
    } else {
        Err(ShapeError::Axes {
            op,
            axes: vec![axis],
            shape: shape.to_vec(),
        })
    }
}

fn bias(op: &'static str, inputs: &[&[usize]], channels: usize) -> Result<(), ShapeError> {
    match inputs.get(2) {
        Some([len]) => same(op, "biases", channels, *len),
        Some(other) => Err(ShapeError::Rank {
            op,
            input: 2,
            expected: 1,
            actual: other.to_vec(),
        }),
        None => Ok(()),
    }
}
