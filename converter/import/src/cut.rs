//! Where a model would be cut: what can be imported on one side, what cannot on the other.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use crate::ending::{Ending, MAX_SETTINGS, Role, Sketch, Step, ending};
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
    "Einsum",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "GRU",
    "Gemm",
    "LSTM",
    "MatMul",
    "MatMulBnb4",
    "MatMulInteger",
    "MatMulNBits",
    "QGemm",
    "QLinearConv",
    "QLinearMatMul",
    "RNN",
];

/// Operators that give truth values or whole numbers alone.
const NOT_REAL: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Not",
    "Or",
    "Xor",
];

/// Operators that give what their data already was, numbers or truth values, at other places.
const MOVES: &[&str] = &[
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// True where an output of a node holds truth values or whole numbers; `whole` are the tensors before it that do.
fn is_whole(node: &NodeProto, output: usize, whole: &HashSet<&str>) -> bool {
    let operator = node.op_type.as_str();
    match operator {
        "Cast" => {
            let to = node.attribute.iter().find(|a| a.name == "to");
            !to.is_some_and(|to| REAL.iter().any(|&ty| i64::from(ty as i32) == to.i))
        }
        "TopK" => output == 1,
        "Concat" => node.input.iter().any(|name| whole.contains(name.as_str())),
        _ if MOVES.contains(&operator) => {
            let data = node.input.first();
            data.is_some_and(|name| whole.contains(name.as_str()))
        }
        _ => NOT_REAL.contains(&operator),
    }
}

/// Types of real numbers.
const REAL: &[DataType] = &[
    DataType::Bfloat16,
    DataType::Double,
    DataType::Float,
    DataType::Float16,
];

/// How many numbers a stored tensor has, as far as weights may be of its type.
fn numbers(tensor: &TensorProto) -> usize {
    let eight_bits = [DataType::Int8, DataType::Uint8];
    let mut types = REAL.iter().chain(&eight_bits);
    if !types.any(|&ty| ty as i32 == tensor.data_type) {
        return 0;
    }
    let sizes = tensor.dims.iter();
    sizes.fold(1, |count: usize, &size| {
        count.saturating_mul(usize::try_from(size).unwrap_or(0))
    })
}

/// How many numbers a constant has, or those that it is computed from, by name; `hanging` is what is not constant.
fn constants<'a>(
    file: &'a GraphProto,
    order: &[usize],
    hanging: &HashSet<&str>,
) -> HashMap<&'a str, usize> {
    let stored = file.initializer.iter();
    let mut constants: HashMap<&str, usize> = stored
        .map(|tensor| (tensor.name.as_str(), numbers(tensor)))
        .collect();
    for node in order.iter().filter_map(|&index| file.node.get(index)) {
        let values = node.attribute.iter().filter_map(|a| a.t.as_ref());
        let read = node.input.iter();
        let read = read.filter_map(|name| constants.get(name.as_str()).copied());
        let largest = read.chain(values.map(numbers)).max().unwrap_or(0);
        let outputs = node.output.iter().map(String::as_str);
        for name in outputs.filter(|name| !name.is_empty() && !hanging.contains(name)) {
            constants.insert(name, largest);
        }
    }
    constants
}

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

/// Tensors by number, in the order in which they are met.
#[derive(Default)]
struct Numbers<'a> {
    of: HashMap<&'a str, usize>,
    names: Vec<&'a str>,
}

impl<'a> Numbers<'a> {
    fn number(&mut self, name: &'a str) -> usize {
        let next = self.names.len();
        let number = *self.of.entry(name).or_insert(next);
        if number == next {
            self.names.push(name);
        }
        number
    }
}

/// Where a file ends by itself, and a sentence that says so; `order` are the nodes that its outputs need, `hanging` is of [`hanging`].
pub(crate) fn own_end<'a>(
    file: &'a GraphProto,
    order: &[usize],
    hanging: &HashSet<&'a str>,
) -> Option<(Vec<String>, String)> {
    let nodes = order.iter().filter_map(|&index| file.node.get(index));
    let constants = constants(file, order, hanging);
    let mut numbers = Numbers::default();
    let mut whole: HashSet<&str> = HashSet::new();
    let mut ends: HashSet<usize> = HashSet::new();
    let mut steps = Vec::new();
    let mut kept = Vec::new();
    for node in nodes {
        let operator = node.op_type.as_str();
        let all = reads(node);
        let read: Vec<usize> = all
            .iter()
            .filter(|name| hanging.contains(*name))
            .map(|name| numbers.number(name))
            .collect();
        let mut writes = Vec::new();
        for (output, name) in node.output.iter().map(String::as_str).enumerate() {
            if !hanging.contains(name) {
                continue;
            }
            let number = numbers.number(name);
            if is_whole(node, output, &whole) {
                whole.insert(name);
            } else {
                ends.insert(number);
            }
            writes.push(number);
        }
        if writes.is_empty() {
            continue;
        }
        if has_layers(node) {
            return None;
        }
        // A branch whose condition is constant is taken or not, whatever the data.
        let decided = operator == "If" && !hanging.contains(node.input.first()?.as_str());
        let weights = || {
            let counts = all.iter().filter_map(|name| constants.get(name));
            counts.max().is_some_and(|&count| count > MAX_SETTINGS)
        };
        let role = if depends_on_data(node) && !decided {
            Role::Selection
        } else if LAYERS.contains(&operator) && read.len() < all.len()
            || !can_import(node) && weights()
        {
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
    let outputs = file.output.iter().map(|info| info.name.as_str());
    let outputs = outputs
        .filter(|name| hanging.contains(name))
        .map(|name| numbers.number(name))
        .collect();
    let names = numbers.names;
    // The model's inputs, which nobody writes, are no ends.
    let may_end = (0..names.len()).map(|tensor| ends.contains(&tensor));
    let sketch = Sketch {
        steps,
        outputs,
        may_end: may_end.collect(),
    };
    let found: Ending = ending(&sketch)?;
    let ends: Vec<&str> = found.tensors.iter().map(|&at| names[at]).collect();
    let first = kept.get(found.before)?;
    let note = found.note(ends.iter().copied(), &first.op_type, &first.name);
    Some((ends.into_iter().map(str::to_owned).collect(), note))
}
