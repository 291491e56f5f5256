//! TensorFlow Lite files that LiteRT's vectors do not hold, written here.

use flatbuffers::FlatBufferBuilder;
use ocellus_import::{ImportOptions, import_bytes};
use ocellus_ir::BorderType;
use tract_tflite::tflite;

/// A detector: two 1x1 convolutions over the picture `x`, `boxes` and `scores`, and the operator that selects from them with `anchors`, which are an output
/// too. Behind it, where `head` names one, a custom operator with that constant tensor: 5, the anchors, or 8, which is large.
fn detector(selection: (tflite::BuiltinOperator, &str), head: Option<(&str, i32)>) -> Vec<u8> {
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
        buffer(fb, &[0.1; 2048]),
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
        tensor(fb, "head_weights", &[2048], 4),
        tensor(fb, "refined", &[1, 10, 4], 0),
    ];
    let convolution = tflite::OperatorCodeArgs {
        deprecated_builtin_code: 3,
        builtin_code: tflite::BuiltinOperator::CONV_2D,
        ..Default::default()
    };
    let named = |fb: &mut FlatBufferBuilder<'static>, (code, name): (_, &str)| {
        let tflite::BuiltinOperator(number) = code;
        tflite::OperatorCodeArgs {
            deprecated_builtin_code: i8::try_from(number).unwrap_or(i8::MAX),
            builtin_code: code,
            custom_code: Some(fb.create_string(name)),
            ..Default::default()
        }
    };
    let selection = named(fb, selection);
    let (head_name, head_weights) = head.unwrap_or_default();
    let behind = named(fb, (tflite::BuiltinOperator::CUSTOM, head_name));
    let codes = [convolution, selection, behind];
    let codes = codes.map(|args| tflite::OperatorCode::create(fb, &args));
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
    let mut outputs = vec![6, 7, 5];
    if head.is_some() {
        let args = tflite::OperatorArgs {
            opcode_index: 2,
            inputs: Some(fb.create_vector(&[6, head_weights])),
            outputs: Some(fb.create_vector(&[9])),
            ..Default::default()
        };
        operators.push(tflite::Operator::create(fb, &args));
        outputs.push(9);
    }
    let args = tflite::SubGraphArgs {
        tensors: Some(fb.create_vector(&tensors)),
        inputs: Some(fb.create_vector(&[0])),
        outputs: Some(fb.create_vector(&outputs)),
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

/// What a file of Google's detectors has.
const POST_PROCESS: (tflite::BuiltinOperator, &str) = (
    tflite::BuiltinOperator::CUSTOM,
    "TFLite_Detection_PostProcess",
);

fn refused(bytes: &[u8], words: &[&str]) {
    let error = import_bytes("odd.tflite", bytes, &ImportOptions::default()).unwrap_err();
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn a_detector_ends_before_its_post_processing() {
    let bytes = detector(POST_PROCESS, None);
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
        "output `anchors` does not depend on the model's inputs and is left out",
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
    let bytes = detector((tflite::BuiltinOperator::CUSTOM, "Mystery"), None);
    refused(&bytes, &["`Mystery`", "--cut 'boxes'", "--cut 'scores'"]);
}

#[test]
fn a_loop_or_a_branch_ends_no_model() {
    for (code, name) in [
        (tflite::BuiltinOperator::WHILE, "`WHILE`"),
        (tflite::BuiltinOperator::IF, "`IF`"),
        (tflite::BuiltinOperator::CALL, "`CALL`"),
        (tflite::BuiltinOperator::WHERE, "`WHERE`"),
        (tflite::BuiltinOperator::UNIQUE, "`UNIQUE`"),
    ] {
        let bytes = detector((code, ""), None);
        refused(&bytes, &[name, "depends on the data", "--cut 'scores'"]);
    }
    for code in [
        tflite::BuiltinOperator::NON_MAX_SUPPRESSION_V4,
        tflite::BuiltinOperator::NON_MAX_SUPPRESSION_V5,
    ] {
        let bytes = detector((code, ""), None);
        let imported = import_bytes("nms.tflite", &bytes, &ImportOptions::default()).unwrap();
        assert_eq!(imported.graph.outputs.len(), 2);
    }
}

#[test]
fn a_detector_with_a_layer_behind_its_selection_is_refused() {
    for head in [("Convolution2DTransposeBias", 5), ("Mystery", 8)] {
        let bytes = detector(POST_PROCESS, Some(head));
        refused(&bytes, &["`TFLite_Detection_PostProcess`", "--cut 'boxes'"]);
    }
    // A few constants are no weights.
    let bytes = detector(POST_PROCESS, Some(("Mystery", 5)));
    let imported = import_bytes("ssd.tflite", &bytes, &ImportOptions::default()).unwrap();
    assert_eq!(imported.graph.outputs.len(), 2);
}
