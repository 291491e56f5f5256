//! Real files: what the graph gives is what tract gives.

use std::path::{Path, PathBuf};

use ocellus_import::{ImportOptions, TractReference, import_onnx};
use ocellus_ir::passes::{Options, optimize};
use ocellus_ir::{Op, UnaryOp};

use crate::file::agree;

/// The shared files lie beside the checkout; without them these tests say so and check nothing.
fn model(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models");
    if !root.is_dir() {
        eprintln!("SKIPPED: {} does not exist", root.display());
        return None;
    }
    let path = root.join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    Some(path)
}

fn agrees(name: &str, inputs: &[(&str, &[usize])]) {
    let Some(path) = model(name) else {
        return;
    };
    let input_shapes = inputs
        .iter()
        .map(|(name, shape)| ((*name).to_owned(), shape.to_vec()))
        .collect();
    agree(
        name,
        &std::fs::read(path).unwrap(),
        &ImportOptions {
            input_shapes,
            ..Default::default()
        },
        1e-3,
    );
}

fn refused(name: &str, words: &[&str]) {
    let Some(path) = model(name) else {
        return;
    };
    let message = import_onnx(&path, &ImportOptions::default())
        .unwrap_err()
        .to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn resnet8() {
    agrees("mlperf_tiny/ic_resnet8_f32.onnx", &[]);
}

#[test]
fn visual_wake_words() {
    agrees("mlperf_tiny/vww_96_f32.onnx", &[]);
}

#[test]
fn keyword_spotting() {
    agrees("mlperf_tiny/kws_ref_f32.onnx", &[]);
}

#[test]
fn anomaly_detection() {
    agrees("mlperf_tiny/ad01_f32.onnx", &[]);
}

#[test]
fn mobilenet() {
    agrees("classify/mobilenet_v1_0.25_128_f32.onnx", &[]);
}

#[test]
fn ultraface() {
    agrees("detect/ultraface_slim_320.onnx", &[]);
}

#[test]
fn fastestdet() {
    agrees("detect/fastestdet_coco_352.onnx", &[]);
}

#[test]
fn unet() {
    agrees("segment/unet_isbi_tiny.onnx", &[]);
}

#[test]
fn tracker_backbone_at_both_sizes() {
    agrees("track/nanotrackv1/nanotrack_backbone_sim.onnx", &[]);
    agrees(
        "track/nanotrackv1/nanotrack_backbone_sim.onnx",
        &[("input", &[1, 3, 127, 127])],
    );
}

/// Its correlation multiplies two computed tensors.
#[test]
fn nanotrack_head() {
    agrees("track/nanotrackv1/nanotrack_head_sim.onnx", &[]);
}

#[test]
fn deeplab_gives_the_number_of_a_class() {
    let Some(path) = model("segment/deeplabv3_mnv2_dm05_f32.onnx") else {
        return;
    };
    let graph = import_onnx(&path, &ImportOptions::default()).unwrap().graph;
    let output = &graph.outputs[0];
    assert_eq!(
        (output.shape.as_slice(), output.border),
        (&[1, 513, 513][..], ocellus_ir::BorderType::S64)
    );
}

#[test]
fn files_beyond_the_operators_are_refused_by_name() {
    refused(
        "detect/maskrcnn_fashion_128.onnx",
        &["`Gather`", "whole numbers", "cut the model"],
    );
}

#[test]
fn quantized_models_bring_the_scales_of_every_layer() {
    for name in [
        "mlperf_tiny/ad01_qdq.onnx",
        "mlperf_tiny/ic_resnet8_qdq.onnx",
        "mlperf_tiny/kws_ref_qdq.onnx",
        "mlperf_tiny/vww_96_qdq.onnx",
        "classify/mobilenet_v1_0.25_128_qdq.onnx",
    ] {
        let Some(path) = model(name) else {
            continue;
        };
        let mut graph = import_onnx(&path, &ImportOptions::default()).unwrap().graph;
        optimize(&mut graph, &Options::default()).unwrap();
        for node in &graph.nodes {
            let weights = match node.op {
                Op::Conv2d { .. } | Op::FullyConnected => node.inputs.get(1),
                _ => None,
            };
            for id in weights.into_iter().chain([&node.output, &node.inputs[0]]) {
                let moves = matches!(
                    node.op,
                    Op::Reshape { .. } | Op::Unary(UnaryOp::Affine { .. })
                );
                let tensor = graph.tensor(*id);
                assert!(
                    tensor.grid.is_some() || moves,
                    "{name}: {} of {}",
                    tensor.name,
                    node.name
                );
            }
        }
    }
}

#[test]
fn the_reference_says_what_it_takes() {
    let Some(path) = model("classify/mobilenet_v1_0.25_128_f32.onnx") else {
        return;
    };
    let reference = TractReference::load(&path, &ImportOptions::default()).unwrap();
    let input = reference.inputs().next().unwrap();
    assert_eq!(
        (input.shape.as_slice(), input.border),
        (&[1, 128, 128, 3][..], ocellus_ir::BorderType::U8)
    );
    assert!(
        reference
            .run(&[])
            .unwrap_err()
            .to_string()
            .contains("0 inputs")
    );
    assert!(
        reference
            .run(&[&[0.0]])
            .unwrap_err()
            .to_string()
            .contains("input `input`")
    );
}
