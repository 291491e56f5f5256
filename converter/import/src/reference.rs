//! The float reference: the same file through tract, an implementation that shares no code with ours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use ocellus_ir::BorderType;
use tract_onnx::prelude::{
    DatumType, InferenceFact, InferenceModelExt, IntoRunnable, IntoTValue, Tensor, TractResult,
    TypedRunnableModel,
};

use crate::constant::ElementType;
use crate::error::{ImportError, Outcome, Place, Refusal};
use crate::model::{cut_off, decode, input_shape, real_inputs};
use crate::source::{ImportOptions, check_overrides, read};

/// An input of a [`TractReference`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceInput {
    /// The name in the file.
    pub name: String,
    /// The shape in the file's order of axes, after overrides.
    pub shape: Vec<usize>,
    /// The element type in the file.
    pub border: BorderType,
}

/// An output of a [`TractReference`].
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceOutput {
    /// The name in the file.
    pub name: String,
    /// The shape in the file's order of axes.
    pub shape: Vec<usize>,
    /// The numbers; of a quantized output the stored integers.
    pub values: Vec<f32>,
}

/// A model ready to run in float through tract.
pub struct TractReference {
    file: String,
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<(ReferenceInput, DatumType)>,
    outputs: Vec<String>,
}

impl TractReference {
    /// Loads a file.
    ///
    /// # Errors
    /// An [`ImportError`]: the file is damaged, its shapes are open, or tract does not take it.
    pub fn load(path: &Path, options: &ImportOptions) -> Result<Self, ImportError> {
        let name = path.display().to_string();
        let bytes = read(path).map_err(|refusal| refusal.in_file(&name))?;
        load(&name, &bytes, path.parent(), options).map_err(|refusal| refusal.in_file(&name))
    }

    /// Loads a file's bytes; `name` is for messages.
    ///
    /// # Errors
    /// As [`TractReference::load`].
    pub fn load_bytes(
        name: &str,
        bytes: &[u8],
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        load(name, bytes, None, options).map_err(|refusal| refusal.in_file(name))
    }

    /// What [`TractReference::run`] takes, in this order.
    pub fn inputs(&self) -> impl Iterator<Item = &ReferenceInput> {
        self.inputs.iter().map(|(input, _)| input)
    }

    /// Runs the model. Each input is given as numbers in the file's order of axes; those of `uint8` and `int8` inputs are rounded.
    ///
    /// # Errors
    /// An [`ImportError`]: the count or length of the inputs is wrong, or tract fails.
    pub fn run(&self, inputs: &[&[f32]]) -> Result<Vec<ReferenceOutput>, ImportError> {
        self.try_run(inputs)
            .map_err(|refusal| refusal.in_file(&self.file))
    }

    fn try_run(&self, inputs: &[&[f32]]) -> Outcome<Vec<ReferenceOutput>> {
        if inputs.len() != self.inputs.len() {
            let (given, expected) = (inputs.len(), self.inputs.len());
            return Err(Refusal::options(format!(
                "{given} inputs were given, but the model has {expected}"
            )));
        }
        let mut tensors = Vec::with_capacity(inputs.len());
        for (values, (input, ty)) in inputs.iter().zip(&self.inputs) {
            let expected: usize = input.shape.iter().product();
            if values.len() != expected {
                let reason = format!(
                    "{} values were given, but its shape {:?} needs {expected}",
                    values.len(),
                    input.shape
                );
                return Err(Refusal::options(reason).at(Place::Input(input.name.clone())));
            }
            let tensor =
                tensor_of(&input.shape, values, input.border, *ty).map_err(tract_failed)?;
            tensors.push(tensor.into_tvalue());
        }
        let results = guarded(|| self.plan.run(tensors.into_iter().collect()))?;
        let mut outputs = Vec::with_capacity(results.len());
        for (name, result) in self.outputs.iter().zip(results) {
            let values = guarded(|| {
                let real = result.cast_to::<f32>()?;
                Ok(real.to_plain_array_view::<f32>()?.iter().copied().collect())
            })?;
            outputs.push(ReferenceOutput {
                name: name.clone(),
                shape: result.shape().to_vec(),
                values,
            });
        }
        Ok(outputs)
    }
}

