//! Small networks of the shapes that real ones have, made here so that every machine has them.

use ocellus_compile::{Calibration, Method, Sample};
use ocellus_ir::random::{Random, random_graph};
use ocellus_ir::{
    Assembly, BinaryOp, BorderType, CoordinateMode, Graph, NearestMode, Op, Output, ResizeMode,
    TensorId, UnaryOp, Window,
};

use crate::models::Model;

/// Samples that a generated network is calibrated on.
const SAMPLES: usize = 6;

struct Net {
    graph: Graph,
    random: Random,
}

/// How a convolution reads its input.
#[derive(Clone, Copy)]
struct Conv {
    out_channels: usize,
    kernel: [usize; 2],
    stride: usize,
    dilation: usize,
    groups: usize,
}

impl Conv {
    fn new(out_channels: usize, kernel: usize) -> Conv {
        Conv {
            out_channels,
            kernel: [kernel; 2],
            stride: 1,
            dilation: 1,
            groups: 1,
        }
    }

    fn stride(self, stride: usize) -> Conv {
        Conv { stride, ..self }
    }

    fn groups(self, groups: usize) -> Conv {
        Conv { groups, ..self }
    }
}

const RELU: UnaryOp = UnaryOp::Clip {
    min: 0.0,
    max: f32::INFINITY,
};
const RELU6: UnaryOp = UnaryOp::Clip { min: 0.0, max: 6.0 };

fn window(stride: usize, dilation: usize, pad: [usize; 2]) -> Window {
    Window {
        stride: [stride; 2],
        dilation: [dilation; 2],
        pad_before: pad,
        pad_after: pad,
    }
}

impl Net {
    fn new(seed: u64) -> Net {
        Net {
            graph: Graph::default(),
            random: Random::new(seed),
        }
    }

    fn shape(&self, x: TensorId) -> Vec<usize> {
        self.graph.tensor(x).shape.clone()
    }

    fn channels(&self, x: TensorId) -> usize {
        *self.shape(x).last().expect("a picture")
    }

    fn node(&mut self, op: Op, inputs: &[TensorId]) -> TensorId {
        let name = format!("{}.{}", op.name(), self.graph.nodes.len());
        self.graph.add_node(name, op, inputs).expect("it fits")
    }

    fn unary(&mut self, op: UnaryOp, x: TensorId) -> TensorId {
        self.node(Op::Unary(op), &[x])
    }

    fn binary(&mut self, op: BinaryOp, a: TensorId, b: TensorId) -> TensorId {
        self.node(Op::Binary(op), &[a, b])
    }

    fn constant(&mut self, shape: &[usize], gain: f32) -> TensorId {
        let values = self.random.values(shape.iter().product());
        let values: Vec<f32> = values.into_iter().map(|v| v * gain).collect();
        let name = format!("constant.{}", self.graph.tensors.len());
        self.graph.add_constant(name, shape.to_vec(), values)
    }

    fn conv(&mut self, x: TensorId, conv: Conv) -> TensorId {
        let inner = self.channels(x) / conv.groups;
        let [rows, columns] = conv.kernel;
        let gain = (3.0 / (rows * columns * inner) as f32).sqrt();
        let w = self.constant(&[conv.out_channels, rows, columns, inner], gain);
        let b = self.constant(&[conv.out_channels], 0.2);
        let pad = conv.kernel.map(|k| conv.dilation * (k / 2));
        let window = window(conv.stride, conv.dilation, pad);
        let groups = conv.groups;
        self.node(Op::Conv2d { window, groups }, &[x, w, b])
    }

    fn depthwise(&mut self, x: TensorId, kernel: usize, stride: usize) -> TensorId {
        let channels = self.channels(x);
        self.conv(
            x,
            Conv::new(channels, kernel).stride(stride).groups(channels),
        )
    }

    fn dense(&mut self, x: TensorId, out: usize) -> TensorId {
        let len = self.shape(x).iter().product();
        let x = self.node(
            Op::Reshape {
                shape: vec![1, len],
            },
            &[x],
        );
        let w = self.constant(&[out, len], (3.0 / len as f32).sqrt());
        let b = self.constant(&[out], 0.2);
        self.node(Op::FullyConnected, &[x, w, b])
    }

    /// The same matrix for each row of the innermost axis.
    fn linear(&mut self, x: TensorId, out: usize) -> TensorId {
        let inner = self.channels(x);
        let w = self.constant(&[out, inner], (3.0 / inner as f32).sqrt());
        let b = self.constant(&[out], 0.2);
        self.node(Op::FullyConnected, &[x, w, b])
    }

