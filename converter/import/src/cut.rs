//! Where a model would be cut: what can be imported on one side, what cannot on the other.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

use crate::ending::{Ending, Role, Sketch, Step, ending};
use crate::error::shown;
use crate::operators::{can_import, depends_on_data};

/// More names than this are not listed.
const MAX_NAMES: usize = 8;

/// Graphs inside of a node.
fn graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    let inside = |a| -> Vec<&GraphProto> {
        let a: &AttributeProto = a;
        a.g.iter().chain(&a.graphs).collect()
    };
    node.attribute.iter().flat_map(inside)
}

/// The names that a node reads, those that the graphs inside of it take from around them included.
pub(crate) fn reads(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    for graph in graphs(node) {
        names.extend(graph.node.iter().flat_map(reads));
        names.extend(graph.output.iter().map(|info| info.name.as_str()));
    }
    names
}

/// A sentence that names the tensors at which to cut before node `refused` and everything else that cannot be imported. Nodes in `done` were.
pub(crate) fn advice(
    file: &GraphProto,
    order: &[usize],
    done: usize,
    live: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut lost: HashSet<&str> = HashSet::new();
    let mut depends: HashSet<&str> = file.input.iter().map(|info| info.name.as_str()).collect();
    for tensor in &file.initializer {
        depends.remove(tensor.name.as_str());
    }
    let mut at: Vec<&str> = Vec::new();
    let mut position: HashMap<&str, usize> = HashMap::new();
    for (step, &index) in order.iter().enumerate() {
        let node = &file.node[index];
        let names = reads(node);
        let outputs = node
            .output
            .iter()
            .map(String::as_str)
            .filter(|n| !n.is_empty());
        let refused = step >= done && (step == done || !can_import(node));
        let is_lost = refused || names.iter().any(|name| lost.contains(name));
        if is_lost {
            for name in names {
                // Before the refused node it is known what is computed and what is constant; behind it, what hangs on an input.
                let computed = match position.get(name) {
                    Some(&step) if step < done => live(name),
                    _ => depends.contains(name),
                };
                if computed && !lost.contains(name) && !at.contains(&name) {
                    at.push(name);
                }
            }
            lost.extend(outputs);
            continue;
        }
        let computed = names.iter().any(|name| depends.contains(name))
            && !matches!(node.op_type.as_str(), "Shape" | "Size");
        for name in outputs {
            position.insert(name, step);
            if computed {
                depends.insert(name);
            }
        }
    }
    // What is an output already stays one.
    for output in &file.output {
        let name = output.name.as_str();
        if !lost.contains(name) && !at.contains(&name) && depends.contains(name) {
            at.push(name);
        }
    }
    let inputs: HashSet<&str> = file.input.iter().map(|info| info.name.as_str()).collect();
    at.retain(|name| !inputs.contains(name));
    if at.is_empty() {
        return None;
    }
    let names: Vec<String> = at
        .iter()
        .take(MAX_NAMES)
        .map(|name| format!("`--cut {}`", shown(name)))
        .collect();
    let more = match at.len().saturating_sub(MAX_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "to cut it there, convert with {}{more} and compute the rest from those outputs",
        names.join(" ")
    ))
}

/// Operators whose operands are weights, at least where one of them is constant.
const LAYERS: &[&str] = &[
    "Conv",
    "ConvInteger",
    "ConvTranspose",
    "DeformConv",
    "GRU",
    "Gemm",
    "LSTM",
    "MatMul",
    "MatMulInteger",
    "QGemm",
    "QLinearConv",
    "QLinearMatMul",
    "RNN",
];

/// Operators that give truth values or whole numbers.
const NOT_REAL: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "Cast",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Not",
    "Or",
    "TopK",
    "Xor",
];

/// True where a graph inside of a node, at any depth, has a layer.
fn has_layers(node: &NodeProto) -> bool {
    graphs(node)
        .flat_map(|graph| &graph.node)
        .any(|node| LAYERS.contains(&node.op_type.as_str()) || has_layers(node))
}

/// The tensors that hang on the inputs, whose values the file does not settle; `order` are the nodes that its outputs need.
pub(crate) fn hanging<'a>(
    file: &'a GraphProto,
    order: &[usize],
    inputs: impl Iterator<Item = &'a str>,
) -> HashSet<&'a str> {
    let mut hanging: HashSet<&str> = inputs.collect();
    for node in order.iter().filter_map(|&index| file.node.get(index)) {
        let settled = matches!(node.op_type.as_str(), "Shape" | "Size");
        if !settled && reads(node).iter().any(|name| hanging.contains(name)) {
            let outputs = node.output.iter().map(String::as_str);
            hanging.extend(outputs.filter(|name| !name.is_empty()));
        }
    }
    hanging
}

/// Where a file ends by itself, and a sentence that says so; `order` are the nodes that its outputs need, `hanging` is of [`hanging`].
pub(crate) fn own_end<'a>(
    file: &'a GraphProto,
    order: &[usize],
    hanging: &HashSet<&'a str>,
) -> Option<(Vec<String>, String)> {
    let nodes = order.iter().filter_map(|&index| file.node.get(index));
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut names: Vec<&str> = Vec::new();
    // The model's inputs, which nobody writes, are no ends.
    let mut may_end: Vec<bool> = Vec::new();
    let mut steps = Vec::new();
    let mut kept = Vec::new();
    for node in nodes {
        let operator = node.op_type.as_str();
        let all = reads(node);
        let mut number = |name: &'a str| {
            let next = names.len();
            let number = *numbers.entry(name).or_insert(next);
            if number == next {
                names.push(name);
                may_end.push(false);
            }
            number
        };
        let read: Vec<usize> = all
            .iter()
            .filter(|name| hanging.contains(*name))
            .map(|name| number(name))
            .collect();
        let outputs = node.output.iter().map(String::as_str);
        let writes: Vec<usize> = outputs
            .filter(|name| hanging.contains(name))
            .map(number)
            .collect();
        if writes.is_empty() {
            continue;
        }
        if has_layers(node) {
            return None;
        }
        for &tensor in &writes {
            may_end[tensor] = !NOT_REAL.contains(&operator);
        }
        // A branch whose condition is constant is taken or not, whatever the data.
        let decided = operator == "If" && !hanging.contains(node.input.first()?.as_str());
        let role = if depends_on_data(node) && !decided {
            Role::Selection
        } else if LAYERS.contains(&operator) && read.len() < all.len() {
            Role::Layer
        } else {
            Role::Plain
        };
        steps.push(Step {
            reads: read,
            writes,
            role,
        });
        kept.push(node);
    }
    let outputs = file.output.iter();
    let sketch = Sketch {
        steps,
        outputs: outputs
            .filter_map(|info| numbers.get(info.name.as_str()).copied())
            .collect(),
        may_end,
    };
    let found: Ending = ending(&sketch)?;
    let ends: Vec<&str> = found.tensors.iter().map(|&at| names[at]).collect();
    let first = kept.get(found.before)?;
    let note = found.note(ends.iter().copied(), &first.op_type, &first.name);
    Some((ends.into_iter().map(str::to_owned).collect(), note))
}
