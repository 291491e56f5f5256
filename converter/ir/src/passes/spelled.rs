//! For tests of what is spelled out in several operators: building it, and what all passes leave of it.

use super::{Options, optimize};
use crate::random::Random;
use crate::{Executor, Graph, Op, TensorId};

/// Adds a node that is named after its operator.
pub(super) fn node(graph: &mut Graph, op: Op, inputs: &[TensorId]) -> TensorId {
    graph.add_node(op.name(), op, inputs).unwrap()
}

/// The operators that all passes leave of a graph of one input, and how far its result is from the original's.
pub(super) fn optimized(mut graph: Graph) -> (Vec<&'static str>, f32) {
    let x = Random::new(9).values(graph.tensor(graph.inputs[0].tensor).len());
    let run = |graph: &Graph| Executor::new(graph).unwrap().run(&[&x], &mut |_, _| {});
    let before = run(&graph).unwrap();
    optimize(&mut graph, &Options::default()).unwrap();
    let after = run(&graph).unwrap();
    let worst = before[0].iter().zip(&after[0]).map(|(a, b)| (a - b).abs());
    let names = graph.nodes.iter().map(|node| node.op.name()).collect();
    (names, worst.fold(0.0, f32::max))
}
