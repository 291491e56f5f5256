//! The range of each tensor by what comes of it.
//!
//! A tensor is rounded to each of several ranges, alone, and the nodes that read it run in float on calibration samples: the range of the least error in what they
//! compute is taken. So the tail of a distribution is kept where a layer listens to it and cut where none does. What a layer listens to need not matter to
//! the outputs, and what is rare may be all that does: a face in a hundred pictures. Hence this is done several times, from ranges that may cut more or less
//! away, and the whole network, rounded to them, says at its outputs which to take.
//!
//! Ranges of one half of the samples are tried on the other half. On the samples that it was made of, a range that cuts nothing else away looks as good as one
//! with room.

use std::collections::HashSet;

use ocellus_ir::exec::eval;
use ocellus_ir::{Executor, Graph, Masks, Node, Op, TensorId, View};
use rayon::prelude::*;

use super::{Quantization, behind, copies, joins, params};
use crate::CompileError;
use crate::calibrate::{Calibration, Method, Sample};
use crate::progress::{Count, Stage, Tell};
use crate::trial::deciding;

/// How a range may be chosen.
const METHODS: [Method; 5] = [
    Method::MinMax,
    Method::Percentile(99.999),
    Method::Percentile(99.99),
    Method::Percentile(99.9),
    Method::LeastError,
];

/// The methods that a set of ranges chooses from, beside what a tensor's readers tell apart within the range of the first. Later sets may cut more away.
const SETS: [&[Method]; 3] = [
    &[METHODS[0]],
    &[METHODS[1], METHODS[0]],
    &[METHODS[1], METHODS[2], METHODS[3], METHODS[4], METHODS[0]],
];

/// Samples that this looks at.
const SAMPLES_MAX: usize = 64;

/// Samples on which ranges are compared, tensor by tensor.
const SAMPLES_OF_TENSORS: usize = 12;

/// Samples on which the whole network is compared: at most these, fewer where the network is large, and at least [`SAMPLES_MIN`].
const SAMPLES_OF_SETS: usize = 32;
const SAMPLES_MIN: usize = 4;

/// Multiply-accumulates that comparing the whole network may take.
const WORK_MAX: u64 = 60_000_000_000;

/// A set that may cut more away must be better by this. A difference of a decibel between few samples says little, and what is cut away of a later picture is
/// lost: a face that is nearer than any in the samples.
const MARGIN_DB: f64 = 1.0;

/// One sample in float.
struct Measure<'g> {
    context: Context<'g>,
    masks: &'g Masks,
    values: Vec<Vec<f32>>,
}

/// What is a function of each value alone.
fn is_pointwise(op: &Op) -> bool {
    matches!(op, Op::Unary(_) | Op::Function(_))
}

