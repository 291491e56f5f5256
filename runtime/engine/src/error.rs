use core::fmt;

use ocellus_format::ops::{OpCode, OpError};
use ocellus_format::{Family, FormatError};
use serde::{Deserialize, Serialize};

/// Why a model cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is not a model file that this version can read.
    Format(FormatError),
    /// An operator's attributes do not decode: a damaged file, or a weight layout of a later version.
    Attributes {
        /// Index of the operator.
        index: u16,
        /// What it does.
        code: OpCode,
    },
    /// An operator's attributes contradict its tensors or themselves.
    Operator {
        /// Index of the operator.
        index: u16,
        /// What it does.
        code: OpCode,
        /// The contradiction.
        error: OpError,
    },
    /// The model uses an operator that is not in the table. Build the image for this model, or with all operators.
    OpNotLinked {
        /// Index of the first such operator.
        index: u16,
        /// What it does.
        code: OpCode,
    },
    /// An input of the model is neither of type `s8` nor, for whole numbers, `s32`. Convert the model again.
    InputType {
        /// Position among the inputs.
        position: u16,
    },
    /// The arena is shorter than the plan's peak, or a memory than its part of the arena. Make it larger, or the model's input smaller.
    ArenaTooSmall {
        /// The plan's peak or the part's bytes, and what it takes to begin at a multiple of 16.
        needed_bytes: usize,
        /// What was handed over; 0 where there are fewer memories than parts.
        given_bytes: usize,
    },
}

impl LoadError {
    /// Whose fault it is.
    pub const fn family(self) -> Family {
        match self {
            LoadError::Format(error) => error.family(),
            LoadError::Attributes { .. } | LoadError::Operator { .. } => Family::Malformed,
            LoadError::InputType { .. } => Family::Unsupported,
            LoadError::OpNotLinked { .. } | LoadError::ArenaTooSmall { .. } => Family::Mismatch,
        }
    }
}

impl From<FormatError> for LoadError {
    fn from(error: FormatError) -> Self {
        LoadError::Format(error)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            LoadError::Format(error) => error.fmt(f),
            LoadError::Attributes { index, code } => {
                write!(
                    f,
                    "operator {index} ({}): its attributes are damaged or of a later version",
                    code.name()
                )
            }
            LoadError::Operator { index, code, error } => {
                write!(
                    f,
                    "operator {index} ({}) is damaged: {error:?}",
                    code.name()
                )
            }
            LoadError::OpNotLinked { index, code } => {
                let name = code.name();
                write!(
                    f,
                    "operator {index} needs `{name}`, which is not linked; build for this model, or with all operators"
                )
            }
            LoadError::InputType { position } => {
                write!(
                    f,
                    "input {position} is neither s8 nor s32; convert the model again"
                )
            }
            LoadError::ArenaTooSmall {
                needed_bytes,
                given_bytes,
            } => {
                write!(
                    f,
                    "the model needs an arena of {needed_bytes} bytes and was given {given_bytes}"
                )
            }
        }
    }
}

impl core::error::Error for LoadError {}

/// Why a run ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RunError {
    /// An operator is no longer what [`Model::load`](crate::Model::load) proved: the memory that holds the file was written or has failed. Load again.
    ModelChanged {
        /// Index of the operator.
        index: u16,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RunError::ModelChanged { index } => {
                write!(
                    f,
                    "operator {index} has changed since the model was loaded; load it again"
                )
            }
        }
    }
}

impl core::error::Error for RunError {}
