//! Operators of two values.

use ocellus_format::QParams;
use ocellus_format::ops::{self, BROADCAST_RANK, Binary, MAX_SIZE};
use ocellus_ir::{BinaryOp, Node, Rounding};

use super::{DeviceOp, Lowering, Operand, Placed, Values, output_s8, steps_of, unsupported};
use crate::CompileError;
use crate::quantize::params::{from_range, quantize_value, reach};
use crate::quantize::requant::{
    FactorTooLarge, Likely, USUAL_STEPS, add_factors, add_factors_of_21_bits, requant, requant_as,
    single_precision,
};

impl Lowering<'_> {
    pub(super) fn binary(&mut self, node: &Node, op: BinaryOp) -> Result<(), CompileError> {
        let value = |position: usize| self.graph.tensor(node.inputs[position]).value.clone();
        match (value(0), value(1)) {
            (None, None) => self.binary_computed(node, op),
            (Some(a), None) => self.binary_constant(node, op, 1, &a),
            (None, Some(b)) => self.binary_constant(node, op, 0, &b),
            (Some(_), Some(_)) => Err(unsupported(
                node,
                "both operands are constants",
                "leave constant folding switched on",
            )),
        }
    }

    /// Both operands are computed.
    fn binary_computed(&mut self, node: &Node, op: BinaryOp) -> Result<(), CompileError> {
        let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
        self.binary_of(node, op, a, b)
    }

    /// The operand at `x` is computed, the other one a constant.
    fn binary_constant(
        &mut self,
        node: &Node,
        op: BinaryOp,
        x: usize,
        constant: &[f32],
    ) -> Result<(), CompileError> {
        let ordered = |value: f64, c: f64| {
            if x == 0 {
                op.exact(value, c)
            } else {
                op.exact(c, value)
            }
        };
        let shape = self.input_shape(node, x).to_vec();
        let constant_shape = self.input_shape(node, 1 - x).to_vec();
        let same_shape =
            shape.iter().product::<usize>() == self.output_shape(node).iter().product::<usize>();
        if let ([c], true) = (constant, same_shape) {
            let c = f64::from(*c);
            return self.tabulate(node, x, |value| ordered(value, c));
        }
        // The file's own numbers, where they are 8 bits wide: a sum takes them as they are.
        let kept = |values: &[f32]| {
            let grid = self.graph.tensor(node.inputs[1 - x]).grid.as_ref()?;
            let is_step = |&v: &f32| (grid.round(v) - v).abs() <= 1e-3 * grid.scale();
            let holds = grid.scales.len() == 1 && values.iter().all(is_step);
            holds.then(|| QParams {
                scale: grid.scale(),
                zero_point: grid.zero_point,
            })
        };
        let sums = matches!(op, BinaryOp::Add | BinaryOp::Sub);
        let sums_steps = sums && kept(constant).is_some();
        let limited;
        let constant = if sums && !sums_steps {
            let (low, high) = self.addends_that_count(node, op, x)?;
            limited = constant.iter().map(|v| v.clamp(low, high));
            &limited.collect::<Vec<f32>>()
        } else {
            constant
        };
        // One constant for each channel: exact factors, one scale a channel.
        let per_channel =
            constant_shape.last() == shape.last() && constant.len() == *shape.last().unwrap_or(&1);
        let linear = !matches!(op, BinaryOp::Minimum | BinaryOp::Maximum);
        let divides = op == BinaryOp::Div && x == 1;
        if per_channel && same_shape && linear && !divides && !sums_steps {
            let ones = vec![1.0; constant.len()];
            let zeros = vec![0.0; constant.len()];
            let negative = |values: &[f32]| values.iter().map(|v| -v).collect::<Vec<f32>>();
            return match op {
                BinaryOp::Mul => self.scale_channels(node, x, constant, &zeros),
                BinaryOp::Div => {
                    let reciprocals: Vec<f32> = constant.iter().map(|v| 1.0 / v).collect();
                    self.scale_channels(node, x, &reciprocals, &zeros)
                }
                BinaryOp::Sub if x == 0 => self.scale_channels(node, x, &ones, &negative(constant)),
                BinaryOp::Sub => self.scale_channels(node, x, &negative(&ones), constant),
                _ => self.scale_channels(node, x, &ones, constant),
            };
        }
        let (op, values) = match op {
            BinaryOp::Div if !divides => {
                (BinaryOp::Mul, constant.iter().map(|v| 1.0 / v).collect())
            }
            _ => (op, constant.to_vec()),
        };
        if let Some(value) = values.iter().find(|v| !v.is_finite()) {
            return Err(unsupported(
                node,
                format!("its constant operand gives {value}"),
                "check the constant: a divisor is zero",
            ));
        }
        let qparams = if let Some(kept) = kept(&values).filter(|_| linear) {
            kept
        } else if linear {
            from_range(
                values.iter().copied().fold(0.0, f32::min),
                values.iter().copied().fold(0.0, f32::max),
            )
        } else {
            self.output_params(node)?
        };
        let quantized = values
            .iter()
            .map(|&v| quantize_value(qparams, f64::from(v)))
            .collect();
        let operand = self.constant(
            node,
            "operand",
            constant_shape,
            Some(qparams),
            Values::S8(quantized),
        );
        let (input, constant) = (self.input(node, x)?, Placed { operand, qparams });
        if x == 0 {
            self.binary_of(node, op, input, constant)
        } else {
            self.binary_of(node, op, constant, input)
        }
    }

    /// The least and the largest constant of a sum, or a difference, that makes another result than one beyond: further out the result is saturated
    /// whatever the other operand is. A mask of -1e9 would otherwise take all steps of the constant's scale.
    fn addends_that_count(
        &self,
        node: &Node,
        op: BinaryOp,
        x: usize,
    ) -> Result<(f32, f32), CompileError> {
        let (low, high) = reach(self.quantization.params(self.graph, node.inputs[x])?);
        let (least, most) = reach(self.output_params(node)?);
        Ok(match op {
            BinaryOp::Sub if x == 0 => (low - most, high - least),
            BinaryOp::Sub => (least + low, most + high),
            _ => (least - high, most - low),
        })
    }

    fn binary_of(
        &mut self,
        node: &Node,
        op: BinaryOp,
        a: Placed,
        b: Placed,
    ) -> Result<(), CompileError> {
        let (shape_a, shape_b) = (
            self.input_shape(node, 0).to_vec(),
            self.input_shape(node, 1).to_vec(),
        );
        let binary = broadcast(&shape_a, &shape_b).ok_or_else(|| {
            unsupported(
                node,
                format!("shapes {shape_a:?} and {shape_b:?} need more than {BROADCAST_RANK} axes"),
                "merge axes by a reshape",
            )
        })?;
        let refused = |e: FactorTooLarge| {
            unsupported(node, e.to_string(), "check the ranges of both operands")
        };
        let qparams = self.output_params(node)?;
        let scale = f64::from(qparams.scale);
        let output = output_s8(node, qparams);
        let of_file = self.scales_are_of_file(node);
        let (scale_a, scale_b) = (f64::from(a.qparams.scale), f64::from(b.qparams.scale));
        let (zero_point_a, zero_point_b) = (a.qparams.zero_point as i8, b.qparams.zero_point as i8);
        let (device_op, a, b) = match op {
            BinaryOp::Add | BinaryOp::Sub => {
                let sign = if op == BinaryOp::Sub { -1.0 } else { 1.0 };
                let factors = match self.graph.rounding {
                    Rounding::LiteRt { .. } if of_file => {
                        let [a, b] = [a, b].map(|operand| operand.qparams.scale / qparams.scale);
                        add_factors_of_21_bits(a, sign as f32 * b)
                    }
                    _ => add_factors(scale_a / scale, sign * scale_b / scale),
                }
                .map_err(refused)?;
                let add = ops::Add {
                    binary,
                    zero_point_a,
                    zero_point_b,
                    multiplier_a: factors.multiplier_a,
                    multiplier_b: factors.multiplier_b,
                    shift: factors.shift,
                    output,
                };
                (DeviceOp::Add(add), a, b)
            }
            BinaryOp::Mul => {
                let requant = if of_file {
                    let factor = a.qparams.scale * b.qparams.scale / qparams.scale;
                    let likely = Likely {
                        middle: 0.0,
                        deviation: USUAL_STEPS * USUAL_STEPS,
                    };
                    let peer = single_precision(factor);
                    requant_as(peer, f64::from(factor), steps_of(output), likely)
                } else {
                    requant(scale_a * scale_b / scale)
                }
                .map_err(refused)?;
                (
                    DeviceOp::Mul(ops::Mul {
                        binary,
                        zero_point_a,
                        zero_point_b,
                        requant,
                        output,
                    }),
                    a,
                    b,
                )
            }
            BinaryOp::Minimum | BinaryOp::Maximum => {
                if node.clamp.is_some() {
                    return Err(unsupported(
                        node,
                        "it has a fused limit",
                        "switch off activation fusing for this model",
                    ));
                }
                let a = self.rescale(node, "rescale_a", a, shape_a, qparams)?;
                let b = self.rescale(node, "rescale_b", b, shape_b, qparams)?;
                let op = match op {
                    BinaryOp::Minimum => DeviceOp::Minimum(ops::Minimum { binary }),
                    _ => DeviceOp::Maximum(ops::Maximum { binary }),
                };
                (op, a, b)
            }
            BinaryOp::Div => {
                let unit = 2f64.powi(-(ops::Div::QUOTIENT_BITS as i32));
                let requant = requant(scale_a / scale_b / scale * unit).map_err(refused)?;
                let div = ops::Div {
                    binary,
                    zero_point_a,
                    zero_point_b,
                    requant,
                    output,
                };
                return self.finish(node, DeviceOp::Div(div), vec![a.operand, b.operand]);
            }
        };
        let (device_op, a, b) =
            if binary.broadcast_a != 0 || matches!(a.operand, Operand::Constant(_)) {
                (swapped(device_op).unwrap_or(device_op), b, a)
            } else {
                (device_op, a, b)
            };
        self.finish(node, device_op, vec![a.operand, b.operand])
    }
}

