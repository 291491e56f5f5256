//! One file, every board, the same bytes; and each board's own file on it and on the PC.

use std::collections::HashMap;

use ocellus_board_host::{Answer, Job, Step, Variant};
use ocellus_compile::interpret::{Interpreter, Outcome, Taps};
use ocellus_compile::{Compiled, Target};
use ocellus_format::Isa;
use ocellus_kernels::{Kernels, WithKernels, dispatch, is_available};

use crate::fleet::{BOARDS, Member, member};
use crate::graphs;
use crate::models::{
    ANOMALY, ANOMALY_INT8, CENTERFACE, FASTESTDET, KEYWORDS, MOBILENET, Model, ONET, RESNET8,
    RESNET8_TFLITE, Real, ULTRAFACE, VISUAL_WAKE_WORDS, say,
};

/// Larger models run once on a board: the second run, in which everything saturates, would take minutes there and shows nothing that small models do
/// not.
const MACS_OF_ONE_RUN: u64 = 50_000_000;

/// Inputs of one run.
pub(crate) type Inputs = Vec<Vec<i8>>;
/// Outputs of one run.
pub(crate) type Outputs = Vec<Vec<i8>>;

struct Work<'a> {
    interpreter: &'a Interpreter,
    inputs: &'a [Vec<i8>],
    taps: Taps<'a>,
}

impl WithKernels for Work<'_> {
    type Output = Outcome;

    fn run<K: Kernels>(self, kernels: K) -> Outcome {
        self.interpreter
            .run(kernels, self.inputs, self.taps)
            .expect("it runs")
    }
}

/// A run on this machine.
pub(crate) fn here(
    interpreter: &Interpreter,
    isa: Isa,
    inputs: &[Vec<i8>],
    taps: Taps<'_>,
) -> Outcome {
    let work = Work {
        interpreter,
        inputs,
        taps,
    };
    dispatch(isa, work).expect("this machine has it")
}

pub(crate) fn outputs(outcome: Outcome) -> Outputs {
    outcome.outputs.into_iter().map(|o| o.values).collect()
}

/// The first output that differs, in words.
fn difference(expected: &Outputs, actual: &Outputs) -> Option<String> {
    if expected.len() != actual.len() {
        return Some(format!(
            "{} outputs instead of {}",
            actual.len(),
            expected.len()
        ));
    }
    expected
        .iter()
        .zip(actual)
        .enumerate()
        .find_map(|(number, (e, a))| {
            let count = e.iter().zip(a).filter(|(e, a)| e != a).count();
            if count == 0 && e.len() == a.len() {
                return None;
            }
            let at = e
                .iter()
                .zip(a)
                .position(|(e, a)| e != a)
                .unwrap_or(e.len().min(a.len()));
            let (e_at, a_at) = (e.get(at), a.get(at));
            Some(format!(
                "output {number} differs in {count} of {} values, first at {at}: {a_at:?} instead of {e_at:?}",
                e.len()
            ))
        })
}

/// A model file with what its runs have to give.
pub(crate) struct Case<'a> {
    pub(crate) name: String,
    pub(crate) compiled: Compiled,
    pub(crate) interpreter: Interpreter,
    pub(crate) inputs: &'a [Inputs],
    pub(crate) expected: &'a [Outputs],
}

