//! How far the integer model may be from float, element by element.
//!
//! Every number that is stored on the device is rounded to its tensor's scale `s`: half a step, and as much again at the ends of the range, which the
//! rounding of the zero point may move. So an input is at most `s` off, and an operator that rounds its result adds `s` of its output to what it makes of its
//! operands' errors `e`:
//!
//! | operator | error of the result before it is rounded |
//! | --- | --- |
//! | copies, pools, means, resizes | the same operator on `e`: weights are positive and add up to 1, a maximum moves by no more than the largest of its operands |
//! | layers | `sum(abs(w) * e) + sum((abs(x) + e) * dw)`, with `dw` half a step of the weights of the channel |
//! | add, sub | the sum of both errors |
//! | mul | `abs(a) * eb + abs(b) * ea + ea * eb` |
//! | minimum, maximum, concat | the larger error, and a step where an operand is brought to the common scale |
//! | functions of one value | the largest change of the function from `x - e` to `x + e` |
//! | prelu | `max(1, abs(slope)) * e` |
//! | softmax | `y * (exp(2 * max(e)) - 1)`: numerator and sum each move by no more than `exp(max(e))` |
//!
//! A constant operand is rounded as well: `s` is at most its largest magnitude by 127. Factors of a rescale have 22 bits and more; a fiftieth on top of
//! everything covers them, and the arithmetic of this bound itself.

use std::collections::HashMap;

use ocellus_compile::quantize::Quantization;
use ocellus_ir::exec::assemble;
use ocellus_ir::{BinaryOp, Executor, Graph, Input, Node, Op, TensorId, View, eval};

/// Points at which a function is looked at between both ends.
const POINTS: usize = 16;

/// An input in the order of the graph's axes.
pub(crate) fn in_graph_order(input: &Input, values: &[f32]) -> Vec<f32> {
    let order = input.order.clone();
    let view = View {
        shape: &input.shape,
        data: values,
    };
    eval(&Op::Transpose { order }, None, &[view]).expect("an order of its axes")
}

/// The bound of every element of every output; none where an operator has no rule here.
pub(crate) fn of_outputs(
    graph: &Graph,
    quantization: &Quantization,
    inputs: &[Vec<f32>],
) -> Option<Vec<Vec<f32>>> {
    let mut values: HashMap<TensorId, Vec<f32>> = HashMap::new();
    let slices: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut executor = Executor::new(graph).unwrap();
    executor
        .run(&slices, &mut |id, result| {
            values.insert(id, result.to_vec());
        })
        .unwrap();
    let step = |id: TensorId| quantization.params[id.0].map_or(0.0, |params| params.scale);
    let mut errors: HashMap<TensorId, Vec<f32>> = HashMap::new();
    for input in &graph.inputs {
        let id = input.tensor;
        errors.insert(id, vec![step(id); graph.tensor(id).len()]);
    }
    for node in &graph.nodes {
        let at = Operands {
            graph,
            node,
            values: &values,
            errors: &errors,
        };
        let error = at.error(step(node.output))?;
        errors.insert(node.output, error);
    }
    let assembled = graph.outputs.iter().map(|output| {
        let (_, bound) = assemble(&output.assembly, &mut |id| {
            (graph.tensor(id).shape.clone(), errors[&id].clone())
        })
        .expect("the parts fit");
        bound.iter().map(|e| e * 1.02 + 1e-6).collect()
    });
    Some(assembled.collect())
}

struct Operands<'a> {
    graph: &'a Graph,
    node: &'a Node,
    values: &'a HashMap<TensorId, Vec<f32>>,
    errors: &'a HashMap<TensorId, Vec<f32>>,
}

