//! The program section: a postcard stream of header, entry points and operators, decoded one record at a time and kept nowhere.

use serde::{Deserialize, Serialize};

use crate::{FormatError, Isa, ops::OpCode, take_record};

/// Most operators of a model.
pub const MAX_OPERATORS: u16 = 4096;
/// Most inputs, and most outputs, of a model.
pub const MAX_BORDER: usize = 64;
/// Most inputs of an operator.
pub const MAX_INPUTS: usize = 16;
/// Most outputs of an operator.
pub const MAX_OUTPUTS: usize = 4;
/// Largest arena, in bytes.
pub const MAX_ARENA_BYTES: u32 = 1 << 31;

/// First record of the program section.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RawProgram {
    pub(crate) isa: u8,
    pub(crate) arena_bytes: u32,
    pub(crate) macs: u64,
    pub(crate) arena_tensor_count: u16,
    pub(crate) entry_count: u8,
    pub(crate) operator_count: u16,
}

/// An entry point; its segments follow.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RawEntry<'m> {
    /// UTF-8. A device has no use for it.
    pub(crate) name: &'m [u8],
    pub(crate) inputs: &'m [u8],
    pub(crate) outputs: &'m [u8],
    pub(crate) segment_count: u8,
}

/// Operators that run on one kind of machine.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RawSegment {
    pub(crate) kind: u8,
    pub(crate) first_operator: u16,
    pub(crate) operator_count: u16,
}

/// [`RawSegment::kind`]: kernels on the CPU. 1 (an accelerator) and 2 (a task stage) are reserved.
pub(crate) const SEGMENT_CPU: u8 = 0;

/// An operator.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RawOperator<'m> {
    pub(crate) code: u8,
    pub(crate) inputs: &'m [u8],
    pub(crate) outputs: &'m [u8],
    pub(crate) scratch_offset: u32,
    pub(crate) scratch_bytes: u32,
    pub(crate) attributes: &'m [u8],
}

/// Tensor indices: two bytes each, little-endian, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorIds<'m>(&'m [[u8; 2]]);

impl<'m> TensorIds<'m> {
    fn new(bytes: &'m [u8], most: usize) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks();
        (rest.is_empty() && pairs.len() <= most).then_some(TensorIds(pairs))
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// True where there is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The index at a position.
    pub fn get(self, position: usize) -> Option<u16> {
        self.0.get(position).copied().map(u16::from_le_bytes)
    }

    /// The indices in order.
    pub fn iter(self) -> impl Iterator<Item = u16> + use<'m> {
        self.0.iter().copied().map(u16::from_le_bytes)
    }
}

/// One operator of the program.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'m> {
    /// What it does.
    pub code: OpCode,
    /// What it reads.
    pub inputs: TensorIds<'m>,
    /// What it writes.
    pub outputs: TensorIds<'m>,
    /// Where its scratch lies in the arena; a multiple of 16.
    pub scratch_offset: u32,
    /// Bytes of its scratch.
    pub scratch_bytes: u32,
    /// Its [`Params`](crate::ops::Params), postcard.
    pub attributes: &'m [u8],
}

impl<'m> Operator<'m> {
    /// Decodes its parameters; `None` where the bytes are not exactly such parameters.
    pub fn params<P: Deserialize<'m>>(&self) -> Option<P> {
        let mut rest = self.attributes;
        take_record(&mut rest).filter(|_| rest.is_empty())
    }
}

/// The operators of a program in order.
///
/// Iterating a checked program meets no error; iteration ends where a record does not decode.
#[derive(Clone, Copy, Debug)]
pub struct Operators<'m> {
    rest: &'m [u8],
    index: u16,
    count: u16,
}

impl<'m> Operators<'m> {
    /// Decodes the next operator: `Ok(None)` behind the last.
    pub(crate) fn advance(&mut self) -> Result<Option<Operator<'m>>, FormatError> {
        let index = self.index;
        if index >= self.count {
            return Ok(None);
        }
        let damaged = FormatError::Operator { index };
        let mut rest = self.rest;
        let raw: RawOperator<'m> = take_record(&mut rest).ok_or(damaged)?;
        let code = OpCode::from_code(raw.code).ok_or(FormatError::OperatorCode {
            index,
            code: raw.code,
        })?;
        let inputs = TensorIds::new(raw.inputs, MAX_INPUTS).ok_or(damaged)?;
        let outputs = TensorIds::new(raw.outputs, MAX_OUTPUTS).ok_or(damaged)?;
        self.rest = rest;
        self.index = index + 1;
        let RawOperator {
            scratch_offset,
            scratch_bytes,
            attributes,
            ..
        } = raw;
        Ok(Some(Operator {
            code,
            inputs,
            outputs,
            scratch_offset,
            scratch_bytes,
            attributes,
        }))
    }

    /// True where no byte follows.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'m> Iterator for Operators<'m> {
    type Item = Operator<'m>;

    fn next(&mut self) -> Option<Operator<'m>> {
        self.advance().ok().flatten()
    }
}

/// The decoded head of the program section.
#[derive(Clone, Copy, Debug)]
pub struct Program<'m> {
    /// The instruction set that layouts and scratch were planned for. Any machine runs the file all the same.
    pub isa: Isa,
    /// The plan's peak: bytes of arena that a run needs, inputs, outputs and scratch included. A multiple of 16.
    pub arena_bytes: u32,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// How many tensors lie in the arena: those with the lowest indices.
    pub arena_tensor_count: u16,
    /// How many operators there are.
    pub operator_count: u16,
    /// Inputs of the model.
    pub inputs: TensorIds<'m>,
    /// Outputs of the model.
    pub outputs: TensorIds<'m>,
    operators: &'m [u8],
}

impl<'m> Program<'m> {
    pub(crate) fn decode(section: &'m [u8]) -> Result<Self, FormatError> {
        let damaged = FormatError::Program;
        let mut rest = section;
        let raw: RawProgram = take_record(&mut rest).ok_or(damaged)?;
        let isa = Isa::ALL
            .get(usize::from(raw.isa))
            .copied()
            .ok_or(FormatError::Isa { code: raw.isa })?;
        if raw.operator_count > MAX_OPERATORS || raw.arena_bytes > MAX_ARENA_BYTES {
            return Err(FormatError::Limit);
        }
        if raw.entry_count != 1 {
            return Err(FormatError::Entry);
        }
        let entry: RawEntry<'m> = take_record(&mut rest).ok_or(damaged)?;
        if entry.segment_count != 1 {
            return Err(FormatError::Entry);
        }
        let segment: RawSegment = take_record(&mut rest).ok_or(damaged)?;
        if segment.kind != SEGMENT_CPU
            || segment.first_operator != 0
            || segment.operator_count != raw.operator_count
        {
            return Err(FormatError::Entry);
        }
        Ok(Program {
            isa,
            arena_bytes: raw.arena_bytes,
            macs: raw.macs,
            arena_tensor_count: raw.arena_tensor_count,
            operator_count: raw.operator_count,
            inputs: TensorIds::new(entry.inputs, MAX_BORDER).ok_or(FormatError::Limit)?,
            outputs: TensorIds::new(entry.outputs, MAX_BORDER).ok_or(FormatError::Limit)?,
            operators: rest,
        })
    }

    /// The operators in order.
    pub fn operators(&self) -> Operators<'m> {
        Operators {
            rest: self.operators,
            index: 0,
            count: self.operator_count,
        }
    }
}
