//! Which tensors have a scale without calibration: in a model that is quantized already, what follows from the scales in its file.

use ocellus_format::QParams;
use ocellus_ir::{BinaryOp, Graph, Node, Op, TensorId, UnaryOp};

use super::params::{dequantize_value, from_range, reach};
use super::{Sharing, copies, joins, min_max, union};
use crate::CompileError;

struct Known<'s, 'g> {
    sharing: &'s mut Sharing<'g>,
    /// Scale and zero point that a tensor will have, or close ones where a group has not been settled.
    params: Vec<Option<QParams>>,
}

impl Known<'_, '_> {
    /// The range of an operand.
    fn operand(&self, id: TensorId) -> Option<(f32, f32)> {
        match &self.sharing.graph.tensor(id).value {
            Some(values) => min_max(values),
            None => self.params[id.0].map(reach),
        }
    }

    /// All values that a function of one value can have are those of 256 inputs. Those that are no number, such as the logarithm of 0, need no range:
    /// they become the nearest end of it.
    fn range_of_function(&self, node: &Node, q: QParams) -> Option<(f32, f32)> {
        let inputs: Vec<f32> = (-128..=127i8)
            .map(|step| dequantize_value(q, step) as f32)
            .collect();
        let view = ocellus_ir::View {
            shape: &[inputs.len()],
            data: &inputs,
        };
        let values = ocellus_ir::eval(&node.op, node.clamp, &[view]).ok()?;
        let numbers: Vec<f32> = values.into_iter().filter(|v| v.is_finite()).collect();
        min_max(&numbers)
    }

    /// The largest and the smallest result of two operands are those of their ends.
    fn range_of_pairs(&self, op: BinaryOp, node: &Node) -> Option<(f32, f32)> {
        let &[a, b] = node.inputs.as_slice() else {
            return None;
        };
        let (a, b) = (self.operand(a)?, self.operand(b)?);
        let ends = [(a.0, b.0), (a.0, b.1), (a.1, b.0), (a.1, b.1)];
        let results = ends.map(|(x, y)| match op {
            BinaryOp::Add => x + y,
            BinaryOp::Sub => x - y,
            _ => x * y,
        });
        let limit = |v: f32| node.clamp.map_or(v, |(low, high)| v.max(low).min(high));
        min_max(&results.map(limit)).filter(|(min, max)| min.is_finite() && max.is_finite())
    }

    fn forward(&mut self, node: &Node) {
        let output = node.output.0;
        let Some(&first) = node
            .inputs
            .first()
            .filter(|_| self.params[output].is_none())
        else {
            return;
        };
        if copies(&node.op) {
            self.params[output] = self.params[first.0];
            return;
        }
        match (&node.op, self.params[first.0]) {
            // Limits of steps are steps: nothing is gained by others.
            (Op::Unary(UnaryOp::Clip { .. }), Some(q)) => {
                self.sharing.fixed[output] = Some(q);
                self.params[output] = Some(q);
                return;
            }
            (Op::Unary(_) | Op::Function(_), Some(q)) => {
                self.sharing.ranges[output] = self.range_of_function(node, q);
            }
            // A mean lies between the values that it is of, and zeros of padding, which every scale reaches.
            (Op::Mean { .. } | Op::AveragePool2d { .. }, Some(q)) => {
                self.sharing.ranges[output] = Some(reach(q));
            }
            (Op::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)), _) => {
                self.sharing.ranges[output] = self.range_of_pairs(*op, node);
            }
            (op, _) if joins(op) => {
                let operands: Option<Vec<_>> =
                    node.inputs.iter().map(|&id| self.operand(id)).collect();
                self.sharing.ranges[output] =
                    operands.and_then(|ranges| ranges.into_iter().map(Some).fold(None, union));
            }
            _ => {}
        }
        self.params[output] = self.sharing.ranges[output].map(|(min, max)| from_range(min, max));
    }

    /// What is only copied, joined or rounded takes the scale that it gets there.
    fn backward(&mut self, index: usize, node: &Node) {
        if !(copies(&node.op) || joins(&node.op)) {
            return;
        }
        for id in &node.inputs {
            let only_here = self.sharing.readers[id.0] == [index] && !self.sharing.is_output[id.0];
            if only_here && self.params[id.0].is_none() {
                self.params[id.0] = self.params[node.output.0];
            }
        }
    }
}

/// Settles what follows from the scales of the file.
///
/// # Errors
/// [`CompileError::NoScale`]: the first tensor whose scale neither the file nor its neighbours say
pub(super) fn derive(graph: &Graph, sharing: &mut Sharing<'_>) -> Result<(), CompileError> {
    let settled = sharing.fixed.iter().zip(&sharing.ranges);
    let params = settled
        .map(|(fixed, range)| fixed.or(range.map(|(min, max)| from_range(min, max))))
        .collect();
    let mut known = Known { sharing, params };
    for node in &graph.nodes {
        known.forward(node);
    }
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        known.backward(index, node);
    }
    for input in &graph.inputs {
        if known.params[input.tensor.0].is_none() {
            return Err(CompileError::NoScale {
                tensor: graph.tensor(input.tensor).name.clone(),
                origin: format!("input `{}`", input.name),
            });
        }
    }
    for node in &graph.nodes {
        if known.params[node.output.0].is_none() {
            return Err(CompileError::NoScale {
                tensor: graph.tensor(node.output).name.clone(),
                origin: format!("node `{}`, operator `{}`", node.name, node.op.name()),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ocellus_ir::{BorderType, Grid, Window};

    use super::super::quantize;
    use super::*;
    use crate::calibrate::{Calibration, Method};

    /// The scale that an operator's output has behind a tensor of steps of 0.5 from 0 on, without a sample.
    fn derived(op: Op) -> Result<QParams, CompileError> {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![1, 4, 4, 2], BorderType::F32);
        graph.set_grid(x, Grid::new(0.5, -128));
        let y = graph.add_node("y", op, &[x]).unwrap();
        graph.add_output("y", y, BorderType::F32);
        let calibration = Calibration::new(&graph, Method::MinMax);
        quantize(&graph, &calibration, &|_| {})?.params(&graph, y)
    }

    #[test]
    fn a_mean_has_the_range_of_what_it_is_of() {
        let window = Window {
            stride: [2, 2],
            dilation: [1, 1],
            pad_before: [1, 1],
            pad_after: [1, 1],
        };
        let pool = Op::AveragePool2d {
            kernel: [2, 2],
            window,
            count_include_pad: true,
        };
        let mean = Op::Mean {
            axes: vec![1, 2],
            keep_dims: true,
        };
        for op in [pool, mean] {
            assert_eq!(derived(op).unwrap(), from_range(0.0, 127.5));
        }
    }
}
