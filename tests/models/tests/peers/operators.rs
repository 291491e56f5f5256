//! Every operator that is imported, in float and in the two quantized schemes.

use std::path::Path;

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{Calibration, Method, Options, compile};
use ocellus_data::Array;
use ocellus_import::{ImportOptions, import_bytes};
use ocellus_ir::{BorderType, Executor, Graph, Op, Output, View, eval};

use ocellus_kernels::{Kernels, WithKernels, best, dispatch};

use crate::vectors::{Case, read};

/// LiteRT's cases.
pub(crate) fn cases() -> Vec<Case> {
    of("litert_operators.npz")
}

fn of(file: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    read(&folder.join(file))
}

/// The graph of a case, as it is imported and after the passes.
pub(crate) fn graphs(case: &Case) -> [Graph; 2] {
    let format = match case.model.get(4..8) {
        Some(b"TFL3") => "tflite",
        _ => "onnx",
    };
    let name = format!("{}.{format}", case.name);
    let imported = import_bytes(&name, &case.model, &ImportOptions::default());
    let graph = imported.unwrap_or_else(|error| panic!("{error}")).graph;
    let mut optimized = graph.clone();
    ocellus_ir::optimize(&mut optimized, &ocellus_ir::Options::default())
        .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    [graph, optimized]
}

/// The numbers that a user of the model gets: of a quantized output the integers.
pub(crate) fn as_the_user_sees(graph: &Graph, output: &Output, values: &[f32]) -> Vec<f32> {
    let above = match output.border {
        BorderType::F32 | BorderType::S32 | BorderType::S64 => return values.to_vec(),
        BorderType::U8 => 128,
        BorderType::S8 => 0,
    };
    let first = output.assembly.tensors()[0];
    let grid = graph.tensor(first).grid.as_ref();
    let grid = grid.unwrap_or_else(|| panic!("{}: no scale", output.name));
    let zero_point = (grid.zero_point + above) as f32;
    let integer = |v: &f32| (v / grid.scale()).round_ties_even() + zero_point;
    values.iter().map(integer).collect()
}

/// The largest difference, in steps of the output, or relative to the larger of 1 and the number in float.
fn worst(ours: &[f32], theirs: &Array, border: BorderType) -> f32 {
    let theirs = theirs.values.to_f32();
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.iter().zip(&theirs);
    pairs
        .map(|(a, b)| match border {
            BorderType::F32 => (a - b).abs() / b.abs().max(1.0),
            _ => (a - b).abs(),
        })
        .fold(0.0, |worst: f32, off| match off.is_nan() {
            true => f32::INFINITY,
            false => worst.max(off),
        })
}

/// How far an operator may be from its peer: an integer kernel one step, a function by table two.
fn allowed(name: &str, border: BorderType) -> f32 {
    let table = [
        "softmax",
        "log_softmax",
        "logistic",
        "sigmoid",
        "tanh",
        "swish",
        "hard_swish",
        "squared_difference",
    ];
    match border {
        BorderType::F32 => 2e-6,
        _ if table.iter().any(|word| name.starts_with(word)) => 2.0,
        _ => 1.0,
    }
}

#[test]
fn the_graph_computes_what_litert_computes() {
    let cases = cases();
    assert!(cases.len() >= 150, "{} cases", cases.len());
    graphs_agree(&cases);
}

#[test]
fn the_graph_computes_what_onnx_runtime_computes() {
    let cases = of("onnx_runtime_operators.npz");
    assert!(cases.len() >= 130, "{} cases", cases.len());
    graphs_agree(&cases);
}

