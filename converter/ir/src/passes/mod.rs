//! Rewrites of a graph that keep what it computes. Each pass has a name and can be switched off; after each the graph is verified, and run
//! on samples against the graph before it.

mod activation;
mod arithmetic;
mod border;
mod channels;
mod check;
mod edit;
mod fold;
mod function;
mod grids;
mod interval;
mod linear;
mod matrix;
mod moments;
mod movement;
mod normalize;
mod pool;
mod shuffle;
mod softmax;
#[cfg(test)]
mod spelled;
mod structure;
#[cfg(test)]
mod tests;
mod transpose;

use thiserror::Error;

use crate::{ExecError, Graph, GraphError, Op};
use check::Checker;
pub use check::{AFFORDABLE_WORK, Change, CheckSample, Checking, TOLERANCE};
use edit::{remove_dead_nodes, sweep};

/// What [`optimize`] leaves out, and what it checks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names of passes not to run.
    pub disabled: Vec<String>,
    /// How much is checked.
    pub checking: Checking,
    /// What the checks run on beside a random input.
    pub samples: Vec<CheckSample>,
}

/// What a pass did.
#[derive(Clone, Debug, PartialEq)]
pub struct PassReport {
    /// The pass.
    pub name: &'static str,
    /// What it does, in a line.
    pub does: &'static str,
    /// Places where it changed the graph.
    pub changes: usize,
    /// Nodes that went with it (negative where it added some).
    pub nodes_saved: i64,
    /// Multiply-accumulates that an inference no longer does.
    pub macs_saved: i64,
    /// Elements of results that an inference no longer writes.
    pub elements_saved: i64,
    /// Largest difference of an output that the pass made, as a share of its largest value; `None` where it changed nothing or was not
    /// checked by itself.
    pub largest_difference: Option<f32>,
}

