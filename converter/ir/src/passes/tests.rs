//! Every pass keeps what a graph computes, and each does what it is for.

mod channels;
mod grids;

use super::{Checking, Options, STAGES, optimize};
use crate::random::{Random, random_graph};
use crate::{
    Assembly, BinaryOp, BorderType, Executor, Graph, NearestMode, Op, ResizeMode, TensorId,
    UnaryOp, Window,
};

fn run(graph: &Graph, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed);
    let inputs: Vec<_> = graph
        .inputs
        .iter()
        .map(|input| random.values(input.shape.iter().product()))
        .collect();
    let inputs: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
    Executor::new(graph)
        .unwrap()
        .run(&inputs, &mut |_, _| {})
        .unwrap()
}

/// Optimizes without some passes and holds the result against the original; returns the new graph.
fn optimized(graph: &Graph, seed: u64, disabled: &[&str]) -> Graph {
    let mut after = graph.clone();
    let options = Options {
        disabled: disabled.iter().map(|name| (*name).to_owned()).collect(),
        checking: Checking::Each,
        samples: vec![],
    };
    optimize(&mut after, &options)
        .unwrap_or_else(|error| panic!("seed {seed}, without {disabled:?}: {error}"));
    let (a, b) = (run(graph, seed), run(&after, seed));
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a.len(), b.len(), "seed {seed}, without {disabled:?}");
        let scale = a.iter().fold(1.0f32, |max, v| max.max(v.abs()));
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!(
                (a - b).abs() <= 1e-4 * scale,
                "seed {seed}, without {disabled:?}: element {i} was {a}, is {b}"
            );
        }
    }
    after
}

