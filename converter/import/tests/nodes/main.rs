//! ONNX's own tests of its operators, those of every operator that the importer has: float against their results, int8 against float.
//!
//! The tests come out of PyPI's `onnx`, pinned by its SHA-256. They hand every tensor over as an input; what an exporter stores is a constant here. Of
//! each case the first of these forms that is imported counts:
//!
//! - `computed`: inputs of real numbers are the model's, all others constants;
//! - `first`: the first input is the model's, all others constants;
//! - `constants`: all inputs are constants, and the result, as real numbers, is added to an input of zeros: what the importer itself computes.
//!
//! `table.txt` has a line for every case: the form and what became of int8, or the refusal. A case that changes its line is an error, for better or
//! worse; the message shows what to write.

mod bounds;
mod cases;

use std::collections::BTreeSet;
use std::path::Path;

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{Calibration, Method, Options, Sample, compile};
use ocellus_import::{ImportOptions, Imported, import_onnx_bytes, supported_operators};
use ocellus_ir::random::Random;
use ocellus_ir::{BorderType, Executor, Graph, Output, optimize};
use ocellus_kernels::Reference;

use cases::{Case, Form, Prepared};

/// Why the package has no case of an operator.
const ONNX_RUNTIMES_OWN: &str = "ONNX Runtime's own operator: tests/import/qlinear.rs";

/// Operators without a case that passes, and why.
const WITHOUT_CASE: &[(&str, &str)] = &[
    (
        "GlobalLpPool",
        "the package has none: tests/import/breadth.rs",
    ),
    (
        "LRN",
        "the package's have a batch of 5: tests/import/breadth.rs",
    ),
    (
        "LayerNormalization",
        "each reads its statistics too: tests/import/computed.rs",
    ),
    (
        "LpNormalization",
        "the package has none: tests/import/breadth.rs",
    ),
    ("QGemm", ONNX_RUNTIMES_OWN),
    ("QLinearAdd", ONNX_RUNTIMES_OWN),
    ("QLinearAveragePool", ONNX_RUNTIMES_OWN),
    ("QLinearConcat", ONNX_RUNTIMES_OWN),
    ("QLinearGlobalAveragePool", ONNX_RUNTIMES_OWN),
    ("QLinearLeakyRelu", ONNX_RUNTIMES_OWN),
    ("QLinearMul", ONNX_RUNTIMES_OWN),
    ("QLinearSigmoid", ONNX_RUNTIMES_OWN),
    ("QLinearSoftmax", ONNX_RUNTIMES_OWN),
];

/// Cases, by the start of their name, whose results in the package are wrong, and why.
const WRONG_IN_THE_PACKAGE: &[(&str, &str)] = &[
    (
        "qlinearmatmul_2D_int8",
        "its result wraps around instead of saturating; later versions say -128",
    ),
    (
        "qlinearmatmul_3D_int8",
        "its result wraps around instead of saturating; later versions say -128",
    ),
];

/// Samples of noise around the test's own input, for calibration.
const NOISY_SAMPLES: usize = 3;

#[test]
fn every_claimed_operator_gives_the_results_of_its_node_tests() {
    let claimed: BTreeSet<&str> = supported_operators()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let mut lines = Vec::new();
    let mut passed = BTreeSet::new();
    for case in cases::all() {
        if !case
            .operators()
            .iter()
            .all(|op| claimed.contains(op.as_str()))
        {
            continue;
        }
        let verdict = judge(&case);
        if !verdict.starts_with("refused") && !verdict.starts_with("left out") {
            passed.extend(case.operators());
        }
        lines.push(format!("{}: {verdict}", case.name));
    }
    lines.sort();
    compare_with_table(&lines);
    let without: BTreeSet<&str> = WITHOUT_CASE.iter().map(|(name, _)| *name).collect();
    let wrong: Vec<&str> = claimed
        .into_iter()
        .filter(|operator| passed.contains(*operator) == without.contains(operator))
        .collect();
    assert!(
        wrong.is_empty(),
        "each needs a case that passes or a reason in WITHOUT_CASE, and not both: {wrong:?}"
    );
}

/// The lines of the table that is stored must be these.
fn compare_with_table(lines: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nodes/table.txt");
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let stored: Vec<&str> = stored.lines().collect();
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("table.txt");
    std::fs::write(&new, lines.join("\n") + "\n").unwrap();
    let mut different = Vec::new();
    for line in lines.iter().filter(|line| !stored.contains(&line.as_str())) {
        different.push(format!("+ {line}"));
    }
    for line in stored
        .iter()
        .filter(|line| !lines.iter().any(|l| l == *line))
    {
        different.push(format!("- {line}"));
    }
    assert!(
        different.is_empty(),
        "tests/nodes/table.txt is not what the cases give; if the change is meant, copy {}:\n{}",
        new.display(),
        different.join("\n")
    );
}

