//! `evaluate` by task: a model against itself, and planted differences counted.

use serde_json::Value;

use crate::onnx::{Onnx, weights};
use crate::workspace::Workspace;

const COUNT: u8 = 3;

/// A map of so many channels over 8x8 pictures, `[1, channels, 8, 8]`, 0 and above.
fn map(channels: i64, seed: u32) -> Vec<u8> {
    Onnx::new()
        .input("x", &[1, 3, 8, 8])
        .conv("x", "a", [3, 8], &weights(1, 8 * 3 * 9))
        .conv(
            "a",
            "y",
            [8, channels],
            &weights(seed, channels as usize * 8 * 9),
        )
        .bytes()
}

/// Three pictures in `data/images`, the model `map.onnx` and a recipe with this task.
fn workspace(channels: i64, task: &str) -> Workspace {
    let w = Workspace::new();
    w.write("map.onnx", &map(channels, 2));
    w.write("recipe.toml", task.as_bytes());
    for index in 0..COUNT {
        w.picture(&format!("data/images/{index}.ppm"), index);
    }
    w
}

/// Against `other`, by the recipe.
fn evaluate(w: &Workspace, model: &str, other: &str) -> Value {
    let args = [
        "evaluate",
        model,
        "--data",
        "data",
        "--against",
        other,
        "--recipe",
        "recipe.toml",
    ];
    w.json(&args)
}

/// The model's output for a picture.
fn output(w: &Workspace, index: u8) -> Vec<f32> {
    let picture = format!("data/images/{index}.ppm");
    w.succeed(&["run", "map.onnx", &picture, "--outputs", "out"]);
    let bytes = w.read("out/y.npy");
    npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap()
}

fn equal(value: &Value) {
    assert_eq!(value["agreement"], 1.0, "{value}");
    assert_eq!(value["agreement_same"], value["agreement_of"]);
    assert_eq!(value["value"], value["against_value"]);
    assert_eq!(value["difference"]["value"], 0.0);
    assert_eq!(value["difference"]["standard_error"], 0.0);
}

/// As a grey picture: the decoder goes by the content, not by the name.
fn mask(w: &Workspace, index: u8, classes: &[u8]) {
    let mut bytes = b"P5\n8 8\n255\n".to_vec();
    bytes.extend(classes);
    w.write(&format!("data/masks/{index}.png"), &bytes);
}

#[test]
fn a_segmenter_whose_labels_are_its_own_answers_is_right() {
    let w = workspace(
        4,
        "labels = ['a', 'b', 'c', 'd']\n[task]\nkind = 'segment'\n",
    );
    let strongest = |values: &[f32], pixel: usize| {
        let at = |class: usize| values[class * 64 + pixel];
        (1..4).fold(
            0,
            |best, class| if at(class) > at(best) { class } else { best },
        )
    };
    let mut first = Vec::new();
    for index in 0..COUNT {
        let values = output(&w, index);
        let classes: Vec<u8> = (0..64)
            .map(|pixel| strongest(&values, pixel) as u8)
            .collect();
        mask(&w, index, &classes);
        if index == 0 {
            first = classes;
        }
    }
    let value = evaluate(&w, "map.onnx", "map.onnx");
    equal(&value);
    assert_eq!(
        (&value["miou"], &value["samples"]),
        (&1.0.into(), &COUNT.into())
    );
    // Sixteen of the 192 pixels are labelled otherwise, to a class that no label had: it counts, and never right.
    first[..16].fill(9);
    mask(&w, 0, &first);
    let planted = evaluate(&w, "map.onnx", "map.onnx");
    equal(&planted);
    assert_eq!(
        planted["pixel_accuracy"], 1.0,
        "class 9 is none of the model's"
    );
    let wrong = (first[20] + 1) % 4;
    first[..16].fill(wrong);
    mask(&w, 0, &first);
    let planted = evaluate(&w, "map.onnx", "map.onnx");
    assert!(planted["miou"].as_f64().unwrap() < 1.0, "{planted}");
    // Another model's answers differ.
    w.write("other.onnx", &map(4, 3));
    let other = evaluate(&w, "map.onnx", "other.onnx");
    assert!(other["agreement"].as_f64().unwrap() < 1.0);
    assert_eq!(other["agreement_of"], 64 * u64::from(COUNT));
}

