//! The range of every tensor, from float execution of samples.
//!
//! Samples are run one at a time and their activations are counted and dropped, so memory does not grow with the number of samples. Inputs are
//! kept, up to a bound: some methods run them again.

mod entropy;
mod histogram;
mod kept;

use std::fmt;
use std::str::FromStr;

use ocellus_format::{CalibrationData, SampleSet};
use ocellus_ir::{BorderType, Executor, Graph, Masks, TensorId};

pub(crate) use histogram::narrowed;
pub use histogram::{BIN_COUNT, Histogram};
use kept::KeptSamples;

use crate::CompileError;
use crate::progress::{Count, Stage, Tell};

/// Where a percentile is asked for and no number is given.
const PERCENTILE: f64 = 99.999;

/// How a range is chosen from what was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Method {
    /// The smallest and the largest value.
    MinMax,
    /// The range without the outermost values: 99.99 leaves out 0.01 % on each side.
    Percentile(f64),
    /// The range of the least mean squared error of 8-bit rounding and clipping together: `mse`.
    LeastError,
    /// The range whose 256 steps tell most about the distribution of the values (Kullback-Leibler divergence).
    Entropy,
    /// For each tensor the one of several ranges with which its readers compute best.
    #[default]
    PerTensor,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::MinMax => f.write_str("min-max"),
            Method::Percentile(p) => write!(f, "percentile:{p}"),
            Method::LeastError => f.write_str("mse"),
            Method::Entropy => f.write_str("entropy"),
            Method::PerTensor => f.write_str("per-tensor"),
        }
    }
}

/// A word that names no [`Method`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no calibration method; use `per-tensor`, `min-max`, `percentile:P` with P above 50 and up to 100, `mse` or `entropy`"
)]
pub struct UnknownMethod(
    /// The word.
    pub String,
);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(word: &str) -> Result<Method, UnknownMethod> {
        let unknown = || UnknownMethod(word.to_owned());
        match word.split_once(':') {
            None if word == "min-max" => Ok(Method::MinMax),
            None if word == "entropy" => Ok(Method::Entropy),
            None if word == "per-tensor" => Ok(Method::PerTensor),
            // The older word of the two.
            None if word == "mse" || word == "least-error" => Ok(Method::LeastError),
            None if word == "percentile" => Ok(Method::Percentile(PERCENTILE)),
            Some(("percentile", p)) => {
                let p: f64 = p.parse().map_err(|_| unknown())?;
                if p > 50.0 && p <= 100.0 {
                    Ok(Method::Percentile(p))
                } else {
                    Err(unknown())
                }
            }
            _ => Err(unknown()),
        }
    }
}

/// One input of the model for each of its inputs.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Values of each input, row-major, in the source file's order of axes ([`ocellus_ir::Input::shape`]).
    pub inputs: Vec<Vec<f32>>,
    /// SHA-256 of the file that it came from. It travels in the model file, so that an evaluation can refuse what calibration has seen.
    pub sha256: Option<[u8; 32]>,
}

/// What was observed of one tensor.
#[derive(Clone, Debug)]
pub struct TensorStatistics {
    /// Its values.
    pub histogram: Histogram,
    /// Only whole numbers were seen.
    pub whole_numbers: bool,
    /// Largest magnitude of each index of the innermost axis.
    channel_peaks: Vec<f32>,
}

/// What was observed of a graph.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// How ranges are chosen.
    pub method: Method,
    /// Samples observed.
    pub sample_count: usize,
    /// The samples were noise from this seed.
    synthetic: Option<u64>,
    /// SHA-256 of the samples that have one.
    hashes: Vec<[u8; 32]>,
    statistics: Vec<Option<TensorStatistics>>,
    is_input: Vec<bool>,
    masks: Masks,
    kept: KeptSamples,
}

