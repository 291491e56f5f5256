//! How many bytes of the arena a run reads and writes, tensor by tensor: what a fast memory is worth.
//!
//! An operator writes its output once. It reads an operand once, but for the picture of a convolution or a pool, of which it reads each
//! window. Scratch is written and read once for what is gathered in it. Kernels read a window again for further output channels, from scratch or
//! registers; how often is theirs, and is left out.

use ocellus_format::ops::Window2d;

use crate::lower::{DeviceNode, DeviceOp, DeviceProgram, Operand};

/// Bytes read and written in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Read.
    pub read_bytes: u64,
    /// Written.
    pub written_bytes: u64,
}

impl Moved {
    /// Both.
    pub fn total(self) -> u64 {
        self.read_bytes + self.written_bytes
    }
}

impl std::ops::AddAssign for Moved {
    fn add_assign(&mut self, other: Moved) {
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
    }
}

/// Of each tensor, and of each operator's scratch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// By tensor.
    pub tensors: Vec<Moved>,
    /// By operator.
    pub scratch: Vec<Moved>,
}

/// What a run of a program moves; inputs are written and outputs read once by whoever runs it.
pub fn traffic(program: &DeviceProgram, scratch_bytes: &[u64]) -> Traffic {
    let sizes: Vec<u64> = program.tensors.iter().map(|t| t.size_bytes()).collect();
    let mut all = Traffic {
        tensors: vec![Moved::default(); sizes.len()],
        scratch: Vec::with_capacity(program.nodes.len()),
    };
    for &input in &program.inputs {
        all.tensors[input].written_bytes += sizes[input];
    }
    for &output in &program.outputs {
        all.tensors[output].read_bytes += sizes[output];
    }
    for (node, &scratch) in program.nodes.iter().zip(scratch_bytes) {
        let gathered = gathered(node);
        for (position, operand) in node.inputs.iter().enumerate() {
            if let Operand::Tensor(tensor) = *operand {
                let windows = gathered.filter(|_| position == 0);
                all.tensors[tensor].read_bytes += windows.unwrap_or(sizes[tensor]);
            }
        }
        all.tensors[node.output].written_bytes += sizes[node.output];
        let through = match scratch {
            0 => 0,
            bytes => gathered.unwrap_or(bytes).max(bytes),
        };
        all.scratch.push(Moved {
            read_bytes: through,
            written_bytes: through,
        });
    }
    all
}

/// Bytes of all windows of an operator's picture.
fn gathered(node: &DeviceNode) -> Option<u64> {
    let windows = |w: &Window2d, channels: u32| {
        [w.out_h, w.out_w, w.kernel_h, w.kernel_w, channels]
            .into_iter()
            .map(u64::from)
            .product()
    };
    Some(match &node.op {
        DeviceOp::Conv2d(p) => windows(&p.window, p.in_c),
        DeviceOp::DepthwiseConv2d(p) => windows(&p.window, p.in_c),
        DeviceOp::MaxPool2d(p) => windows(&p.window, p.channels),
        DeviceOp::AveragePool2d(p) => windows(&p.window, p.channels),
        // Each value of the picture reaches as many outputs as there are taps.
        DeviceOp::TransposeConv2d(p) => {
            let w = &p.window;
            [w.in_h, w.in_w, w.kernel_h, w.kernel_w, p.in_c]
                .into_iter()
                .map(u64::from)
                .product()
        }
        _ => return None,
    })
}