impl Measure<'_> {
    /// What comes of rounding a tensor to a range.
    fn rounding_error(&self, id: TensorId, (min, max): (f32, f32)) -> f64 {
        let mut rounded = self.values[id.0].clone();
        round(&mut rounded, params::from_range(min, max));
        self.error(id, &rounded).unwrap_or(0.0)
    }

    /// What the readers of a tensor compute with other values of it: the squared error over the variance, summed over the readers.
    ///
    /// Behind a function of one value it is looked at what the next layer makes of it, and so on.
    fn error(&self, id: TensorId, values: &[f32]) -> Option<f64> {
        let readers = &self.context.readers[id.0];
        let mut sum = 0.0;
        if self.context.is_output[id.0] || readers.is_empty() {
            sum += self.relative(id, values);
        }
        for &index in readers {
            let node = &self.context.graph.nodes[index];
            if joins(&node.op) {
                sum += self.relative(id, values);
                continue;
            }
            let output = self.run(node, id, values)?;
            let reader = self.context.readers[node.output.0].first();
            let is_seen_through = copies(&node.op)
                || is_pointwise(&node.op)
                || reader.is_some_and(|&r| is_pointwise(&self.context.graph.nodes[r].op));
            sum += if is_seen_through {
                self.error(node.output, &output)?
            } else {
                self.relative(node.output, &self.masks.seen(node.output, &output))
            };
        }
        Some(sum)
    }

    /// A node on one sample with other values of one tensor.
    fn run(&self, node: &Node, changed: TensorId, values: &[f32]) -> Option<Vec<f32>> {
        let views = node.inputs.iter().map(|&id| {
            let tensor = self.context.graph.tensor(id);
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

/// A range for each tensor that gets one.
pub(super) type Ranges = Vec<Option<(f32, f32)>>;

/// The ranges that a tensor may get: one for each of [`METHODS`], then what its readers tell apart within the range of each set's first.
type Candidates = Vec<Option<(f32, f32)>>;

/// By tensor: a place among its candidates.
type Places = Vec<Option<usize>>;

/// The graph and who reads its tensors.
#[derive(Clone, Copy)]
pub(super) struct Context<'g> {
    pub(super) graph: &'g Graph,
    /// By tensor: the nodes that read it.
    pub(super) readers: &'g [Vec<usize>],
    /// By tensor.
    pub(super) is_output: &'g [bool],
}

impl Context<'_> {
    /// Whether an output of the graph holds numbers of a tensor.
    pub(super) fn reaches_output(self, id: TensorId) -> bool {
        let mut seen = HashSet::from([id]);
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if self.is_output[id.0] {
                return true;
            }
            let readers = self.readers[id.0].iter();
            let nodes = readers.map(|&index| &self.graph.nodes[index]);
            let outputs = nodes.filter(|node| copies(&node.op) || joins(&node.op));
            open.extend(outputs.map(|n| n.output).filter(|&id| seen.insert(id)));
        }
        false
    }

    /// Tensors whose range is to be chosen.
    fn tensors(self) -> impl Iterator<Item = TensorId> {
        let outputs = self.graph.nodes.iter().map(|node| node.output);
        outputs.filter(move |id| {
            self.graph.tensor(*id).grid.is_none() && !self.readers[id.0].is_empty()
        })
    }

    /// By tensor, empty for those that are not chosen.
    fn candidates(self, calibration: &Calibration) -> Vec<Candidates> {
        let mut all = vec![Vec::new(); self.graph.tensors.len()];
        for id in self.tensors() {
            let by = |method| calibration.range_by(id, method);
            let mut ranges: Candidates = METHODS.iter().map(|&method| by(method)).collect();
            let histogram = calibration.statistics(id).map(|s| &s.histogram);
            ranges.extend(SETS.iter().map(|set| {
                let within = by(*set.first()?)?;
                behind::range(self.graph, &self.readers[id.0], histogram?, within)
            }));
            all[id.0] = ranges;
        }
        all
    }

    /// The places in the list of candidates that a set may choose from.
    fn places(set: usize) -> impl Iterator<Item = usize> {
        let methods = METHODS.iter().enumerate();
        let of_set = move |method: &Method| SETS[set].contains(method);
        let methods = methods.filter(move |(_, method)| of_set(method));
        methods.map(|(place, _)| place).chain([METHODS.len() + set])
    }
}

/// The values of each of a network's inputs.
type Inputs = Vec<Vec<f32>>;

/// Samples, and what was observed of others.
struct Fold<'g> {
    context: Context<'g>,
    calibration: Calibration,
    candidates: Vec<Candidates>,
    samples: Vec<Inputs>,
}

impl<'g> Fold<'g> {
    /// Each half of the samples with what was observed of the other; of a single sample itself.
    fn all(
        context: Context<'g>,
        calibration: &Calibration,
        tell: &Tell<'_>,
    ) -> Result<Vec<Fold<'g>>, CompileError> {
        let mut halves = [Vec::new(), Vec::new()];
        for (index, sample) in calibration
            .kept_samples(SAMPLES_MAX)
            .into_iter()
            .enumerate()
        {
            halves[index % 2].push(sample);
        }
        let [even, odd] = halves;
        let pairs = if odd.is_empty() {
            vec![(even.clone(), even)]
        } else {
            vec![(even.clone(), odd.clone()), (odd, even)]
        };
        let all = pairs.iter().map(|(seen, _)| seen.len()).sum();
        let count = Count::new(tell, Stage::Halves, all);
        let fold = |(seen, samples): (Vec<Inputs>, _)| {
            let seen = seen.into_iter().map(|inputs| Sample {
                inputs,
                sha256: None,
            });
            let calibration =
                Calibration::collect(context.graph, seen, calibration.method, |_| count.one())?;
            Ok(Fold {
                context,
                candidates: context.candidates(&calibration),
                calibration,
                samples,
            })
        };
        pairs.into_par_iter().map(fold).collect()
    }

    /// The samples on which tensors are looked at.
    fn samples_of_tensors(&self, folds: usize) -> &[Inputs] {
        let count = SAMPLES_OF_TENSORS.div_ceil(folds);
        &self.samples[..count.min(self.samples.len())]
    }

    /// Adds the errors of each candidate of each tensor, on these samples.
    fn add_errors(
        &self,
        samples: &[Inputs],
        errors: &mut [Vec<f64>],
        count: &Count<'_>,
    ) -> Result<(), CompileError> {
        let graph = self.context.graph;
        let masks = self.calibration.masks();
        let mut executor = Executor::new(graph)?;
        for (number, sample) in samples.iter().enumerate() {
            let inputs: Vec<&[f32]> = sample.iter().map(Vec::as_slice).collect();
            let mut values = vec![Vec::new(); graph.tensors.len()];
            executor
                .run(&inputs, &mut |id, data| {
                    values[id.0] = masks.seen(id, data).into_owned();
                })
                .map_err(|source| CompileError::Sample {
                    sample: number,
                    source,
                })?;
            let measure = Measure {
                context: self.context,
                masks,
                values,
            };
            let tensors = self.candidates.par_iter().zip(&mut *errors).enumerate();
            tensors.for_each(|(tensor, (ranges, errors))| {
                let mut seen: Vec<((f32, f32), f64)> = Vec::new();
                for (range, sum) in ranges.iter().zip(errors) {
                    let Some(range) = *range else {
                        *sum = f64::INFINITY;
                        continue;
                    };
                    let known = seen.iter().find(|(other, _)| *other == range);
                    let error = known.map_or_else(
                        || measure.rounding_error(TensorId(tensor), range),
                        |(_, error)| *error,
                    );
                    seen.push((range, error));
                    *sum += error;
                }
                count.one();
            });
        }
        Ok(())
    }
}

