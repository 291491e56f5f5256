//! Inputs of a run that do not fit the model.

use crate::onnx::two_inputs;
use crate::workspace::{Workspace, absent};

const LEN: usize = 3 * 8 * 8;

#[test]
fn an_array_of_another_shape() {
    let w = Workspace::converted();
    w.npy("x.npy", &[1, 3, 8, 7], &[0.5; 3 * 8 * 7]);
    for model in ["model.oce", "model.onnx"] {
        w.refused(
            &["run", model, "x.npy"],
            &["x.npy", "[1, 3, 8, 7]", "input `x`", "[1, 3, 8, 8]"],
        );
    }
    // The right count in another order of axes is another input.
    w.npy("x.npy", &[1, 8, 8, 3], &[0.5; LEN]);
    w.refused(
        &["run", "model.oce", "x.npy"],
        &["x.npy", "[1, 8, 8, 3]", "[1, 3, 8, 8]"],
    );
    w.refused(
        &["compare", "model.onnx", "model.oce", "x.npy"],
        &["x.npy", "[1, 8, 8, 3]"],
    );
}

#[test]
fn an_array_in_fortran_order() {
    let w = Workspace::converted();
    w.npy_in_order("x.npy", &[1, 3, 8, 8], &[0.5; LEN], npyz::Order::Fortran);
    w.refused(
        &["run", "model.oce", "x.npy"],
        &["x.npy", "Fortran order", "ascontiguousarray"],
    );
}

#[test]
fn an_array_that_is_none() {
    let w = Workspace::converted();
    w.write("x.npy", b"0.5 0.5");
    w.refused(
        &["run", "model.oce", "x.npy"],
        &["x.npy", "cannot be read as an array"],
    );
    w.npy("x.npy", &[1, 3, 8, 8], &[f32::NAN; LEN]);
    w.refused(&["run", "model.oce", "x.npy"], &["x.npy", "NaN"]);
    w.refused(
        &["run", "model.oce", "none.npy"],
        &["none.npy", "No such file"],
    );
    w.write("folder.npy/a", b"");
    w.refused(
        &["run", "model.oce", "folder.npy"],
        &["folder.npy", "directory"],
    );
}

#[test]
fn a_picture_that_is_none() {
    let w = Workspace::converted();
    w.write("x.png", b"no picture");
    w.refused(&["run", "model.oce", "x.png"], &["x.png", "decode", "PNG"]);
    // A PNG with a damaged chunk: its checksum does not match.
    let mut png = Vec::from(*b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\x02\0\0\0");
    png.extend([1, 2, 3, 4]);
    w.write("x.png", &png);
    w.refused(&["run", "model.oce", "x.png"], &["x.png", "CRC"]);
    w.write("flat.ppm", b"P6\n0 8\n255\n");
    w.refused(&["run", "model.oce", "flat.ppm"], &["flat.ppm"]);
    w.write(
        "tall.pgm",
        &[b"P5\n1 16400\n255\n".to_vec(), vec![0; 16_400]].concat(),
    );
    w.refused(&["run", "model.oce", "tall.pgm"], &["tall.pgm", "16,384"]);
    w.refused(
        &["run", "model.oce", "model.onnx"],
        &["model.onnx", "decode"],
    );
}

#[test]
fn inputs_without_names() {
    let w = Workspace::new();
    w.write("two.onnx", &two_inputs().bytes());
    w.convert("two.onnx", "two.oce");
    w.npy("a.npy", &[1, 4], &[0.5; 4]);
    for model in ["two.oce", "two.onnx"] {
        w.refused(&["run", model, "a.npy"], &["left, right", "NAME=file.npy"]);
        w.refused(
            &["run", model, "left=a.npy"],
            &["input `right` is missing", "left, right"],
        );
        w.refused(
            &["run", model, "left=a.npy", "left=a.npy"],
            &["input `left`", "twice"],
        );
    }
    w.succeed(&["run", "two.oce", "left=a.npy", "right=a.npy"]);
    // A picture is no list of four numbers.
    w.picture("p.ppm", 1);
    w.refused(
        &["run", "two.oce", "left=p.ppm", "right=a.npy"],
        &["input `left`", "no picture", ".npy"],
    );
    w.refused(
        &["compare", "two.onnx", "two.oce", "a.npy"],
        &["two.onnx", "one input"],
    );
}

#[test]
fn an_instruction_set_that_this_machine_lacks() {
    let w = Workspace::converted();
    w.npy("x.npy", &[1, 3, 8, 8], &[0.5; LEN]);
    w.refused(
        &["run", "model.oce", "x.npy", "--isa", "helium"],
        &["`helium`", "--board"],
    );
    w.refused(
        &["run", "model.oce", "x.npy", "--isa", "sse9"],
        &["`sse9`", "unknown"],
    );
    w.refused(
        &["run", "model.onnx", "x.npy", "--isa", "reference"],
        &["model.onnx", "convert"],
    );
}

#[test]
fn a_drawing_without_detections() {
    let w = Workspace::converted();
    w.picture("p.ppm", 1);
    w.refused(
        &["run", "model.oce", "p.ppm", "--draw", "out.png"],
        &["--draw", "detection"],
    );
    w.refused(
        &[
            "run",
            "model.onnx",
            "p.ppm",
            "--draw",
            "out.png",
            "--outputs",
            "made",
        ],
        &["model.onnx", "--draw"],
    );
    absent(&w.path("out.png"));
}

#[test]
fn a_drawing_that_is_no_png() {
    let w = Workspace::new();
    let maps = crate::onnx::Onnx::new().input("x", &[1, 3, 8, 8]).conv(
        "x",
        "y",
        [3, 1],
        &crate::onnx::weights(3, 27),
    );
    w.write("maps.onnx", &maps.bytes());
    let task = "stride = 1\nscore_threshold = 0.3\nnms_iou = 0.4\nheat = \"y\"\nsize = \"y\"\noffset = \"y\"\nlandmarks = \"y\"\n";
    w.write(
        "r.toml",
        format!("[task]\nkind = \"centerface\"\n{task}").as_bytes(),
    );
    w.picture("p.ppm", 1);
    let draw = |output: &'static str| {
        [
            "run",
            "maps.onnx",
            "p.ppm",
            "--recipe",
            "r.toml",
            "--draw",
            output,
        ]
    };
    w.refused(&draw("out.jpg"), &["out.jpg", "PNG", ".png"]);
    w.refused(
        &draw("nowhere/out.png"),
        &["nowhere/out.png", "No such file"],
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    let w = Workspace::converted();
    w.picture("p.ppm", 1);
    w.refused(
        &["run", "model.oce", "p.ppm", "--outputs", "model.onnx"],
        &["model.onnx"],
    );
    // A run that is refused makes no folder.
    w.refused(
        &["run", "model.oce", "none.npy", "--outputs", "made"],
        &["none.npy"],
    );
    absent(&w.path("made"));
}

#[test]
fn a_comparison_with_another_model() {
    let w = Workspace::converted();
    w.write(
        "two.onnx",
        &crate::onnx::Onnx::new()
            .input("q", &[1, 3, 8, 8])
            .node("Exp", &["q"], "z", &[])
            .with_output("z"),
    );
    w.picture("p.ppm", 1);
    w.refused(
        &["compare", "two.onnx", "model.oce", "p.ppm"],
        &["two.onnx", "model.oce", "share no tensor"],
    );
}
