//! Shapes of files that real exporters write and that are easy to get wrong.

use ocellus_import::{ImportOptions, SourceFormat, import_onnx_bytes};
use ocellus_ir::BorderType;
use tract_onnx::pb::tensor_proto::DataType;

use crate::file::{File, agree, int, integers, ints, reals, tensor};

fn with(input: &str, shape: &[usize]) -> ImportOptions {
    ImportOptions {
        input_shapes: vec![(input.to_owned(), shape.to_vec())],
        ..Default::default()
    }
}

#[test]
fn weights_may_be_constant_nodes() {
    let weights = reals("", &[2, 3, 1, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let file =
        File::new(13, &[1, 3, 2, 2]).node("Constant", &[], &["w"], vec![tensor("value", weights)]);
    file.node("Conv", &["x", "w"], &["y"], vec![]).agrees();
}

#[test]
fn stored_tensors_listed_as_inputs_are_no_inputs() {
    let mut file = File::new(9, &[1, 3, 2, 2]).random("w", &[2, 3, 1, 1]).node(
        "Conv",
        &["x", "w"],
        &["y"],
        vec![],
    );
    let mut listed = file.graph().input[0].clone();
    listed.name = "w".into();
    file.graph().input.insert(0, listed);
    let imported = file.import().unwrap();
    assert_eq!(imported.graph.inputs.len(), 1);
    assert_eq!(imported.graph.inputs[0].name, "x");
    file.agrees();
}

#[test]
fn raw_bytes_in_and_quantized_bytes_out() {
    let file = File::with_input(13, DataType::Uint8, &[1, 2, 2, 3])
        .reals("mean", &[], &[127.5])
        .reals("scale", &[], &[0.5])
        .store(integers("zero", DataType::Uint8, &[], &[100]))
        .node(
            "Transpose",
            &["x"],
            &["t"],
            vec![ints("perm", &[0, 3, 1, 2])],
        )
        .node("Cast", &["t"], &["f"], vec![int("to", 1)])
        .node("Sub", &["f", "mean"], &["m"], vec![])
        .node("QuantizeLinear", &["m", "scale", "zero"], &["q"], vec![])
        .list("flat", &[1, 12])
        .node("Reshape", &["q", "flat"], &["y"], vec![])
        .output_type(DataType::Uint8);
    let graph = file.import().unwrap().graph;
    assert_eq!(graph.inputs[0].border, BorderType::U8);
    assert_eq!(graph.outputs[0].border, BorderType::U8);
    file.agrees();
}

#[test]
fn an_open_batch_is_one_and_other_open_sizes_need_the_option() {
    let file = File::new(13, &[-1, 3, 4, 4]).node("Relu", &["x"], &["y"], vec![]);
    let imported = file.import().unwrap();
    assert_eq!(imported.graph.inputs[0].shape, [1, 3, 4, 4]);
    assert!(
        imported.notes[0].contains("taken as 1"),
        "{:?}",
        imported.notes
    );
    let file = File::new(13, &[-1, 3, -7, 4]).node("GlobalAveragePool", &["x"], &["y"], vec![]);
    file.refused(&["input `x`", "[open1, 3, open7, 4]", "--input x=1x3xopen7x4"]);
    agree("test.onnx", &file.bytes(), &with("x", &[1, 3, 9, 4]), 1e-5);
}

#[test]
fn a_declared_batch_is_overridden_and_everything_follows() {
    let file = File::new(13, &[10, 3, 4, 4])
        .random("w", &[2, 3, 3, 3])
        .node(
            "Conv",
            &["x", "w"],
            &["c"],
            vec![ints("pads", &[1, 1, 1, 1])],
        )
        .node("Shape", &["c"], &["s"], vec![])
        .node("Reshape", &["c", "s"], &["y"], vec![]);
    file.refused(&["input `x`", "batch is 10", "--input x=1x3x4x4"]);
    let options = with("x", &[1, 3, 8, 6]);
    let imported = import_onnx_bytes("test.onnx", &file.bytes(), &options).unwrap();
    assert_eq!(imported.graph.outputs[0].shape, [1, 2, 8, 6]);
    agree("test.onnx", &file.bytes(), &options, 1e-4);
}

#[test]
fn a_picture_without_a_batch_axis() {
    let file = File::new(13, &[3, 4, 5])
        .list("front", &[0])
        .random("w", &[2, 3, 3, 3])
        .node("Unsqueeze", &["x", "front"], &["b"], vec![])
        .node("Conv", &["b", "w"], &["c"], vec![])
        .node("Squeeze", &["c", "front"], &["y"], vec![]);
    assert_eq!(file.import().unwrap().graph.outputs[0].shape, [2, 2, 3]);
    file.agrees();
}

#[test]
fn nodes_in_any_order_and_dead_ones() {
    let file = File::new(13, &[4])
        .node("NonZero", &["x"], &["nobody"], vec![])
        .node("Relu", &["t"], &["y"], vec![])
        .node("Tanh", &["x"], &["t"], vec![]);
    assert_eq!(file.import().unwrap().graph.nodes.len(), 2);
    file.gives(&[0.0, -1.0, 0.0, -2.0], &[4], &[0.0; 4]);
}

#[test]
fn every_numeric_storage_is_read() {
    let stored =
        |ty: DataType, values: &[i64]| File::new(13, &[2]).store(integers("c", ty, &[2], values));
    for ty in [
        DataType::Int8,
        DataType::Uint8,
        DataType::Int16,
        DataType::Uint16,
        DataType::Int32,
        DataType::Int64,
    ] {
        let file = stored(ty, &[7, 9]).node("Cast", &["c"], &["r"], vec![int("to", 1)]);
        file.node("Add", &["x", "r"], &["y"], vec![])
            .gives(&[1.0, 2.0], &[2], &[8.0, 11.0]);
    }
    // 0x3e00 is 1.5 in half precision, 0x3fc0 in bfloat16.
    for (ty, bits) in [(DataType::Float16, 0x3e00), (DataType::Bfloat16, 0x3fc0)] {
        let file = stored(ty, &[bits, bits]);
        file.node("Add", &["x", "c"], &["y"], vec![])
            .gives(&[1.0, 2.0], &[2], &[2.5, 3.5]);
    }
}

#[test]
fn metadata_and_origin_are_kept() {
    let mut file = File::new(13, &[4]).node("Relu", &["x"], &["y"], vec![]);
    file.model.producer_name = "someone".into();
    file.model.producer_version = "1.2".into();
    file.model
        .metadata_props
        .push(tract_onnx::pb::StringStringEntryProto {
            key: "labels".into(),
            value: "cat".into(),
        });
    let imported = file.import().unwrap();
    assert_eq!(
        (imported.format, imported.producer.as_str()),
        (SourceFormat::Onnx { opset: 13 }, "someone 1.2")
    );
    assert_eq!(imported.metadata, [("labels".to_owned(), "cat".to_owned())]);
    assert_eq!(
        imported.source_sha256,
        <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(file.bytes()))
    );
}

#[test]
fn names_of_the_file_stay() {
    let file = File::new(13, &[1, 3, 4, 4]).random("w", &[2, 3, 1, 1]);
    let graph = file
        .node("Conv", &["x", "w"], &["y"], vec![])
        .import()
        .unwrap()
        .graph;
    let conv = graph
        .nodes
        .iter()
        .find(|node| node.op.name() == "conv_2d")
        .unwrap();
    assert_eq!(conv.name, "n0");
    assert_eq!(
        graph.tensor(graph.outputs[0].assembly.tensors()[0]).name,
        "y"
    );
}
