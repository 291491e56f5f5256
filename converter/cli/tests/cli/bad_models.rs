//! Models that are read and cannot be converted.

use crate::onnx::{Onnx, Size, classifier, weights};
use crate::workspace::Workspace;

#[test]
fn an_unknown_operator() {
    let w = Workspace::new();
    w.write(
        "odd.onnx",
        &Onnx::new()
            .input("x", &[1, 3, 8, 8])
            .node("FancyAttention", &["x"], "y", &[])
            .bytes(),
    );
    w.convert_refused(
        "odd.onnx",
        &[],
        &[
            "odd.onnx",
            "node 0 `FancyAttention` (FancyAttention_0)",
            "not supported",
        ],
    );
}

#[test]
fn an_operator_that_depends_on_the_data() {
    let w = Workspace::new();
    w.write(
        "nms.onnx",
        &Onnx::new()
            .input("x", &[1, 8])
            .node("NonZero", &["x"], "y", &[])
            .bytes(),
    );
    w.convert_refused(
        "nms.onnx",
        &[],
        &["nms.onnx", "NonZero", "depends on the data"],
    );
}

#[test]
fn weights_that_are_no_numbers() {
    let w = Workspace::new();
    for (value, words) in [
        (f32::NAN, &["`y_w`", "17", "NaN"][..]),
        (f32::INFINITY, &["Conv", "inf", "finite"]),
    ] {
        let mut values = weights(1, 4 * 3 * 9);
        values[17] = value;
        let file = Onnx::new()
            .input("x", &[1, 3, 8, 8])
            .conv("x", "y", [3, 4], &values);
        w.write("bad.onnx", &file.bytes());
        let words = [words, &["bad.onnx", "training diverged", "export it again"]].concat();
        w.convert_refused("bad.onnx", &[], &words);
    }
}

#[test]
fn a_size_that_is_open() {
    let w = Workspace::new();
    let shape = [
        Size::Is(1),
        Size::Is(3),
        Size::Open("height"),
        Size::Open("width"),
    ];
    w.write(
        "open.onnx",
        &Onnx::new()
            .open_input("x", &shape)
            .node("Relu", &["x"], "y", &[])
            .bytes(),
    );
    w.convert_refused(
        "open.onnx",
        &[],
        &[
            "open.onnx",
            "input `x`",
            "open",
            "--input x=1x3xheightxwidth",
        ],
    );
    w.succeed(&[
        "convert",
        "open.onnx",
        "-o",
        "ok.oce",
        "--calibrate",
        "synthetic:1",
        "--input",
        "x=1x3x8x8",
    ]);
    w.npy("x.npy", &[1, 3, 8, 8], &[0.5; 3 * 8 * 8]);
    for command in [
        &["run", "open.onnx", "x.npy"][..],
        &["compare", "open.onnx", "ok.oce", "x.npy"],
    ] {
        w.succeed(&[command, &["--input", "x=1x3x8x8"]].concat());
    }
}

#[test]
fn a_batch_that_is_not_one() {
    let w = Workspace::new();
    w.write(
        "batch.onnx",
        &Onnx::new()
            .input("x", &[8, 3, 4, 4])
            .node("Relu", &["x"], "y", &[])
            .bytes(),
    );
    w.convert_refused(
        "batch.onnx",
        &[],
        &["batch.onnx", "input `x`", "batch is 8", "--input x=1x3x4x4"],
    );
}

#[test]
fn an_override_that_fits_no_input() {
    let w = Workspace::new();
    w.convert_refused(
        "model.onnx",
        &["--input", "picture=1x3x8x8"],
        &["model.onnx", "`picture`", "inputs are `x`"],
    );
    w.convert_refused(
        "model.onnx",
        &["--input", "x=3x8x8"],
        &["model.onnx", "input `x`", "3 axes"],
    );
    w.convert_refused(
        "model.onnx",
        &["--input", "x=1x4x8x8"],
        &["model.onnx", "Conv"],
    );
}

#[test]
fn a_pass_that_is_unknown() {
    let w = Workspace::new();
    w.convert_refused(
        "model.onnx",
        &["--no-pass", "fold-everything"],
        &["`fold-everything`", "the passes are"],
    );
}

#[test]
fn an_instruction_set_that_is_unknown() {
    let w = Workspace::new();
    w.convert_refused(
        "model.onnx",
        &["--isa", "mmx"],
        &["`mmx`", "helium", "avx2"],
    );
}

#[test]
fn an_output_without_a_node() {
    let w = Workspace::new();
    w.write("none.onnx", &classifier().with_output("z"));
    w.convert_refused("none.onnx", &[], &["none.onnx", "output `z`"]);
}

#[test]
fn an_output_that_is_constant() {
    let w = Workspace::new();
    let file = Onnx::new()
        .input("x", &[1, 4])
        .constant("c", &[1, 4], &[1.0; 4])
        .node("Relu", &["c"], "y", &[]);
    w.write("constant.onnx", &file.bytes());
    w.convert_refused(
        "constant.onnx",
        &[],
        &["constant.onnx", "output `y`", "remove"],
    );
}
