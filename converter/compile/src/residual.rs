//! Sums into the convolutions that feed them, where that makes the arena smaller.
//!
//! A sum of a convolution's result and a tensor that dies there keeps three tensors alive in the convolution's step: its input, its result and the other
//! operand. As one operator (`conv_2d_add`) it writes over the other operand, a band of rows at a time, and the result is a band long. The bytes
//! of the output are those of the two operators.

use ocellus_format::ops::{Add, Conv2d, Conv2dAdd};

use crate::lower::{DeviceNode, DeviceOp, DeviceProgram, Operand, swapped};

/// Pixels of a band at least: kernels take several at a time, and a band's last few may be fewer.
const PIXELS_MIN: u32 = 32;
/// Bytes of a band that is made of more rows than that takes.
const BAND_BYTES: u32 = 2048;
/// Inputs of a convolution without wide channels.
const CONV_INPUTS: usize = 5;

/// A sum and the convolution before it, by index of their nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) conv: usize,
    pub(crate) add: usize,
}

/// Every pair that can be one operator in place.
pub(crate) fn pairs(program: &DeviceProgram) -> Vec<Pair> {
    let mut readers = vec![0_usize; program.tensors.len()];
    let mut writer = vec![None; program.tensors.len()];
    for &output in &program.outputs {
        readers[output] += 1;
    }
    for (index, node) in program.nodes.iter().enumerate() {
        writer[node.output] = Some(index);
        for operand in &node.inputs {
            if let Operand::Tensor(tensor) = *operand {
                readers[tensor] += 1;
            }
        }
    }
    let is_last_reader = |tensor: usize, add: usize| {
        let later = program.nodes[add + 1..].iter().map(|node| &node.inputs);
        !program.outputs.contains(&tensor)
            && later
                .flatten()
                .all(|&other| other != Operand::Tensor(tensor))
    };
    let mut found = Vec::new();
    for (add, node) in program.nodes.iter().enumerate() {
        let [Operand::Tensor(a), Operand::Tensor(b)] = node.inputs[..] else {
            continue;
        };
        let candidates = [(a, b), (b, a)].into_iter().filter_map(|(kept, result)| {
            let conv = writer[result]?;
            let fits = readers[result] == 1
                && is_last_reader(kept, add)
                && fused(program, Pair { conv, add }).is_some();
            fits.then_some(Pair { conv, add })
        });
        // Of two convolutions the later: its input is needed for that long already.
        found.extend(candidates.max_by_key(|pair| pair.conv));
    }
    found
}

/// The operator of a pair; `None` where there is none for these parameters.
fn fused(program: &DeviceProgram, pair: Pair) -> Option<DeviceNode> {
    let (conv, add) = (&program.nodes[pair.conv], &program.nodes[pair.add]);
    let DeviceOp::Conv2d(p) = conv.op else {
        return None;
    };
    let is_second = *add.inputs.get(1)? == Operand::Tensor(conv.output);
    let DeviceOp::Add(sum) = (if is_second { add.op } else { swapped(add.op)? }) else {
        return None;
    };
    let kept = *add.inputs.get(usize::from(!is_second))?;
    let is_flat = sum.binary.broadcast_a == 0 && sum.binary.broadcast_b == 0;
    let w = &p.window;
    // The first row of every window lies inside.
    let begins_inside = (w.out_h - 1) * w.stride_h < w.in_h + w.pad_top;
    if !is_flat || !begins_inside || conv.inputs.len() != CONV_INPUTS || conv.inputs.contains(&kept)
    {
        return None;
    }
    let inputs = [&[kept], &conv.inputs[..]].concat();
    Some(DeviceNode {
        name: format!("{}+{}", conv.name, add.name),
        op: DeviceOp::Conv2dAdd(in_bands(p, sum)),
        inputs,
        output: add.output,
    })
}

/// Bands of whole rows, large enough for the kernels.
fn in_bands(conv: Conv2d, add: Add) -> Conv2dAdd {
    let w = &conv.window;
    let enough = PIXELS_MIN.div_ceil(w.out_w);
    let rows = enough.max(BAND_BYTES / (w.out_w * conv.out_c));
    Conv2dAdd {
        conv,
        add,
        rows: rows.min(w.out_h),
    }
}

/// The program with pairs, none of which share a node, as one operator each, in the place of the sum.
pub(crate) fn with(program: &DeviceProgram, pairs: &[Pair]) -> DeviceProgram {
    let mut changed = program.clone();
    for &pair in pairs {
        if let Some(node) = fused(program, pair) {
            changed.nodes[pair.add] = node;
        }
    }
    let gone: Vec<usize> = pairs.iter().map(|pair| pair.conv).collect();
    let unwritten: Vec<usize> = gone
        .iter()
        .map(|&conv| program.nodes[conv].output)
        .collect();
    let mut nodes = 0..;
    changed
        .nodes
        .retain(|_| nodes.next().is_some_and(|index| !gone.contains(&index)));
    // Tensors behind one that is gone move up.
    let moved = |tensor: usize| tensor - unwritten.iter().filter(|&&gone| gone < tensor).count();
    let mut tensors = 0..;
    changed.tensors.retain(|_| {
        tensors
            .next()
            .is_some_and(|index| !unwritten.contains(&index))
    });
    for node in &mut changed.nodes {
        node.output = moved(node.output);
        for operand in &mut node.inputs {
            if let Operand::Tensor(tensor) = operand {
                *tensor = moved(*tensor);
            }
        }
    }
    for tensor in changed.inputs.iter_mut().chain(&mut changed.outputs) {
        *tensor = moved(*tensor);
    }
    for placed in &mut changed.placed {
        *placed = placed
            .filter(|tensor| !unwritten.contains(tensor))
            .map(moved);
    }
    changed
}

/// The fewest of `pairs` that bring the most bytes alive at once, which `alive_bytes` says of a program, as low as all of them do. Empty where
/// that is no lower than without.
pub(crate) fn needed(
    program: &DeviceProgram,
    mut pairs: Vec<Pair>,
    alive_bytes: impl Fn(DeviceProgram) -> u64,
) -> Vec<Pair> {
    let least = alive_bytes(with(program, &pairs));
    if pairs.is_empty() || least >= alive_bytes(program.clone()) {
        return Vec::new();
    }
    let mut position = 0;
    while position < pairs.len() {
        let mut fewer = pairs.clone();
        fewer.remove(position);
        if alive_bytes(with(program, &fewer)) <= least {
            pairs = fewer;
        } else {
            position += 1;
        }
    }
    pairs
}
