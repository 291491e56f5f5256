//! How many bytes of the arena a run reads and writes, tensor by tensor: what a fast memory is worth.
//!
//! An operator writes its output once. It reads an operand once, but for the picture of a convolution or a pool, of which it reads each
//! window. Scratch is written and read once for what is gathered in it. Kernels read a window again for further output channels, from scratch or
//! registers; how often is theirs, and is left out.

use ocellus_format::ops::{Conv2dAdd, Window2d};

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
                let picture = match node.op {
                    DeviceOp::Conv2dAdd(_) => Conv2dAdd::FIRST_INPUTS,
                    _ => 0,
                };
                let windows = gathered.filter(|_| position == picture);
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
        DeviceOp::Conv2dAdd(p) => windows(&p.conv.window, p.conv.in_c),
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

#[cfg(test)]
mod tests {
    use ocellus_format::QParams;
    use ocellus_format::ops::{Lookup, MaxPool2d, OutputS8};

    use super::*;
    use crate::lower::DeviceTensor;

    #[test]
    fn windows_are_read_as_often_as_they_hold_a_value() {
        let tensor = |name: &str, shape: &[usize]| DeviceTensor {
            name: name.into(),
            shape: shape.to_vec(),
            qparams: QParams {
                scale: 1.0,
                zero_point: 0,
            },
            index: None,
        };
        let node = |op, input, output| DeviceNode {
            name: String::new(),
            op,
            inputs: vec![Operand::Tensor(input), Operand::Constant(0)],
            output,
        };
        let pool = MaxPool2d {
            window: Window2d {
                in_h: 8,
                in_w: 8,
                out_h: 4,
                out_w: 4,
                kernel_h: 3,
                kernel_w: 3,
                stride_h: 2,
                stride_w: 2,
                dilation_h: 1,
                dilation_w: 1,
                pad_top: 0,
                pad_left: 0,
            },
            channels: 2,
            output: OutputS8::unclamped(0),
        };
        let program = DeviceProgram {
            tensors: vec![
                tensor("picture", &[1, 8, 8, 2]),
                tensor("pooled", &[1, 4, 4, 2]),
                tensor("looked up", &[1, 4, 4, 2]),
            ],
            nodes: vec![
                node(DeviceOp::MaxPool2d(pool), 0, 1),
                node(DeviceOp::Lookup(Lookup { len: 32 }), 1, 2),
            ],
            inputs: vec![0],
            outputs: vec![2],
            ..DeviceProgram::default()
        };
        let moved = |read_bytes, written_bytes| Moved {
            read_bytes,
            written_bytes,
        };
        let all = traffic(&program, &[64, 48]);
        let windows = 4 * 4 * 3 * 3 * 2;
        assert_eq!(
            all.tensors,
            [moved(windows, 128), moved(32, 32), moved(32, 32)]
        );
        assert_eq!(all.scratch, [moved(windows, windows), moved(48, 48)]);
        assert_eq!(traffic(&program, &[0, 0]).scratch, [Moved::default(); 2]);
    }
}
