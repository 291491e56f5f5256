//! Small ONNX files, written in the test that reads them.

use ocellus_import::{ImportError, ImportOptions, Imported, TractReference, import_onnx_bytes};
use ocellus_ir::{BorderType, Executor, Graph, random::Random};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, tensor_shape_proto::Dimension, tensor_shape_proto::dimension,
    type_proto,
};

/// A file under construction. Sizes below 0 are open.
pub(crate) struct File {
    pub(crate) model: ModelProto,
}

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    }
}

pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..Default::default()
    }
}

pub(crate) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.into(),
        ..Default::default()
    }
}

pub(crate) fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(value),
        ..Default::default()
    }
}

pub(crate) fn reals(name: &str, shape: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..Default::default()
    }
}

pub(crate) fn integers(name: &str, ty: DataType, shape: &[i64], values: &[i64]) -> TensorProto {
    let mut proto = TensorProto {
        name: name.into(),
        dims: shape.to_vec(),
        data_type: ty as i32,
        ..Default::default()
    };
    match ty {
        DataType::Int64 => proto.int64_data = values.to_vec(),
        _ => proto.int32_data = values.iter().map(|&v| i32::try_from(v).unwrap()).collect(),
    }
    proto
}

fn info(name: &str, ty: DataType, shape: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        value: Some(if size < 0 {
            dimension::Value::DimParam(format!("open{}", -size))
        } else {
            dimension::Value::DimValue(size)
        }),
        ..Default::default()
    };
    let shape = TensorShapeProto {
        dim: shape.iter().map(dim).collect(),
    };
    let tensor = type_proto::Tensor {
        elem_type: ty as i32,
        shape: Some(shape),
    };
    let ty = TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..Default::default()
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(ty),
        ..Default::default()
    }
}

impl File {
    /// With one float input `x` and one output `y`.
    pub(crate) fn new(opset: i64, x: &[i64]) -> Self {
        Self::with_input(opset, DataType::Float, x)
    }

    pub(crate) fn with_input(opset: i64, ty: DataType, x: &[i64]) -> Self {
        let output = ValueInfoProto {
            name: "y".into(),
            ..Default::default()
        };
        let graph = GraphProto {
            input: vec![info("x", ty, x)],
            output: vec![output],
            ..Default::default()
        };
        let sets = vec![OperatorSetIdProto {
            domain: String::new(),
            version: opset,
        }];
        File {
            model: ModelProto {
                ir_version: 8,
                opset_import: sets,
                graph: Some(graph),
                ..Default::default()
            },
        }
    }

    pub(crate) fn graph(&mut self) -> &mut GraphProto {
        self.model.graph.as_mut().unwrap()
    }

    pub(crate) fn output_type(mut self, ty: DataType) -> Self {
        let output = &mut self.graph().output[0];
        let tensor = type_proto::Tensor {
            elem_type: ty as i32,
            shape: None,
        };
        output.r#type = Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        });
        self
    }

