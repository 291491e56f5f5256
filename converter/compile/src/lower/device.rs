//! The program of the device: its operators, tensors and constants, before memory is planned.

use ocellus_format::ops::{self, IndexType, OpCode, OpError, Operands, Params};
use ocellus_format::{Class, DType, Extent, MAX_RANK, QParams};
use ocellus_kernels::select::Operator;

/// An operator with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the operator of its name")]
pub enum DeviceOp {
    Conv2d(ops::Conv2d),
    DepthwiseConv2d(ops::DepthwiseConv2d),
    TransposeConv2d(ops::TransposeConv2d),
    FullyConnected(ops::FullyConnected),
    MaxPool2d(ops::MaxPool2d),
    AveragePool2d(ops::AveragePool2d),
    Add(ops::Add),
    Mul(ops::Mul),
    Minimum(ops::Minimum),
    Maximum(ops::Maximum),
    Lookup(ops::Lookup),
    Prelu(ops::Prelu),
    Softmax(ops::Softmax),
    Concat(ops::Concat),
    Slice(ops::Slice),
    Pad(ops::Pad),
    Transpose(ops::Transpose),
    Gather(ops::Gather),
    ResizeNearest(ops::ResizeNearest),
    ResizeBilinear(ops::ResizeBilinear),
    ArgMax(ops::ArgMax),
    BatchMatMul(ops::BatchMatMul),
    LayerNorm(ops::LayerNorm),
    Take(ops::Take),
    GatherElements(ops::GatherElements),
    TopK(ops::TopK),
    Div(ops::Div),
    Conv2dAdd(ops::Conv2dAdd),
}

/// Calls the same thing for whichever parameters there are.
macro_rules! each {
    ($op:expr, $p:ident => $body:expr) => {
        match $op {
            DeviceOp::Conv2d($p) => $body,
            DeviceOp::DepthwiseConv2d($p) => $body,
            DeviceOp::TransposeConv2d($p) => $body,
            DeviceOp::FullyConnected($p) => $body,
            DeviceOp::MaxPool2d($p) => $body,
            DeviceOp::AveragePool2d($p) => $body,
            DeviceOp::Add($p) => $body,
            DeviceOp::Mul($p) => $body,
            DeviceOp::Minimum($p) => $body,
            DeviceOp::Maximum($p) => $body,
            DeviceOp::Lookup($p) => $body,
            DeviceOp::Prelu($p) => $body,
            DeviceOp::Softmax($p) => $body,
            DeviceOp::Concat($p) => $body,
            DeviceOp::Slice($p) => $body,
            DeviceOp::Pad($p) => $body,
            DeviceOp::Transpose($p) => $body,
            DeviceOp::Gather($p) => $body,
            DeviceOp::ResizeNearest($p) => $body,
            DeviceOp::ResizeBilinear($p) => $body,
            DeviceOp::ArgMax($p) => $body,
            DeviceOp::BatchMatMul($p) => $body,
            DeviceOp::LayerNorm($p) => $body,
            DeviceOp::Take($p) => $body,
            DeviceOp::GatherElements($p) => $body,
            DeviceOp::TopK($p) => $body,
            DeviceOp::Div($p) => $body,
            DeviceOp::Conv2dAdd($p) => $body,
        }
    };
}
pub(crate) use each;

fn code_of<'de, P: Params<'de>>(_: &P) -> OpCode {
    P::CODE
}

impl DeviceOp {
    /// Its number in the file.
    pub fn code(&self) -> OpCode {
        each!(self, p => code_of(p))
    }

    /// The form in which kernels are asked for.
    pub fn operator(&self) -> Operator<'_> {
        each!(self, p => Operator::from(p))
    }

    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> u64 {
        each!(self, p => p.macs())
    }

    /// Proves operands against parameters, as the device will.
    ///
    /// # Errors
    /// What the operator's definition says.
    pub fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        each!(self, p => p.check(operands))
    }
}

/// A tensor in the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceTensor {
    /// The graph's name for it, or one derived from it.
    pub name: String,
    /// Sizes.
    pub shape: Vec<usize>,
    /// Scale and zero point.
    pub qparams: QParams,
    /// The type of a tensor of indices; others are `s8`.
    pub index: Option<IndexType>,
}

