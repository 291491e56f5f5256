//! What cannot be read is refused in one paragraph that says where, why and what to do.

use std::path::Path;

use ocellus_import::{ErrorKind, ImportOptions, import_bytes, import_onnx, import_onnx_bytes};
use tract_onnx::pb::{StringStringEntryProto, tensor_proto::DataType};

use crate::file::{File, float, int, integers, ints, reals, text};

fn relu() -> File {
    File::new(13, &[1, 3, 4, 4]).node("Relu", &["x"], &["y"], vec![])
}

fn refused(bytes: &[u8], kind: ErrorKind, words: &[&str]) {
    let error = import_bytes("bad.onnx", bytes, &ImportOptions::default()).unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    let message = error.to_string();
    assert!(message.starts_with("reading bad.onnx: "), "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn files_that_are_no_models() {
    refused(b"", ErrorKind::Malformed, &["empty"]);
    refused(b"not a model at all", ErrorKind::Malformed, &["no ONNX"]);
    refused(
        b"\x20\0\0\0TFL3and so on",
        ErrorKind::Malformed,
        &["cut off or damaged"],
    );
    let bytes = relu().bytes();
    refused(
        &bytes[..bytes.len() - 7],
        ErrorKind::Malformed,
        &["cut off"],
    );
    let mut file = relu();
    file.model.graph = None;
    refused(&file.bytes(), ErrorKind::Malformed, &["no graph"]);
    let mut file = relu();
    file.model.opset_import.clear();
    refused(&file.bytes(), ErrorKind::Malformed, &["operator set"]);
    let mut file = relu();
    file.model.opset_import[0].version = 99;
    refused(&file.bytes(), ErrorKind::Unsupported, &["operator set 99"]);
}

#[test]
fn paths_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing =
        import_onnx(&folder.path().join("none.onnx"), &ImportOptions::default()).unwrap_err();
    assert_eq!(missing.kind, ErrorKind::Unreadable);
    assert!(missing.to_string().contains("none.onnx"), "{missing}");
    let directory = import_onnx(folder.path(), &ImportOptions::default()).unwrap_err();
    assert!(directory.to_string().contains("directory"), "{directory}");
}

#[test]
fn operators_that_are_not_supported_are_named() {
    let of = |op: &str| File::new(13, &[1, 3, 4, 4]).node(op, &["x"], &["y"], vec![]);
    of("Det").refused(&["node 0 `Det` (n0)", "not supported", "replace it"]);
    for op in ["NonZero", "NonMaxSuppression", "Loop", "If", "RoiAlign"] {
        of(op).refused(&[op, "depends on the data"]);
    }
    of("ConvInteger").refused(&["quantize statically"]);
    let mut file = of("Relu");
    file.graph().node[0].domain = "com.example".into();
    file.refused(&["domain `com.example`"]);
    let mut unnamed = of("Det");
    unnamed.graph().node[0].name.clear();
    unnamed.refused(&["node 0 `Det`:"]);
}

#[test]
fn arithmetic_on_integers_is_refused_by_name() {
    let file = |scales: &[f32]| {
        File::new(13, &[1, 4])
            .reals("s", &[scales.len() as i64], scales)
            .node("QuantizeLinear", &["x", "s"], &["q"], vec![])
    };
    file(&[0.1])
        .node("Exp", &["q"], &["y"], vec![])
        .refused(&["computes with the integers"]);
    file(&[0.1, 0.1, 0.2, 0.1])
        .node("DequantizeLinear", &["q", "s"], &["y"], vec![])
        .refused(&["more than one scale"]);
    let file = File::new(13, &[1, 4]).reals("s", &[], &[0.1]);
    file.store(integers("z", DataType::Int16, &[], &[0]))
        .node("QuantizeLinear", &["x", "s", "z"], &["y"], vec![])
        .refused(&["quantizing to int16", "use uint8 or int8"]);
}

