//! The cases of the package, and the forms in which the importer gets them.

use std::io::Read;

use ocellus_setup::{Host, Need, Terminal, catalogue, ensure};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType,
    tensor_shape_proto::Dimension, tensor_shape_proto::dimension, type_proto,
};

/// Newer ones than the importer knows are left out.
const LAST_OPERATOR_SET: i64 = 23;

/// Older ones are not imported.
const FIRST_OPERATOR_SET: i64 = 7;

/// A test of the package.
pub(crate) struct Case {
    pub(crate) name: String,
    model: ModelProto,
    inputs: Vec<TensorProto>,
    outputs: Vec<TensorProto>,
}

/// Which inputs are the model's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Computed,
    First,
    Constants,
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Computed => "computed",
            Form::First => "first",
            Form::Constants => "constants",
        }
    }
}

/// A tensor of real numbers.
pub(crate) struct Reals {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// A case in one form.
pub(crate) struct Prepared {
    pub(crate) bytes: Vec<u8>,
    pub(crate) inputs: Vec<Vec<f32>>,
    pub(crate) outputs: Vec<Reals>,
    /// The outputs' names.
    pub(crate) names: Vec<String>,
}

/// Every case whose tensors are plain and whose operator set is known, by name.
pub(crate) fn all() -> Vec<Case> {
    let host = Host::here().expect("the source tree");
    let package = &catalogue::ONNX_TESTS;
    ensure(&[Need::Package(package)], &host, &Terminal::new())
        .unwrap_or_else(|error| panic!("{error}"));
    let path = package.paths(&host).remove(0);
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let folder = "onnx/backend/test/data/node/";
    let mut names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.strip_prefix(folder)?.strip_suffix("/model.onnx"))
        .map(str::to_owned)
        .collect();
    names.sort();
    let mut cases = Vec::new();
    for name in names {
        let mut read = |file: &str| {
            let mut entry = archive.by_name(&format!("{folder}{name}/{file}")).ok()?;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).ok()?;
            Some(bytes)
        };
        let Some(mut model) = read("model.onnx").and_then(|b| ModelProto::decode(&b[..]).ok())
        else {
            continue;
        };
        let mut tensors = |kind: &str| {
            let list = (0..).map_while(|i| read(&format!("test_data_set_0/{kind}_{i}.pb")));
            list.map(|bytes| TensorProto::decode(&bytes[..]).ok())
                .collect::<Option<Vec<_>>>()
        };
        let (Some(inputs), Some(outputs)) = (tensors("input"), tensors("output")) else {
            continue;
        };
        let known = model
            .opset_import
            .iter()
            .all(|set| set.domain.is_empty() && set.version <= LAST_OPERATOR_SET);
        // A few operators have not changed since the first set, and neither have their tests.
        for set in &mut model.opset_import {
            set.version = set.version.max(FIRST_OPERATOR_SET);
        }
        if known {
            cases.push(Case {
                name: name.trim_start_matches("test_").to_owned(),
                model,
                inputs,
                outputs,
            });
        }
    }
    assert!(
        cases.len() > 1000,
        "the package holds {} cases",
        cases.len()
    );
    cases
}

impl Case {
    /// The operators that it needs, those of its own functions too.
    pub(crate) fn operators(&self) -> Vec<String> {
        let graph = self.model.graph.as_ref().unwrap();
        graph.node.iter().map(|node| node.op_type.clone()).collect()
    }

