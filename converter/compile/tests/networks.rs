//! Several operators together: sharing of scales, memory, records in the file, budget.

mod closeness;

use ocellus_compile::budget::{self, OverBudget, Region};
use ocellus_compile::interpret::{InterpretError, Interpreter, Taps};
use ocellus_compile::traffic::Moved;
use ocellus_compile::{
    Calibration, Compiled, Method, Options, Passes, Progress, Provenance, Sample, Stage, Target,
    compile, compile_telling,
};
use ocellus_format::{CalibrationData, Isa, SampleSet};
use ocellus_ir::random::Random;
use ocellus_ir::{
    Assembly, BinaryOp, BorderType, Executor, Graph, Grid, Op, Output, TensorId, UnaryOp, Window,
};
use ocellus_kernels::Reference;

fn window(stride: usize, pad: usize) -> Window {
    Window {
        stride: [stride; 2],
        dilation: [1; 2],
        pad_before: [pad; 2],
        pad_after: [pad; 2],
    }
}

fn conv(
    g: &mut Graph,
    name: &str,
    x: TensorId,
    [out_c, kernel, stride]: [usize; 3],
    relu: bool,
    r: &mut Random,
) -> TensorId {
    let in_c = *g.tensor(x).shape.last().unwrap();
    let shape = vec![out_c, kernel, kernel, in_c];
    let gain = (3.0 / (kernel * kernel * in_c) as f32).sqrt();
    let weights: Vec<f32> = r
        .values(shape.iter().product())
        .into_iter()
        .map(|w| w * gain)
        .collect();
    let w = g.add_constant(format!("{name}.w"), shape, weights);
    let b = g.add_constant(format!("{name}.b"), vec![out_c], r.values(out_c));
    let y = g
        .add_node(
            name,
            Op::Conv2d {
                window: window(stride, kernel / 2),
                groups: 1,
            },
            &[x, w, b],
        )
        .unwrap();
    if relu {
        g.nodes.last_mut().unwrap().clamp = Some((0.0, f32::INFINITY));
    }
    y
}

/// A picture of bytes, a residual block, a pool, a head of two outputs joined for the user.
fn network() -> Graph {
    let r = &mut Random::new(5);
    let mut g = Graph::default();
    let x = g.add_input("pixels", vec![1, 16, 16, 3], BorderType::U8);
    let x = g
        .add_node(
            "normalize",
            Op::Unary(UnaryOp::Affine {
                scale: 1.0 / 128.0,
                offset: -1.0,
            }),
            &[x],
        )
        .unwrap();
    let stem = conv(&mut g, "stem", x, [8, 3, 1], true, r);
    let a = conv(&mut g, "a", stem, [8, 3, 1], true, r);
    let b = conv(&mut g, "b", a, [8, 3, 1], false, r);
    let sum = g
        .add_node("sum", Op::Binary(BinaryOp::Add), &[stem, b])
        .unwrap();
    let pooled = g
        .add_node(
            "pool",
            Op::MaxPool2d {
                kernel: [2, 2],
                window: window(2, 0),
            },
            &[sum],
        )
        .unwrap();
    let scores = conv(&mut g, "scores", pooled, [4, 1, 1], false, r);
    let scores = g
        .add_node("probability", Op::Unary(UnaryOp::Sigmoid), &[scores])
        .unwrap();
    let boxes = conv(&mut g, "boxes", pooled, [6, 1, 1], false, r);
    g.outputs.push(Output {
        name: "detections".into(),
        shape: vec![1, 10, 8, 8],
        assembly: Assembly::Transpose(
            Box::new(Assembly::Concat(
                vec![Assembly::Tensor(scores), Assembly::Tensor(boxes)],
                3,
            )),
            vec![0, 3, 1, 2],
        ),
        border: BorderType::F32,
    });
    g.add_output("features", pooled, BorderType::F32);
    g.verify().unwrap();
    g
}

