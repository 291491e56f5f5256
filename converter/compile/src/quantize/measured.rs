//! The range of each tensor by what comes of it.
//!
//! A tensor is rounded to each of several ranges, alone, and the nodes that read it run in float on calibration samples: the range of the least error in what they
//! compute is taken. So the tail of a distribution is kept where a layer listens to it and cut where none does. What a layer listens to need not matter to
//! the outputs, and what is rare may be all that does: a face in a hundred pictures. Hence this is done several times, from ranges that may cut more or less
//! away, and the whole network, rounded to them, says at its outputs which to take: all from one set first, then a part of the network from another.

use ocellus_ir::exec::eval;
use ocellus_ir::{Executor, Graph, Node, Op, TensorId, View};
use rayon::prelude::*;

use super::{Quantization, behind, copies, joins, params};
use crate::CompileError;
use crate::calibrate::{Calibration, Method};

/// What a set of ranges may choose from; of equal ranges the first. An earlier set is taken over a later one that is hardly better.
const SETS: [&[Method]; 3] = [
    &[Method::MinMax],
    &[Method::Percentile(99.999), Method::MinMax],
    &[
        Method::Percentile(99.999),
        Method::Percentile(99.99),
        Method::Percentile(99.9),
        Method::LeastError,
        Method::MinMax,
    ],
];

/// Samples on which ranges are compared, tensor by tensor.
const SAMPLES: usize = 12;

/// Samples on which the whole network is compared: at most these, fewer where the network is large, and at least [`SAMPLES_MIN`].
const SAMPLES_OF_SETS: usize = 32;
const SAMPLES_MIN: usize = 4;

/// Multiply-accumulates that comparing the whole network may take.
const WORK_MAX: u64 = 40_000_000_000;

/// Parts of the network that may take their ranges from different sets.
const PARTS: usize = 8;

/// What is taken later must be better by this.
const MARGIN_DB: f64 = 0.05;

/// A range for each tensor that gets one.
pub(super) type Ranges = Vec<Option<(f32, f32)>>;

struct Measure<'g> {
    graph: &'g Graph,
    readers: &'g [Vec<usize>],
    is_output: &'g [bool],
    /// In float, of one sample.
    values: Vec<Vec<f32>>,
}

/// What is a function of each value alone.
fn is_pointwise(op: &Op) -> bool {
    matches!(op, Op::Unary(_) | Op::Function(_))
}

impl Measure<'_> {
    /// What the readers of a tensor compute with other values of it: the squared error over the variance, summed over the readers.
    ///
    /// Behind a function of one value it is looked at what the next layer makes of it, and so on.
    fn error(&self, id: TensorId, values: &[f32]) -> Option<f64> {
        let readers = &self.readers[id.0];
        let mut sum = 0.0;
        if self.is_output[id.0] || readers.is_empty() {
            sum += self.relative(id, values);
        }
        for &index in readers {
            let node = &self.graph.nodes[index];
            if joins(&node.op) {
                sum += self.relative(id, values);
                continue;
            }
            let output = self.run(node, id, values)?;
            let reader = self.readers[node.output.0].first();
            let is_seen_through = copies(&node.op)
                || is_pointwise(&node.op)
                || reader.is_some_and(|&r| is_pointwise(&self.graph.nodes[r].op));
            sum += if is_seen_through {
                self.error(node.output, &output)?
            } else {
                self.relative(node.output, &output)
            };
        }
        Some(sum)
    }

    /// A node on one sample with other values of one tensor.
    fn run(&self, node: &Node, changed: TensorId, values: &[f32]) -> Option<Vec<f32>> {
        let views = node.inputs.iter().map(|&id| {
            let tensor = self.graph.tensor(id);
            let data = match &tensor.value {
                Some(value) => value.as_ref(),
                None if id == changed => values,
                None => &self.values[id.0],
            };
            View {
                shape: &tensor.shape,
                data,
            }
        });
        eval(&node.op, node.clamp, &views.collect::<Vec<_>>()).ok()
    }

    fn relative(&self, id: TensorId, values: &[f32]) -> f64 {
        let mut noise = Noise::default();
        noise.add(&self.values[id.0], values, 1);
        noise.share().unwrap_or(0.0)
    }
}

/// Squared error and variance within channels.
#[derive(Clone, Debug, Default)]
struct Noise {
    error: f64,
    /// By channel: count, sum and sum of squares.
    channels: Vec<[f64; 3]>,
}

impl Noise {
    fn add(&mut self, wanted: &[f32], values: &[f32], channels: usize) {
        self.channels.resize(channels, [0.0; 3]);
        for (wanted, values) in wanted.chunks(channels).zip(values.chunks(channels)) {
            for ((&wanted, &value), channel) in wanted.iter().zip(values).zip(&mut self.channels) {
                let wanted = f64::from(wanted);
                self.error += (f64::from(value) - wanted).powi(2);
                channel[0] += 1.0;
                channel[1] += wanted;
                channel[2] += wanted * wanted;
            }
        }
    }

