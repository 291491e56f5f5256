//! The cases: one or more for every operator, with the bound of its rounding.

use ocellus_ir::random::Random;
use ocellus_ir::{
    BinaryOp, CoordinateMode, Graph, Grid, NearestMode, Op, ResizeMode, TensorId, UnaryOp, Window,
};

/// How far the result may be from float.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// Copies.
    Exact,
    /// Steps of the output: one rounding is half a step.
    Steps(f32),
    /// A share of a step, and a real number on top.
    StepsAnd(f32, f32),
    /// One rounding of the output, and of each weight and bias.
    Layer,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) shapes: &'static [&'static [usize]],
    pub(crate) bound: Bound,
    pub(crate) build: fn(&mut Graph, &[TensorId], &mut Random) -> TensorId,
}

pub(crate) const UNIT: f32 = 1.0 / 64.0;

pub(crate) fn input_values(len: usize, random: &mut Random) -> Vec<f32> {
    let mut values: Vec<f32> = (0..len)
        .map(|_| (random.below(256) as f32 - 128.0) * UNIT)
        .collect();
    values[0] = -2.0;
    values[len - 1] = 127.0 * UNIT;
    values
}

pub(crate) fn window(stride: usize, pad: usize, dilation: usize) -> Window {
    Window {
        stride: [stride; 2],
        dilation: [dilation; 2],
        pad_before: [pad; 2],
        pad_after: [pad; 2],
    }
}

pub(crate) fn add(g: &mut Graph, op: Op, inputs: &[TensorId]) -> TensorId {
    g.add_node("node", op, inputs).unwrap()
}

pub(crate) fn constant(g: &mut Graph, shape: &[usize], random: &mut Random) -> TensorId {
    let name = format!("constant{}", g.tensors.len());
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| random.value() * 0.7)
        .collect();
    g.add_constant(name, shape.to_vec(), values)
}

/// A layer with weights of that shape and a bias.
pub(crate) fn layer(
    g: &mut Graph,
    op: Op,
    x: TensorId,
    weights: &[usize],
    random: &mut Random,
) -> TensorId {
    let w = constant(g, weights, random);
    let b = constant(g, &weights[..1], random);
    add(g, op, &[x, w, b])
}

pub(crate) fn unary(op: UnaryOp) -> Op {
    Op::Unary(op)
}

pub(crate) fn resize(
    mode: ResizeMode,
    coordinates: CoordinateMode,
    x: [usize; 2],
    size: [usize; 2],
) -> Op {
    let scale = [size[0] as f32 / x[0] as f32, size[1] as f32 / x[1] as f32];
    Op::Resize {
        mode,
        coordinates,
        size,
        scale,
    }
}

pub(crate) const PICTURE: &[usize] = &[1, 7, 6, 8];
pub(crate) const HALF: Bound = Bound::Steps(0.51);

