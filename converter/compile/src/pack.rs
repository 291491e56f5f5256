//! Weights into the layout that the target's kernels read.

use ocellus_format::{Isa, WeightLayout, ops};
use ocellus_kernels::{layout, select};

use crate::Target;
use crate::lower::{Constant, DeviceOp, DeviceProgram, Operand, Values};

/// Fewer taps than one run of a packed layout: padding would cost more than the kernel gains.
const TAPS_MIN: u32 = 16;

/// The layout that the kernel of a convolution reads best on an instruction set.
pub fn wanted_layout(isa: Isa, p: &ops::Conv2d) -> WeightLayout {
    let own = select::conv_2d(isa, p).isa;
    if own == Isa::Helium && p.taps() >= TAPS_MIN {
        WeightLayout::Interleave4x16
    } else {
        WeightLayout::Portable
    }
}

/// Brings the weights of each operator into the layout that its kernel on the target wants. A portable file stays as it is.
pub fn pack(program: &mut DeviceProgram, target: Target) {
    let Target::Isa(isa) = target else { return };
    for node in &mut program.nodes {
        let DeviceOp::Conv2d(p) = &mut node.op else {
            continue;
        };
        let Operand::Constant(index) = node.inputs[1] else {
            continue;
        };
        let wanted = wanted_layout(isa, p);
        let packed = ops::Conv2d {
            layout: wanted,
            ..*p
        };
        let (Values::S8(weights), Some(len)) =
            (&program.constants[index].values, packed.weights_len())
        else {
            continue;
        };
        if p.layout == wanted {
            continue;
        }
        let mut bytes = vec![0i8; len as usize];
        layout::pack_conv_2d(&packed, weights, &mut bytes);
        let name = format!("{}.packed", program.constants[index].name);
        program.constants.push(Constant {
            name,
            shape: vec![bytes.len()],
            qparams: None,
            values: Values::S8(bytes),
        });
        node.inputs[1] = Operand::Constant(program.constants.len() - 1);
        *p = packed;
    }
    drop_unused_constants(program);
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
