//! Copies: axes are dropped and merged until the four that kernels have suffice.

use ocellus_format::ops::{self, MAX_SIZE, MOVE_RANK};
use ocellus_ir::Node;

use super::{DeviceOp, Lowering, Operand, Placed, Values, unsupported};
use crate::CompileError;
use crate::quantize::params::quantize_value;

/// Sizes as kernels take them: outermost first, unused leading axes `fill`.
fn padded(values: impl DoubleEndedIterator<Item = usize>, fill: u32) -> [u32; MOVE_RANK] {
    let mut array = [fill; MOVE_RANK];
    for (slot, value) in array.iter_mut().rev().zip(values.rev()) {
        *slot = value as u32;
    }
    array
}

fn too_many_axes(node: &Node, axes: usize) -> CompileError {
    unsupported(
        node,
        format!("it moves {axes} axes that cannot be merged, and devices have {MOVE_RANK}"),
        "split it into two steps or reshape before it",
    )
}

/// One axis of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SliceAxis {
    size: usize,
    begin: usize,
    step: usize,
    taken: usize,
}

impl SliceAxis {
    fn is_whole(&self) -> bool {
        self.taken == self.size
    }
}

/// Drops axes of size 1, and merges whole ones with what is around them. Outermost first.
fn merge_slice(axes: impl DoubleEndedIterator<Item = SliceAxis>) -> Vec<SliceAxis> {
    let mut merged: Vec<SliceAxis> = Vec::new();
    for mut axis in axes.rev().filter(|axis| axis.size > 1) {
        if axis.taken == 1 {
            axis.step = 1;
        }
        match merged.last_mut() {
            Some(inner)
                if inner.is_whole()
                    && axis.step == 1
                    && inner.size * axis.size <= MAX_SIZE as usize =>
            {
                *inner = SliceAxis {
                    size: axis.size * inner.size,
                    begin: axis.begin * inner.size,
                    step: 1,
                    taken: axis.taken * inner.size,
                };
            }
            _ => merged.push(axis),
        }
    }
    merged.reverse();
    merged
}

