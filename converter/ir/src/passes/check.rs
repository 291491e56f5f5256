//! Runs the graph before and after a pass on the same samples and compares what comes out.
//!
//! A run costs an inference in float. While that is affordable each pass is checked by itself; after that the passes that are left are checked
//! together, and one by one only where something differs, so that the message can name the culprit.

use thiserror::Error;

use crate::random::Random;
use crate::{BorderType, ExecError, Executor, Graph, Node, Op, Step, TensorId, UnaryOp};

use super::{OptimizeError, Pass};

/// How much of [`optimize`](super::optimize) is checked by running the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checking {
    /// Each pass by itself while [`AFFORDABLE_WORK`] lasts, the others together at the end.
    #[default]
    Affordable,
    /// Each pass by itself.
    Each,
    /// Nothing: the graph is still verified after each pass.
    Never,
}

/// Multiply-accumulates and elements written that [`Checking::Affordable`] spends on passes one by one: below a second.
pub const AFFORDABLE_WORK: u64 = 2_000_000_000;

/// Share of an output's largest value that rounding in another order may change: passes that compute differently are held to it.
pub const TOLERANCE: f32 = 1e-3;

/// What an output of zeros may differ by.
const TOLERANCE_ABSOLUTE: f32 = 1e-6;

/// Where the graph itself rounds to steps or names the largest of several, a last bit before the step can become a whole one behind it: the root of the mean square of the
/// differences may be this share of that of the values.
const TOLERANCE_ROUNDED: f64 = 0.05;

/// A result that a pass changed.
#[derive(Clone, Debug, Error, PartialEq)]
#[error(
    "pass `{pass}` changed what the model computes: on {sample}, output `{output}` differs, first in tensor `{tensor}`, whose element \
     {element} was {was} and is {is}; convert with `--no-pass {pass}`, and report this"
)]
pub struct Change {
    /// The pass.
    pub pass: &'static str,
    /// The output of the model.
    pub output: String,
    /// The first tensor that differs, or the output.
    pub tensor: String,
    /// The element of it that differs most.
    pub element: usize,
    /// Its value before.
    pub was: f32,
    /// And after.
    pub is: f32,
    /// On what it was found.
    pub sample: String,
}

/// Inputs of one run, in the order of [`Graph::inputs`] and in the source file's order of axes.
pub type CheckSample = Vec<Vec<f32>>;

/// Values of each output, of each sample.
type Results = Vec<Vec<Vec<f32>>>;

/// A pass whose check waits for the end.
struct Waiting {
    pass: Pass,
    before: Graph,
}

pub(super) struct Checker {
    samples: Vec<CheckSample>,
    checking: Checking,
    work: u64,
    /// What the graph computed after the last pass that was checked.
    results: Results,
    waiting: Vec<Waiting>,
}

impl Checker {
    /// Prepares one random sample and those given, and runs the graph on them.
    pub(super) fn new(
        graph: &Graph,
        checking: Checking,
        samples: &[CheckSample],
    ) -> Result<Self, ExecError> {
        let mut checker = Self {
            samples: Vec::new(),
            checking,
            work: 0,
            results: Results::new(),
            waiting: Vec::new(),
        };
        if checking != Checking::Never {
            checker.samples.push(random_sample(graph));
            checker.samples.extend_from_slice(samples);
            checker.results = checker.run(graph)?;
        }
        Ok(checker)
    }

    /// The graph as it is before a pass, where it will be needed.
    pub(super) fn before(&self, graph: &Graph) -> Option<Graph> {
        (self.checking != Checking::Never).then(|| graph.clone())
    }

    /// Checks what a pass did, now or at the end; the largest difference as a share of the largest value, where it was now.
    pub(super) fn after(
        &mut self,
        pass: Pass,
        before: Option<Graph>,
        after: &Graph,
    ) -> Result<Option<f32>, OptimizeError> {
        let Some(before) = before else {
            return Ok(None);
        };
        if self.checking == Checking::Affordable && self.work > AFFORDABLE_WORK {
            self.waiting.push(Waiting { pass, before });
            return Ok(None);
        }
        let results = self.run(after)?;
        let largest = self.compare(pass, &before, after, &results)?;
        self.results = results;
        Ok(Some(largest))
    }