fn samples(count: usize) -> Vec<Sample> {
    let mut r = Random::new(99);
    (0..count)
        .map(|i| Sample {
            inputs: vec![(0..16 * 16 * 3).map(|_| r.below(256) as f32).collect()],
            sha256: Some([i as u8 ^ 0x5a; 32]),
        })
        .collect()
}

fn compiled(graph: &Graph, target: Target) -> Compiled {
    let calibration = Calibration::collect(graph, samples(8), Method::MinMax, |_| {}).unwrap();
    let provenance = Provenance {
        source_name: "network.onnx".into(),
        ..Provenance::default()
    };
    compile(
        graph,
        &calibration,
        &Options {
            target,
            provenance,
            ..Options::default()
        },
        None,
    )
    .unwrap()
}

#[test]
fn a_network_is_close_to_float_and_outputs_are_assembled() {
    let graph = network();
    let interpreter = Interpreter::new(&compiled(&graph, Target::Portable).bytes).unwrap();
    let mut executor = Executor::new(&graph).unwrap();
    let (mut signal, mut noise) = (vec![0f64; 2], vec![0f64; 2]);
    for sample in samples(8) {
        let float = executor.run(&[&sample.inputs[0]], &mut |_, _| {}).unwrap();
        let outcome = interpreter
            .run(
                Reference,
                &[interpreter.quantize_input(0, &sample.inputs[0])],
                Taps::None,
            )
            .unwrap();
        for (index, (name, shape, values)) in interpreter.assemble(&outcome).into_iter().enumerate()
        {
            assert_eq!(
                (&name, &shape),
                (&graph.outputs[index].name, &graph.outputs[index].shape)
            );
            for (got, want) in values.iter().zip(&float[index]) {
                signal[index] += f64::from(*want).powi(2);
                noise[index] += f64::from(got - want).powi(2);
            }
        }
    }
    for (index, (signal, noise)) in signal.iter().zip(&noise).enumerate() {
        let ratio = 10.0 * libm::log10(signal / noise);
        assert!(ratio > 28.0, "output {index}: {ratio:.1} dB");
    }
}

#[test]
fn bytes_of_a_picture_are_the_input_as_they_are() {
    let graph = network();
    let interpreter = Interpreter::new(&compiled(&graph, Target::Portable).bytes).unwrap();
    let pixels: Vec<f32> = (0..=255).map(|p| p as f32).collect();
    let quantized = interpreter.quantize_input(0, &pixels);
    assert!(quantized.into_iter().eq(-128..=127));
}

#[test]
fn the_plan_uses_memory_in_place_and_reaches_its_bound() {
    let report = compiled(&network(), Target::Portable).report;
    let layer = |name: &str| {
        report
            .layers
            .iter()
            .find(|layer| layer.name == name)
            .unwrap()
    };
    assert!(layer("sum").in_place && layer("probability").in_place);
    // While `b` runs, the input of the block waits for the sum.
    assert_eq!(
        layer("a").live_bytes - layer("a").scratch_bytes,
        2 * 16 * 16 * 8
    );
    assert_eq!(
        layer("b").live_bytes - layer("b").scratch_bytes,
        3 * 16 * 16 * 8
    );
    assert_eq!(report.arena_bytes, report.arena_lower_bound_bytes);
    assert_eq!(
        report.macs,
        (16 * 16 * (27 * 8 + 2 * 72 * 8) + 8 * 8 * 8 * 10) as u64
    );
    let reshaped = compiled(&network(), Target::Isa(Isa::Reference)).report;
    assert!(
        reshaped.arena_bytes <= report.arena_bytes
            && reshaped.layers.iter().all(|layer| layer.scratch_bytes == 0)
    );
}

