//! Tries several ways to quantize and says which is closest to float.
//!
//! Every fourth kept calibration sample is held back; the others calibrate each attempt. Nothing but calibration samples is looked at. The list of attempts
//! is fixed, so the same samples and the same count of attempts give the same choice on any machine.

use std::fmt;
use std::time::{Duration, Instant};

use ocellus_ir::Graph;

use crate::calibrate::{Calibration, Method};
use crate::trial::{Reference, Score};
use crate::{CompileError, Options, Passes, compile};

/// A later attempt must be better by this to be taken over an earlier, simpler or more usual one.
const MARGIN_DB: f64 = 0.1;

/// A way to quantize.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scheme {
    /// How ranges are chosen.
    pub ranges: Method,
    /// A pass that is left out; empty for none.
    pub without: &'static str,
}

/// The attempts, in the order in which a count takes them. The first is the default.
pub const SCHEMES: [Scheme; 9] = [
    Scheme {
        ranges: Method::PerTensor,
        without: "",
    },
    Scheme {
        ranges: Method::Percentile(99.999),
        without: "",
    },
    Scheme {
        ranges: Method::LeastError,
        without: "",
    },
    Scheme {
        ranges: Method::MinMax,
        without: "",
    },
    Scheme {
        ranges: Method::PerTensor,
        without: "equalization",
    },
    Scheme {
        ranges: Method::Percentile(99.99),
        without: "",
    },
    Scheme {
        ranges: Method::Entropy,
        without: "",
    },
    Scheme {
        ranges: Method::PerTensor,
        without: "reconstruction",
    },
    Scheme {
        ranges: Method::LeastError,
        without: "equalization",
    },
];

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ranges)?;
        match self.without {
            "" => Ok(()),
            pass => write!(f, " without {pass}"),
        }
    }
}

impl Scheme {
    /// The passes of a conversion with this scheme.
    pub fn passes(self, passes: Passes) -> Passes {
        passes.without(self.without).unwrap_or(passes)
    }
}

/// How many attempts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// This many, at most all.
    Count(usize),
    /// None is begun after this time: how many that is depends on the machine.
    Time(Duration),
}

/// An attempt and what it reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// What was tried.
    pub scheme: Scheme,
    /// On the samples held back.
    pub score: Score,
}

/// What was tried and what is best.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// In the order of trying.
    pub attempts: Vec<Attempt>,
    /// Position of the one to take.
    pub best: usize,
    /// Samples that calibrated the attempts.
    pub fit_samples: usize,
    /// Samples on which they were compared.
    pub held_samples: usize,
}

impl Choice {
    /// The attempts, for the record in the model file.
    pub fn record(&self) -> Vec<ocellus_format::Attempt> {
        let attempts = self.attempts.iter().enumerate();
        let attempts = attempts.map(|(index, attempt)| {
            let snr_db = attempt.score.snr_db;
            let agreement = attempt.score.agreement;
            ocellus_format::Attempt {
                way: attempt.scheme.to_string(),
                snr_centi_db: snr_db.is_finite().then(|| (100.0 * snr_db).round() as i32),
                agreement_centi_percent: agreement.map(|share| (1e4 * share).round() as u16),
                taken: index == self.best,
            }
        });
        attempts.collect()
    }
}

