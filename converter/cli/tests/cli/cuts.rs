//! `--cut`, and detectors that end by themselves before they select boxes.

use serde_json::Value;

use crate::onnx::{Onnx, classifier, weights};
use crate::workspace::Workspace;

fn names(outputs: &Value) -> Vec<&str> {
    let outputs = outputs.as_array().unwrap().iter();
    outputs.map(|o| o["name"].as_str().unwrap()).collect()
}

fn with_input(w: &Workspace) {
    w.npy("x.npy", &[1, 3, 8, 8], &weights(5, 3 * 64));
}

#[test]
fn a_model_ends_where_the_command_line_says() {
    let w = Workspace::new();
    w.write("model.onnx", &classifier().bytes());
    with_input(&w);
    let args = ["convert", "model.onnx", "-o", "cut.oce"];
    let more = [
        "--calibrate",
        "synthetic:7",
        "--cut",
        "b",
        "--cut",
        "a_s...",
    ];
    w.succeed(&[&args[..], &more].concat());
    let inspected = w.json(&["inspect", "cut.oce"]);
    assert_eq!(names(&inspected["outputs"]), ["b", "a_sum"]);
    // Float and int8 end at the same places, whose values agree.
    let float = w.json(&["run", "model.onnx", "x.npy", "--cut", "b", "--cut", "a_sum"]);
    assert_eq!(names(&float["outputs"]), ["b", "a_sum"]);
    // The file remembers: nothing has to be said again.
    let compared = w.json(&["compare", "model.onnx", "cut.oce", "x.npy"]);
    let layers = names(&compared["layers"]);
    let has = |part: &str| layers.iter().any(|layer| layer.starts_with(part));
    assert!(has("Relu_3") && !has("GlobalAveragePool"), "{layers:?}");
    w.convert_refused(
        "model.onnx",
        &["--cut", "nowhere"],
        &["model.onnx", "`--cut` names `nowhere`", "no tensor"],
    );
}

#[test]
fn a_detector_converts_as_it_was_exported() {
    let w = Workspace::new();
    let file = Onnx::new()
        .input("x", &[1, 3, 8, 8])
        .conv("x", "boxes", [3, 4], &weights(1, 4 * 3 * 9))
        .conv("x", "scores", [3, 2], &weights(2, 2 * 3 * 9))
        .node("NonMaxSuppression", &["boxes", "scores"], "y", &[]);
    w.write("model.onnx", &file.bytes());
    with_input(&w);
    let args = ["convert", "model.onnx", "-o", "model.oce"];
    let said = w.succeed(&[&args[..], &["--calibrate", "synthetic:7"]].concat());
    let note = "the model ends at `boxes`, `scores`, before `NonMaxSuppression`";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    for model in ["model.onnx", "model.oce"] {
        let run = w.json(&["run", model, "x.npy"]);
        assert_eq!(names(&run["outputs"]), ["boxes", "scores"], "{model}");
    }
}