fn ops(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

fn count(graph: &Graph, name: &str) -> usize {
    ops(graph).iter().filter(|op| **op == name).count()
}

struct Build(Graph, Random);

const UNIT: Window = Window::UNIT;

impl Build {
    fn new() -> Self {
        Self(Graph::default(), Random::new(7))
    }

    fn input(&mut self, shape: &[usize]) -> TensorId {
        let name = format!("input{}", self.0.inputs.len());
        self.0.add_input(name, shape.to_vec(), BorderType::F32)
    }

    fn random(&mut self, shape: &[usize]) -> TensorId {
        let values = self.1.values(shape.iter().product());
        self.0.add_constant("constant", shape.to_vec(), values)
    }

    fn scalar(&mut self, value: f32) -> TensorId {
        self.0.add_constant("scalar", vec![], vec![value])
    }

    fn add(&mut self, op: Op, inputs: &[TensorId]) -> TensorId {
        self.0.add_node(op.name(), op, inputs).unwrap()
    }

    fn binary(&mut self, op: BinaryOp, a: TensorId, b: TensorId) -> TensorId {
        self.add(Op::Binary(op), &[a, b])
    }

    fn relu(&mut self, x: TensorId) -> TensorId {
        self.add(
            Op::Unary(UnaryOp::Clip {
                min: 0.0,
                max: f32::INFINITY,
            }),
            &[x],
        )
    }

    fn conv(&mut self, x: TensorId, kernel: usize, oc: usize, window: Window) -> TensorId {
        let ic = self.0.tensor(x).shape[3];
        let weights = self.random(&[oc, kernel, kernel, ic]);
        self.add(Op::Conv2d { window, groups: 1 }, &[x, weights])
    }

    fn transpose(&mut self, x: TensorId, order: &[usize]) -> TensorId {
        self.add(
            Op::Transpose {
                order: order.to_vec(),
            },
            &[x],
        )
    }

    fn reshape(&mut self, x: TensorId, shape: &[usize]) -> TensorId {
        self.add(
            Op::Reshape {
                shape: shape.to_vec(),
            },
            &[x],
        )
    }

    fn done(mut self, outputs: &[TensorId]) -> Graph {
        for (i, id) in outputs.iter().enumerate() {
            self.0
                .add_output(format!("output{i}"), *id, BorderType::F32);
        }
        self.0.verify().unwrap();
        self.0
    }
}

/// Checks that with all passes the graph has these operators, and without the one named it has not.
fn needs(pass: &str, graph: &Graph, expected: &[&str]) -> Graph {
    let after = optimized(graph, 1, &[]);
    assert_eq!(ops(&after), expected, "with all passes");
    assert_ne!(
        ops(&optimized(graph, 2, &[pass])),
        expected,
        "`{pass}` was needed for nothing"
    );
    after
}

#[test]
fn random_graphs_keep_their_results() {
    for seed in 0..400 {
        let graph = random_graph(seed).unwrap();
        optimized(&graph, seed, &[]);
    }
}

#[test]
fn random_graphs_keep_their_results_without_any_one_pass() {
    for pass in STAGES.iter().flat_map(|stage| stage.iter()) {
        for seed in 1000..1020 {
            optimized(&random_graph(seed).unwrap(), seed, &[pass.name]);
        }
    }
}

#[test]
fn random_graphs_get_smaller() {
    let (mut before, mut after, mut transposes) = (0, 0, 0);
    for seed in 0..100 {
        let graph = random_graph(seed).unwrap();
        before += graph.nodes.len();
        let graph = optimized(&graph, seed, &[]);
        after += graph.nodes.len();
        transposes += count(&graph, "transpose");
    }
    assert!(after * 2 < before, "{before} nodes became {after}");
    assert!(transposes <= 10, "{transposes} transposes are left");
}

#[test]
fn optimizing_twice_changes_nothing() {
    for seed in 0..50 {
        let mut graph = random_graph(seed).unwrap();
        optimize(&mut graph, &Options::default()).unwrap();
        let reports = optimize(&mut graph, &Options::default()).unwrap();
        let busy: Vec<_> = reports.iter().filter(|report| report.changes > 0).collect();
        assert!(busy.is_empty(), "seed {seed}: {busy:?}");
    }
}

#[test]
fn unknown_passes_are_refused() {
    let error = optimize(
        &mut Graph::default(),
        &Options {
            disabled: vec!["speed".into()],
            ..Options::default()
        },
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("no pass `speed`")
            && error.to_string().contains("constant-folding")
    );
}

#[test]
fn constants_fold() {
    let mut b = Build::new();
    let x = b.input(&[3]);
    let (c, d) = (b.random(&[2, 3]), b.random(&[3]));
    let sum = b.binary(BinaryOp::Add, c, d);
    let y = b.binary(BinaryOp::Add, x, sum);
    needs("constant-folding", &b.done(&[y]), &["add"]);
}

#[test]
fn operators_without_effect_go() {
    let mut b = Build::new();
    let x = b.input(&[1, 2, 2, 3]);
    let x = b.conv(x, 1, 3, UNIT);
    let y = b.reshape(x, &[1, 2, 2, 3]);
    let y = b.add(
        Op::Slice {
            begin: vec![0; 4],
            size: vec![1, 2, 2, 3],
            step: vec![1; 4],
        },
        &[y],
    );
    let y = b.add(
        Op::Pad {
            before: vec![0; 4],
            after: vec![0; 4],
            value: 1.0,
        },
        &[y],
    );
    let y = b.add(
        Op::Mean {
            axes: vec![0],
            keep_dims: true,
        },
        &[y],
    );
    let y = b.add(Op::Softmax { axis: 3 }, &[y]);
    needs("no-ops", &b.done(&[y]), &["conv_2d", "softmax"]);
}

#[test]
fn a_batch_norm_disappears_into_the_convolution_before_it() {
    let mut b = Build::new();
    let x = b.input(&[1, 4, 5, 3]);
    let y = b.conv(
        x,
        3,
        4,
        Window {
            pad_before: [1, 1],
            ..UNIT
        },
    );
    let (factor, offset) = (b.random(&[4]), b.random(&[4]));
    let y = b.binary(BinaryOp::Mul, y, factor);
    let y = b.binary(BinaryOp::Sub, y, offset);
    let y = b.relu(y);
    let after = needs("linear-after", &b.done(&[y]), &["conv_2d"]);
    assert_eq!(after.nodes[0].clamp, Some((0.0, f32::INFINITY)));
    assert_eq!(after.nodes[0].inputs.len(), 3);
}

#[test]
fn a_positive_factor_passes_a_fused_limit() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 2]);
    let y = b.conv(x, 1, 2, UNIT);
    let y = b.add(Op::Unary(UnaryOp::Clip { min: 0.0, max: 0.3 }), &[y]);
    let y = b.add(
        Op::Unary(UnaryOp::Affine {
            scale: 2.0,
            offset: 1.0,
        }),
        &[y],
    );
    let after = optimized(&b.done(&[y]), 3, &[]);
    assert_eq!(
        (ops(&after), after.nodes[0].clamp),
        (vec!["conv_2d"], Some((1.0, 1.6)))
    );
}

