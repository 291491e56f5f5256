//! Operator definitions: what converter and device must agree on, once.
//!
//! Each operator has a parameter struct (its attributes in the file, and the argument of its kernels), a check that proves
//! its operands against the parameters, and its count of multiply-accumulates. The arithmetic is in `docs/numerics.md`.

mod arg_max;
mod batch_mat_mul;
mod binary;
mod conv_2d;
mod conv_2d_add;
mod depthwise_conv_2d;
mod fully_connected;
mod index;
mod layer_norm;
mod lookup;
mod movement;
mod pool_2d;
mod prelu;
mod resize;
mod softmax;
mod take;
mod transpose_conv_2d;
mod wide;
mod window;

pub use arg_max::{ArgMax, TopK};
pub use batch_mat_mul::{BatchMatMul, STACK_RANK};
pub use binary::{Add, BROADCAST_RANK, Binary, Div, Maximum, Minimum, Mul};
pub use conv_2d::Conv2d;
pub use conv_2d_add::Conv2dAdd;
pub use depthwise_conv_2d::DepthwiseConv2d;
pub use fully_connected::FullyConnected;
pub use index::IndexType;
pub use layer_norm::LayerNorm;
pub use lookup::Lookup;
pub use movement::{Concat, Gather, MOVE_RANK, Pad, Slice, Transpose};
pub use pool_2d::{AveragePool2d, MaxPool2d};
pub use prelu::Prelu;
pub use resize::{ResizeBilinear, ResizeNearest};
pub use softmax::Softmax;
pub use take::{GatherElements, Take};
pub use transpose_conv_2d::TransposeConv2d;
pub use wide::WIDE_CHANNELS_INPUT;
pub use window::Window2d;

use serde::{Deserialize, Serialize};

use crate::{Class, DType, Extent};

/// Operators, by their number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
#[repr(u8)]
pub enum OpCode {
    /// [`Conv2d`].
    Conv2d = 1,
    /// [`DepthwiseConv2d`].
    DepthwiseConv2d = 2,
    /// [`TransposeConv2d`].
    TransposeConv2d = 3,
    /// [`FullyConnected`].
    FullyConnected = 4,
    /// [`MaxPool2d`].
    MaxPool2d = 5,
    /// [`AveragePool2d`].
    AveragePool2d = 6,
    /// [`Add`].
    Add = 7,
    /// [`Mul`].
    Mul = 8,
    /// [`Minimum`].
    Minimum = 9,
    /// [`Maximum`].
    Maximum = 10,
    /// [`Lookup`].
    Lookup = 11,
    /// [`Prelu`].
    Prelu = 12,
    /// [`Softmax`].
    Softmax = 13,
    /// [`Concat`].
    Concat = 14,
    /// [`Slice`].
    Slice = 15,
    /// [`Pad`].
    Pad = 16,
    /// [`Transpose`].
    Transpose = 17,
    /// [`Gather`].
    Gather = 18,
    /// [`ResizeNearest`].
    ResizeNearest = 19,
    /// [`ResizeBilinear`].
    ResizeBilinear = 20,
    /// [`ArgMax`].
    ArgMax = 21,
    /// [`BatchMatMul`].
    BatchMatMul = 22,
    /// [`LayerNorm`].
    LayerNorm = 23,
    /// [`Take`].
    Take = 24,
    /// [`GatherElements`].
    GatherElements = 25,
    /// [`TopK`].
    TopK = 26,
    /// [`Div`].
    Div = 27,
    /// [`Conv2dAdd`].
    Conv2dAdd = 28,
}

