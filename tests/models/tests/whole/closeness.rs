//! How far the integers of generated networks are from their floats, on noise like that of their calibration.

use ocellus_compile::Target;
use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_evaluate::LayerError;
use ocellus_format::Isa;
use ocellus_ir::random::Random;
use ocellus_ir::{BorderType, Executor};

use crate::graphs;
use crate::identity::here;

const SAMPLES: u64 = 8;
/// Enough that little of what is measured lies beyond the ranges.
const CALIBRATION_SAMPLES: usize = 64;

/// Signal to noise of all real outputs over some samples, in decibels.
fn signal_to_noise_db(name: &str) -> f64 {
    let model = graphs::generated_on(name, CALIBRATION_SAMPLES);
    let compiled = model.compiled(Target::Portable);
    let interpreter = Interpreter::new(&compiled.bytes).expect("a sound file");
    let graph = &model.graph;
    let mut executor = Executor::new(graph).expect("a sound graph");
    let mut error = LayerError::new(name);
    for seed in 0..SAMPLES {
        let random = &mut Random::new(500 + seed);
        let inputs: Vec<Vec<f32>> = graph
            .inputs
            .iter()
            .map(|input| random.values(graph.tensor(input.tensor).len()))
            .collect();
        let given: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let floats = executor.run(&given, &mut |_, _| ()).expect("it runs");
        let integers: Vec<Vec<i8>> = (0..)
            .zip(&inputs)
            .map(|(position, values)| interpreter.quantize_input(position, values))
            .collect();
        let outcome = here(&interpreter, Isa::Reference, &integers, Taps::None);
        let outputs = graph.outputs.iter().zip(floats);
        for ((output, float), (_, _, int8)) in outputs.zip(interpreter.assemble(&outcome)) {
            if output.border == BorderType::F32 {
                error.add(&float, &int8);
            }
        }
    }
    error.snr_db()
}

#[test]
fn attention_in_int8_is_close_to_float() {
    for name in ["transformer", "attention", "separable"] {
        let db = signal_to_noise_db(name);
        println!("{name}: {db:.1} dB");
        assert!(db > 30.0, "{name}: {db:.1} dB");
    }
}