#[test]
fn a_negative_factor_stays_behind_a_fused_limit() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 2]);
    let y = b.conv(x, 1, 2, UNIT);
    let y = b.relu(y);
    let y = b.add(Op::Unary(UnaryOp::Neg), &[y]);
    assert_eq!(
        ops(&optimized(&b.done(&[y]), 3, &[])),
        ["conv_2d", "affine"]
    );
}

#[test]
fn factors_and_offsets_enter_the_layer_behind() {
    for (padded, expected) in [(false, vec!["conv_2d"]), (true, vec!["affine", "conv_2d"])] {
        let mut b = Build::new();
        let x = b.input(&[1, 5, 5, 4]);
        let y = b.add(
            Op::Unary(UnaryOp::Affine {
                scale: 0.5,
                offset: 1.0,
            }),
            &[x],
        );
        let y = b.conv(
            y,
            3,
            2,
            if padded {
                Window {
                    pad_after: [1, 0],
                    ..UNIT
                }
            } else {
                UNIT
            },
        );
        assert_eq!(ops(&optimized(&b.done(&[y]), 4, &[])), expected);
    }
    let mut b = Build::new();
    let x = b.input(&[1, 5, 5, 4]);
    let (factor, weights) = (b.random(&[4]), b.random(&[6, 2, 2, 2]));
    let y = b.binary(BinaryOp::Mul, factor, x);
    let y = b.add(
        Op::Conv2d {
            window: Window {
                pad_before: [1, 1],
                ..UNIT
            },
            groups: 2,
        },
        &[y, weights],
    );
    needs("linear-before", &b.done(&[y]), &["conv_2d"]);
}

#[test]
fn composed_activations_are_found() {
    let mut b = Build::new();
    let x = b.input(&[2, 3]);
    let x = b.add(Op::Unary(UnaryOp::Tanh), &[x]);
    let (three, sixth, tenth, zero) = (b.scalar(3.0), b.scalar(6.0), b.scalar(0.1), b.scalar(0.0));
    let sum = b.binary(BinaryOp::Add, x, three);
    let gate = b.add(Op::Unary(UnaryOp::Clip { min: 0.0, max: 6.0 }), &[sum]);
    let product = b.binary(BinaryOp::Mul, gate, x);
    let hard_swish = b.binary(BinaryOp::Div, product, sixth);
    let hard_sigmoid = b.binary(BinaryOp::Div, gate, sixth);
    let sigmoid = b.add(Op::Unary(UnaryOp::Sigmoid), &[x]);
    let silu = b.binary(BinaryOp::Mul, x, sigmoid);
    let small = b.binary(BinaryOp::Mul, x, tenth);
    let leaky = b.binary(BinaryOp::Maximum, x, small);
    let relu = b.binary(BinaryOp::Maximum, zero, x);
    let graph = b.done(&[hard_swish, hard_sigmoid, silu, leaky, relu]);
    let mut after = ops(&needs(
        "arithmetic",
        &graph,
        &ops(&optimized(&graph, 5, &[])),
    ));
    after.sort_unstable();
    assert_eq!(
        after,
        [
            "clip",
            "hard_sigmoid",
            "hard_swish",
            "leaky_relu",
            "silu",
            "tanh"
        ]
    );
}

#[test]
fn what_depends_on_one_value_is_one_function() {
    let gelu = |b: &mut Build, x: TensorId| {
        let root = b.scalar(std::f32::consts::SQRT_2);
        let scaled = b.binary(BinaryOp::Div, x, root);
        let erf = b.add(Op::Unary(UnaryOp::Erf), &[scaled]);
        let one = b.scalar(1.0);
        let gate = b.binary(BinaryOp::Add, erf, one);
        let product = b.binary(BinaryOp::Mul, x, gate);
        let half = b.scalar(0.5);
        b.binary(BinaryOp::Mul, product, half)
    };
    let mut b = Build::new();
    let (x, other) = (b.input(&[1, 3, 5]), b.input(&[1, 3, 5]));
    let sum = b.binary(BinaryOp::Add, x, other);
    let y = gelu(&mut b, sum);
    let graph = b.done(&[y]);
    // The sum of two values stays outside.
    let after = needs("functions", &graph, &["add", "function"]);
    assert_eq!(after.nodes[1].inputs, [after.nodes[0].output]);

    // A value that another operator reads too is not hidden in a function.
    let mut b = Build::new();
    let x = b.input(&[1, 3, 5]);
    let soft = b.add(Op::Unary(UnaryOp::Softplus), &[x]);
    let gate = b.add(Op::Unary(UnaryOp::Tanh), &[soft]);
    let product = b.binary(BinaryOp::Mul, x, gate);
    let graph = b.done(&[product, soft]);
    assert_eq!(ops(&optimized(&graph, 3, &[])), ["softplus", "tanh", "mul"]);

    let mut b = Build::new();
    let x = b.input(&[1, 3, 5]);
    let square = b.binary(BinaryOp::Mul, x, x);
    let graph = b.done(&[square]);
    needs("functions", &graph, &["function"]);
}

