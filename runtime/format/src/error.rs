//! Why a file is refused.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::Tag;

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The file is wrong: damaged, or written by a faulty tool.
    Malformed,
    /// The file may be right, and this version of Ocellus cannot run it.
    Unsupported,
    /// The file is right and this device or caller does not fit it.
    Mismatch,
}

/// Why a file is not a model file that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes do not begin at an address that is a multiple of 16. Place them with [`Aligned`](crate::Aligned).
    BaseMisaligned,
    /// Fewer bytes than the header says, or than a header takes. Copy the file again.
    Truncated {
        /// What the header says, or the header's own size.
        needed_bytes: u32,
        /// What there is.
        given_bytes: u32,
    },
    /// The first bytes are not those of a model file.
    Magic,
    /// Another version of the format. Convert the model again with this version's converter.
    Version {
        /// What the header says.
        found: u16,
    },
    /// A header byte that must be zero is not, or the count of sections is above the limit.
    Header,
    /// A section lies outside the file, off a multiple of 16, over another one, or appears twice.
    Section {
        /// Position in the section table.
        index: u16,
    },
    /// A section is marked as required and this version does not know it. Update the firmware.
    RequiredSection {
        /// Its tag.
        tag: Tag,
    },
    /// A section that every model has is not there.
    SectionMissing {
        /// Its tag.
        tag: Tag,
    },
    /// The program section does not decode, or bytes follow its last operator.
    Program,
    /// The program names an instruction set that this version does not know. Update the firmware.
    Isa {
        /// Its number.
        code: u8,
    },
    /// More than one entry point, or an entry point that is not one CPU segment of all operators.
    Entry,
    /// More operators, tensors, inputs or outputs, or a larger arena than the limits of the format.
    Limit,
    /// A tensor record contradicts itself, the arena's parts or the weights section.
    Tensor {
        /// Index of the record.
        index: u16,
    },
    /// A tensor's class is reserved for a later version.
    TensorClass {
        /// Index of the record.
        index: u16,
    },
    /// An operator's record does not decode.
    Operator {
        /// Index of the operator.
        index: u16,
    },
    /// An operator that this version does not know. Update the firmware.
    OperatorCode {
        /// Index of the operator.
        index: u16,
        /// Its number.
        code: u8,
    },
    /// An operator reads a tensor that no earlier step wrote, that is not kept that long, or that does not exist.
    Read {
        /// Index of the operator; the count of operators for an output of the model.
        index: u16,
        /// Index of the tensor.
        tensor: u16,
    },
    /// An operator writes a tensor that is not the next one, or whose record names another step.
    Write {
        /// Index of the operator; the count of operators for an input of the model.
        index: u16,
        /// Index of the tensor.
        tensor: u16,
    },
    /// Two tensors lie on each other while both are needed.
    Overlap {
        /// Index of the operator that writes the later one; 0 for two inputs of the model.
        index: u16,
        /// Index of the earlier tensor.
        tensor: u16,
    },
    /// Scratch lies outside the arena, across the end of a part, off a multiple of 16, or over a tensor that is needed.
    Scratch {
        /// Index of the operator.
        index: u16,
    },
    /// The task section does not decode, or names a task of a later version.
    Task,
    /// The information section does not decode.
    Info,
    /// The SHA-256 in the header is not that of the file. Copy the file again.
    Digest,
    /// The sizes of the arena's parts contradict each other or the arena's size, or there are more than the limit.
    Parts,
}

impl FormatError {
    /// Whose fault it is.
    pub const fn family(self) -> Family {
        match self {
            FormatError::BaseMisaligned => Family::Mismatch,
            FormatError::Version { .. }
            | FormatError::RequiredSection { .. }
            | FormatError::Isa { .. }
            | FormatError::Entry
            | FormatError::Limit
            | FormatError::TensorClass { .. }
            | FormatError::OperatorCode { .. } => Family::Unsupported,
            _ => Family::Malformed,
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            FormatError::BaseMisaligned => f.write_str(
                "the model's bytes must begin at a multiple of 16; place them with `Aligned`",
            ),
            FormatError::Truncated {
                needed_bytes,
                given_bytes,
            } => {
                write!(
                    f,
                    "the model file has {given_bytes} of {needed_bytes} bytes; copy it again"
                )
            }
            FormatError::Magic => {
                f.write_str("not an Ocellus model file: the first bytes are others")
            }
            FormatError::Version { found } => {
                write!(
                    f,
                    "model format version {found}, and this is version {}; convert the model again",
                    crate::FORMAT_VERSION
                )
            }
            FormatError::Header => f.write_str("the model file's header is damaged"),
            FormatError::Section { index } => {
                write!(f, "entry {index} of the section table is damaged")
            }
            FormatError::RequiredSection { tag } => write!(
                f,
                "the model needs section {tag}, which this version does not know; update it"
            ),
            FormatError::SectionMissing { tag } => write!(f, "the model file has no section {tag}"),
            FormatError::Program => f.write_str("the program section is damaged"),
            FormatError::Isa { code } => write!(
                f,
                "instruction set {code} is not known to this version; update it"
            ),
            FormatError::Entry => {
                f.write_str("this version runs models with one entry point of one CPU segment")
            }
            FormatError::Limit => f.write_str("the model exceeds a limit of the format"),
            FormatError::Tensor { index } => write!(f, "tensor record {index} is damaged"),
            FormatError::TensorClass { index } => write!(
                f,
                "tensor {index} is of a class that this version does not support; update it"
            ),
            FormatError::Operator { index } => write!(f, "operator record {index} is damaged"),
            FormatError::OperatorCode { index, code } => {
                write!(
                    f,
                    "operator {index} has code {code}, which this version does not know; update it"
                )
            }
            FormatError::Read { index, tensor } => write!(
                f,
                "operator {index} reads tensor {tensor}, which holds nothing at that step"
            ),
            FormatError::Write { index, tensor } => {
                write!(f, "operator {index} writes tensor {tensor} out of order")
            }
            FormatError::Overlap { index, tensor } => write!(
                f,
                "operator {index} overwrites tensor {tensor}, which is still needed"
            ),
            FormatError::Scratch { index } => write!(
                f,
                "the scratch of operator {index} lies outside the arena or over a tensor"
            ),
            FormatError::Task => f.write_str("the task section is damaged or of a later version"),
            FormatError::Info => {
                f.write_str("the information section is damaged or of a later version")
            }
            FormatError::Digest => {
                f.write_str("the model file's SHA-256 does not match; copy it again")
            }
            FormatError::Parts => f.write_str("the list of the arena's parts is damaged"),
        }
    }
}

impl core::error::Error for FormatError {}