impl Operands<'_> {
    fn value(&self, position: usize) -> &[f32] {
        let id = self.node.inputs[position];
        let stored = self.graph.tensor(id).value.as_deref();
        stored.unwrap_or_else(|| &self.values[&id])
    }

    /// A constant of any length is off by at most its step.
    fn error_of(&self, position: usize) -> Vec<f32> {
        let id = self.node.inputs[position];
        match &self.graph.tensor(id).value {
            Some(values) => {
                let peak = values.iter().fold(0.0f32, |peak, v| peak.max(v.abs()));
                vec![peak / 127.0; values.len()]
            }
            None => self.errors[&id].clone(),
        }
    }

    /// The node's operator on other numbers.
    fn eval(&self, op: &Op, operands: &[&[f32]]) -> Vec<f32> {
        let views: Vec<View<'_>> = operands
            .iter()
            .zip(&self.node.inputs)
            .map(|(data, id)| View {
                shape: &self.graph.tensor(*id).shape,
                data,
            })
            .collect();
        eval(op, None, &views).expect("the shapes of the node")
    }

    fn error(&self, step: f32) -> Option<Vec<f32>> {
        let node = self.node;
        let own = |errors: Vec<f32>| errors.into_iter().map(|e| e + step).collect();
        let magnitudes = |values: &[f32]| values.iter().map(|v| v.abs()).collect::<Vec<f32>>();
        Some(match &node.op {
            Op::Pad {
                before,
                after,
                value,
            } => {
                let exact = Op::Pad {
                    before: before.clone(),
                    after: after.clone(),
                    value: 0.0,
                };
                let moved = self.eval(&exact, &[&self.error_of(0)]);
                // The value of the frame is rounded too.
                let frame = if *value == 0.0 { 0.0 } else { step };
                moved.into_iter().map(|e| e + frame).collect()
            }
            Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Slice { .. }
            | Op::Gather { .. }
            | Op::MaxPool2d { .. } => self.eval(&node.op, &[&self.error_of(0)]),
            Op::AveragePool2d { .. } | Op::Mean { .. } | Op::Resize { .. } => {
                own(self.eval(&node.op, &[&self.error_of(0)]))
            }
            Op::Concat { .. } => {
                let errors: Vec<Vec<f32>> =
                    (0..node.inputs.len()).map(|i| self.error_of(i)).collect();
                let errors: Vec<&[f32]> = errors.iter().map(Vec::as_slice).collect();
                own(self.eval(&node.op, &errors))
            }
            Op::Conv2d { .. } | Op::TransposeConv2d { .. } | Op::FullyConnected => {
                let (weights, error) = (magnitudes(self.value(1)), self.error_of(0));
                let shape = &self.graph.tensor(node.inputs[1]).shape;
                let taps = weights.len() / shape[0];
                let rounded: Vec<f32> = weights
                    .chunks(taps)
                    .flat_map(|row| {
                        let peak = row.iter().fold(0.0f32, |peak, w| peak.max(*w));
                        vec![peak / 127.0 / 2.0; taps]
                    })
                    .collect();
                let larger: Vec<f32> = self
                    .value(0)
                    .iter()
                    .zip(&error)
                    .map(|(x, e)| x.abs() + e)
                    .collect();
                let moved = self.eval(&node.op, &[&error, &weights]);
                let weighed = self.eval(&node.op, &[&larger, &rounded]);
                // The bias is rounded to a step of input by weight, which is less than a step of what is summed.
                own(moved
                    .iter()
                    .zip(&weighed)
                    .map(|(a, b)| a + 2.0 * b)
                    .collect())
            }
            Op::Binary(op) => {
                let (ea, eb) = (self.error_of(0), self.error_of(1));
                let (a, b) = (magnitudes(self.value(0)), magnitudes(self.value(1)));
                let sum = Op::Binary(BinaryOp::Add);
                let product = Op::Binary(BinaryOp::Mul);
                let plus = |x: Vec<f32>, y: Vec<f32>| -> Vec<f32> {
                    x.iter().zip(&y).map(|(x, y)| x + y).collect()
                };
                own(match op {
                    BinaryOp::Add | BinaryOp::Sub => self.eval(&sum, &[&ea, &eb]),
                    BinaryOp::Mul => plus(
                        plus(
                            self.eval(&product, &[&a, &eb]),
                            self.eval(&product, &[&ea, &b]),
                        ),
                        self.eval(&product, &[&ea, &eb]),
                    ),
                    BinaryOp::Minimum | BinaryOp::Maximum => {
                        let larger = Op::Binary(BinaryOp::Maximum);
                        own(self.eval(&larger, &[&ea, &eb]))
                    }
                    BinaryOp::Div => return None,
                })
            }
            Op::Unary(op) => own(self.change(&|x| op.exact(x))),
            Op::Function(function) => own(self.change(&|x| function.exact(x))),
            Op::Prelu => {
                let slopes = self.value(1);
                let steepest = slopes.iter().fold(1.0f32, |peak, s| peak.max(s.abs()));
                own(self.error_of(0).iter().map(|e| e * steepest).collect())
            }
            Op::Softmax { .. } => {
                let peak = self.error_of(0).into_iter().fold(0.0f32, f32::max);
                let factor = libm::expf(2.0 * peak) - 1.0;
                let result = &self.values[&node.output];
                own(result.iter().map(|y| y * factor).collect())
            }
            _ => return None,
        })
    }

    /// The largest change of a function within the error of its argument.
    fn change(&self, f: &dyn Fn(f64) -> f64) -> Vec<f32> {
        let pairs = self.value(0).iter().zip(self.error_of(0));
        pairs
            .map(|(&x, e)| {
                let here = f(f64::from(x));
                let points = (0..=2 * POINTS).map(|i| i as f64 / POINTS as f64 - 1.0);
                points
                    .map(|share| (f(f64::from(x) + share * f64::from(e)) - here).abs())
                    .filter(|change| !change.is_nan())
                    .fold(0.0, f64::max) as f32
            })
            .collect()
    }
}