#[test]
fn the_file_records_what_it_was_calibrated_with() {
    let graph = network();
    let interpreter = Interpreter::new(&compiled(&graph, Target::Portable).bytes).unwrap();
    let info = interpreter.info();
    assert_eq!(info.calibration.method, "min-max");
    let CalibrationData::Samples(set) = &info.calibration.data else {
        panic!("{:?}", info.calibration.data)
    };
    assert_eq!(set.prefixes.len(), 8);
    assert!(set.prefixes.is_sorted() && set.prefixes.contains(&[0x5a; 8]));
    let hashes = samples(8).into_iter().filter_map(|sample| sample.sha256);
    assert_eq!(*set, SampleSet::new(hashes.collect()));
    assert_eq!(info.source_name, "network.onnx");
    assert_eq!(info.layer_names.len(), 9);

    let calibration = Calibration::collect(&graph, samples(1), Method::MinMax, |_| {})
        .unwrap()
        .synthetic(7);
    let noise = compile(&graph, &calibration, &Options::default(), None).unwrap();
    assert!(noise.report.notes.iter().any(|note| note.contains("noise")));
    let interpreter = Interpreter::new(&noise.bytes).unwrap();
    assert_eq!(
        interpreter.info().calibration.data,
        CalibrationData::Synthetic(7)
    );
}

#[test]
fn every_tensor_can_be_tapped() {
    let graph = network();
    let interpreter = Interpreter::new(&compiled(&graph, Target::Portable).bytes).unwrap();
    let input = interpreter.quantize_input(0, &samples(1)[0].inputs[0]);
    let all = interpreter
        .run(Reference, std::slice::from_ref(&input), Taps::All)
        .unwrap();
    assert_eq!(all.taps.len(), 9);
    let one = interpreter
        .run(
            Reference,
            std::slice::from_ref(&input),
            Taps::Named(&["sum"]),
        )
        .unwrap();
    assert_eq!(one.taps.keys().collect::<Vec<_>>(), ["sum"]);
    assert_eq!(one.taps["sum"], all.taps["sum"]);
    assert_eq!(
        one.outputs,
        interpreter
            .run(Reference, std::slice::from_ref(&input), Taps::None)
            .unwrap()
            .outputs
    );
    let short = interpreter.run(Reference, &[vec![0; 5]], Taps::None);
    assert_eq!(
        short,
        Err(InterpretError::InputLength {
            position: 0,
            expected: 768,
            actual: 5
        })
    );
    assert!(matches!(
        interpreter.run(Reference, &[], Taps::None),
        Err(InterpretError::InputCount {
            expected: 1,
            actual: 0
        })
    ));
}

#[test]
fn copies_share_a_scale_and_rescales_are_few() {
    let graph = network();
    let compiled = compiled(&graph, Target::Portable);
    let id = |name: &str| graph.tensors.iter().position(|t| t.name == name).unwrap();
    let params = |name: &str| compiled.quantization.params[id(name)].unwrap();
    assert_eq!(params("sum"), params("pool"));
    assert_eq!(params("probability").scale, 1.0 / 256.0);
    assert_eq!(params("stem").zero_point, -128);
    assert!(
        compiled
            .report
            .notes
            .iter()
            .all(|note| !note.contains("changes of scale"))
    );
}

#[test]
fn a_concatenation_rescales_only_what_others_need_finely() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, 4, 4, 2], BorderType::F32);
    let affine = |g: &mut Graph, name: &str, scale| {
        g.add_node(
            name,
            Op::Unary(UnaryOp::Affine { scale, offset: 0.0 }),
            &[x],
        )
        .unwrap()
    };
    let wide = affine(&mut g, "wide", 8.0);
    let only_here = affine(&mut g, "only_here", 1.0);
    let elsewhere_too = affine(&mut g, "elsewhere_too", 0.1);
    let joined = g
        .add_node(
            "joined",
            Op::Concat { axis: 3 },
            &[wide, only_here, elsewhere_too],
        )
        .unwrap();
    g.add_output("joined", joined, BorderType::F32);
    g.add_output("fine", elsewhere_too, BorderType::F32);
    let sample = Sample {
        inputs: vec![(0..32).map(|i| i as f32 / 31.0 - 0.5).collect()],
        sha256: None,
    };
    let calibration = Calibration::collect(&g, [sample], Method::MinMax, |_| {}).unwrap();
    let compiled = compile(&g, &calibration, &Options::default(), None).unwrap();
    let params = |id: TensorId| compiled.quantization.params[id.0].unwrap();
    assert_eq!(params(wide), params(joined));
    assert_eq!(params(only_here), params(joined));
    assert!(params(elsewhere_too).scale < params(joined).scale / 10.0);
    let rescales: Vec<&str> = compiled
        .program
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .filter(|name| name.contains("rescale"))
        .collect();
    assert_eq!(rescales, ["joined.rescale2"]);
}

