//! Channels that go, and those that have to stay.

use super::{Build, UNIT, optimized};
use crate::{BinaryOp, BorderType, Graph, Grid, Op, TensorId, UnaryOp, Window};

/// A layer whose channels in `zero` have no weights, only a bias.
fn layer_without(b: &mut Build, x: TensorId, op: Op, shape: &[usize], zero: &[usize]) -> TensorId {
    let row: usize = shape[1..].iter().product();
    let mut weights = b.1.values(shape.iter().product());
    for &channel in zero {
        // As weight decay leaves them.
        weights[channel * row..(channel + 1) * row].fill(1e-28);
    }
    let weights = b.0.add_constant("weights", shape.to_vec(), weights);
    let bias = b.random(&shape[..1]);
    b.add(op, &[x, weights, bias])
}

fn conv_2d(window: Window, groups: usize) -> Op {
    Op::Conv2d { window, groups }
}

const PADDED: Window = Window {
    pad_before: [1, 1],
    pad_after: [1, 1],
    ..UNIT
};

/// The counts of channels behind each node.
fn widths(graph: &Graph) -> Vec<usize> {
    let last = |node: &crate::Node| *graph.tensor(node.output).shape.last().unwrap();
    graph.nodes.iter().map(last).collect()
}

#[test]
fn constant_channels_leave_depthwise_blocks_and_enter_the_bias_behind() {
    let mut b = Build::new();
    let x = b.input(&[1, 6, 6, 3]);
    let y = layer_without(&mut b, x, conv_2d(UNIT, 1), &[8, 1, 1, 3], &[1, 4]);
    let y = b.relu(y);
    // Of channel 1 it makes another constant, of 5 and 6 constants although they are none.
    let y = layer_without(&mut b, y, conv_2d(PADDED, 8), &[8, 3, 3, 1], &[1, 5, 6]);
    let y = b.relu(y);
    let y = layer_without(&mut b, y, conv_2d(UNIT, 1), &[4, 1, 1, 8], &[]);
    let graph = b.done(&[y]);
    let after = optimized(&graph, 1, &[]);
    // Channel 4 is constant, but not behind padding, unless its constant is 0.
    let four = graph.tensors[2].value.as_ref().unwrap()[4];
    let dead = if four <= 0.0 { 4 } else { 3 };
    assert_eq!(widths(&after), [8 - dead, 8 - dead, 4]);
    assert!(after.macs() < graph.macs());
    assert_eq!(
        widths(&optimized(&graph, 2, &["dead-channels"])),
        [8, 8, 4],
        "the pass was needed for nothing"
    );
}

#[test]
fn a_constant_stays_where_padding_would_stand_beside_it() {
    for (window, bias, width) in [
        (UNIT, 0.5, 3),
        (PADDED, 0.5, 4),
        (PADDED, -0.5, 3),
        (PADDED, 0.0, 3),
    ] {
        let mut b = Build::new();
        let x = b.input(&[1, 5, 5, 2]);
        let mut weights = b.1.values(8);
        weights[2..4].fill(0.0);
        let weights = b.0.add_constant("weights", vec![4, 1, 1, 2], weights);
        let bias =
            b.0.add_constant("bias", vec![4], vec![0.1, bias, 0.3, -0.2]);
        let y = b.add(conv_2d(UNIT, 1), &[x, weights, bias]);
        let y = b.relu(y);
        let y = b.conv(y, 3, 2, window);
        let after = optimized(&b.done(&[y]), 3, &[]);
        assert_eq!(widths(&after), [width, 2], "{window:?} {bias:?}");
    }
}