fn graphs_agree(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        for (graph, stage) in graphs(case).iter().zip(["imported", "optimized"]) {
            let inputs: Vec<Vec<f32>> = case.inputs.iter().map(|x| x.values.to_f32()).collect();
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let mut executor = Executor::new(graph).expect("a sound graph");
            let results = executor.run(&inputs, &mut |_, _| ()).expect("it runs");
            assert_eq!(results.len(), case.outputs.len(), "{}", case.name);
            for ((output, values), theirs) in graph.outputs.iter().zip(&results).zip(&case.outputs)
            {
                assert_eq!(output.shape, theirs.shape, "{} {stage}", case.name);
                let ours = as_the_user_sees(graph, output, values);
                let off = worst(&ours, theirs, output.border);
                if off > allowed(&case.name, output.border) {
                    wrong.push(format!("{} {stage}: off by {off}", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Run<'a>(&'a Interpreter, &'a [Vec<i8>]);

impl WithKernels for Run<'_> {
    /// Integers, and the real numbers that they stand for.
    type Output = (Vec<Vec<i8>>, Vec<Vec<f32>>);

    fn run<K: Kernels>(self, kernels: K) -> Self::Output {
        let Run(interpreter, inputs) = self;
        let outcome = interpreter
            .run(kernels, inputs, Taps::None)
            .expect("it runs");
        let real = interpreter.assemble(&outcome).into_iter();
        (
            interpreter.assemble_quantized(&outcome),
            real.map(|(_, _, values)| values).collect(),
        )
    }
}

/// What the device makes of what a quantized file takes, as the file hands it out.
pub(crate) fn on_the_device(
    interpreter: &Interpreter,
    graph: &Graph,
    inputs: &[Vec<f32>],
) -> Vec<Vec<f32>> {
    let inputs: Vec<Vec<i8>> = graph
        .inputs
        .iter()
        .zip(inputs)
        .enumerate()
        .map(|(position, (input, data))| {
            let order = input.order.clone();
            let view = View {
                shape: &input.shape,
                data,
            };
            let values = eval(&Op::Transpose { order }, None, &[view]).expect("its own axes");
            match above_s8(input.border) {
                Some(above) => values.iter().map(|v| (v - above) as i8).collect(),
                None => interpreter.quantize_input(position, &values),
            }
        })
        .collect();
    let (integers, reals) =
        dispatch(best(), Run(interpreter, &inputs)).expect("this machine's best");
    let outputs = graph.outputs.iter().zip(integers.iter().zip(reals));
    outputs
        .map(|(output, (integers, real))| match above_s8(output.border) {
            Some(above) => integers.iter().map(|&q| f32::from(q) + above).collect(),
            None => real,
        })
        .collect()
}

/// What a file's integers are above the device's; `None` where the file has real numbers.
fn above_s8(border: BorderType) -> Option<f32> {
    match border {
        BorderType::U8 => Some(128.0),
        BorderType::S8 => Some(0.0),
        _ => None,
    }
}

/// A quantized file becomes a device's without samples: its scales are its own.
pub(crate) fn compiled(name: &str, graph: &Graph) -> Result<Interpreter, String> {
    let calibration = Calibration::new(graph, Method::default());
    let compiled = compile(graph, &calibration, &Options::default(), None)
        .map_err(|error| format!("{name}: {error}"))?;
    Interpreter::new(&compiled.bytes).map_err(|error| format!("{name}: {error}"))
}

#[test]
fn the_device_computes_what_litert_computes() {
    let mut cases = cases();
    cases.retain(|case| !case.name.ends_with("_float"));
    assert!(cases.len() >= 60, "{} cases", cases.len());
    devices_agree(&cases);
}

#[test]
fn the_device_computes_what_onnx_runtime_computes() {
    devices_agree(&of("onnx_runtime_operators.npz"));
}

fn devices_agree(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        let [_, graph] = graphs(case);
        let interpreter = match compiled(&case.name, &graph) {
            Ok(interpreter) => interpreter,
            Err(error) => {
                wrong.push(error);
                continue;
            }
        };
        let inputs: Vec<Vec<f32>> = case.inputs.iter().map(|x| x.values.to_f32()).collect();
        let results = on_the_device(&interpreter, &graph, &inputs);
        for ((output, ours), theirs) in graph.outputs.iter().zip(&results).zip(&case.outputs) {
            let off = worst(ours, theirs, output.border);
            if off > allowed(&case.name, output.border) {
                wrong.push(format!("{}: off by {off}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