    fn layer_norm(&mut self, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        let (axis, channels) = (shape.len() - 1, self.channels(x));
        let gamma = self.constant(&[channels], 1.0);
        let beta = self.constant(&[channels], 0.2);
        let op = Op::LayerNorm {
            axis,
            run: 1,
            epsilon: 1e-5,
            centered: true,
        };
        self.node(op, &[x, gamma, beta])
    }

    fn reshape(&mut self, x: TensorId, shape: &[usize]) -> TensorId {
        let shape = shape.to_vec();
        self.node(Op::Reshape { shape }, &[x])
    }

    fn transpose(&mut self, x: TensorId, order: &[usize]) -> TensorId {
        let order = order.to_vec();
        self.node(Op::Transpose { order }, &[x])
    }

    fn mean(&mut self, x: TensorId, keep_dims: bool) -> TensorId {
        let axes = vec![1, 2];
        self.node(Op::Mean { axes, keep_dims }, &[x])
    }

    fn slice(&mut self, x: TensorId, begin: &[usize], end: &[usize], step: &[usize]) -> TensorId {
        let size = (0..begin.len())
            .map(|axis| (end[axis] - begin[axis]).div_ceil(step[axis]))
            .collect();
        let (begin, step) = (begin.to_vec(), step.to_vec());
        self.node(Op::Slice { begin, size, step }, &[x])
    }

    fn resize(&mut self, x: TensorId, mode: ResizeMode, factor: usize) -> TensorId {
        let shape = self.shape(x);
        let size = [shape[1] * factor, shape[2] * factor];
        let coordinates = match mode {
            ResizeMode::Nearest(_) => CoordinateMode::Asymmetric,
            ResizeMode::Linear => CoordinateMode::HalfPixel,
        };
        let scale = [factor as f32; 2];
        self.node(
            Op::Resize {
                mode,
                coordinates,
                size,
                scale,
            },
            &[x],
        )
    }

    fn output(&mut self, name: &str, x: TensorId) {
        self.graph.add_output(name, x, BorderType::F32);
    }
}

/// Residual blocks, one with a projection, behind bytes as input.
fn residual() -> Graph {
    let mut net = Net::new(11);
    let pixels = net
        .graph
        .add_input("pixels", vec![1, 20, 18, 3], BorderType::U8);
    let (scale, offset) = (1.0 / 128.0, -1.0);
    let x = net.unary(UnaryOp::Affine { scale, offset }, pixels);
    let x = net.conv(x, Conv::new(16, 3));
    let mut x = net.unary(RELU, x);
    for (channels, stride) in [(16, 1), (32, 2)] {
        let y = net.conv(x, Conv::new(channels, 3).stride(stride));
        let y = net.unary(RELU, y);
        let y = net.conv(y, Conv::new(channels, 3));
        let skip = if stride == 1 {
            x
        } else {
            net.conv(x, Conv::new(channels, 1).stride(stride))
        };
        let sum = net.binary(BinaryOp::Add, skip, y);
        x = net.unary(RELU, sum);
    }
    let x = net.mean(x, false);
    let x = net.dense(x, 10);
    let x = net.node(Op::Softmax { axis: 1 }, &[x]);
    net.output("probabilities", x);
    net.graph
}

/// Depthwise separable blocks with squeeze-and-excitation and hard activations.
fn separable() -> Graph {
    let mut net = Net::new(12);
    let x = net
        .graph
        .add_input("picture", vec![1, 25, 23, 3], BorderType::F32);
    let x = net.conv(x, Conv::new(8, 3).stride(2));
    let mut x = net.unary(UnaryOp::HardSwish, x);
    for (channels, kernel, stride) in [(16, 3, 1), (24, 5, 2)] {
        let y = net.depthwise(x, kernel, stride);
        let y = net.unary(RELU6, y);
        x = net.conv(y, Conv::new(channels, 1));
    }
    let squeezed = net.mean(x, true);
    let y = net.conv(squeezed, Conv::new(8, 1));
    let y = net.unary(RELU, y);
    let y = net.conv(y, Conv::new(24, 1));
    let (alpha, beta) = (1.0 / 6.0, 0.5);
    let gate = net.unary(UnaryOp::HardSigmoid { alpha, beta }, y);
    let x = net.binary(BinaryOp::Mul, x, gate);
    let x = net.conv(x, Conv::new(40, 1));
    let features = net.unary(UnaryOp::Silu, x);
    let pooled = net.node(
        Op::AveragePool2d {
            kernel: [3, 3],
            window: window(2, 1, [1, 1]),
            count_include_pad: false,
        },
        &[features],
    );
    let logits = net.dense(pooled, 12);
    net.output("logits", logits);
    let squashed = net.unary(UnaryOp::Tanh, features);
    net.output("features", squashed);
    net.graph
}

