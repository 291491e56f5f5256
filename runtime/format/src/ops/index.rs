use serde::{Deserialize, Serialize};

use super::MAX_SIZE;
use crate::DType;

/// Element type of a tensor of indices. Such a tensor has scale 1 and zero point 0: its elements are the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexType {
    /// Of an axis of up to 256.
    U8,
    /// Of any axis.
    U16,
    /// What comes from outside the model: may be negative or beyond the axis.
    S32,
}

impl IndexType {
    /// The smallest type that counts an axis of `n`.
    pub const fn for_count(n: u32) -> IndexType {
        if n <= 256 {
            IndexType::U8
        } else {
            IndexType::U16
        }
    }

    /// Its element type.
    pub const fn dtype(self) -> DType {
        match self {
            IndexType::U8 => DType::U8,
            IndexType::U16 => DType::U16,
            IndexType::S32 => DType::S32,
        }
    }

    /// The type of that element type, where indices can have it.
    pub const fn from_dtype(dtype: DType) -> Option<IndexType> {
        match dtype {
            DType::U8 => Some(IndexType::U8),
            DType::U16 => Some(IndexType::U16),
            DType::S32 => Some(IndexType::S32),
            _ => None,
        }
    }

    /// True where an operator may write indices of an axis of `n` in this type.
    pub(crate) const fn counts(self, n: u32) -> bool {
        match self {
            IndexType::U8 => n <= 256,
            IndexType::U16 => n <= MAX_SIZE,
            IndexType::S32 => false,
        }
    }
}
