//! Tensor records: where a tensor lies, what it holds, when it is alive.

use bytemuck::{Pod, Zeroable};

use crate::QParams;

/// Element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum DType {
    /// Signed 8 bits: activations, weights, tables.
    S8 = 0,
    /// Unsigned 8 bits: shifts.
    U8 = 1,
    /// Signed 16 bits.
    S16 = 2,
    /// Unsigned 16 bits: index tables.
    U16 = 3,
    /// Signed 32 bits: bias, multipliers.
    S32 = 4,
    /// Unsigned 32 bits: exponential tables.
    U32 = 5,
    /// IEEE single.
    F32 = 6,
    /// Signed 4 bits, two a byte. Reserved.
    S4 = 7,
}

impl DType {
    /// Reads the number in a file.
    pub const fn from_code(code: u8) -> Option<DType> {
        Some(match code {
            0 => DType::S8,
            1 => DType::U8,
            2 => DType::S16,
            3 => DType::U16,
            4 => DType::S32,
            5 => DType::U32,
            6 => DType::F32,
            7 => DType::S4,
            _ => return None,
        })
    }

    /// Bytes that `len` elements take.
    pub const fn bytes(self, len: u64) -> Option<u64> {
        match self {
            DType::S8 | DType::U8 => Some(len),
            DType::S16 | DType::U16 => len.checked_mul(2),
            DType::S32 | DType::U32 | DType::F32 => len.checked_mul(4),
            DType::S4 => Some(len.div_ceil(2)),
        }
    }

    /// The word in reports: `s8`, `f32`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::S8 => "s8",
            DType::U8 => "u8",
            DType::S16 => "s16",
            DType::U16 => "u16",
            DType::S32 => "s32",
            DType::U32 => "u32",
            DType::F32 => "f32",
            DType::S4 => "s4",
        }
    }
}

/// The elements of a tensor of integers, from its bytes: little-endian. Those of another type are 0.
pub fn elements(dtype: DType, bytes: &[i8]) -> impl Iterator<Item = i32> {
    let width = match dtype {
        DType::S16 | DType::U16 => 2,
        DType::S32 | DType::U32 | DType::F32 => 4,
        DType::S8 | DType::U8 | DType::S4 => 1,
    };
    bytes.chunks_exact(width).map(move |element| {
        let byte = |at: usize| element.get(at).map_or(0, |&byte| byte as u8);
        match dtype {
            DType::S8 => i32::from(byte(0) as i8),
            DType::U8 => i32::from(byte(0)),
            DType::S16 => i32::from(i16::from_le_bytes([byte(0), byte(1)])),
            DType::U16 => i32::from(u16::from_le_bytes([byte(0), byte(1)])),
            DType::S32 => i32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]),
            DType::U32 | DType::F32 | DType::S4 => 0,
        }
    })
}

/// Lifetime class of a tensor: which memory holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Class {
    /// In the arena, between its first and last step.
    Arena = 0,
    /// In the arena, kept from one run to the next. Reserved for recurrent models.
    State = 1,
    /// In the weights section.
    Constant = 2,
    /// In a buffer that the caller hands over. Reserved.
    External = 3,
}

impl Class {
    /// Reads the number in a file.
    pub const fn from_code(code: u8) -> Option<Class> {
        Some(match code {
            0 => Class::Arena,
            1 => Class::State,
            2 => Class::Constant,
            3 => Class::External,
            _ => return None,
        })
    }
}

/// Most axes that a tensor can have.
pub const MAX_RANK: usize = 6;

/// Bytes of one record in the tensor section.
pub const TENSOR_RECORD_BYTES: usize = size_of::<RawTensor>();

/// A tensor as it lies in the file: little-endian, 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct RawTensor {
    /// [`Class`].
    pub class: u8,
    /// [`DType`].
    pub dtype: u8,
    /// Axes in use of `dims`.
    pub rank: u8,
    /// Zero.
    pub reserved: u8,
    /// Byte offset in the arena or in the weights section; a multiple of 16.
    pub offset: u32,
    /// Bytes that the elements take.
    pub len_bytes: u32,
    /// Step that writes it: 0 for model inputs, else 1 + the operator's index.
    pub first_step: u16,
    /// Last step that reads it; outputs of the model: 1 + the count of operators.
    pub last_step: u16,
    /// [`QParams::scale`]; 0 where quantization means nothing.
    pub scale: f32,
    /// [`QParams::zero_point`].
    pub zero_point: i32,
    /// Sizes; unused axes are 0.
    pub dims: [u32; MAX_RANK],
}

/// Where a tensor lies and what it holds: what an operator needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Which memory.
    pub class: Class,
    /// Element type.
    pub dtype: DType,
    /// Byte offset in that memory.
    pub offset: u32,
    /// Bytes.
    pub len_bytes: u32,
    /// Elements.
    pub len: u32,
}

/// A tensor whose record has been checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorInfo {
    /// Which memory.
    pub class: Class,
    /// Element type.
    pub dtype: DType,
    /// Byte offset in that memory.
    pub offset: u32,
    /// Bytes.
    pub len_bytes: u32,
    /// Elements.
    pub len: u32,
    /// Step that writes it.
    pub first_step: u16,
    /// Last step that reads it.
    pub last_step: u16,
    /// Scale and zero point.
    pub qparams: QParams,
    /// Axes in use.
    pub rank: u8,
    /// Sizes; unused axes are 0.
    pub dims: [u32; MAX_RANK],
}

impl TensorInfo {
    /// Where it lies and what it holds.
    pub fn extent(&self) -> Extent {
        Extent {
            class: self.class,
            dtype: self.dtype,
            offset: self.offset,
            len_bytes: self.len_bytes,
            len: self.len,
        }
    }

    /// The sizes in use.
    pub fn shape(&self) -> &[u32] {
        self.dims
            .get(..usize::from(self.rank))
            .unwrap_or(&self.dims)
    }
}