/// A pyramid with up-sampling of three kinds, and heads of different ranges joined for the user.
fn detector() -> Graph {
    let mut net = Net::new(13);
    let x = net
        .graph
        .add_input("picture", vec![1, 32, 40, 3], BorderType::F32);
    let x = net.conv(x, Conv::new(8, 3).stride(2));
    let x = net.unary(RELU, x);
    let x = net.node(
        Op::MaxPool2d {
            kernel: [3, 3],
            window: window(2, 1, [1, 1]),
        },
        &[x],
    );
    let x = net.conv(x, Conv::new(16, 3));
    let fine = net.unary(UnaryOp::LeakyRelu { slope: 0.1 }, x);
    let x = net.conv(fine, Conv::new(24, 3).stride(2));
    let coarse = net.unary(RELU, x);
    let top = net.conv(coarse, Conv::new(16, 1));
    let near = net.resize(top, ResizeMode::Nearest(NearestMode::Floor), 2);
    let smooth = net.resize(coarse, ResizeMode::Linear, 2);
    let joined = net.node(Op::Concat { axis: 3 }, &[near, fine, smooth]);
    let wide = Conv {
        dilation: 2,
        ..Conv::new(16, 3)
    };
    let x = net.conv(joined, wide);
    let neck = net.unary(RELU, x);

    let scores = net.conv(neck, Conv::new(12, 1));
    let scores = net.node(
        Op::Reshape {
            shape: vec![1, 240, 4],
        },
        &[scores],
    );
    let scores = net.node(Op::Softmax { axis: 2 }, &[scores]);
    let boxes = net.conv(neck, Conv::new(12, 3));
    let centre = net.slice(boxes, &[0; 4], &[1, 8, 10, 6], &[1; 4]);
    let centre = net.unary(UnaryOp::Sigmoid, centre);
    let size = net.slice(boxes, &[0, 0, 0, 6], &[1, 8, 10, 12], &[1; 4]);
    let size = net.unary(UnaryOp::Exp, size);
    let flat = |assembly| Assembly::Reshape(Box::new(assembly), vec![1, 240, 2]);
    let parts = vec![
        Assembly::Tensor(scores),
        flat(Assembly::Tensor(centre)),
        flat(Assembly::Tensor(size)),
    ];
    net.graph.outputs.push(Output {
        name: "detections".to_owned(),
        shape: vec![1, 240, 8],
        assembly: Assembly::Concat(parts, 2),
        border: BorderType::F32,
    });

    let w = net.constant(&[8, 2, 2, 16], 0.3);
    let b = net.constant(&[8], 0.2);
    let mask = net.node(
        Op::TransposeConv2d {
            window: window(2, 1, [0, 0]),
            output_padding: [0, 0],
            groups: 1,
        },
        &[neck, w, b],
    );
    let mask = net.unary(UnaryOp::Sigmoid, mask);
    net.output("mask", mask);
    net.graph
}

/// What is rare: two inputs, slopes a channel, minima, shuffles, groups, rows alone, steps.
fn mixed() -> Graph {
    let mut net = Net::new(14);
    let [a, b] = ["first", "second"].map(|name| {
        net.graph
            .add_input(name, vec![1, 13, 14, 6], BorderType::F32)
    });
    let slope = net.constant(&[6], 0.4);
    let a = net.node(Op::Prelu, &[a, slope]);
    let low = net.binary(BinaryOp::Minimum, a, b);
    let high = net.binary(BinaryOp::Maximum, a, b);
    let spread = net.binary(BinaryOp::Sub, high, low);
    let offset = net.constant(&[6], 0.5);
    let moved = net.binary(BinaryOp::Add, low, offset);
    let x = net.node(Op::Concat { axis: 3 }, &[spread, moved]);
    let order = (0..12).map(|i| (i % 2) * 6 + i / 2).collect();
    let x = net.node(
        Op::Gather {
            axis: 3,
            indices: order,
        },
        &[x],
    );
    let x = net.conv(x, Conv::new(10, 3).groups(2));
    let x = net.unary(UnaryOp::Silu, x);
    let x = net.slice(x, &[0, 1, 0, 0], &[1, 13, 14, 10], &[1, 2, 1, 1]);
    let x = net.node(
        Op::Pad {
            before: vec![0, 0, 1, 0],
            after: vec![0, 1, 0, 0],
            value: 0.0,
        },
        &[x],
    );
    let rows = Conv {
        kernel: [1, 5],
        ..Conv::new(9, 1)
    };
    let x = net.conv(x, rows);
    let x = net.node(
        Op::Transpose {
            order: vec![0, 2, 1, 3],
        },
        &[x],
    );
    let squares = net.binary(BinaryOp::Mul, x, x);
    net.output("squares", squares);
    let magnitudes = net.unary(UnaryOp::Abs, x);
    let logits = net.dense(magnitudes, 7);
    net.output("logits", logits);
    net.graph
}