#[test]
fn settings_that_are_not_supported_say_what_to_use() {
    let picture = || File::new(13, &[1, 3, 4, 4]);
    let file = picture().node("Relu", &["x"], &["r"], vec![]);
    file.node(
        "Einsum",
        &["x", "r"],
        &["y"],
        vec![text("equation", "...ij,...kj")],
    )
    .refused(&["ellipsis", "write the result out"]);
    let file = picture().node("Relu", &["x"], &["r"], vec![]);
    file.node("Gather", &["x", "r"], &["y"], vec![])
        .refused(&["no whole numbers"]);
    let file = File::new(13, &[1, 3, 4, 4, 4]).random("w", &[2, 3, 1, 1, 1]);
    file.node("Conv", &["x", "w"], &["y"], vec![])
        .refused(&["three spatial axes"]);
    let file = picture().node("Dropout", &["x"], &["d", "mask"], vec![]);
    file.node("Identity", &["mask"], &["y"], vec![])
        .refused(&["`mask`", "further output"]);
    let file = picture().node("Softmax", &["x"], &["y"], vec![int("surprise", 1)]);
    file.refused(&["attribute `surprise`"]);
    File::with_input(13, DataType::Int64, &[1, 4])
        .node("Relu", &["x"], &["y"], vec![])
        .refused(&["`Relu`", "int64", "Cast to float"]);
}

#[test]
fn wrong_graphs() {
    let file = File::new(13, &[4])
        .node("Add", &["x", "b"], &["a"], vec![])
        .node("Relu", &["a"], &["b"], vec![]);
    file.node("Relu", &["b"], &["y"], vec![])
        .refused(&["cycle"]);
    File::new(13, &[4])
        .node("Relu", &["nowhere"], &["y"], vec![])
        .refused(&["node 0 `Relu`", "`nowhere`"]);
    File::new(13, &[4])
        .node("Relu", &["x"], &["z"], vec![])
        .refused(&["output `y`"]);
    let file = File::new(13, &[4]).node("Relu", &["x"], &["y"], vec![]);
    file.node("Tanh", &["x"], &["y"], vec![])
        .refused(&["node 1 `Tanh`", "already provided"]);
    File::new(13, &[4])
        .reals("y", &[1], &[1.0])
        .refused(&["output `y`", "does not depend"]);
    File::new(13, &[4])
        .node("Relu", &[], &["y"], vec![])
        .refused(&["input 0 is missing"]);
    let mut file = relu();
    file.graph().output.clear();
    file.refused(&["no outputs"]);
    let mut file = relu();
    file.graph().input[0].r#type = None;
    file.refused(&["input `x`"]);
}

#[test]
fn wrong_attributes() {
    let conv = |attributes| {
        File::new(13, &[1, 3, 4, 4])
            .random("w", &[2, 3, 3, 3])
            .node("Conv", &["x", "w"], &["y"], attributes)
    };
    conv(vec![float("strides", 2.0)]).refused(&["`strides`", "INTS", "FLOAT"]);
    conv(vec![ints("strides", &[0, 1])]).refused(&["`strides`", "0"]);
    conv(vec![ints("strides", &[i64::MAX, 1])]).refused(&["`strides`"]);
    conv(vec![ints("strides", &[1, 1, 1])]).refused(&["`strides`", "3 values"]);
    conv(vec![ints("pads", &[-1, 0, 0, 0])]).refused(&["padding -1"]);
    conv(vec![int("group", 2)]).refused(&["2 groups"]);
    conv(vec![int("group", -1)]).refused(&["`group`"]);
    conv(vec![ints("kernel_shape", &[5, 5])]).refused(&["`kernel_shape`"]);
    conv(vec![ints("dilations", &[9, 9])]).refused(&["node 0 `Conv`"]);
    conv(vec![text("auto_pad", "MAYBE")]).refused(&["`auto_pad`", "MAYBE"]);
    let file = File::new(13, &[1, 3, 4, 4]);
    file.node("Softmax", &["x"], &["y"], vec![int("axis", 4)])
        .refused(&["axis 4"]);
    let file = File::new(13, &[1, 12]).list("s", &[5, -1]);
    file.node("Reshape", &["x", "s"], &["y"], vec![])
        .refused(&["[1, 12]", "[5, -1]"]);
    let file = File::new(13, &[1, 12]).list("i", &[12]);
    file.node("Gather", &["x", "i"], &["y"], vec![int("axis", 1)])
        .refused(&["index 12"]);
}

