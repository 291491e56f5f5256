//! How close a model file comes to the float graph that it was made of.

use ocellus_compile::Sample;
use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_ir::{Executor, Graph};
use ocellus_kernels::Reference;

/// Signal to noise of the first input's only output, in decibels.
pub(crate) fn decibels(graph: &Graph, bytes: &[u8], samples: &[Sample]) -> f64 {
    let interpreter = Interpreter::new(bytes).unwrap();
    let mut executor = Executor::new(graph).unwrap();
    let (mut signal, mut noise) = (0f64, 0f64);
    for sample in samples {
        let float = executor.run(&[&sample.inputs[0]], &mut |_, _| {}).unwrap();
        let input = interpreter.quantize_input(0, &sample.inputs[0]);
        let outcome = interpreter.run(Reference, &[input], Taps::None).unwrap();
        let (_, _, values) = interpreter.assemble(&outcome).pop().unwrap();
        for (got, want) in values.iter().zip(&float[0]) {
            signal += f64::from(*want).powi(2);
            noise += f64::from(got - want).powi(2);
        }
    }
    10.0 * libm::log10(signal / noise)
}
