//! Scale and zero point of every tensor.
//!
//! Tensors that a copying operator joins form a group and share one scale: a copy has no arithmetic. Concatenation, minimum and maximum need one
//! scale for all operands too, but there it can pay to keep an operand's own and rescale; an operand joins the group where nobody else needs
//! its own scale or where the scales hardly differ.
//!
//! A grid of the source file fixes a tensor's scale. In a model that is quantized already the other scales follow from those, so that no
//! calibration is needed.

mod behind;
pub mod channels;
mod indices;
mod known;
mod measured;
pub mod params;
pub mod requant;

pub use indices::Indices;

use ocellus_format::{QParams, ops::Softmax};
use ocellus_ir::{BinaryOp, BorderType, Graph, Node, Op, TensorId, UnaryOp};

use crate::CompileError;
use crate::calibrate::{Calibration, Method};
use crate::progress::Tell;

/// Scale and zero point of the output of a softmax with `bits` behind the point (`docs/numerics.md`).
pub(crate) fn softmax_output(bits: u8) -> QParams {
    QParams {
        scale: 1.0 / (1_u32 << bits) as f32,
        zero_point: -128,
    }
}

/// The bits behind the point with which a softmax gives a scale and zero point without another step.
pub(crate) fn softmax_bits(params: QParams) -> Option<u8> {
    let mut bits = Softmax::OUT_BITS;
    bits.find(|&bits| softmax_output(bits) == params)
}

/// The most bits behind the point that hold values up to one.
fn softmax_bits_for(largest: f32) -> u8 {
    let holds = |&bits: &u8| largest <= 255.0 * softmax_output(bits).scale;
    let bits = Softmax::OUT_BITS.rev().find(holds);
    bits.unwrap_or(*Softmax::OUT_BITS.start())
}

/// An operand that others read too joins a concatenation's scale where its own range is at least this share of the common one.
const SIMILAR_RANGE: f32 = 0.75;

/// Scale and zero point of every tensor that is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// By tensor of the graph; `None` for constants.
    pub params: Vec<Option<QParams>>,
    /// The range that the scale was made for, by tensor of the graph.
    pub ranges: Vec<Option<(f32, f32)>>,
    /// Tensors of equal numbers share one scale.
    pub groups: Vec<usize>,
}

impl Quantization {
    /// Scale and zero point of a tensor.
    pub fn params(&self, graph: &Graph, id: TensorId) -> Result<QParams, CompileError> {
        self.params[id.0].ok_or_else(|| CompileError::NotCalibrated {
            tensor: graph.tensor(id).name.clone(),
        })
    }
}

/// True where the operator only moves values: output and input 0 share a scale.
fn copies(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::MaxPool2d { .. }
            | Op::Gather { .. }
            | Op::Take { .. }
            | Op::GatherElements { .. }
            | Op::Resize { .. }
    )
}

/// Operators whose operands need one scale, but may be rescaled to it.
fn joins(op: &Op) -> bool {
    matches!(
        op,
        Op::Concat { .. } | Op::Quantize | Op::Binary(BinaryOp::Minimum | BinaryOp::Maximum)
    )
}

struct Sharing<'g> {
    graph: &'g Graph,
    parent: Vec<usize>,
    ranges: Vec<Option<(f32, f32)>>,
    fixed: Vec<Option<QParams>>,
    /// Nodes that read each tensor.
    readers: &'g [Vec<usize>],
    is_output: &'g [bool],
}

fn union(a: Option<(f32, f32)>, b: Option<(f32, f32)>) -> Option<(f32, f32)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

fn width(range: Option<(f32, f32)>) -> f32 {
    range.map_or(0.0, |(min, max)| max.max(0.0) - min.min(0.0))
}