/// For each set of methods the places with the least errors.
fn sets(
    context: Context<'_>,
    folds: &[Fold<'_>],
    tell: &Tell<'_>,
) -> Result<Vec<Places>, CompileError> {
    let tensors = context.graph.tensors.len();
    let mut errors = vec![vec![0.0; METHODS.len() + SETS.len()]; tensors];
    let samples = folds.iter().map(|f| f.samples_of_tensors(folds.len()));
    let samples: Vec<&[Inputs]> = samples.collect();
    let all = samples.iter().map(|samples| samples.len() * tensors).sum();
    let count = Count::new(tell, Stage::Tensors, all);
    for (fold, samples) in folds.iter().zip(samples) {
        fold.add_errors(samples, &mut errors, &count)?;
    }
    let mut sets = vec![vec![None; errors.len()]; SETS.len()];
    for (index, set) in sets.iter_mut().enumerate() {
        for id in context.tensors() {
            let errors = &errors[id.0];
            let least = Context::places(index).min_by(|&a, &b| errors[a].total_cmp(&errors[b]));
            set[id.0] = least.filter(|&place| errors[place].is_finite());
        }
    }
    Ok(sets)
}

/// Makes scales of ranges.
pub(super) type Assign<'a> =
    dyn Fn(&Calibration, &Ranges) -> Result<Quantization, CompileError> + Sync + 'a;

/// Ranges for a network: those of the set that is best at the outputs.
///
/// # Errors
/// [`CompileError::Graph`], [`CompileError::Sample`]; those of `assign`.
pub(super) fn choose(
    context: Context<'_>,
    calibration: &Calibration,
    assign: &Assign<'_>,
    tell: &Tell<'_>,
) -> Result<Quantization, CompileError> {
    let graph = context.graph;
    let folds = Fold::all(context, calibration, tell)?;
    let sets = sets(context, &folds, tell)?;
    let outputs = Outputs::new(graph, &folds)?;
    let samples: usize = outputs.folds.iter().map(Vec::len).sum();
    let count = Count::new(tell, Stage::Outputs, sets.len() * samples);
    let fidelity = |places: &Places| {
        let quantizations = folds
            .iter()
            .map(|fold| assign(&fold.calibration, &ranges(&fold.candidates, places)))
            .collect::<Result<Vec<_>, _>>()?;
        outputs.fidelity(&quantizations, &count)
    };
    let mut chosen: Places = vec![None; graph.tensors.len()];
    let mut best = f64::NEG_INFINITY;
    for set in &sets {
        let decibels = fidelity(set)?;
        if decibels > best + MARGIN_DB {
            (best, chosen) = (decibels, set.clone());
        }
    }
    assign(
        calibration,
        &ranges(&context.candidates(calibration), &chosen),
    )
}

/// The candidates at places.
fn ranges(candidates: &[Candidates], places: &Places) -> Ranges {
    let tensors = candidates.iter().zip(places);
    tensors
        .map(|(ranges, place)| *ranges.get((*place)?)?)
        .collect()
}

/// What the network computes in float.
struct Outputs<'g> {
    graph: &'g Graph,
    deciding: Vec<TensorId>,
    /// By fold and sample: inputs, and the deciding tensors in float.
    folds: Vec<Vec<(Inputs, Vec<Vec<f32>>)>>,
}