impl DeviceTensor {
    /// Element type.
    pub fn dtype(&self) -> DType {
        self.index.map_or(DType::S8, IndexType::dtype)
    }

    /// Bytes that it takes.
    pub fn size_bytes(&self) -> u64 {
        self.dtype().bytes(self.len() as u64).unwrap_or(u64::MAX)
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True where a size is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// What it is for: `conv1.weights`.
    pub name: String,
    /// Sizes.
    pub shape: Vec<usize>,
    /// Scale and zero point, where it is an operand like an activation.
    pub qparams: Option<QParams>,
    /// Elements.
    pub values: Values,
}

/// Elements of a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the element type of its name")]
pub enum Values {
    S8(Vec<i8>),
    U8(Vec<u8>),
    S16(Vec<i16>),
    U16(Vec<u16>),
    S32(Vec<i32>),
    U32(Vec<u32>),
}

impl Values {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Values::S8(_) => DType::S8,
            Values::U8(_) => DType::U8,
            Values::S16(_) => DType::S16,
            Values::U16(_) => DType::U16,
            Values::S32(_) => DType::S32,
            Values::U32(_) => DType::U32,
        }
    }

    /// Elements.
    pub fn len(&self) -> usize {
        match self {
            Values::S8(v) => v.len(),
            Values::U8(v) => v.len(),
            Values::S16(v) => v.len(),
            Values::U16(v) => v.len(),
            Values::S32(v) => v.len(),
            Values::U32(v) => v.len(),
        }
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an operator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A [`DeviceTensor`], by index.
    Tensor(usize),
    /// A [`Constant`], by index.
    Constant(usize),
}

/// One operator at work.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceNode {
    /// The graph's node, with a suffix where the node became several.
    pub name: String,
    /// What it does.
    pub op: DeviceOp,
    /// What it reads.
    pub inputs: Vec<Operand>,
    /// The tensor it writes.
    pub output: usize,
}

/// A device program. Tensors are numbered in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceProgram {
    /// In the arena.
    pub tensors: Vec<DeviceTensor>,
    /// In the weights section.
    pub constants: Vec<Constant>,
    /// In order.
    pub nodes: Vec<DeviceNode>,
    /// The model's inputs: the first tensors.
    pub inputs: Vec<usize>,
    /// The model's outputs, each once.
    pub outputs: Vec<usize>,
    /// Where each tensor of the graph lies, where it does.
    pub placed: Vec<Option<usize>>,
}

impl DeviceProgram {
    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|node| node.op.macs()).sum()
    }

    /// What the device's checks see of an operand, but for where it lies.
    pub(crate) fn extent(&self, operand: Operand) -> Extent {
        let (class, dtype, shape) = match operand {
            Operand::Tensor(index) => {
                let t = &self.tensors[index];
                (Class::Arena, t.dtype(), &t.shape)
            }
            Operand::Constant(index) => {
                let c = &self.constants[index];
                (Class::Constant, c.values.dtype(), &c.shape)
            }
        };
        let len: usize = shape.iter().product();
        Extent {
            class,
            dtype,
            offset: 0,
            len_bytes: dtype.bytes(len as u64).unwrap_or(0) as u32,
            len: len as u32,
        }
    }
}

/// A shape as a record holds it; leading axes are merged where there are more than a record has.
pub(crate) fn dims(shape: &[usize]) -> (u8, [u32; MAX_RANK]) {
    let surplus = shape.len().saturating_sub(MAX_RANK);
    let mut dims = [0; MAX_RANK];
    let (merged, rest) = shape.split_at(if surplus > 0 { surplus + 1 } else { 0 });
    let first = (surplus > 0).then(|| merged.iter().product::<usize>());
    let sizes = first.into_iter().chain(rest.iter().copied());
    for (dim, size) in dims.iter_mut().zip(sizes) {
        *dim = size as u32;
    }
    (shape.len().min(MAX_RANK) as u8, dims)
}
