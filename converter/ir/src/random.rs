//! Numbers and graphs for tests: the same on every machine.

use crate::{
    BinaryOp, BorderType, CoordinateMode, Graph, GraphError, Grid, Op, ResizeMode, TensorId,
    UnaryOp, Window,
};

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % (limit.max(1) as u64)) as usize
    }

    /// A number in `-1.0..1.0`.
    pub fn value(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Several of those.
    pub fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.value()).collect()
    }
}

/// A small graph as an importer writes it from an `Nchw` file: transposes around every picture operator, BatchNorms as a factor and an
/// offset, channel shuffles, squeeze-and-excitation, spelled-out activations, heads that flatten, reshape and join.
///
/// # Errors
/// None for any seed that was tried; an operator that does not fit is reported as it is to every user of the graph.
pub fn random_graph(seed: u64) -> Result<Graph, GraphError> {
    build(seed, false)
}

/// As [`random_graph`], with grids on many tensors and weights. All numbers are short in binary, so that sums are exact in whatever order,
/// and a rounding that went somewhere else shows.
///
/// # Errors
/// As [`random_graph`].
pub fn random_quantized_graph(seed: u64) -> Result<Graph, GraphError> {
    build(seed, true)
}

fn build(seed: u64, quantized: bool) -> Result<Graph, GraphError> {
    let mut random = Random::new(seed);
    let mut b = Builder {
        graph: Graph::default(),
        count: 0,
        quantized,
    };
    let shape = vec![
        1 + random.below(8) / 7,
        2 + 2 * random.below(3),
        3 + random.below(6),
        3 + random.below(6),
    ];
    let mut pool = vec![b.graph.add_input("picture", shape, BorderType::F32)];
    for _ in 0..4 + random.below(10) {
        let x = pool[pool.len() - 1 - random.below(pool.len().min(2))];
        for made in b.layer(&mut random, x, &pool)? {
            pool.push(b.rounded(&mut random, made)?);
        }
    }
    for head in 0..1 + random.below(3) {
        let x = pool[pool.len() - 1 - random.below(pool.len().min(3))];
        let out = b.head(&mut random, x)?;
        let out = b.rounded(&mut random, out)?;
        b.graph
            .add_output(format!("out{head}"), out, BorderType::F32);
    }
    Ok(b.graph)
}

struct Builder {
    graph: Graph,
    count: usize,
    quantized: bool,
}

/// Steps of the numbers in a graph with grids.
const STEP: f32 = 1.0 / 16.0;

const TO_NHWC: [usize; 4] = [0, 2, 3, 1];
const TO_NCHW: [usize; 4] = [0, 3, 1, 2];

impl Builder {
    fn node(&mut self, op: Op, inputs: &[TensorId]) -> Result<TensorId, GraphError> {
        self.count += 1;
        let name = format!("{}{}", op.name(), self.count);
        self.graph.add_node(name, op, inputs)
    }

    fn constant(&mut self, shape: &[usize], mut values: Vec<f32>) -> TensorId {
        if self.quantized && !shape.is_empty() {
            values
                .iter_mut()
                .for_each(|v| *v = (*v / STEP).round() * STEP);
        }
        self.graph.add_constant("constant", shape.to_vec(), values)
    }