impl Lowering<'_> {
    pub(super) fn transpose(&mut self, node: &Node, order: &[usize]) -> Result<(), CompileError> {
        let input = self.moved_input(node)?;
        let shape = self.input_shape(node, 0).to_vec();
        let placed = self.permute(node, "", input, &shape, order)?;
        self.alias_to(node, placed);
        Ok(())
    }

    /// Output axis `i` is input axis `order[i]`; nothing where no value moves.
    pub(super) fn permute(
        &mut self,
        node: &Node,
        suffix: &str,
        input: Placed,
        shape: &[usize],
        order: &[usize],
    ) -> Result<Placed, CompileError> {
        let out_shape: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let (sizes, order) = merge_permutation(shape, order);
        let is_sorted = order.windows(2).all(|pair| pair[0] < pair[1]);
        if is_sorted {
            return Ok(input);
        }
        if sizes.len() <= MOVE_RANK {
            let lead = MOVE_RANK - sizes.len();
            let mut device_order = [0; MOVE_RANK];
            for (axis, slot) in device_order.iter_mut().enumerate() {
                *slot = if axis < lead {
                    axis as u8
                } else {
                    (order[axis - lead] + lead) as u8
                };
            }
            let op = ops::Transpose {
                in_shape: padded(sizes.into_iter(), 1),
                order: device_order,
            };
            return self.push(
                node,
                suffix,
                DeviceOp::Transpose(op),
                vec![input.operand],
                out_shape,
                input.qparams,
            );
        }
        // One axis after the other goes to its place, past those before it: each is a transpose of four axes.
        let mut current: Vec<usize> = (0..sizes.len()).collect();
        let mut placed = input;
        for target in 0..order.len() {
            let from = current
                .iter()
                .position(|axis| *axis == order[target])
                .unwrap_or(target);
            if from == target {
                continue;
            }
            let product = |axes: &[usize]| axes.iter().map(|&axis| sizes[axis]).product::<usize>();
            let parts = [
                &current[..target],
                &current[target..from],
                &current[from..=from],
                &current[from + 1..],
            ];
            let op = ops::Transpose {
                in_shape: padded(parts.map(product).into_iter(), 1),
                order: [0, 2, 1, 3],
            };
            let axis = current.remove(from);
            current.insert(target, axis);
            let done = current == order;
            let step_shape = if done {
                out_shape.clone()
            } else {
                current.iter().map(|&axis| sizes[axis]).collect()
            };
            let step_suffix = match (done, suffix) {
                (true, _) => suffix.to_owned(),
                (false, "") => format!("step{target}"),
                (false, _) => format!("{suffix}.step{target}"),
            };
            placed = self.push(
                node,
                &step_suffix,
                DeviceOp::Transpose(op),
                vec![placed.operand],
                step_shape,
                placed.qparams,
            )?;
        }
        Ok(placed)
    }

    pub(super) fn slice(
        &mut self,
        node: &Node,
        begin: &[usize],
        step: &[usize],
    ) -> Result<(), CompileError> {
        let input = self.moved_input(node)?;
        let shape = self.input_shape(node, 0).to_vec();
        let taken = self.output_shape(node);
        let axes = (0..shape.len()).map(|a| SliceAxis {
            size: shape[a],
            begin: begin[a],
            step: step[a],
            taken: taken[a],
        });
        let placed = self.slice_of(node, "", input, axes, taken.clone())?;
        self.alias_to(node, placed);
        Ok(())
    }

    fn slice_of(
        &mut self,
        node: &Node,
        suffix: &str,
        input: Placed,
        axes: impl DoubleEndedIterator<Item = SliceAxis>,
        shape: Vec<usize>,
    ) -> Result<Placed, CompileError> {
        let axes = merge_slice(axes);
        if axes.iter().all(SliceAxis::is_whole) {
            return Ok(input);
        }
        if axes.len() > MOVE_RANK {
            return Err(too_many_axes(node, axes.len()));
        }
        let op = ops::Slice {
            in_shape: padded(axes.iter().map(|axis| axis.size), 1),
            out_shape: padded(axes.iter().map(|axis| axis.taken), 1),
            begin: padded(axes.iter().map(|axis| axis.begin), 0),
            step: padded(axes.iter().map(|axis| axis.step), 1),
        };
        self.push(
            node,
            suffix,
            DeviceOp::Slice(op),
            vec![input.operand],
            shape,
            input.qparams,
        )
    }

    pub(super) fn pad(
        &mut self,
        node: &Node,
        before: &[usize],
        after: &[usize],
        value: f32,
    ) -> Result<(), CompileError> {
        let input = self.moved_input(node)?;
        let shape = self.input_shape(node, 0);
        // Size, before, after; innermost first.
        let mut merged: Vec<[usize; 3]> = Vec::new();
        for axis in (0..shape.len()).rev() {
            let (size, before, after) = (shape[axis], before[axis], after[axis]);
            if size == 1 && before + after == 0 {
                continue;
            }
            match merged.last_mut() {
                Some(inner)
                    if inner[1] + inner[2] == 0
                        && inner[0] * (size + before + after) <= MAX_SIZE as usize =>
                {
                    *inner = [size * inner[0], before * inner[0], after * inner[0]];
                }
                _ => merged.push([size, before, after]),
            }
        }
        if merged.iter().all(|[_, before, after]| before + after == 0) {
            return self.alias(node);
        }
        if merged.len() > MOVE_RANK {
            return Err(too_many_axes(node, merged.len()));
        }
        let column =
            |index: usize, fill| padded(merged.iter().rev().map(move |axis| axis[index]), fill);
        let op = ops::Pad {
            in_shape: column(0, 1),
            before: column(1, 0),
            after: column(2, 0),
            value: quantize_value(input.qparams, f64::from(value)),
        };
        self.finish(node, DeviceOp::Pad(op), vec![input.operand])
    }

    pub(super) fn gather(
        &mut self,
        node: &Node,
        axis: usize,
        indices: &[usize],
    ) -> Result<(), CompileError> {
        let input = self.moved_input(node)?;
        let shape = self.input_shape(node, 0).to_vec();
        let out_shape = self.output_shape(node);
        let slice_axes = |begin: usize, step: usize, taken: usize| {
            let shape = shape.clone();
            (0..shape.len()).map(move |a| {
                let (begin, step, taken) = if a == axis {
                    (begin, step, taken)
                } else {
                    (0, 1, shape[a])
                };
                SliceAxis {
                    size: shape[a],
                    begin,
                    step,
                    taken,
                }
            })
        };
        // Evenly spaced indices are a slice.
        let first = indices.first().copied().unwrap_or(0);
        let step = indices
            .get(1)
            .map_or(1, |second| second.saturating_sub(first));
        let is_even = step > 0
            && indices
                .iter()
                .enumerate()
                .all(|(i, &index)| index == first + i * step);
        if is_even {
            let placed = self.slice_of(
                node,
                "",
                input,
                slice_axes(first, step, indices.len()),
                out_shape,
            )?;
            self.alias_to(node, placed);
            return Ok(());
        }
        let outer: usize = shape[..axis].iter().product();
        let inner: usize = shape[axis + 1..].iter().product();
        let limit = MAX_SIZE as usize;
        if outer <= limit && inner <= limit {
            let op = ops::Gather {
                outer: outer as u32,
                in_n: shape[axis] as u32,
                out_n: indices.len() as u32,
                inner: inner as u32,
            };
            let table = self.list(
                node,
                "indices",
                Values::U16(indices.iter().map(|&i| i as u16).collect()),
            );
            return self.finish(node, DeviceOp::Gather(op), vec![input.operand, table]);
        }
        let mut part_shape = shape.clone();
        part_shape[axis] = 1;
        let mut parts = Vec::with_capacity(indices.len());
        for (position, &index) in indices.iter().enumerate() {
            let suffix = format!("index{position}");
            let part = self.slice_of(
                node,
                &suffix,
                input,
                slice_axes(index, 1, 1),
                part_shape.clone(),
            )?;
            parts.push((part.operand, part_shape.clone()));
        }
        self.concat_of(node, axis, parts)
    }

    pub(super) fn concat(&mut self, node: &Node, axis: usize) -> Result<(), CompileError> {
        let qparams = self.output_params(node)?;
        let mut parts = Vec::with_capacity(node.inputs.len());
        for position in 0..node.inputs.len() {
            let shape = self.input_shape(node, position).to_vec();
            if shape.iter().product::<usize>() == 0 {
                continue;
            }
            let operand = match self.graph.tensor(node.inputs[position]).value.clone() {
                Some(values) => {
                    let quantized = values
                        .iter()
                        .map(|&v| quantize_value(qparams, f64::from(v)))
                        .collect();
                    self.constant(
                        node,
                        &format!("operand{position}"),
                        shape.clone(),
                        Some(qparams),
                        Values::S8(quantized),
                    )
                }
                None => {
                    let input = self.input(node, position)?;
                    self.rescale(
                        node,
                        &format!("rescale{position}"),
                        input,
                        shape.clone(),
                        qparams,
                    )?
                    .operand
                }
            };
            parts.push((operand, shape));
        }
        self.concat_of(node, axis, parts)
    }

    /// Joins parts of the output's scale, as a tree where one operator does not hold them.
    fn concat_of(
        &mut self,
        node: &Node,
        axis: usize,
        mut parts: Vec<(Operand, Vec<usize>)>,
    ) -> Result<(), CompileError> {
        let qparams = self.output_params(node)?;
        let mut level = 0;
        while parts.len() > ops::Concat::MAX_INPUTS {
            level += 1;
            let mut joined = Vec::new();
            for (index, chunk) in parts.chunks(ops::Concat::MAX_INPUTS).enumerate() {
                let mut shape = chunk[0].1.clone();
                if chunk.len() == 1 {
                    joined.push((chunk[0].0, shape));
                    continue;
                }
                shape[axis] = chunk.iter().map(|(_, part)| part[axis]).sum();
                let op = ops::Concat {
                    outer: shape[..axis].iter().product::<usize>() as u32,
                };
                let operands = chunk.iter().map(|(operand, _)| *operand).collect();
                let suffix = format!("join{level}.{index}");
                let placed = self.push(
                    node,
                    &suffix,
                    DeviceOp::Concat(op),
                    operands,
                    shape.clone(),
                    qparams,
                )?;
                joined.push((placed.operand, shape));
            }
            parts = joined;
        }
        if let [(operand @ Operand::Tensor(_), _)] = parts[..] {
            self.alias_to(node, Placed { operand, qparams });
            return Ok(());
        }
        let outer = self.output_shape(node)[..axis].iter().product::<usize>();
        let operands = parts.into_iter().map(|(operand, _)| operand).collect();
        self.finish(
            node,
            DeviceOp::Concat(ops::Concat {
                outer: outer as u32,
            }),
            operands,
        )
    }
}

