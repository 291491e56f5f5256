//! `--json`: one object on standard output with the fields that programs rely on.

use serde_json::Value;

use crate::onnx::two_inputs;
use crate::workspace::Workspace;

/// Every one of `fields` is there, and none of them null unless marked with `?`.
fn has(value: &Value, fields: &str) {
    for field in fields.split([' ', '\n']).filter(|field| !field.is_empty()) {
        let name = field.trim_end_matches('?');
        let found = value
            .get(name)
            .unwrap_or_else(|| panic!("no `{name}`: {value}"));
        assert!(
            field.ends_with('?') || !found.is_null(),
            "`{name}` is null: {value}"
        );
    }
}

/// Each entry of a list that must not be empty has `fields`.
fn each_has(value: &Value, list: &str, fields: &str) {
    let rows = value[list]
        .as_array()
        .unwrap_or_else(|| panic!("`{list}` is no list: {value}"));
    assert!(!rows.is_empty(), "`{list}` is empty: {value}");
    for row in rows {
        has(row, fields);
    }
}

#[test]
fn convert() {
    let w = Workspace::new();
    let value = w.json(&[
        "convert",
        "model.onnx",
        "-o",
        "out.oce",
        "--calibrate",
        "synthetic:7",
    ]);
    has(
        &value,
        "model sha256 isa board? model_bytes arena_bytes arena_lower_bound_bytes macs macs_on_simd_share notes arena_region? model_region?",
    );
    each_has(
        &value,
        "layers",
        "name op kernel macs shape constant_bytes live_bytes",
    );
    each_has(
        &value,
        "boards",
        "board fits arena_region model_region why_not?",
    );
    each_has(
        &value,
        "arena_parts",
        "bytes read_bytes written_bytes region?",
    );
    assert_eq!(value["arena_parts"][0]["bytes"], value["arena_bytes"]);
    assert_eq!(value["model_bytes"], w.read("out.oce").len());
    // A 3x3 convolution of 3 into 8 channels and one of 8 into 4, on 8x8 pixels.
    assert_eq!(value["macs"], 64 * 9 * (3 * 8 + 8 * 4));
    let notes = value["notes"].to_string();
    assert!(
        notes.contains("noise") || notes.contains("synthetic"),
        "noise is told: {notes}"
    );
    assert!(
        notes.contains("NCHW"),
        "the layout that was assumed is told: {notes}"
    );
}

#[test]
fn run() {
    let w = Workspace::converted();
    w.picture("p.ppm", 3);
    w.npy("x.npy", &[1, 3, 8, 8], &[0.25; 3 * 8 * 8]);
    for (model, isa) in [("model.oce", None), ("model.onnx", Some("float"))] {
        for input in ["p.ppm", "x.npy", "x=x.npy"] {
            let value = w.json(&["run", model, input, "--outputs", "made"]);
            has(&value, "model board isa outputs");
            each_has(&value, "outputs", "name shape dtype sha256");
            assert_eq!(value["board"], "host");
            assert_eq!(value["outputs"][0]["shape"], serde_json::json!([1, 4]));
            assert!(isa.is_none_or(|isa| value["isa"] == isa), "{value}");
            assert!(
                value.get("classes").is_none() && value.get("detections").is_none(),
                "no recipe, no task: {value}"
            );
        }
    }
    // The file holds the values whose hash was printed.
    let value = w.json(&["run", "model.oce", "p.ppm", "--outputs", "made"]);
    let file = w.read("made/y.npy");
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(
        &file[file.len() - 16..],
    ));
    assert_eq!(value["outputs"][0]["sha256"], hash);
    assert_eq!(value["outputs"][0]["dtype"], "f32");
}

/// What a model reads of a picture gives the same again as an array; a device's is rounded.
#[test]
fn inputs_as_they_are_read() {
    let w = Workspace::converted();
    w.picture("p.ppm", 3);
    let values = ["model.onnx", "model.oce"].map(|model| {
        let hash = |input: &str| {
            let value = w.json(&["run", model, input, "--inputs-read", "read"]);
            value["outputs"][0]["sha256"].clone()
        };
        let of_picture = hash("p.ppm");
        let read = w.read("read/x.npy");
        w.write("x.npy", &read);
        assert_eq!(hash("x.npy"), of_picture, "{model}");
        let array = npyz::NpyFile::new(&read[..]).unwrap();
        assert_eq!(array.shape(), [1, 3, 8, 8], "the file's order of axes");
        array.into_vec::<f32>().unwrap()
    });
    let [float, device] = values;
    assert_ne!(float, device);
    for (a, b) in float.iter().zip(device) {
        assert!((a - b).abs() <= 1.0, "{a} and {b}: a step of 255 / 255");
    }
}

