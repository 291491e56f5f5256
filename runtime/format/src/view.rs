//! A model file as proved: [`ModelView::new_checked`] looks at everything once, the accessors then only read.

use bytemuck::AnyBitPattern;

use crate::layout::{self, Sections};
use crate::plan::{self, RecordFault};
use crate::{
    Class, DType, Extent, FormatError, Parts, Program, QParams, RawTensor, Tag, TaskRecord,
    TensorInfo,
};

/// A model file whose structure has been proved.
///
/// Proved are header, section table, tensor records, operator records and the arena plan (`docs/model-format.md`, what load proves). Not proved are the
/// operators' attributes, which `ocellus::Model::load` checks against the operators' definitions, and the digest: [`verify`](crate::verify).
#[derive(Clone, Copy, Debug)]
pub struct ModelView<'m> {
    file: &'m [u8],
    program: Program<'m>,
    parts: Parts,
    tensors: &'m [RawTensor],
    weights: &'m [u8],
    task: Option<&'m [u8]>,
    info: Option<&'m [u8]>,
    signature: Option<&'m [u8]>,
}

impl<'m> ModelView<'m> {
    /// Proves a file. `bytes` begin at a multiple of 16; what follows the file's stated length is ignored.
    ///
    /// # Errors
    /// A [`FormatError`] that names the first fault.
    pub fn new_checked(bytes: &'m [u8]) -> Result<Self, FormatError> {
        if !bytes.as_ptr().addr().is_multiple_of(layout::ALIGN) {
            return Err(FormatError::BaseMisaligned);
        }
        let file = layout::trim(bytes)?;
        let Sections {
            program,
            tensors,
            parts,
            weights,
            info,
            task,
            signature,
        } = layout::sections(file)?;
        let missing = |tag| FormatError::SectionMissing { tag };
        let program = Program::decode(program.ok_or(missing(Tag::PROGRAM))?)?;
        let parts = Parts::decode(parts, program.arena_bytes)?;
        let tensors = tensors.ok_or(missing(Tag::TENSORS))?;
        let tensors: &[RawTensor] =
            bytemuck::try_cast_slice(tensors).map_err(|_| FormatError::Tensor { index: 0 })?;
        if tensors.len() > usize::from(u16::MAX) {
            return Err(FormatError::Limit);
        }
        let weights = weights.unwrap_or_default();
        for (index, record) in (0_u16..).zip(tensors) {
            let in_arena = index < program.arena_tensor_count;
            plan::check_record(record, in_arena, &parts, weights.len()).map_err(
                |fault| match fault {
                    RecordFault::Malformed => FormatError::Tensor { index },
                    RecordFault::Class => FormatError::TensorClass { index },
                },
            )?;
        }
        plan::check(&program, &parts, tensors)?;
        Ok(ModelView {
            file,
            program,
            parts,
            tensors,
            weights,
            task,
            info,
            signature,
        })
    }

    /// The file's bytes.
    pub fn file(&self) -> &'m [u8] {
        self.file
    }

    /// The program: entry point and operators.
    pub fn program(&self) -> &Program<'m> {
        &self.program
    }

    /// The parts of the arena.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// How many tensors there are, constants included.
    pub fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    /// The tensor of that index.
    pub fn tensor(&self, index: u16) -> Option<TensorInfo> {
        let record = self.tensors.get(usize::from(index))?;
        let extent = extent(record)?;
        Some(TensorInfo {
            class: extent.class,
            dtype: extent.dtype,
            offset: extent.offset,
            len_bytes: extent.len_bytes,
            len: extent.len,
            first_step: record.first_step,
            last_step: record.last_step,
            qparams: QParams {
                scale: record.scale,
                zero_point: record.zero_point,
            },
            rank: record.rank,
            dims: record.dims,
        })
    }

    /// Where the tensor of that index lies, and what it holds.
    pub fn extent(&self, index: u16) -> Option<Extent> {
        extent(self.tensors.get(usize::from(index))?)
    }

    /// The elements of a constant, in place; `None` where the tensor is no constant or `T` not of its element size.
    pub fn constant<T: AnyBitPattern>(&self, tensor: &Extent) -> Option<&'m [T]> {
        if tensor.class != Class::Constant {
            return None;
        }
        let start = tensor.offset as usize;
        let bytes = self
            .weights
            .get(start..start.checked_add(tensor.len_bytes as usize)?)?;
        bytemuck::try_cast_slice(bytes)
            .ok()
            .filter(|values: &&[T]| values.len() == tensor.len as usize)
    }

    /// The weights section.
    pub fn weights(&self) -> &'m [u8] {
        self.weights
    }

    /// What the model is for, where the file says.
    ///
    /// # Errors
    /// [`FormatError::Task`]
    pub fn task(&self) -> Result<Option<TaskRecord<'m>>, FormatError> {
        self.task.map(TaskRecord::decode).transpose()
    }

    /// The information section as it lies in the file.
    pub fn info_bytes(&self) -> Option<&'m [u8]> {
        self.info
    }

    /// The signature section as it lies in the file.
    pub fn signature_bytes(&self) -> Option<&'m [u8]> {
        self.signature
    }

    /// Names and provenance, where the file has them.
    ///
    /// # Errors
    /// [`FormatError::Info`]
    #[cfg(feature = "write")]
    pub fn info(&self) -> Result<Option<crate::Info>, FormatError> {
        self.info.map(crate::Info::decode).transpose()
    }
}

#[inline(never)]
fn extent(record: &RawTensor) -> Option<Extent> {
    let dtype = DType::from_code(record.dtype)?;
    let len = match dtype {
        DType::S8 | DType::U8 => record.len_bytes,
        DType::S16 | DType::U16 => record.len_bytes >> 1,
        DType::S32 | DType::U32 | DType::F32 => record.len_bytes >> 2,
        // An odd count of elements leaves half a byte; the sizes have it.
        DType::S4 => record
            .dims
            .iter()
            .take(usize::from(record.rank))
            .fold(1, |len, &size| size.wrapping_mul(len)),
    };
    Some(Extent {
        class: Class::from_code(record.class)?,
        dtype,
        offset: record.offset,
        len_bytes: record.len_bytes,
        len,
    })
}