#[test]
fn a_board_that_is_too_small_is_told_what_is_in_the_way() {
    let report = compiled(&network(), Target::Portable).report;
    let region = |name: &str, free_bytes, is_ram| Region {
        name: name.into(),
        free_bytes,
        is_ram,
    };
    let regions = |ram, flash| {
        [
            region("tcm", 1024, true),
            region("sram", ram, true),
            region("flash", flash, false),
        ]
    };
    let fits = budget::fit(&report, &regions(report.arena_bytes, report.model_bytes)).unwrap();
    assert_eq!((fits.arena, fits.model), (vec![1], 2));
    let error = budget::fit(
        &report,
        &regions(report.arena_bytes - 1, report.model_bytes),
    )
    .unwrap_err();
    let OverBudget::Arena(refusal) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (refusal.needed_bytes, refusal.available_bytes),
        (report.arena_bytes, report.arena_bytes - 1)
    );
    assert_eq!(refusal.region, "sram");
    assert_eq!(refusal.tensor_bytes, 2048, "{}", refusal.tensor);
    let text = error.to_string();
    assert!(
        text.contains("instead of 16x16 would fit") && text.contains(&report.peak_layer),
        "{text}"
    );
    // The two together would hold it.
    let text = budget::fit(
        &report,
        &regions(report.arena_bytes - 512, report.model_bytes),
    )
    .unwrap_err()
    .to_string();
    assert!(text.contains("a file for this board (`--board`)"), "{text}");
    let error = budget::fit(
        &report,
        &regions(report.arena_bytes, report.model_bytes - 1),
    )
    .unwrap_err();
    assert!(
        matches!(error, OverBudget::File(ref file) if file.layer == "a" || file.layer == "b"),
        "{error}"
    );
    let both = budget::fit(
        &report,
        &regions(report.arena_bytes - 1, report.model_bytes - 1),
    );
    let both = both.unwrap_err().to_string();
    assert!(both.ends_with(&error.to_string()), "{both}");
    assert!(both.contains("bytes of RAM"), "{both}");
    let error = budget::fit(&report, &[]).unwrap_err();
    assert_eq!(error, OverBudget::NoRegion { kind: "RAM" });
}

#[test]
fn a_network_lies_in_the_memories_that_it_is_compiled_for() {
    let whole = compiled(&network(), Target::Portable).report;
    assert_eq!(whole.parts.len(), 1);
    let one = whole.parts[0];
    assert_eq!(one.bytes, whole.arena_bytes);
    let graph = network();
    let calibration = Calibration::collect(&graph, samples(8), Method::MinMax, |_| {}).unwrap();
    let over = |memories: &[u64], fast_memory| {
        let options = Options {
            memories: memories.to_vec(),
            passes: Passes {
                fast_memory,
                ..Passes::default()
            },
            ..Options::default()
        };
        compile(&graph, &calibration, &options, None).unwrap()
    };
    let fast = whole.arena_bytes / 2 / 16 * 16;
    let (file, other) = (
        over(&[fast, whole.arena_bytes], true),
        over(&[fast, whole.arena_bytes], true),
    );
    assert_eq!(file.bytes, other.bytes, "the same memories, the same bytes");
    let parts = &file.report.parts;
    assert_eq!(parts.len(), 2);
    assert_eq!(
        file.report.arena_bytes,
        parts.iter().map(|part| part.bytes).sum::<u64>()
    );
    // What is moved is moved somewhere.
    let all = |field: fn(Moved) -> u64| parts.iter().map(|part| field(part.moved)).sum::<u64>();
    assert_eq!(all(|m| m.read_bytes), one.moved.read_bytes);
    assert_eq!(all(|m| m.written_bytes), one.moved.written_bytes);
    let sizes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
    assert_eq!(
        budget::places(&sizes, &[fast, whole.arena_bytes]),
        Some(vec![0, 1])
    );
    let aligned = ocellus_format::AlignedBytes::from(file.bytes.as_slice());
    let view = ocellus_format::ModelView::new_checked(&aligned).unwrap();
    assert!((view.parts().iter().map(|part| part.len() as u64)).eq(sizes));
    // A memory that holds everything is enough, if the fast one is not asked for, or is the one.
    let plain = over(&[], true).bytes;
    assert_eq!(over(&[fast, whole.arena_bytes], false).bytes, plain);
    assert_eq!(over(&[whole.arena_bytes, fast], true).bytes, plain);
}

