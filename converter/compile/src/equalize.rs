//! Channels of a tensor brought to similar ranges, so that each of them uses more of its 8 bits.
//!
//! A tensor has one scale, and a channel whose values are an eighth of the largest channel's has an eighth of the steps. Where a layer writes the tensor and
//! layers read it, a channel can be multiplied by a factor in the first one's weights and bias and divided by it in the others': the same function, since
//! everything between is linear in each channel (ReLU, pools, sums of tensors with the same factors). Factors are powers of two, so float results are the
//! same to the bit. A fused upper limit (ReLU6) stays where it is: no factor brings what a channel was seen to hold above it.
//!
//! No factor makes a layer's rescale so large that it leaves the fast range of kernels (`RESCALE_MAX`).
//!
//! A factor costs the weights behind the steps that it gives the activation, and so is the square root of what would make all ranges equal.
//!
//! After Nagel and others, "Data-Free Quantization" (2019), and Xiao and others, "SmoothQuant" (2022). Weights have a scale an output channel here, so
//! it is the ranges of activations that are brought together, not those of weights.

use ocellus_ir::{BinaryOp, Graph, Node, Op, TensorId, UnaryOp};

use crate::calibrate::Calibration;

/// Largest exponent of a factor.
const EXPONENT_MAX: u8 = 5;

/// Exponents that there are.
const EXPONENTS: u8 = EXPONENT_MAX + 1;

/// Base of the digits of [`OPTION`]: each holds two exponents.
const DIGITS: u32 = EXPONENTS as u32 * EXPONENTS as u32;

/// What an unseen sample may go beyond the largest value of a channel, as a factor.
const MARGIN: f64 = 1.1;

/// What one step of a channel's accumulator may be in steps of the output: below this every kernel rescales in its short form.
const RESCALE_MAX: f64 = 0.25;

/// Name of the option under which a model file records the factors of a tensor, and with it of all that must have the same: `TENSOR=0e7`, a digit of base 36
/// for two channels, six times the exponent of two of the first plus that of the second.
pub const OPTION: &str = "equalized";

/// Factors of channels, by tensor; only of tensors that have some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Factors {
    /// By tensor: exponents of two, one an index of the innermost axis.
    exponents: Vec<Option<Vec<u8>>>,
}

/// What a node means for the factors of its inputs' channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It has weights: the factor of an input goes into them, that of the output too.
    Layer,
    /// Output and computed inputs have the same factors.
    Passes,
    /// No factor passes.
    Blocks,
}

fn role(graph: &Graph, node: &Node) -> Role {
    let tensor = |id: TensorId| graph.tensor(id);
    let constant = |position: usize| {
        let id = node.inputs.get(position);
        id.is_none_or(|&id| tensor(id).value.is_some())
    };
    let channels = |id: TensorId| tensor(id).shape.last().copied();
    let x = node.inputs[0];
    let fixed = node.inputs.iter().chain([&node.output]);
    if fixed.into_iter().any(|&id| tensor(id).grid.is_some()) {
        // Numbers that the source file fixes stay.
        return Role::Blocks;
    }
    let from_zero = |(low, _): (f32, f32)| low == 0.0 || low == f32::NEG_INFINITY;
    let is_relu = |limits: (f32, f32)| limits == (0.0, f32::INFINITY);
    match &node.op {
        Op::Conv2d { .. } | Op::TransposeConv2d { .. } | Op::FullyConnected
            if constant(1) && constant(2) && node.clamp.is_none_or(from_zero) =>
        {
            Role::Layer
        }
        _ if !node.clamp.is_none_or(is_relu) => Role::Blocks,
        Op::MaxPool2d { .. } | Op::AveragePool2d { .. } | Op::Resize { .. } => Role::Passes,
        Op::Mean { axes, .. }
            if !axes.contains(&(tensor(x).shape.len().saturating_sub(1)))
                && channels(x) == channels(node.output) =>
        {
            Role::Passes
        }
        Op::Reshape { .. } if channels(x) == channels(node.output) => Role::Passes,
        Op::Pad {
            before,
            after,
            value,
        } if *value == 0.0 && before.last() == Some(&0) && after.last() == Some(&0) => Role::Passes,
        Op::Binary(BinaryOp::Add | BinaryOp::Sub)
            if node
                .inputs
                .iter()
                .all(|&id| tensor(id).value.is_none() && channels(id) == channels(node.output)) =>
        {
            Role::Passes
        }
        Op::Unary(UnaryOp::Clip { min, max }) if is_relu((*min, *max)) => Role::Passes,
        Op::Unary(UnaryOp::LeakyRelu { .. }) => Role::Passes,
        Op::Prelu if constant(1) => Role::Passes,
        _ => Role::Blocks,
    }
}

