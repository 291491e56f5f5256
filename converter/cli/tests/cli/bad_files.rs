//! Files that are not there, not readable, or not what they are called.

use crate::onnx;
use crate::workspace::{Workspace, absent};

#[test]
fn a_truncated_onnx_file() {
    let w = Workspace::new();
    let bytes = w.read("model.onnx");
    w.write("cut.onnx", &bytes[..bytes.len() / 2]);
    w.convert_refused("cut.onnx", &[], &["cut.onnx", "cut off", "again"]);
}

#[test]
fn a_text_named_onnx() {
    let w = Workspace::new();
    w.write(
        "text.onnx",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1\n",
    );
    w.convert_refused("text.onnx", &[], &["text.onnx", "no ONNX"]);
}

#[test]
fn an_empty_onnx_file() {
    let w = Workspace::new();
    w.write("empty.onnx", b"");
    w.convert_refused("empty.onnx", &[], &["empty.onnx", "empty"]);
}

#[test]
fn a_missing_model() {
    let w = Workspace::new();
    for args in [
        &[
            "convert",
            "none.onnx",
            "-o",
            "out.oce",
            "--calibrate",
            "synthetic:1",
        ][..],
        &["run", "none.onnx", "x.npy"],
        &["run", "none.oce", "x.npy"],
        &["compare", "model.onnx", "none.oce", "x.npy"],
        &["evaluate", "none.oce", "--data", "."],
        &["inspect", "none.oce"],
        &["inspect", "none.onnx"],
        &["bench", "none.oce", "--board", "host"],
        &["build", "none.oce", "--board", "host"],
        &["flash", "none.oce", "--board", "host"],
    ] {
        w.refused(args, &["none.o", "No such file"]);
    }
}

#[test]
fn a_folder_as_model() {
    let w = Workspace::new();
    w.write("folder.onnx/a", b"");
    w.write("folder.oce/a", b"");
    w.convert_refused("folder.onnx", &[], &["folder.onnx", "directory"]);
    w.refused(&["inspect", "folder.oce"], &["folder.oce", "directory"]);
}

// Permissions do not bind root, as whom tests may run, so a path under a file stands for what cannot be opened.
#[test]
fn an_unreadable_folder() {
    let w = Workspace::new();
    w.write("file", b"");
    w.convert_refused(
        "file/model.onnx",
        &[],
        &["file/model.onnx", "Not a directory"],
    );
    w.convert_refused(
        "model.onnx",
        &["--calibrate", "file/pictures"],
        &["file/pictures", "Not a directory"],
    );
}

#[test]
fn another_kind_of_file() {
    let w = Workspace::new();
    w.write("model.tflite", b"\x1c\0\0\0TFL3");
    w.refused(
        &["run", "model.tflite", "x.npy"],
        &["model.tflite", "TensorFlow Lite", "again"],
    );
    w.refused(
        &["bench", "model.onnx"],
        &["model.onnx", "not an Ocellus model file", "ocellus convert"],
    );
    w.refused(
        &["inspect", "model.onnx", "--board", "host"],
        &["model.onnx", "convert"],
    );
}

#[test]
fn a_damaged_model_file() {
    let w = Workspace::converted();
    let bytes = w.read("model.oce");
    for place in [bytes.len() - 40, bytes.len() / 2, 200] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        w.write("bad.oce", &damaged);
        w.refused(&["inspect", "bad.oce"], &["bad.oce", "SHA-256", "again"]);
        w.refused(
            &["bench", "bad.oce", "--board", "host"],
            &["bad.oce", "SHA-256"],
        );
    }
}

#[test]
fn a_truncated_model_file() {
    let w = Workspace::converted();
    let bytes = w.read("model.oce");
    for len in [0, 10, bytes.len() / 3, bytes.len() - 1] {
        w.write("cut.oce", &bytes[..len]);
        w.refused(&["run", "cut.oce", "x.npy"], &["cut.oce", "bytes", "again"]);
    }
}

#[test]
fn a_model_file_of_a_later_version() {
    let w = Workspace::converted();
    let mut bytes = w.read("model.oce");
    let at = ocellus_format::layout::HEADER_VERSION.start;
    bytes[at] = 99;
    w.write("later.oce", &bytes);
    w.refused(
        &["inspect", "later.oce"],
        &["later.oce", "version 99", "convert the model again"],
    );
}

#[test]
fn an_output_that_cannot_be_written() {
    let w = Workspace::new();
    let to = |output: &'static str| {
        [
            "convert",
            "model.onnx",
            "-o",
            output,
            "--calibrate",
            "synthetic:7",
        ]
    };
    w.refused(&to("out.bin"), &["out.bin", ".oce"]);
    w.refused(
        &to("nowhere/out.oce"),
        &["nowhere", "does not exist", "create"],
    );
    w.refused(&to("model.onnx/out.oce"), &["model.onnx", "no folder"]);
    w.write("folder.oce/keep", b"");
    w.refused(&to("folder.oce"), &["folder.oce", "folder"]);
    assert!(w.path("folder.oce/keep").exists());
    absent(&w.path("nowhere"));
}

#[test]
fn a_recipe_with_mistakes() {
    let w = Workspace::new();
    w.write("typo.toml", b"[input]\ncolor = \"rgb\"\n");
    w.convert_refused(
        "model.onnx",
        &["--recipe", "typo.toml"],
        &["typo.toml", "line 2", "color", "colour"],
    );
    w.write("text.toml", b"this is no recipe\n");
    w.convert_refused(
        "model.onnx",
        &["--recipe", "text.toml"],
        &["text.toml", "line 1"],
    );
    w.convert_refused(
        "model.onnx",
        &["--recipe", "none.toml"],
        &["none.toml", "No such file"],
    );
    let names = "heat = \"a\"\nsize = \"y\"\noffset = \"y\"\nlandmarks = \"y\"\n";
    let task = format!(
        "[task]\nkind = \"centerface\"\nstride = 4\nscore_threshold = 0.3\nnms_iou = 0.4\n{names}"
    );
    w.write("output.toml", task.as_bytes());
    w.convert_refused(
        "model.onnx",
        &["--recipe", "output.toml"],
        &["output.toml", "output `a`", "outputs are y"],
    );
    w.write(
        "method.toml",
        b"[calibration]\nmethod = \"percentile\"\npercentile = 150.0\n",
    );
    w.convert_refused(
        "model.onnx",
        &["--recipe", "method.toml"],
        &["method.toml", "percentile:150", "min-max"],
    );
    w.write("labels.toml", b"labels_file = \"classes.txt\"\n");
    w.convert_refused(
        "model.onnx",
        &["--recipe", "labels.toml"],
        &["classes.txt", "No such file"],
    );
}

#[test]
fn a_model_without_a_stored_tensor() {
    let w = Workspace::new();
    let file = onnx::Onnx::new().input("x", &[1, 3, 8, 8]).node(
        "Conv",
        &["x", "lost"],
        "y",
        &[("kernel_shape", &[1, 1])],
    );
    w.write("lost.onnx", &file.bytes());
    w.convert_refused("lost.onnx", &[], &["lost.onnx", "Conv", "`lost`"]);
}
