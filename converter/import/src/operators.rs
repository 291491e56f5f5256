//! The table of operators: one row each, with the function that imports it.

mod convolution;
mod generators;
mod linear;
mod picture;
mod pointwise;
mod pool;
mod quantization;
mod resize;
mod selection;
mod shape;

use crate::error::{Outcome, Refusal, shown};
use crate::values::{Cx, Value};

type Import = fn(&mut Cx<'_, '_>) -> Outcome<Vec<Value>>;

/// One operator of the file format.
pub(crate) struct Operator {
    name: &'static str,
    /// What is supported of it, for the documentation.
    note: &'static str,
    /// The attributes that the function reads, or that cannot change the result of an inference.
    attributes: &'static [&'static str],
    import: Import,
}

const fn row(
    name: &'static str,
    attributes: &'static [&'static str],
    import: Import,
    note: &'static str,
) -> Operator {
    Operator {
        name,
        note,
        attributes,
        import,
    }
}

const CONSTANTS: &str = "constants only";

#[rustfmt::skip]
static TABLE: &[Operator] = &[
    row("Abs", &[], pointwise::abs, ""),
    row("Add", &[], pointwise::add, "broadcast"),
    row("AveragePool", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "ceil_mode", "count_include_pad"], pool::average_pool, "1-D and 2-D; not `ceil_mode` with `count_include_pad` where the last window leaves the picture"),
    row("BatchNormalization", &["epsilon", "momentum", "training_mode", "spatial"], linear::batch_normalization, "inference, constant statistics"),
    row("Cast", &["to", "saturate"], quantization::cast, "constants; uint8 and int8 inputs to float"),
    row("Ceil", &[], pointwise::ceil, CONSTANTS),
    row("Clip", &["min", "max"], pointwise::clip, "constant limits"),
    row("Concat", &["axis"], selection::concat, ""),
    row("Constant", &["value", "value_float", "value_floats", "value_int", "value_ints"], generators::constant, "numbers"),
    row("ConstantOfShape", &["value"], generators::constant_of_shape, "constant shape"),
    row("Conv", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "group"], convolution::conv, "1-D and 2-D, constant weights"),
    row("ConvTranspose", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "group", "output_padding", "output_shape"], convolution::conv_transpose, "1-D and 2-D, constant weights"),
    row("DequantizeLinear", &["axis", "block_size", "output_dtype"], quantization::dequantize_linear, "constants, one scale or one a channel"),
    row("Div", &[], pointwise::div, "broadcast"),
    row("Dropout", &["ratio", "seed", "is_test"], generators::dropout, "inference: hands its input on"),
    row("Equal", &[], pointwise::equal, CONSTANTS),
    row("Exp", &[], pointwise::exp, ""),
    row("Expand", &[], shape::expand, "constants; computed tensors where nothing repeats"),
    row("Flatten", &["axis"], shape::flatten, ""),
    row("Floor", &[], pointwise::floor, CONSTANTS),
    row("Gather", &["axis"], selection::gather, "constant indices"),
    row("Gemm", &["alpha", "beta", "transA", "transB"], linear::gemm, "one operand constant"),
    row("GlobalAveragePool", &[], pool::global_average_pool, ""),
    row("GlobalMaxPool", &[], pool::global_max_pool, "1-D and 2-D"),
    row("HardSigmoid", &["alpha", "beta"], pointwise::hard_sigmoid, ""),
    row("HardSwish", &[], pointwise::hard_swish, ""),
    row("Identity", &[], generators::identity, ""),
    row("LeakyRelu", &["alpha"], pointwise::leaky_relu, ""),
    row("MatMul", &[], linear::mat_mul, "one operand a constant matrix or vector"),
    row("Max", &[], pointwise::max, "broadcast"),
    row("MaxPool", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "ceil_mode", "storage_order"], pool::max_pool, "1-D and 2-D, without the indices"),
    row("Min", &[], pointwise::min, "broadcast"),
    row("Mul", &[], pointwise::mul, "broadcast"),
    row("Neg", &[], pointwise::neg, ""),
    row("PRelu", &[], pointwise::prelu, "constant slope"),
    row("Pad", &["mode", "pads", "value"], selection::pad, "mode `constant`; negative padding cuts"),
    row("QuantizeLinear", &["axis", "block_size", "output_dtype", "saturate", "precision"], quantization::quantize_linear, "at an output of the model, to uint8 or int8 with one scale; constants"),
    row("Range", &[], generators::range, CONSTANTS),
    row("ReduceMean", &["axes", "keepdims", "noop_with_empty_axes"], pool::reduce_mean, "constant axes"),
    row("ReduceProd", &["axes", "keepdims", "noop_with_empty_axes"], shape::reduce_prod, "integer constants, over all axes"),
    row("Relu", &[], pointwise::relu, ""),
    row("Reshape", &["shape", "allowzero"], shape::reshape, "constant shape"),
    row("Resize", &["mode", "coordinate_transformation_mode", "nearest_mode", "axes", "antialias", "keep_aspect_ratio_policy", "cubic_coeff_a", "exclude_outside", "extrapolation_value"], resize::resize, "rows and columns; `nearest` and `linear`; `half_pixel`, `pytorch_half_pixel`, `align_corners`, `asymmetric`"),
    row("Shape", &["start", "end"], shape::shape_of, ""),
    row("Sigmoid", &[], pointwise::sigmoid, ""),
    row("Size", &[], shape::size, ""),
    row("Slice", &["starts", "ends", "axes"], selection::slice, "constant bounds, positive steps"),
    row("Softmax", &["axis"], pointwise::softmax, "the flattening meaning before operator set 13 included"),
    row("Split", &["axis", "split", "num_outputs"], selection::split, "constant sizes"),
    row("Sqrt", &[], pointwise::sqrt, CONSTANTS),
    row("Squeeze", &["axes"], shape::squeeze, "constant axes"),
    row("Sub", &[], pointwise::sub, "broadcast"),
    row("Sum", &[], pointwise::sum, "broadcast"),
    row("Tanh", &[], pointwise::tanh, ""),
    row("Tile", &[], shape::tile, CONSTANTS),
    row("Transpose", &["perm"], shape::transpose, ""),
    row("Unsqueeze", &["axes"], shape::unsqueeze, "constant axes"),
    row("Upsample", &["mode", "scales"], resize::upsample, "rows and columns; `nearest` and `linear`"),
    row("Where", &[], selection::where_constant, CONSTANTS),
];

