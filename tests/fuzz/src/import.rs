//! A model file of another tool: read, checked, simplified.

use ocellus_import::{ImportOptions, import_bytes};

/// Larger graphs only take longer.
const MAX_ELEMENTS: usize = 1 << 22;

/// Any bytes become a sound graph or an error of one line, and so does what the passes make of it.
pub fn check(name: &str, bytes: &[u8]) {
    let mut graph = match import_bytes(name, bytes, &ImportOptions::default()) {
        Ok(imported) => imported.graph,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error}");
            return;
        }
    };
    graph.verify().expect("an imported graph is sound");
    let elements = graph
        .tensors
        .iter()
        .try_fold(0usize, |sum, tensor| sum.checked_add(tensor.len()));
    if elements.is_none_or(|elements| elements > MAX_ELEMENTS) {
        return;
    }
    if ocellus_ir::optimize(&mut graph, &ocellus_ir::Options::default()).is_ok() {
        graph.verify().expect("an optimized graph is sound");
    }
}
