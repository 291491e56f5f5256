//! A model in float, whatever its file's format: tract where it reads the file, else the converter's own execution of its graph.

use std::path::Path;

use anyhow::Result;
use ocellus_import::{ReferenceInput, ReferenceOutput, TractReference};
use ocellus_ir::{BorderType, Executor, Graph, Output};

use crate::source::Source;

/// What runs a float model.
pub(crate) enum FloatRuntime {
    /// An implementation that shares no code with ours.
    Tract(Box<TractReference>),
    /// The graph as imported, without passes: for files that tract does not read.
    Graph(Box<Graph>),
}

impl FloatRuntime {
    /// Opens a float model.
    pub(crate) fn open(path: &Path, source: &Source) -> Result<FloatRuntime> {
        if ocellus_import::is_tflite_file(path)? {
            return Ok(FloatRuntime::Graph(Box::new(source.import(path)?.graph)));
        }
        let reference = TractReference::load(path, &source.import_options(path)?)?;
        Ok(FloatRuntime::Tract(Box::new(reference)))
    }

    /// What [`run`](Self::run) takes, in this order.
    pub(crate) fn inputs(&self) -> Vec<ReferenceInput> {
        match self {
            FloatRuntime::Tract(reference) => reference.inputs().cloned().collect(),
            FloatRuntime::Graph(graph) => graph
                .inputs
                .iter()
                .map(|input| ReferenceInput {
                    name: input.name.clone(),
                    shape: input.shape.clone(),
                    border: input.border,
                })
                .collect(),
        }
    }

    /// Runs it on values in the file's order of axes; of a quantized output it gives the stored integers.
    pub(crate) fn run(&self, inputs: &[&[f32]]) -> Result<Vec<ReferenceOutput>> {
        match self {
            FloatRuntime::Tract(reference) => Ok(reference.run(inputs)?),
            FloatRuntime::Graph(graph) => {
                let values = Executor::new(graph)?.run(inputs, &mut |_, _| {})?;
                let outputs = graph.outputs.iter().zip(values);
                Ok(outputs
                    .map(|(output, values)| ReferenceOutput {
                        name: output.name.clone(),
                        shape: output.shape.clone(),
                        values: stored(graph, output, values),
                    })
                    .collect())
            }
        }
    }

    /// Its name in reports.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            FloatRuntime::Tract(_) => "tract, float",
            FloatRuntime::Graph(_) => "ocellus, float",
        }
    }
}

/// The numbers that the file's user reads.
fn stored(graph: &Graph, output: &Output, mut values: Vec<f32>) -> Vec<f32> {
    let above = match output.border {
        BorderType::U8 => 128,
        BorderType::S8 => 0,
        BorderType::F32 | BorderType::S32 | BorderType::S64 => return values,
    };
    let first = output.assembly.tensors().first().copied();
    if let Some(grid) = first.and_then(|tensor| graph.tensor(tensor).grid.as_ref()) {
        let zero_point = (grid.zero_point + above) as f32;
        for value in &mut values {
            *value = (*value / grid.scale()).round_ties_even() + zero_point;
        }
    }
    values
}