/// Drops axes of size 1 and merges axes that stay neighbours: sizes of the input, and which of them each output axis is.
fn merge_permutation(shape: &[usize], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let order: Vec<usize> = order
        .iter()
        .copied()
        .filter(|&axis| shape[axis] > 1)
        .collect();
    let kept: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] > 1).collect();
    let rank_of = |axis: usize| kept.iter().position(|&k| k == axis).unwrap_or(0);
    // Runs of input axes, in the order of the output: first axis (among those kept) and size.
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for axis in order.into_iter().map(rank_of) {
        let size = shape[kept[axis]];
        match runs.last_mut() {
            Some((first, count, merged))
                if *first + *count == axis && *merged * size <= MAX_SIZE as usize =>
            {
                *count += 1;
                *merged *= size;
            }
            _ => runs.push((axis, 1, size)),
        }
    }
    let mut by_input: Vec<usize> = (0..runs.len()).collect();
    by_input.sort_by_key(|&run| runs[run].0);
    let sizes = by_input.iter().map(|&run| runs[run].2).collect();
    let mut merged_order = vec![0; runs.len()];
    for (input_axis, &run) in by_input.iter().enumerate() {
        merged_order[run] = input_axis;
    }
    (sizes, merged_order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_merge_what_stays_together() {
        // NHWC to NCHW: rows and columns stay neighbours.
        assert_eq!(
            merge_permutation(&[1, 4, 5, 6], &[0, 3, 1, 2]),
            (vec![20, 6], vec![1, 0])
        );
        assert_eq!(
            merge_permutation(&[2, 3, 4], &[0, 1, 2]),
            (vec![24], vec![0])
        );
        assert_eq!(
            merge_permutation(&[1, 7, 1, 3], &[2, 1, 0, 3]),
            (vec![21], vec![0])
        );
        assert_eq!(
            merge_permutation(&[2, 3, 4, 5, 6], &[4, 2, 3, 0, 1]),
            (vec![6, 20, 6], vec![2, 1, 0])
        );
        // A channel shuffle.
        assert_eq!(
            merge_permutation(&[1, 8, 8, 2, 12], &[0, 1, 2, 4, 3]),
            (vec![64, 2, 12], vec![0, 2, 1])
        );
    }

    #[test]
    fn slices_merge_whole_axes() {
        let axis = |size, begin, step, taken| SliceAxis {
            size,
            begin,
            step,
            taken,
        };
        // Channels of a picture.
        assert_eq!(
            merge_slice(
                [
                    axis(1, 0, 1, 1),
                    axis(8, 0, 1, 8),
                    axis(9, 0, 1, 9),
                    axis(10, 5, 1, 5)
                ]
                .into_iter()
            ),
            [axis(72, 0, 1, 72), axis(10, 5, 1, 5)]
        );
        // Rows of a picture: one run of bytes.
        assert_eq!(
            merge_slice([axis(8, 2, 1, 4), axis(9, 0, 1, 9), axis(10, 0, 1, 10)].into_iter()),
            [axis(720, 180, 1, 360)]
        );
        // Steps keep their axis.
        assert_eq!(
            merge_slice([axis(8, 0, 2, 4), axis(9, 0, 1, 9)].into_iter()),
            [axis(8, 0, 2, 4), axis(9, 0, 1, 9)]
        );
    }
}