fn roles(graph: &Graph) -> Vec<Role> {
    graph.nodes.iter().map(|node| role(graph, node)).collect()
}

/// Tensors that must have the same factors.
struct Groups {
    parent: Vec<usize>,
    /// By root: false where something touches a member that no factor passes.
    free: Vec<bool>,
}

impl Groups {
    fn root(&self, mut index: usize) -> usize {
        while self.parent[index] != index {
            index = self.parent[index];
        }
        index
    }

    fn of(graph: &Graph, roles: &[Role]) -> Groups {
        let mut groups = Groups {
            parent: (0..graph.tensors.len()).collect(),
            free: vec![true; graph.tensors.len()],
        };
        let passing = graph.nodes.iter().zip(roles);
        for (node, _) in passing.filter(|(_, role)| **role == Role::Passes) {
            let computed = node.inputs.iter();
            for &id in computed.filter(|&&id| graph.tensor(id).value.is_none()) {
                let (a, b) = (groups.root(id.0), groups.root(node.output.0));
                groups.parent[a.max(b)] = a.min(b);
            }
        }
        let borders = graph.inputs.iter().map(|input| input.tensor);
        let outputs = graph.outputs.iter().flat_map(|o| o.assembly.tensors());
        let blocking = graph.nodes.iter().zip(roles);
        let blocked = blocking
            .filter(|(_, role)| **role == Role::Blocks)
            .flat_map(|(node, _)| node.inputs.iter().copied().chain([node.output]));
        for id in borders.chain(outputs).chain(blocked) {
            let root = groups.root(id.0);
            groups.free[root] = false;
        }
        groups
    }
}

impl Factors {
    /// Chooses factors by what calibration has seen of each channel.
    pub fn choose(graph: &Graph, calibration: &Calibration) -> Factors {
        let groups = Groups::of(graph, &roles(graph));
        let mut of_group: Vec<Option<Vec<u8>>> = vec![None; graph.tensors.len()];
        for node in &graph.nodes {
            let root = groups.root(node.output.0);
            let Some(peaks) = calibration.channel_peaks(node.output) else {
                continue;
            };
            if !groups.free[root] {
                continue;
            }
            let largest = f64::from(peaks.iter().copied().fold(0.0, f32::max));
            let top = node
                .clamp
                .map_or(f64::INFINITY, |(_, high)| f64::from(high));
            let rescales = rescales(graph, calibration, node);
            let wanted = peaks.iter().enumerate().map(|(channel, &peak)| {
                let peak = f64::from(peak) * MARGIN;
                if peak == 0.0 {
                    return 0;
                }
                let wanted = (libm::log2(largest / peak) / 2.0).round();
                let below = libm::log2(top / peak).floor();
                let rescale = rescales.get(channel).copied().unwrap_or(0.0);
                let fast = libm::log2(RESCALE_MAX / rescale).ceil() - 1.0;
                wanted
                    .min(below)
                    .min(fast)
                    .clamp(0.0, f64::from(EXPONENT_MAX)) as u8
            });
            match &mut of_group[root] {
                Some(exponents) if exponents.len() == peaks.len() => {
                    for (exponent, wanted) in exponents.iter_mut().zip(wanted) {
                        *exponent = (*exponent).min(wanted);
                    }
                }
                Some(exponents) => exponents.fill(0),
                none => *none = Some(wanted.collect()),
            }
        }
        let exponents = (0..graph.tensors.len())
            .map(|index| of_group[groups.root(index)].clone())
            .map(|exponents| exponents.filter(|exponents| exponents.iter().any(|&e| e > 0)))
            .collect();
        Factors { exponents }
    }