    /// Checks the passes that waited.
    pub(super) fn finish(&mut self, last: &Graph) -> Result<(), OptimizeError> {
        let waiting = std::mem::take(&mut self.waiting);
        let (Some(first), results) = (waiting.first(), self.run(last)?) else {
            return Ok(());
        };
        // Together they may add up to a little more than one alone, so a difference is no verdict yet.
        let all_exact = waiting.iter().all(|waiting| waiting.pass.exact);
        let rule = Rule::of(all_exact, &first.before, last);
        if (self.results.iter().zip(&results)).all(|(a, b)| rule.find(a, b).is_ok()) {
            return Ok(());
        }
        let after = waiting.iter().skip(1).map(|next| &next.before);
        for (waiting, after) in waiting.iter().zip(after.chain([last])) {
            let results = self.run(after)?;
            self.compare(waiting.pass, &waiting.before, after, &results)?;
            self.results = results;
        }
        Ok(())
    }

    fn run(&mut self, graph: &Graph) -> Result<Results, ExecError> {
        let written: usize = graph
            .nodes
            .iter()
            .map(|node| graph.tensor(node.output).len())
            .sum();
        self.work += (graph.macs() + written as u64) * self.samples.len() as u64;
        self.samples
            .iter()
            .map(|sample| run(graph, sample, &mut |_, _| {}))
            .collect()
    }

    fn compare(
        &self,
        pass: Pass,
        before: &Graph,
        after: &Graph,
        results: &Results,
    ) -> Result<f32, OptimizeError> {
        let rule = Rule::of(pass.exact, before, after);
        let mut largest = 0f32;
        for (number, (a, b)) in self.results.iter().zip(results).enumerate() {
            match rule.find(a, b) {
                Ok(difference) => largest = largest.max(difference),
                Err(found) => {
                    return Err(self.changed(pass, before, after, number, rule, &found));
                }
            }
        }
        Ok(largest)
    }

    /// The message: the first tensor that both graphs hold and that differs, or else the output.
    fn changed(
        &self,
        pass: Pass,
        before: &Graph,
        after: &Graph,
        number: usize,
        rule: Rule,
        found: &Difference,
    ) -> OptimizeError {
        let sample = self.samples.get(number).map_or(&[][..], Vec::as_slice);
        let output = after
            .outputs
            .get(found.output)
            .map(|output| output.name.clone())
            .unwrap_or_default();
        let (tensor, found) = first_tensor(before, after, sample, rule)
            .unwrap_or_else(|| (output.clone(), found.clone()));
        OptimizeError::Changed(Box::new(Change {
            pass: pass.name,
            output,
            tensor,
            element: found.element,
            was: found.was,
            is: found.is,
            sample: match number {
                0 => "random input".into(),
                number => format!("calibration sample {number}"),
            },
        }))
    }
}

fn run(
    graph: &Graph,
    sample: &[Vec<f32>],
    observe: &mut dyn FnMut(TensorId, &[f32]),
) -> Result<Vec<Vec<f32>>, ExecError> {
    let inputs: Vec<&[f32]> = sample.iter().map(Vec::as_slice).collect();
    Executor::new(graph)?.run(&inputs, observe)
}

/// Numbers as the border's type has them.
fn random_sample(graph: &Graph) -> CheckSample {
    let mut random = Random::new(1);
    let inputs = graph.inputs.iter().map(|input| {
        let len = input.shape.iter().product();
        let values = random.values(len).into_iter();
        match input.border {
            BorderType::F32 => values.collect(),
            BorderType::U8 => values.map(|v| (v * 128.0 + 128.0).floor()).collect(),
            BorderType::S8 => values.map(|v| (v * 128.0).floor()).collect(),
            // Indices beyond an axis are clamped, so any do.
            BorderType::S32 | BorderType::S64 => values.map(|v| (v * 8.0 + 8.0).floor()).collect(),
        }
    });
    inputs.collect()
}

