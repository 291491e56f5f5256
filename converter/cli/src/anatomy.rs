//! What a model file holds, in the terms of a report: bytes of each layer, the arena over time, how its weights are spread.

use anyhow::{Context, Result};
use ocellus_board_file::Board;
use ocellus_compile::plan::ALIGNMENT_BYTES;
use ocellus_compile::report::{LayerReport, PartReport, TensorReport};
use ocellus_compile::traffic::Moved;
use ocellus_compile::{Report as Needs, Target};
use ocellus_format::ops::{Conv2dAdd, OpCode};
use ocellus_format::{Class, Isa, ModelView, QParams, TensorInfo};
use ocellus_report::{Histogram, Layer, LayerCost, Memory, MemoryBox, MemoryKind, MemoryPart};

use crate::board::part_slots;
use crate::layers::{Layer as Run, layers as runs_of};
use crate::source::ModelFile;

/// Bins of a histogram: four integers each.
const BINS: usize = 64;

/// The arena over time, and where it lies on a board.
pub(crate) fn memory_on(file: &ModelFile, board: Option<&Board>) -> Result<Memory> {
    let mut memory = memory(file)?;
    if let Some(board) = board.filter(|board| board.is_bare_metal()) {
        // What does not fit has no place.
        let slots = part_slots(board, file).unwrap_or_default();
        for (part, (_, region)) in memory.parts.iter_mut().zip(slots) {
            part.region = Some(region.name.clone());
        }
    }
    Ok(memory)
}

/// The arena over time.
fn memory(file: &ModelFile) -> Result<Memory> {
    let view = file.view()?;
    let program = view.program();
    let info = file.interpreter.info();
    let last = usize::from(program.operator_count) + 1;
    let mut boxes: Vec<MemoryBox> = arena_tensors(&view)
        .map(|(index, tensor)| MemoryBox {
            name: info
                .tensor_names
                .get(usize::from(index))
                .cloned()
                .unwrap_or_else(|| format!("tensor {index}")),
            kind: match (
                usize::from(tensor.first_step),
                usize::from(tensor.last_step),
            ) {
                (0, _) => MemoryKind::Input,
                (_, end) if end == last => MemoryKind::Output,
                _ => MemoryKind::Activation,
            },
            offset: u64::from(tensor.offset),
            bytes: u64::from(tensor.len_bytes),
            first_step: usize::from(tensor.first_step),
            last_step: usize::from(tensor.last_step),
        })
        .collect();
    for (index, operator) in program.operators().enumerate() {
        if operator.scratch_bytes > 0 {
            let layer = info.layer_names.get(index);
            boxes.push(MemoryBox {
                name: layer
                    .cloned()
                    .unwrap_or_else(|| format!("operator {index}")),
                kind: MemoryKind::Scratch,
                offset: u64::from(operator.scratch_offset),
                bytes: u64::from(operator.scratch_bytes),
                first_step: index + 1,
                last_step: index + 1,
            });
        }
    }
    let aligned = boxes.iter().map(|part| MemoryBox {
        bytes: part.bytes.next_multiple_of(ALIGNMENT_BYTES),
        ..part.clone()
    });
    let aligned: Vec<MemoryBox> = aligned.collect();
    Ok(Memory {
        arena_bytes: u64::from(program.arena_bytes),
        parts: (view.parts().iter())
            .map(|part| MemoryPart {
                bytes: part.len() as u64,
                region: None,
            })
            .collect(),
        lower_bound_bytes: (0..=last)
            .map(|step| covered(&aligned, step))
            .max()
            .unwrap_or(0),
        steps: last + 1,
        live_bytes: (0..=last).map(|step| covered(&boxes, step)).collect(),
        boxes,
    })
}

/// Bytes of the arena that hold something in a step: an operator that writes over its input takes them once.
fn covered(boxes: &[MemoryBox], step: usize) -> u64 {
    let alive = boxes
        .iter()
        .filter(|b| (b.first_step..=b.last_step).contains(&step));
    let mut spans: Vec<(u64, u64)> = alive.map(|b| (b.offset, b.offset + b.bytes)).collect();
    spans.sort_unstable();
    let (mut bytes, mut end) = (0, 0);
    for (from, to) in spans {
        bytes += to.saturating_sub(from.max(end));
        end = end.max(to);
    }
    bytes
}

