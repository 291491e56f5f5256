//! TensorFlow Lite files that LiteRT's vectors do not hold, written here.

use flatbuffers::FlatBufferBuilder;
use ocellus_import::{ImportOptions, import_bytes};
use ocellus_ir::BorderType;
use tract_tflite::tflite;

/// A detector: two 1x1 convolutions over the picture `x`, `boxes` and `scores`, and the custom operator that selects from them with `anchors`.
fn detector(selection: &str) -> Vec<u8> {
    let fb = &mut FlatBufferBuilder::new();
    let buffer = |fb: &mut FlatBufferBuilder<'static>, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let data = Some(fb.create_vector(&bytes));
        tflite::Buffer::create(fb, &tflite::BufferArgs { data })
    };
    let buffers = vec![
        buffer(fb, &[]),
        buffer(fb, &[0.5; 12]),
        buffer(fb, &[0.25; 6]),
        buffer(fb, &[0.1; 64]),
    ];
    let tensor = |fb: &mut FlatBufferBuilder<'static>, name: &str, shape: &[i32], buffer| {
        let args = tflite::TensorArgs {
            shape: Some(fb.create_vector(shape)),
            name: Some(fb.create_string(name)),
            buffer,
            ..Default::default()
        };
        tflite::Tensor::create(fb, &args)
    };
    let tensors = vec![
        tensor(fb, "x", &[1, 4, 4, 3], 0),
        tensor(fb, "box_weights", &[4, 1, 1, 3], 1),
        tensor(fb, "score_weights", &[2, 1, 1, 3], 2),
        tensor(fb, "boxes", &[1, 4, 4, 4], 0),
        tensor(fb, "scores", &[1, 4, 4, 2], 0),
        tensor(fb, "anchors", &[16, 4], 3),
        tensor(fb, "selected", &[1, 10, 4], 0),
        tensor(fb, "count", &[1], 0),
    ];
    let convolution = tflite::OperatorCodeArgs {
        deprecated_builtin_code: 3,
        builtin_code: tflite::BuiltinOperator::CONV_2D,
        ..Default::default()
    };
    let custom = tflite::OperatorCodeArgs {
        deprecated_builtin_code: 32,
        builtin_code: tflite::BuiltinOperator::CUSTOM,
        custom_code: Some(fb.create_string(selection)),
        ..Default::default()
    };
    let codes = [convolution, custom].map(|args| tflite::OperatorCode::create(fb, &args));
    let options = tflite::Conv2DOptionsArgs {
        stride_w: 1,
        stride_h: 1,
        ..Default::default()
    };
    let options = tflite::Conv2DOptions::create(fb, &options).as_union_value();
    let mut operators = Vec::new();
    for (inputs, outputs) in [([0, 1], 3), ([0, 2], 4)] {
        let args = tflite::OperatorArgs {
            inputs: Some(fb.create_vector(&inputs)),
            outputs: Some(fb.create_vector(&[outputs])),
            builtin_options_type: tflite::BuiltinOptions::Conv2DOptions,
            builtin_options: Some(options),
            ..Default::default()
        };
        operators.push(tflite::Operator::create(fb, &args));
    }
    let args = tflite::OperatorArgs {
        opcode_index: 1,
        inputs: Some(fb.create_vector(&[3, 4, 5])),
        outputs: Some(fb.create_vector(&[6, 7])),
        ..Default::default()
    };
    operators.push(tflite::Operator::create(fb, &args));
    let args = tflite::SubGraphArgs {
        tensors: Some(fb.create_vector(&tensors)),
        inputs: Some(fb.create_vector(&[0])),
        outputs: Some(fb.create_vector(&[6, 7])),
        operators: Some(fb.create_vector(&operators)),
        ..Default::default()
    };
    let graph = tflite::SubGraph::create(fb, &args);
    let args = tflite::ModelArgs {
        version: 3,
        operator_codes: Some(fb.create_vector(&codes)),
        subgraphs: Some(fb.create_vector(&[graph])),
        buffers: Some(fb.create_vector(&buffers)),
        ..Default::default()
    };
    let model = tflite::Model::create(fb, &args);
    tflite::finish_model_buffer(fb, model);
    fb.finished_data().to_vec()
}

#[test]
fn a_detector_ends_before_its_post_processing() {
    let bytes = detector("TFLite_Detection_PostProcess");
    let imported = import_bytes("ssd.tflite", &bytes, &ImportOptions::default()).unwrap();
    let outputs = imported.graph.outputs.iter();
    let outputs: Vec<_> = outputs.map(|o| (o.name.as_str(), o.border)).collect();
    assert_eq!(
        outputs,
        [("boxes", BorderType::F32), ("scores", BorderType::F32)]
    );
    let note = imported.notes.join("; ");
    for word in [
        "`boxes`, `scores`",
        "before `TFLite_Detection_PostProcess` (selected)",
        "`--cut`",
    ] {
        assert!(note.contains(word), "{note}");
    }
    let options = ImportOptions {
        outputs: vec!["scores".into()],
        ..Default::default()
    };
    let imported = import_bytes("ssd.tflite", &bytes, &options).unwrap();
    assert_eq!(imported.graph.outputs.len(), 1);
    assert_eq!(imported.notes, [""; 0]);
}

#[test]
fn another_custom_operator_is_refused_by_name() {
    let bytes = detector("Mystery");
    let error = import_bytes("odd.tflite", &bytes, &ImportOptions::default()).unwrap_err();
    let message = error.to_string();
    for word in ["`Mystery`", "--cut 'boxes'", "--cut 'scores'"] {
        assert!(message.contains(word), "{message}");
    }
}
