//! Operators whose operands are all computed: products of matrices, normalization, indices and what is picked by them.

use ocellus_format::ops::{self, IndexType, LayerNorm as Rule, STACK_RANK};
use ocellus_ir::Node;

use super::binary::broadcast;
use super::{DeviceOp, Lowering, Operand, Placed, Values, output_s8, unsupported};
use crate::CompileError;
use crate::quantize::params::{from_range, quantize_value};
use crate::quantize::requant::{FactorTooLarge, requant};

/// Sizes before, at and after an axis.
fn around(shape: &[usize], axis: usize) -> [u32; 3] {
    let product = |sizes: &[usize]| sizes.iter().product::<usize>() as u32;
    [
        product(&shape[..axis]),
        shape[axis] as u32,
        product(&shape[axis + 1..]),
    ]
}

impl Lowering<'_> {
    /// An operand at a position, computed or constant; a constant is given the scale of its own range.
    fn operand(&mut self, node: &Node, position: usize) -> Result<Placed, CompileError> {
        let id = node.inputs[position];
        let Some(values) = self.graph.tensor(id).value.clone() else {
            return self.input(node, position);
        };
        let ends = values
            .iter()
            .fold((0f32, 0f32), |(min, max), &v| (min.min(v), max.max(v)));
        let qparams = from_range(ends.0, ends.1);
        let quantized = values
            .iter()
            .map(|&v| quantize_value(qparams, f64::from(v)))
            .collect();
        let shape = self.input_shape(node, position).to_vec();
        let what = format!("operand{position}");
        let operand = self.constant(node, &what, shape, Some(qparams), Values::S8(quantized));
        Ok(Placed { operand, qparams })
    }

    pub(super) fn batch_mat_mul(
        &mut self,
        node: &Node,
        transposed: [bool; 2],
    ) -> Result<(), CompileError> {
        let (shape_a, shape_b) = (
            self.input_shape(node, 0).to_vec(),
            self.input_shape(node, 1).to_vec(),
        );
        let (a_lead, a_matrix) = shape_a.split_at(shape_a.len() - 2);
        let (b_lead, b_matrix) = shape_b.split_at(shape_b.len() - 2);
        // A broadcast has one axis more than a stack.
        let stack = broadcast(a_lead, b_lead).filter(|stack| stack.shape[0] == 1);
        let Some(stack) = stack else {
            return Err(unsupported(
                node,
                format!("stacks {a_lead:?} and {b_lead:?} need more than {STACK_RANK} axes"),
                "merge axes by a reshape",
            ));
        };
        let [_, s0, s1, s2] = stack.shape;
        let pick = |matrix: &[usize], exchanged: bool| {
            let (rows, columns) = if exchanged {
                (matrix[1], matrix[0])
            } else {
                (matrix[0], matrix[1])
            };
            (rows as u32, columns as u32)
        };
        let (m, k) = pick(a_matrix, transposed[0]);
        let (_, n) = pick(b_matrix, transposed[1]);
        if k > ops::BatchMatMul::K_MAX {
            return Err(unsupported(
                node,
                format!(
                    "it sums {k} products, and 32 bits hold {}",
                    ops::BatchMatMul::K_MAX
                ),
                "split the inner axis",
            ));
        }
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let qparams = self.output_params(node)?;
        let factor =
            f64::from(a.qparams.scale) * f64::from(b.qparams.scale) / f64::from(qparams.scale);
        let requant = requant(factor).map_err(|e: FactorTooLarge| {
            unsupported(node, e.to_string(), "check the ranges of both operands")
        })?;
        let op = ops::BatchMatMul {
            stack: [s0, s1, s2],
            broadcast_a: stack.broadcast_a >> 1,
            broadcast_b: stack.broadcast_b >> 1,
            m,
            k,
            n,
            transposed_a: transposed[0],
            transposed_b: transposed[1],
            zero_point_a: a.qparams.zero_point as i8,
            zero_point_b: b.qparams.zero_point as i8,
            requant,
            output: output_s8(node, qparams),
        };
        self.finish(node, DeviceOp::BatchMatMul(op), vec![a.operand, b.operand])
    }

    pub(super) fn layer_norm(
        &mut self,
        node: &Node,
        axis: usize,
        run: usize,
        epsilon: f32,
        centered: bool,
    ) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let shape = self.input_shape(node, 0);
        let rows = shape[..axis].iter().product::<usize>();
        let n = shape[axis..].iter().product::<usize>();
        let gamma = self.constant_input(node, 1)?.to_vec();
        let beta = self.constant_input(node, 2)?.to_vec();
        let qparams = self.output_params(node)?;
        let (scale_in, scale) = (f64::from(input.qparams.scale), f64::from(qparams.scale));
        // In steps of the input, times n^2 as the sum of squares is.
        let epsilon = f64::from(epsilon) / (scale_in * scale_in)
            * (n as f64 * n as f64)
            * f64::from(1 << Rule::VARIANCE_BITS);
        let epsilon = epsilon.round_ties_even();
        if epsilon >= 2f64.powi(62) {
            return Err(unsupported(
                node,
                format!(
                    "its epsilon is far above the variance of an input with steps of {scale_in:e}"
                ),
                "check the ranges of its input, or calibrate with more samples",
            ));
        }
        let bits = Rule::OFFSET_BITS as i32 - Rule::NORMAL_BITS as i32;
        let (mut multipliers, mut shifts) = (Vec::new(), Vec::new());
        for &gamma in &gamma {
            let r = requant(f64::from(gamma) / scale * 2f64.powi(bits)).map_err(|e| {
                unsupported(
                    node,
                    e.to_string(),
                    "check the factors and the range of the output",
                )
            })?;
            multipliers.push(r.multiplier);
            shifts.push(r.shift);
        }
        let offset_unit = f64::from(1 << Rule::OFFSET_BITS);
        let offsets: Vec<i32> = beta
            .iter()
            // A cast saturates.
            .map(|&beta| (f64::from(beta) / scale * offset_unit).round_ties_even() as i32)
            .collect();
        let op = ops::LayerNorm {
            rows: rows as u32,
            n: n as u32,
            run: run as u32,
            parameters: gamma.len() as u32,
            centered,
            zero_point_in: input.qparams.zero_point as i8,
            epsilon: epsilon as u64,
            output: output_s8(node, qparams),
        };
        let operands = vec![
            input.operand,
            self.list(node, "multipliers", Values::S32(multipliers)),
            self.list(node, "shifts", Values::U8(shifts)),
            self.list(node, "offsets", Values::S32(offsets)),
        ];
        self.finish(node, DeviceOp::LayerNorm(op), operands)
    }

    pub(super) fn arg_max(
        &mut self,
        node: &Node,
        axis: usize,
        smallest: bool,
        last: bool,
    ) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let shape = self.input_shape(node, 0);
        let [outer, n, inner] = around(shape, axis);
        let index = IndexType::for_count(n);
        let op = ops::ArgMax {
            outer,
            n,
            inner,
            smallest,
            last,
            index,
        };
        self.finish_indices(node, DeviceOp::ArgMax(op), input, index)
    }

    pub(super) fn top_k(
        &mut self,
        node: &Node,
        k: usize,
        smallest: bool,
    ) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let shape = self.input_shape(node, 0);
        let [rows, n, _] = around(shape, shape.len() - 1);
        let index = IndexType::for_count(n);
        let op = ops::TopK {
            rows,
            n,
            k: k as u32,
            smallest,
            index,
        };
        self.finish_indices(node, DeviceOp::TopK(op), input, index)
    }

    /// Indices at a position: computed ones of any type, constant ones in 16 bits.
    fn index_operand(
        &mut self,
        node: &Node,
        position: usize,
        n: usize,
    ) -> Result<(Operand, IndexType), CompileError> {
        let id = node.inputs[position];
        if let Some(values) = self.graph.tensor(id).value.clone() {
            let list = values
                .iter()
                .map(|&v| {
                    let from_start = if v < 0.0 { v + n as f32 } else { v };
                    from_start.clamp(0.0, n.saturating_sub(1) as f32) as u16
                })
                .collect();
            let shape = self.input_shape(node, position).to_vec();
            let operand = self.constant(node, "indices", shape, None, Values::U16(list));
            return Ok((operand, IndexType::U16));
        }
        let placed = self.input(node, position)?;
        let index = match placed.operand {
            Operand::Tensor(tensor) => self.lowered.program.tensors[tensor].index,
            Operand::Constant(_) => None,
        };
        match index {
            Some(index) => Ok((placed.operand, index)),
            None => Err(unsupported(
                node,
                "its indices are computed as real numbers",
                "compute them with ArgMax or TopK, or make them an integer input of the model",
            )),
        }
    }

    /// What is picked from: a computed tensor, or a constant one in the output's scale.
    fn source(&mut self, node: &Node) -> Result<Operand, CompileError> {
        let Some(values) = self.graph.tensor(node.inputs[0]).value.clone() else {
            return Ok(self.input(node, 0)?.operand);
        };
        let qparams = self.output_params(node)?;
        let quantized = values
            .iter()
            .map(|&v| quantize_value(qparams, f64::from(v)))
            .collect();
        let shape = self.input_shape(node, 0).to_vec();
        Ok(self.constant(node, "table", shape, Some(qparams), Values::S8(quantized)))
    }

    pub(super) fn take(&mut self, node: &Node, axis: usize) -> Result<(), CompileError> {
        let shape = self.input_shape(node, 0).to_vec();
        let out_n = self.input_shape(node, 1).iter().product::<usize>();
        let x = self.source(node)?;
        let (indices, index) = self.index_operand(node, 1, shape[axis])?;
        let [outer, in_n, inner] = around(&shape, axis);
        let op = ops::Take {
            outer,
            in_n,
            out_n: out_n as u32,
            inner,
            index,
        };
        self.finish(node, DeviceOp::Take(op), vec![x, indices])
    }

    pub(super) fn gather_elements(&mut self, node: &Node, axis: usize) -> Result<(), CompileError> {
        let shape = self.input_shape(node, 0).to_vec();
        let out_n = self.input_shape(node, 1)[axis];
        let x = self.source(node)?;
        let (indices, index) = self.index_operand(node, 1, shape[axis])?;
        let [outer, in_n, inner] = around(&shape, axis);
        let op = ops::GatherElements {
            outer,
            in_n,
            out_n: out_n as u32,
            inner,
            index,
        };
        self.finish(node, DeviceOp::GatherElements(op), vec![x, indices])
    }

    /// Appends the operator that makes the node's own output, which is a tensor of indices.
    fn finish_indices(
        &mut self,
        node: &Node,
        op: DeviceOp,
        input: Placed,
        index: IndexType,
    ) -> Result<(), CompileError> {
        let shape = self.output_shape(node);
        let qparams = self.output_params(node)?;
        let placed = self.push_as(
            node,
            "",
            op,
            vec![input.operand],
            shape,
            (qparams, Some(index)),
        )?;
        self.alias_to(node, placed);
        Ok(())
    }
}

/// True where an operator reads indices at a position.
pub(super) fn reads_indices(op: &DeviceOp, position: usize) -> bool {
    position == 1 && matches!(op, DeviceOp::Take(_) | DeviceOp::GatherElements(_))
}