impl Calibration {
    /// An empty calibration of a graph; samples are added with [`observe`](Self::observe).
    pub fn new(graph: &Graph, method: Method) -> Calibration {
        let mut statistics: Vec<Option<TensorStatistics>> = vec![None; graph.tensors.len()];
        let mut is_input = vec![false; graph.tensors.len()];
        let empty = |id: TensorId| TensorStatistics {
            histogram: Histogram::default(),
            whole_numbers: true,
            channel_peaks: vec![0.0; graph.tensor(id).shape.last().copied().unwrap_or(1)],
        };
        for input in &graph.inputs {
            statistics[input.tensor.0] = Some(empty(input.tensor));
            is_input[input.tensor.0] = true;
        }
        for node in &graph.nodes {
            statistics[node.output.0] = Some(empty(node.output));
        }
        Calibration {
            method,
            sample_count: 0,
            synthetic: None,
            hashes: Vec::new(),
            statistics,
            is_input,
            masks: Masks::of(graph),
            kept: KeptSamples::default(),
        }
    }

    /// Runs all samples in float and observes every tensor. `progress` is told the count of samples done.
    ///
    /// # Errors
    /// [`CompileError::NoSamples`], [`CompileError::Sample`], [`CompileError::NotFinite`],
    /// [`CompileError::ActivationNotFinite`], [`CompileError::Graph`]
    pub fn collect(
        graph: &Graph,
        samples: impl IntoIterator<Item = Sample>,
        method: Method,
        mut progress: impl FnMut(usize),
    ) -> Result<Calibration, CompileError> {
        let mut calibration = Calibration::new(graph, method);
        let mut executor = Executor::new(graph)?;
        for sample in samples {
            calibration.observe(&mut executor, graph, &sample)?;
            progress(calibration.sample_count);
        }
        if calibration.sample_count == 0 {
            return Err(CompileError::NoSamples);
        }
        Ok(calibration)
    }

    /// Says that the samples were noise from a seed.
    #[must_use]
    pub fn synthetic(self, seed: u64) -> Calibration {
        Calibration {
            synthetic: Some(seed),
            ..self
        }
    }

    /// Runs one sample and observes every tensor.
    ///
    /// # Errors
    /// As [`collect`](Self::collect).
    pub fn observe(
        &mut self,
        executor: &mut Executor<'_>,
        graph: &Graph,
        sample: &Sample,
    ) -> Result<(), CompileError> {
        let index = self.sample_count;
        if index == 0 {
            // A constant that is no number would otherwise be blamed on the sample.
            crate::check_constants(graph)?;
        }
        let inputs: Vec<&[f32]> = sample.inputs.iter().map(Vec::as_slice).collect();
        let mut not_finite = None;
        let run = executor.run(&inputs, &mut |id, values| {
            if !self.add(id, values) && not_finite.is_none() {
                not_finite = Some(id);
            }
        });
        run.map_err(|source| CompileError::Sample {
            sample: index,
            source,
        })?;
        if let Some(id) = not_finite {
            return Err(CompileError::ActivationNotFinite {
                sample: index,
                tensor: graph.tensor(id).name.clone(),
            });
        }
        self.sample_count += 1;
        self.kept.offer(&sample.inputs);
        self.hashes.extend(sample.sha256);
        Ok(())
    }

    /// What was observed, for the record in the model file.
    pub fn data(&self) -> CalibrationData {
        match self.synthetic {
            Some(seed) => CalibrationData::Synthetic(seed),
            None if self.sample_count == 0 => CalibrationData::None,
            None => CalibrationData::Samples(SampleSet::new(self.hashes.clone())),
        }
    }

    /// Observes the values of one tensor; false where one is not finite.
    fn add(&mut self, id: TensorId, values: &[f32]) -> bool {
        let Some(Some(statistics)) = self.statistics.get_mut(id.0) else {
            return true;
        };
        let values = self.masks.seen(id, values);
        if !statistics.histogram.add(&values) {
            return false;
        }
        if self.is_input[id.0] && statistics.whole_numbers {
            statistics.whole_numbers = values.iter().all(|v| v.fract() == 0.0);
        }
        let peaks = &mut statistics.channel_peaks;
        for row in values.chunks_exact(peaks.len().max(1)) {
            for (peak, value) in peaks.iter_mut().zip(row) {
                *peak = peak.max(value.abs());
            }
        }
        true
    }

    /// Largest magnitude of each index of a tensor's innermost axis.
    pub fn channel_peaks(&self, id: TensorId) -> Option<&[f32]> {
        let statistics = self.statistics(id)?;
        Some(statistics.channel_peaks.as_slice())
    }

