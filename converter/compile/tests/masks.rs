//! Attention that hides positions: the masks of exporters take no steps away from the values that count.

mod closeness;

use ocellus_compile::{Calibration, Method, Options, Sample, compile};
use ocellus_ir::passes::{self, optimize};
use ocellus_ir::random::Random;
use ocellus_ir::{BinaryOp, BorderType, Graph, Op, TensorId, UnaryOp};

const POSITIONS: usize = 16;
const SIZE: usize = 8;

/// How a model hides a position.
#[derive(Clone, Copy)]
enum Hiding {
    /// A number is added.
    Added(f32),
    /// What is hidden is taken out first.
    Chosen(f32),
}

/// Attention of `[POSITIONS, SIZE]` over itself, each position over those up to it; then the products before the mask and the sum behind it.
fn attention(hiding: Hiding) -> Graph {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, POSITIONS, SIZE], BorderType::F32);
    let of_rows = |hidden: f32, seen: f32| -> Vec<f32> {
        let at = |i: usize| (i / POSITIONS, i % POSITIONS);
        let value = |(row, column)| if column > row { hidden } else { seen };
        (0..POSITIONS * POSITIONS).map(at).map(value).collect()
    };
    let square = vec![1, POSITIONS, POSITIONS];
    let constant = |g: &mut Graph, name: &str, values| g.add_constant(name, square.clone(), values);
    let product = |g: &mut Graph, name: &str, a, b, transposed| -> TensorId {
        g.add_node(name, Op::BatchMatMul { transposed }, &[a, b])
            .unwrap()
    };
    let scores = product(&mut g, "scores", x, x, [false, true]);
    let scale = Op::Unary(UnaryOp::Affine {
        scale: 2.0,
        offset: 0.0,
    });
    let mut scores = g.add_node("scaled", scale, &[scores]).unwrap();
    let hidden = match hiding {
        Hiding::Added(hidden) => hidden,
        Hiding::Chosen(hidden) => {
            let kept = constant(&mut g, "kept", of_rows(0.0, 1.0));
            let mul = Op::Binary(BinaryOp::Mul);
            scores = g.add_node("masked", mul, &[scores, kept]).unwrap();
            hidden
        }
    };
    let mask = constant(&mut g, "mask", of_rows(hidden, 0.0));
    let sum = g
        .add_node("sum", Op::Binary(BinaryOp::Add), &[scores, mask])
        .unwrap();
    let shares = g
        .add_node("shares", Op::Softmax { axis: 2 }, &[sum])
        .unwrap();
    let y = product(&mut g, "y", shares, x, [false, false]);
    g.add_output("y", y, BorderType::F32);
    g.verify().unwrap();
    g
}

/// Signal to noise of int8 against float in decibels.
fn decibels(mut graph: Graph, method: Method) -> f64 {
    optimize(&mut graph, &passes::Options::default()).unwrap();
    let mut random = Random::new(5);
    let samples: Vec<Sample> = (0..8)
        .map(|_| Sample {
            inputs: vec![random.values(POSITIONS * SIZE)],
            sha256: None,
        })
        .collect();
    let calibration = Calibration::collect(&graph, samples.clone(), method, |_| {}).unwrap();
    let bytes = compile(&graph, &calibration, &Options::default(), None)
        .unwrap()
        .bytes;
    closeness::decibels(&graph, &bytes, &samples)
}

#[test]
fn a_mask_takes_no_steps_however_large_it_is() {
    for method in [
        Method::MinMax,
        Method::LeastError,
        Method::Entropy,
        Method::PerTensor,
    ] {
        let near = decibels(attention(Hiding::Added(-12.0)), method);
        for hiding in [-100.0, -1e4, -1e9, -1e30, f32::MIN].map(Hiding::Added) {
            let far = decibels(attention(hiding), method);
            assert!(
                far > near - 1.0 && far > 33.0,
                "{method}: {far:.1} dB, {near:.1} of -12"
            );
        }
        let chosen = decibels(attention(Hiding::Chosen(-1e9)), method);
        assert!(
            chosen > near - 1.0,
            "{method}: {chosen:.1} dB, {near:.1} of -12"
        );
    }
}

/// A layer whose every third output is hidden, and the shares of the others.
fn hidden_classes(hidden: f32) -> Graph {
    let mut g = Graph::default();
    let mut random = Random::new(3);
    let x = g.add_input("x", vec![1, POSITIONS * SIZE], BorderType::F32);
    let weights = random.values(12 * POSITIONS * SIZE);
    let w = g.add_constant("w", vec![12, POSITIONS * SIZE], weights);
    let b = g.add_constant("b", vec![12], random.values(12));
    let scores = g
        .add_node("scores", Op::FullyConnected, &[x, w, b])
        .unwrap();
    let third = |i: usize| if i % 3 == 2 { hidden } else { 0.0 };
    let values: Vec<f32> = (0..12).map(third).collect();
    let mask = g.add_constant("mask", vec![12], values);
    let sum = g
        .add_node("sum", Op::Binary(BinaryOp::Add), &[scores, mask])
        .unwrap();
    let y = g.add_node("y", Op::Softmax { axis: 1 }, &[sum]).unwrap();
    g.add_output("y", y, BorderType::F32);
    g
}

/// Attention whose softmax is over another axis than the innermost: passes turn it.
fn over_rows(hidden: f32) -> Graph {
    let mut g = attention(Hiding::Added(hidden));
    let shares = g.nodes.iter_mut().find(|node| node.name == "shares");
    shares.unwrap().op = Op::Softmax { axis: 1 };
    g
}

#[test]
fn a_mask_is_one_behind_a_layer_and_on_any_axis() {
    let method = Method::PerTensor;
    for graph in [hidden_classes, over_rows] {
        let (near, far) = (
            decibels(graph(-14.0), method),
            decibels(graph(-1e30), method),
        );
        assert!(
            far > near - 1.0 && far > 25.0,
            "{far:.1} dB, {near:.1} of -14"
        );
    }
}