/// Operators whose result's shape, or whose very execution, depends on the data.
const DATA_DEPENDENT: &[&str] = &[
    "Compress",
    "If",
    "Loop",
    "NonMaxSuppression",
    "NonZero",
    "RoiAlign",
    "Scan",
    "TopK",
    "Unique",
];

/// Operators of models that are quantized already.
const QUANTIZED: &[&str] = &[
    "ConvInteger",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearConv",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMatMul",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QGemm",
];

/// The operators that can be imported, in alphabetical order, each with what is supported of it (empty: all).
pub fn supported_operators() -> Vec<(&'static str, &'static str)> {
    TABLE
        .iter()
        .map(|operator| (operator.name, operator.note))
        .collect()
}

/// Imports a node.
pub(crate) fn import_node(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let name = cx.node.op_type.as_str();
    if QUANTIZED.contains(&name) {
        return Err(Refusal::unsupported(
            "the model is already quantized, which is not supported yet; convert the float model it was made from",
        ));
    }
    if !matches!(cx.node.domain.as_str(), "" | "ai.onnx") {
        return Err(Refusal::unsupported(format!(
            "operators of domain `{}` are not supported; export the model with standard ONNX operators only",
            shown(&cx.node.domain)
        )));
    }
    if DATA_DEPENDENT.contains(&name) {
        return Err(Refusal::unsupported(
            "what it computes, or the shape of it, depends on the data, which is not supported; cut the model before this node",
        ));
    }
    let Some(operator) = TABLE.iter().find(|operator| operator.name == name) else {
        return Err(Refusal::unsupported(
            "this operator is not supported; replace it or cut the model before this node (docs/operators.md lists the supported ones)",
        ));
    };
    cx.attributes().only(operator.attributes)?;
    (operator.import)(cx)
}