/// The sequence of layers splits its work among threads; how many there are must not show.
#[test]
fn weights_that_are_rounded_together_do_not_depend_on_the_count_of_threads() {
    let graph = network();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| compiled(&graph, Target::Portable).bytes)
    };
    assert_eq!(with(1), with(2));
    assert_eq!(with(1), with(5));
}

/// One layer of 64 bytes a pixel that vary together, as neighbours in photographs do: what it loses is lost by its weights. Signal to noise in decibels,
/// on samples that calibration has not seen.
fn decibels(passes: Passes) -> f64 {
    let r = &mut Random::new(7);
    let mut graph = Graph::default();
    let x = graph.add_input("pixels", vec![1, 8, 8, 64], BorderType::U8);
    let y = conv(&mut graph, "layer", x, [16, 1, 1], false, r);
    graph.add_output("y", y, BorderType::F32);
    let samples: Vec<Sample> = (0..32)
        .map(|_| {
            let pixels = (0..8 * 8).flat_map(|_| {
                let brightness = r.below(200);
                (0..64)
                    .map(|_| (brightness + r.below(56)) as f32)
                    .collect::<Vec<_>>()
            });
            Sample {
                inputs: vec![pixels.collect()],
                sha256: None,
            }
        })
        .collect();
    let (fit, held) = samples.split_at(16);
    let calibration = Calibration::collect(&graph, fit.to_vec(), Method::MinMax, |_| {}).unwrap();
    let options = Options {
        passes,
        ..Options::default()
    };
    let bytes = compile(&graph, &calibration, &options, None).unwrap().bytes;
    closeness::decibels(&graph, &bytes, held)
}

#[test]
fn weights_rounded_together_and_measured_biases_are_closer_to_float() {
    let all = Passes::default();
    let nearest = all.without("reconstruction").unwrap();
    let plain = nearest.without("bias-correction").unwrap();
    let (all, nearest, plain) = (decibels(all), decibels(nearest), decibels(plain));
    let found = format!("{all:.2} dB, to the nearest {nearest:.2}, biases as they are {plain:.2}");
    assert!(nearest > plain + 1.0 && all > nearest + 0.2, "{found}");
}

