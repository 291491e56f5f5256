//! Where a model would be cut: what can be imported on one side, what cannot on the other.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

use crate::error::shown;
use crate::operators::can_import;

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