impl OpCode {
    /// Every operator, in the order of the numbers, from 1 on.
    pub const ALL: [OpCode; 28] = [
        OpCode::Conv2d,
        OpCode::DepthwiseConv2d,
        OpCode::TransposeConv2d,
        OpCode::FullyConnected,
        OpCode::MaxPool2d,
        OpCode::AveragePool2d,
        OpCode::Add,
        OpCode::Mul,
        OpCode::Minimum,
        OpCode::Maximum,
        OpCode::Lookup,
        OpCode::Prelu,
        OpCode::Softmax,
        OpCode::Concat,
        OpCode::Slice,
        OpCode::Pad,
        OpCode::Transpose,
        OpCode::Gather,
        OpCode::ResizeNearest,
        OpCode::ResizeBilinear,
        OpCode::ArgMax,
        OpCode::BatchMatMul,
        OpCode::LayerNorm,
        OpCode::Take,
        OpCode::GatherElements,
        OpCode::TopK,
        OpCode::Div,
        OpCode::Conv2dAdd,
    ];

    /// Reads the number in a file.
    pub fn from_code(code: u8) -> Option<OpCode> {
        OpCode::ALL.get(usize::from(code).wrapping_sub(1)).copied()
    }

    /// The operator's name, spelled the same in every layer.
    pub const fn name(self) -> &'static str {
        match self {
            OpCode::Conv2d => "conv_2d",
            OpCode::DepthwiseConv2d => "depthwise_conv_2d",
            OpCode::TransposeConv2d => "transpose_conv_2d",
            OpCode::FullyConnected => "fully_connected",
            OpCode::MaxPool2d => "max_pool_2d",
            OpCode::AveragePool2d => "average_pool_2d",
            OpCode::Add => "add",
            OpCode::Mul => "mul",
            OpCode::Minimum => "minimum",
            OpCode::Maximum => "maximum",
            OpCode::Lookup => "lookup",
            OpCode::Prelu => "prelu",
            OpCode::Softmax => "softmax",
            OpCode::Concat => "concat",
            OpCode::Slice => "slice",
            OpCode::Pad => "pad",
            OpCode::Transpose => "transpose",
            OpCode::Gather => "gather",
            OpCode::ResizeNearest => "resize_nearest",
            OpCode::ResizeBilinear => "resize_bilinear",
            OpCode::ArgMax => "arg_max",
            OpCode::BatchMatMul => "batch_mat_mul",
            OpCode::LayerNorm => "layer_norm",
            OpCode::Take => "take",
            OpCode::GatherElements => "gather_elements",
            OpCode::TopK => "top_k",
            OpCode::Div => "div",
            OpCode::Conv2dAdd => "conv_2d_add",
        }
    }

    /// True where output 0 may lie exactly where input 0 lies.
    pub const fn runs_in_place(self) -> bool {
        matches!(
            self,
            OpCode::Add
                | OpCode::Mul
                | OpCode::Minimum
                | OpCode::Maximum
                | OpCode::Lookup
                | OpCode::Prelu
                | OpCode::Div
                | OpCode::Conv2dAdd
        )
    }
}

/// Why an operator's record cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OpError {
    /// A size is zero, above 65,535, or sizes contradict each other.
    Shape,
    /// A parameter lies outside its range (stride 0, shift above 62, axis outside the rank).
    Parameter,
    /// The count of inputs or outputs is wrong.
    OperandCount,
    /// Input `index` has another type, length or memory than the parameters say.
    Input {
        /// Position among the inputs.
        index: u8,
    },
    /// Output `index` has another type, length or memory than the parameters say.
    Output {
        /// Position among the outputs.
        index: u8,
    },
    /// The stated bound of the accumulator is `2^31` or more.
    AccumulatorBound,
    /// Fewer bytes of scratch than the operator needs on every machine.
    Scratch,
}

/// An operator's parameters: its attributes in the file and the argument of its kernels.
pub trait Params<'de>: Copy + Serialize + Deserialize<'de> {
    /// Its number in the file.
    const CODE: OpCode;

    /// Proves that the operands are what the parameters say, so that a kernel need not.
    ///
    /// # Errors
    /// An [`OpError`] that names the first contradiction.
    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError>;

    /// Bytes of scratch without which the operator runs nowhere; what a kernel wants beside them is its own matter.
    fn scratch_bytes(&self) -> u32 {
        0
    }