/// Patches of a picture that attend to each other in three heads, normalized before each of two blocks.
fn transformer() -> Graph {
    let (heads, width, tokens) = (3, 8, 9);
    let channels = heads * width;
    let mut net = Net::new(15);
    let x = net
        .graph
        .add_input("picture", vec![1, 24, 24, 3], BorderType::F32);
    let w = net.constant(&[channels, 8, 8, 3], 0.125);
    let b = net.constant(&[channels], 0.2);
    let window = window(8, 1, [0, 0]);
    let x = net.node(Op::Conv2d { window, groups: 1 }, &[x, w, b]);
    let x = net.reshape(x, &[1, tokens, channels]);
    let places = net.constant(&[1, tokens, channels], 0.5);
    let mut x = net.binary(BinaryOp::Add, x, places);
    for _ in 0..2 {
        let normal = net.layer_norm(x);
        let [queries, keys, values] = [0; 3].map(|_| {
            let projected = net.linear(normal, channels);
            let split = net.reshape(projected, &[1, tokens, heads, width]);
            net.transpose(split, &[0, 2, 1, 3])
        });
        let product = |transposed| Op::BatchMatMul { transposed };
        let scores = net.node(product([false, true]), &[queries, keys]);
        let (scale, offset) = ((width as f32).sqrt().recip(), 0.0);
        let scores = net.unary(UnaryOp::Affine { scale, offset }, scores);
        let shares = net.node(Op::Softmax { axis: 3 }, &[scores]);
        let mixed = net.node(product([false, false]), &[shares, values]);
        let mixed = net.transpose(mixed, &[0, 2, 1, 3]);
        let mixed = net.reshape(mixed, &[1, tokens, channels]);
        let mixed = net.linear(mixed, channels);
        x = net.binary(BinaryOp::Add, x, mixed);

        let normal = net.layer_norm(x);
        let wide = net.linear(normal, 2 * channels);
        let (scale, offset) = (std::f32::consts::FRAC_1_SQRT_2, 0.0);
        let inner = net.unary(UnaryOp::Affine { scale, offset }, wide);
        let inner = net.unary(UnaryOp::Erf, inner);
        let (scale, offset) = (0.5, 0.5);
        let gate = net.unary(UnaryOp::Affine { scale, offset }, inner);
        let gelu = net.binary(BinaryOp::Mul, wide, gate);
        let narrow = net.linear(gelu, channels);
        x = net.binary(BinaryOp::Add, x, narrow);
    }
    let normal = net.layer_norm(x);
    let mean = Op::Mean {
        axes: vec![1],
        keep_dims: false,
    };
    let pooled = net.node(mean, &[normal]);
    let logits = net.dense(pooled, 10);
    net.output("logits", logits);
    net.graph
}