#[test]
fn run_with_a_task() {
    let w = Workspace::new();
    w.write("classes.toml", b"labels = [\"a\", \"b\", \"c\", \"d\"]\n[task]\nkind = \"classify\"\ntop_k = 2\nlogits = true\n");
    w.succeed(&[
        "convert",
        "model.onnx",
        "-o",
        "model.oce",
        "--calibrate",
        "synthetic:7",
        "--recipe",
        "classes.toml",
    ]);
    w.picture("p.ppm", 3);
    for args in [
        &["run", "model.oce", "p.ppm"][..],
        &["run", "model.onnx", "p.ppm", "--recipe", "classes.toml"],
    ] {
        let value = w.json(args);
        each_has(&value, "classes", "class_id label score");
        assert_eq!(value["classes"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn reference_kernels_give_the_same_bytes() {
    let w = Workspace::converted();
    w.picture("p.ppm", 3);
    let best = w.json(&["run", "model.oce", "p.ppm"]);
    let reference = w.json(&["run", "model.oce", "p.ppm", "--isa", "reference"]);
    assert_eq!(reference["isa"], "reference");
    assert_eq!(best["outputs"], reference["outputs"]);
}

#[test]
fn compare() {
    let w = Workspace::converted();
    w.picture("p.ppm", 3);
    let value = w.json(&["compare", "model.onnx", "model.oce", "p.ppm"]);
    has(&value, "float int8 samples worst suspect?");
    each_has(&value, "layers", "name snr_db? lost_db? cosine max_abs");
    assert_eq!(
        (&value["samples"], &value["worst"]),
        (&1.into(), &value["layers"][0]["name"])
    );
    let order: Vec<f64> = value["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|layer| layer["snr_db"].as_f64())
        .collect();
    assert!(order.is_sorted(), "worst first: {order:?}");
}

#[test]
fn evaluate() {
    let w = Workspace::converted();
    for seed in 0..4 {
        w.picture(&format!("data/000{seed}_a.ppm"), seed);
    }
    let value = w.json(&[
        "evaluate",
        "model.oce",
        "--data",
        "data",
        "--against",
        "model.onnx",
    ]);
    has(
        &value,
        "model data task samples skipped metric value value_interval top1 top5 against against_runtime against_value difference agreement agreement_interval agreement_same agreement_of ap50? miou?",
    );
    assert_eq!(
        (&value["samples"], &value["skipped"]),
        (&4.into(), &0.into())
    );
    each_has(&value, "answers", "picture label answer against_answer");
    let answers = value["answers"].as_array().unwrap();
    let same = answers
        .iter()
        .filter(|a| a["answer"] == a["against_answer"]);
    assert_eq!(value["agreement_same"], same.count());
    assert_eq!(answers[3]["label"], 3);
    let value = w.json(&[
        "evaluate",
        "model.onnx",
        "--data",
        "data",
        "--against",
        "model.onnx",
    ]);
    assert_eq!(value["agreement"], 1.0);
    // One folder a class counts the same.
    for seed in 0..4 {
        w.picture(&format!("folders/class{seed}/a.ppm"), seed);
    }
    let folders = w.json(&["evaluate", "model.onnx", "--data", "folders"]);
    assert_eq!(folders["top1"], value["top1"]);
    assert_eq!(folders["agreement"], Value::Null);
}

#[test]
fn inspect() {
    let w = Workspace::converted();
    let value = w.json(&["inspect", "model.oce"]);
    has(
        &value,
        "model board? isa file_isa model_bytes arena_bytes macs macs_on_simd_share source source_sha256 converter options notes calibration_method",
    );
    each_has(&value, "inputs", "name shape");
    each_has(&value, "outputs", "name shape");
    each_has(&value, "layers", "name op kernel macs shape");
    each_has(
        &value,
        "tensors",
        "name shape scale zero_point offset bytes first_step last_step",
    );
    assert_eq!(value["source"], "model.onnx");
    for (board, kernel) in [("qemu-m55", "helium-"), ("qemu-m4", "")] {
        let value = w.json(&["inspect", "model.oce", "--board", board]);
        assert_eq!(value["board"], board);
        let kernels = value["layers"].to_string();
        assert!(kernels.contains(kernel), "{kernels}");
    }
    let float = w.json(&["inspect", "model.onnx"]);
    has(&float, "model opset producer notes passes");
    each_has(&float, "inputs", "name shape");
    each_has(&float, "outputs", "name shape");
    each_has(&float, "layers", "name op shape");
    assert_eq!(
        (&float["opset"], &float["producer"]),
        (&13.into(), &"hand".into())
    );
}

#[test]
fn bench_on_this_machine() {
    let w = Workspace::converted();
    let value = w.json(&["bench", "model.oce", "--board", "host"]);
    let fields = "model board isa macs macs_on_simd_share instructions? estimated_cycles? wall_us load_instructions? verify_instructions? arena_bytes \
                  model_bytes code_bytes? image_bytes? ram_bytes? stack_bytes? against?";
    has(&value, fields);
    each_has(
        &value,
        "layers",
        "name op kernel macs instructions? estimated_cycles? wall_us",
    );
    assert_eq!(value["board"], "host");
    assert!(value["wall_us"].as_f64().unwrap() > 0.0, "{value}");
    let macs: u64 = value["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["macs"].as_u64().unwrap())
        .sum();
    assert_eq!(value["macs"], macs);
}

#[test]
fn bench_against_an_earlier_run() {
    let w = Workspace::converted();
    let bench = ["bench", "model.oce", "--board", "host"];
    w.write("before.json", w.json(&bench).to_string().as_bytes());
    let against = [&bench[..], &["--against", "before.json"]].concat();
    let value = w.json(&against);
    let compared = &value["against"];
    has(
        compared,
        "file model board figures layers only_before only_now",
    );
    assert_eq!(compared["figures"]["arena_bytes"]["ratio"], 1.0);
    assert_eq!(
        compared["layers"].as_array().map(Vec::len),
        value["layers"].as_array().map(Vec::len)
    );
    assert_eq!(compared["only_now"], Value::Array(Vec::new()));
    let said = w.succeed(&against).stdout;
    assert!(said.contains("against before.json"), "{said}");
    w.write("other.json", b"{}");
    let other = [&bench[..], &["--against", "other.json"]].concat();
    w.refused(&other, &["other.json", "bench --json"]);
}

#[test]
fn build_for_this_machine() {
    let w = Workspace::converted();
    let value = w.json(&["build", "model.oce", "--board", "host"]);
    has(
        &value,
        "model board image? operators code_bytes? model_bytes image_bytes? statics_bytes? model_address? model_region?",
    );
}

#[test]
fn without_it_tables_are_for_people() {
    let w = Workspace::converted();
    w.picture("p.ppm", 3);
    for args in [
        &["inspect", "model.oce"][..],
        &["inspect", "model.onnx"],
        &["run", "model.oce", "p.ppm"],
        &["compare", "model.onnx", "model.oce", "p.ppm"],
        &["bench", "model.oce", "--board", "host"],
    ] {
        let said = w.succeed(args);
        assert!(
            !said.stdout.is_empty() && serde_json::from_str::<Value>(&said.stdout).is_err(),
            "{args:?}: {}",
            said.stdout
        );
    }
}

#[test]
fn several_inputs() {
    let w = Workspace::new();
    w.write("two.onnx", &two_inputs().bytes());
    w.convert("two.onnx", "two.oce");
    w.npy("a.npy", &[1, 4], &[0.5, -0.5, 0.25, 0.0]);
    w.npy("b.npy", &[1, 4], &[0.25, 0.5, -0.75, 0.0]);
    let value = w.json(&[
        "run",
        "two.oce",
        "right=b.npy",
        "left=a.npy",
        "--outputs",
        "made",
    ]);
    assert_eq!(value["outputs"][0]["shape"], serde_json::json!([1, 4]));
    let file = w.read("made/y.npy");
    let values: Vec<f32> = file[file.len() - 16..]
        .chunks(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    for (value, expected) in values.iter().zip([0.75, 0.0, -0.5, 0.0]) {
        assert!((value - expected).abs() < 0.03, "{values:?}");
    }
}