/// The same operator with its operands exchanged; `None` where they cannot be.
pub(crate) fn swapped(op: DeviceOp) -> Option<DeviceOp> {
    let exchange = |b: Binary| Binary {
        shape: b.shape,
        broadcast_a: b.broadcast_b,
        broadcast_b: b.broadcast_a,
    };
    Some(match op {
        DeviceOp::Add(p) => DeviceOp::Add(ops::Add {
            binary: exchange(p.binary),
            zero_point_a: p.zero_point_b,
            zero_point_b: p.zero_point_a,
            multiplier_a: p.multiplier_b,
            multiplier_b: p.multiplier_a,
            ..p
        }),
        DeviceOp::Mul(p) => DeviceOp::Mul(ops::Mul {
            binary: exchange(p.binary),
            zero_point_a: p.zero_point_b,
            zero_point_b: p.zero_point_a,
            ..p
        }),
        DeviceOp::Minimum(p) => DeviceOp::Minimum(ops::Minimum {
            binary: exchange(p.binary),
        }),
        DeviceOp::Maximum(p) => DeviceOp::Maximum(ops::Maximum {
            binary: exchange(p.binary),
        }),
        _ => return None,
    })
}

/// Two shapes as the format holds a broadcast: axes of size 1 dropped, neighbours of one kind merged.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Binary> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |i| shape[i])
    };
    // Size, and whether each operand is repeated; innermost first.
    let mut merged: Vec<(usize, bool, bool)> = Vec::new();
    for axis in (0..rank).rev() {
        let (size_a, size_b) = (size(a, axis), size(b, axis));
        let size = size_a.max(size_b);
        if size == 1 {
            continue;
        }
        let kind = (size_a == 1, size_b == 1);
        match merged.last_mut() {
            Some(last) if (last.1, last.2) == kind && last.0 * size <= MAX_SIZE as usize => {
                last.0 *= size
            }
            _ => merged.push((size, kind.0, kind.1)),
        }
    }
    if merged.len() > BROADCAST_RANK {
        return None;
    }
    let mut binary = Binary::flat([1; BROADCAST_RANK]);
    for (index, (size, repeat_a, repeat_b)) in merged.into_iter().enumerate() {
        let axis = BROADCAST_RANK - 1 - index;
        binary.shape[axis] = size as u32;
        binary.broadcast_a |= u8::from(repeat_a) << axis;
        binary.broadcast_b |= u8::from(repeat_b) << axis;
    }
    Some(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasts_merge_to_few_axes() {
        let per_channel = broadcast(&[1, 8, 8, 16], &[16]).unwrap();
        assert_eq!(
            per_channel,
            Binary {
                shape: [1, 1, 64, 16],
                broadcast_a: 0,
                broadcast_b: 0b0100
            }
        );
        let spatial = broadcast(&[1, 1, 1, 16], &[1, 8, 8, 16]).unwrap();
        assert_eq!(
            spatial,
            Binary {
                shape: [1, 1, 64, 16],
                broadcast_a: 0b0100,
                broadcast_b: 0
            }
        );
        let both = broadcast(&[3, 1], &[1, 4]).unwrap();
        assert_eq!(
            both,
            Binary {
                shape: [1, 1, 3, 4],
                broadcast_a: 0b1000,
                broadcast_b: 0b0100
            }
        );
        assert_eq!(
            broadcast(&[2, 3], &[2, 3]).unwrap(),
            Binary::flat([1, 1, 1, 6])
        );
        // 448 * 640 * 8 is more than a size holds: it stays two axes.
        assert_eq!(
            broadcast(&[448, 640, 8], &[448, 640, 8]).unwrap(),
            Binary::flat([1, 1, 448, 5120])
        );
        assert_eq!(broadcast(&[], &[]).unwrap(), Binary::flat([1; 4]));
        assert_eq!(broadcast(&[2, 1, 2, 1, 2], &[1, 2, 1, 2, 1]), None);
    }
}