    /// True where no channel has a factor.
    pub fn is_empty(&self) -> bool {
        self.exponents.iter().all(Option::is_none)
    }

    /// The graph with the factors in its weights and biases: its outputs are the same.
    pub fn apply(&self, graph: &Graph) -> Graph {
        let mut equal = graph.clone();
        for (index, node) in graph.nodes.iter().enumerate() {
            if role(graph, node) == Role::Layer {
                let of = |id: TensorId| self.exponents.get(id.0).and_then(Option::as_deref);
                scale_layer(&mut equal, index, of(node.inputs[0]), of(node.output));
            }
        }
        equal
    }

    /// As options of a model file's record: of tensors that must have the same factors, the first.
    pub fn to_options(&self, graph: &Graph) -> Vec<(String, String)> {
        let groups = Groups::of(graph, &roles(graph));
        let tensors = graph.tensors.iter().zip(&self.exponents).enumerate();
        tensors
            .filter(|(index, _)| groups.root(*index) == *index)
            .filter_map(|(_, (tensor, exponents))| {
                let digits = to_digits(exponents.as_ref()?)?;
                Some((OPTION.to_owned(), format!("{}={digits}", tensor.name)))
            })
            .collect()
    }

    /// Reads back what [`to_options`](Self::to_options) wrote; a tensor that the graph does not have, or that can have no factors there, is left out.
    pub fn from_options(graph: &Graph, options: &[(String, String)]) -> Factors {
        let groups = Groups::of(graph, &roles(graph));
        let mut of_group: Vec<Option<Vec<u8>>> = vec![None; graph.tensors.len()];
        for (_, value) in options.iter().filter(|(name, _)| name == OPTION) {
            let Some((name, digits)) = value.rsplit_once('=') else {
                continue;
            };
            for (index, tensor) in graph.tensors.iter().enumerate() {
                let root = groups.root(index);
                let channels = tensor.shape.last().copied().unwrap_or(1);
                if tensor.name == name && groups.free[root] {
                    of_group[root] = from_digits(digits, channels);
                }
            }
        }
        let channels = |index: usize| graph.tensors[index].shape.last().copied();
        let exponents = (0..graph.tensors.len())
            .map(|index| {
                let exponents = of_group[groups.root(index)].clone();
                exponents.filter(|exponents| channels(index) == Some(exponents.len()))
            })
            .collect();
        Factors { exponents }
    }
}

/// What one step of each output channel's accumulator is in steps of the output, without factors; nothing for an operator without weights.
fn rescales(graph: &Graph, calibration: &Calibration, node: &Node) -> Vec<f64> {
    if role(graph, node) != Role::Layer {
        return Vec::new();
    }
    let width = |id: TensorId| {
        let (low, high) = calibration.range(id)?;
        let width = f64::from(high.max(0.0)) - f64::from(low.min(0.0));
        (width > 0.0).then_some(width)
    };
    let (Some(input), Some(output)) = (width(node.inputs[0]), width(node.output)) else {
        return Vec::new();
    };
    let weights = graph.tensor(node.inputs[1]);
    let values = weights.value.as_deref().unwrap_or_default();
    let channels = weights.shape.first().copied().unwrap_or(1).max(1);
    values
        .chunks((values.len() / channels).max(1))
        .map(|row| {
            let largest = row.iter().fold(0f32, |largest, w| largest.max(w.abs()));
            input * f64::from(largest) / 127.0 / output
        })
        .collect()
}

/// `None` where an exponent is too large.
fn to_digits(exponents: &[u8]) -> Option<String> {
    let pairs = exponents.chunks(2);
    pairs
        .map(|pair| {
            let second = pair.get(1).copied().unwrap_or(0);
            let value = u32::from(pair[0]) * u32::from(EXPONENTS) + u32::from(second);
            char::from_digit(value, DIGITS)
        })
        .collect()
}