macro_rules! case {
    ($name:literal, $bound:expr, $shapes:expr, $build:expr) => {
        Case {
            name: $name,
            shapes: $shapes,
            bound: $bound,
            build: $build,
        }
    };
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = vec![
        case!("conv_2d", Bound::Layer, &[PICTURE], |g, x, r| {
            layer(
                g,
                Op::Conv2d {
                    window: window(1, 1, 1),
                    groups: 1,
                },
                x[0],
                &[5, 3, 3, 8],
                r,
            )
        }),
        case!(
            "conv_2d strided, dilated, uneven padding",
            Bound::Layer,
            &[PICTURE],
            |g, x, r| {
                let w = Window {
                    stride: [2, 1],
                    dilation: [1, 2],
                    pad_before: [0, 2],
                    pad_after: [1, 1],
                };
                layer(
                    g,
                    Op::Conv2d {
                        window: w,
                        groups: 1,
                    },
                    x[0],
                    &[3, 2, 3, 8],
                    r,
                )
            }
        ),
        case!("conv_2d in groups", Bound::Layer, &[PICTURE], |g, x, r| {
            layer(
                g,
                Op::Conv2d {
                    window: window(1, 1, 1),
                    groups: 2,
                },
                x[0],
                &[6, 3, 3, 4],
                r,
            )
        }),
        case!("conv_2d depthwise", Bound::Layer, &[PICTURE], |g, x, r| {
            layer(
                g,
                Op::Conv2d {
                    window: window(2, 1, 1),
                    groups: 8,
                },
                x[0],
                &[8, 3, 3, 1],
                r,
            )
        }),
        case!(
            "conv_2d depthwise with a multiplier",
            Bound::Layer,
            &[PICTURE],
            |g, x, r| {
                layer(
                    g,
                    Op::Conv2d {
                        window: window(1, 1, 1),
                        groups: 8,
                    },
                    x[0],
                    &[16, 3, 3, 1],
                    r,
                )
            }
        ),
        case!(
            "conv_2d with a fused limit",
            Bound::Layer,
            &[PICTURE],
            |g, x, r| {
                let y = layer(
                    g,
                    Op::Conv2d {
                        window: window(1, 0, 1),
                        groups: 1,
                    },
                    x[0],
                    &[4, 1, 1, 8],
                    r,
                );
                g.nodes.last_mut().unwrap().clamp = Some((0.0, 1.0));
                y
            }
        ),
        case!(
            "conv_2d without bias",
            Bound::Layer,
            &[PICTURE],
            |g, x, r| {
                let w = constant(g, &[4, 1, 1, 8], r);
                add(
                    g,
                    Op::Conv2d {
                        window: window(1, 0, 1),
                        groups: 1,
                    },
                    &[x[0], w],
                )
            }
        ),
        case!(
            "transpose_conv_2d apart",
            Bound::Layer,
            &[PICTURE],
            |g, x, r| {
                let op = Op::TransposeConv2d {
                    window: window(2, 0, 1),
                    output_padding: [0, 0],
                    groups: 1,
                };
                layer(g, op, x[0], &[5, 2, 2, 8], r)
            }
        ),
        case!("transpose_conv_2d", Bound::Layer, &[PICTURE], |g, x, r| {
            let op = Op::TransposeConv2d {
                window: window(2, 1, 1),
                output_padding: [1, 1],
                groups: 1,
            };
            layer(g, op, x[0], &[5, 3, 3, 8], r)
        }),
        case!(
            "transpose_conv_2d in groups",
            Bound::Layer,
            &[PICTURE],
            |g, x, r| {
                let op = Op::TransposeConv2d {
                    window: window(2, 1, 1),
                    output_padding: [0, 0],
                    groups: 8,
                };
                layer(g, op, x[0], &[8, 4, 4, 1], r)
            }
        ),
        case!("fully_connected", Bound::Layer, &[&[3, 40]], |g, x, r| {
            layer(g, Op::FullyConnected, x[0], &[10, 40], r)
        }),
        case!("max_pool_2d", Bound::Exact, &[PICTURE], |g, x, _| {
            add(
                g,
                Op::MaxPool2d {
                    kernel: [3, 3],
                    window: window(2, 1, 1),
                },
                x,
            )
        }),
        case!("average_pool_2d", HALF, &[PICTURE], |g, x, _| {
            add(
                g,
                Op::AveragePool2d {
                    kernel: [2, 2],
                    window: window(2, 0, 1),
                    count_include_pad: false,
                },
                x,
            )
        }),
        case!(
            "average_pool_2d with padding",
            HALF,
            &[PICTURE],
            |g, x, _| {
                add(
                    g,
                    Op::AveragePool2d {
                        kernel: [3, 3],
                        window: window(2, 1, 1),
                        count_include_pad: false,
                    },
                    x,
                )
            }
        ),
        case!(
            "average_pool_2d that counts padding",
            HALF,
            &[PICTURE],
            |g, x, _| {
                add(
                    g,
                    Op::AveragePool2d {
                        kernel: [3, 3],
                        window: window(2, 1, 1),
                        count_include_pad: true,
                    },
                    x,
                )
            }
        ),
        case!("mean over the picture", HALF, &[PICTURE], |g, x, _| {
            add(
                g,
                Op::Mean {
                    axes: vec![1, 2],
                    keep_dims: false,
                },
                x,
            )
        }),
        case!("mean over channels", HALF, &[PICTURE], |g, x, _| add(
            g,
            Op::Mean {
                axes: vec![3],
                keep_dims: true
            },
            x
        )),
        case!("mean over rows", HALF, &[PICTURE], |g, x, _| add(
            g,
            Op::Mean {
                axes: vec![1],
                keep_dims: true
            },
            x
        )),
        case!("mean over axes apart", HALF, &[PICTURE], |g, x, _| {
            add(
                g,
                Op::Mean {
                    axes: vec![1, 3],
                    keep_dims: false,
                },
                x,
            )
        }),
        case!("add", HALF, &[PICTURE, PICTURE], |g, x, _| add(
            g,
            Op::Binary(BinaryOp::Add),
            x
        )),
        case!("add to itself", HALF, &[PICTURE], |g, x, _| add(
            g,
            Op::Binary(BinaryOp::Add),
            &[x[0], x[0]]
        )),
        case!(
            "add with a fused limit",
            HALF,
            &[PICTURE, PICTURE],
            |g, x, _| {
                let y = add(g, Op::Binary(BinaryOp::Add), x);
                g.nodes.last_mut().unwrap().clamp = Some((0.0, f32::INFINITY));
                y
            }
        ),
        case!(
            "sub with broadcast",
            HALF,
            &[&[1, 1, 1, 8], PICTURE],
            |g, x, _| add(g, Op::Binary(BinaryOp::Sub), x)
        ),
        case!(
            "sub of a channel's constant",
            Bound::Layer,
            &[PICTURE],
            |g, x, r| {
                let c = constant(g, &[8], r);
                add(g, Op::Binary(BinaryOp::Sub), &[c, x[0]])
            }
        ),
        case!("mul", HALF, &[PICTURE, PICTURE], |g, x, _| add(
            g,
            Op::Binary(BinaryOp::Mul),
            x
        )),
        case!(
            "mul by a gate",
            HALF,
            &[PICTURE, &[1, 1, 1, 8]],
            |g, x, _| add(g, Op::Binary(BinaryOp::Mul), x)
        ),
        case!(
            "mul by a channel's constant",
            Bound::Layer,
            &[PICTURE],
            |g, x, r| {
                let c = constant(g, &[1, 1, 1, 8], r);
                add(g, Op::Binary(BinaryOp::Mul), &[x[0], c])
            }
        ),
        case!(
            "add of a constant picture",
            Bound::StepsAnd(0.51, 0.7 / 255.0),
            &[PICTURE],
            |g, x, r| {
                let c = constant(g, PICTURE, r);
                add(g, Op::Binary(BinaryOp::Add), &[c, x[0]])
            }
        ),
        case!("mul by a number", HALF, &[PICTURE], |g, x, _| {
            let c = g.add_constant("half", vec![], vec![-0.37]);
            add(g, Op::Binary(BinaryOp::Mul), &[c, x[0]])
        }),
        case!("div by a number", HALF, &[PICTURE], |g, x, _| {
            let c = g.add_constant("three", vec![1], vec![3.0]);
            add(g, Op::Binary(BinaryOp::Div), &[x[0], c])
        }),
        case!(
            "div by a channel's constant",
            Bound::Layer,
            &[PICTURE],
            |g, x, _| {
                let c = g.add_constant(
                    "divisors",
                    vec![8],
                    vec![1.0, 2.0, 3.0, 4.0, 0.5, -2.0, 1.5, 7.0],
                );
                add(g, Op::Binary(BinaryOp::Div), &[x[0], c])
            }
        ),
        case!("minimum", HALF, &[PICTURE, PICTURE], |g, x, _| add(
            g,
            Op::Binary(BinaryOp::Minimum),
            x
        )),
        case!(
            "maximum of values with other scales",
            HALF,
            &[PICTURE],
            |g, x, _| {
                let small = add(
                    g,
                    unary(UnaryOp::Affine {
                        scale: 0.25,
                        offset: 0.0,
                    }),
                    x,
                );
                let large = add(
                    g,
                    unary(UnaryOp::Affine {
                        scale: 2.0,
                        offset: 0.0,
                    }),
                    x,
                );
                add(g, Op::Binary(BinaryOp::Maximum), &[small, large])
            }
        ),
        case!("maximum with a constant", HALF, &[PICTURE], |g, x, r| {
            let c = constant(g, &[8], r);
            add(g, Op::Binary(BinaryOp::Maximum), &[x[0], c])
        }),
        case!("clip", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::Clip { min: 0.0, max: 1.0 }),
            x
        )),
        case!("leaky_relu", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::LeakyRelu { slope: 0.1 }),
            x
        )),
        case!("sigmoid", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::Sigmoid),
            x
        )),
        case!("hard_sigmoid", HALF, &[PICTURE], |g, x, _| {
            add(
                g,
                unary(UnaryOp::HardSigmoid {
                    alpha: 0.5,
                    beta: 0.5,
                }),
                x,
            )
        }),
        case!("hard_swish", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::HardSwish),
            x
        )),
        case!("silu", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::Silu),
            x
        )),
        case!("tanh", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::Tanh),
            x
        )),
        case!("exp", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::Exp),
            x
        )),
        case!("abs", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::Abs),
            x
        )),
        case!("neg", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::Neg),
            x
        )),
        case!("affine", HALF, &[PICTURE], |g, x, _| add(
            g,
            unary(UnaryOp::Affine {
                scale: -3.0,
                offset: 5.0
            }),
            x
        )),
        case!("prelu", HALF, &[PICTURE], |g, x, r| {
            let slope = constant(g, &[8], r);
            add(g, Op::Prelu, &[x[0], slope])
        }),
        case!("prelu with one slope", HALF, &[PICTURE], |g, x, r| {
            let slope = constant(g, &[1], r);
            add(g, Op::Prelu, &[x[0], slope])
        }),
        // The sum rounds too, and 1 is one step beyond the range.
        case!("softmax", Bound::Steps(1.01), &[&[4, 10]], |g, x, _| add(
            g,
            Op::Softmax { axis: 1 },
            x
        )),
        case!(
            "softmax over rows",
            Bound::Steps(1.01),
            &[&[1, 5, 4]],
            |g, x, _| add(g, Op::Softmax { axis: 1 }, x)
        ),
        case!(
            "concat",
            Bound::Exact,
            &[PICTURE, &[1, 7, 6, 3]],
            |g, x, _| add(g, Op::Concat { axis: 3 }, x)
        ),
        case!("concat of many", Bound::Exact, &[PICTURE], |g, x, _| add(
            g,
            Op::Concat { axis: 2 },
            &[x[0]; 40]
        )),
        case!(
            "concat of values with other scales",
            HALF,
            &[PICTURE],
            |g, x, r| {
                let small = add(
                    g,
                    unary(UnaryOp::Affine {
                        scale: 0.25,
                        offset: 0.0,
                    }),
                    x,
                );
                let c = constant(g, &[1, 7, 6, 1], r);
                add(g, Op::Concat { axis: 3 }, &[x[0], small, c])
            }
        ),
        case!("slice", Bound::Exact, &[PICTURE], |g, x, _| {
            let (begin, size, step) = (vec![0, 1, 0, 2], vec![1, 3, 6, 3], vec![1, 2, 1, 2]);
            add(g, Op::Slice { begin, size, step }, x)
        }),
        case!(
            "slice of everything",
            Bound::Exact,
            &[PICTURE],
            |g, x, _| {
                let all = add(
                    g,
                    Op::Slice {
                        begin: vec![0; 4],
                        size: PICTURE.to_vec(),
                        step: vec![1; 4],
                    },
                    x,
                );
                add(
                    g,
                    unary(UnaryOp::Clip {
                        min: -5.0,
                        max: 5.0,
                    }),
                    &[all],
                )
            }
        ),
        case!("pad", HALF, &[PICTURE], |g, x, _| {
            add(
                g,
                Op::Pad {
                    before: vec![0, 1, 0, 0],
                    after: vec![0, 0, 2, 3],
                    value: 0.5,
                },
                x,
            )
        }),
        case!("reshape", Bound::Exact, &[PICTURE], |g, x, _| {
            let y = add(g, Op::Reshape { shape: vec![42, 8] }, x);
            add(
                g,
                unary(UnaryOp::Clip {
                    min: -5.0,
                    max: 5.0,
                }),
                &[y],
            )
        }),
        case!("transpose", Bound::Exact, &[PICTURE], |g, x, _| add(
            g,
            Op::Transpose {
                order: vec![0, 3, 1, 2]
            },
            x
        )),
        case!(
            "transpose of five axes",
            Bound::Exact,
            &[&[2, 3, 4, 5, 2]],
            |g, x, _| {
                add(
                    g,
                    Op::Transpose {
                        order: vec![4, 2, 0, 3, 1],
                    },
                    x,
                )
            }
        ),
        case!("gather", Bound::Exact, &[PICTURE], |g, x, _| add(
            g,
            Op::Gather {
                axis: 3,
                indices: vec![2, 1, 0, 7, 7]
            },
            x
        )),
        case!("gather evenly", Bound::Exact, &[PICTURE], |g, x, _| add(
            g,
            Op::Gather {
                axis: 2,
                indices: vec![1, 3, 5]
            },
            x
        )),
        case!("resize nearest", Bound::Exact, &[PICTURE], |g, x, _| {
            let mode = ResizeMode::Nearest(NearestMode::RoundPreferFloor);
            add(
                g,
                resize(mode, CoordinateMode::HalfPixel, [7, 6], [14, 9]),
                x,
            )
        }),
        // Weights have 11 bits on each axis, and values are at most 4 apart.
        case!(
            "resize linear",
            Bound::StepsAnd(0.51, 2.0 * 4.0 / 4096.0),
            &[PICTURE],
            |g, x, _| {
                add(
                    g,
                    resize(
                        ResizeMode::Linear,
                        CoordinateMode::HalfPixel,
                        [7, 6],
                        [13, 15],
                    ),
                    x,
                )
            }
        ),
        case!(
            "resize linear with aligned corners",
            Bound::StepsAnd(0.51, 2.0 * 4.0 / 4096.0),
            &[PICTURE],
            |g, x, _| {
                add(
                    g,
                    resize(
                        ResizeMode::Linear,
                        CoordinateMode::AlignCorners,
                        [7, 6],
                        [4, 11],
                    ),
                    x,
                )
            }
        ),
        // Float rounds too, and at a tie the other way.
        case!("quantize", Bound::Steps(1.01), &[PICTURE], |g, x, _| {
            let y = add(
                g,
                unary(UnaryOp::Affine {
                    scale: 2.0,
                    offset: 0.0,
                }),
                x,
            );
            g.quantized("rounded", y, Grid::new(0.05, 0)).unwrap()
        }),
    ];
    all.extend(crate::computed::cases());
    all
}
