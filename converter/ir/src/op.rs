//! The operators of the graph. Pictures are `Nhwc` throughout; the importer writes transposes around an operator of a `Nchw` file, and a
//! pass removes them.

use crate::Function;

/// Padding, strides and dilations of a sliding window. Pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Distance between outputs (of the input for a transposed convolution).
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Padding above and to the left.
    pub pad_before: [usize; 2],
    /// Padding below and to the right. For `ceil_mode` and SAME the importer has made it explicit.
    pub pad_after: [usize; 2],
}

/// Two operands with numpy broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// smaller
    Minimum,
    /// larger
    Maximum,
}

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UnaryOp {
    /// Limits to `min..=max`; either may be infinite. ReLU is `0..=inf`, ReLU6 `0..=6`.
    Clip {
        /// Lower limit.
        min: f32,
        /// Upper limit.
        max: f32,
    },
    /// `x < 0 ? slope * x : x`
    LeakyRelu {
        /// Slope of the negative side.
        slope: f32,
    },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `clamp(alpha * x + beta, 0, 1)`
    HardSigmoid {
        /// Factor.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// `x * clamp(x / 6 + 1/2, 0, 1)`
    HardSwish,
    /// `x * sigmoid(x)`
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// Exponential.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `x` to a constant power; `x * x` and `1 / x` are such.
    Pow {
        /// The exponent.
        exponent: f32,
    },
    /// Error function.
    Erf,
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x < 0 ? alpha * (exp(x) - 1) : x`
    Elu {
        /// Limit of the negative side, negated.
        alpha: f32,
    },
    /// `x > threshold ? x : 0`
    Threshold {
        /// What has to be exceeded.
        threshold: f32,
    },
    /// Largest integer that is not larger.
    Floor,
    /// Smallest integer that is not smaller.
    Ceil,
    /// Nearest integer, halves to even.
    Round,
    /// -1, 0 or 1.
    Sign,
    /// Sine, of radians.
    Sin,
    /// Cosine, of radians.
    Cos,
    /// Inverse of the tangent.
    Atan,
    /// Absolute value.
    Abs,
    /// `-x`
    Neg,
    /// `scale * x + offset`, with constants that are one number.
    Affine {
        /// Factor.
        scale: f32,
        /// Offset.
        offset: f32,
    },
}

/// How a resize finds the source coordinate of an output index (ONNX's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinateMode {
    /// `(i + 0.5) / scale - 0.5`
    HalfPixel,
    /// As `HalfPixel`, but 0 where the output has one pixel.
    PytorchHalfPixel,
    /// `i * (in - 1) / (out - 1)`
    AlignCorners,
    /// `i / scale`
    Asymmetric,
}

/// How a nearest-neighbour resize rounds the source coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearestMode {
    /// Halves down.
    RoundPreferFloor,
    /// Halves up.
    RoundPreferCeil,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

/// What a resize does between pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMode {
    /// Copies one pixel.
    Nearest(NearestMode),
    /// Bilinear.
    Linear,
}

/// An operator. Inputs and outputs are listed with each.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `x [n,h,w,ic]`, weights `[oc,kh,kw,ic/groups]`, bias `[oc]` (optional) to `[n,oh,ow,oc]`. Depthwise is `groups == ic`.
    Conv2d {
        /// Steps and padding.
        window: Window,
        /// Groups of channels.
        groups: usize,
    },
    /// `x [n,h,w,ic]`, weights `[oc,kh,kw,ic/groups]`, bias `[oc]` (optional) to `[n,oh,ow,oc]`. Padding takes away from the output.
    TransposeConv2d {
        /// Steps and padding of the output.
        window: Window,
        /// Rows and columns added at the end of the output.
        output_padding: [usize; 2],
        /// Groups of channels.
        groups: usize,
    },
    /// `x [..,k]`, weights `[oc,k]`, bias `[oc]` (optional) to `[..,oc]`.
    FullyConnected,
    /// `x [n,h,w,c]`.
    MaxPool2d {
        /// Rows and columns of the window.
        kernel: [usize; 2],
        /// Steps and padding.
        window: Window,
    },
    /// `x [n,h,w,c]`.
    AveragePool2d {
        /// Rows and columns of the window.
        kernel: [usize; 2],
        /// Steps and padding.
        window: Window,
        /// Padding counts in the divisor.
        count_include_pad: bool,
    },
    /// Mean over axes, which stay with size 1 where `keep_dims`.
    Mean {
        /// Axes, sorted.
        axes: Vec<usize>,
        /// Keep them with size 1.
        keep_dims: bool,
    },
    /// Two inputs with broadcast.
    Binary(BinaryOp),
    /// One input.
    Unary(UnaryOp),
    /// One input: several functions of one value as one.
    Function(Function),
    /// `x [..,c]`, slope `[c]` or `[1]`: the channel axis is the innermost.
    Prelu,
    /// One input.
    Softmax {
        /// Axis that adds up to 1.
        axis: usize,
    },
    /// `a [..,m,k]` by `b [..,k,n]` to `[..,m,n]`, both computed; leading axes broadcast.
    BatchMatMul {
        /// Of each operand: it lies with its last two axes exchanged.
        transposed: [bool; 2],
    },
    /// `x`, gamma `[p]`, beta `[p]`: the axes from `axis` on, taken as one, are brought to mean 0 and variance 1, then scaled and shifted. Element
    /// `i` of the whole tensor has parameter `i / run % p`.
    LayerNorm {
        /// The first axis of those that are normalized.
        axis: usize,
        /// Elements one after another that share a parameter.
        run: usize,
        /// Added to the variance.
        epsilon: f32,
        /// The mean is subtracted; without, the mean square is taken about zero.
        centered: bool,
    },
    /// Index of the largest value, in whole numbers.
    ArgMax {
        /// Along which axis.
        axis: usize,
        /// Keep it with size 1.
        keep_dims: bool,
        /// The smallest value instead.
        smallest: bool,
        /// Of equal values the last instead of the first.
        last: bool,
    },
    /// Indices of the largest values of the innermost axis, best first, in whole numbers; of equal values the first comes first.
    TopK {
        /// How many.
        k: usize,
        /// The smallest values instead.
        smallest: bool,
    },
    /// `x`, indices: those of one axis, in whose place the indices' axes stand. One below zero counts from the end, one outside is the nearest inside.
    Take {
        /// The axis.
        axis: usize,
    },
    /// `x`, indices of the same sizes but for one axis: for each element an index of it, read as by [`Op::Take`].
    GatherElements {
        /// The axis.
        axis: usize,
    },
    /// Any count of inputs.
    Concat {
        /// Axis along which they are joined.
        axis: usize,
    },
    /// A box with positive steps: on each axis `begin + i * step`, `i` below the output's size, which `size` gives.
    Slice {
        /// First index on each axis.
        begin: Vec<usize>,
        /// Sizes of the output.
        size: Vec<usize>,
        /// Steps.
        step: Vec<usize>,
    },
    /// A frame of a constant.
    Pad {
        /// Elements before, on each axis.
        before: Vec<usize>,
        /// Elements after, on each axis.
        after: Vec<usize>,
        /// What they hold.
        value: f32,
    },
    /// The same values under another shape.
    Reshape {
        /// The new shape.
        shape: Vec<usize>,
    },
    /// Output axis `i` is input axis `order[i]`.
    Transpose {
        /// Which input axis each output axis is.
        order: Vec<usize>,
    },
    /// Chosen indices of one axis.
    Gather {
        /// The axis.
        axis: usize,
        /// Which indices, in order.
        indices: Vec<usize>,
    },
    /// `x [n,h,w,c]`.
    Resize {
        /// What happens between pixels.
        mode: ResizeMode,
        /// How the source coordinate is found.
        coordinates: CoordinateMode,
        /// Rows and columns of the output.
        size: [usize; 2],
        /// Output size over input size as the file states it; coordinate rules use it.
        scale: [f32; 2],
    },
    /// The same values, rounded to the grid that its output has: `QuantizeLinear`, and a change of scale.
    Quantize,
}

impl Op {
    /// The operator's name in messages and reports; the same word as in the model file where there is one.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv2d { .. } => "conv_2d",
            Op::TransposeConv2d { .. } => "transpose_conv_2d",
            Op::FullyConnected => "fully_connected",
            Op::MaxPool2d { .. } => "max_pool_2d",
            Op::AveragePool2d { .. } => "average_pool_2d",
            Op::Mean { .. } => "mean",
            Op::Binary(BinaryOp::Add) => "add",
            Op::Binary(BinaryOp::Sub) => "sub",
            Op::Binary(BinaryOp::Mul) => "mul",
            Op::Binary(BinaryOp::Div) => "div",
            Op::Binary(BinaryOp::Minimum) => "minimum",
            Op::Binary(BinaryOp::Maximum) => "maximum",
            Op::Unary(UnaryOp::Clip { .. }) => "clip",
            Op::Unary(UnaryOp::LeakyRelu { .. }) => "leaky_relu",
            Op::Unary(UnaryOp::Sigmoid) => "sigmoid",
            Op::Unary(UnaryOp::HardSigmoid { .. }) => "hard_sigmoid",
            Op::Unary(UnaryOp::HardSwish) => "hard_swish",
            Op::Unary(UnaryOp::Silu) => "silu",
            Op::Unary(UnaryOp::Tanh) => "tanh",
            Op::Unary(UnaryOp::Exp) => "exp",
            Op::Unary(UnaryOp::Log) => "log",
            Op::Unary(UnaryOp::Sqrt) => "sqrt",
            Op::Unary(UnaryOp::Pow { .. }) => "pow",
            Op::Unary(UnaryOp::Erf) => "erf",
            Op::Unary(UnaryOp::Softplus) => "softplus",
            Op::Unary(UnaryOp::Elu { .. }) => "elu",
            Op::Unary(UnaryOp::Threshold { .. }) => "threshold",
            Op::Unary(UnaryOp::Floor) => "floor",
            Op::Unary(UnaryOp::Ceil) => "ceil",
            Op::Unary(UnaryOp::Round) => "round",
            Op::Unary(UnaryOp::Sign) => "sign",
            Op::Unary(UnaryOp::Sin) => "sin",
            Op::Unary(UnaryOp::Cos) => "cos",
            Op::Unary(UnaryOp::Atan) => "atan",
            Op::Unary(UnaryOp::Abs) => "abs",
            Op::Unary(UnaryOp::Neg) => "neg",
            Op::Unary(UnaryOp::Affine { .. }) => "affine",
            Op::Function(_) => "function",
            Op::Prelu => "prelu",
            Op::Softmax { .. } => "softmax",
            Op::BatchMatMul { .. } => "batch_mat_mul",
            Op::LayerNorm { .. } => "layer_norm",
            Op::ArgMax { .. } => "arg_max",
            Op::TopK { .. } => "top_k",
            Op::Take { .. } => "take",
            Op::GatherElements { .. } => "gather_elements",
            Op::Concat { .. } => "concat",
            Op::Slice { .. } => "slice",
            Op::Pad { .. } => "pad",
            Op::Reshape { .. } => "reshape",
            Op::Transpose { .. } => "transpose",
            Op::Gather { .. } => "gather",
            Op::Resize { .. } => "resize",
            Op::Quantize => "quantize",
        }
    }
}