/// What becomes of a case, in one line; a wrong result is a panic.
fn judge(case: &Case) -> String {
    let mut wrong = WRONG_IN_THE_PACKAGE.iter();
    if let Some((_, why)) = wrong.find(|(start, _)| case.name.starts_with(start)) {
        return format!("left out: {why}");
    }
    let mut refusal = String::new();
    for form in [Form::Computed, Form::First, Form::Constants] {
        let Some(prepared) = case.prepare(form) else {
            continue;
        };
        match import_onnx_bytes("case.onnx", &prepared.bytes, &ImportOptions::default()) {
            Ok(imported) => return run(case, form, &prepared, imported),
            // An exporter's form is the first input alone.
            Err(error) if refusal.is_empty() || form == Form::First => {
                refusal = error.to_string().replace("reading case.onnx: ", "");
            }
            Err(_) => {}
        }
    }
    match refusal.as_str() {
        "" => "left out: tensors of a type, or of no elements, that the harness does not make"
            .to_owned(),
        refusal => format!("refused: {refusal}"),
    }
}

fn run(case: &Case, form: Form, prepared: &Prepared, imported: Imported) -> String {
    let mut graph = imported.graph;
    optimize(&mut graph, &ocellus_ir::Options::default())
        .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let inputs: Vec<&[f32]> = prepared.inputs.iter().map(Vec::as_slice).collect();
    let results = Executor::new(&graph)
        .unwrap()
        .run(&inputs, &mut |_, _| {})
        .unwrap();
    // Outputs that are constant in this form are left out.
    let computed = |name: &String| graph.outputs.iter().any(|output| output.name == *name);
    let expected = prepared.names.iter().zip(&prepared.outputs);
    let expected: Vec<_> = expected.filter(|(name, _)| computed(name)).collect();
    assert_eq!(results.len(), expected.len(), "{}", case.name);
    for ((result, (_, expected)), output) in results.iter().zip(expected).zip(&graph.outputs) {
        assert_eq!(output.shape, expected.shape, "{}: shape", case.name);
        let finite = expected.values.iter().filter(|v| v.is_finite());
        let peak = finite.fold(1.0f32, |peak, v| peak.max(v.abs()));
        let result = in_file_numbers(&graph, output, result);
        for (i, (&a, &b)) in result.iter().zip(&expected.values).enumerate() {
            assert!(
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-4 * peak,
                "{}: element {i} is {a}, not {b}",
                case.name
            );
        }
    }
    if form == Form::Constants {
        return form.name().to_owned();
    }
    let int8 = quantized(case, &graph, prepared, &results);
    format!("{}, {int8}", form.name())
}

/// An output as the file has it: where that is 8-bit numbers, those and not what they stand for.
fn in_file_numbers(graph: &Graph, output: &Output, values: &[f32]) -> Vec<f32> {
    let grid = output
        .assembly
        .tensors()
        .first()
        .and_then(|id| graph.tensor(*id).grid.as_ref());
    let offset = match output.border {
        BorderType::F32 | BorderType::S32 | BorderType::S64 => None,
        BorderType::U8 => Some(128),
        BorderType::S8 => Some(0),
    };
    match (grid, offset) {
        (Some(grid), Some(offset)) => {
            let zero = (grid.zero_point + offset) as f32;
            values
                .iter()
                .map(|v| (v / grid.scale()).round() + zero)
                .collect()
        }
        _ => values.to_vec(),
    }
}

/// The integer model against float, within the bound.
fn quantized(case: &Case, graph: &Graph, prepared: &Prepared, results: &[Vec<f32>]) -> String {
    let mut random = Random::new(case.name.len() as u64);
    let mut samples = vec![prepared.inputs.clone()];
    for _ in 0..NOISY_SAMPLES {
        samples.push(
            prepared
                .inputs
                .iter()
                .map(|values| {
                    let peak = values.iter().fold(0.0f32, |peak, v| peak.max(v.abs()));
                    values
                        .iter()
                        .map(|v| v + 0.01 * peak * random.value())
                        .collect()
                })
                .collect(),
        );
    }
    let samples = samples.into_iter().map(|inputs| Sample {
        inputs,
        sha256: None,
    });
    let calibration = match Calibration::collect(graph, samples, Method::MinMax, |_| {}) {
        Ok(calibration) => calibration,
        Err(error) => return format!("int8 refused: {error}"),
    };
    let options = Options::default();
    let compiled = match compile(graph, &calibration, &options, None) {
        Ok(compiled) => compiled,
        Err(error) => return format!("int8 refused: {error}"),
    };
    let interpreter = Interpreter::new(&compiled.bytes).unwrap();
    let inputs: Vec<Vec<i8>> = graph
        .inputs
        .iter()
        .zip(&prepared.inputs)
        .enumerate()
        .map(|(i, (input, values))| {
            interpreter.quantize_input(i, &bounds::in_graph_order(input, values))
        })
        .collect();
    let outcome = interpreter.run(Reference, &inputs, Taps::None).unwrap();
    let Some(bounds) = bounds::of_outputs(graph, &compiled.quantization, &prepared.inputs) else {
        return "int8 without a bound".to_owned();
    };
    for ((_, _, values), (expected, bound)) in interpreter
        .assemble(&outcome)
        .iter()
        .zip(results.iter().zip(&bounds))
    {
        for (i, (got, (want, bound))) in values.iter().zip(expected.iter().zip(bound)).enumerate() {
            assert!(
                (got - want).abs() <= *bound,
                "{}: int8 gives {got} at {i}, float {want}, bound {bound}",
                case.name
            );
        }
    }
    "int8".to_owned()
}