    /// Error over variance; none where nothing varies.
    fn share(&self) -> Option<f64> {
        let variance = self.channels.iter();
        let variance = variance.map(|[count, sum, squares]| squares - sum * sum / count.max(1.0));
        let variance: f64 = variance.sum();
        (variance > 0.0).then(|| self.error / variance)
    }
}

/// Values on the grid of a range.
fn round(values: &mut [f32], params: ocellus_format::QParams) {
    for value in values {
        *value = params.dequantize(params::quantize_value(params, f64::from(*value)).into());
    }
}

/// The ranges that a tensor may get: those of the methods, and what its readers tell apart of the first.
fn candidates(
    graph: &Graph,
    calibration: &Calibration,
    id: TensorId,
    readers: &[usize],
    methods: &[Method],
) -> Vec<(f32, f32)> {
    let ranges = methods.iter().filter_map(|&m| calibration.range_by(id, m));
    let mut ranges: Vec<(f32, f32)> = ranges.collect();
    if let (Some(statistics), Some(&first)) = (calibration.statistics(id), ranges.first()) {
        ranges.extend(behind::range(graph, readers, &statistics.histogram, first));
    }
    ranges
}

/// Sets of ranges, best chosen tensor by tensor, of which one will be best for the outputs.
///
/// # Errors
/// [`CompileError::Graph`], [`CompileError::Sample`]
fn sets(
    graph: &Graph,
    calibration: &Calibration,
    readers: &[Vec<usize>],
    is_output: &[bool],
) -> Result<Vec<Ranges>, CompileError> {
    let computed: Vec<TensorId> = graph
        .nodes
        .iter()
        .map(|node| node.output)
        .filter(|id| graph.tensor(*id).grid.is_none() && !readers[id.0].is_empty())
        .collect();
    // By tensor and set, with the error so far; equal ranges of several sets are computed once.
    let mut candidates: Vec<Vec<((f32, f32), f64)>> = Vec::new();
    let mut members: Vec<Vec<Vec<usize>>> = Vec::new();
    for &id in &computed {
        let mut ranges: Vec<((f32, f32), f64)> = Vec::new();
        let sets = SETS.iter().map(|methods| {
            let set = self::candidates(graph, calibration, id, &readers[id.0], methods);
            let places = set.into_iter().map(|range| {
                let known = ranges.iter().position(|(other, _)| *other == range);
                known.unwrap_or_else(|| {
                    ranges.push((range, 0.0));
                    ranges.len() - 1
                })
            });
            places.collect()
        });
        members.push(sets.collect());
        candidates.push(ranges);
    }
    let mut executor = Executor::new(graph)?;
    for (number, sample) in calibration.kept_samples(SAMPLES).into_iter().enumerate() {
        let inputs: Vec<&[f32]> = sample.iter().map(Vec::as_slice).collect();
        let mut values = vec![Vec::new(); graph.tensors.len()];
        executor
            .run(&inputs, &mut |id, data| values[id.0] = data.to_vec())
            .map_err(|source| CompileError::Sample {
                sample: number,
                source,
            })?;
        let measure = Measure {
            graph,
            readers,
            is_output,
            values,
        };
        let tensors = computed.par_iter().zip(&mut candidates);
        tensors.for_each(|(&id, ranges)| {
            if ranges.len() < 2 {
                return;
            }
            for ((min, max), error) in ranges {
                let mut rounded = measure.values[id.0].clone();
                round(&mut rounded, params::from_range(*min, *max));
                *error += measure.error(id, &rounded).unwrap_or(0.0);
            }
        });
    }
    let mut sets = vec![vec![None; graph.tensors.len()]; SETS.len()];
    for ((id, ranges), members) in computed.iter().zip(&candidates).zip(&members) {
        for (set, members) in sets.iter_mut().zip(members) {
            let mut best: Option<usize> = None;
            for &member in members {
                if best.is_none_or(|best| ranges[member].1 < ranges[best].1) {
                    best = Some(member);
                }
            }
            set[id.0] = best.map(|best| ranges[best].0);
        }
    }
    Ok(sets)
}

