//! Sums that only a softmax reads, as attention has them: a very large negative number, up to minus infinity, hides a position.
//!
//! A softmax tells nothing apart that lies far below the largest value of its row. What a mask leaves there need not fit a scale, which would have no step left
//! for the values that count.

use std::borrow::Cow;

use crate::{BinaryOp, Graph, Op, TensorId};

/// What lies further below the largest value of its row is nothing to a softmax: its share is less than half of 2^-15, the finest step of the output. A larger
/// number would take steps from small scores, a smaller one would let hundreds of hidden positions be seen together.
const REACH: f32 = 12.0;

/// An offset below this hides a position, and is no part of what a layer computes.
pub(crate) const HIDES: f32 = -1e4;

/// The rows of a tensor along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rows {
    size: usize,
    /// Elements from one of a row to its next.
    step: usize,
}

/// The sums of a graph that only a softmax reads.
#[derive(Clone, Debug)]
pub struct Masks {
    /// By tensor: the rows of its softmax.
    rows: Vec<Option<Rows>>,
}

impl Masks {
    /// Finds them, each with its reshapes and transposes up to the softmax.
    pub fn of(graph: &Graph) -> Masks {
        let count = graph.tensors.len();
        let mut readers = vec![Vec::new(); count];
        for node in &graph.nodes {
            for id in &node.inputs {
                readers[id.0].push(node);
            }
        }
        let outputs = graph.outputs.iter();
        let mut read_otherwise = vec![false; count];
        for id in outputs.flat_map(|output| output.assembly.tensors()) {
            read_otherwise[id.0] = true;
        }
        // By tensor: the axis of the softmax.
        let mut axes: Vec<Option<usize>> = vec![None; count];
        for node in graph.nodes.iter().rev() {
            let output = node.output;
            if read_otherwise[output.0] || graph.tensor(output).grid.is_some() {
                continue;
            }
            let shape = &graph.tensor(output).shape;
            let mut wanted = readers[output.0].iter().map(|reader| {
                let behind = axes[reader.output.0];
                match &reader.op {
                    Op::Softmax { axis } => Some(*axis),
                    Op::Transpose { order } => order.get(behind?).copied(),
                    Op::Reshape { shape: reshaped } => {
                        let is_kept =
                            behind? + 1 == reshaped.len() && shape.last() == reshaped.last();
                        is_kept.then(|| shape.len() - 1)
                    }
                    _ => None,
                }
            });
            let first = wanted.next().flatten();
            axes[output.0] = first.filter(|_| wanted.all(|axis| axis == first));
        }
        for node in &graph.nodes {
            let is_sum = match &node.op {
                Op::Binary(BinaryOp::Add | BinaryOp::Sub) => true,
                Op::Reshape { .. } | Op::Transpose { .. } => {
                    node.inputs.iter().all(|id| axes[id.0].is_some())
                }
                _ => false,
            };
            if !is_sum {
                axes[node.output.0] = None;
            }
        }
        let rows = axes.iter().zip(&graph.tensors).map(|(axis, tensor)| {
            let axis = (*axis)?;
            Some(Rows {
                size: *tensor.shape.get(axis)?,
                step: tensor.shape[axis + 1..].iter().product(),
            })
        });
        Masks {
            rows: rows.collect(),
        }
    }

    /// The values of a tensor, in one such sum those that the softmax does not tell from nothing no lower than they must be.
    pub fn seen<'v>(&self, id: TensorId, values: &'v [f32]) -> Cow<'v, [f32]> {
        let Some(&Some(Rows { size, step })) = self.rows.get(id.0) else {
            return Cow::Borrowed(values);
        };
        let mut seen = values.to_vec();
        for block in seen.chunks_mut((size * step).max(1)) {
            for first in 0..step.min(block.len()) {
                let row = block[first..].iter().step_by(step);
                let largest = row.copied().fold(f32::NEG_INFINITY, f32::max);
                for value in block[first..].iter_mut().step_by(step) {
                    if largest < HIDES && !value.is_nan() {
                        // All of the row is hidden, and all of it has one share, whatever the number.
                        *value = 0.0;
                    } else if *value < largest - REACH {
                        *value = largest - REACH;
                    }
                }
            }
        }
        Cow::Owned(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BorderType;

    /// What is seen of the values -1e30, 1, 2, -14 in two rows of two, added and read by an operator.
    fn seen(reader: Op) -> Vec<f32> {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![1, 2, 2], BorderType::F32);
        let mask = graph.add_constant("mask", vec![2, 2], vec![0.0; 4]);
        let add = Op::Binary(BinaryOp::Add);
        let sum = graph.add_node("sum", add, &[x, mask]).unwrap();
        let y = graph.add_node("y", reader, &[sum]).unwrap();
        let y = match graph.nodes[1].op {
            Op::Softmax { .. } => y,
            _ => (graph.add_node("softmax", Op::Softmax { axis: 1 }, &[y])).unwrap(),
        };
        graph.add_output("y", y, BorderType::F32);
        Masks::of(&graph)
            .seen(sum, &[-1e30, 1.0, 2.0, -14.1])
            .into_owned()
    }

    #[test]
    fn what_a_row_does_not_tell_apart_is_raised() {
        let innermost = [-11.0, 1.0, 2.0, -10.0];
        assert_eq!(seen(Op::Softmax { axis: 2 }), innermost);
        assert_eq!(seen(Op::Softmax { axis: 1 }), [-10.0, 1.0, 2.0, -11.0]);
        assert_eq!(seen(Op::Reshape { shape: vec![2, 2] }), innermost);
        let turned = Op::Transpose {
            order: vec![0, 2, 1],
        };
        assert_eq!(seen(turned), innermost);
    }

    #[test]
    fn a_row_that_is_hidden_entirely_takes_no_steps() {
        let mut values = [-1e30, -2e30, f32::NAN, 1.0];
        let masks = Masks {
            rows: vec![Some(Rows { size: 2, step: 1 })],
        };
        let seen = masks.seen(TensorId(0), &values).into_owned();
        assert_eq!(seen[..2], [0.0, 0.0]);
        // What is no number is told elsewhere.
        assert!(seen[2].is_nan());
        values[2] = f32::NEG_INFINITY;
        assert_eq!(masks.seen(TensorId(0), &values)[2..], [-11.0, 1.0]);
    }

    #[test]
    fn what_others_read_stays() {
        let as_it_is = [-1e30, 1.0, 2.0, -14.1];
        assert_eq!(seen(Op::Unary(crate::UnaryOp::Neg)), as_it_is);
        assert_eq!(seen(Op::Reshape { shape: vec![1, 4] }), as_it_is);
    }
}