/// How far results may be apart.
#[derive(Clone, Copy)]
enum Rule {
    /// Not at all.
    Equal,
    /// Each value by [`TOLERANCE`].
    Close,
    /// On average by [`TOLERANCE_ROUNDED`].
    CloseOnAverage,
}

/// Where results are farthest apart.
#[derive(Clone)]
struct Difference {
    output: usize,
    element: usize,
    was: f32,
    is: f32,
}

impl Rule {
    fn of(exact: bool, before: &Graph, after: &Graph) -> Self {
        if exact {
            Rule::Equal
        } else if rounds(before) || rounds(after) {
            Rule::CloseOnAverage
        } else {
            Rule::Close
        }
    }

    /// The largest difference of all outputs, as a share of the largest value, or where it is too large.
    fn find(self, before: &[Vec<f32>], after: &[Vec<f32>]) -> Result<f32, Difference> {
        let mut largest = 0f32;
        for (output, (a, b)) in before.iter().zip(after).enumerate() {
            largest = largest.max(self.compare(a, b).map_err(|element| Difference {
                output,
                element,
                was: a.get(element).copied().unwrap_or(f32::NAN),
                is: b.get(element).copied().unwrap_or(f32::NAN),
            })?);
        }
        Ok(largest)
    }

    /// The same for two lists; the element that differs most where it is too much.
    fn compare(self, a: &[f32], b: &[f32]) -> Result<f32, usize> {
        if a.len() != b.len() {
            return Err(a.len().min(b.len()));
        }
        let (mut worst, mut at) = (0f32, 0);
        let (mut squares, mut values, mut scale) = (0f64, 0f64, 0f32);
        for (element, (&a, &b)) in a.iter().zip(b).enumerate() {
            // Equal infinities and two NaN are the same result; one alone is not.
            let same = a == b || (a.is_nan() && b.is_nan());
            let distance = if same { 0.0 } else { (a - b).abs() };
            let distance = if distance.is_nan() {
                f32::INFINITY
            } else {
                distance
            };
            if distance > worst {
                (worst, at) = (distance, element);
            }
            squares += f64::from(distance).powi(2);
            if a.is_finite() {
                values += f64::from(a).powi(2);
                scale = scale.max(a.abs());
            }
        }
        let fits = match self {
            Rule::Equal => worst == 0.0,
            Rule::Close => worst <= TOLERANCE * scale + TOLERANCE_ABSOLUTE,
            Rule::CloseOnAverage => {
                worst <= TOLERANCE * scale + TOLERANCE_ABSOLUTE
                    || squares <= TOLERANCE_ROUNDED.powi(2) * values
            }
        };
        if fits {
            Ok(worst / scale.max(f32::MIN_POSITIVE))
        } else {
            Err(at)
        }
    }
}

/// True where a small difference can become a step.
fn rounds(graph: &Graph) -> bool {
    let jumps = |op: &UnaryOp| {
        matches!(
            op,
            UnaryOp::Floor
                | UnaryOp::Ceil
                | UnaryOp::Round
                | UnaryOp::Sign
                | UnaryOp::Threshold { .. }
        )
    };
    let node_jumps = |node: &Node| match &node.op {
        Op::Quantize | Op::ArgMax { .. } | Op::TopK { .. } => true,
        Op::Unary(op) => jumps(op),
        Op::Function(function) => {
            (function.steps().iter()).any(|step| matches!(step, Step::Unary(op, _) if jumps(op)))
        }
        _ => false,
    };
    graph.nodes.iter().any(node_jumps) || graph.tensors.iter().any(|tensor| tensor.grid.is_some())
}