fn arena_tensors<'v>(view: &'v ModelView<'_>) -> impl Iterator<Item = (u16, TensorInfo)> + 'v {
    (0..view.tensor_count() as u16)
        .filter_map(|index| Some((index, view.tensor(index)?)))
        .filter(|(_, tensor)| tensor.class == Class::Arena)
}

/// The layers with their bytes; costs are the caller's.
pub(crate) fn layers(file: &ModelFile, runs: &[Run], memory: &Memory) -> Result<Vec<Layer>> {
    let view = file.view()?;
    let operators = view.program().operators().enumerate().zip(runs);
    Ok(operators
        .map(|((index, operator), run)| Layer {
            name: run.name.clone(),
            op: run.op,
            kernel: run.kernel.clone(),
            shape: run.shape.clone(),
            macs: run.macs,
            constant_bytes: operator
                .inputs
                .iter()
                .filter_map(|input| view.tensor(input))
                .filter(|tensor| tensor.class == Class::Constant)
                .map(|tensor| u64::from(tensor.len_bytes))
                .sum(),
            scratch_bytes: u64::from(operator.scratch_bytes),
            live_bytes: memory.live_bytes.get(index + 1).copied().unwrap_or(0),
            cost: LayerCost::default(),
        })
        .collect())
}

/// Bytes of all constants, those that layers share once.
pub(crate) fn constant_bytes(view: &ModelView<'_>) -> u64 {
    let tensors = (0..view.tensor_count() as u16).filter_map(|index| view.tensor(index));
    let mut spans: Vec<(u32, u32)> = tensors
        .filter(|tensor| tensor.class == Class::Constant)
        .map(|tensor| (tensor.offset, tensor.len_bytes))
        .collect();
    spans.sort_unstable();
    spans.dedup();
    spans.iter().map(|&(_, bytes)| u64::from(bytes)).sum()
}

/// What the conversion said of the model's needs, read back from its file.
pub(crate) fn needs_of(file: &ModelFile) -> Result<Needs> {
    let runs = runs_of(file, file.view()?.program().isa)?;
    let memory = memory(file)?;
    needs(file, &layers(file, &runs, &memory)?, &memory)
}

/// The same, of a file that was looked at already.
pub(crate) fn needs(file: &ModelFile, layers: &[Layer], memory: &Memory) -> Result<Needs> {
    let view = file.view()?;
    let peak =
        (0..layers.len()).max_by_key(|&index| (layers[index].live_bytes, usize::MAX - index));
    let name_of = |step: usize| {
        let layer = step.checked_sub(1).and_then(|index| layers.get(index));
        layer.map(|layer| layer.name.clone()).unwrap_or_default()
    };
    // Those of tensors come first, in the tensors' order.
    let parts = memory.boxes.iter();
    let tensors = parts
        .filter(|part| part.kind != MemoryKind::Scratch)
        .zip(arena_tensors(&view));
    let outputs = view.program().operators().map(|operator| {
        let output = operator.outputs.iter().next();
        output.and_then(|index| view.tensor(index)).map_or(
            QParams {
                scale: 0.0,
                zero_point: 0,
            },
            |tensor| tensor.qparams,
        )
    });
    Ok(Needs {
        // A portable file names no instruction set.
        target: match view.program().isa {
            Isa::Reference => Target::Portable,
            isa => Target::Isa(isa),
        },
        model_bytes: file.bytes.len() as u64,
        constant_bytes: constant_bytes(&view),
        arena_bytes: memory.arena_bytes,
        parts: memory
            .parts
            .iter()
            .map(|part| PartReport {
                bytes: part.bytes,
                moved: Moved::default(),
            })
            .collect(),
        memories: Vec::new(),
        arena_lower_bound_bytes: memory.lower_bound_bytes,
        peak_layer: peak
            .map(|index| layers[index].name.clone())
            .unwrap_or_default(),
        macs: view.program().macs,
        tensors: tensors
            .map(|(part, (_, tensor))| TensorReport {
                shape: (tensor.dims.iter().take(usize::from(tensor.rank)))
                    .map(|&size| size as usize)
                    .collect(),
                name: part.name.clone(),
                layer: name_of(part.first_step),
                offset: part.offset,
                size_bytes: part.bytes,
                first_step: part.first_step,
                last_step: part.last_step,
            })
            .collect(),
        layers: layers
            .iter()
            .zip(outputs)
            .map(|(layer, qparams)| LayerReport {
                name: layer.name.clone(),
                op: layer.op,
                kernel: layer.kernel.clone(),
                macs: layer.macs,
                shape: layer.shape.iter().map(|&size| size as usize).collect(),
                qparams,
                constant_bytes: layer.constant_bytes,
                scratch_bytes: layer.scratch_bytes,
                live_bytes: layer.live_bytes,
                in_place: false,
            })
            .collect(),
        channels: 0,
        dead_channels: 0,
        widened_channels: 0,
        slow_requants: 0,
        notes: file.interpreter.info().notes.clone(),
    })
}

