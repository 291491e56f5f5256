//! What a conversion leaves: the same bytes each time, a whole file or none. And whether a comparison finds a layer that is wrong.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::onnx::{Onnx, weights};
use crate::workspace::{Workspace, ocellus};

#[test]
fn the_same_input_gives_the_same_bytes() {
    let w = Workspace::new();
    for seed in 0..5 {
        w.picture(&format!("pictures/{seed}.ppm"), seed);
    }
    for more in [
        &[][..],
        &["--isa", "helium"],
        &["--board", "qemu-m4"],
        &["--method", "least-error"],
    ] {
        for output in ["a.oce", "b.oce"] {
            w.succeed(
                &[
                    &[
                        "convert",
                        "model.onnx",
                        "-o",
                        output,
                        "--calibrate",
                        "pictures",
                    ][..],
                    more,
                ]
                .concat(),
            );
        }
        assert!(w.read("a.oce") == w.read("b.oce"), "{more:?}");
    }
}

#[test]
fn a_file_is_replaced_whole_and_nothing_else_stays() {
    let w = Workspace::converted();
    let good = w.read("model.oce");
    w.write("model.oce", b"old");
    // Another name of the old file keeps the old bytes: the new one took the name, it was not written over the old.
    std::fs::hard_link(w.path("model.oce"), w.path("other.oce")).unwrap();
    w.write("model.part-1", b"left by a run that was killed");
    w.convert("model.onnx", "model.oce");
    assert!(w.read("model.oce") == good);
    assert_eq!(w.read("other.oce"), b"old");
    let names = ["model.oce", "model.onnx", "model.part-1", "other.oce"];
    assert_eq!(w.names(), names);
}

#[test]
fn a_refused_conversion_keeps_the_file_that_was_there() {
    let w = Workspace::converted();
    let good = w.read("model.oce");
    w.write("bad.onnx", b"no model");
    w.refused(
        &[
            "convert",
            "bad.onnx",
            "-o",
            "model.oce",
            "--calibrate",
            "synthetic:7",
        ],
        &["bad.onnx"],
    );
    assert!(w.read("model.oce") == good);
}

#[test]
fn a_killed_conversion_leaves_no_half_file() {
    let w = Workspace::new();
    let wide = Onnx::new()
        .input("x", &[1, 3, 48, 48])
        .conv("x", "a", [3, 16], &weights(1, 16 * 3 * 9))
        .conv("a", "b", [16, 16], &weights(2, 16 * 16 * 9))
        .conv("b", "y", [16, 8], &weights(3, 8 * 16 * 9));
    w.write("wide.onnx", &wide.bytes());
    let args = [
        "convert",
        "wide.onnx",
        "-o",
        "out.oce",
        "--calibrate",
        "synthetic:7",
    ];
    let start = Instant::now();
    w.succeed(&args);
    let whole = start.elapsed();
    let good = w.read("out.oce");
    std::fs::remove_file(w.path("out.oce")).unwrap();

    let mut killed = 0;
    let mut late = 0;
    for step in 0..24 {
        // Most moments lie about the end, where the file is written.
        let share = if step < 6 {
            f64::from(step) / 6.0
        } else {
            0.8 + 0.3 * f64::from(step - 6) / 18.0
        };
        let mut command = ocellus();
        command
            .args(args)
            .current_dir(w.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * share));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            late += 1;
        } else {
            killed += 1;
        }
        let out = w.path("out.oce");
        if out.exists() {
            assert!(
                w.read("out.oce") == good,
                "half a file, killed at {share:.2} of {whole:?}"
            );
            std::fs::remove_file(out).unwrap();
        }
    }
    assert!(
        killed >= 3,
        "{killed} runs were killed and {late} were done before: the moments miss"
    );
    // Whatever they left does not disturb.
    w.succeed(&args);
    assert!(w.read("out.oce") == good);
}

/// Four convolutions, each followed by an activation; `bad` replaces the weights of the third.
fn chain(bad: bool) -> Vec<u8> {
    let mut third = weights(13, 8 * 8 * 9);
    if bad {
        // One output channel of eight, as if its scale were wrong.
        for weight in &mut third[2 * 72..3 * 72] {
            *weight *= 6.0;
        }
    }
    Onnx::new()
        .input("x", &[1, 3, 8, 8])
        .conv("x", "first", [3, 8], &weights(11, 8 * 3 * 9))
        .conv("first", "second", [8, 8], &weights(12, 8 * 8 * 9))
        .conv("second", "third", [8, 8], &third)
        .conv("third", "fourth", [8, 8], &weights(14, 8 * 8 * 9))
        .conv("fourth", "y", [8, 4], &weights(15, 4 * 8 * 9))
        .bytes()
}

#[test]
fn a_comparison_names_the_layer_that_is_wrong() {
    let w = Workspace::new();
    w.write("good.onnx", &chain(false));
    w.write("bad.onnx", &chain(true));
    w.convert("bad.onnx", "bad.oce");
    w.convert("good.onnx", "good.oce");
    for seed in 0..3 {
        w.picture(&format!("{seed}.ppm"), seed);
    }
    let compare = |oce: &'static str| ["compare", "good.onnx", oce, "0.ppm", "1.ppm", "2.ppm"];
    let value = w.json(&compare("bad.oce"));
    // Tensors go by their last node: the activation of the third convolution.
    let suspect = value["suspect"].as_str().unwrap();
    assert!(suspect.starts_with("Relu_5"), "{value}");
    let layers = value["layers"].as_array().unwrap();
    let third = layers
        .iter()
        .find(|layer| layer["name"] == suspect)
        .unwrap();
    assert!(third["lost_db"].as_f64().unwrap() > 20.0, "{value}");
    // The table names it before anything else, and says that the files are not of one model.
    let said = w.succeed(&compare("bad.oce"));
    assert!(
        said.stdout
            .lines()
            .next()
            .unwrap()
            .contains(&format!("`{suspect}`")),
        "{}",
        said.stdout
    );
    assert!(
        said.stderr.contains("made from another file"),
        "{}",
        said.stderr
    );
    // A sound conversion has no suspect.
    let value = w.json(&compare("good.oce"));
    assert_eq!(value["suspect"], serde_json::Value::Null, "{value}");
}