/// The first tensor of both graphs, in the order of the later one, that differs.
fn first_tensor(
    before: &Graph,
    after: &Graph,
    sample: &[Vec<f32>],
    rule: Rule,
) -> Option<(String, Difference)> {
    let mut values: Vec<Option<Vec<f32>>> = vec![None; before.tensors.len()];
    run(before, sample, &mut |id, data| {
        if let Some(slot) = values.get_mut(id.0) {
            *slot = Some(data.to_vec());
        }
    })
    .ok()?;
    let mut found = None;
    run(after, sample, &mut |id, data| {
        let (Some(Some(old)), None) = (values.get(id.0), &found) else {
            return;
        };
        let (a, b) = (before.tensor(id), after.tensor(id));
        if a.name == b.name && a.shape == b.shape && rule.compare(old, data).is_err() {
            let (old, new) = (vec![old.clone()], vec![data.to_vec()]);
            found = rule
                .find(&old, &new)
                .err()
                .map(|difference| (b.name.clone(), difference));
        }
    })
    .ok()?;
    found
}

#[cfg(test)]
mod tests {
    use super::{Checker, Checking, TOLERANCE};
    use crate::passes::{OptimizeError, Options, Pass, STAGES, optimize};
    use crate::random::{Random, random_graph};
    use crate::{BorderType, Graph, Op, UnaryOp, Window};

    /// Three layers and a function of one value; the second layer's weights are `factor` times what they should be.
    fn layers(factor: f32) -> Graph {
        let (mut graph, mut random) = (Graph::default(), Random::new(3));
        let mut x = graph.add_input("x", vec![1, 4, 4, 2], BorderType::F32);
        for layer in 0..3 {
            let mut weights = random.values(4);
            if layer == 1 {
                weights.iter_mut().for_each(|w| *w *= factor);
            }
            let weights = graph.add_constant("weights", vec![2, 1, 1, 2], weights);
            let op = Op::Conv2d {
                window: Window::UNIT,
                groups: 1,
            };
            x = graph
                .add_node(format!("conv{layer}"), op, &[x, weights])
                .unwrap();
        }
        let y = graph
            .add_node("tanh", Op::Unary(UnaryOp::Tanh), &[x])
            .unwrap();
        graph.add_output("y", y, BorderType::F32);
        graph
    }

    fn pass(exact: bool) -> Pass {
        Pass {
            exact,
            ..STAGES[0][0]
        }
    }

    fn checked(checking: Checking, exact: bool, factor: f32) -> Result<(), OptimizeError> {
        let (before, after) = (layers(1.0), layers(factor));
        let mut checker = Checker::new(&before, checking, &[])?;
        if checking == Checking::Affordable {
            checker.work = u64::MAX / 2;
        }
        let harmless = checker.before(&before);
        checker.after(pass(true), harmless, &before)?;
        let old = checker.before(&before);
        checker.after(pass(exact), old, &after)?;
        checker.finish(&after)
    }

    #[test]
    fn a_pass_that_changes_a_layer_is_named_with_its_tensor() {
        for checking in [Checking::Each, Checking::Affordable] {
            for (exact, factor) in [(true, 1.00001), (false, 1.0 + 10.0 * TOLERANCE)] {
                let error = checked(checking, exact, factor).unwrap_err().to_string();
                assert!(
                    error.contains("`dead-nodes`")
                        && error.contains("tensor `conv1`")
                        && error.contains("output `y`")
                        && error.contains("--no-pass dead-nodes"),
                    "{error}"
                );
            }
            checked(checking, false, 1.00001).unwrap();
            checked(checking, true, 1.0).unwrap();
        }
        checked(Checking::Never, true, 2.0).unwrap();
    }

    #[test]
    fn a_result_that_is_no_number_any_more_is_a_difference() {
        let (before, after) = (layers(1.0), layers(f32::MAX));
        let mut checker = Checker::new(&before, Checking::Each, &[]).unwrap();
        let old = checker.before(&before);
        assert!(checker.after(pass(false), old, &after).is_err());
    }

    #[test]
    fn given_samples_are_run_and_must_be_the_models() {
        let options = |len: usize| Options {
            checking: Checking::Each,
            samples: vec![vec![vec![0.5; len]]],
            ..Options::default()
        };
        let graph = random_graph(5).unwrap();
        let len = graph.inputs[0].shape.iter().product();
        optimize(&mut graph.clone(), &options(len)).unwrap();
        let error = optimize(&mut graph.clone(), &options(len + 1)).unwrap_err();
        assert!(matches!(error, OptimizeError::Run(_)), "{error}");
    }
}