    /// The same samples in another graph of the same inputs: those that were kept.
    ///
    /// # Errors
    /// As [`collect`](Self::collect).
    pub fn again(&self, graph: &Graph, tell: &Tell<'_>) -> Result<Calibration, CompileError> {
        let samples = self.kept_samples(usize::MAX);
        let count = Count::new(tell, Stage::Equalized, samples.len());
        let samples = samples.into_iter();
        let samples = samples.map(|inputs| Sample {
            inputs,
            sha256: None,
        });
        let calibration = Calibration::collect(graph, samples, self.method, |_| count.one())?;
        Ok(Calibration {
            synthetic: self.synthetic,
            hashes: self.hashes.clone(),
            ..calibration
        })
    }

    /// The kept samples in two parts, every fourth in the second: a calibration of the first, and the second.
    ///
    /// # Errors
    /// As [`collect`](Self::collect).
    pub fn split(&self, graph: &Graph) -> Result<(Calibration, Vec<Sample>), CompileError> {
        let (mut fit, mut held) = (Vec::new(), Vec::new());
        for (index, inputs) in self.kept_samples(usize::MAX).into_iter().enumerate() {
            let part = if index % 4 == 2 { &mut held } else { &mut fit };
            part.push(Sample {
                inputs,
                sha256: None,
            });
        }
        let fit = Calibration::collect(graph, fit, self.method, |_| {})?;
        Ok((fit, held))
    }

    /// At most `count` of the samples, evenly spread: the values of each input, as they were given.
    pub fn kept_samples(&self, count: usize) -> Vec<Vec<Vec<f32>>> {
        let count = count.min(self.kept.len());
        (0..count)
            .map(|index| self.kept.get(index * self.kept.len() / count))
            .collect()
    }

    /// The sums of the graph that only a softmax reads: of these only what it tells apart is observed.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// What was observed of a tensor.
    pub fn statistics(&self, id: TensorId) -> Option<&TensorStatistics> {
        self.statistics.get(id.0)?.as_ref()
    }

    /// The range of a tensor by the method. A model's inputs are never clipped, and whole numbers up to 255 are taken for pixels: 0 to 255.
    pub fn range(&self, id: TensorId) -> Option<(f32, f32)> {
        self.range_by(id, self.method)
    }

    /// As [`range`](Self::range), by another method.
    pub fn range_by(&self, id: TensorId, method: Method) -> Option<(f32, f32)> {
        let statistics = self.statistics(id)?;
        let (min, max) = statistics.histogram.min_max()?;
        if self.is_input[id.0] {
            let pixels = statistics.whole_numbers && min >= 0.0 && (128.0..=255.0).contains(&max);
            return Some(if pixels { (0.0, 255.0) } else { (min, max) });
        }
        match method {
            Method::MinMax => Some((min, max)),
            Method::Percentile(p) => Some((
                statistics.histogram.quantile(1.0 - p / 100.0)?,
                statistics.histogram.quantile(p / 100.0)?,
            )),
            Method::LeastError => statistics.histogram.least_error_range(),
            Method::Entropy => statistics.histogram.entropy_range(),
            Method::PerTensor => self.range_by(id, Method::Percentile(PERCENTILE)),
        }
    }
}

/// The type in the file of a type in the graph.
pub(crate) fn border(border: BorderType) -> ocellus_format::BorderType {
    match border {
        BorderType::F32 => ocellus_format::BorderType::F32,
        BorderType::U8 => ocellus_format::BorderType::U8,
        BorderType::S8 => ocellus_format::BorderType::S8,
        BorderType::S32 => ocellus_format::BorderType::S32,
        BorderType::S64 => ocellus_format::BorderType::S64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_round_trip_through_words() {
        for method in [
            Method::MinMax,
            Method::Percentile(99.99),
            Method::Percentile(100.0),
            Method::LeastError,
            Method::Entropy,
            Method::PerTensor,
        ] {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        assert_eq!("least-error".parse(), Ok(Method::LeastError));
        for word in [
            "percentile:12",
            "percentile:abc",
            "percentile:101",
            "best",
            "min-max:3",
        ] {
            assert!(word.parse::<Method>().is_err(), "{word}");
        }
    }
}
