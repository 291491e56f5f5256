//! How close a model file comes to float on samples that its making has not seen.

use std::collections::HashMap;

use ocellus_ir::{Executor, Graph, Op, TensorId, UnaryOp};
use ocellus_kernels::{Kernels, WithKernels, best, dispatch};

use crate::interpret::{InterpretError, Interpreter, Outcome, Taps};
use crate::{CompileError, Sample};

/// Values of float references that are kept.
const REFERENCE_BYTES: usize = 128 << 20;

/// What a model file reaches.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Signal to noise, in decibels: the mean over the tensors that decide the outputs. Infinite where all are equal.
    pub snr_db: f64,
    /// Share of equal strongest classes, over all positions of all outputs; `None` where no output has classes.
    pub agreement: Option<f64>,
}

/// Float results of samples.
#[derive(Debug)]
pub struct Reference<'g> {
    graph: &'g Graph,
    /// The tensors that decide the outputs.
    deciding: Vec<TensorId>,
    samples: Vec<Expected>,
}

#[derive(Debug)]
struct Expected {
    inputs: Vec<Vec<f32>>,
    deciding: HashMap<TensorId, Vec<f32>>,
}

/// The tensors that decide a graph's outputs, sorted: behind them are only functions that keep the order of values, and the search for the largest.
pub(crate) fn deciding(graph: &Graph) -> Vec<TensorId> {
    let outputs = graph.outputs.iter();
    let tensors = outputs.flat_map(|output| output.assembly.tensors());
    let mut deciding: Vec<TensorId> = tensors.map(|id| behind_order(graph, id)).collect();
    deciding.sort_unstable();
    deciding.dedup();
    deciding
}

fn behind_order(graph: &Graph, mut id: TensorId) -> TensorId {
    while let Some(node) = graph.nodes.iter().find(|node| node.output == id) {
        let keeps_order = matches!(
            node.op,
            Op::Reshape { .. }
                | Op::Softmax { .. }
                | Op::Quantize
                | Op::Unary(UnaryOp::Sigmoid)
                | Op::ArgMax { .. }
                | Op::TopK { .. }
        );
        if !keeps_order
            || graph
                .inputs
                .iter()
                .any(|input| input.tensor == node.inputs[0])
        {
            break;
        }
        id = node.inputs[0];
    }
    id
}

impl<'g> Reference<'g> {
    /// Runs samples in float.
    ///
    /// # Errors
    /// [`CompileError::Graph`], [`CompileError::Sample`]
    pub fn new(graph: &'g Graph, samples: Vec<Sample>) -> Result<Reference<'g>, CompileError> {
        let mut reference = Reference {
            graph,
            deciding: deciding(graph),
            samples: Vec::new(),
        };
        let mut executor = Executor::new(graph)?;
        let mut bytes = 0;
        for (number, Sample { inputs, .. }) in samples.into_iter().enumerate() {
            let given: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let mut seen = HashMap::new();
            let wanted = &reference.deciding;
            executor
                .run(&given, &mut |id, values| {
                    if wanted.contains(&id) {
                        seen.insert(id, values.to_vec());
                    }
                })
                .map_err(|source| CompileError::Sample {
                    sample: number,
                    source,
                })?;
            bytes += 4 * seen.values().map(Vec::len).sum::<usize>();
            reference.samples.push(Expected {
                inputs,
                deciding: seen,
            });
            if bytes > REFERENCE_BYTES {
                break;
            }
        }
        Ok(reference)
    }

    /// Samples that are compared.
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }

    /// Runs a model file of the graph on the samples.
    ///
    /// # Errors
    /// [`InterpretError`]
    pub fn score(&self, bytes: &[u8]) -> Result<Score, InterpretError> {
        struct Work<'a>(&'a Interpreter, &'a [Vec<i8>], Taps<'a>);
        impl WithKernels for Work<'_> {
            type Output = Result<Outcome, InterpretError>;
            fn run<K: Kernels>(self, kernels: K) -> Self::Output {
                self.0.run(kernels, self.1, self.2)
            }
        }
        let interpreter = Interpreter::new(bytes)?;
        let names: Vec<&str> = self
            .deciding
            .iter()
            .map(|&id| self.graph.tensor(id).name.as_str())
            .collect();
        let mut sums = vec![[0f64; 4]; self.deciding.len()];
        let (mut equal, mut positions) = (0usize, 0usize);
        for sample in &self.samples {
            let inputs: Vec<Vec<i8>> = sample
                .inputs
                .iter()
                .zip(&self.graph.inputs)
                .enumerate()
                .map(|(position, (values, input))| {
                    let values = in_graph_order(values, &input.shape, &input.order);
                    interpreter.quantize_input(position, &values)
                })
                .collect();
            let work = Work(&interpreter, &inputs, Taps::Named(&names));
            let Some(outcome) = dispatch(best(), work) else {
                continue;
            };
            let outcome = outcome?;
            for ((id, name), sums) in self.deciding.iter().zip(&names).zip(&mut sums) {
                let (Some(float), Some(int8)) = (sample.deciding.get(id), outcome.taps.get(*name))
                else {
                    continue;
                };
                let int8 = int8.dequantized();
                for (&float, &int8) in float.iter().zip(&int8) {
                    let (float, int8) = (f64::from(float), f64::from(int8));
                    sums[0] += 1.0;
                    sums[1] += float;
                    sums[2] += float * float;
                    sums[3] += (float - int8).powi(2);
                }
                let classes = self.graph.tensor(*id).shape.last().copied().unwrap_or(1);
                if classes > 1 {
                    for (float, int8) in float.chunks(classes).zip(int8.chunks(classes)) {
                        positions += 1;
                        equal += usize::from(strongest(float) == strongest(int8));
                    }
                }
            }
        }
        let decibels: Vec<f64> = sums
            .iter()
            .map(|[count, sum, squares, noise]| (squares - sum * sum / count, *noise))
            // A tensor that is the same for all samples says nothing.
            .filter(|(signal, _)| *signal > 0.0)
            .map(|(signal, noise)| 10.0 * libm::log10(signal / noise))
            .collect();
        Ok(Score {
            snr_db: decibels.iter().sum::<f64>() / decibels.len().max(1) as f64,
            agreement: (positions > 0).then(|| equal as f64 / positions as f64),
        })
    }
}

fn strongest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, &score) in scores.iter().enumerate() {
        if score > scores[best] {
            best = index;
        }
    }
    best
}

/// Values in the graph's order of axes.
fn in_graph_order(values: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    let op = Op::Transpose {
        order: order.to_vec(),
    };
    let view = ocellus_ir::View {
        shape,
        data: values,
    };
    ocellus_ir::eval(&op, None, &[view]).unwrap_or_default()
}