/// Tries schemes. `progress` is told how many attempts are done.
///
/// # Errors
/// [`CompileError::TooFewSamples`] below three samples; whatever compiling the first attempt refuses.
pub fn choose(
    graph: &Graph,
    calibration: &Calibration,
    options: &Options,
    budget: Budget,
    progress: &mut dyn FnMut(usize),
) -> Result<Choice, CompileError> {
    let (mut fit, held) = calibration.split(graph)?;
    if held.is_empty() {
        return Err(CompileError::TooFewSamples {
            given: calibration.sample_count,
        });
    }
    let reference = Reference::new(graph, held)?;
    let begun = Instant::now();
    let mut attempts: Vec<Attempt> = Vec::new();
    for (index, scheme) in SCHEMES.into_iter().enumerate() {
        let enough = match budget {
            Budget::Count(count) => index >= count.max(1),
            Budget::Time(time) => index > 0 && begun.elapsed() >= time,
        };
        if enough {
            break;
        }
        fit.method = scheme.ranges;
        let options = Options {
            passes: scheme.passes(options.passes),
            ..options.clone()
        };
        let compiled = compile(graph, &fit, &options, None)?;
        let score = reference
            .score(&compiled.bytes)
            .map_err(|e| CompileError::Rejected(e.to_string()))?;
        attempts.push(Attempt { scheme, score });
        progress(attempts.len());
    }
    let mut best = 0;
    for (index, attempt) in attempts.iter().enumerate() {
        if attempt.score.snr_db > attempts[best].score.snr_db + MARGIN_DB {
            best = index;
        }
    }
    Ok(Choice {
        attempts,
        best,
        fit_samples: fit.sample_count,
        held_samples: reference.sample_count(),
    })
}

#[cfg(test)]
mod tests {
    use ocellus_ir::{BorderType, Op};

    use super::*;
    use crate::Sample;

    fn graph() -> Graph {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![1, 24], BorderType::F32);
        let values: Vec<f32> = (0..24 * 10)
            .map(|i| ((i * 53 % 97) as f32 - 48.0) / 97.0)
            .collect();
        let w = g.add_constant("w", vec![10, 24], values);
        let y = g.add_node("y", Op::FullyConnected, &[x, w]).unwrap();
        g.nodes[0].clamp = Some((0.0, f32::INFINITY));
        let values: Vec<f32> = (0..40)
            .map(|i| ((i * 31 % 41) as f32 - 20.0) / 41.0)
            .collect();
        let w = g.add_constant("w2", vec![4, 10], values);
        let z = g.add_node("z", Op::FullyConnected, &[y, w]).unwrap();
        g.add_output("z", z, BorderType::F32);
        g
    }

    /// One sample is a hundred times as large as the others, and calibrates.
    fn calibration(graph: &Graph, count: usize) -> Calibration {
        let samples = (0..count).map(|s| {
            let size = if s == 1 { 100.0 } else { 1.0 };
            let values = (0..24).map(|i| ((i * 29 + s * 61) % 83) as f32 / 83.0 * size);
            Sample {
                inputs: vec![values.collect()],
                sha256: None,
            }
        });
        Calibration::collect(graph, samples, Method::MinMax, |_| {}).unwrap()
    }

    #[test]
    fn the_best_on_held_samples_is_taken_and_twice_the_same() {
        let graph = graph();
        let calibration = calibration(&graph, 40);
        let options = Options::default();
        let run = |budget| choose(&graph, &calibration, &options, budget, &mut |_| {}).unwrap();
        let choice = run(Budget::Count(SCHEMES.len()));
        assert_eq!((choice.fit_samples, choice.held_samples), (30, 10));
        assert_eq!(choice.attempts.len(), SCHEMES.len());
        let best = choice.attempts[choice.best].score.snr_db;
        assert!(
            choice
                .attempts
                .iter()
                .all(|a| a.score.snr_db <= best + MARGIN_DB)
        );
        assert_eq!(choice, run(Budget::Count(99)));
        let three = run(Budget::Count(3));
        assert_eq!(three.attempts[..], choice.attempts[..3]);
        assert_eq!(run(Budget::Time(Duration::ZERO)).attempts.len(), 1);
    }

    #[test]
    fn two_samples_are_too_few() {
        let graph = graph();
        let calibration = calibration(&graph, 2);
        let refused = choose(
            &graph,
            &calibration,
            &Options::default(),
            Budget::Count(1),
            &mut |_| {},
        );
        assert_eq!(refused, Err(CompileError::TooFewSamples { given: 2 }));
    }
}