#[test]
fn picture_operators_of_an_nchw_file_lose_their_transposes() {
    const IN: &[usize] = &[0, 2, 3, 1];
    const OUT: &[usize] = &[0, 3, 1, 2];
    let mut b = Build::new();
    let x = b.input(&[1, 3, 6, 8]);
    let half = b.scalar(0.5);
    let x = b.binary(BinaryOp::Sub, x, half);
    let t = b.transpose(x, IN);
    let t = b.conv(
        t,
        3,
        4,
        Window {
            pad_before: [1, 1],
            pad_after: [1, 1],
            ..UNIT
        },
    );
    let a = b.transpose(t, OUT);
    let relu = b.relu(a);
    let t = b.transpose(relu, IN);
    let t = b.conv(t, 1, 4, UNIT);
    let c = b.transpose(t, OUT);
    let offset = b.random(&[4, 1, 1]);
    let c = b.binary(BinaryOp::Mul, c, offset);
    let sum = b.binary(BinaryOp::Add, relu, c);
    let both = b.add(Op::Concat { axis: 1 }, &[sum, relu]);
    let t = b.transpose(both, IN);
    let nearest = ResizeMode::Nearest(NearestMode::Floor);
    let resize = Op::Resize {
        mode: nearest,
        coordinates: crate::CoordinateMode::Asymmetric,
        size: [12, 16],
        scale: [2.0, 2.0],
    };
    let t = b.add(resize, &[t]);
    let y = b.transpose(t, OUT);
    let graph = b.done(&[y]);
    let after = needs(
        "transpose-sinking",
        &graph,
        &[
            "affine",
            "conv_2d",
            "conv_2d",
            "add",
            "concat",
            "resize_stays",
        ]
        .map(|op| if op == "resize_stays" { "resize" } else { op }),
    );
    assert_eq!(after.inputs[0].order, IN);
    assert_eq!(
        after.outputs[0].assembly,
        Assembly::Transpose(
            Box::new(Assembly::Tensor(after.nodes[5].output)),
            OUT.to_vec()
        )
    );
}

#[test]
fn flattening_an_nchw_picture_permutes_the_weights() {
    for rows in [1, 2] {
        let mut b = Build::new();
        let x = b.input(&[rows, 4, 5, 2]);
        let x = b.conv(x, 1, 3, UNIT);
        let t = b.transpose(x, &[0, 3, 1, 2]);
        let flat = b.reshape(t, &[rows, 60]);
        let flat = b.relu(flat);
        let weights = b.random(&[7, 60]);
        let y = b.add(Op::FullyConnected, &[flat, weights]);
        needs(
            "flatten-weights",
            &b.done(&[y]),
            &["conv_2d", "reshape", "fully_connected"],
        );
    }
}

#[test]
fn channel_shuffles_become_gathers_and_enter_weights() {
    let mut b = Build::new();
    let x = b.input(&[1, 6, 4, 4]);
    let s = b.reshape(x, &[1, 2, 3, 4, 4]);
    let s = b.transpose(s, &[0, 2, 1, 3, 4]);
    let s = b.reshape(s, &[1, 6, 4, 4]);
    let t = b.transpose(s, &[0, 2, 3, 1]);
    let t = b.add(Op::Unary(UnaryOp::Tanh), &[t]);
    let y = b.conv(t, 1, 2, UNIT);
    let graph = b.done(&[y]);
    needs("channel-shuffle", &graph, &["gather", "tanh", "conv_2d"]);

    let mut b = Build::new();
    let x = b.input(&[1, 4, 4, 6]);
    let s = b.add(
        Op::Gather {
            axis: 3,
            indices: vec![0, 3, 1, 4, 2, 5],
        },
        &[x],
    );
    let y = b.conv(s, 1, 2, UNIT);
    needs("gather-weights", &b.done(&[y]), &["conv_2d"]);
}

