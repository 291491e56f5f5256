//! The layers of a model file, and which kernel each gets on an instruction set.

use anyhow::{Context, Result};
use ocellus_format::ops::{self, OpCode, Params};
use ocellus_format::{Isa, Operator};
use ocellus_kernels::select::{Choice, Select};
use serde_json::{Value, json};

use crate::source::ModelFile;

/// A layer as it will run.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) op: &'static str,
    pub(crate) kernel: String,
    pub(crate) on_simd: bool,
    pub(crate) macs: u64,
    pub(crate) shape: Vec<u32>,
}

impl Layer {
    pub(crate) fn to_json(&self) -> Value {
        json!({ "name": self.name, "op": self.op, "kernel": self.kernel, "macs": self.macs, "shape": self.shape })
    }
}

/// The share of multiply-accumulates on kernels that are not the reference's.
pub(crate) fn simd_share(layers: &[Layer]) -> f64 {
    let macs: u64 = layers.iter().map(|layer| layer.macs).sum();
    let simd: u64 = layers
        .iter()
        .filter(|layer| layer.on_simd)
        .map(|layer| layer.macs)
        .sum();
    if macs == 0 {
        0.0
    } else {
        simd as f64 / macs as f64
    }
}

/// The layers of a model file on an instruction set.
pub(crate) fn layers(file: &ModelFile, isa: Isa) -> Result<Vec<Layer>> {
    let view = file.view()?;
    let names = &file.interpreter.info().layer_names;
    let operators = view.program().operators();
    operators
        .enumerate()
        .map(|(index, operator)| {
            let (choice, macs) = kernel(&operator, isa)
                .with_context(|| format!("operator {index} does not decode"))?;
            let output = operator
                .outputs
                .iter()
                .next()
                .and_then(|tensor| view.tensor(tensor));
            Ok(Layer {
                name: names
                    .get(index)
                    .cloned()
                    .unwrap_or_else(|| format!("operator {index}")),
                op: operator.code.name(),
                kernel: choice.display().to_string(),
                on_simd: choice.isa != Isa::Reference,
                macs,
                shape: output
                    .map(|tensor| tensor.shape().to_vec())
                    .unwrap_or_default(),
            })
        })
        .collect()
}

fn kernel(operator: &Operator<'_>, isa: Isa) -> Option<(Choice, u64)> {
    fn of<'m, P: Params<'m> + Select>(operator: &Operator<'m>, isa: Isa) -> Option<(Choice, u64)> {
        let params = operator.params::<P>()?;
        Some((params.select(isa), params.macs()))
    }
    match operator.code {
        OpCode::Conv2d => of::<ops::Conv2d>(operator, isa),
        OpCode::DepthwiseConv2d => of::<ops::DepthwiseConv2d>(operator, isa),
        OpCode::TransposeConv2d => of::<ops::TransposeConv2d>(operator, isa),
        OpCode::FullyConnected => of::<ops::FullyConnected>(operator, isa),
        OpCode::MaxPool2d => of::<ops::MaxPool2d>(operator, isa),
        OpCode::AveragePool2d => of::<ops::AveragePool2d>(operator, isa),
        OpCode::Add => of::<ops::Add>(operator, isa),
        OpCode::Mul => of::<ops::Mul>(operator, isa),
        OpCode::Minimum => of::<ops::Minimum>(operator, isa),
        OpCode::Maximum => of::<ops::Maximum>(operator, isa),
        OpCode::Lookup => of::<ops::Lookup>(operator, isa),
        OpCode::Prelu => of::<ops::Prelu>(operator, isa),
        OpCode::Softmax => of::<ops::Softmax>(operator, isa),
        OpCode::Concat => of::<ops::Concat>(operator, isa),
        OpCode::Slice => of::<ops::Slice>(operator, isa),
        OpCode::Pad => of::<ops::Pad>(operator, isa),
        OpCode::Transpose => of::<ops::Transpose>(operator, isa),
        OpCode::Gather => of::<ops::Gather>(operator, isa),
        OpCode::ResizeNearest => of::<ops::ResizeNearest>(operator, isa),
        OpCode::ResizeBilinear => of::<ops::ResizeBilinear>(operator, isa),
        OpCode::ArgMax => of::<ops::ArgMax>(operator, isa),
        OpCode::BatchMatMul => of::<ops::BatchMatMul>(operator, isa),
        OpCode::LayerNorm => of::<ops::LayerNorm>(operator, isa),
        OpCode::Take => of::<ops::Take>(operator, isa),
        OpCode::GatherElements => of::<ops::GatherElements>(operator, isa),
        OpCode::TopK => of::<ops::TopK>(operator, isa),
        OpCode::Div => of::<ops::Div>(operator, isa),
        OpCode::Conv2dAdd => of::<ops::Conv2dAdd>(operator, isa),
        _ => None,
    }
}