impl Sharing<'_> {
    fn root(&self, mut index: usize) -> usize {
        while self.parent[index] != index {
            index = self.parent[index];
        }
        index
    }

    /// Gives two tensors one scale. False, and nothing done, where both are fixed to different ones.
    fn join(&mut self, a: TensorId, b: TensorId) -> bool {
        let (a, b) = (self.root(a.0), self.root(b.0));
        if a == b {
            return true;
        }
        if let (Some(first), Some(second)) = (self.fixed[a], self.fixed[b])
            && first != second
        {
            return false;
        }
        // The smaller number is the root, so that the result does not depend on the order of joins.
        let (root, child) = (a.min(b), a.max(b));
        self.parent[child] = root;
        self.ranges[root] = union(self.ranges[root], self.ranges[child]);
        self.fixed[root] = self.fixed[root].or(self.fixed[child]);
        true
    }

    /// True where no node but `node` reads a member of the group of `id` for its own scale.
    fn is_exclusive(&self, id: TensorId, node: usize) -> bool {
        let root = self.root(id.0);
        (0..self.parent.len())
            .filter(|&member| self.root(member) == root)
            .all(|member| {
                !self.is_output[member]
                    && self.readers[member].iter().all(|&reader| {
                        reader == node || self.root(self.graph.nodes[reader].output.0) == root
                    })
            })
    }

    fn join_operands(&mut self, index: usize, node: &Node) {
        let output = node.output;
        let inputs: Vec<TensorId> = node
            .inputs
            .iter()
            .copied()
            .filter(|&id| self.graph.tensor(id).value.is_none())
            .collect();
        let constants = || {
            node.inputs
                .iter()
                .filter_map(|&id| self.graph.tensor(id).value.as_deref())
        };
        let limits_only = matches!(node.op, Op::Binary(_));
        if matches!(node.op, Op::Concat { .. }) {
            let root = self.root(output.0);
            let mut range = self.ranges[root];
            for &id in &inputs {
                range = union(range, self.ranges[self.root(id.0)]);
            }
            for values in constants() {
                range = union(range, min_max(values));
            }
            self.ranges[root] = range;
            // Operands of one fixed scale keep it: nothing is lost.
            let fixed: Vec<_> = inputs
                .iter()
                .map(|id| self.fixed[self.root(id.0)])
                .collect();
            let all_equal = fixed.windows(2).all(|pair| pair[0] == pair[1]);
            if let (true, Some(Some(params)), None) = (all_equal, fixed.first(), constants().next())
            {
                let root = self.root(output.0);
                self.fixed[root] = self.fixed[root].or(Some(*params));
            }
        }
        for id in inputs {
            let (from, to) = (self.root(id.0), self.root(output.0));
            if from == to {
                continue;
            }
            let both_fixed = self.fixed[from].is_some() && self.fixed[from] == self.fixed[to];
            let free = self.fixed[from].is_none();
            let exclusive = free && self.is_exclusive(id, index);
            let similar = free
                && self.fixed[to].is_none()
                && width(self.ranges[from]) >= SIMILAR_RANGE * width(self.ranges[to])
                && width(self.ranges[to]) >= SIMILAR_RANGE * width(self.ranges[from]);
            if both_fixed || exclusive || similar {
                let wanted = self.ranges[to];
                self.join(id, output);
                if limits_only && exclusive {
                    // What saturates here would not have been chosen, or would saturate behind: the smaller of two clamped values is the
                    // clamped smaller one.
                    let root = self.root(output.0);
                    self.ranges[root] = wanted;
                }
            }
        }
    }
}

fn min_max(values: &[f32]) -> Option<(f32, f32)> {
    values
        .iter()
        .fold(None, |range, &v| union(range, Some((v, v))))
}

/// The scale that is fixed for a tensor: by the source file, or by the operator that computes it.
fn fixed_by(graph: &Graph, id: TensorId, op: Option<&Op>) -> Option<QParams> {
    match (&graph.tensor(id).grid, op) {
        (Some(grid), _) => Some(QParams {
            scale: grid.scale(),
            zero_point: grid.zero_point,
        }),
        (None, Some(Op::Softmax { .. })) => Some(softmax_output(*Softmax::OUT_BITS.start())),
        (None, Some(Op::ArgMax { .. } | Op::TopK { .. })) => Some(QParams::WHOLE_NUMBERS),
        (None, _) => None,
    }
}