/// What a refusal says would fit is true of the model with an input of that size.
#[test]
fn the_input_that_is_said_to_fit_does() {
    let of = |size: usize| {
        let r = &mut Random::new(3);
        let mut g = Graph::default();
        let x = g.add_input("pixels", vec![1, size, size, 3], BorderType::U8);
        let x = conv(&mut g, "stem", x, [16, 3, 2], true, r);
        let x = conv(&mut g, "wide", x, [32, 3, 1], true, r);
        let x = conv(&mut g, "narrow", x, [4, 1, 1], false, r);
        g.add_output("y", x, BorderType::F32);
        let sample = Sample {
            inputs: vec![(0..size * size * 3).map(|i| (i % 256) as f32).collect()],
            sha256: None,
        };
        let calibration = Calibration::collect(&g, [sample], Method::MinMax, |_| {}).unwrap();
        let options = Options {
            target: Target::Isa(Isa::Reference),
            ..Options::default()
        };
        compile(&g, &calibration, &options, None).unwrap().report
    };
    let region = |name: &str, free_bytes, is_ram| Region {
        name: name.into(),
        free_bytes,
        is_ram,
    };
    let report = of(128);
    for share in [2, 3, 5, 9] {
        let available = report.arena_bytes / share;
        let regions = [
            region("sram", available, true),
            region("flash", 1 << 20, false),
        ];
        let text = budget::fit(&report, &regions).unwrap_err().to_string();
        let size = text
            .split("An input of about ")
            .nth(1)
            .and_then(|rest| rest.split('x').next())
            .and_then(|rows| rows.parse().ok())
            .unwrap_or_else(|| panic!("{text}"));
        let smaller = of(size);
        assert!(smaller.arena_bytes <= available, "{text}");
        assert!(
            text.contains(&format!("(estimated: {} bytes)", smaller.arena_bytes)),
            "{} and not: {text}",
            smaller.arena_bytes
        );
        assert!(of(size + 8).arena_bytes > available, "{text}");
    }
}

/// Two branches that the file computes side by side: each is wide in the middle.
fn side_by_side() -> Graph {
    let r = &mut Random::new(8);
    let mut g = Graph::default();
    let x = g.add_input("pixels", vec![1, 16, 16, 3], BorderType::U8);
    let wide = ["left", "right"].map(|name| conv(&mut g, name, x, [24, 3, 1], true, r));
    let narrow = [0, 1].map(|i| conv(&mut g, ["l", "r"][i], wide[i], [2, 1, 1], false, r));
    let sum = g
        .add_node("sum", Op::Binary(BinaryOp::Add), &narrow)
        .unwrap();
    g.add_output("y", sum, BorderType::F32);
    g
}

#[test]
fn operators_run_in_the_order_that_needs_least() {
    let graph = side_by_side();
    let calibration = Calibration::collect(&graph, samples(4), Method::MinMax, |_| {}).unwrap();
    let [own, chosen] = [false, true].map(|operator_order| {
        let options = Options {
            passes: Passes {
                operator_order,
                ..Passes::default()
            },
            ..Options::default()
        };
        compile(&graph, &calibration, &options, None).unwrap()
    });
    let wide = 24 * 16 * 16;
    assert!(own.report.arena_bytes >= 2 * wide);
    assert!(chosen.report.arena_bytes < own.report.arena_bytes - wide / 2);
    let note = format!("instead of {}", own.report.arena_bytes);
    assert!(
        chosen.report.notes.iter().any(|n| n.contains(&note)),
        "{:?}",
        chosen.report.notes
    );
    let [own, chosen] = [own, chosen].map(|compiled| {
        let interpreter = Interpreter::new(&compiled.bytes).unwrap();
        let input = interpreter.quantize_input(0, &samples(1)[0].inputs[0]);
        let outcome = interpreter.run(Reference, &[input], Taps::None).unwrap();
        interpreter.assemble(&outcome)
    });
    assert_eq!(own, chosen);
}

