//! Every operator of the graph, from float to a model file that the engine runs: within a bound that follows from the rounding of each rule.
//!
//! Inputs are multiples of 1/64 from -2 to 127/64, both ends present, so they are exact in `s8`; what is left is the error of the operator.

mod cases;
mod computed;
mod functions;

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{
    Calibration, CompileError, Method, Options, Passes, Sample, Target, compile,
};
use ocellus_format::Isa;
use ocellus_ir::random::Random;
use ocellus_ir::{BinaryOp, BorderType, Executor, Graph, Op, TensorId, UnaryOp};
use ocellus_kernels::Reference;

use cases::*;

fn all_cases() -> impl Iterator<Item = Case> {
    cases::cases().into_iter().chain(functions::cases())
}

struct Ready {
    graph: Graph,
    samples: Vec<Vec<Vec<f32>>>,
    calibration: Calibration,
}

fn ready(case: &Case) -> Ready {
    let mut random = Random::new(case.name.len() as u64 * 1000 + 17);
    let mut graph = Graph::default();
    let inputs: Vec<TensorId> = case
        .shapes
        .iter()
        .enumerate()
        .map(|(i, shape)| graph.add_input(format!("x{i}"), shape.to_vec(), BorderType::F32))
        .collect();
    let output = (case.build)(&mut graph, &inputs, &mut random);
    graph.add_output("y", output, BorderType::F32);
    graph.verify().unwrap();
    let samples: Vec<Vec<Vec<f32>>> = (0..4)
        .map(|_| {
            case.shapes
                .iter()
                .map(|shape| input_values(shape.iter().product(), &mut random))
                .collect()
        })
        .collect();
    let given = samples.iter().map(|inputs| Sample {
        inputs: inputs.clone(),
        sha256: None,
    });
    let calibration = Calibration::collect(&graph, given, Method::MinMax, |_| {}).unwrap();
    Ready {
        graph,
        samples,
        calibration,
    }
}

fn options(target: Target) -> Options {
    let passes = Passes {
        bias_correction: false,
        ..Passes::default()
    };
    Options {
        target,
        passes,
        ..Options::default()
    }
}

/// The largest sum over a layer's channels of what rounding of weights and bias can add: inputs are at most 2.
fn layer_slack(graph: &Graph) -> f32 {
    let node = graph.nodes.last().unwrap();
    let (taps, values, out_c): (usize, &[f32], usize) = match &node.op {
        Op::Binary(_) => {
            let c = node
                .inputs
                .iter()
                .find_map(|id| graph.tensor(*id).value.as_deref())
                .unwrap();
            (1, c, c.len())
        }
        _ => {
            let w = graph.tensor(node.inputs[1]);
            (
                w.len() / w.shape[0],
                w.value.as_deref().unwrap(),
                w.shape[0],
            )
        }
    };
    let reciprocal = matches!(node.op, Op::Binary(BinaryOp::Div));
    (0..out_c)
        .map(|oc| {
            let row = &values[oc * taps..(oc + 1) * taps];
            let largest = row.iter().fold(0f32, |l, w| {
                l.max(if reciprocal { w.recip().abs() } else { w.abs() })
            });
            let scale = if matches!(node.op, Op::Binary(BinaryOp::Sub | BinaryOp::Add)) {
                1.0
            } else {
                largest
            } / 127.0;
            scale / 2.0 * (2.0 * taps as f32 + UNIT)
        })
        .fold(0.0, f32::max)
}

