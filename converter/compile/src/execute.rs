//! Float execution of a graph, tensor by tensor.

use ocellus_ir::{Graph, TensorId};

use crate::CompileError;

/// Runs a graph in float and hands every computed tensor, inputs included, to `visit`.
///
/// # Errors
/// [`CompileError::Execution`]
pub fn run_float(
    graph: &Graph,
    inputs: &[Vec<f32>],
    mut visit: impl FnMut(TensorId, &[f32]),
) -> Result<(), CompileError> {
    let _ = graph;
    for (input, values) in graph.inputs.iter().zip(inputs) {
        visit(input.tensor, values);
    }
    Err(CompileError::Execution("none yet".into()))
}