/// Ranges for a network: the best set, and for parts of the network another where that is better at the outputs.
///
/// # Errors
/// [`CompileError::Graph`], [`CompileError::Sample`]; those of `assign`, which makes scales of ranges.
pub(super) fn choose(
    graph: &Graph,
    calibration: &Calibration,
    readers: &[Vec<usize>],
    is_output: &[bool],
    assign: &dyn Fn(&Ranges) -> Result<Quantization, CompileError>,
) -> Result<Quantization, CompileError> {
    let sets = sets(graph, calibration, readers, is_output)?;
    let outputs = Outputs::new(graph, calibration)?;
    let mut chosen: Option<(f64, usize, Quantization)> = None;
    for (index, set) in sets.iter().enumerate() {
        let quantization = assign(set)?;
        let decibels = outputs.fidelity(&quantization)?;
        if chosen
            .as_ref()
            .is_none_or(|(best, ..)| decibels > best + MARGIN_DB)
        {
            chosen = Some((decibels, index, quantization));
        }
    }
    let Some((mut best, first, mut quantization)) = chosen else {
        return assign(&vec![None; graph.tensors.len()]);
    };
    let mut ranges = sets[first].clone();
    let size = graph.nodes.len().div_ceil(PARTS).max(1);
    for part in graph.nodes.chunks(size) {
        for set in &sets {
            let mut other = ranges.clone();
            for node in part {
                other[node.output.0] = set[node.output.0];
            }
            if other == ranges {
                continue;
            }
            let trial = assign(&other)?;
            let decibels = outputs.fidelity(&trial)?;
            if decibels > best + MARGIN_DB {
                (best, ranges, quantization) = (decibels, other, trial);
            }
        }
    }
    Ok(quantization)
}

/// What the network computes in float.
struct Outputs<'g> {
    graph: &'g Graph,
    deciding: Vec<TensorId>,
    /// Inputs, and the deciding tensors in float.
    samples: Vec<(Vec<Vec<f32>>, Vec<Vec<f32>>)>,
}

impl<'g> Outputs<'g> {
    fn new(graph: &'g Graph, calibration: &Calibration) -> Result<Outputs<'g>, CompileError> {
        let runs = (SETS.len() * (PARTS + 1)) as u64;
        let work = graph.macs().saturating_mul(runs).max(1);
        let count = usize::try_from(WORK_MAX / work).unwrap_or(SAMPLES_OF_SETS);
        let count = count.clamp(SAMPLES_MIN, SAMPLES_OF_SETS);
        let mut outputs = Outputs {
            graph,
            deciding: deciding(graph),
            samples: Vec::new(),
        };
        let samples: Vec<_> = calibration
            .kept_samples(count)
            .into_par_iter()
            .map(|inputs| {
                let float = outputs.run(&inputs, None)?;
                Ok((inputs, float))
            })
            .collect::<Result<_, CompileError>>()?;
        outputs.samples = samples;
        Ok(outputs)
    }

    /// The deciding tensors, in float or with all tensors rounded.
    fn run(
        &self,
        inputs: &[Vec<f32>],
        rounded: Option<&Quantization>,
    ) -> Result<Vec<Vec<f32>>, CompileError> {
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let mut seen = vec![Vec::new(); self.deciding.len()];
        Executor::new(self.graph)?
            .run_replacing(&inputs, &mut |id, values| {
                if let Some(params) = rounded.and_then(|q| q.params[id.0]) {
                    round(values, params);
                }
                if let Ok(place) = self.deciding.binary_search(&id) {
                    seen[place] = values.to_vec();
                }
            })
            .map_err(|source| CompileError::Sample { sample: 0, source })?;
        Ok(seen)
    }

    /// How close the outputs come to float with all tensors rounded and the weights as they are: signal to noise in decibels, the mean over the outputs.
    fn fidelity(&self, quantization: &Quantization) -> Result<f64, CompileError> {
        let rounded: Vec<Vec<Vec<f32>>> = self
            .samples
            .par_iter()
            .map(|(inputs, _)| self.run(inputs, Some(quantization)))
            .collect::<Result<_, CompileError>>()?;
        let mut noise = vec![Noise::default(); self.deciding.len()];
        for ((_, float), rounded) in self.samples.iter().zip(&rounded) {
            let tensors = noise.iter_mut().zip(&self.deciding);
            for ((noise, &id), (float, rounded)) in tensors.zip(float.iter().zip(rounded)) {
                let channels = self.graph.tensor(id).shape.last().copied().unwrap_or(1);
                noise.add(float, rounded, channels.max(1));
            }
        }
        let decibels: Vec<f64> = noise
            .iter()
            .filter_map(Noise::share)
            .map(|share| -10.0 * share.max(1e-12).log10())
            .collect();
        Ok(decibels.iter().sum::<f64>() / decibels.len().max(1) as f64)
    }
}

/// The tensors that the outputs are made of, sorted: where those are positions of the largest values, the values.
fn deciding(graph: &Graph) -> Vec<TensorId> {
    let tensors = graph.outputs.iter().flat_map(|o| o.assembly.tensors());
    let mut deciding: Vec<TensorId> = tensors
        .map(|id| match graph.nodes.iter().find(|node| node.output == id) {
            Some(node) if matches!(node.op, Op::ArgMax { .. } | Op::TopK { .. }) => node.inputs[0],
            _ => id,
        })
        .collect();
    deciding.sort_unstable();
    deciding.dedup();
    deciding
}