fn tensor_of(
    shape: &[usize],
    values: &[f32],
    border: BorderType,
    ty: DatumType,
) -> TractResult<Tensor> {
    // A float converts to an integer saturating.
    match border {
        BorderType::U8 => Tensor::from_shape(
            shape,
            &values.iter().map(|v| v.round() as u8).collect::<Vec<_>>(),
        ),
        BorderType::S8 => Tensor::from_shape(
            shape,
            &values.iter().map(|v| v.round() as i8).collect::<Vec<_>>(),
        ),
        BorderType::S32 => Tensor::from_shape(
            shape,
            &values.iter().map(|v| v.round() as i32).collect::<Vec<_>>(),
        ),
        BorderType::S64 => Tensor::from_shape(
            shape,
            &values.iter().map(|v| v.round() as i64).collect::<Vec<_>>(),
        ),
        BorderType::F32 => Ok(Tensor::from_shape(shape, values)?
            .cast_to_dt(ty)?
            .into_owned()),
    }
}

fn tract_failed(error: impl std::fmt::Display) -> Refusal {
    let text = format!("{error:#}")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    Refusal::unsupported(format!(
        "the float reference (tract) does not run it: {text}"
    ))
}

/// Runs a step of tract, whose panics become refusals.
fn guarded<T>(step: impl FnOnce() -> TractResult<T>) -> Outcome<T> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(tract_failed),
        Err(_) => Err(tract_failed("it panicked")),
    }
}

fn load(
    name: &str,
    bytes: &[u8],
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Outcome<TractReference> {
    let mut proto = decode(bytes)?;
    cut_off(&mut proto, options)?;
    let Some(file) = &proto.graph else {
        return Err(Refusal::malformed("it holds no graph"));
    };
    let names: Vec<&str> = real_inputs(file).map(|info| info.name.as_str()).collect();
    check_overrides(&names, options)?;
    let mut inputs = Vec::new();
    let mut facts = Vec::new();
    for info in real_inputs(file) {
        let place = || Place::Input(info.name.clone());
        let mut notes = Vec::new();
        let (ty, shape) =
            input_shape(info, options, &mut notes).map_err(|refusal| refusal.at(place()))?;
        let (border, datum) = match ty {
            ElementType::Real => (BorderType::F32, real_type(info)),
            ElementType::U8 => (BorderType::U8, DatumType::U8),
            ElementType::S8 => (BorderType::S8, DatumType::I8),
            ElementType::S32 => (BorderType::S32, DatumType::I32),
            ElementType::S64 => (BorderType::S64, DatumType::I64),
            other => {
                return Err(Refusal::unsupported(format!(
                    "its type {} is not supported",
                    other.name()
                ))
                .at(place()));
            }
        };
        facts.push(InferenceFact::dt_shape(datum, &shape));
        inputs.push((
            ReferenceInput {
                name: info.name.clone(),
                shape,
                border,
            },
            datum,
        ));
    }
    let folder = folder.and_then(Path::to_str);
    // Tract's optimizer gets the softmax of quantized files wrong: they run node by node, as they are written.
    let node_by_node = file
        .node
        .iter()
        .any(|node| node.op_type == "QuantizeLinear");
    let plan = guarded(|| {
        // Shapes stated for another input size must not count.
        let onnx = tract_onnx::onnx()
            .with_ignore_value_info(true)
            .with_ignore_output_shapes(true);
        let mut model = onnx.parse(&proto, folder)?.model;
        for (index, fact) in facts.into_iter().enumerate() {
            model.set_input_fact(index, fact)?;
        }
        if node_by_node {
            model.into_typed()?.into_runnable()
        } else {
            model.into_optimized()?.into_runnable()
        }
    })?;
    let outputs = file.output.iter().map(|info| info.name.clone()).collect();
    Ok(TractReference {
        file: name.to_owned(),
        plan,
        inputs,
        outputs,
    })
}

fn real_type(info: &tract_onnx::pb::ValueInfoProto) -> DatumType {
    use tract_onnx::pb::tensor_proto::DataType;
    match crate::model::declared(info)
        .ok()
        .and_then(|(ty, _)| DataType::try_from(ty).ok())
    {
        Some(DataType::Float16) => DatumType::F16,
        Some(DataType::Double) => DatumType::F64,
        _ => DatumType::F32,
    }
}
