//! Successive operators whose result depends on one value, as one function: on the device they become one table, and what lies between them is
//! never rounded. However a file spells GELU or Mish out, this finds it.

use super::edit::Links;
use crate::{Function, Graph, GraphError, Op, Step, TensorId, UnaryOp};

/// Longer ones are no activation.
const MAX_STEPS: usize = 64;

pub(super) fn join(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let Some((nodes, leaf)) = region(graph, links, index) else {
        return Ok(false);
    };
    let Some(function) = steps(graph, &nodes, leaf).and_then(Function::new) else {
        return Ok(false);
    };
    let node = &mut graph.nodes[index];
    (node.op, node.inputs, node.clamp) = (Op::Function(function), vec![leaf], None);
    Ok(true)
}

/// The tensors that a node computes its result from element by element; none where it works otherwise.
fn arguments(graph: &Graph, index: usize) -> Option<Vec<TensorId>> {
    let node = &graph.nodes[index];
    if !matches!(node.op, Op::Unary(_) | Op::Function(_) | Op::Binary(_)) {
        return None;
    }
    let shape = graph.shape(node.output);
    let mut arguments = Vec::new();
    for &id in &node.inputs {
        match uniform(graph, id) {
            Some(_) => {}
            None if graph.constant(id).is_none() && graph.shape(id) == shape => arguments.push(id),
            None => return None,
        }
    }
    arguments.dedup();
    Some(arguments)
}

/// The one number that a constant holds everywhere.
fn uniform(graph: &Graph, id: TensorId) -> Option<f32> {
    let values = graph.constant(id)?;
    let first = *values.first()?;
    (first.is_finite() && values.iter().all(|&v| v == first)).then_some(first)
}

/// The largest set of nodes, in order, that ends with `index` and computes a function of one tensor, and that tensor. Nobody else reads what lies
/// between, so no work is left behind.
fn region(graph: &Graph, links: &Links, index: usize) -> Option<(Vec<usize>, TensorId)> {
    let mut leaves = arguments(graph, index)?;
    let mut nodes = vec![index];
    let mut found = None;
    loop {
        // One operator of one operand is what it is; of one operand twice it is a function.
        let several = nodes.len() > 1 || computed_operands(graph, index) > 1;
        if let ([leaf], true) = (&leaves[..], several) {
            found = Some((nodes.clone(), *leaf));
        }
        // The latest first: all that reads it has been taken in before.
        let latest = (0..leaves.len()).max_by_key(|&i| links.producer(leaves[i]))?;
        let leaf = leaves.swap_remove(latest);
        // What is rounded to a grid of the file's own stays visible.
        let hidden = !links.is_output(leaf) && graph.tensor(leaf).grid.is_none();
        let inner = links
            .producer(leaf)
            .filter(|_| hidden && links.readers(leaf).iter().all(|r| nodes.contains(r)));
        let Some((producer, more)) = inner.and_then(|p| Some((p, arguments(graph, p)?))) else {
            break;
        };
        if nodes.len() >= MAX_STEPS {
            break;
        }
        nodes.push(producer);
        leaves.extend(more);
        leaves.sort_unstable();
        leaves.dedup();
    }
    found.map(|(mut nodes, leaf)| {
        nodes.sort_unstable();
        (nodes, leaf)
    })
}

fn computed_operands(graph: &Graph, index: usize) -> usize {
    let inputs = graph.nodes[index].inputs.iter();
    inputs.filter(|id| graph.constant(**id).is_none()).count()
}

fn steps(graph: &Graph, nodes: &[usize], leaf: TensorId) -> Option<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    // Tensors and the numbers of the values that they became.
    let mut known = vec![(leaf, 0)];
    for &index in nodes {
        let node = &graph.nodes[index];
        let mut operands = Vec::with_capacity(2);
        for &id in &node.inputs {
            operands.push(match known.iter().find(|(tensor, _)| *tensor == id) {
                Some((_, value)) => *value,
                None => {
                    steps.push(Step::Constant(uniform(graph, id)?));
                    steps.len()
                }
            });
        }
        match (&node.op, &operands[..]) {
            (Op::Unary(op), &[x]) => steps.push(Step::Unary(*op, x)),
            (Op::Binary(op), &[a, b]) => steps.push(Step::Binary(*op, a, b)),
            (Op::Function(inner), &[x]) => {
                let base = steps.len();
                let moved = |value: usize| if value == 0 { x } else { base + value };
                steps.extend(inner.steps().iter().map(|step| match *step {
                    Step::Unary(op, x) => Step::Unary(op, moved(x)),
                    Step::Binary(op, a, b) => Step::Binary(op, moved(a), moved(b)),
                    Step::Constant(value) => Step::Constant(value),
                }));
            }
            _ => return None,
        }
        if let Some((min, max)) = node.clamp {
            steps.push(Step::Unary(UnaryOp::Clip { min, max }, steps.len()));
        }
        known.push((node.output, steps.len()));
    }
    Some(steps)
}
