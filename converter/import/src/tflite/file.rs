//! The bytes of a file: proved once, then read through the reader that is generated from the public schema.

use std::collections::HashMap;

use flatbuffers::VerifierOptions;
use ocellus_ir::Grid;
use tract_tflite::tflite::{
    BuiltinOperator, Model, Operator, SubGraph, TensorType, root_as_model_with_opts,
};

use crate::constant::{Constant, ElementType};
use crate::error::{Outcome, Place, Refusal, shown};
use crate::source::find_output;
use crate::tflite::tensor::{self, Quantization};
use crate::values::{Format, Value};

/// More operators or tensors than this are no model for a device.
const MAX_OPERATORS: usize = 20_000;
const MAX_TENSORS: usize = 200_000;
/// More axes than any operator takes.
const MAX_RANK: usize = 8;
/// The only version of the schema that is in use.
const SCHEMA_VERSION: u32 = 3;

/// Proves the file: every offset lies inside, every table is what it is read as.
pub(super) fn open(bytes: &[u8]) -> Outcome<Model<'_>> {
    if bytes.is_empty() {
        return Err(Refusal::malformed("it is empty"));
    }
    if bytes.get(4..8) != Some(b"TFL3") {
        return Err(Refusal::malformed(
            "it does not begin as a TensorFlow Lite file does, so it is none, or it is damaged; fetch or export it again",
        ));
    }
    let options = VerifierOptions {
        max_depth: 32,
        max_tables: 4 * MAX_TENSORS,
        // Tables that are shared count as often as they are read: a small file must not stand for a large one.
        max_apparent_size: bytes.len().saturating_mul(4),
        ignore_missing_null_terminator: false,
    };
    let model = root_as_model_with_opts(&options, bytes).map_err(|error| {
        let text = error.to_string();
        let reason = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end_matches('.');
        Refusal::malformed(format!(
            "it is a TensorFlow Lite file that is cut off or damaged ({reason}); fetch or export it again"
        ))
    })?;
    if model.version() != SCHEMA_VERSION {
        return Err(Refusal::unsupported(format!(
            "its schema has version {}; only version {SCHEMA_VERSION} is supported",
            model.version()
        )));
    }
    Ok(model)
}

/// The main graph.
pub(super) fn main_graph<'a>(model: &Model<'a>) -> Outcome<SubGraph<'a>> {
    model
        .subgraphs()
        .and_then(|graphs| graphs.iter().next())
        .ok_or_else(|| Refusal::malformed("it holds no graph; fetch or export it again"))
}

/// A tensor as the file describes it.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo<'a> {
    /// The name in the file, made unique.
    pub(super) name: String,
    pub(super) ty: TensorType,
    pub(super) shape: Vec<usize>,
    /// Sizes that the file leaves open.
    pub(super) open: Vec<bool>,
    pub(super) quantization: Option<Quantization>,
    pub(super) tensor: tract_tflite::tflite::Tensor<'a>,
}

impl TensorInfo<'_> {
    /// The grid of a computed tensor or input whose 8-bit numbers stand for real ones.
    pub(super) fn grid(&self) -> Outcome<Option<Grid>> {
        let eight_bits = matches!(self.ty, TensorType::INT8 | TensorType::UINT8);
        let quantization = self.quantization.as_ref().filter(|_| eight_bits);
        quantization
            .map(|quantization| quantization.computed(element_type(self.ty)?))
            .transpose()
    }
}

/// An operator of the file.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(super) index: usize,
    pub(super) operator: Operator<'a>,
}

/// A file during its import.
pub(crate) struct TfLiteFile<'a> {
    pub(super) model: Model<'a>,
    pub(super) tensors: Vec<TensorInfo<'a>>,
    pub(super) values: Vec<Option<Value>>,
    /// The tensors that are outputs, by number.
    pub(super) outputs: Vec<i32>,
    /// Convolutions between a pair of batch rearrangements, by position.
    pub(super) dilated: HashMap<usize, super::dilation::Dilation>,
    /// Rearrangements that such a convolution stands for, by position.
    pub(super) rearrangements: std::collections::HashSet<usize>,
    /// Nodes of the graph before the operator being imported.
    pub(super) nodes_before: usize,
}

impl<'a> Format for TfLiteFile<'a> {
    type Node = Node<'a>;
}

impl<'a> TfLiteFile<'a> {
    pub(super) fn new(model: Model<'a>) -> Outcome<Self> {
        let graph = main_graph(&model)?;
        let count = graph.tensors().map_or(0, |tensors| tensors.len());
        if count > MAX_TENSORS {
            return Err(Refusal::unsupported(format!(
                "it has {count} tensors; the limit is {MAX_TENSORS}"
            )));
        }
        let mut taken = HashMap::new();
        let mut tensors = Vec::with_capacity(count);
        for (index, tensor) in graph.tensors().iter().flatten().enumerate() {
            let stated = tensor.name().unwrap_or_default();
            let mut name = match stated {
                "" => format!("tensor_{index}"),
                stated => stated.to_owned(),
            };
            let uses = taken.entry(name.clone()).or_insert(0usize);
            *uses += 1;
            if *uses > 1 {
                name = format!("{name}#{index}");
            }
            let info = describe(&name, tensor)
                .map_err(|refusal| refusal.at(Place::Initializer(name.clone())))?;
            tensors.push(info);
        }
        let values = vec![None; tensors.len()];
        Ok(TfLiteFile {
            model,
            tensors,
            values,
            outputs: graph.outputs().iter().flatten().collect(),
            dilated: HashMap::new(),
            rearrangements: std::collections::HashSet::new(),
            nodes_before: 0,
        })
    }

