//! Passes and the scales that a quantized model's file fixes.

use super::{Build, UNIT, needs, ops, optimized};
use crate::passes::{Options, STAGES, optimize};
use crate::random::random_quantized_graph;
use crate::{BinaryOp, Graph, Grid, Op, TensorId, UnaryOp, Window};

#[test]
fn random_graphs_with_grids_keep_their_results() {
    for seed in 0..400 {
        optimized(&random_quantized_graph(seed).unwrap(), seed, &[]);
    }
    for pass in STAGES.iter().flat_map(|stage| stage.iter()) {
        for seed in 1000..1020 {
            optimized(&random_quantized_graph(seed).unwrap(), seed, &[pass.name]);
        }
    }
}

#[test]
fn optimizing_graphs_with_grids_twice_changes_nothing() {
    for seed in 0..100 {
        let mut graph = random_quantized_graph(seed).unwrap();
        optimize(&mut graph, &Options::default()).unwrap();
        let reports = optimize(&mut graph, &Options::default()).unwrap();
        let busy: Vec<_> = reports.iter().filter(|report| report.changes > 0).collect();
        assert!(busy.is_empty(), "seed {seed}: {busy:?}");
    }
}

impl Build {
    fn rounded(&mut self, x: TensorId, scale: f32, zero_point: i32) -> TensorId {
        self.0
            .quantized("quantize", x, Grid::new(scale, zero_point))
            .unwrap()
    }

    /// Weights of whole steps, one scale an output channel.
    fn gridded_conv(&mut self, x: TensorId, oc: usize, window: Window) -> TensorId {
        let ic = self.0.tensor(x).shape[3];
        let scales: Vec<f32> = (0..oc).map(|i| 0.01 * (i + 1) as f32).collect();
        let values: Vec<f32> = (0..oc * ic)
            .map(|i| scales[i / ic] * (i as f32 * 37.0 % 250.0 - 125.0).round())
            .collect();
        let shape = vec![oc, 1, 1, ic];
        let weights = self
            .0
            .add_grid_constant("weights", shape, values, Grid::weights(scales));
        self.add(Op::Conv2d { window, groups: 1 }, &[x, weights])
    }
}

fn grid_of(graph: &Graph, name: &str) -> Option<Grid> {
    let node = graph.nodes.iter().find(|node| node.op.name() == name)?;
    graph.tensor(node.output).grid.clone()
}

#[test]
fn a_layer_takes_the_rounding_behind_its_limit() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 2]);
    let y = b.rounded(x, 0.01, 3);
    let y = b.gridded_conv(y, 4, UNIT);
    let y = b.add(Op::Unary(UnaryOp::Clip { min: 0.0, max: 6.0 }), &[y]);
    let y = b.rounded(y, 0.02, -128);
    let after = needs("grids", &b.done(&[y]), &["conv_2d"]);
    assert_eq!(after.nodes[0].clamp, Some((0.0, 6.0)));
    assert_eq!(grid_of(&after, "conv_2d"), Some(Grid::new(0.02, -128)));
    let input = after.tensor(after.inputs[0].tensor);
    assert_eq!(input.grid, Some(Grid::new(0.01, 3)));
}

#[test]
fn a_rounding_moves_in_front_of_copies_and_pools() {
    let mut b = Build::new();
    let x = b.input(&[1, 4, 4, 2]);
    let y = b.gridded_conv(x, 2, UNIT);
    let y = b.add(
        Op::MaxPool2d {
            kernel: [2, 2],
            window: UNIT,
        },
        &[y],
    );
    let y = b.reshape(y, &[1, 18]);
    let y = b.rounded(y, 0.1, 0);
    let after = optimized(&b.done(&[y]), 5, &[]);
    assert_eq!(ops(&after), ["conv_2d", "max_pool_2d"]);
    assert_eq!(grid_of(&after, "conv_2d"), Some(Grid::new(0.1, 0)));
}

#[test]
fn weights_of_a_file_take_a_bias_and_no_factor() {
    for (op, expected) in [
        (BinaryOp::Add, vec!["conv_2d"]),
        (BinaryOp::Mul, vec!["conv_2d", "mul"]),
    ] {
        let mut b = Build::new();
        let x = b.input(&[1, 3, 3, 2]);
        let y = b.gridded_conv(x, 4, UNIT);
        let operand = b.random(&[4]);
        let y = b.binary(op, y, operand);
        let after = optimized(&b.done(&[y]), 6, &[]);
        assert_eq!(ops(&after), expected);
        assert!(after.tensor(after.nodes[0].inputs[1]).grid.is_some());
    }
}

#[test]
fn nothing_is_folded_across_a_rounding() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 2]);
    let y = b.conv(x, 1, 4, UNIT);
    let y = b.rounded(y, 0.05, 10);
    let (factor, offset) = (b.random(&[4]), b.random(&[4]));
    let y = b.binary(BinaryOp::Mul, y, factor);
    let y = b.rounded(y, 0.05, 0);
    let y = b.binary(BinaryOp::Add, y, offset);
    let y = b.rounded(y, 0.03, 0);
    let y = b.add(Op::Unary(UnaryOp::Clip { min: 0.0, max: 0.5 }), &[y]);
    let y = b.rounded(y, 0.002, -128);
    assert_eq!(
        ops(&optimized(&b.done(&[y]), 7, &[])),
        ["conv_2d", "mul", "add", "clip"]
    );
}

#[test]
fn a_limit_joins_a_rounded_layer_where_it_is_a_step() {
    for (max, expected) in [(f32::INFINITY, 1), (0.31, 2)] {
        let mut b = Build::new();
        let x = b.input(&[1, 3, 3, 2]);
        let y = b.conv(x, 1, 4, UNIT);
        let y = b.rounded(y, 0.02, 0);
        let y = b.add(Op::Unary(UnaryOp::Clip { min: 0.0, max }), &[y]);
        let after = optimized(&b.done(&[y]), 8, &[]);
        assert_eq!(after.nodes.len(), expected);
        assert_eq!(grid_of(&after, "conv_2d"), Some(Grid::new(0.02, 0)));
    }
}

#[test]
fn a_limit_beyond_the_grid_is_none() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 2]);
    let y = b.rounded(x, 0.02, -128);
    let y = b.relu(y);
    let y = b.add(Op::Softmax { axis: 3 }, &[y]);
    assert_eq!(ops(&optimized(&b.done(&[y]), 9, &[])), ["softmax"]);
}

#[test]
fn a_change_of_scale_stays() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 2]);
    let y = b.rounded(x, 0.02, 0);
    let y = b.reshape(y, &[1, 18]);
    let y = b.rounded(y, 0.03, 5);
    assert_eq!(ops(&optimized(&b.done(&[y]), 10, &[])), ["quantize"]);
}

#[test]
fn rounding_twice_alike_is_rounding_once() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 2]);
    let y = b.rounded(x, 0.02, 0);
    let y = b.reshape(y, &[1, 18]);
    let y = b.add(Op::Quantize, &[y]);
    b.0.set_grid(y, Grid::new(0.02, 0));
    let y = b.add(Op::Softmax { axis: 1 }, &[y]);
    assert_eq!(
        ops(&optimized(&b.done(&[y]), 11, &[])),
        ["reshape", "softmax"]
    );
}
