//! Proof of the arena plan: every tensor is written once, before it is read, and stays whole until it is read for the last time.
//!
//! Tensors in the arena are numbered in the order in which they are written: the model's inputs, then each operator's outputs. So one pass over
//! the operators with a counter proves order and single writing, and a tensor need only be compared with the earlier ones that are still
//! needed when it is written.

use crate::program::{Operator, Program};
use crate::{Class, FormatError, Parts, RawTensor};

/// Proves the plan of a program whose tensor records have been checked.
pub(crate) fn check(
    program: &Program<'_>,
    parts: &Parts,
    tensors: &[RawTensor],
) -> Result<(), FormatError> {
    let arena = tensors
        .get(..usize::from(program.arena_tensor_count))
        .ok_or(FormatError::Program)?;
    let mut plan = Plan {
        program,
        parts,
        arena,
        tensor_count: tensors.len(),
        written: 0,
        oldest: 0,
    };
    plan.inputs()?;
    let mut operators = program.operators();
    let mut index = 0;
    while let Some(operator) = operators.advance()? {
        plan.operator(index, &operator)?;
        index += 1;
    }
    if !operators.is_exhausted() || usize::from(plan.written) != arena.len() {
        return Err(FormatError::Program);
    }
    let last = program.operator_count + 1;
    for tensor in program.outputs.iter() {
        let kept = arena
            .get(usize::from(tensor))
            .is_some_and(|record| record.last_step >= last);
        if !kept {
            return Err(FormatError::Read {
                index: program.operator_count,
                tensor,
            });
        }
    }
    Ok(())
}

struct Plan<'a> {
    program: &'a Program<'a>,
    parts: &'a Parts,
    /// Records of the tensors in the arena.
    arena: &'a [RawTensor],
    /// All tensors, constants included.
    tensor_count: usize,
    /// Tensors written so far.
    written: u16,
    /// No tensor below is needed any more.
    oldest: u16,
}

impl Plan<'_> {
    fn inputs(&mut self) -> Result<(), FormatError> {
        for tensor in self.program.inputs.iter() {
            self.write(self.program.operator_count, tensor, 0)?;
            if let Some(earlier) = self.overlapped(tensor, 0, None) {
                return Err(FormatError::Overlap {
                    index: 0,
                    tensor: earlier,
                });
            }
        }
        Ok(())
    }

    fn operator(&mut self, index: u16, operator: &Operator<'_>) -> Result<(), FormatError> {
        let step = index + 1;
        for tensor in operator.inputs.iter() {
            self.read(index, tensor, step)?;
        }
        while self
            .arena
            .get(usize::from(self.oldest))
            .is_some_and(|record| record.last_step < step)
            && self.oldest < self.written
        {
            self.oldest += 1;
        }
        for (position, tensor) in operator.outputs.iter().enumerate() {
            self.write(index, tensor, step)?;
            let replaced = if position == 0 {
                self.replaced(operator, tensor, step)
            } else {
                None
            };
            if let Some(earlier) = self.overlapped(tensor, step, replaced) {
                return Err(FormatError::Overlap {
                    index,
                    tensor: earlier,
                });
            }
        }
        self.scratch(index, operator, step)
    }

    fn read(&self, index: u16, tensor: u16, step: u16) -> Result<(), FormatError> {
        let holds = match self.arena.get(usize::from(tensor)) {
            Some(record) => tensor < self.written && record.last_step >= step,
            None => usize::from(tensor) < self.tensor_count,
        };
        if holds {
            Ok(())
        } else {
            Err(FormatError::Read { index, tensor })
        }
    }

    fn write(&mut self, index: u16, tensor: u16, step: u16) -> Result<(), FormatError> {
        let expected = self
            .arena
            .get(usize::from(tensor))
            .is_some_and(|record| record.first_step == step);
        if !expected || tensor != self.written {
            return Err(FormatError::Write { index, tensor });
        }
        self.written += 1;
        Ok(())
    }

    /// The input that `output` may replace: the operator runs in place, and its input 0 lies exactly there and is read for the last time, once.
    fn replaced(&self, operator: &Operator<'_>, output: u16, step: u16) -> Option<u16> {
        let input = operator.inputs.get(0)?;
        let (from, to) = (
            self.arena.get(usize::from(input))?,
            self.arena.get(usize::from(output))?,
        );
        let exact =
            from.offset == to.offset && from.len_bytes == to.len_bytes && from.last_step == step;
        let once = operator.inputs.iter().skip(1).all(|other| other != input);
        (operator.code.runs_in_place() && exact && once).then_some(input)
    }

    /// A tensor other than `except`, written before `tensor` and needed at `step`, that shares bytes with it.
    fn overlapped(&self, tensor: u16, step: u16, except: Option<u16>) -> Option<u16> {
        let record = self.arena.get(usize::from(tensor))?;
        self.live(step)
            .find(|&(earlier, other)| {
                earlier < tensor
                    && Some(earlier) != except
                    && overlap(
                        record.offset,
                        record.len_bytes,
                        other.offset,
                        other.len_bytes,
                    )
            })
            .map(|(earlier, _)| earlier)
    }

    fn scratch(&self, index: u16, operator: &Operator<'_>, step: u16) -> Result<(), FormatError> {
        let (offset, len) = (operator.scratch_offset, operator.scratch_bytes);
        if len == 0 {
            return Ok(());
        }
        let inside = self.parts.hold(offset, len) && offset.is_multiple_of(16);
        let free = self
            .live(step)
            .all(|(_, record)| !overlap(offset, len, record.offset, record.len_bytes));
        if inside && free {
            Ok(())
        } else {
            Err(FormatError::Scratch { index })
        }
    }

    /// The tensors written so far that are needed at `step`.
    fn live(&self, step: u16) -> impl Iterator<Item = (u16, &RawTensor)> {
        let range = usize::from(self.oldest)..usize::from(self.written);
        let records = self.arena.get(range).unwrap_or_default();
        (self.oldest..)
            .zip(records)
            .filter(move |(_, record)| record.last_step >= step)
    }
}

