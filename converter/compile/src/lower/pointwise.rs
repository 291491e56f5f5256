//! Functions of one value, and softmax.

use ocellus_format::{QParams, ops};
use ocellus_ir::{Node, UnaryOp};

use super::{DeviceOp, Lowering, Operand, Placed, Values, output_s8, unsupported};
use crate::CompileError;
use crate::quantize::params::table;
use crate::quantize::requant::requant;
use crate::quantize::{softmax_bits, softmax_output};

impl Lowering<'_> {
    pub(super) fn unary(&mut self, node: &Node, op: UnaryOp) -> Result<(), CompileError> {
        self.tabulate(node, 0, |x| op.exact(x))
    }

    /// The node's output as a table of one input; its fused limits are in the table.
    pub(super) fn tabulate(
        &mut self,
        node: &Node,
        x: usize,
        f: impl Fn(f64) -> f64,
    ) -> Result<(), CompileError> {
        let input = self.input(node, x)?;
        let len: usize = self.input_shape(node, x).iter().product();
        let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let limited = |x| f(x).max(f64::from(low)).min(f64::from(high));
        let entries = table(input.qparams, self.output_params(node)?, limited);
        let raw = self.graph.inputs.iter().any(|i| i.tensor == node.inputs[x])
            && self.graph.tensor(node.output).grid.is_some();
        if raw && entries.iter().copied().eq(-128..=127) {
            // The user's bytes are the numbers already, only with another scale: they stay where they are.
            self.alias_to(node, input);
            return Ok(());
        }
        let operands = vec![input.operand, self.list(node, "table", Values::S8(entries))];
        self.finish(
            node,
            DeviceOp::Lookup(ops::Lookup { len: len as u32 }),
            operands,
        )
    }

    /// The same values in another scale; nothing where it is the same.
    pub(super) fn rescale(
        &mut self,
        node: &Node,
        suffix: &str,
        input: Placed,
        shape: Vec<usize>,
        to: QParams,
    ) -> Result<Placed, CompileError> {
        if input.qparams == to {
            return Ok(input);
        }
        let entries = table(input.qparams, to, |x| x);
        let len = shape.iter().product::<usize>() as u32;
        let operands = vec![input.operand, self.list(node, "table", Values::S8(entries))];
        let placed = self.push(
            node,
            suffix,
            DeviceOp::Lookup(ops::Lookup { len }),
            operands,
            shape,
            to,
        )?;
        self.lowered.rescales.push(if suffix.is_empty() {
            node.name.clone()
        } else {
            format!("{}.{suffix}", node.name)
        });
        Ok(placed)
    }

    /// An operator whose only effect is on the scale.
    pub(super) fn change_of_scale(&mut self, node: &Node) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let to = self.output_params(node)?;
        let placed = self.rescale(node, "", input, self.output_shape(node), to)?;
        self.alias_to(node, placed);
        Ok(())
    }

    pub(super) fn prelu(&mut self, node: &Node) -> Result<(), CompileError> {
        let slopes = self.constant_input(node, 1)?.to_vec();
        let channels = self.input_shape(node, 0).last().copied().unwrap_or(1);
        if let [slope] = slopes[..] {
            return self.tabulate(node, 0, |x| if x < 0.0 { f64::from(slope) * x } else { x });
        }
        if slopes.len() != channels {
            let reason = format!("{} slopes for {channels} channels", slopes.len());
            return Err(unsupported(
                node,
                reason,
                "give one slope, or one for each channel",
            ));
        }
        let input = self.input(node, 0)?;
        let qparams = self.output_params(node)?;
        let ratio = f64::from(input.qparams.scale) / f64::from(qparams.scale);
        let refused = |e: crate::quantize::requant::FactorTooLarge| {
            unsupported(node, e.to_string(), "check the slopes")
        };
        let mut multipliers = Vec::new();
        let mut shifts = Vec::new();
        for &slope in &slopes {
            let r = requant(f64::from(slope) * ratio).map_err(refused)?;
            multipliers.push(r.multiplier);
            shifts.push(r.shift);
        }
        let len: usize = self.input_shape(node, 0).iter().product();
        let op = ops::Prelu {
            rows: (len / channels.max(1)) as u32,
            channels: channels as u32,
            zero_point_in: input.qparams.zero_point as i8,
            positive: requant(ratio).map_err(refused)?,
            output: output_s8(node, qparams),
        };
        let operands: Vec<Operand> = vec![
            input.operand,
            self.list(node, "multipliers", Values::S32(multipliers)),
            self.list(node, "shifts", Values::U8(shifts)),
        ];
        self.finish(node, DeviceOp::Prelu(op), operands)
    }

    /// Over the innermost axis as it is; another one is brought there and back.
    pub(super) fn softmax(&mut self, node: &Node, axis: usize) -> Result<(), CompileError> {
        let input = self.input(node, 0)?;
        let shape = self.input_shape(node, 0).to_vec();
        let n = shape[axis];
        let wanted = self.output_params(node)?;
        let out_bits = softmax_bits(wanted).unwrap_or(*ops::Softmax::OUT_BITS.start());
        let given = softmax_output(out_bits);
        let exp_bits = ops::Softmax::exp_bits_for(n as u32, out_bits);
        let scale = f64::from(input.qparams.scale);
        let unit = f64::from(1u32 << exp_bits);
        let entries = (0..256)
            .map(|d| (libm::exp(-scale * f64::from(d)) * unit).round_ties_even() as u32)
            .collect();
        let rows = shape.iter().product::<usize>() / n.max(1);
        let op = DeviceOp::Softmax(ops::Softmax {
            rows: rows as u32,
            n: n as u32,
            exp_bits,
            out_bits,
        });
        let entries = self.list(node, "exponentials", Values::U32(entries));
        if shape[axis + 1..].iter().all(|&size| size == 1) {
            let operands = vec![input.operand, entries];
            if wanted == given {
                return self.finish(node, op, operands);
            }
            let result = self.push(node, "softmax", op, operands, shape.clone(), given)?;
            let placed = self.rescale(node, "", result, shape, wanted)?;
            self.alias_to(node, placed);
            return Ok(());
        }
        let to_end: Vec<usize> = (0..shape.len())
            .filter(|&a| a != axis)
            .chain([axis])
            .collect();
        let moved = self.permute(node, "axis_last", input, &shape, &to_end)?;
        let moved_shape: Vec<usize> = to_end.iter().map(|&a| shape[a]).collect();
        let result = self.push(
            node,
            "softmax",
            op,
            vec![moved.operand, entries],
            moved_shape.clone(),
            given,
        )?;
        let result = self.rescale(node, "rescale", result, moved_shape.clone(), wanted)?;
        let mut back = vec![0; shape.len()];
        for (position, &axis) in to_end.iter().enumerate() {
            back[axis] = position;
        }
        let placed = self.permute(node, "", result, &moved_shape, &back)?;
        self.alias_to(node, placed);
        Ok(())
    }
}