impl<'g> Outputs<'g> {
    fn new(graph: &'g Graph, folds: &[Fold<'_>]) -> Result<Outputs<'g>, CompileError> {
        let work = graph.macs().saturating_mul(SETS.len() as u64 + 1).max(1);
        let count = usize::try_from(WORK_MAX / work).unwrap_or(SAMPLES_OF_SETS);
        let count = count
            .clamp(SAMPLES_MIN, SAMPLES_OF_SETS)
            .div_ceil(folds.len());
        let mut outputs = Outputs {
            graph,
            deciding: deciding(graph),
            folds: Vec::new(),
        };
        let float = |fold: &Fold<'_>| {
            let samples: Vec<_> = fold.samples.iter().take(count).cloned().collect();
            let float = |inputs: Inputs| {
                let float = outputs.run(&inputs, None)?;
                Ok((inputs, float))
            };
            samples.into_par_iter().map(float).collect()
        };
        let samples: Result<_, CompileError> = folds.iter().map(float).collect();
        outputs.folds = samples?;
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
    fn fidelity(
        &self,
        quantizations: &[Quantization],
        count: &Count<'_>,
    ) -> Result<f64, CompileError> {
        let mut noise = vec![Noise::default(); self.deciding.len()];
        for (samples, quantization) in self.folds.iter().zip(quantizations) {
            let rounded: Vec<Vec<Vec<f32>>> = samples
                .par_iter()
                .map(|(inputs, _)| {
                    let seen = self.run(inputs, Some(quantization));
                    count.one();
                    seen
                })
                .collect::<Result<_, CompileError>>()?;
            for ((_, float), rounded) in samples.iter().zip(&rounded) {
                let tensors = noise.iter_mut().zip(&self.deciding);
                for ((noise, &id), (float, rounded)) in tensors.zip(float.iter().zip(rounded)) {
                    let channels = self.graph.tensor(id).shape.last().copied().unwrap_or(1);
                    noise.add(float, rounded, channels.max(1));
                }
            }
        }
        let decibels: Vec<f64> = noise
            .iter()
            .filter_map(Noise::share)
            .map(|share| -10.0 * libm::log10(share.max(1e-12)))
            .collect();
        Ok(decibels.iter().sum::<f64>() / decibels.len().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use ocellus_ir::{BorderType, UnaryOp};

    use super::*;
    use crate::quantize::quantize;

    /// One large value in a tensor of small ones; `f` of it is the output.
    fn range_of_the_hidden_tensor(f: Op) -> (f32, f32) {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![1, 256], BorderType::F32);
        let affine = UnaryOp::Affine {
            scale: 1.0,
            offset: 0.0,
        };
        let hidden = graph.add_node("hidden", Op::Unary(affine), &[x]).unwrap();
        let y = graph.add_node("y", f, &[hidden]).unwrap();
        graph.add_output("y", y, BorderType::F32);
        let samples = (0..16).map(|sample| {
            let values = (0..256).map(|i| match i {
                0 => 100.0,
                _ => ((i * 37 + sample * 11) % 101) as f32 / 50.0 - 1.0,
            });
            Sample {
                inputs: vec![values.collect()],
                sha256: None,
            }
        });
        let calibration = Calibration::collect(&graph, samples, Method::PerTensor, |_| {}).unwrap();
        let quantization = quantize(&graph, &calibration, &|_| {}).unwrap();
        quantization.ranges[hidden.0].unwrap()
    }

    #[test]
    fn a_tail_is_kept_where_the_outputs_show_it() {
        let negative = Op::Unary(UnaryOp::Neg);
        let (low, high) = range_of_the_hidden_tensor(negative);
        assert!(low <= -0.9 && high > 95.0, "{low} to {high}");
    }

    #[test]
    fn a_tail_is_cut_where_the_outputs_do_not_show_it() {
        let flat = Op::Unary(UnaryOp::Clip {
            min: -1.0,
            max: 1.0,
        });
        let (low, high) = range_of_the_hidden_tensor(flat);
        assert!(low <= -0.9 && high < 5.0, "{low} to {high}");
    }

    #[test]
    fn one_sample_is_enough() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![1, 8], BorderType::F32);
        let y = graph.add_node("y", Op::Unary(UnaryOp::Tanh), &[x]).unwrap();
        graph.add_output("y", y, BorderType::F32);
        let sample = Sample {
            inputs: vec![(0..8).map(|i| i as f32 / 4.0 - 1.0).collect()],
            sha256: None,
        };
        let calibration =
            Calibration::collect(&graph, [sample], Method::PerTensor, |_| {}).unwrap();
        let quantization = quantize(&graph, &calibration, &|_| {}).unwrap();
        assert!(quantization.params[y.0].is_some());
    }
}
