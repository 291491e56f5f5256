//! What each channel of a tensor can hold, whatever the input: interval arithmetic from the model's inputs on. A channel is an index of the
//! innermost axis.

use crate::{
    BinaryOp, BorderType, Graph, Grid, Node, Op, ResizeMode, Tensor, UnaryOp, View, Window, eval,
};

/// Every value of a channel lies between these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    low: f64,
    high: f64,
}

/// What rounding in `f32`, in any order, adds at most to a sum, as a share of the sum of magnitudes.
const ROUNDING: f64 = 1e-5;

/// Share of a step by which the device's integers may be off before they round: far more than any of its rules allows.
const STEP_MARGIN: f64 = 0.01;

impl Interval {
    const UNKNOWN: Self = Self {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };

    fn new(low: f32, high: f32) -> Self {
        Self {
            low: f64::from(low),
            high: f64::from(high),
        }
    }

    fn point(value: f64) -> Self {
        Self {
            low: value,
            high: value,
        }
    }

    /// The value of a channel that is constant.
    pub(super) fn constant(self) -> Option<f64> {
        (self.low == self.high).then_some(self.low)
    }

    fn is_constant(self) -> bool {
        self.constant().is_some()
    }

    fn hull(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    fn clamp(self, low: f64, high: f64) -> Self {
        Self {
            low: self.low.max(low).min(high),
            high: self.high.min(high).max(low),
        }
    }

    fn add(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            high: self.high + other.high,
        }
    }

    fn neg(self) -> Self {
        Self {
            low: -self.high,
            high: -self.low,
        }
    }