/// An already quantized separable block whose first layer has channels without weights: their constants are the zero point and others.
fn quantized_with_constant_channels() -> Graph {
    let r = &mut Random::new(21);
    let mut g = Graph::default();
    let x = g.add_input("pixels", vec![1, 9, 9, 3], BorderType::F32);
    g.set_grid(x, Grid::new(1.0 / 127.0, -3));
    let layers = [
        ("first", [12, 1, 1, 3], 1, [2, 5, 7, 11].as_slice(), 0.02),
        ("depthwise", [12, 3, 3, 1], 12, [5, 8].as_slice(), 0.03),
        ("last", [4, 1, 1, 12], 1, [].as_slice(), 0.05),
    ];
    let (mut y, mut scale_in) = (x, 1.0 / 127.0);
    for (name, shape, groups, zero, scale_out) in layers {
        let row: usize = shape[1..].iter().product();
        let scales: Vec<f32> = (0..shape[0])
            .map(|_| 0.002 * (1.2 + r.value()) / row as f32 * 9.0)
            .collect();
        let weights: Vec<f32> = (0..shape[0] * row)
            .map(|i| match zero.contains(&(i / row)) {
                true => 0.0,
                false => (r.value() * 127.0).round() * scales[i / row],
            })
            .collect();
        let bias: Vec<f32> = (scales.iter())
            .map(|scale| (r.value() * 0.8 / (scale_in * scale)).round() * scale_in * scale)
            .collect();
        let grid = Grid::weights(scales);
        let w = g.add_grid_constant(format!("{name}.w"), shape.to_vec(), weights, grid);
        let b = g.add_constant(format!("{name}.b"), vec![shape[0]], bias);
        let op = Op::Conv2d {
            window: window(1, shape[1] / 2),
            groups,
        };
        y = g.add_node(name, op, &[y, w, b]).unwrap();
        if name == "last" {
            g.set_grid(y, Grid::new(scale_out, 4));
        } else {
            g.nodes.last_mut().unwrap().clamp = Some((0.0, f32::INFINITY));
            g.set_grid(y, Grid::new(scale_out, -128));
        }
        scale_in = scale_out;
    }
    g.add_output("y", y, BorderType::F32);
    g.verify().unwrap();
    g
}

/// Every stage is told to its end, in order, and the file is the same.
#[test]
fn a_compilation_tells_how_far_it_is() {
    let graph = network();
    let calibration = Calibration::collect(&graph, samples(5), Method::PerTensor, |_| {}).unwrap();
    let told = std::sync::Mutex::new(Vec::new());
    let tell = |progress: Progress| told.lock().unwrap().push(progress);
    let options = Options::default();
    let telling = compile_telling(&graph, &calibration, &options, None, &tell).unwrap();
    let silent = compile(&graph, &calibration, &options, None).unwrap();
    assert_eq!(telling.bytes, silent.bytes);
    let told = told.into_inner().unwrap();
    assert!(told.is_sorted_by_key(|progress| progress.stage), "{told:?}");
    for stage in [Stage::Halves, Stage::Tensors, Stage::Outputs, Stage::Layers] {
        let parts = told.iter().filter(|progress| progress.stage == stage);
        let mut done: Vec<usize> = parts.clone().map(|progress| progress.done).collect();
        done.sort_unstable();
        let of = parts.clone().map(|progress| progress.of).max().unwrap_or(0);
        assert!(of > 0 && done.into_iter().eq(1..=of), "{told:?}");
    }
}

#[test]
fn constant_channels_of_a_quantized_graph_go_without_a_trace() {
    let graph = quantized_with_constant_channels();
    let [with, without] = [vec![], vec!["dead-channels".to_owned()]].map(|disabled| {
        let mut graph = graph.clone();
        let options = ocellus_ir::Options {
            disabled,
            ..Default::default()
        };
        ocellus_ir::optimize(&mut graph, &options).unwrap();
        let calibration = Calibration::new(&graph, Method::default());
        compile(&graph, &calibration, &Options::default(), None).unwrap()
    });
    assert!(
        with.report.macs < without.report.macs,
        "{} and {}",
        with.report.macs,
        without.report.macs
    );
    let [with, without] = [with, without].map(|c| Interpreter::new(&c.bytes).unwrap());
    for seed in 0..20 {
        let r = &mut Random::new(seed);
        let input: Vec<i8> = (0..9 * 9 * 3).map(|_| r.bits() as i8).collect();
        let [with, without] = [&with, &without].map(|interpreter| {
            let outcome = interpreter
                .run(Reference, std::slice::from_ref(&input), Taps::None)
                .unwrap();
            interpreter.assemble(&outcome)
        });
        assert_eq!(with, without, "seed {seed}");
        assert!(
            with[0].2.iter().any(|&v| v != with[0].2[0]),
            "all is one value"
        );
    }
}