impl Case<'_> {
    /// The name of the first layer whose result is another on the board.
    fn first_different_layer(&self, member: &Member, inputs: &Inputs) -> String {
        let mut job = Job::new(self.compiled.bytes.clone());
        job.steps.push(Step::Load);
        job.steps
            .extend((0..).zip(inputs).map(|(index, data)| Step::Input {
                index,
                data: bytes(data),
            }));
        let names = &self.interpreter.info().tensor_names;
        let numbers = 0..names.len() as u16;
        job.steps.extend(numbers.map(|tensor| Step::Tap { tensor }));
        job.steps.push(Step::Infer { progress: false });
        let reference = here(&self.interpreter, Isa::Reference, inputs, Taps::All);
        let mut taps = HashMap::new();
        for answer in member.run(&job) {
            if let Answer::Inferred { taps: found, .. } = answer {
                taps.extend(found);
            }
        }
        let different = (0_u16..).zip(names).find(|(number, name)| {
            match (taps.get(number), reference.taps.get(*name)) {
                (Some(there), Some(here)) => *there != bytes(&here.values),
                _ => false,
            }
        });
        different.map_or_else(
            || "no layer: all its results are the same".to_owned(),
            |(number, name)| format!("tensor {number}, `{name}`"),
        )
    }

    /// Runs the file on every instruction set of this machine.
    pub(crate) fn agrees_here(&self) {
        for isa in Isa::ALL.into_iter().filter(|&isa| is_available(isa)) {
            for (run, inputs) in self.inputs.iter().enumerate() {
                let actual = outputs(here(&self.interpreter, isa, inputs, Taps::None));
                if let Some(difference) = difference(&self.expected[run], &actual) {
                    panic!(
                        "{} on this machine's {}, run {run}: {difference}",
                        self.name,
                        isa.name()
                    );
                }
            }
        }
    }

    /// Runs the file on a board, and gives where that has put the arena: region and bytes of each part.
    pub(crate) fn agrees_on(&self, member: &Member) -> Vec<(String, u32)> {
        let board = &member.board.name;
        let mut job = Job::new(self.compiled.bytes.clone());
        job.steps = vec![Step::Hello, Step::Load];
        let runs = if self.compiled.report.macs > MACS_OF_ONE_RUN {
            1
        } else {
            self.inputs.len()
        };
        for (inputs, expected) in self.inputs.iter().zip(self.expected).take(runs) {
            job.steps
                .extend((0..).zip(inputs).map(|(index, data)| Step::Input {
                    index,
                    data: bytes(data),
                }));
            job.steps.push(Step::Infer { progress: false });
            job.steps
                .extend((0..).zip(expected).map(|(index, output)| Step::Output {
                    index,
                    len: output.len() as u32,
                }));
        }
        let answers = member.run(&job);
        assert!(
            matches!(&answers[0], Answer::Hello { isa, .. } if isa == member.isa.name()),
            "{board}: {:?}",
            answers[0]
        );
        let arena_bytes = self.compiled.report.arena_bytes as u32;
        let parts = match &answers[1] {
            Answer::Loaded {
                arena_bytes: there,
                parts,
                ..
            } if *there == arena_bytes => parts.clone(),
            answer => panic!(
                "{} on {board}: {answer:?}, planned {arena_bytes} bytes",
                self.name
            ),
        };
        let mut read = answers.into_iter().filter_map(|answer| match answer {
            Answer::Output(bytes) => Some(bytes.into_iter().map(|b| b as i8).collect()),
            Answer::Refused(error) => panic!("{} on {board}: {error:?}", self.name),
            _ => None,
        });
        for (run, expected) in self.expected.iter().enumerate().take(runs) {
            let actual: Outputs = read.by_ref().take(expected.len()).collect();
            if let Some(difference) = difference(expected, &actual) {
                panic!(
                    "{} on {board}, run {run}: {difference}; first in {}",
                    self.name,
                    self.first_different_layer(member, &self.inputs[run])
                );
            }
        }
        parts
    }
}

fn bytes(values: &[i8]) -> Vec<u8> {
    values.iter().map(|&v| v as u8).collect()
}