    /// Often, where there are grids, the same tensor rounded: it gets the grid, or a node behind it has it.
    fn rounded(&mut self, random: &mut Random, x: TensorId) -> Result<TensorId, GraphError> {
        if !self.quantized {
            return Ok(x);
        }
        let grid = Grid::new(
            [STEP, STEP / 2.0, STEP / 4.0][random.below(3)],
            [0, -128, -20, 100][random.below(4)],
        );
        self.count += 1;
        let name = format!("quantize{}", self.count);
        match random.below(4) {
            0 => {
                self.graph.set_grid(x, grid);
                Ok(x)
            }
            1 | 2 => self.graph.quantized(name, x, grid),
            _ => Ok(x),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: TensorId) -> Result<TensorId, GraphError> {
        self.node(Op::Unary(op), &[x])
    }

    fn scalar(&mut self, op: BinaryOp, x: TensorId, value: f32) -> Result<TensorId, GraphError> {
        let constant = self.constant(&[], vec![value]);
        self.node(Op::Binary(op), &[x, constant])
    }

    /// A picture operator, with transposes around it.
    fn picture(&mut self, op: Op, x: TensorId, rest: &[TensorId]) -> Result<TensorId, GraphError> {
        let mut inputs = vec![self.node(
            Op::Transpose {
                order: TO_NHWC.to_vec(),
            },
            &[x],
        )?];
        inputs.extend_from_slice(rest);
        let out = self.node(op, &inputs)?;
        self.node(
            Op::Transpose {
                order: TO_NCHW.to_vec(),
            },
            &[out],
        )
    }

    fn weights(&mut self, random: &mut Random, shape: &[usize]) -> TensorId {
        let fan: usize = shape[1..].iter().product();
        let scale = (fan as f32).sqrt().recip();
        let values = random
            .values(shape.iter().product())
            .into_iter()
            .map(|v| v * scale)
            .collect();
        let id = self.constant(shape, values);
        if self.quantized && random.below(2) == 0 {
            let scales = (0..shape[0]).map(|i| STEP / [1.0, 2.0][i % 2]);
            self.graph
                .set_grid(id, Grid::weights(scales.collect::<Vec<_>>()));
        }
        id
    }

    fn layer(
        &mut self,
        random: &mut Random,
        x: TensorId,
        pool: &[TensorId],
    ) -> Result<Vec<TensorId>, GraphError> {
        let shape = self.graph.tensor(x).shape.clone();
        let &[n, c, h, w] = shape.as_slice() else {
            return Ok(vec![]);
        };
        let window = |random: &mut Random, kernel: usize| {
            let pad = |random: &mut Random| [random.below(kernel), random.below(kernel)];
            Window {
                stride: [1 + random.below(2), 1 + random.below(2)],
                dilation: [1, 1],
                pad_before: pad(random),
                pad_after: pad(random),
            }
        };
        let out = match random.below(20) {
            0..4 => {
                let (k, oc) = ((1 + random.below(3)).min(h).min(w), 2 + 2 * random.below(3));
                let op = Op::Conv2d {
                    window: window(random, k),
                    groups: 1,
                };
                let mut rest = vec![self.weights(random, &[oc, k, k, c])];
                if random.below(2) == 0 {
                    let bias = random.values(oc);
                    rest.push(self.constant(&[oc], bias));
                }
                self.picture(op, x, &rest)?
            }
            4 => {
                let k = h.min(w).min(3);
                let weights = self.weights(random, &[c, k, k, 1]);
                self.picture(
                    Op::Conv2d {
                        window: window(random, k),
                        groups: c,
                    },
                    x,
                    &[weights],
                )?
            }
            5 => {
                let weights = self.weights(random, &[4, 2, 2, c]);
                let window = Window {
                    stride: [2, 2],
                    ..Window::UNIT
                };
                self.picture(
                    Op::TransposeConv2d {
                        window,
                        output_padding: [0, random.below(2)],
                        groups: 1,
                    },
                    x,
                    &[weights],
                )?
            }
            6 if h > 1 && w > 1 => {
                let op = match random.below(3) {
                    0 => Op::MaxPool2d {
                        kernel: [2, 2],
                        window: window(random, 2),
                    },
                    include => Op::AveragePool2d {
                        kernel: [2, 2],
                        window: window(random, 2),
                        count_include_pad: include == 1,
                    },
                };
                let x = if random.below(2) == 0 {
                    self.unary(
                        UnaryOp::Clip {
                            min: 0.0,
                            max: f32::INFINITY,
                        },
                        x,
                    )?
                } else {
                    x
                };
                self.picture(op, x, &[])?
            }
            7..10 => {
                let (factor, offset) = (random.values(c), random.values(c));
                let factor = self.constant(&[c, 1, 1], factor);
                let offset = self.constant(&[1, c, 1, 1], offset);
                let product = self.node(Op::Binary(BinaryOp::Mul), &[x, factor])?;
                self.node(
                    Op::Binary([BinaryOp::Add, BinaryOp::Sub][random.below(2)]),
                    &[product, offset],
                )?
            }
            10 => self.unary(
                UnaryOp::Clip {
                    min: 0.0,
                    max: [f32::INFINITY, 0.5][random.below(2)],
                },
                x,
            )?,
            11 => {
                let sum = self.scalar(BinaryOp::Add, x, 3.0)?;
                let gate = self.unary(UnaryOp::Clip { min: 0.0, max: 6.0 }, sum)?;
                match random.below(3) {
                    0 => self.scalar(BinaryOp::Div, gate, 6.0)?,
                    1 => {
                        let product = self.node(Op::Binary(BinaryOp::Mul), &[x, gate])?;
                        self.scalar(BinaryOp::Div, product, 6.0)?
                    }
                    _ => {
                        let gate = self.scalar(BinaryOp::Mul, gate, 1.0 / 6.0)?;
                        self.node(Op::Binary(BinaryOp::Mul), &[gate, x])?
                    }
                }
            }
            12 => match random.below(3) {
                0 => {
                    let gate = self.unary(UnaryOp::Sigmoid, x)?;
                    self.node(Op::Binary(BinaryOp::Mul), &[x, gate])?
                }
                1 => {
                    let soft = self.unary(UnaryOp::Softplus, x)?;
                    let gate = self.unary(UnaryOp::Tanh, soft)?;
                    self.node(Op::Binary(BinaryOp::Mul), &[x, gate])?
                }
                _ => {
                    let scaled = self.scalar(BinaryOp::Div, x, std::f32::consts::SQRT_2)?;
                    let erf = self.unary(UnaryOp::Erf, scaled)?;
                    let gate = self.scalar(BinaryOp::Add, erf, 1.0)?;
                    let product = self.node(Op::Binary(BinaryOp::Mul), &[x, gate])?;
                    self.scalar(BinaryOp::Mul, product, 0.5)?
                }
            },
            13 => {
                let twin = pool
                    .iter()
                    .copied()
                    .find(|&other| other != x && self.graph.tensor(other).shape == shape)
                    .unwrap_or(x);
                let op = [
                    BinaryOp::Add,
                    BinaryOp::Mul,
                    BinaryOp::Maximum,
                    BinaryOp::Sub,
                ][random.below(4)];
                self.node(Op::Binary(op), &[x, twin])?
            }
            14 => {
                let fits = |id: TensorId| {
                    self.graph
                        .tensor(id)
                        .shape
                        .iter()
                        .zip(&shape)
                        .enumerate()
                        .all(|(axis, (a, b))| axis == 1 || a == b)
                };
                let twin = pool.iter().copied().find(|&other| fits(other)).unwrap_or(x);
                self.node(Op::Concat { axis: 1 }, &[x, twin])?
            }
            15 if c % 2 == 0 => {
                let half = |begin: usize| Op::Slice {
                    begin: vec![0, begin, 0, 0],
                    size: vec![n, c / 2, h, w],
                    step: vec![1; 4],
                };
                let (low, high) = (self.node(half(0), &[x])?, self.node(half(c / 2), &[x])?);
                return Ok(vec![low, high]);
            }
            16 if c % 2 == 0 => {
                let split = self.node(
                    Op::Reshape {
                        shape: vec![n, 2, c / 2, h, w],
                    },
                    &[x],
                )?;
                let swapped = self.node(
                    Op::Transpose {
                        order: vec![0, 2, 1, 3, 4],
                    },
                    &[split],
                )?;
                self.node(Op::Reshape { shape }, &[swapped])?
            }
            17 => {
                let frame = |random: &mut Random| vec![0, 0, random.below(2), random.below(2)];
                self.node(
                    Op::Pad {
                        before: frame(random),
                        after: frame(random),
                        value: 0.0,
                    },
                    &[x],
                )?
            }
            18 => {
                let mean = self.node(
                    Op::Mean {
                        axes: vec![2, 3],
                        keep_dims: true,
                    },
                    &[x],
                )?;
                let weights = self.weights(random, &[c, 1, 1, c]);
                let excited = self.picture(
                    Op::Conv2d {
                        window: Window::UNIT,
                        groups: 1,
                    },
                    mean,
                    &[weights],
                )?;
                let gate = self.unary(UnaryOp::Sigmoid, excited)?;
                self.node(Op::Binary(BinaryOp::Mul), &[x, gate])?
            }
            _ => match random.below(3) {
                0 => self.node(Op::Softmax { axis: 1 }, &[x])?,
                1 => {
                    let slope = random.values(c);
                    let slope = self.constant(&[c], slope);
                    self.picture(Op::Prelu, x, &[slope])?
                }
                _ => {
                    let (mode, coordinates) = (ResizeMode::Linear, CoordinateMode::HalfPixel);
                    self.picture(
                        Op::Resize {
                            mode,
                            coordinates,
                            size: [h + 2, w + 1],
                            scale: [(h + 2) as f32 / h as f32, (w + 1) as f32 / w as f32],
                        },
                        x,
                        &[],
                    )?
                }
            },
        };
        Ok(vec![out])
    }

    fn head(&mut self, random: &mut Random, x: TensorId) -> Result<TensorId, GraphError> {
        let &[n, c, h, w] = self.graph.tensor(x).shape.as_slice() else {
            return Ok(x);
        };
        match random.below(4) {
            0 => Ok(x),
            1 => {
                let flat = self.node(
                    Op::Reshape {
                        shape: vec![n, c * h * w],
                    },
                    &[x],
                )?;
                let flat = if random.below(2) == 0 {
                    self.unary(
                        UnaryOp::Clip {
                            min: 0.0,
                            max: f32::INFINITY,
                        },
                        flat,
                    )?
                } else {
                    flat
                };
                let weights = self.weights(random, &[5, c * h * w]);
                let product = self.node(Op::FullyConnected, &[flat, weights])?;
                let bias = random.values(5);
                let bias = self.constant(&[5], bias);
                let sum = self.node(Op::Binary(BinaryOp::Add), &[bias, product])?;
                self.node(Op::Softmax { axis: 1 }, &[sum])
            }
            2 => {
                let mut parts = Vec::new();
                for _ in 0..2 {
                    let weights = self.weights(random, &[4, 1, 1, c]);
                    let y = self.picture(
                        Op::Conv2d {
                            window: Window::UNIT,
                            groups: 1,
                        },
                        x,
                        &[weights],
                    )?;
                    let y = self.node(
                        Op::Transpose {
                            order: TO_NHWC.to_vec(),
                        },
                        &[y],
                    )?;
                    parts.push(self.node(
                        Op::Reshape {
                            shape: vec![n, h * w * 2, 2],
                        },
                        &[y],
                    )?);
                }
                self.node(Op::Concat { axis: 1 }, &parts)
            }
            _ => self.node(
                Op::Mean {
                    axes: vec![2, 3],
                    keep_dims: false,
                },
                &[x],
            ),
        }
    }
}