    pub(crate) fn node(
        mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> Self {
        let name = format!("n{}", self.graph().node.len());
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (input, output, op_type) = (list(inputs), list(outputs), op.to_owned());
        self.graph().node.push(NodeProto {
            input,
            output,
            name,
            op_type,
            attribute: attributes,
            ..Default::default()
        });
        self
    }

    /// The node before is ONNX Runtime's own.
    pub(crate) fn contributed(mut self) -> Self {
        self.graph().node.last_mut().unwrap().domain = "com.microsoft".into();
        self
    }

    pub(crate) fn store(mut self, tensor: TensorProto) -> Self {
        self.graph().initializer.push(tensor);
        self
    }

    pub(crate) fn reals(self, name: &str, shape: &[i64], values: &[f32]) -> Self {
        self.store(reals(name, shape, values))
    }

    /// Random weights in `-1..1`.
    pub(crate) fn random(self, name: &str, shape: &[i64]) -> Self {
        let count: i64 = shape.iter().product();
        let seed = name.bytes().map(u64::from).sum();
        let values = Random::new(seed).values(usize::try_from(count).unwrap());
        self.reals(name, shape, &values)
    }

    pub(crate) fn list(self, name: &str, values: &[i64]) -> Self {
        let len = i64::try_from(values.len()).unwrap();
        self.store(integers(name, DataType::Int64, &[len], values))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    pub(crate) fn import(&self) -> Result<Imported, ImportError> {
        import_onnx_bytes("test.onnx", &self.bytes(), &ImportOptions::default())
    }

    /// The first output's shape and values must be these.
    pub(crate) fn gives(&self, x: &[f32], shape: &[usize], expected: &[f32]) {
        let imported = self.import().unwrap();
        let results = run(&imported.graph, &[x]);
        assert_eq!(imported.graph.outputs[0].shape, shape);
        close(&results[0], expected, 1e-5, "by hand");
    }

    /// The integers of a quantized output must be these.
    pub(crate) fn gives_integers(&self, x: &[f32], expected: &[f32]) {
        let graph = self.import().unwrap().graph;
        assert_eq!(run(&graph, &[x])[0], expected);
    }

    /// The graph gives what tract gives, on random input.
    pub(crate) fn agrees(&self) {
        agree("test.onnx", &self.bytes(), &ImportOptions::default(), 1e-4);
    }

    /// The import is refused, with these words in the message.
    pub(crate) fn refused(&self, words: &[&str]) {
        let message = self.import().unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
        assert!(!message.contains('\n'), "one paragraph: {message}");
    }
}

/// Runs a graph; a quantized output comes back as the stored integers.
pub(crate) fn run(graph: &Graph, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    let mut results = Executor::new(graph)
        .unwrap()
        .run(inputs, &mut |_, _| ())
        .unwrap();
    for (result, output) in results.iter_mut().zip(&graph.outputs) {
        if matches!(
            output.border,
            BorderType::F32 | BorderType::S32 | BorderType::S64
        ) {
            continue;
        }
        let first = output.assembly.tensors()[0];
        let grid = graph.tensor(first).grid.clone().unwrap();
        let unsigned = output.border == BorderType::U8;
        let zero_point = grid.zero_point + if unsigned { 128 } else { 0 };
        for value in result {
            *value = (*value / grid.scale()).round() + zero_point as f32;
        }
    }
    results
}

pub(crate) fn close(actual: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let peak = expected
        .iter()
        .filter(|v| v.is_finite())
        .fold(1e-6f32, |peak, v| peak.max(v.abs()));
    for (i, (a, b)) in actual.iter().zip(expected).enumerate() {
        assert!(
            a == b || (a - b).abs() <= tolerance * peak,
            "{what}: element {i} is {a}, not {b} (peak {peak})"
        );
    }
}

/// Random input of the right kind for every input.
pub(crate) fn random_inputs(reference: &TractReference, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed);
    reference
        .inputs()
        .map(|input| {
            let count = input.shape.iter().product();
            match input.border {
                BorderType::F32 => random.values(count),
                // In range of every axis of the tests.
                BorderType::S32 | BorderType::S64 => {
                    (0..count).map(|_| random.below(3) as f32).collect()
                }
                BorderType::U8 => (0..count).map(|_| random.below(256) as f32).collect(),
                BorderType::S8 => (0..count)
                    .map(|_| random.below(256) as f32 - 128.0)
                    .collect(),
            }
        })
        .collect()
}

/// Imports and runs a file both ways.
pub(crate) fn agree(name: &str, bytes: &[u8], options: &ImportOptions, tolerance: f32) {
    let imported = import_onnx_bytes(name, bytes, options).unwrap();
    let reference = TractReference::load_bytes(name, bytes, options).unwrap();
    let inputs = random_inputs(&reference, 7);
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let expected = reference.run(&inputs).unwrap();
    let actual = run(&imported.graph, &inputs);
    assert_eq!(actual.len(), expected.len());
    for ((actual, expected), output) in actual.iter().zip(&expected).zip(&imported.graph.outputs) {
        assert_eq!(
            output.shape, expected.shape,
            "{name}: output {}",
            expected.name
        );
        assert_eq!(output.name, expected.name);
        // One step of a quantized output may fall on the other side.
        let tolerance = if output.border == BorderType::F32 {
            tolerance
        } else {
            1.01 / 127.0
        };
        close(
            actual,
            &expected.values,
            tolerance,
            &format!("{name}: output {}", expected.name),
        );
    }
}