    /// Makes the tensors of these names the outputs; none means the file's own.
    pub(super) fn cut_to(&mut self, names: &[String]) -> Outcome<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut outputs = Vec::with_capacity(names.len());
        for wanted in names {
            let name = find_output(wanted, self.tensors.iter().map(|t| t.name.as_str()))?;
            let at = self.tensors.iter().position(|t| t.name == name);
            outputs.extend(at.and_then(|at| i32::try_from(at).ok()));
        }
        self.outputs = outputs;
        Ok(())
    }

    /// The tensor of that number.
    pub(super) fn tensor(&self, index: i32) -> Outcome<(usize, &TensorInfo<'a>)> {
        usize::try_from(index)
            .ok()
            .and_then(|at| self.tensors.get(at).map(|info| (at, info)))
            .ok_or_else(|| {
                Refusal::malformed(format!("it names tensor {index}, which does not exist"))
            })
    }

    /// What a tensor stands for; loads a stored one on its first use.
    pub(super) fn value(&mut self, index: usize) -> Outcome<Value> {
        if let Some(Some(value)) = self.values.get(index) {
            return Ok(value.clone());
        }
        let Some(info) = self.tensors.get(index) else {
            return Err(Refusal::malformed(format!("tensor {index} does not exist")));
        };
        let stored = tensor::stored_bytes(&self.model, &info.tensor)?;
        let Some(bytes) = stored else {
            return Err(Refusal::malformed(format!(
                "`{}` is neither an input, a stored tensor nor the result of an earlier operator",
                shown(&info.name)
            )));
        };
        let constant: Constant = tensor::load(info, bytes)
            .map_err(|refusal| refusal.at(Place::Initializer(info.name.clone())))?;
        let value = Value::Constant(constant);
        self.values[index] = Some(value.clone());
        Ok(value)
    }
}

fn describe<'a>(name: &str, tensor: tract_tflite::tflite::Tensor<'a>) -> Outcome<TensorInfo<'a>> {
    let stated: Vec<i32> = tensor.shape().iter().flatten().collect();
    if stated.len() > MAX_RANK {
        return Err(Refusal::unsupported(format!(
            "it has {} axes; the limit is {MAX_RANK}",
            stated.len()
        )));
    }
    let signature: Vec<i32> = tensor.shape_signature().iter().flatten().collect();
    let open = stated
        .iter()
        .enumerate()
        .map(|(axis, &size)| size < 0 || (signature.len() == stated.len() && signature[axis] < 0))
        .collect();
    let shape = stated
        .iter()
        .map(|&size| usize::try_from(size).unwrap_or(1))
        .collect();
    let quantization = tensor
        .quantization()
        .map(|parameters| tensor::quantization(parameters, &stated))
        .transpose()?
        .flatten();
    Ok(TensorInfo {
        name: name.to_owned(),
        ty: tensor.type_(),
        shape,
        open,
        quantization,
        tensor,
    })
}

/// The operator's code, with the name of a custom one.
pub(super) fn code<'a>(
    model: &Model<'a>,
    operator: &Operator<'a>,
) -> Outcome<(BuiltinOperator, Option<&'a str>)> {
    let index = operator.opcode_index();
    let code = model
        .operator_codes()
        .and_then(|codes| {
            codes
                .iter()
                .nth(usize::try_from(index).unwrap_or(usize::MAX))
        })
        .ok_or_else(|| Refusal::malformed(format!("its operator code {index} does not exist")))?;
    // Codes above 127 do not fit the old field, which then holds 127; old files have the old field alone.
    let old = BuiltinOperator(i32::from(code.deprecated_builtin_code()));
    Ok((code.builtin_code().max(old), code.custom_code()))
}

/// The name of an operator, for messages.
pub(super) fn name_of(code: BuiltinOperator, custom: Option<&str>) -> String {
    match (code, custom, code.variant_name()) {
        (BuiltinOperator::CUSTOM, Some(name), _) => name.to_owned(),
        (_, _, Some(name)) => name.to_owned(),
        _ => format!("builtin operator {}", code.0),
    }
}

/// The operators, in order.
pub(super) fn operators<'a>(graph: &SubGraph<'a>) -> Outcome<Vec<Operator<'a>>> {
    let count = graph.operators().map_or(0, |operators| operators.len());
    if count > MAX_OPERATORS {
        return Err(Refusal::unsupported(format!(
            "it has {count} operators; the limit is {MAX_OPERATORS}"
        )));
    }
    Ok(graph.operators().iter().flatten().collect())
}

/// The importer's word for a type of the file.
pub(super) fn element_type(ty: TensorType) -> Outcome<ElementType> {
    Ok(match ty {
        TensorType::FLOAT32 | TensorType::FLOAT16 | TensorType::FLOAT64 => ElementType::Real,
        TensorType::BOOL => ElementType::Bool,
        TensorType::UINT8 => ElementType::U8,
        TensorType::INT8 | TensorType::INT4 => ElementType::S8,
        TensorType::UINT16 => ElementType::U16,
        TensorType::INT16 => ElementType::S16,
        TensorType::UINT32 => ElementType::U32,
        TensorType::INT32 => ElementType::S32,
        TensorType::INT64 | TensorType::UINT64 => ElementType::S64,
        other => {
            return Err(Refusal::unsupported(format!(
                "element type {} is not supported; use FLOAT32, INT8 or UINT8",
                other
                    .variant_name()
                    .map_or_else(|| other.0.to_string(), str::to_owned)
            )));
        }
    })
}