    /// The case in a form; none where it has no such form.
    pub(crate) fn prepare(&self, form: Form) -> Option<Prepared> {
        let mut model = self.model.clone();
        let graph = model.graph.as_mut()?;
        // A few tensors are stored as the bits of another type than the model's.
        let inputs = graph.input.iter().zip(&self.inputs);
        let mut tensors = inputs.chain(graph.output.iter().zip(&self.outputs));
        if tensors.any(|(info, t)| declared(info).is_some_and(|ty| ty != t.data_type)) {
            return None;
        }
        let mut inputs = Vec::new();
        let mut kept = Vec::new();
        for (i, (info, tensor)) in graph.input.iter().zip(&self.inputs).enumerate() {
            let live = match form {
                Form::Computed => is_real(tensor),
                Form::First => i == 0,
                Form::Constants => false,
            };
            let empty = tensor.dims.contains(&0);
            if live && !empty {
                let raw = matches!(element_type(tensor), DataType::Uint8 | DataType::Int8);
                if !is_real(tensor) && !raw {
                    return None;
                }
                kept.push(info.clone());
                inputs.push(values(tensor)?);
            } else {
                let name = info.name.clone();
                graph.initializer.push(TensorProto {
                    name,
                    ..tensor.clone()
                });
            }
        }
        if kept.is_empty() != (form == Form::Constants) {
            return None;
        }
        // Inputs that the test leaves out have no tensor.
        graph.input = kept;
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for tensor in &self.outputs {
            outputs.push(Reals {
                shape: tensor
                    .dims
                    .iter()
                    .map(|&dim| usize::try_from(dim).ok())
                    .collect::<Option<Vec<_>>>()?,
                values: values(tensor)?,
            });
        }
        if form == Form::Constants {
            for (i, output) in outputs.iter_mut().enumerate() {
                if output.shape.contains(&0) {
                    return None;
                }
                add_zeros(graph, i, output.values.len());
                inputs.push(vec![0.0; output.values.len()]);
                output.shape = vec![output.values.len()];
            }
        }
        let names = graph.output.iter().map(|info| info.name.clone()).collect();
        Some(Prepared {
            bytes: model.encode_to_vec(),
            inputs,
            outputs,
            names,
        })
    }
}

/// Makes an output the sum of itself, as a list of real numbers, and a new input.
fn add_zeros(graph: &mut GraphProto, output: usize, count: usize) {
    let name = graph.output[output].name.clone();
    let [reals, shape, list, zeros, sum] =
        ["reals", "shape", "list", "zeros", "sum"].map(|word| format!("{name}/{word}"));
    let to = AttributeProto {
        name: "to".into(),
        r#type: AttributeType::Int as i32,
        i: DataType::Float as i64,
        ..Default::default()
    };
    graph.node.push(NodeProto {
        op_type: "Cast".into(),
        input: vec![name],
        output: vec![reals.clone()],
        attribute: vec![to],
        ..Default::default()
    });
    graph.initializer.push(TensorProto {
        name: shape.clone(),
        dims: vec![1],
        data_type: DataType::Int64 as i32,
        int64_data: vec![-1],
        ..Default::default()
    });
    graph.node.push(NodeProto {
        op_type: "Reshape".into(),
        input: vec![reals, shape],
        output: vec![list.clone()],
        ..Default::default()
    });
    graph.node.push(NodeProto {
        op_type: "Add".into(),
        input: vec![list, zeros.clone()],
        output: vec![sum.clone()],
        ..Default::default()
    });
    let dim = Dimension {
        value: Some(dimension::Value::DimValue(count as i64)),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: vec![dim] }),
    };
    graph.input.push(ValueInfoProto {
        name: zeros,
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    });
    graph.output[output].name = sum;
    graph.output[output].r#type = None;
}

/// The element type that a model states.
fn declared(info: &ValueInfoProto) -> Option<i32> {
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    Some(tensor.elem_type)
}

fn element_type(tensor: &TensorProto) -> DataType {
    DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined)
}

fn is_real(tensor: &TensorProto) -> bool {
    matches!(element_type(tensor), DataType::Float | DataType::Double)
}

/// A tensor's numbers; none for types that the tests of claimed operators do not need.
fn values(tensor: &TensorProto) -> Option<Vec<f32>> {
    let raw = &tensor.raw_data;
    fn words<const N: usize>(raw: &[u8], read: fn([u8; N]) -> f32) -> Vec<f32> {
        raw.as_chunks::<N>()
            .0
            .iter()
            .map(|word| read(*word))
            .collect()
    }
    Some(match element_type(tensor) {
        DataType::Float if raw.is_empty() => tensor.float_data.clone(),
        DataType::Float => words(raw, f32::from_le_bytes),
        DataType::Double => words(raw, |b| f64::from_le_bytes(b) as f32),
        DataType::Int64 => words(raw, |b| i64::from_le_bytes(b) as f32),
        DataType::Uint64 => words(raw, |b| u64::from_le_bytes(b) as f32),
        DataType::Int32 => words(raw, |b| i32::from_le_bytes(b) as f32),
        DataType::Uint32 => words(raw, |b| u32::from_le_bytes(b) as f32),
        DataType::Int16 => words(raw, |b| f32::from(i16::from_le_bytes(b))),
        DataType::Uint16 => words(raw, |b| f32::from(u16::from_le_bytes(b))),
        DataType::Int8 => words(raw, |b| f32::from(i8::from_le_bytes(b))),
        DataType::Uint8 | DataType::Bool => words(raw, |[b]: [u8; 1]| f32::from(b)),
        _ => return None,
    })
}