#[test]
fn channels_that_nobody_reads_go_from_all_that_hands_them_on() {
    let mut b = Build::new();
    let x = b.input(&[1, 6, 6, 3]);
    let left = layer_without(&mut b, x, conv_2d(PADDED, 1), &[4, 3, 3, 3], &[2]);
    let right = layer_without(&mut b, x, conv_2d(PADDED, 1), &[4, 3, 3, 3], &[0, 2]);
    // Constant on both sides: only channel 2.
    let sum = b.binary(BinaryOp::Add, left, right);
    let gate = b.random(&[4]);
    let sum = b.binary(BinaryOp::Maximum, sum, gate);
    let pool = b.add(
        Op::MaxPool2d {
            kernel: [2, 2],
            window: Window {
                stride: [2, 2],
                ..UNIT
            },
        },
        &[sum],
    );
    let other = b.add(
        Op::Slice {
            begin: vec![0, 0, 0, 0],
            size: vec![1, 3, 3, 3],
            step: vec![1, 2, 2, 1],
        },
        &[x],
    );
    let both = b.add(Op::Concat { axis: 3 }, &[other, pool]);
    let slope = b.random(&[7]);
    let both = b.add(Op::Prelu, &[both, slope]);
    let flat = b.reshape(both, &[1, 63]);
    // The first layer behind reads nothing of channel 3 of the sum, which is channel 6 here.
    let mut weights = b.1.values(5 * 63);
    for (i, w) in weights.iter_mut().enumerate() {
        if i % 7 == 6 {
            *w = 0.0;
        }
    }
    let weights = b.0.add_constant("weights", vec![5, 63], weights);
    let y = b.add(Op::FullyConnected, &[flat, weights]);
    let graph = b.done(&[y]);
    let after = optimized(&graph, 4, &[]);
    let named = |name: &str| {
        let node = after.nodes.iter().find(|node| node.op.name() == name);
        *after.tensor(node.unwrap().output).shape.last().unwrap()
    };
    assert_eq!(
        [
            named("conv_2d"),
            named("maximum"),
            named("concat"),
            named("reshape")
        ],
        [2, 2, 5, 45]
    );
    assert_eq!(widths(&after).last(), Some(&5));
}

#[test]
fn limits_make_constants_of_what_is_bounded() {
    let mut b = Build::new();
    let x = b.0.add_input("pixels", vec![1, 4, 4, 1], BorderType::U8);
    let weights =
        b.0.add_constant("weights", vec![3, 1, 1, 1], vec![0.001, 0.01, -0.01]);
    // Never above 0; above 6 always; sometimes between.
    let bias = b.0.add_constant("bias", vec![3], vec![-1.0, 9.0, 1.0]);
    let y = b.add(conv_2d(UNIT, 1), &[x, weights, bias]);
    let y = b.add(Op::Unary(UnaryOp::Clip { min: 0.0, max: 6.0 }), &[y]);
    let y = layer_without(&mut b, y, conv_2d(UNIT, 1), &[2, 1, 1, 3], &[]);
    let after = optimized(&b.done(&[y]), 5, &[]);
    assert_eq!(widths(&after), [1, 2]);
}

#[test]
fn grids_decide_what_is_constant_and_biases_stay_whole_steps() {
    let mut b = Build::new();
    let x = b.0.add_input("x", vec![1, 3, 3, 2], BorderType::F32);
    b.0.set_grid(x, Grid::new(0.02, 3));
    let steps = |b: &mut Build, len: usize, scales: &[f32], zero: usize| -> Vec<f32> {
        let row = len / scales.len();
        let value = |i: usize, b: &mut Build| {
            let steps = (b.1.value() * 127.0).round();
            if i / row == zero {
                0.0
            } else {
                steps * scales[i / row]
            }
        };
        (0..len).map(|i| value(i, b)).collect()
    };
    let (first, second) = ([0.004, 0.002, 0.003], [0.01, 0.02]);
    let values = steps(&mut b, 6, &first, 1);
    let weights =
        b.0.add_grid_constant("w1", vec![3, 1, 1, 2], values, Grid::weights(first));
    let bias = b.0.add_constant("b1", vec![3], vec![0.8, 1.234, -0.4]);
    let y = b.add(conv_2d(UNIT, 1), &[x, weights, bias]);
    b.0.set_grid(y, Grid::new(0.05, -128));
    let values = steps(&mut b, 6, &second, 9);
    let weights = b.0.add_grid_constant(
        "w2",
        vec![2, 1, 1, 3],
        values.clone(),
        Grid::weights(second),
    );
    let bias = [0.05 * 0.01 * 700.0, -0.05 * 0.02 * 40.0];
    let bias = b.0.add_constant("b2", vec![2], bias.to_vec());
    let z = b.add(conv_2d(UNIT, 1), &[y, weights, bias]);
    b.0.set_grid(z, Grid::new(0.1, 0));
    let after = optimized(&b.done(&[z]), 6, &[]);
    assert_eq!(widths(&after), [2, 2]);
    // 1.234 is 25 steps of 0.05.
    let last = after.nodes.last().unwrap();
    let folded = after.tensor(last.inputs[2]).value.as_ref().unwrap();
    for (oc, start) in [700.0, -40.0].into_iter().enumerate() {
        let whole = start + 25.0 * (values[oc * 3 + 1] / second[oc]).round();
        let is = f64::from(folded[oc]) / (0.05 * f64::from(second[oc]));
        assert!((is - f64::from(whole)).abs() < 1e-2, "{is} and not {whole}");
    }
    let first = after.tensor(after.nodes[0].inputs[1]);
    assert_eq!(first.grid.as_ref().unwrap().scales[..], [0.004, 0.003]);
}