#[test]
fn a_detector_finds_what_it_finds() {
    let recipe = "labels = ['cat', 'dog']\n[task]\nkind = 'fastestdet'\nscore_threshold = 0.1\nnms_iou = 0.45\n";
    let w = workspace(7, recipe);
    w.write("data/data.yaml", b"names: [bird, dog, cat]");
    for index in 1..COUNT {
        let boxes = b"2 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.1 0.1\n";
        w.write(&format!("data/boxes/{index}.txt"), boxes);
    }
    let value = evaluate(&w, "map.onnx", "map.onnx");
    equal(&value);
    // The bird is nothing that the model knows.
    assert_eq!(value["labelled_boxes"], 2);
    assert!(value["kept_boxes"].as_u64().unwrap() > 0, "{value}");
    for count in ["against_kept_boxes", "common_boxes"] {
        assert_eq!(value[count], value["kept_boxes"]);
    }
    let args = [
        "evaluate",
        "map.onnx",
        "--data",
        "data",
        "--recipe",
        "recipe.toml",
        "--draw",
        "drawn",
    ];
    w.succeed(&args);
    assert!(w.path("drawn/0.png").is_file());
    // Converted, with a task that devices do not know.
    let convert = [
        "convert",
        "map.onnx",
        "-o",
        "map.oce",
        "--calibrate",
        "synthetic:7",
        "--recipe",
        "recipe.toml",
    ];
    w.succeed(&convert);
    let int8 = evaluate(&w, "map.oce", "map.onnx");
    assert_eq!(int8["against_runtime"], "tract, float");
    assert!(int8["agreement"].as_f64().unwrap() <= 1.0);
}

#[test]
fn yes_and_no_by_the_boxes() {
    let w = workspace(
        4,
        "[task]\nkind = 'binary'\nyes = 1\nclass = 'dog'\nmin_area = 0.1\n",
    );
    w.write("data/data.yaml", b"names: [cat, dog]");
    w.write("data/boxes/0.txt", b"1 0.5 0.5 0.5 0.5\n");
    w.write("data/boxes/1.txt", b"1 0.5 0.5 0.1 0.1\n");
    let value = evaluate(&w, "model.onnx", "model.onnx");
    equal(&value);
    // One box is too small, and one picture has no file.
    assert_eq!(
        (&value["labelled_yes"], &value["samples"]),
        (&1.into(), &2.into())
    );
    w.write(
        "recipe.toml",
        b"[task]\nkind = 'binary'\nyes = 1\nclass = 'horse'\n",
    );
    let args = [
        "evaluate",
        "model.onnx",
        "--data",
        "data",
        "--recipe",
        "recipe.toml",
    ];
    w.refused(&args, &["no class is named `horse`"]);
}

#[test]
fn text_is_compared_with_transcriptions() {
    // The last axis holds the eight scores: 32 steps.
    let w = workspace(
        4,
        "labels = ['a', 'b', 'c', 'd', 'e', 'f', 'g']\n[task]\nkind = 'ctc'\n",
    );
    let text = |w: &Workspace| {
        w.write(
            "data/transcriptions.txt",
            b"images/0.ppm\tz\nimages/1.ppm\tz\n",
        );
        evaluate(w, "map.onnx", "map.onnx")
    };
    let value = text(&w);
    equal(&value);
    let read: Vec<&str> = (0..2)
        .map(|i| value["texts"][i]["text"].as_str().unwrap())
        .collect();
    assert!(read[0].len() > 1 && read[0] != read[1], "{read:?}");
    // No letter is a z.
    let wrong: usize = read.iter().map(|text| text.len()).sum();
    assert_eq!(value["value"], wrong as f64 / 2.0);
    let right = format!("images/0.ppm\t{}\nimages/1.ppm\t{}\n", read[0], read[1]);
    w.write("data/transcriptions.txt", right.as_bytes());
    assert_eq!(evaluate(&w, "map.onnx", "map.onnx")["value"], 0.0);
    w.write(
        "recipe.toml",
        b"[task]\nkind = 'ctc'\ncharacters_key = 'letters'\n",
    );
    let args = [
        "evaluate",
        "map.onnx",
        "--data",
        "data",
        "--recipe",
        "recipe.toml",
    ];
    w.refused(&args, &["map.onnx", "letters", "metadata has nothing"]);
}

#[test]
fn what_is_missing_is_named() {
    let w = workspace(4, "labels = ['a']\n[task]\nkind = 'segment'\nother = 'b'\n");
    let args = [
        "evaluate",
        "map.onnx",
        "--data",
        "data",
        "--recipe",
        "recipe.toml",
    ];
    w.refused(&args, &["data", "`images`", "`semantic` or `masks`"]);
    mask(&w, 0, &[0; 64]);
    w.refused(&args, &["task.other", "`b`"]);
    w.write("data/masks/0.png", b"P5\n4 4\n255\n0123456789abcdef");
    w.write("recipe.toml", b"labels = ['a']\n[task]\nkind = 'segment'\n");
    w.refused(&args, &["output `y`", "1 labels"]);
    w.write(
        "recipe.toml",
        b"labels = ['a', 'b', 'c', 'd']\n[task]\nkind = 'segment'\n",
    );
    w.refused(&args, &["masks/0.png", "4x4", "8x8"]);
    w.write(
        "recipe.toml",
        b"[task]\nkind = 'yolo'\nscore_threshold = 0.5\nnms_iou = 0.5\n",
    );
    w.write("data/boxes/0.txt", b"0 0.5 0.5 2\n");
    w.refused(&args, &["boxes/0.txt", "line 1"]);
    w.write("data/boxes/0.txt", b"");
    w.refused(&args, &["output `y`", "[1, 4 + classes, n]"]);
    let draw = ["evaluate", "model.onnx", "--data", "data", "--draw", "d"];
    w.refused(&draw, &["--draw draws boxes and masks"]);
}
