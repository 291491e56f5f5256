//! `.tflite` files through the program: models and numbers that LiteRT wrote, of `tests/models/vectors/litert.py`.

use std::path::Path;

use ocellus_data::{Array, Values, read_npy, read_npz, write_npy};

use crate::workspace::Workspace;

/// A folder with `model.tflite` and its input `x.npy`, and what LiteRT makes of them.
fn case(name: &str) -> (Workspace, Array) {
    let path = "../../tests/models/vectors/litert_operators.npz";
    let mut arrays = read_npz(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let mut take = |part: &str| {
        let wanted = format!("{name}/{part}");
        let at = arrays.iter().position(|(key, _)| *key == wanted).unwrap();
        arrays.swap_remove(at).1
    };
    let w = Workspace::new();
    let Values::U8(model) = take("model").values else {
        panic!("{name}: no bytes")
    };
    w.write("model.tflite", &model);
    write_npy(&w.path("x.npy"), &take("x0")).unwrap();
    (w, take("y0"))
}

/// The one output of a run, and how far its farthest number is from `theirs`.
fn farthest(w: &Workspace, model: &str, theirs: &Array) -> f32 {
    let said = w.json(&["run", model, "x.npy", "--outputs", "out"]);
    let name = said["outputs"][0]["name"].as_str().unwrap();
    let ours = read_npy(&w.path("out").join(format!("{name}.npy"))).unwrap();
    assert_eq!(ours.shape, theirs.shape);
    let pairs = ours.values.to_f32().into_iter().zip(theirs.values.to_f32());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn quantized_files_need_no_samples() {
    // The older scheme's weights lie up to 255 steps from zero.
    for name in [
        "residual_block_int8",
        "fully_connected_uint8",
        "conv_valid_relu6_uint8",
    ] {
        let (w, theirs) = case(name);
        let off = farthest(&w, "model.tflite", &theirs);
        assert!(off <= 1.0, "{name} as it is: off by {off}");
        w.succeed(&["convert", "model.tflite", "-o", "model.oce"]);
        let off = farthest(&w, "model.oce", &theirs);
        assert!(off <= 1.0, "{name}: off by {off}");
    }
}

#[test]
fn a_float_file_runs_as_it_is_and_converts_with_samples() {
    let (w, theirs) = case("residual_block_float");
    let off = farthest(&w, "model.tflite", &theirs);
    assert!(off <= 1e-5, "off by {off}");
    w.refused(
        &["convert", "model.tflite", "-o", "model.oce"],
        &["model.tflite", "--calibrate"],
    );
    w.convert("model.tflite", "model.oce");
    let largest = theirs
        .values
        .to_f32()
        .into_iter()
        .fold(0.0, |most: f32, v| most.max(v.abs()));
    let off = farthest(&w, "model.oce", &theirs);
    assert!(off <= largest / 4.0, "off by {off} of {largest}");
}

#[test]
fn damaged_files() {
    let (w, _) = case("residual_block_int8");
    let bytes = w.read("model.tflite");
    for length in [8, 100, bytes.len() / 2, bytes.len() - 4] {
        w.write("cut.tflite", &bytes[..length]);
        let words = ["cut.tflite", "cut off or damaged", "again"];
        w.refused(&["convert", "cut.tflite", "-o", "out.oce"], &words);
        w.refused(&["inspect", "cut.tflite"], &words);
    }
    w.write("text.tflite", b"version https://git-lfs.github.com/spec/v1");
    w.refused(
        &["convert", "text.tflite", "-o", "out.oce"],
        &["text.tflite"],
    );
}