#[test]
fn a_shuffle_into_two_halves_becomes_two_strided_slices() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 4, 6]);
    let x = b.conv(x, 1, 6, UNIT);
    let x = b.transpose(x, &[0, 3, 1, 2]);
    let s = b.reshape(x, &[3, 2, 12]);
    let s = b.transpose(s, &[1, 0, 2]);
    let s = b.reshape(s, &[2, 1, 3, 3, 4]);
    let halves = [0, 1].map(|half| {
        let part = b.add(
            Op::Gather {
                axis: 0,
                indices: vec![half],
            },
            &[s],
        );
        let part = b.reshape(part, &[1, 3, 3, 4]);
        let part = b.transpose(part, &[0, 2, 3, 1]);
        b.conv(part, 1, 2, UNIT)
    });
    let after = needs(
        "channel-shuffle",
        &b.done(&halves),
        &["conv_2d", "slice", "conv_2d", "slice", "conv_2d"],
    );
    let steps: Vec<_> = after
        .nodes
        .iter()
        .filter_map(|node| {
            if let Op::Slice { step, .. } = &node.op {
                Some(step.clone())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(steps, [[1, 1, 1, 2], [1, 1, 1, 2]]);
}

#[test]
fn a_transpose_of_moved_ones_meets_its_opposite() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 4, 6]);
    let x = b.conv(x, 1, 6, UNIT);
    let y = b.reshape(x, &[3, 4, 1, 6]);
    let y = b.transpose(y, &[2, 3, 0, 1]);
    let y = b.transpose(y, &[0, 2, 3, 1]);
    let y = b.add(Op::Softmax { axis: 3 }, &[y]);
    needs("movement", &b.done(&[y]), &["conv_2d", "softmax"]);
}

#[test]
fn pads_enter_windows_only_where_equal() {
    let pad = |value: f32| Op::Pad {
        before: vec![0, 1, 0, 0],
        after: vec![0, 1, 2, 0],
        value,
    };
    let pool = |window| Op::MaxPool2d {
        kernel: [3, 3],
        window,
    };
    let average = |count_include_pad| Op::AveragePool2d {
        kernel: [3, 3],
        window: UNIT,
        count_include_pad,
    };
    let cases = [
        (pad(0.0), average(false), false, true),
        (pad(1.0), average(false), false, false),
        (pad(0.0), pool(UNIT), false, false),
        (pad(0.0), pool(UNIT), true, true),
        (pad(f32::MIN), pool(UNIT), false, true),
        (
            pad(0.0),
            pool(Window {
                pad_before: [2, 0],
                ..UNIT
            }),
            true,
            false,
        ),
    ];
    for (pad, op, relu, folds) in cases {
        let mut b = Build::new();
        let mut x = b.input(&[1, 5, 5, 2]);
        if relu {
            x = b.relu(x);
        }
        let y = b.add(pad.clone(), &[x]);
        let y = b.add(op.clone(), &[y]);
        let after = optimized(&b.done(&[y]), 6, &[]);
        assert_eq!(count(&after, "pad") == 0, folds, "{pad:?} before {op:?}");
    }
    let mut b = Build::new();
    let x = b.input(&[1, 5, 5, 2]);
    let y = b.add(pad(0.0), &[x]);
    let y = b.conv(
        y,
        3,
        2,
        Window {
            pad_before: [0, 1],
            ..UNIT
        },
    );
    let after = needs("pads", &b.done(&[y]), &["conv_2d"]);
    let Op::Conv2d { window, .. } = after.nodes[0].op else {
        panic!("{:?}", after.nodes[0])
    };
    assert_eq!((window.pad_before, window.pad_after), ([1, 1], [1, 2]));
}

#[test]
fn limits_fuse_unless_the_value_is_needed_without() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 2]);
    let y = b.conv(x, 1, 2, UNIT);
    let z = b.relu(y);
    let z = b.add(
        Op::Unary(UnaryOp::Clip {
            min: -1.0,
            max: 0.25,
        }),
        &[z],
    );
    let graph = b.done(&[z]);
    let after = needs("activations", &graph, &["conv_2d"]);
    assert_eq!(after.nodes[0].clamp, Some((0.0, 0.25)));
    let mut kept = graph.clone();
    kept.add_output("raw", y, BorderType::F32);
    assert_eq!(ops(&optimized(&kept, 8, &[])), ["conv_2d", "clip"]);
}

#[test]
fn duplicates_are_computed_once() {
    let mut b = Build::new();
    let x = b.input(&[4]);
    let parts = [0, 1].map(|_| b.add(Op::Softmax { axis: 0 }, &[x]));
    let y = b.binary(BinaryOp::Mul, parts[0], parts[1]);
    needs("duplicates", &b.done(&[y]), &["softmax", "function"]);
}