/// The range that an operator's definition gives its output, whatever was observed.
fn range_by(op: &Op) -> Option<(f32, f32)> {
    match op {
        // Steps of 1/256; 1 itself is never reached.
        Op::Unary(UnaryOp::Sigmoid) => Some((0.0, 255.0 / 256.0)),
        Op::Unary(UnaryOp::HardSigmoid { .. }) => Some((0.0, 1.0)),
        _ => None,
    }
}

/// Chooses scale and zero point of every computed tensor. Where that takes its time, it tells how far it is.
///
/// # Errors
/// [`CompileError::NotCalibrated`], [`CompileError::NoScale`]; by [`Method::PerTensor`] also [`CompileError::Graph`] and [`CompileError::Sample`].
pub fn quantize(
    graph: &Graph,
    calibration: &Calibration,
    tell: &Tell<'_>,
) -> Result<Quantization, CompileError> {
    let count = graph.tensors.len();
    let mut readers = vec![Vec::new(); count];
    for (index, node) in graph.nodes.iter().enumerate() {
        for id in &node.inputs {
            readers[id.0].push(index);
        }
    }
    let mut is_output = vec![false; count];
    for id in graph
        .outputs
        .iter()
        .flat_map(|output| output.assembly.tensors())
    {
        is_output[id.0] = true;
    }
    let context = measured::Context {
        graph,
        readers: &readers,
        is_output: &is_output,
    };
    let assign = |calibration: &Calibration, ranges: &measured::Ranges| {
        let tensors = ranges.iter().enumerate();
        let observed = |index| calibration.range(TensorId(index));
        let ranges = tensors.map(|(index, range)| range.or_else(|| observed(index)));
        assign(context, calibration, ranges.collect())
    };
    if calibration.method == Method::PerTensor && calibration.sample_count > 0 {
        return measured::choose(context, calibration, &assign, tell);
    }
    assign(calibration, &vec![None; count])
}