/// The exponents of this count of channels; `None` where the digits are those of another count, or none.
fn from_digits(digits: &str, channels: usize) -> Option<Vec<u8>> {
    let values: Option<Vec<u8>> = digits
        .chars()
        .map(|digit| Some(digit.to_digit(DIGITS)? as u8))
        .collect();
    let pairs = values?
        .into_iter()
        .flat_map(|v| [v / EXPONENTS, v % EXPONENTS]);
    let mut exponents: Vec<u8> = pairs.collect();
    (exponents.len() == channels.next_multiple_of(2)).then_some(())?;
    exponents.truncate(channels);
    Some(exponents)
}

fn scale_layer(graph: &mut Graph, index: usize, before: Option<&[u8]>, after: Option<&[u8]>) {
    if before.is_none() && after.is_none() {
        return;
    }
    let node = graph.nodes[index].clone();
    let groups = match node.op {
        Op::Conv2d { groups, .. } | Op::TransposeConv2d { groups, .. } => groups,
        _ => 1,
    };
    let factor = |exponents: Option<&[u8]>, channel: usize| {
        let exponent = exponents.and_then(|e| e.get(channel)).copied();
        f32::from(1u16 << exponent.unwrap_or(0))
    };
    let weights = graph.tensor(node.inputs[1]).clone();
    let out_c = weights.shape.first().copied().unwrap_or(1).max(1);
    let group_c = weights.shape.last().copied().unwrap_or(1).max(1);
    let taps = (weights.len() / out_c).max(1);
    let old = weights.value.clone().unwrap_or_default();
    let scaled: Vec<f32> = old
        .iter()
        .enumerate()
        .map(|(position, &w)| {
            let (oc, ic) = (position / taps, position % group_c);
            let group = oc / (out_c / groups.max(1)).max(1);
            w * factor(after, oc) / factor(before, group * group_c + ic)
        })
        .collect();
    let name = format!("{}.equalized", weights.name);
    graph.nodes[index].inputs[1] = graph.add_constant(name, weights.shape, scaled);
    if let Some(&bias) = node.inputs.get(2) {
        let bias = graph.tensor(bias).clone();
        let old = bias.value.clone().unwrap_or_default();
        let channels = old.iter().enumerate();
        let scaled: Vec<f32> = channels.map(|(oc, &b)| b * factor(after, oc)).collect();
        let name = format!("{}.equalized", bias.name);
        graph.nodes[index].inputs[2] = graph.add_constant(name, bias.shape, scaled);
    }
}

#[cfg(test)]
mod tests {
    use ocellus_ir::{BorderType, Executor, Window};

    use super::*;
    use crate::{Method, Sample};

    fn convolution(
        graph: &mut Graph,
        x: TensorId,
        [out_c, kernel, groups]: [usize; 3],
        clamp: Option<(f32, f32)>,
        unequal: bool,
    ) -> TensorId {
        let in_c = graph.tensor(x).shape[3];
        let shape = vec![out_c, kernel, kernel, in_c / groups];
        let len: usize = shape.iter().product();
        let values: Vec<f32> = (0..len)
            .map(|i| {
                let size = match i / (len / out_c) % 4 {
                    0 if unequal => 8.0,
                    _ => 0.25,
                };
                ((i * 29 % 31) as f32 - 12.0) / 31.0 * size
            })
            .collect();
        let number = graph.nodes.len();
        let w = graph.add_constant(format!("w{number}"), shape, values);
        let b = graph.add_constant(format!("b{number}"), vec![out_c], vec![0.125; out_c]);
        let pad = kernel / 2;
        let window = Window {
            stride: [1, 1],
            dilation: [1, 1],
            pad_before: [pad, pad],
            pad_after: [pad, pad],
        };
        let op = Op::Conv2d { window, groups };
        let y = graph
            .add_node(format!("conv{number}"), op, &[x, w, b])
            .unwrap();
        graph.nodes.last_mut().unwrap().clamp = clamp;
        y
    }