/// Runs a model's portable file and each board's own on the boards and here. True where the outputs show what the input was: only then does their
/// sameness say something.
#[must_use]
fn same_everywhere(model: &Model, boards: &[&str]) -> bool {
    let portable = model.compiled(Target::Portable);
    let interpreter = Interpreter::new(&portable.bytes).expect("a sound file");
    let inputs = model.inputs(&interpreter);
    let expected: Vec<Outputs> = inputs
        .iter()
        .map(|inputs| outputs(here(&interpreter, Isa::Reference, inputs, Taps::None)))
        .collect();
    for output in expected.iter().flatten() {
        assert!(!output.is_empty(), "{}: an output of nothing", model.name);
    }
    let case = |name: &str, compiled: Compiled| Case {
        name: format!("{}, {name}", model.name),
        interpreter: Interpreter::new(&compiled.bytes).expect("a sound file"),
        compiled,
        inputs: &inputs,
        expected: &expected,
    };
    let portable = case("portable file", portable);
    portable.agrees_here();
    let mut packed: HashMap<Isa, Case<'_>> = HashMap::new();
    for name in boards {
        let member = member(name, Variant::Plain);
        portable.agrees_on(&member);
        let isa = member.packed_for();
        let own = packed.entry(isa).or_insert_with(|| {
            let name = format!("file for {}", isa.name());
            let own = case(&name, model.compiled(Target::Isa(isa)));
            own.agrees_here();
            own
        });
        own.agrees_on(&member);
    }
    expected[0] != expected[1]
}

const EVERYWHERE: [&str; BOARDS.len()] = {
    let mut names = [""; BOARDS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = BOARDS[i].0;
        i += 1;
    }
    names
};

#[test]
fn residual_network() {
    assert!(same_everywhere(&graphs::generated("residual"), &EVERYWHERE));
}

#[test]
fn separable_network() {
    assert!(same_everywhere(
        &graphs::generated("separable"),
        &EVERYWHERE
    ));
}

#[test]
fn detector_network() {
    assert!(same_everywhere(&graphs::generated("detector"), &EVERYWHERE));
}

#[test]
fn mixed_network() {
    assert!(same_everywhere(&graphs::generated("mixed"), &EVERYWHERE));
}

#[test]
fn transformer_network() {
    assert!(same_everywhere(
        &graphs::generated("transformer"),
        &EVERYWHERE
    ));
}

#[test]
fn attention_network() {
    assert!(same_everywhere(
        &graphs::generated("attention"),
        &EVERYWHERE
    ));
}

#[test]
fn random_networks() {
    let count = if is_long() { 40 } else { 6 };
    // A random clip may leave nothing of the input.
    let varied = graphs::random(count)
        .filter(|model| same_everywhere(model, &EVERYWHERE))
        .count();
    assert!(varied * 3 >= count * 2, "{varied} of {count}");
}

/// Whether the long form was asked for.
fn is_long() -> bool {
    std::env::var_os("OCELLUS_LONG").is_some_and(|value| value == "1")
}

/// A real model on the boards of the gate, or of the long form.
fn real(real: &Real, gate: &[&str]) {
    let boards = if is_long() { &EVERYWHERE[..] } else { gate };
    if boards.is_empty() {
        say(&format!(
            "SKIPPED {}: runs in the long form, OCELLUS_LONG=1",
            real.name()
        ));
        return;
    }
    if let Some(model) = real.model() {
        assert!(same_everywhere(&model, boards));
    }
}

#[test]
fn resnet_8() {
    real(&RESNET8, &EVERYWHERE);
}

#[test]
fn visual_wake_words() {
    real(&VISUAL_WAKE_WORDS, &EVERYWHERE);
}

#[test]
fn keyword_spotting() {
    real(&KEYWORDS, &EVERYWHERE);
}

#[test]
fn anomaly_detection() {
    real(&ANOMALY, &EVERYWHERE);
}

/// TensorFlow Lite files: one with its own scales, one of floats.
#[test]
fn anomaly_detection_of_tflite() {
    real(&ANOMALY_INT8, &EVERYWHERE);
}

#[test]
fn resnet_8_of_tflite() {
    real(&RESNET8_TFLITE, &["host", "qemu-m4"]);
}

#[test]
fn mobilenet_v1() {
    real(&MOBILENET, &EVERYWHERE);
}

#[test]
fn ultraface() {
    real(
        &ULTRAFACE,
        &["host", "qemu-a53", "qemu-a76", "qemu-max", "qemu-m55"],
    );
}

#[test]
fn fastestdet() {
    real(&FASTESTDET, &["host", "qemu-a53", "qemu-a76", "qemu-max"]);
}

#[test]
fn centerface() {
    real(&CENTERFACE, &[]);
}

#[test]
fn o_net() {
    real(&ONET, &[]);
}
