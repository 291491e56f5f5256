//! How often int8 names the class that float names, on pictures that calibration has not seen.

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{Calibration, Method, Options, Sample, compile};
use ocellus_evaluate::rank;
use ocellus_import::TractReference;
use ocellus_kernels::{Kernels, WithKernels, best, dispatch};

use crate::models::{CALIBRATION_STEP, MOBILENET, RESNET8, Real, Samples, picture_input, say};

struct Scores<'a>(&'a Interpreter, &'a [f32]);

impl WithKernels for Scores<'_> {
    type Output = Vec<f32>;

    fn run<K: Kernels>(self, kernels: K) -> Vec<f32> {
        let Scores(interpreter, values) = self;
        let input = interpreter.quantize_input(0, values);
        let outcome = interpreter
            .run(kernels, &[input], Taps::None)
            .expect("it runs");
        interpreter.assemble(&outcome).swap_remove(0).2
    }
}

/// Pictures measured, and those of the same strongest class.
fn agreement(real: &Real) -> Option<(usize, usize)> {
    let graph = real.graph()?;
    let Samples::Pictures(_, p) = real.samples else {
        panic!("{}: no pictures", real.name());
    };
    let pictures = real.pictures();
    let samples = pictures.iter().step_by(CALIBRATION_STEP).map(|path| {
        let [_, in_file] = picture_input(&graph, path, &p);
        Sample {
            inputs: vec![in_file],
            sha256: None,
        }
    });
    let calibration =
        Calibration::collect(&graph, samples, Method::default(), |_| ()).expect("pictures");
    let compiled =
        compile(&graph, &calibration, &Options::default(), None).expect("it is converted");
    let int8 = Interpreter::new(&compiled.bytes).expect("a sound file");
    let path = real.path()?;
    let float = TractReference::load(&path, &real.options(&path)).expect("tract reads it");
    let strongest = |scores: &[f32]| rank(scores, 1)[0];
    let measured = pictures
        .iter()
        .enumerate()
        .filter(|(i, _)| i % CALIBRATION_STEP != 0);
    let (mut count, mut same) = (0, 0);
    for (_, path) in measured {
        let [values, in_file] = picture_input(&graph, path, &p);
        let ours = dispatch(best(), Scores(&int8, &values)).expect("this machine's best");
        let outputs = float.run(&[&in_file]).expect("tract runs it");
        count += 1;
        same += usize::from(strongest(&ours) == strongest(&outputs[0].values));
    }
    let percent = 100.0 * same as f64 / count as f64;
    say(&format!(
        "{}: int8 and float agree on {same} of {count} pictures, {percent:.2} %",
        real.name()
    ));
    Some((count, same))
}

#[test]
fn resnet_8_agrees_with_float_on_cifar() {
    if let Some((count, same)) = agreement(&RESNET8) {
        assert_eq!(count, 1600);
        assert!(same * 100 >= count * 95, "{same} of {count}");
    }
}

#[test]
fn mobilenet_agrees_with_float_on_imagenet() {
    if let Some((count, same)) = agreement(&MOBILENET) {
        assert_eq!(count, 400);
        assert!(same * 100 >= count * 86, "{same} of {count}");
    }
}