/// Scales and zero points for ranges, by tensor.
fn assign(
    context: measured::Context<'_>,
    calibration: &Calibration,
    ranges: Vec<Option<(f32, f32)>>,
) -> Result<Quantization, CompileError> {
    let measured::Context {
        graph,
        readers,
        is_output,
    } = context;
    let count = graph.tensors.len();
    let mut sharing = Sharing {
        graph,
        parent: (0..count).collect(),
        ranges,
        fixed: vec![None; count],
        readers,
        is_output,
    };
    let indices = Indices::of(graph);
    for input in &graph.inputs {
        sharing.fixed[input.tensor.0] = match input.border {
            BorderType::S32 | BorderType::S64 if indices.contains(input.tensor) => {
                Some(QParams::WHOLE_NUMBERS)
            }
            BorderType::F32 | BorderType::S32 | BorderType::S64 => {
                fixed_by(graph, input.tensor, None)
            }
            BorderType::U8 => Some(QParams {
                scale: 1.0,
                zero_point: -128,
            }),
            BorderType::S8 => Some(QParams {
                scale: 1.0,
                zero_point: 0,
            }),
        };
    }
    for node in &graph.nodes {
        let output = node.output;
        sharing.fixed[output.0] = fixed_by(graph, output, Some(&node.op));
        // Whoever reads an output expects the steps of 1/256. Inside, attention over hundreds of positions has no value above a hundredth.
        if let (Op::Softmax { .. }, None) = (&node.op, &graph.tensor(output).grid)
            && let Some((_, largest)) = calibration.range_by(output, Method::MinMax)
            && !context.reaches_output(output)
        {
            sharing.fixed[output.0] = Some(softmax_output(softmax_bits_for(largest)));
        }
        if let Some(range) = range_by(&node.op) {
            sharing.ranges[output.0] = Some(range);
        }
    }
    if calibration.sample_count == 0 {
        known::derive(graph, &mut sharing)?;
    }
    for node in &graph.nodes {
        let Some(&input) = node.inputs.first().filter(|_| copies(&node.op)) else {
            continue;
        };
        // What is picked from a table may be any of its values, those too that no sample asked for.
        if let Some(table) = graph.tensor(input).value.as_deref() {
            sharing.ranges[node.output.0] = min_max(table);
            continue;
        }
        if let Op::Pad { value, .. } = node.op
            && value.is_finite()
        {
            let root = sharing.root(input.0);
            sharing.ranges[root] = union(sharing.ranges[root], Some((value, value)));
        }
        // What is copied lies in the range of its source; its own, clipped by its own statistics, is not asked. Between two scales of the
        // file's own the copy changes the scale.
        sharing.ranges[node.output.0] = None;
        sharing.join(input, node.output);
    }
    let joining = |quantizes: bool| {
        let nodes = graph.nodes.iter().enumerate();
        nodes.filter(move |(_, node)| joins(&node.op) && (node.op == Op::Quantize) == quantizes)
    };
    for (index, node) in joining(true).chain(joining(false)) {
        sharing.join_operands(index, node);
    }

    let mut quantization = Quantization {
        params: vec![None; count],
        ranges: vec![None; count],
        groups: vec![0; count],
    };
    let computed = graph
        .inputs
        .iter()
        .map(|input| input.tensor)
        .chain(graph.nodes.iter().map(|node| node.output));
    for id in computed {
        let root = sharing.root(id.0);
        let range = sharing.ranges[root];
        quantization.groups[id.0] = root;
        quantization.ranges[id.0] = range;
        quantization.params[id.0] = Some(match (sharing.fixed[root], range) {
            (Some(fixed), _) => fixed,
            (None, Some((min, max))) => params::from_range(min, max),
            (None, None) => {
                return Err(CompileError::NotCalibrated {
                    tensor: graph.tensor(id).name.clone(),
                });
            }
        });
    }
    Ok(quantization)
}

#[cfg(test)]
mod tests {
    use ocellus_ir::random::Random;

    use super::*;
    use crate::calibrate::Sample;

    /// The softmax of a row of near-equal values, as of attention over many positions, and the steps that it gets.
    fn softmax_scale(length: usize, behind: Option<Op>) -> f32 {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![1, length], BorderType::F32);
        let softmax = Op::Softmax { axis: 1 };
        let y = graph.add_node("softmax", softmax, &[x]).unwrap();
        let output = behind.map_or(y, |op| graph.add_node("behind", op, &[y]).unwrap());
        graph.add_output("output", output, BorderType::F32);
        let mut random = Random::new(1);
        let samples = (0..4).map(|_| Sample {
            inputs: vec![random.values(length)],
            sha256: None,
        });
        let calibration = Calibration::collect(&graph, samples, Method::MinMax, |_| {}).unwrap();
        let params = quantize(&graph, &calibration, &|_| {}).unwrap().params[y.0];
        params.unwrap().scale
    }

    #[test]
    fn attention_over_many_positions_has_fine_steps() {
        let inside = |length| softmax_scale(length, Some(Op::Unary(UnaryOp::Neg)));
        assert_eq!(inside(2), 1.0 / 256.0);
        // No value is above e^2 / 200.
        assert!(inside(200) <= 1.0 / 4096.0, "{}", inside(200));
    }

    #[test]
    fn an_output_of_a_softmax_can_say_one() {
        let reshaped = Op::Reshape {
            shape: vec![200, 1],
        };
        for behind in [None, Some(reshaped)] {
            assert_eq!(softmax_scale(200, behind), 1.0 / 256.0);
        }
    }
}