#[test]
fn slices_and_concatenations_meet() {
    let slice = |begin: usize, size: usize| Op::Slice {
        begin: vec![0, begin],
        size: vec![2, size],
        step: vec![1, 1],
    };
    let mut b = Build::new();
    let x = b.input(&[2, 6]);
    let parts = [(0, 2), (2, 3), (5, 1)].map(|(begin, size)| b.add(slice(begin, size), &[x]));
    let whole = b.add(Op::Concat { axis: 1 }, &parts);
    let exp = b.add(Op::Unary(UnaryOp::Exp), &[whole]);
    let middle = b.add(slice(3, 2), &[whole]);
    let middle = b.add(slice(1, 1), &[middle]);
    let tanh = b.add(Op::Unary(UnaryOp::Tanh), &[middle]);
    let after = needs("movement", &b.done(&[exp, tanh]), &["exp", "slice", "tanh"]);
    assert!(matches!(&after.nodes[1].op, Op::Slice { begin, .. } if *begin == [0, 4]));
}

#[test]
fn means_over_pictures_become_pools() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 4, 5]);
    let y = b.add(
        Op::Mean {
            axes: vec![1, 2],
            keep_dims: false,
        },
        &[x],
    );
    let z = b.add(
        Op::Mean {
            axes: vec![2],
            keep_dims: true,
        },
        &[x],
    );
    let after = needs(
        "mean-to-pool",
        &b.done(&[y, z]),
        &["average_pool_2d", "average_pool_2d"],
    );
    assert!(matches!(after.outputs[0].assembly, Assembly::Reshape(..)));

    // Several pictures are none that a device has a pool for.
    let mut b = Build::new();
    let x = b.input(&[2, 3, 5]);
    let axes = vec![1];
    let keep_dims = true;
    let y = b.add(Op::Mean { axes, keep_dims }, &[x]);
    assert_eq!(ops(&optimized(&b.done(&[y]), 3, &[])), ["mean"]);
}

#[test]
fn softmax_gets_the_innermost_axis() {
    let mut b = Build::new();
    let x = b.input(&[2, 3, 4]);
    let y = b.add(Op::Softmax { axis: 1 }, &[x]);
    let after = optimized(&b.done(&[y]), 9, &[]);
    assert_eq!(after.inputs[0].order, [0, 2, 1]);
    assert!(
        matches!(after.nodes.as_slice(), [node] if node.op == Op::Softmax { axis: 2 }),
        "{:?}",
        after.nodes
    );
}

#[test]
fn outputs_are_assembled_from_tensors_of_their_own() {
    let mut b = Build::new();
    let x = b.input(&[1, 2, 3, 4]);
    let heads = [1, 2].map(|oc| {
        let y = b.conv(x, 1, oc * 2, UNIT);
        b.reshape(y, &[1, 6 * oc, 2])
    });
    let y = b.add(Op::Concat { axis: 1 }, &heads);
    let y = b.transpose(y, &[0, 2, 1]);
    let after = needs("output-assembly", &b.done(&[y]), &["conv_2d", "conv_2d"]);
    assert_eq!(after.outputs[0].assembly.tensors().len(), 2);
}

#[test]
fn an_input_read_in_both_layouts_keeps_its_results() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 4, 5]);
    let t = b.transpose(x, &[0, 2, 3, 1]);
    let y = b.conv(t, 3, 2, UNIT);
    let flat = b.reshape(x, &[1, 60]);
    let weights = b.random(&[3, 60]);
    let z = b.add(Op::FullyConnected, &[flat, weights]);
    let after = needs(
        "input-layout",
        &b.done(&[y, z]),
        &["conv_2d", "reshape", "fully_connected"],
    );
    assert_eq!(after.inputs[0].order, [0, 2, 3, 1]);
}

#[test]
fn damaged_weights_are_refused_by_name() {
    let mut b = Build::new();
    let x = b.input(&[2]);
    let w =
        b.0.add_constant("layer3.weight", vec![1, 2], vec![1.0, f32::NAN]);
    let y = b.add(Op::FullyConnected, &[x, w]);
    b.0.add_output("out", y, BorderType::F32);
    let error = optimize(&mut b.0, &Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("layer3.weight")
            && error.contains("NaN")
            && error.contains("fully_connected"),
        "{error}"
    );
}