/// True where two ranges share a byte. Both end inside the arena, so the sums do not overflow.
fn overlap(a: u32, a_len: u32, b: u32, b_len: u32) -> bool {
    a < b.wrapping_add(b_len) && b < a.wrapping_add(a_len)
}

/// Proves that a record does not contradict itself, and lies inside one memory.
pub(crate) fn check_record(
    record: &RawTensor,
    in_arena: bool,
    parts: &Parts,
    weights_len: usize,
) -> Result<(), RecordFault> {
    let class = Class::from_code(record.class).ok_or(RecordFault::Malformed)?;
    let inside = match (class, in_arena) {
        (Class::Arena, true) => parts.hold(record.offset, record.len_bytes),
        (Class::Constant, false) => record
            .offset
            .checked_add(record.len_bytes)
            .is_some_and(|end| end as usize <= weights_len),
        (Class::State | Class::External, _) => return Err(RecordFault::Class),
        _ => return Err(RecordFault::Malformed),
    };
    let sound = dims_fit(record)
        && record.offset.is_multiple_of(16)
        && inside
        && record.first_step <= record.last_step
        && (in_arena || record.last_step == 0)
        && record.reserved == 0
        && (-128..=127).contains(&record.zero_point)
        && record.scale.is_finite()
        && if in_arena {
            record.scale > 0.0
        } else {
            record.scale >= 0.0
        };
    if sound {
        Ok(())
    } else {
        Err(RecordFault::Malformed)
    }
}

/// Why a record is refused.
pub(crate) enum RecordFault {
    /// It is wrong.
    Malformed,
    /// Its class is reserved.
    Class,
}

fn dims_fit(record: &RawTensor) -> bool {
    let Some(dtype) = crate::DType::from_code(record.dtype) else {
        return false;
    };
    let Some((used, unused)) = record.dims.split_at_checked(usize::from(record.rank)) else {
        return false;
    };
    let len = used
        .iter()
        .try_fold(1_u32, |len, &size| len.checked_mul(size));
    let bytes = len.and_then(|len| dtype.bytes(u64::from(len)));
    bytes == Some(u64::from(record.len_bytes))
        && record.len_bytes > 0
        && unused.iter().all(|&size| size == 0)
}
