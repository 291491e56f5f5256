//! Damaged files: never a panic, always a graph that passes its checks or an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ocellus_import::{ImportOptions, import_onnx_bytes};
use ocellus_ir::random::Random;
use tract_onnx::pb::tensor_proto::DataType;

use crate::file::{File, int, integers, ints};

const ROUNDS: usize = 6000;
const SEED: u64 = 20261123;

/// A file with many operators, so that damage meets many importers.
fn victim() -> Vec<u8> {
    File::new(13, &[1, 3, 6, 6])
        .random("w", &[4, 3, 3, 3])
        .random("b", &[4])
        .random("s", &[4])
        .reals("v", &[4], &[1.0; 4])
        .reals("up", &[4], &[1.0, 1.0, 2.0, 2.0])
        .random("t", &[4, 2, 2, 2])
        .list("pads", &[0, 0, 1, 0, 0, 0, 0, 1])
        .list("axis", &[0])
        .list("flat", &[1, -1])
        .store(integers("q", DataType::Int8, &[32, 2], &[3; 64]))
        .reals("qs", &[2], &[0.5, 0.25])
        .node(
            "Conv",
            &["x", "w", "b"],
            &["a"],
            vec![ints("strides", &[2, 1]), ints("pads", &[1, 1, 0, 1])],
        )
        .node(
            "BatchNormalization",
            &["a", "s", "b", "b", "v"],
            &["n"],
            vec![],
        )
        .node("PRelu", &["n", "slope"], &["p"], vec![])
        .random("slope", &[4, 1, 1])
        .node("Pad", &["p", "pads"], &["padded"], vec![])
        .node(
            "MaxPool",
            &["padded"],
            &["m"],
            vec![
                ints("kernel_shape", &[2, 2]),
                ints("strides", &[2, 2]),
                int("ceil_mode", 1),
            ],
        )
        .node("Resize", &["m", "", "up"], &["r"], vec![])
        .node(
            "ConvTranspose",
            &["m", "t"],
            &["d"],
            vec![ints("strides", &[2, 2])],
        )
        .node("Split", &["r"], &["r1", "r2"], vec![int("axis", 1)])
        .node("Add", &["r1", "d"], &["sum"], vec![])
        .node("Slice", &["sum", "axis", "ends", "axis"], &["cut"], vec![])
        .list("ends", &[1])
        .node("Concat", &["cut", "r2"], &["c"], vec![int("axis", 1)])
        .node("Shape", &["c"], &["shape"], vec![])
        .node("Gather", &["shape", "axis"], &["batch"], vec![])
        .node("ReduceMean", &["c"], &["mean"], vec![ints("axes", &[1])])
        .node("Reshape", &["mean", "flat"], &["row"], vec![])
        .node(
            "DequantizeLinear",
            &["q", "qs"],
            &["dq"],
            vec![int("axis", 1)],
        )
        .node("MatMul", &["row", "dq"], &["logits"], vec![])
        .node("Softmax", &["logits"], &["y"], vec![])
        .bytes()
}

#[test]
fn the_whole_file_is_good() {
    let imported = import_onnx_bytes("victim.onnx", &victim(), &ImportOptions::default());
    assert_eq!(imported.unwrap().graph.outputs[0].shape, [1, 2]);
}

#[test]
fn no_damage_causes_a_panic() {
    let whole = victim();
    let mut random = Random::new(SEED);
    let mut refused = 0;
    for round in 0..ROUNDS {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(6) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.below(256) as u8,
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                3 => bytes.truncate(at.max(1)),
                4 => {
                    let end = (at + random.below(16)).min(bytes.len());
                    bytes.drain(at..end);
                    if bytes.is_empty() {
                        bytes.push(0);
                    }
                }
                _ => {
                    let end = (at + random.below(16)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    let to = random.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        let import = || import_onnx_bytes("damaged.onnx", &bytes, &ImportOptions::default());
        match catch_unwind(AssertUnwindSafe(import)) {
            Ok(Ok(imported)) => imported.graph.verify().unwrap(),
            Ok(Err(error)) => {
                refused += 1;
                assert!(!error.to_string().contains('\n'), "round {round}: {error}");
            }
            Err(_) => panic!("round {round} of seed {SEED} panicked"),
        }
    }
    assert!(
        refused > ROUNDS / 2,
        "only {refused} of {ROUNDS} damaged files were refused"
    );
}

/// A few hundred bytes that ask for gigabytes are refused before they have them.
#[test]
fn small_files_do_not_ask_for_much_memory() {
    let file = || File::new(17, &[1, 1, 1, 1]);
    let sum = |file: File| file.node("Add", &["x", "e"], &["y"], vec![]);
    // Sizes that other nodes make, each within the limit of a tensor: a budget holds them together.
    let doubled = (0..40).fold(
        file()
            .reals("c", &[1], &[1.0])
            .list("s", &[4000, 1000])
            .node("Expand", &["c", "s"], &["e0"], vec![]),
        |file, i| {
            let (from, to) = (format!("e{i}"), format!("e{}", i + 1));
            file.node("Add", &[&from, &from], &[&to], vec![])
        },
    );
    let files = [
        doubled.node("Add", &["x", "e40"], &["y"], vec![]),
        sum(file()
            .reals("a", &[20_000, 1], &[1.0; 20_000])
            .reals("b", &[1, 20_000], &[1.0; 20_000])
            .node("MatMul", &["a", "b"], &["e"], vec![])),
        sum(file()
            .reals("c", &[1, 1], &[1.0])
            .list("p", &[8000, 8000, 8000, 8000])
            .node("Pad", &["c", "p"], &["e"], vec![])),
        sum(file()
            .reals("c", &[1, 1, 2, 2], &[1.0; 4])
            .list("s", &[1, 1, 16_000, 16_000])
            .node("Resize", &["c", "", "", "s"], &["e"], vec![])),
        sum(file()
            .reals("c", &[1, 1000], &[1.0; 1000])
            .list("s", &[60_000, 100])
            .node("Tile", &["c", "s"], &["e"], vec![])),
        sum(file()
            .list("s", &[8000, 8000])
            .node("ConstantOfShape", &["s"], &["e"], vec![])),
    ];
    for file in files {
        let error = import_onnx_bytes("small.onnx", &file.bytes(), &ImportOptions::default())
            .expect_err("it asks for more than 2^25 elements")
            .to_string();
        assert!(error.contains("elements"), "{error}");
    }
}