/// Why a graph was not optimized.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum OptimizeError {
    /// A name in [`Options::disabled`] that no pass has.
    #[error("there is no pass `{name}`; the passes are {known}")]
    UnknownPass {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
    /// The graph was broken before the first pass.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A pass broke the graph.
    #[error("pass `{pass}` left a broken graph: {source}; convert without it, and report this")]
    Broken {
        /// The pass.
        pass: &'static str,
        /// What is broken.
        source: GraphError,
    },
    /// A pass changed what the graph computes.
    #[error(transparent)]
    Changed(Box<Change>),
    /// The graph does not run, or a sample is not the model's.
    #[error("checking passes: {0}")]
    Run(#[from] ExecError),
}

/// A pass.
#[derive(Clone, Copy)]
pub struct Pass {
    /// Its name, for [`Options::disabled`].
    pub name: &'static str,
    /// What it does, in a line.
    pub does: &'static str,
    /// It only moves values, or computes the same in the same order: results are equal to the bit.
    pub exact: bool,
    run: fn(&mut Graph) -> Result<usize, GraphError>,
}

macro_rules! pass {
    ($name:literal, $does:literal, $exact:ident, $step:path) => {
        Pass {
            name: $name,
            does: $does,
            exact: pass!(@ $exact),
            run: |graph| sweep(graph, $step),
        }
    };
    (@ exact) => {
        true
    };
    (@ rounds) => {
        false
    };
}

/// Every pass, in stages: a stage runs when the ones before it have nothing left to do, and what it changes sends the graph back to the first.
pub const STAGES: &[&[Pass]] = &[
    &[
        Pass {
            name: "dead-nodes",
            does: "removes nodes whose result nobody reads",
            exact: true,
            run: |graph| Ok(remove_dead_nodes(graph)),
        },
        pass!(
            "constant-folding",
            "computes what depends on constants alone",
            exact,
            fold::fold_constants
        ),
        pass!(
            "no-ops",
            "removes operators that change nothing",
            exact,
            structure::remove_no_op
        ),
        pass!(
            "movement",
            "joins successive reshapes, transposes, slices, pads and concatenations",
            exact,
            movement::join
        ),
        pass!(
            "duplicates",
            "computes what is computed twice only once",
            exact,
            structure::remove_duplicate
        ),
        pass!(
            "arithmetic",
            "writes constants' arithmetic as add, mul, affine and clip, and finds composed activations",
            rounds,
            arithmetic::simplify
        ),
        pass!(
            "channel-shuffle",
            "turns reshape and transpose that permute one axis into gather",
            exact,
            shuffle::to_gather
        ),
        pass!(
            "transpose-to-reshape",
            "turns transposes that move no value into reshapes",
            exact,
            transpose::to_reshape
        ),
        pass!(
            "transpose-sinking",
            "moves transposes towards the outputs until they meet their opposites",
            exact,
            transpose::sink
        ),
        pass!(
            "matrix-transposes",
            "leaves transposes of matrices to the product that reads them",
            rounds,
            matrix::take_transpose
        ),
        pass!(
            "normalization",
            "finds normalizations and softmax that are spelled out, and takes factors and offsets into the former",
            rounds,
            normalize::join
        ),
        pass!(
            "flatten-weights",
            "takes a transpose before a flattened fully connected layer into its weights",
            rounds,
            transpose::into_weights
        ),
        pass!(
            "reshape-sinking",
            "moves reshapes behind functions of one value",
            exact,
            movement::sink_reshape
        ),
        pass!(
            "linear-after",
            "takes factors and offsets into the weights and biases of the layer before",
            rounds,
            linear::fold_after
        ),
        pass!(
            "linear-before",
            "takes factors and offsets into the weights and biases of the layer behind",
            rounds,
            linear::fold_before
        ),
        pass!(
            "gather-weights",
            "takes a permutation of channels into the weights of the layer behind",
            rounds,
            shuffle::into_weights
        ),
        pass!(
            "pads",
            "takes a frame into the window of the operator behind",
            rounds,
            pool::fold_pad
        ),
        pass!(
            "activations",
            "fuses limits into the operator before",
            exact,
            activation::fuse_clip
        ),
        pass!(
            "grids",
            "rounds to a quantized model's scales where the values are made",
            exact,
            grids::fuse
        ),
    ],
    &[
        pass!(
            "functions",
            "computes what several operators make of one value in one",
            rounds,
            function::join
        ),
        pass!(
            "mean-to-pool",
            "turns means over rows and columns into average pools",
            rounds,
            pool::mean_to_pool
        ),
        pass!(
            "softmax-axis",
            "gives softmax its innermost axis",
            rounds,
            transpose::softmax_axis
        ),
    ],
    &[Pass {
        name: "input-layout",
        does: "takes a transpose behind a model input into the input's layout",
        exact: true,
        run: border::input_layout,
    }],
    &[Pass {
        name: "output-assembly",
        does: "leaves a final concat, reshape or transpose to the reader of the output",
        exact: true,
        run: border::output_assembly,
    }],
    &[Pass {
        name: "dead-channels",
        does: "removes channels that are constant or that nobody reads",
        exact: false,
        run: channels::remove_channels,
    }],
];

/// Rewrites the graph until no pass finds anything to do, and drops what nobody uses any more. Tensors are renumbered.
///
/// Reports are in the order of [`STAGES`]; passes that did nothing report zeros.
///
/// # Errors
/// - [`OptimizeError::UnknownPass`]: a name in `options` is not a pass
/// - [`OptimizeError::Graph`]: the graph given is not valid
/// - [`OptimizeError::Broken`], [`OptimizeError::Changed`]: a pass has a fault
/// - [`OptimizeError::Run`]: a sample is not the model's
pub fn optimize(graph: &mut Graph, options: &Options) -> Result<Vec<PassReport>, OptimizeError> {
    let all = || STAGES.iter().flat_map(|stage| stage.iter());
    if let Some(name) = options
        .disabled
        .iter()
        .find(|name| all().all(|pass| pass.name != *name))
    {
        let known = all().map(|pass| pass.name).collect::<Vec<_>>().join(", ");
        return Err(OptimizeError::UnknownPass {
            name: name.clone(),
            known,
        });
    }
    graph.verify()?;
    let mut reports: Vec<PassReport> = all()
        .map(|pass| PassReport {
            name: pass.name,
            does: pass.does,
            changes: 0,
            nodes_saved: 0,
            macs_saved: 0,
            elements_saved: 0,
            largest_difference: None,
        })
        .collect();
    let mut checker = Checker::new(graph, options.checking, &options.samples)?;
    // Every pass makes progress, so rounds end by themselves; the limit is for a pair of passes that would undo each other.
    let mut stage = 0;
    let mut rounds = 0;
    while let Some(passes) = STAGES.get(stage) {
        let mut changed = false;
        for pass in passes
            .iter()
            .filter(|pass| !options.disabled.iter().any(|name| name == pass.name))
        {
            let (before, old) = (Size::of(graph), checker.before(graph));
            let broken = |source| OptimizeError::Broken {
                pass: pass.name,
                source,
            };
            let changes = (pass.run)(graph).map_err(broken)?;
            if changes == 0 {
                continue;
            }
            graph.verify().map_err(broken)?;
            let difference = checker.after(*pass, old, graph)?;
            let after = Size::of(graph);
            changed = true;
            if let Some(report) = reports.iter_mut().find(|report| report.name == pass.name) {
                report.changes += changes;
                report.nodes_saved += before.nodes - after.nodes;
                report.macs_saved += before.macs - after.macs;
                report.elements_saved += before.elements - after.elements;
                let largest = &mut report.largest_difference;
                *largest = difference.map_or(*largest, |d| Some(largest.unwrap_or(0.0).max(d)));
            }
        }
        rounds += 1;
        stage = if changed && rounds < 100 {
            0
        } else {
            stage + 1
        };
    }
    checker.finish(graph)?;
    structure::remove_dead_tensors(graph);
    graph.verify()?;
    Ok(reports)
}

struct Size {
    nodes: i64,
    macs: i64,
    elements: i64,
}

impl Size {
    fn of(graph: &Graph) -> Self {
        let elements = graph
            .nodes
            .iter()
            .map(|node| graph.tensor(node.output).len())
            .sum::<usize>();
        Self {
            nodes: graph.nodes.len().cast_signed() as i64,
            macs: graph.macs().cast_signed(),
            elements: elements.cast_signed() as i64,
        }
    }
}

impl Graph {
    /// Multiply-accumulates of one node.
    pub fn node_macs(&self, index: usize) -> u64 {
        let node = &self.nodes[index];
        let weights = |input: usize| {
            node.inputs
                .get(input)
                .map_or(0, |id| self.tensor(*id).len())
        };
        let (count, channels) = match &node.op {
            Op::Conv2d { .. } | Op::FullyConnected => (
                self.tensor(node.output).len(),
                self.shape(node.output).last(),
            ),
            Op::TransposeConv2d { groups, .. } => {
                let x = self.tensor(node.inputs[0]);
                return (x.len() / x.shape.last().copied().unwrap_or(1).max(1) * weights(1)
                    / groups.max(&1)
                    * groups) as u64;
            }
            Op::BatchMatMul { transposed } => {
                let shape = self.shape(node.inputs[0]);
                let at = if transposed[0] { 2 } else { 1 };
                let k = shape.len().checked_sub(at).map_or(0, |at| shape[at]);
                return (self.tensor(node.output).len() * k) as u64;
            }
            _ => return 0,
        };
        (count / channels.copied().unwrap_or(1).max(1) * weights(1)) as u64
    }

    /// Multiply-accumulates of an inference.
    pub fn macs(&self) -> u64 {
        (0..self.nodes.len())
            .map(|index| self.node_macs(index))
            .sum()
    }
}