/// How the integers of each layer's weights are spread.
pub(crate) fn weights(file: &ModelFile) -> Result<Vec<Histogram>> {
    let view = file.view()?;
    let names = &file.interpreter.info().layer_names;
    let weighted = [
        OpCode::Conv2d,
        OpCode::DepthwiseConv2d,
        OpCode::TransposeConv2d,
        OpCode::FullyConnected,
        OpCode::Conv2dAdd,
    ];
    let operators = view.program().operators().enumerate();
    operators
        .filter(|(_, operator)| weighted.contains(&operator.code))
        .filter_map(|(index, operator)| {
            let before = match operator.code {
                OpCode::Conv2dAdd => Conv2dAdd::FIRST_INPUTS,
                _ => 0,
            };
            let tensor = view.tensor(operator.inputs.iter().nth(before + 1)?)?;
            let values: &[i8] = view.constant(&tensor.extent())?;
            let name = names.get(index).context("a layer without a name").cloned();
            Some(name.map(|name| {
                let mut histogram = Spread::default();
                histogram.add(values);
                let integers = QParams {
                    scale: 1.0,
                    zero_point: 0,
                };
                histogram.finish(name, integers)
            }))
        })
        .collect()
}

/// Counts of `s8` values.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    counts: [u64; 256],
}

impl Default for Spread {
    fn default() -> Spread {
        Spread { counts: [0; 256] }
    }
}

impl Spread {
    pub(crate) fn add(&mut self, values: &[i8]) {
        for &value in values {
            self.counts[(i16::from(value) + 128) as usize] += 1;
        }
    }

    /// The counts over real values. The lower end counts as an end only where it is no zero: behind a ReLU it is.
    pub(crate) fn finish(&self, name: String, q: QParams) -> Histogram {
        let low = if q.zero_point > -128 {
            self.counts[0]
        } else {
            0
        };
        Histogram {
            name,
            min: f64::from(q.dequantize(-128)),
            max: f64::from(q.dequantize(127)),
            counts: self
                .counts
                .chunks(256 / BINS)
                .map(|bin| bin.iter().sum())
                .collect(),
            at_ends: low + self.counts[255],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64, bytes: u64, first_step: usize, last_step: usize) -> MemoryBox {
        MemoryBox {
            name: String::new(),
            kind: MemoryKind::Activation,
            offset,
            bytes,
            first_step,
            last_step,
        }
    }

    #[test]
    fn bytes_written_in_place_count_once() {
        let boxes = [part(0, 64, 0, 2), part(0, 64, 2, 3), part(96, 16, 1, 2)];
        assert_eq!(
            [0, 1, 2, 3, 4].map(|step| covered(&boxes, step)),
            [64, 80, 80, 64, 0]
        );
    }

    #[test]
    fn zeros_behind_a_relu_are_no_end() {
        let mut spread = Spread::default();
        spread.add(&[-128, -128, 0, 127]);
        let q = |zero_point| QParams {
            scale: 0.5,
            zero_point,
        };
        assert_eq!(spread.finish(String::new(), q(-128)).at_ends, 1);
        let centred = spread.finish(String::new(), q(0));
        assert_eq!(
            (centred.at_ends, centred.min, centred.counts[0]),
            (3, -64.0, 2)
        );
    }
}