    /// Multiply-accumulates of one run; 0 where the operator does not multiply by weights.
    fn macs(&self) -> u64 {
        0
    }
}

/// The tensors that a file gives to an operator.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    /// In the order that the operator documents.
    pub inputs: &'a [Extent],
    /// In the order that the operator documents.
    pub outputs: &'a [Extent],
}

impl Operands<'_> {
    /// Proves the counts of inputs and outputs.
    ///
    /// # Errors
    /// [`OpError::OperandCount`].
    pub fn expect_counts(&self, inputs: usize, outputs: usize) -> Result<(), OpError> {
        if self.inputs.len() == inputs && self.outputs.len() == outputs {
            Ok(())
        } else {
            Err(OpError::OperandCount)
        }
    }

    /// Proves type and length of an input, which may lie in any memory.
    ///
    /// # Errors
    /// [`OpError::Input`].
    pub fn expect_input(&self, index: usize, dtype: DType, len: u64) -> Result<(), OpError> {
        let fits = self
            .inputs
            .get(index)
            .is_some_and(|t| t.dtype == dtype && u64::from(t.len) == len);
        if fits {
            Ok(())
        } else {
            Err(OpError::Input { index: index as u8 })
        }
    }

    /// Proves type and length of an input that must be a constant.
    ///
    /// # Errors
    /// [`OpError::Input`].
    pub fn expect_constant(&self, index: usize, dtype: DType, len: u64) -> Result<(), OpError> {
        self.expect_input(index, dtype, len)?;
        let constant = self
            .inputs
            .get(index)
            .is_some_and(|t| t.class == Class::Constant);
        if constant {
            Ok(())
        } else {
            Err(OpError::Input { index: index as u8 })
        }
    }

    /// Proves type and length of an output, which must not be a constant.
    ///
    /// # Errors
    /// [`OpError::Output`].
    pub fn expect_output(&self, index: usize, dtype: DType, len: u64) -> Result<(), OpError> {
        let fits = self.outputs.get(index).is_some_and(|t| {
            t.dtype == dtype && u64::from(t.len) == len && t.class != Class::Constant
        });
        if fits {
            Ok(())
        } else {
            Err(OpError::Output { index: index as u8 })
        }
    }
}

/// Largest size of one axis. Keeps every product of three sizes inside 48 bits.
pub const MAX_SIZE: u32 = 65_535;

/// The product of sizes, each `1..=65,535`, below `2^31`.
pub(crate) fn product(sizes: &[u32]) -> Result<u64, OpError> {
    let mut len = 1_u64;
    for &size in sizes {
        if size == 0 || size > MAX_SIZE {
            return Err(OpError::Shape);
        }
        len *= u64::from(size);
        if len >= 1 << 31 {
            return Err(OpError::Shape);
        }
    }
    Ok(len)
}

/// The output's zero point and fused activation of an `s8` operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputS8 {
    /// Zero point of the output.
    pub zero_point: i8,
    /// Smallest value written.
    pub min: i8,
    /// Largest value written; not below `min`.
    pub max: i8,
}

impl OutputS8 {
    /// The whole `s8` range.
    pub const fn unclamped(zero_point: i8) -> OutputS8 {
        OutputS8 {
            zero_point,
            min: i8::MIN,
            max: i8::MAX,
        }
    }

    /// # Errors
    /// [`OpError::Parameter`] where `min > max`.
    pub(crate) fn check(self) -> Result<(), OpError> {
        if self.min <= self.max {
            Ok(())
        } else {
            Err(OpError::Parameter)
        }
    }

    /// `clamp(value + zero_point, min, max)`, rule 3's last line.
    pub fn finish(self, value: i32) -> i8 {
        let y = value.saturating_add(i32::from(self.zero_point));
        // Not `clamp`: it panics where min > max, which a check excludes but the compiler cannot see.
        y.max(i32::from(self.min)).min(i32::from(self.max)) as i8
    }
}
