//! Weights into the layout that the target's kernels read.

use ocellus_format::{Isa, WeightLayout, ops};
use ocellus_kernels::{layout, select};

use crate::Target;
use crate::lower::{Constant, DeviceOp, DeviceProgram, Operand, Values};

/// Fewer taps of a channel are not filled up to a run of sixteen.
const TAPS_MIN: u32 = 4;

/// What the choice of a layout depends on, beside the instruction set.
struct Layer<'a> {
    taps: u32,
    acc_bound: u32,
    weights: &'a [i8],
}

impl Layer<'_> {
    /// The layout that a convolution's kernel reads best on an instruction set.
    fn conv_2d(&self, isa: Isa) -> WeightLayout {
        match isa {
            Isa::CortexMDsp if self.is_pairable() => WeightLayout::Pair2x4,
            _ => self.product(isa),
        }
    }

    /// The layout that a fully connected layer's kernel reads best on an instruction set.
    fn fully_connected(&self, isa: Isa) -> WeightLayout {
        match isa {
            Isa::CortexMDsp if self.is_pairable() => WeightLayout::Pair2x4,
            _ => self.product(isa),
        }
    }

    /// The layout of instruction sets that multiply all layers alike.
    fn product(&self, isa: Isa) -> WeightLayout {
        match isa {
            Isa::Helium if self.taps >= TAPS_MIN => WeightLayout::Interleave2x16,
            Isa::Neon => WeightLayout::Interleave4x16,
            Isa::NeonDot => WeightLayout::Interleave8x4,
            Isa::NeonI8mm => WeightLayout::Interleave8x8,
            _ => WeightLayout::Portable,
        }
    }

    fn is_pairable(&self) -> bool {
        self.acc_bound < WeightLayout::ACC_BOUND_PAIR && layout::is_pairable(self.weights)
    }
}

/// Brings the weights of each operator into the layout that its kernel on the target wants. A portable file stays as it is.
pub fn pack(program: &mut DeviceProgram, target: Target) {
    let Target::Isa(isa) = target else { return };
    for node in &mut program.nodes {
        let Some(&Operand::Constant(index)) = node.inputs.get(1) else {
            continue;
        };
        let Some(Values::S8(weights)) = program.constants.get(index).map(|c| &c.values) else {
            continue;
        };
        let packed = match &mut node.op {
            DeviceOp::Conv2d(p) => conv_2d(isa, p, weights),
            DeviceOp::FullyConnected(p) => fully_connected(isa, p, weights),
            _ => None,
        };
        let Some(bytes) = packed else { continue };
        let name = format!("{}.packed", program.constants[index].name);
        program.constants.push(Constant {
            name,
            shape: vec![bytes.len()],
            qparams: None,
            values: Values::S8(bytes),
        });
        node.inputs[1] = Operand::Constant(program.constants.len() - 1);
    }
    drop_unused_constants(program);
}

/// The packed weights of a convolution, whose parameters then name the layout; `None` where they are to stay.
fn conv_2d(isa: Isa, p: &mut ops::Conv2d, weights: &[i8]) -> Option<Vec<i8>> {
    let layer = Layer {
        taps: p.taps(),
        acc_bound: p.acc_bound,
        weights,
    };
    let layout = match select::conv_2d(isa, p).isa {
        Isa::Reference => WeightLayout::Portable,
        own => layer.conv_2d(own),
    };
    if layout == p.layout {
        return None;
    }
    let packed = ops::Conv2d { layout, ..*p };
    let mut bytes = vec![0; usize::try_from(packed.weights_len()?).ok()?];
    layout::pack_conv_2d(&packed, weights, &mut bytes);
    *p = packed;
    Some(bytes)
}

/// As [`conv_2d`], of a fully connected layer.
fn fully_connected(isa: Isa, p: &mut ops::FullyConnected, weights: &[i8]) -> Option<Vec<i8>> {
    let layer = Layer {
        taps: p.in_c,
        acc_bound: p.acc_bound,
        weights,
    };
    let layout = match select::fully_connected(isa, p).isa {
        Isa::Reference => WeightLayout::Portable,
        own => layer.fully_connected(own),
    };
    if layout == p.layout {
        return None;
    }
    let packed = ops::FullyConnected { layout, ..*p };
    let mut bytes = vec![0; usize::try_from(packed.weights_len()?).ok()?];
    layout::pack_fully_connected(&packed, weights, &mut bytes);
    *p = packed;
    Some(bytes)
}

/// Two layers may have shared weights that are now packed in both.
fn drop_unused_constants(program: &mut DeviceProgram) {
    let mut used = vec![false; program.constants.len()];
    let operands = |node: &mut crate::lower::DeviceNode, visit: &mut dyn FnMut(&mut usize)| {
        for operand in &mut node.inputs {
            if let Operand::Constant(index) = operand {
                visit(index);
            }
        }
    };
    for node in &mut program.nodes {
        operands(node, &mut |index| used[*index] = true);
    }
    let mut moved = vec![0; used.len()];
    let mut next = 0;
    for (slot, used) in moved.iter_mut().zip(&used) {
        *slot = next;
        next += usize::from(*used);
    }
    for node in &mut program.nodes {
        operands(node, &mut |index| *index = moved[*index]);
    }
    let mut keep = used.iter();
    program
        .constants
        .retain(|_| keep.next().copied().unwrap_or(false));
}
