//! What a layer reads for an output, as rows of numbers.

use ocellus_ir::{Graph, Node, Op, Window};

/// A layer whose outputs are sums of products of what it reads, one row of inputs for all outputs of a group.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) groups: usize,
    /// Inputs of an output.
    pub(super) taps: usize,
    /// Outputs of a group.
    pub(super) outputs: usize,
    /// Positions at which each output is computed.
    pub(super) positions: usize,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Rows,
    Picture {
        window: Window,
        /// Rows, columns and channels of the input.
        input: [usize; 3],
        /// Rows and columns of the output.
        output: [usize; 2],
        /// Rows, columns and channels of the kernel.
        kernel: [usize; 3],
    },
}

impl Layer {
    /// The layer that a node is; `None` where it is none, or its weights are not constants.
    pub(super) fn of(graph: &Graph, node: &Node) -> Option<Layer> {
        let constant = |position: usize| {
            let tensor = node.inputs.get(position).map(|&id| graph.tensor(id));
            tensor.is_none_or(|tensor| tensor.value.is_some())
        };
        if !matches!(node.op, Op::Conv2d { .. } | Op::FullyConnected)
            || !constant(1)
            || !constant(2)
        {
            return None;
        }
        let x = &graph.tensor(node.inputs[0]).shape;
        let w = &graph.tensor(node.inputs[1]).shape;
        let y = &graph.tensor(node.output).shape;
        match (&node.op, x.as_slice(), w.as_slice(), y.as_slice()) {
            (
                Op::Conv2d { window, groups },
                &[batch, h, width, channels],
                &[out_c, kernel_h, kernel_w, group_c],
                &[_, out_h, out_w, _],
            ) => Some(Layer {
                groups: *groups,
                taps: kernel_h * kernel_w * group_c,
                outputs: out_c / groups.max(&1),
                positions: batch * out_h * out_w,
                form: Form::Picture {
                    window: *window,
                    input: [h, width, channels],
                    output: [out_h, out_w],
                    kernel: [kernel_h, kernel_w, group_c],
                },
            }),
            (Op::FullyConnected, x, &[out_c, in_c], _) => Some(Layer {
                groups: 1,
                taps: in_c,
                outputs: out_c,
                positions: x.iter().product::<usize>() / in_c.max(1),
                form: Form::Rows,
            }),
            _ => None,
        }
    }

    /// Appends what the outputs of a group read at a position; padding is zero.
    pub(super) fn gather(&self, x: &[f32], position: usize, group: usize, row: &mut Vec<f32>) {
        match &self.form {
            Form::Rows => {
                row.extend_from_slice(&x[position * self.taps..(position + 1) * self.taps])
            }
            Form::Picture {
                window,
                input: [h, width, channels],
                output: [out_h, out_w],
                kernel: [kernel_h, kernel_w, group_c],
            } => {
                let (n, oy, ox) = (
                    position / (out_h * out_w),
                    position / out_w % out_h,
                    position % out_w,
                );
                let source = |output: usize, tap: usize, axis: usize, size: usize| {
                    (output * window.stride[axis] + tap * window.dilation[axis])
                        .checked_sub(window.pad_before[axis])
                        .filter(|&index| index < size)
                };
                for ky in 0..*kernel_h {
                    let iy = source(oy, ky, 0, *h);
                    for kx in 0..*kernel_w {
                        match iy.zip(source(ox, kx, 1, *width)) {
                            Some((iy, ix)) => {
                                let start =
                                    ((n * h + iy) * width + ix) * channels + group * group_c;
                                row.extend_from_slice(&x[start..start + group_c]);
                            }
                            None => row.resize(row.len() + group_c, 0.0),
                        }
                    }
                }
            }
        }
    }
}
