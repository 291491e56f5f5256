//! The writer: bytes of a model file from tensors, operators and a plan. The same calls give the same bytes.
//!
//! The writer brings tensors into the file's order, derives first and last steps from the operators, shares equal constants, and hands every
//! operator to the check that the device will run. Where each tensor and each scratch lies is the caller's plan.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use bytemuck::NoUninit;
use serde::Serialize;

use crate::layout::{
    self, ALIGN, FORMAT_VERSION, HEADER_BYTES, MAGIC, SECTION_ENTRY_BYTES, SECTION_REQUIRED,
};
use crate::ops::{IndexType, OpCode, OpError, Operands, Params};
use crate::program::{MAX_OPERATORS, RawEntry, RawOperator, RawProgram, RawSegment, SEGMENT_CPU};
use crate::{
    Class, DType, Extent, FormatError, Info, Isa, MAX_RANK, ModelView, QParams, RawTensor, Tag,
    TaskRecord,
};

/// A tensor of a [`Writer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorRef(usize);

/// An element type of constants.
pub trait Element: NoUninit {
    /// Its number in the file.
    const DTYPE: DType;
}

macro_rules! element {
    ($($rust:ty => $dtype:ident),*) => { $(impl Element for $rust { const DTYPE: DType = DType::$dtype; })* };
}
element!(i8 => S8, u8 => U8, i16 => S16, u16 => U16, i32 => S32, u32 => U32, f32 => F32);

/// Where an operator's scratch lies in the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    /// A multiple of 16.
    pub offset: u32,
    /// How many; 0 for none.
    pub bytes: u32,
}

