//! Operators on constants alone, computed as soon as they are imported: weights and shapes may hang on them.

use std::collections::{HashMap, HashSet};

use ocellus_ir::{TensorId, View, eval};

use crate::constant::Constant;
use crate::error::{Outcome, Refusal};
use crate::values::{Importer, Value};

/// Computes what the nodes from `first` on make, where they read nothing but constants, and takes them out of the graph again.
pub(crate) fn fold<F>(
    importer: &mut Importer<F>,
    first: usize,
    outputs: Vec<Value>,
) -> Outcome<Vec<Value>> {
    let graph = &importer.graph;
    let (mut made, mut elements) = (HashSet::new(), 0usize);
    for node in &graph.nodes[first..] {
        let constant = |id: &TensorId| graph.tensor(*id).value.is_some() || made.contains(id);
        if !node.inputs.iter().all(constant) {
            return Ok(outputs);
        }
        elements = elements.saturating_add(graph.tensor(node.output).len());
        made.insert(node.output);
    }
    // Before they are there.
    importer.book(elements)?;
    let graph = &importer.graph;
    let mut computed: HashMap<TensorId, Vec<f32>> = HashMap::new();
    for node in &graph.nodes[first..] {
        let mut views = Vec::with_capacity(node.inputs.len());
        for id in &node.inputs {
            let tensor = graph.tensor(*id);
            let stored = tensor.value.as_deref();
            match stored.or(computed.get(id).map(Vec::as_slice)) {
                Some(data) => views.push(View {
                    shape: &tensor.shape,
                    data,
                }),
                None => return Ok(outputs),
            }
        }
        let values = eval(&node.op, node.clamp, &views)
            .map_err(|error| Refusal::malformed(error.to_string()))?;
        if values.iter().any(|v| v.is_nan()) {
            return Err(Refusal::malformed("computing with its constants gives NaN"));
        }
        computed.insert(node.output, values);
    }
    let mut folded = Vec::with_capacity(outputs.len());
    for value in outputs {
        folded.push(match &value {
            Value::Live(live) => {
                let tensor = graph.tensor(live.id);
                let values = computed.get(&live.id).map(|values| values.as_slice());
                match values.or(tensor.value.as_deref()) {
                    Some(values) => Value::Constant(Constant::real(tensor.shape.clone(), values)),
                    None => value,
                }
            }
            Value::Constant(_) => value,
        });
    }
    importer.graph.nodes.truncate(first);
    Ok(folded)
}
