//! Sums that run in the convolution before them.

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{Calibration, Compiled, Method, Options, Passes, Sample, Target, compile};
use ocellus_format::ops::OpCode;
use ocellus_format::{Isa, ModelView};
use ocellus_ir::random::Random;
use ocellus_ir::{BinaryOp, BorderType, Graph, Op, TensorId, Window};
use ocellus_kernels::Reference;

/// A 3x3 convolution of 16 output channels.
fn conv(g: &mut Graph, name: &str, x: TensorId, relu: bool, r: &mut Random) -> TensorId {
    let in_c = *g.tensor(x).shape.last().unwrap();
    let gain = (3.0 / (9 * in_c) as f32).sqrt();
    let weights: Vec<f32> = r.values(16 * 9 * in_c).iter().map(|w| w * gain).collect();
    let w = g.add_constant(format!("{name}.w"), vec![16, 3, 3, in_c], weights);
    let b = g.add_constant(format!("{name}.b"), vec![16], r.values(16));
    let window = Window {
        stride: [1; 2],
        dilation: [1; 2],
        pad_before: [1; 2],
        pad_after: [1; 2],
    };
    let y = g
        .add_node(name, Op::Conv2d { window, groups: 1 }, &[x, w, b])
        .unwrap();
    if relu {
        g.nodes.last_mut().unwrap().clamp = Some((0.0, f32::INFINITY));
    }
    y
}

fn samples(count: usize) -> Vec<Sample> {
    let mut r = Random::new(99);
    (0..count)
        .map(|i| Sample {
            inputs: vec![(0..26 * 22 * 3).map(|_| r.below(256) as f32).collect()],
            sha256: Some([i as u8 ^ 0x5a; 32]),
        })
        .collect()
}

/// Two convolutions whose result is added to what they read, twice as large as what is before and behind.
fn residual_block() -> Graph {
    let r = &mut Random::new(17);
    let mut g = Graph::default();
    let x = g.add_input("pixels", vec![1, 26, 22, 3], BorderType::U8);
    let mut y = conv(&mut g, "stem", x, true, r);
    for (name, inner) in [("a", "a2"), ("b", "b2")] {
        let first = conv(&mut g, name, y, true, r);
        let second = conv(&mut g, inner, first, false, r);
        let operands = if name == "a" {
            [y, second]
        } else {
            [second, y]
        };
        y = g
            .add_node(format!("{name} sum"), Op::Binary(BinaryOp::Add), &operands)
            .unwrap();
    }
    g.add_output("y", y, BorderType::F32);
    g
}

#[test]
fn a_sum_runs_in_the_convolution_before_it_and_gives_the_same_bytes() {
    let graph = residual_block();
    let calibration = Calibration::collect(&graph, samples(4), Method::MinMax, |_| {}).unwrap();
    for target in [
        Target::Portable,
        Target::Isa(Isa::CortexMDsp),
        Target::Isa(Isa::Helium),
    ] {
        let [apart, fused] = [false, true].map(|residual_add| {
            let options = Options {
                target,
                passes: Passes {
                    residual_add,
                    ..Passes::default()
                },
                ..Options::default()
            };
            compile(&graph, &calibration, &options, None).unwrap()
        });
        let whole = 26 * 22 * 16;
        assert!(
            fused.report.arena_bytes + whole / 2 <= apart.report.arena_bytes,
            "{} and {} bytes",
            fused.report.arena_bytes,
            apart.report.arena_bytes
        );
        let codes = |compiled: &Compiled| {
            let view = ModelView::new_checked(&compiled.bytes).unwrap();
            let operators = view.program().operators();
            operators.filter(|o| o.code == OpCode::Conv2dAdd).count()
        };
        assert_eq!((codes(&apart), codes(&fused)), (0, 2));
        for sample in samples(3) {
            let [apart, fused] = [&apart, &fused].map(|compiled| {
                let interpreter = Interpreter::new(&compiled.bytes).unwrap();
                let input = interpreter.quantize_input(0, &sample.inputs[0]);
                let outcome = interpreter.run(Reference, &[input], Taps::None).unwrap();
                outcome.outputs
            });
            assert_eq!(apart, fused);
        }
    }
}
