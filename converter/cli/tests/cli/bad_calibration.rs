//! Calibration data that does not fit, and pictures that an evaluation must not use.

use crate::onnx::{classifier, two_inputs};
use crate::workspace::Workspace;

#[test]
fn no_calibration() {
    let w = Workspace::new();
    w.refused(
        &["convert", "model.onnx", "-o", "out.oce"],
        &["model.onnx", "--calibrate DIR", "synthetic:SEED"],
    );
}

#[test]
fn a_seed_that_is_no_number() {
    let w = Workspace::new();
    for seed in ["synthetic:seven", "synthetic:", "synthetic:-1"] {
        w.convert_refused(
            "model.onnx",
            &["--calibrate", seed],
            &["is no seed", "synthetic:7"],
        );
    }
}

#[test]
fn a_folder_that_is_not_there() {
    let w = Workspace::new();
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "none"],
        &["none", "No such file"],
    );
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "none.npz"],
        &["none.npz", "No such file"],
    );
}

#[test]
fn an_empty_folder() {
    let w = Workspace::new();
    w.write("pictures/readme.txt", b"none");
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "pictures"],
        &["pictures", "no pictures", "PNG"],
    );
}

#[test]
fn a_picture_that_does_not_decode() {
    let w = Workspace::new();
    w.picture("pictures/a.ppm", 1);
    w.write("pictures/b.jpg", b"<html>404</html>");
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "pictures"],
        &["pictures/b.jpg", "decode", "JPEG"],
    );
    w.picture("pictures/b.jpg", 2);
    let cut = &w.read("pictures/a.ppm")[..100];
    w.write("pictures/c.ppm", cut);
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "pictures"],
        &["pictures/c.ppm", "decode"],
    );
}

#[test]
fn an_array_of_another_shape() {
    let w = Workspace::new();
    w.npz("shape.npz", "x", &[2, 3, 8, 9], &[0.5; 2 * 3 * 8 * 9]);
    let words = [
        "shape.npz",
        "input `x`",
        "[2, 3, 8, 9]",
        "[1, 3, 8, 8]",
        "first axis",
    ];
    w.convert_refused("model.onnx", &["--calibrate", "shape.npz"], &words);
}

#[test]
fn an_array_without_samples() {
    let w = Workspace::new();
    w.npz("none.npz", "x", &[0, 3, 8, 8], &[]);
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "none.npz"],
        &["none.npz", "no samples"],
    );
}

#[test]
fn values_that_are_no_numbers() {
    let w = Workspace::new();
    let mut values = vec![0.5; 3 * 8 * 8];
    values[9] = f32::NAN;
    w.npz("nan.npz", "x", &[1, 3, 8, 8], &values);
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "nan.npz"],
        &["nan.npz", "`x`", "NaN", "remove"],
    );
}

#[test]
fn an_archive_that_is_none() {
    let w = Workspace::new();
    w.write("text.npz", b"no archive");
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "text.npz"],
        &["text.npz", "cannot be read as an array"],
    );
    w.npz("bit.npz", "x", &[1, 3, 8, 8], &[0.5; 3 * 8 * 8]);
    let mut bytes = w.read("bit.npz");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    w.write("bit.npz", &bytes);
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "bit.npz"],
        &["bit.npz", "`x`", "hecksum"],
    );
}

#[test]
fn several_inputs_need_names() {
    let w = Workspace::new();
    w.write("two.onnx", &two_inputs().bytes());
    w.npz("one.npz", "left", &[1, 4], &[1.0; 4]);
    w.convert_refused(
        "two.onnx",
        &["--calibrate", "one.npz"],
        &["one.npz", "`right`"],
    );
    w.picture("pictures/a.ppm", 1);
    w.convert_refused(
        "two.onnx",
        &["--calibrate", "pictures"],
        &["one input", "2", ".npz"],
    );
}

#[test]
fn a_method_that_is_unknown() {
    let w = Workspace::new();
    w.convert_refused(
        "model.onnx",
        &["--method", "magic"],
        &["magic", "min-max", "percentile"],
    );
}

#[test]
fn an_evaluation_on_pictures_that_calibration_has_seen() {
    let w = Workspace::new();
    for seed in 0..4 {
        w.picture(&format!("seen/000{seed}_a.ppm"), seed);
        w.picture(&format!("other/000{seed}_b.ppm"), seed + 50);
    }
    w.succeed(&[
        "convert",
        "model.onnx",
        "-o",
        "model.oce",
        "--calibrate",
        "seen",
    ]);
    let evaluate = |data: &'static str| ["evaluate", "model.oce", "--data", data];
    w.refused(
        &evaluate("seen"),
        &["seen/000", "calibration has seen", "--calibrated skip"],
    );
    w.refused(
        &[&evaluate("seen")[..], &["--calibrated", "skip"]].concat(),
        &["seen", "left out"],
    );
    w.succeed(&[&evaluate("seen")[..], &["--calibrated", "allow"]].concat());
    w.succeed(&evaluate("other"));
    // The float model brings no record; the other model's counts.
    w.refused(
        &[
            "evaluate",
            "model.onnx",
            "--data",
            "seen",
            "--against",
            "model.oce",
        ],
        &["calibration has seen"],
    );
}

#[test]
fn a_folder_without_labels() {
    let w = Workspace::converted();
    w.picture("plain/nameless.ppm", 1);
    w.refused(
        &["evaluate", "model.oce", "--data", "plain"],
        &["plain/nameless.ppm", "class index", "0007_name.jpg"],
    );
    w.write("text/a.txt", b"");
    w.refused(
        &["evaluate", "model.oce", "--data", "text"],
        &["text", "no labelled pictures"],
    );
    w.refused(
        &["evaluate", "model.oce", "--data", "none"],
        &["none", "No such file"],
    );
    w.picture("high/0017_a.ppm", 1);
    w.refused(
        &["evaluate", "model.oce", "--data", "high"],
        &["high/0017_a.ppm", "class 17", "4"],
    );
}

#[test]
fn a_calibration_that_makes_infinities() {
    let w = Workspace::new();
    w.write(
        "exp.onnx",
        &classifier().node("Exp", &["y"], "z", &[]).with_output("z"),
    );
    w.npz("big.npz", "x", &[1, 3, 8, 8], &[1e30; 3 * 8 * 8]);
    w.convert_refused(
        "exp.onnx",
        &["--calibrate", "big.npz"],
        &["sample 0", "infinite", "normalization"],
    );
}
