//! Constant channels cost nothing, and leaving them out of an already quantized model changes no byte of its output.

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{Calibration, Compiled, Method, Options, compile};
use ocellus_import::{ImportOptions, import};
use ocellus_ir::passes::Checking;
use ocellus_ir::random::Random;
use ocellus_kernels::Reference;

use crate::models::data_folder;

/// Half of its channels are constant.
const VISUAL_WAKE_WORDS: [&str; 2] = ["vww_96_int8.tflite", "vww_96_qdq.onnx"];

fn converted(file: &str, disabled: &[&str]) -> Option<Compiled> {
    let path = data_folder(file)?.join("models/mlperf_tiny").join(file);
    let mut graph = import(&path, &ImportOptions::default())
        .unwrap_or_else(|error| panic!("{error}"))
        .graph;
    let options = ocellus_ir::Options {
        disabled: disabled.iter().map(|&name| name.to_owned()).collect(),
        checking: Checking::Each,
        samples: Vec::new(),
    };
    ocellus_ir::optimize(&mut graph, &options).unwrap_or_else(|error| panic!("{file}: {error}"));
    let calibration = Calibration::new(&graph, Method::default());
    let compiled = compile(&graph, &calibration, &Options::default(), None);
    Some(compiled.unwrap_or_else(|error| panic!("{file}: {error}")))
}

#[test]
fn constant_channels_of_a_quantized_model_go_without_a_trace() {
    for file in VISUAL_WAKE_WORDS {
        let without = converted(file, &["dead-channels"]);
        let (Some(with), Some(without)) = (converted(file, &[]), without) else {
            return;
        };
        let (few, many) = (with.report.macs, without.report.macs);
        assert!(
            few < 3_750_000 && many > 7_480_000,
            "{file}: {few} and {many}"
        );
        let [with, without] = [&with, &without].map(|compiled| {
            Interpreter::new(&compiled.bytes).unwrap_or_else(|error| panic!("{file}: {error}"))
        });
        for seed in 0..8 {
            let random = &mut Random::new(seed);
            // From almost black to all colours.
            let limit = 1 << (seed + 1);
            let picture: Vec<i8> = (0..96 * 96 * 3)
                .map(|_| (random.below(limit) as u8 ^ 0x80) as i8)
                .collect();
            let run = |interpreter: &Interpreter| {
                interpreter
                    .run(Reference, std::slice::from_ref(&picture), Taps::None)
                    .unwrap_or_else(|error| panic!("{file}: {error}"))
                    .outputs
            };
            assert_eq!(run(&with), run(&without), "{file}, seed {seed}");
        }
    }
}