    /// A residual block with a depthwise layer and a pool; the first layer's channels have ranges that differ by 32.
    fn block(clamp: Option<(f32, f32)>) -> Graph {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![1, 6, 6, 3], BorderType::F32);
        let a = convolution(&mut g, x, [8, 3, 1], clamp, true);
        let b = convolution(&mut g, a, [8, 3, 8], clamp, false);
        let c = convolution(&mut g, b, [8, 1, 1], None, true);
        let add = Op::Binary(BinaryOp::Add);
        let sum = g.add_node("sum", add, &[a, c]).unwrap();
        let mean = Op::Mean {
            axes: vec![1, 2],
            keep_dims: true,
        };
        let mean = g.add_node("mean", mean, &[sum]).unwrap();
        let y = convolution(&mut g, mean, [4, 1, 1], None, false);
        g.add_output("y", y, BorderType::F32);
        g.verify().unwrap();
        g
    }

    fn sample(seed: usize, scale: f32) -> Sample {
        let values = (0..6 * 6 * 3).map(|i| ((i * 41 + seed * 17) % 59) as f32 / 59.0 - 0.4);
        Sample {
            inputs: vec![values.map(|v| v * scale).collect()],
            sha256: None,
        }
    }

    fn run(graph: &Graph, sample: &Sample) -> Vec<f32> {
        let mut executor = Executor::new(graph).unwrap();
        let outputs = executor.run(&[&sample.inputs[0]], &mut |_, _| {}).unwrap();
        outputs.into_iter().flatten().collect()
    }

    fn calibrated(graph: &Graph) -> Calibration {
        let samples = (0..4).map(|seed| sample(seed, 1.0));
        Calibration::collect(graph, samples, Method::MinMax, |_| {}).unwrap()
    }

    #[test]
    fn float_results_are_the_same_to_the_bit_for_any_input() {
        for clamp in [None, Some((0.0, f32::INFINITY))] {
            let graph = block(clamp);
            let factors = Factors::choose(&graph, &calibrated(&graph));
            assert!(!factors.is_empty());
            let equal = factors.apply(&graph);
            equal.verify().unwrap();
            for seed in 10..14 {
                let sample = sample(seed, 50.0);
                assert_eq!(run(&graph, &sample), run(&equal, &sample), "{clamp:?}");
            }
        }
    }

    #[test]
    fn an_upper_limit_holds_for_what_was_seen() {
        let graph = block(Some((0.0, 6.0)));
        let factors = Factors::choose(&graph, &calibrated(&graph));
        assert!(!factors.is_empty());
        let equal = factors.apply(&graph);
        for seed in 0..4 {
            let sample = sample(seed, 1.0);
            assert_eq!(run(&graph, &sample), run(&equal, &sample));
        }
    }

    #[test]
    fn ranges_come_together_and_the_record_gives_the_same_graph() {
        let graph = block(Some((0.0, f32::INFINITY)));
        let calibration = calibrated(&graph);
        let factors = Factors::choose(&graph, &calibration);
        let equal = factors.apply(&graph);
        let ratio = |graph: &Graph| {
            let calibration = calibrated(graph);
            let peaks = calibration.channel_peaks(graph.nodes[1].output).unwrap();
            let largest = peaks.iter().copied().fold(0.0, f32::max);
            largest / peaks.iter().copied().fold(f32::INFINITY, f32::min)
        };
        assert!(ratio(&equal) * 2.0 < ratio(&graph));
        let read = Factors::from_options(&graph, &factors.to_options(&graph));
        assert_eq!(read, factors);
    }

    #[test]
    fn digits_give_their_exponents_and_nothing_else_is_read() {
        for exponents in [vec![], vec![5], vec![0, 5], vec![1, 2, 3], vec![5; 8]] {
            let digits = to_digits(&exponents).unwrap();
            assert_eq!(digits.len(), exponents.len().div_ceil(2));
            assert_eq!(from_digits(&digits, exponents.len()), Some(exponents));
        }
        assert_eq!(to_digits(&[1, 2, 3]).as_deref(), Some("8i"));
        for (digits, channels) in [("8i", 2), ("8i", 5), ("8", 0), ("8_", 4), ("8\u{e9}", 4)] {
            assert_eq!(from_digits(digits, channels), None, "{digits}");
        }
    }

    #[test]
    fn outputs_and_what_is_no_layer_block_factors() {
        let mut graph = block(None);
        let a = graph.nodes[0].output;
        graph.add_output("a", a, BorderType::F32);
        let factors = Factors::choose(&graph, &calibrated(&graph));
        assert!(factors.exponents[a.0].is_none());
        assert!(factors.exponents[graph.nodes[1].output.0].is_some());
    }
}