#[test]
fn wrong_stored_tensors() {
    let add = |tensor| {
        File::new(13, &[2])
            .store(tensor)
            .node("Add", &["x", "c"], &["y"], vec![])
    };
    add(reals("c", &[2], &[1.0, f32::NAN])).refused(&["tensor `c`", "value 1 is NaN"]);
    add(reals("c", &[2], &[1.0, f32::INFINITY])).refused(&["inf"]);
    add(reals("c", &[3], &[1.0, 2.0])).refused(&["tensor `c`", "12 bytes", "8 bytes"]);
    add(reals("c", &[-2], &[1.0, 2.0])).refused(&["-2 is negative"]);
    add(reals("c", &[1 << 40, 1 << 40], &[])).refused(&["larger than the limit"]);
    add(integers("c", DataType::Int64, &[2], &[1, 2])).refused(&["float"]);
    add(integers("c", DataType::String, &[2], &[1, 2])).refused(&["STRING"]);
    let file = File::new(13, &[2]).list("huge", &[1 << 50]).node(
        "ConstantOfShape",
        &["huge"],
        &["c"],
        vec![],
    );
    file.node("Add", &["x", "c"], &["y"], vec![])
        .refused(&["larger than the limit"]);
    File::new(13, &[1 << 20, 1 << 20])
        .node("Relu", &["x"], &["y"], vec![])
        .refused(&["larger than the limit"]);
}

fn external(location: &str) -> File {
    let mut tensor = reals("c", &[2], &[]);
    tensor.data_location = Some(1);
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    };
    tensor.external_data = vec![
        entry("location", location),
        entry("offset", "4"),
        entry("length", "8"),
    ];
    File::new(13, &[2])
        .store(tensor)
        .node("Add", &["x", "c"], &["y"], vec![])
}

#[test]
fn data_in_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let import = |path: &Path| import_onnx(path, &ImportOptions::default());
    std::fs::write(&path, external("weights.bin").bytes()).unwrap();
    let error = import(&path).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreadable);
    assert!(error.to_string().contains("weights.bin"), "{error}");
    std::fs::write(folder.path().join("weights.bin"), [0; 11]).unwrap();
    let error = import(&path).unwrap_err();
    assert!(error.to_string().contains("ends at 11"), "{error}");
    let bytes: Vec<u8> = [0.0f32, 5.0, 6.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    std::fs::write(folder.path().join("weights.bin"), bytes).unwrap();
    let graph = import(&path).unwrap().graph;
    assert_eq!(crate::file::run(&graph, &[&[1.0, 1.0]]), [[6.0, 7.0]]);
    external("weights.bin").refused(&["another file", "path"]);
    std::fs::write(&path, external("../weights.bin").bytes()).unwrap();
    assert!(
        import(&path)
            .unwrap_err()
            .to_string()
            .contains("outside the model's folder")
    );
    std::fs::write(&path, external("/etc/hostname").bytes()).unwrap();
    assert!(
        import(&path)
            .unwrap_err()
            .to_string()
            .contains("outside the model's folder")
    );
}

#[test]
fn options_that_do_not_fit() {
    let with = |name: &str, shape: &[usize]| {
        let options = ImportOptions {
            input_shapes: vec![(name.to_owned(), shape.to_vec())],
            ..Default::default()
        };
        let error = import_onnx_bytes("test.onnx", &relu().bytes(), &options).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Options, "{error}");
        error.to_string()
    };
    assert!(with("z", &[1, 3, 4, 4]).contains("inputs are `x`"));
    assert!(with("x", &[1, 3, 4]).contains("3 axes"));
    assert!(with("x", &[1, 3, 0, 4]).contains("size of 0"));
    assert!(with("x", &[2, 3, 4, 4]).contains("1x3x4x4"));
}