/// A segmenter whose channels and places are weighted by their means and maxima, down to the class of each place.
fn attention() -> Graph {
    let (size, channels) = (10, 16);
    let places = size * size;
    let mut net = Net::new(16);
    let x = net
        .graph
        .add_input("picture", vec![1, 2 * size, 2 * size, 3], BorderType::F32);
    let x = net.conv(x, Conv::new(channels, 3).stride(2));
    let x = net.unary(RELU, x);

    let pool = |net: &mut Net, x, kernel| {
        let window = Window::UNIT;
        net.node(Op::MaxPool2d { kernel, window }, &[x])
    };
    let means = net.mean(x, true);
    let maxima = pool(&mut net, x, [size, size]);
    let squeeze = [
        net.constant(&[4, 1, 1, channels], 0.4),
        net.constant(&[4], 0.2),
    ];
    let excite = [
        net.constant(&[channels, 1, 1, 4], 0.8),
        net.constant(&[channels], 0.2),
    ];
    let [a, b] = [means, maxima].map(|summary| {
        let layer = || Op::Conv2d {
            window: Window::UNIT,
            groups: 1,
        };
        let y = net.node(layer(), &[summary, squeeze[0], squeeze[1]]);
        let y = net.unary(RELU, y);
        net.node(layer(), &[y, excite[0], excite[1]])
    });
    let sum = net.binary(BinaryOp::Add, a, b);
    let gate = net.unary(UnaryOp::Sigmoid, sum);
    let x = net.binary(BinaryOp::Mul, x, gate);

    let mean = Op::Mean {
        axes: vec![3],
        keep_dims: true,
    };
    let means = net.node(mean, &[x]);
    let rows = net.reshape(x, &[1, places, channels, 1]);
    let maxima = pool(&mut net, rows, [1, channels]);
    let maxima = net.reshape(maxima, &[1, size, size, 1]);
    let both = net.node(Op::Concat { axis: 3 }, &[means, maxima]);
    let map = net.conv(both, Conv::new(1, 7));
    let gate = net.unary(UnaryOp::Sigmoid, map);
    let x = net.binary(BinaryOp::Mul, x, gate);

    let scores = net.conv(x, Conv::new(6, 3));
    net.output("scores", scores);
    let best = Op::ArgMax {
        axis: 3,
        keep_dims: false,
        smallest: false,
        last: false,
    };
    let classes = net.node(best, &[scores]);
    net.graph.add_output("classes", classes, BorderType::S64);
    net.graph
}

/// A picture enlarged to 10 MB and halved again: both are alive together, 12.8 MB.
fn enlarged() -> Graph {
    let mut net = Net::new(5);
    let x = net
        .graph
        .add_input("picture", vec![1, 100, 100, 3], BorderType::U8);
    let x = net.conv(x, Conv::new(16, 3));
    let x = net.unary(RELU, x);
    let x = net.resize(x, ResizeMode::Nearest(NearestMode::Floor), 8);
    let x = net.node(
        Op::MaxPool2d {
            kernel: [3, 3],
            window: window(2, 1, [1, 1]),
        },
        &[x],
    );
    let x = net.conv(x, Conv::new(8, 3).stride(8));
    let x = net.unary(RELU, x);
    let logits = net.dense(x, 5);
    net.output("logits", logits);
    net.graph
}

/// Calibrates a graph on seeded noise and takes it for a model.
fn model(name: &str, mut graph: Graph, samples: usize) -> Model {
    let options = ocellus_ir::Options {
        checking: ocellus_ir::passes::Checking::Each,
        ..Default::default()
    };
    ocellus_ir::optimize(&mut graph, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
    let random = &mut Random::new(99);
    let samples: Vec<Sample> = (0..samples)
        .map(|_| Sample {
            inputs: graph
                .inputs
                .iter()
                .map(|input| {
                    let len = graph.tensor(input.tensor).len();
                    match input.border {
                        BorderType::F32 => random.values(len),
                        _ => (0..len).map(|_| random.below(256) as f32).collect(),
                    }
                })
                .collect(),
            sha256: None,
        })
        .collect();
    let calibration = Calibration::collect(&graph, samples, Method::default(), |_| ())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .synthetic(99);
    Model {
        name: name.to_owned(),
        graph,
        calibration,
        picture: None,
    }
}

/// A network of this module by its name.
pub(crate) fn generated(name: &str) -> Model {
    generated_on(name, SAMPLES)
}

/// As [`generated`], calibrated on so many samples.
pub(crate) fn generated_on(name: &str, samples: usize) -> Model {
    let graph = match name {
        "residual" => residual(),
        "separable" => separable(),
        "detector" => detector(),
        "mixed" => mixed(),
        "transformer" => transformer(),
        "attention" => attention(),
        "enlarged" => enlarged(),
        _ => panic!("no network is named {name}"),
    };
    model(name, graph, samples)
}

/// The random graphs of the first seeds whose batch is 1: a device takes one picture at a time.
pub(crate) fn random(count: usize) -> impl Iterator<Item = Model> {
    let graphs = (0_u64..).map(|seed| (seed, random_graph(seed).expect("a graph")));
    let single = graphs.filter(|(_, graph)| graph.inputs.iter().all(|input| input.shape[0] == 1));
    single
        .take(count)
        .map(|(seed, graph)| model(&format!("random graph {seed}"), graph, SAMPLES))
}