    fn mul(self, other: Self) -> Self {
        // Values are finite, so that nothing times zero is nothing.
        let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let ends = [
            product(self.low, other.low),
            product(self.low, other.high),
            product(self.high, other.low),
            product(self.high, other.high),
        ];
        Self {
            low: ends.iter().copied().fold(f64::INFINITY, f64::min),
            high: ends.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// One over it.
    fn reciprocal(self) -> Self {
        if self.low > 0.0 || self.high < 0.0 {
            Self {
                low: 1.0 / self.high,
                high: 1.0 / self.low,
            }
        } else {
            Self::UNKNOWN
        }
    }

    /// Room for rounding; a constant stays one.
    fn widened(self, by: f64) -> Self {
        if self.is_constant() {
            return self;
        }
        Self {
            low: self.low - by,
            high: self.high + by,
        }
    }

    fn magnitude(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// Through a function of one value that never falls, or of a constant.
    fn through(self, op: &Op) -> Self {
        let ends = [self.low as f32, self.high as f32];
        let view = View {
            shape: &[2],
            data: &ends,
        };
        match eval(op, None, &[view]).as_deref() {
            Ok(&[low, high]) if low <= high => {
                let result = Self::new(low, high);
                result.widened(ROUNDING * result.magnitude())
            }
            _ => Self::UNKNOWN,
        }
    }

    /// To the steps of a grid: all those that the ends may become.
    fn rounded(self, grid: &Grid) -> Self {
        let margin = STEP_MARGIN * f64::from(grid.scale());
        Self::new(
            grid.round((self.low - margin) as f32),
            grid.round((self.high + margin) as f32),
        )
    }
}

/// The channels of every tensor.
pub(super) fn intervals(graph: &Graph) -> Vec<Vec<Interval>> {
    let mut known: Vec<Vec<Interval>> = graph.tensors.iter().map(given).collect();
    for input in &graph.inputs {
        let range = match input.border {
            BorderType::F32 | BorderType::S32 | BorderType::S64 => Interval::UNKNOWN,
            BorderType::U8 => Interval::point(0.0).hull(Interval::point(255.0)),
            BorderType::S8 => Interval::point(-128.0).hull(Interval::point(127.0)),
        };
        let tensor = graph.tensor(input.tensor);
        let range = tensor.grid.as_ref().map_or(range, |grid| {
            let (low, high) = grid.range();
            Interval::new(low, high)
        });
        known[input.tensor.0] = vec![range; channels(tensor)];
    }
    for node in &graph.nodes {
        let mut result = of_node(graph, node, &known);
        for interval in &mut result {
            if let Some((low, high)) = node.clamp {
                *interval = interval.clamp(f64::from(low), f64::from(high));
            }
            if let Some(grid) = graph.grid(node.output) {
                *interval = interval.rounded(grid);
            }
        }
        known[node.output.0] = result;
    }
    known
}

/// Indices of the innermost axis.
pub(super) fn channels(tensor: &Tensor) -> usize {
    tensor.shape.last().copied().unwrap_or(1)
}

/// Of a constant, what it holds; of all else nothing yet.
fn given(tensor: &Tensor) -> Vec<Interval> {
    let count = channels(tensor);
    let Some(values) = &tensor.value else {
        return vec![Interval::UNKNOWN; count];
    };
    let mut found: Vec<Option<Interval>> = vec![None; count];
    for (index, &value) in values.iter().enumerate() {
        let value = Interval::point(f64::from(value));
        let slot = &mut found[index % count.max(1)];
        *slot = Some(slot.map_or(value, |known| known.hull(value)));
    }
    found
        .into_iter()
        .map(|interval| interval.unwrap_or(Interval::UNKNOWN))
        .collect()
}

fn all(intervals: &[Interval]) -> Interval {
    intervals
        .iter()
        .copied()
        .reduce(Interval::hull)
        .unwrap_or(Interval::UNKNOWN)
}

fn of_node(graph: &Graph, node: &Node, known: &[Vec<Interval>]) -> Vec<Interval> {
    let count = channels(graph.tensor(node.output));
    let x = &known[node.inputs[0].0];
    let rank = graph.tensor(node.inputs[0]).shape.len();
    let everything = || vec![all(x); count];
    match &node.op {
        Op::Conv2d { window, groups } => conv_2d(graph, node, x, window, *groups),
        Op::FullyConnected => conv_2d(graph, node, x, &Window::UNIT, 1),
        Op::TransposeConv2d { groups, .. } => transpose_conv_2d(graph, node, x, *groups),
        Op::MaxPool2d { kernel, window } | Op::AveragePool2d { kernel, window, .. }
            if !sees_only_pads(*kernel, window) =>
        {
            let counts_pads = matches!(
                node.op,
                Op::AveragePool2d {
                    count_include_pad: true,
                    ..
                }
            ) && !window.is_unpadded();
            let pads = |i: &Interval| i.hull(Interval::point(0.0));
            let of = |i: &Interval| if counts_pads { pads(i) } else { *i };
            x.iter().map(of).collect()
        }
        Op::Mean { axes, .. } if axes.contains(&rank.saturating_sub(1)) => everything(),
        Op::Mean { .. } => x.clone(),
        Op::Binary(op) => binary(*op, x, &known[node.inputs[1].0], count),
        Op::Unary(op) => x.iter().map(|&i| unary(*op, i)).collect(),
        Op::Function(_) => {
            let of = |i: &Interval| match i.constant() {
                Some(_) => i.through(&node.op),
                None => Interval::UNKNOWN,
            };
            x.iter().map(of).collect()
        }
        Op::Prelu => {
            let slopes = &known[node.inputs[1].0];
            let of = |(c, &i): (usize, &Interval)| prelu(i, pick(slopes, c));
            x.iter().enumerate().map(of).collect()
        }
        Op::Concat { axis } if axis + 1 == rank => node
            .inputs
            .iter()
            .flat_map(|id| known[id.0].iter().copied())
            .collect(),
        Op::Concat { .. } => (0..count)
            .map(|c| {
                let parts = node.inputs.iter().map(|id| pick(&known[id.0], c));
                parts.reduce(Interval::hull).unwrap_or(Interval::UNKNOWN)
            })
            .collect(),
        Op::Slice { begin, step, .. } if rank > 0 => (0..count)
            .map(|c| pick(x, begin[rank - 1] + c * step[rank - 1]))
            .collect(),
        Op::Pad {
            before,
            after,
            value,
        } if rank > 0 => {
            let value = Interval::point(f64::from(*value));
            let framed = (0..rank - 1).any(|axis| before[axis] + after[axis] > 0);
            let of = |i: &Interval| if framed { i.hull(value) } else { *i };
            let (left, right) = (vec![value; before[rank - 1]], vec![value; after[rank - 1]]);
            let inner = x.iter().map(of);
            left.into_iter().chain(inner).chain(right).collect()
        }
        Op::Reshape { .. } if x.is_empty() => everything(),
        Op::Reshape { .. } if count.is_multiple_of(x.len()) => {
            (0..count).map(|c| pick(x, c % x.len())).collect()
        }
        Op::Transpose { order } if order.last() == Some(&rank.saturating_sub(1)) => x.clone(),
        Op::Reshape { .. } | Op::Transpose { .. } => everything(),
        Op::Gather { axis, indices } if axis + 1 == rank => {
            indices.iter().map(|&index| pick(x, index)).collect()
        }
        Op::Gather { .. } | Op::Quantize => x.clone(),
        Op::Resize {
            mode: ResizeMode::Nearest(_) | ResizeMode::Linear,
            ..
        } => x.clone(),
        _ => vec![Interval::UNKNOWN; count],
    }
}

/// The channel of that number, or the one that stands for all.
fn pick(intervals: &[Interval], channel: usize) -> Interval {
    let channel = if intervals.len() == 1 { 0 } else { channel };
    intervals.get(channel).copied().unwrap_or(Interval::UNKNOWN)
}

/// True where a window might lie wholly in padding.
fn sees_only_pads(kernel: [usize; 2], window: &Window) -> bool {
    !window.is_unpadded()
        && (0..2).any(|axis| {
            window.dilation[axis] != 1
                || window.pad_before[axis] >= kernel[axis]
                || window.pad_after[axis] >= kernel[axis]
        })
}

/// The ranges of taps of one axis that lie inside the picture, for every output: each once.
fn tap_ranges(
    size: usize,
    out: usize,
    kernel: usize,
    window: &Window,
    axis: usize,
) -> Vec<(usize, usize)> {
    let inside = |output: usize, tap: usize| {
        let at = output * window.stride[axis] + tap * window.dilation[axis];
        at >= window.pad_before[axis] && at < window.pad_before[axis] + size
    };
    let mut ranges: Vec<(usize, usize)> = (0..out)
        .map(|output| {
            let first = (0..kernel).find(|&tap| inside(output, tap));
            let first = first.unwrap_or(kernel);
            let count = (first..kernel).take_while(|&tap| inside(output, tap));
            (first, first + count.count())
        })
        .collect();
    ranges.sort_unstable();
    ranges.dedup();
    ranges
}

/// Weights and bias of a layer, where they are constants.
fn layer(graph: &Graph, node: &Node) -> Option<(Vec<f32>, Vec<f32>, usize)> {
    let weights = graph.tensor(*node.inputs.get(1)?);
    let out_c = *weights.shape.first()?;
    let bias = match node.inputs.get(2) {
        Some(&bias) => graph.tensor(bias).value.as_ref()?.to_vec(),
        None => vec![0.0; out_c],
    };
    let values = weights.value.as_ref()?.to_vec();
    (bias.len() == out_c && !values.is_empty()).then_some((values, bias, out_c))
}

fn conv_2d(
    graph: &Graph,
    node: &Node,
    x: &[Interval],
    window: &Window,
    groups: usize,
) -> Vec<Interval> {
    let count = channels(graph.tensor(node.output));
    let Some((weights, bias, out_c)) = layer(graph, node) else {
        return vec![Interval::UNKNOWN; count];
    };
    let (shape, in_shape, out_shape) = (
        &graph.tensor(node.inputs[1]).shape,
        &graph.tensor(node.inputs[0]).shape,
        &graph.tensor(node.output).shape,
    );
    let in_c = shape.last().copied().unwrap_or(1);
    let (rows, columns, kernel_w) = match (shape.as_slice(), in_shape.as_slice()) {
        (&[_, kernel_h, kernel_w, _], &[_, h, w, _]) if !window.is_unpadded() => (
            tap_ranges(h, out_shape[1], kernel_h, window, 0),
            tap_ranges(w, out_shape[2], kernel_w, window, 1),
            kernel_w,
        ),
        (&[_, kernel_h, kernel_w, _], _) => (vec![(0, kernel_h)], vec![(0, kernel_w)], kernel_w),
        _ => (vec![(0, 1)], vec![(0, 1)], 1),
    };
    let row = weights.len() / out_c;
    let of = |(channel, weights): (usize, &[f32])| {
        let first = channel / (out_c / groups).max(1) * in_c;
        // What each tap adds, and its magnitude.
        let taps: Vec<(Interval, f64)> = weights
            .chunks(in_c)
            .map(|weights| {
                let mut sum = (Interval::point(0.0), 0.0);
                for (ic, &w) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                    let term = pick(x, first + ic).mul(Interval::point(f64::from(w)));
                    sum = (sum.0.add(term), sum.1 + term.magnitude());
                }
                sum
            })
            .collect();
        let bias = Interval::point(f64::from(bias[channel]));
        let places = rows
            .iter()
            .flat_map(|&row| columns.iter().map(move |&column| (row, column)));
        let sums = places.map(|((top, bottom), (left, right))| {
            let mut sum = (bias, bias.magnitude());
            for tap_row in top..bottom {
                for (tap, magnitude) in &taps[tap_row * kernel_w + left..tap_row * kernel_w + right]
                {
                    sum = (sum.0.add(*tap), sum.1 + magnitude);
                }
            }
            sum.0.widened(ROUNDING * sum.1)
        });
        sums.reduce(Interval::hull).unwrap_or(Interval::UNKNOWN)
    };
    weights.chunks(row).enumerate().map(of).collect()
}

/// Which taps reach a pixel is not asked: each may be missing.
fn transpose_conv_2d(graph: &Graph, node: &Node, x: &[Interval], groups: usize) -> Vec<Interval> {
    let count = channels(graph.tensor(node.output));
    let Some((weights, bias, out_c)) = layer(graph, node) else {
        return vec![Interval::UNKNOWN; count];
    };
    let in_c = channels(graph.tensor(node.inputs[1]));
    let row = weights.len() / out_c;
    let of = |(channel, weights): (usize, &[f32])| {
        let first = channel / (out_c / groups).max(1) * in_c;
        let mut sum = Interval::point(f64::from(bias[channel]));
        let mut magnitude = sum.magnitude();
        for (i, &w) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            let term = pick(x, first + i % in_c).mul(Interval::point(f64::from(w)));
            magnitude += term.magnitude();
            sum = sum.add(term.hull(Interval::point(0.0)));
        }
        sum.widened(ROUNDING * magnitude)
    };
    weights.chunks(row).enumerate().map(of).collect()
}

fn binary(op: BinaryOp, a: &[Interval], b: &[Interval], count: usize) -> Vec<Interval> {
    let of = |c: usize| {
        let (a, b) = (pick(a, c), pick(b, c));
        let (result, magnitude) = match op {
            BinaryOp::Add => (a.add(b), a.magnitude() + b.magnitude()),
            BinaryOp::Sub => (a.add(b.neg()), a.magnitude() + b.magnitude()),
            BinaryOp::Mul => (a.mul(b), a.magnitude() * b.magnitude()),
            BinaryOp::Div => {
                let inverse = b.reciprocal();
                (a.mul(inverse), a.magnitude() * inverse.magnitude())
            }
            BinaryOp::Minimum => (
                Interval {
                    low: a.low.min(b.low),
                    high: a.high.min(b.high),
                },
                0.0,
            ),
            BinaryOp::Maximum => (
                Interval {
                    low: a.low.max(b.low),
                    high: a.high.max(b.high),
                },
                0.0,
            ),
        };
        if result.low.is_nan() || result.high.is_nan() || magnitude.is_nan() {
            return Interval::UNKNOWN;
        }
        result.widened(ROUNDING * magnitude)
    };
    (0..count).map(of).collect()
}

fn unary(op: UnaryOp, x: Interval) -> Interval {
    let rises = match op {
        UnaryOp::Clip { min, max } => return x.clamp(f64::from(min), f64::from(max)),
        UnaryOp::LeakyRelu { slope: factor }
        | UnaryOp::HardSigmoid { alpha: factor, .. }
        | UnaryOp::Elu { alpha: factor }
        | UnaryOp::Affine { scale: factor, .. } => factor >= 0.0,
        UnaryOp::Sigmoid
        | UnaryOp::Tanh
        | UnaryOp::Exp
        | UnaryOp::Log
        | UnaryOp::Sqrt
        | UnaryOp::Erf
        | UnaryOp::Softplus
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::Sign
        | UnaryOp::Atan => true,
        // They fall below zero only.
        UnaryOp::HardSwish | UnaryOp::Silu => x.low >= 0.0,
        UnaryOp::Pow { .. }
        | UnaryOp::Threshold { .. }
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Abs
        | UnaryOp::Neg => false,
    };
    if rises || x.is_constant() {
        x.through(&Op::Unary(op))
    } else {
        Interval::UNKNOWN
    }
}

fn prelu(x: Interval, slope: Interval) -> Interval {
    let zero = Interval::point(0.0);
    let positive = x.clamp(0.0, f64::INFINITY);
    let negative = x.clamp(f64::NEG_INFINITY, 0.0).mul(slope);
    match (x.low >= 0.0, x.high <= 0.0) {
        (true, _) => x,
        (_, true) => negative.widened(ROUNDING * negative.magnitude()),
        _ => positive.hull(zero).hull(negative),
    }
}