#[test]
fn every_operator_is_as_close_to_float_as_its_rounding() {
    for case in all_cases() {
        let Ready {
            graph,
            samples,
            calibration,
        } = ready(&case);
        let compiled = compile(&graph, &calibration, &options(Target::Portable), None)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let interpreter = Interpreter::new(&compiled.bytes).unwrap();
        let mut executor = Executor::new(&graph).unwrap();
        for sample in &samples {
            let slices: Vec<&[f32]> = sample.iter().map(Vec::as_slice).collect();
            let expected = executor.run(&slices, &mut |_, _| {}).unwrap();
            let quantized: Vec<Vec<i8>> = sample
                .iter()
                .enumerate()
                .map(|(i, v)| interpreter.quantize_input(i, v))
                .collect();
            let outcome = interpreter.run(Reference, &quantized, Taps::None).unwrap();
            let step = outcome.outputs[0].qparams.scale;
            let bound = match case.bound {
                Bound::Exact => 1e-6,
                Bound::Steps(steps) => steps * step,
                Bound::StepsAnd(steps, more) => steps * step + more,
                Bound::Layer => 0.51 * step + layer_slack(&graph),
            };
            let assembled = interpreter.assemble(&outcome);
            let (_, shape, values) = &assembled[0];
            assert_eq!(*shape, graph.outputs[0].shape, "{}", case.name);
            assert_eq!(values.len(), expected[0].len(), "{}", case.name);
            for (index, (got, want)) in values.iter().zip(&expected[0]).enumerate() {
                assert!(
                    (got - want).abs() <= bound,
                    "{}: value {index} is {got}, float {want}, bound {bound}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn a_bound_that_is_too_tight_would_be_seen() {
    // The check above can fail: a layer is not exact.
    let case = cases::cases()
        .into_iter()
        .find(|case| case.name == "conv_2d")
        .unwrap();
    let Ready {
        graph,
        samples,
        calibration,
    } = ready(&case);
    let compiled = compile(&graph, &calibration, &options(Target::Portable), None).unwrap();
    let interpreter = Interpreter::new(&compiled.bytes).unwrap();
    let slices: Vec<&[f32]> = samples[0].iter().map(Vec::as_slice).collect();
    let expected = Executor::new(&graph)
        .unwrap()
        .run(&slices, &mut |_, _| {})
        .unwrap();
    let outcome = interpreter
        .run(
            Reference,
            &[interpreter.quantize_input(0, &samples[0][0])],
            Taps::None,
        )
        .unwrap();
    let worst = outcome.outputs[0]
        .dequantized()
        .iter()
        .zip(&expected[0])
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst > 0.2 * outcome.outputs[0].qparams.scale);
}

#[test]
fn a_packed_file_computes_the_same_bytes() {
    for case in all_cases() {
        let Ready {
            graph,
            samples,
            calibration,
        } = ready(&case);
        let run = |target| {
            let compiled = compile(&graph, &calibration, &options(target), None).unwrap();
            let interpreter = Interpreter::new(&compiled.bytes).unwrap();
            let quantized: Vec<Vec<i8>> = samples[0]
                .iter()
                .enumerate()
                .map(|(i, v)| interpreter.quantize_input(i, v))
                .collect();
            interpreter
                .run(Reference, &quantized, Taps::None)
                .unwrap()
                .outputs
        };
        let portable = run(Target::Portable);
        for isa in Isa::ALL {
            assert_eq!(
                run(Target::Isa(isa)),
                portable,
                "{} for {}",
                case.name,
                isa.name()
            );
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for case in all_cases() {
        let first = ready(&case);
        let second = ready(&case);
        let bytes = |ready: &Ready| {
            compile(
                &ready.graph,
                &ready.calibration,
                &options(Target::Portable),
                None,
            )
            .unwrap()
            .bytes
        };
        assert_eq!(bytes(&first), bytes(&second), "{}", case.name);
    }
}

/// Every operator has a case here or a refusal below.
#[test]
fn every_operator_lowers_or_is_refused() {
    let mut seen: Vec<&'static str> = all_cases()
        .flat_map(|case| {
            ready(&case)
                .graph
                .nodes
                .into_iter()
                .map(|node| node.op.name())
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    let all = [
        "abs",
        "add",
        "affine",
        "arg_max",
        "atan",
        "average_pool_2d",
        "batch_mat_mul",
        "ceil",
        "clip",
        "concat",
        "conv_2d",
        "cos",
        "div",
        "elu",
        "erf",
        "exp",
        "floor",
        "fully_connected",
        "function",
        "gather",
        "gather_elements",
        "hard_sigmoid",
        "hard_swish",
        "layer_norm",
        "leaky_relu",
        "log",
        "max_pool_2d",
        "maximum",
        "mean",
        "minimum",
        "mul",
        "neg",
        "pad",
        "pow",
        "prelu",
        "quantize",
        "reshape",
        "resize",
        "round",
        "sigmoid",
        "sign",
        "silu",
        "sin",
        "slice",
        "softmax",
        "softplus",
        "sqrt",
        "sub",
        "take",
        "tanh",
        "threshold",
        "top_k",
        "transpose",
        "transpose_conv_2d",
    ];
    assert_eq!(seen, all);
}

fn refusal(
    shapes: &'static [&'static [usize]],
    build: fn(&mut Graph, &[TensorId], &mut Random) -> TensorId,
) -> CompileError {
    let ready = ready(&Case {
        name: "refused",
        shapes,
        bound: Bound::Exact,
        build,
    });
    compile(
        &ready.graph,
        &ready.calibration,
        &options(Target::Portable),
        None,
    )
    .unwrap_err()
}

#[test]
fn what_has_no_operator_is_refused_by_name_with_a_remedy() {
    let error = refusal(&[PICTURE], |g, x, _| {
        let best = add(
            g,
            Op::ArgMax {
                axis: 3,
                keep_dims: true,
                smallest: false,
                last: false,
            },
            &[x[0]],
        );
        g.add_node("negative", unary(UnaryOp::Neg), &[best])
            .unwrap()
    });
    let text = error.to_string();
    assert!(
        text.contains("`negative`") && text.contains("`neg`") && text.contains("indices"),
        "{text}"
    );

    let batch = refusal(&[&[2, 6, 6, 4]], |g, x, r| {
        layer(
            g,
            Op::Conv2d {
                window: window(1, 1, 1),
                groups: 1,
            },
            x[0],
            &[4, 3, 3, 4],
            r,
        )
    });
    assert!(batch.to_string().contains("batch is 2"), "{batch}");

    let computed_weights = refusal(&[&[4, 4], &[4, 4]], |g, x, _| add(g, Op::FullyConnected, x));
    assert!(
        computed_weights.to_string().contains("constant weights"),
        "{computed_weights}"
    );

    let wide = refusal(&[&[2, 1, 2, 1, 2], &[1, 2, 1, 2, 1]], |g, x, _| {
        add(g, Op::Binary(BinaryOp::Add), x)
    });
    assert!(wide.to_string().contains("more than 4 axes"), "{wide}");
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let case = cases::cases()
        .into_iter()
        .find(|case| case.name == "fully_connected")
        .unwrap();
    let Ready {
        mut graph,
        calibration,
        ..
    } = ready(&case);
    let id = graph.nodes[0].inputs[1];
    let mut values = graph.tensor(id).value.as_deref().unwrap().to_vec();
    values[7] = f32::NAN;
    graph.tensors[id.0].value = Some(values.into());
    let error = compile(&graph, &calibration, &options(Target::Portable), None).unwrap_err();
    assert!(
        matches!(error, CompileError::NotFinite { index: 7, .. }),
        "{error}"
    );
}

#[test]
fn calibration_names_what_is_wrong_with_a_sample() {
    let case = cases::cases()
        .into_iter()
        .find(|case| case.name == "fully_connected")
        .unwrap();
    let Ready { graph, .. } = ready(&case);
    let collect = |inputs: Vec<Vec<f32>>| {
        Calibration::collect(
            &graph,
            [Sample {
                inputs,
                sha256: None,
            }],
            Method::MinMax,
            |_| {},
        )
        .map(|_| ())
        .unwrap_err()
    };
    assert!(matches!(
        collect(vec![]),
        CompileError::Sample { sample: 0, .. }
    ));
    assert!(matches!(
        collect(vec![vec![0.0; 5]]),
        CompileError::Sample { sample: 0, .. }
    ));
    assert!(matches!(
        collect(vec![vec![f32::NAN; 120]]),
        CompileError::ActivationNotFinite { sample: 0, .. }
    ));
    let none = Calibration::collect(&graph, [], Method::MinMax, |_| {})
        .map(|_| ())
        .unwrap_err();
    assert_eq!(none, CompileError::NoSamples);
}