/// Why a file was not written. Each is a fault of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// A shape has more axes than the format allows, or not as many elements as there are values.
    Shape {
        /// Name of the tensor.
        tensor: String,
    },
    /// An operator contradicts its operands.
    Operator {
        /// Name of the layer.
        layer: String,
        /// What it does.
        code: OpCode,
        /// The contradiction.
        error: OpError,
    },
    /// A tensor in the arena is neither an input of the model nor written by an operator, or is written twice.
    Unwritten {
        /// Name of the tensor.
        tensor: String,
    },
    /// More than the format's counts or 4 GiB.
    TooLarge,
    /// The plan or the tensors are refused by the check that the device runs.
    Refused(FormatError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Shape { tensor } => {
                write!(f, "tensor `{tensor}`: shape and values do not fit")
            }
            WriteError::Operator { layer, code, error } => {
                write!(f, "layer `{layer}` ({}): {error:?}", code.name())
            }
            WriteError::Unwritten { tensor } => {
                write!(f, "tensor `{tensor}` is not written exactly once")
            }
            WriteError::TooLarge => f.write_str("the model is too large for the format"),
            WriteError::Refused(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for WriteError {}

struct Draft {
    name: String,
    record: RawTensor,
}

struct OperatorDraft {
    layer: String,
    code: OpCode,
    inputs: Vec<TensorRef>,
    outputs: Vec<TensorRef>,
    scratch: Scratch,
    attributes: Vec<u8>,
}

/// Collects a model and writes its file.
pub struct Writer {
    isa: Isa,
    tensors: Vec<Draft>,
    weights: Vec<u8>,
    /// Where constants with these bytes lie.
    shared: BTreeMap<Vec<u8>, u32>,
    operators: Vec<OperatorDraft>,
    macs: u64,
    /// Bytes of the arena's parts; empty where there is one.
    parts: Vec<u32>,
}

impl Writer {
    /// A model whose layouts and scratch are planned for `isa`; [`Isa::Reference`] for a portable file.
    pub fn new(isa: Isa) -> Writer {
        Writer {
            isa,
            tensors: Vec::new(),
            weights: Vec::new(),
            shared: BTreeMap::new(),
            operators: Vec::new(),
            macs: 0,
            parts: Vec::new(),
        }
    }

    /// Adds an `s8` tensor in the arena, at a byte offset that is a multiple of 16.
    ///
    /// # Errors
    /// [`WriteError::Shape`]
    pub fn activation(
        &mut self,
        name: &str,
        shape: &[u32],
        qparams: QParams,
        offset: u32,
    ) -> Result<TensorRef, WriteError> {
        self.in_arena(name, shape, DType::S8, qparams, offset)
    }

    /// Adds a tensor of indices in the arena: scale 1, zero point 0.
    ///
    /// # Errors
    /// [`WriteError::Shape`]
    pub fn indices(
        &mut self,
        name: &str,
        shape: &[u32],
        index: IndexType,
        offset: u32,
    ) -> Result<TensorRef, WriteError> {
        self.in_arena(name, shape, index.dtype(), QParams::WHOLE_NUMBERS, offset)
    }

    fn in_arena(
        &mut self,
        name: &str,
        shape: &[u32],
        dtype: DType,
        qparams: QParams,
        offset: u32,
    ) -> Result<TensorRef, WriteError> {
        let len = u64::from(element_count(name, shape)?);
        let len_bytes = dtype.bytes(len).and_then(|bytes| u32::try_from(bytes).ok());
        self.push(
            name,
            shape,
            RawTensor {
                class: Class::Arena as u8,
                dtype: dtype as u8,
                offset,
                len_bytes: len_bytes.ok_or(WriteError::TooLarge)?,
                ..record(qparams)
            },
        )
    }

    /// Adds a constant. `qparams` is for readers of the file; kernels take what they need from parameters. Equal bytes are stored once.
    ///
    /// # Errors
    /// [`WriteError::Shape`], [`WriteError::TooLarge`]
    pub fn constant<T: Element>(
        &mut self,
        name: &str,
        shape: &[u32],
        qparams: Option<QParams>,
        values: &[T],
    ) -> Result<TensorRef, WriteError> {
        if element_count(name, shape)? as usize != values.len() {
            return Err(WriteError::Shape {
                tensor: name.to_string(),
            });
        }
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let offset = match self.shared.get(bytes) {
            Some(&offset) => offset,
            None => {
                pad(&mut self.weights);
                let offset = size(self.weights.len())?;
                self.weights.extend_from_slice(bytes);
                self.shared.insert(bytes.to_vec(), offset);
                offset
            }
        };
        let qparams = qparams.unwrap_or(QParams {
            scale: 0.0,
            zero_point: 0,
        });
        let len_bytes = size(bytes.len())?;
        self.push(
            name,
            shape,
            RawTensor {
                class: Class::Constant as u8,
                dtype: T::DTYPE as u8,
                offset,
                len_bytes,
                ..record(qparams)
            },
        )
    }

    /// Appends an operator; operators run in the order of these calls. Inputs and outputs are in the order that `P` documents.
    ///
    /// # Errors
    /// [`WriteError::Operator`], [`WriteError::TooLarge`]
    pub fn operator<P: for<'a> Params<'a>>(
        &mut self,
        layer: &str,
        params: &P,
        inputs: &[TensorRef],
        outputs: &[TensorRef],
        scratch: Scratch,
    ) -> Result<(), WriteError> {
        let code = <P as Params<'_>>::CODE;
        let extents = |refs: &[TensorRef]| refs.iter().map(|&t| self.extent(t)).collect::<Vec<_>>();
        params
            .check(&Operands {
                inputs: &extents(inputs),
                outputs: &extents(outputs),
            })
            .map_err(|error| WriteError::Operator {
                layer: layer.to_string(),
                code,
                error,
            })?;
        if self.operators.len() == usize::from(MAX_OPERATORS) {
            return Err(WriteError::TooLarge);
        }
        self.macs += params.macs();
        self.operators.push(OperatorDraft {
            layer: layer.to_string(),
            code,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            scratch,
            attributes: encode(params),
        });
        Ok(())
    }

    /// Cuts the arena into parts of these sizes, each a multiple of 16, that may lie in memories of their own. Offsets stay those of the whole arena. A
    /// list of fewer than two changes nothing.
    pub fn parts(&mut self, sizes: &[u32]) {
        self.parts = if sizes.len() < 2 {
            Vec::new()
        } else {
            sizes.to_vec()
        };
    }

    /// Multiply-accumulates of the operators so far.
    pub fn macs(&self) -> u64 {
        self.macs
    }

    /// Writes the file, with one entry point of these inputs and outputs. `info`'s names of tensors and layers are filled in.
    ///
    /// # Errors
    /// - [`WriteError::Unwritten`]: an activation is not an input or written by one operator
    /// - [`WriteError::Refused`]: the plan is wrong; nothing is written that a device would refuse
    /// - [`WriteError::TooLarge`]
    pub fn finish(
        self,
        entry_name: &str,
        inputs: &[TensorRef],
        outputs: &[TensorRef],
        mut info: Info,
        task: Option<&TaskRecord<'_>>,
    ) -> Result<Vec<u8>, WriteError> {
        let (order, records) = self.order(inputs, outputs)?;
        let arena_tensor_count = records
            .iter()
            .filter(|record| record.class == Class::Arena as u8)
            .count();
        let mut arena_bytes = 0_u32;
        let tensor_ends = records[..arena_tensor_count]
            .iter()
            .map(|record| (record.offset, record.len_bytes));
        let scratch_ends = self
            .operators
            .iter()
            .map(|op| op.scratch)
            .filter(|s| s.bytes > 0)
            .map(|s| (s.offset, s.bytes));
        for (offset, len) in tensor_ends.chain(scratch_ends) {
            let end = offset
                .checked_add(len)
                .and_then(|end| end.checked_next_multiple_of(ALIGN as u32));
            arena_bytes = arena_bytes.max(end.ok_or(WriteError::TooLarge)?);
        }
        if !self.parts.is_empty() {
            let whole = self
                .parts
                .iter()
                .try_fold(0_u32, |sum, &size| sum.checked_add(size));
            arena_bytes = whole.ok_or(WriteError::TooLarge)?;
        }
        let mut index = alloc::vec![0_u16; order.len()];
        for (at, tensor) in order.iter().enumerate() {
            index[tensor.0] = u16::try_from(at).map_err(|_| WriteError::TooLarge)?;
        }
        let packed = |refs: &[TensorRef]| {
            refs.iter()
                .flat_map(|t| index[t.0].to_le_bytes())
                .collect::<Vec<u8>>()
        };

        let operator_count = self.operators.len() as u16;
        let mut program = encode(&RawProgram {
            isa: Isa::ALL
                .iter()
                .position(|&isa| isa == self.isa)
                .ok_or(WriteError::TooLarge)? as u8,
            arena_bytes,
            macs: self.macs,
            arena_tensor_count: u16::try_from(arena_tensor_count)
                .map_err(|_| WriteError::TooLarge)?,
            entry_count: 1,
            operator_count,
        });
        program.extend(encode(&RawEntry {
            name: entry_name.as_bytes(),
            inputs: &packed(inputs),
            outputs: &packed(outputs),
            segment_count: 1,
        }));
        program.extend(encode(&RawSegment {
            kind: SEGMENT_CPU,
            first_operator: 0,
            operator_count,
        }));
        for operator in &self.operators {
            program.extend(encode(&RawOperator {
                code: operator.code as u8,
                inputs: &packed(&operator.inputs),
                outputs: &packed(&operator.outputs),
                scratch_offset: operator.scratch.offset,
                scratch_bytes: operator.scratch.bytes,
                attributes: &operator.attributes,
            }));
        }
        info.tensor_names = order
            .iter()
            .map(|t| self.tensors[t.0].name.clone())
            .collect();
        info.layer_names = self.operators.iter().map(|op| op.layer.clone()).collect();

        let mut sections = Vec::from([
            (Tag::PROGRAM, SECTION_REQUIRED, program),
            (
                Tag::TENSORS,
                SECTION_REQUIRED,
                bytemuck::cast_slice(&records).to_vec(),
            ),
        ]);
        if !self.parts.is_empty() {
            let sizes = self.parts.iter().flat_map(|size| size.to_le_bytes());
            sections.push((Tag::PARTS, SECTION_REQUIRED, sizes.collect()));
        }
        if let Some(task) = task {
            sections.push((Tag::TASK, 0, encode(task)));
        }
        sections.push((Tag::INFO, 0, encode(&info)));
        sections.push((Tag::WEIGHTS, SECTION_REQUIRED, self.weights));
        let file = assemble(&sections)?;
        ModelView::new_checked(&AlignedBytes::from(file.as_slice()))
            .map_err(WriteError::Refused)?;
        Ok(file)
    }

    fn push(
        &mut self,
        name: &str,
        shape: &[u32],
        mut record: RawTensor,
    ) -> Result<TensorRef, WriteError> {
        let dims = record
            .dims
            .get_mut(..shape.len())
            .ok_or_else(|| WriteError::Shape {
                tensor: name.to_string(),
            })?;
        dims.copy_from_slice(shape);
        record.rank = shape.len() as u8;
        self.tensors.push(Draft {
            name: name.to_string(),
            record,
        });
        Ok(TensorRef(self.tensors.len() - 1))
    }

    fn extent(&self, tensor: TensorRef) -> Extent {
        let record = &self.tensors[tensor.0].record;
        Extent {
            class: if record.class == Class::Arena as u8 {
                Class::Arena
            } else {
                Class::Constant
            },
            dtype: DType::from_code(record.dtype).unwrap_or(DType::S8),
            offset: record.offset,
            len_bytes: record.len_bytes,
            len: record.dims.iter().take(usize::from(record.rank)).product(),
        }
    }

    /// Tensors in the order of the file, with their steps: inputs, outputs of each operator, constants.
    fn order(
        &self,
        inputs: &[TensorRef],
        outputs: &[TensorRef],
    ) -> Result<(Vec<TensorRef>, Vec<RawTensor>), WriteError> {
        let mut records: Vec<RawTensor> = self.tensors.iter().map(|draft| draft.record).collect();
        let mut order = inputs.to_vec();
        let is_arena = |t: &TensorRef| self.tensors[t.0].record.class == Class::Arena as u8;
        for (operator, step) in self.operators.iter().zip(1_u16..) {
            for input in operator.inputs.iter().filter(|t| is_arena(t)) {
                records[input.0].last_step = step;
            }
            for output in &operator.outputs {
                records[output.0].first_step = step;
                records[output.0].last_step = step;
                order.push(*output);
            }
        }
        for output in outputs.iter().filter(|t| is_arena(t)) {
            records[output.0].last_step = self.operators.len() as u16 + 1;
        }
        let mut writes = alloc::vec![0_u32; self.tensors.len()];
        order.iter().for_each(|t| writes[t.0] += 1);
        for (draft, &writes) in self.tensors.iter().zip(&writes) {
            if writes != u32::from(draft.record.class == Class::Arena as u8) {
                return Err(WriteError::Unwritten {
                    tensor: draft.name.clone(),
                });
            }
        }
        order.extend(
            (0..self.tensors.len())
                .map(TensorRef)
                .filter(|t| !is_arena(t)),
        );
        let records = order.iter().map(|t| records[t.0]).collect();
        Ok((order, records))
    }
}

fn record(qparams: QParams) -> RawTensor {
    RawTensor {
        class: 0,
        dtype: 0,
        rank: 0,
        reserved: 0,
        offset: 0,
        len_bytes: 0,
        first_step: 0,
        last_step: 0,
        scale: qparams.scale,
        zero_point: qparams.zero_point,
        dims: [0; MAX_RANK],
    }
}

fn element_count(name: &str, shape: &[u32]) -> Result<u32, WriteError> {
    let len = shape
        .iter()
        .try_fold(1_u32, |len, &size| len.checked_mul(size))
        .filter(|&len| len > 0 && shape.len() <= MAX_RANK);
    len.ok_or_else(|| WriteError::Shape {
        tensor: name.to_string(),
    })
}

fn size(bytes: usize) -> Result<u32, WriteError> {
    u32::try_from(bytes).map_err(|_| WriteError::TooLarge)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // A vector takes any length and no type of ours refuses to be written, so there is no other outcome.
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Header, table and sections, in order, with the digest.
pub(crate) fn assemble(sections: &[(Tag, u32, Vec<u8>)]) -> Result<Vec<u8>, WriteError> {
    let mut table = Vec::new();
    let mut body = Vec::new();
    let base = HEADER_BYTES + sections.len() * SECTION_ENTRY_BYTES;
    for (tag, flags, bytes) in sections {
        pad(&mut body);
        table.extend(tag.0);
        table.extend(flags.to_le_bytes());
        table.extend(size(base + body.len())?.to_le_bytes());
        table.extend(size(bytes.len())?.to_le_bytes());
        body.extend_from_slice(bytes);
    }
    let file_bytes = size(base + body.len())?;
    let mut file = Vec::with_capacity(base + body.len());
    file.extend(MAGIC);
    file.extend(FORMAT_VERSION.to_le_bytes());
    file.extend((sections.len() as u16).to_le_bytes());
    file.extend(file_bytes.to_le_bytes());
    file.resize(HEADER_BYTES, 0);
    file.extend(table);
    file.extend(body);
    seal(&mut file);
    Ok(file)
}

/// Writes the digest of a file whose other bytes are final. Does nothing where there is no whole header.
pub fn seal(file: &mut [u8]) {
    let digest = crate::digest(file);
    if let Some(field) = file.get_mut(layout::HEADER_SHA256) {
        field.copy_from_slice(&digest);
    }
}

/// A file's bytes at an address that is a multiple of 16.
#[derive(Clone, Debug, Default)]
pub struct AlignedBytes {
    blocks: Vec<u128>,
    len: usize,
}

const _: () = assert!(align_of::<u128>() == ALIGN);

impl From<&[u8]> for AlignedBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut blocks = alloc::vec![0_u128; bytes.len().div_ceil(ALIGN)];
        bytemuck::cast_slice_mut(&mut blocks)[..bytes.len()].copy_from_slice(bytes);
        AlignedBytes {
            blocks,
            len: bytes.len(),
        }
    }
}

impl core::ops::Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }
}

impl core::ops::DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }
}
