//! The operators that a table can name: each one's operands from the file, handed to its kernel.

mod binary;
mod convolution;
mod elementwise;
mod indexed;
mod matrix;
mod movement;
mod pool_2d;
mod resize;

use ocellus_format::ops::{self, Params};
use ocellus_kernels::Kernels;

use crate::OpEntry;
use crate::call::Call;

/// Hands operands to the kernel.
pub(crate) trait Run: for<'de> Params<'de> {
    /// `None` where the file is not what load proved.
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()>;
}

macro_rules! entries {
    ($($name:ident: $params:ident),* $(,)?) => {
        $(
            #[doc = concat!("Links [`", stringify!($params), "`](ops::", stringify!($params), ").")]
            pub const fn $name<K: Kernels>() -> OpEntry<K> {
                OpEntry::of::<ops::$params>()
            }
        )*
    };
}

entries! {
    conv_2d: Conv2d,
    depthwise_conv_2d: DepthwiseConv2d,
    transpose_conv_2d: TransposeConv2d,
    fully_connected: FullyConnected,
    max_pool_2d: MaxPool2d,
    average_pool_2d: AveragePool2d,
    add: Add,
    mul: Mul,
    minimum: Minimum,
    maximum: Maximum,
    lookup: Lookup,
    prelu: Prelu,
    softmax: Softmax,
    concat: Concat,
    slice: Slice,
    pad: Pad,
    transpose: Transpose,
    gather: Gather,
    resize_nearest: ResizeNearest,
    resize_bilinear: ResizeBilinear,
    arg_max: ArgMax,
    batch_mat_mul: BatchMatMul,
    layer_norm: LayerNorm,
    take: Take,
    gather_elements: GatherElements,
    top_k: TopK,
    div: Div,
    conv_2d_add: Conv2dAdd,
}
