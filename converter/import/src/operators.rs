//! The table of operators: one row each, with the function that imports it.

pub(crate) mod activation;
mod convolution;
mod einsum;
mod generators;
pub(crate) mod indices;
mod interpolate;
pub(crate) mod linear;
pub(crate) mod logic;
pub(crate) mod normalization;
mod picture;
pub(crate) mod pointwise;
mod pool;
mod products;
mod qlinear;
pub(crate) mod quantization;
pub(crate) mod reduce;
pub(crate) mod repeat;
mod resize;
pub(crate) mod selection;
pub(crate) mod shape;

use tract_onnx::pb::NodeProto;

use crate::ending::selects_boxes;
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
    row("Abs", &[], activation::abs, ""),
    row("Add", &[], pointwise::add, "broadcast"),
    row("And", &[], logic::and, ""),
    row("ArgMax", &["axis", "keepdims", "select_last_index"], indices::arg_max, ""),
    row("ArgMin", &["axis", "keepdims", "select_last_index"], indices::arg_min, ""),
    row("Atan", &[], activation::atan, ""),
    row("AveragePool", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "ceil_mode", "count_include_pad"], pool::average_pool, "1-D and 2-D"),
    row("BatchNormalization", &["epsilon", "momentum", "training_mode", "spatial"], linear::batch_normalization, "inference, constant statistics"),
    row("Cast", &["to", "saturate"], quantization::cast, "constants; integer inputs and indices to float, int32 and int64 into each other"),
    row("Ceil", &[], activation::ceil, ""),
    row("Celu", &["alpha"], activation::celu, ""),
    row("Clip", &["min", "max"], pointwise::clip, "constant limits"),
    row("Concat", &["axis"], selection::concat, ""),
    row("Constant", &["value", "value_float", "value_floats", "value_int", "value_ints"], generators::constant, "numbers"),
    row("ConstantOfShape", &["value"], generators::constant_of_shape, "constant shape"),
    row("Conv", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "group"], convolution::conv, "1-D and 2-D, constant weights"),
    row("ConvTranspose", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "group", "output_padding", "output_shape"], convolution::conv_transpose, "1-D and 2-D, constant weights"),
    row("Cos", &[], activation::cos, ""),
    row("CumSum", &["exclusive", "reverse"], logic::cum_sum, "constant axis"),
    row("DepthToSpace", &["blocksize", "mode"], repeat::depth_to_space, ""),
    row("DequantizeLinear", &["axis", "block_size", "output_dtype"], quantization::dequantize_linear, "uint8 and int8 with one scale; constants, also with one a channel"),
    row("Div", &[], pointwise::div, "broadcast"),
    row("Dropout", &["ratio", "seed", "is_test"], generators::dropout, "inference: hands its input on"),
    row("Einsum", &["equation"], einsum::einsum, "a transpose, or a product of two operands"),
    row("Elu", &["alpha"], activation::elu, ""),
    row("Equal", &[], logic::equal, ""),
    row("Erf", &[], activation::erf, ""),
    row("Exp", &[], activation::exp, ""),
    row("Expand", &[], repeat::expand, "constant shape"),
    row("EyeLike", &["dtype", "k"], logic::eye_like, ""),
    row("Flatten", &["axis"], shape::flatten, ""),
    row("Floor", &[], activation::floor, ""),
    row("Gather", &["axis"], selection::gather, "indices that are constant, an input of the model, or out of ArgMax or TopK"),
    row("GatherElements", &["axis"], indices::gather_elements, "indices as Gather"),
    row("GatherND", &["batch_dims"], indices::gather_nd, "indices as Gather, computed ones of one axis"),
    row("Gelu", &["approximate"], activation::gelu, ""),
    row("Gemm", &["alpha", "beta", "transA", "transB"], linear::gemm, ""),
    row("GlobalAveragePool", &[], pool::global_average_pool, ""),
    row("GlobalLpPool", &["p"], reduce::global_lp_pool, ""),
    row("GlobalMaxPool", &[], pool::global_max_pool, "1-D and 2-D"),
    row("Greater", &[], logic::greater, ""),
    row("GreaterOrEqual", &[], logic::greater_or_equal, ""),
    row("GroupNormalization", &["epsilon", "num_groups", "stash_type"], normalization::group_normalization, "constant scale and offset"),
    row("HardSigmoid", &["alpha", "beta"], activation::hard_sigmoid, ""),
    row("HardSwish", &[], activation::hard_swish, ""),
    row("Identity", &[], generators::identity, ""),
    row("InstanceNormalization", &["epsilon"], normalization::instance_normalization, "constant scale and offset"),
    row("LRN", &["alpha", "beta", "bias", "size"], normalization::local_response_normalization, "1-D and 2-D"),
    row("LayerNormalization", &["axis", "epsilon", "stash_type"], normalization::layer_normalization, "constant scale and offset, without the statistics"),
    row("LeakyRelu", &["alpha"], activation::leaky_relu, ""),
    row("Less", &[], logic::less, ""),
    row("LessOrEqual", &[], logic::less_or_equal, ""),
    row("Log", &[], activation::log, ""),
    row("LogSoftmax", &["axis"], reduce::log_softmax, "the flattening meaning before operator set 13 included"),
    row("LpNormalization", &["axis", "p"], reduce::lp_normalization, ""),
    row("LpPool", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "ceil_mode", "p"], pool::lp_pool, "1-D and 2-D"),
    row("MatMul", &[], linear::mat_mul, ""),
    row("Max", &[], pointwise::max, "broadcast"),
    row("MaxPool", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "ceil_mode", "storage_order"], pool::max_pool, "1-D and 2-D, without the indices"),
    row("Mean", &[], pointwise::mean, "broadcast"),
    row("MeanVarianceNormalization", &["axes"], normalization::mean_variance_normalization, ""),
    row("Min", &[], pointwise::min, "broadcast"),
    row("Mish", &[], activation::mish, ""),
    row("Mod", &["fmod"], logic::modulo, CONSTANTS),
    row("Mul", &[], pointwise::mul, "broadcast"),
    row("Neg", &[], activation::neg, ""),
    row("NonZero", &[], logic::non_zero, CONSTANTS),
    row("Not", &[], logic::not, ""),
    row("OneHot", &["axis"], logic::one_hot, CONSTANTS),
    row("Or", &[], logic::or, ""),
    row("PRelu", &[], pointwise::prelu, "constant slope"),
    row("Pad", &["mode", "pads", "value"], selection::pad, "constant padding; negative padding cuts"),
    row("Pow", &[], activation::pow, "one constant exponent, or one constant base"),
    row("QGemm", &["alpha", "transA", "transB"], qlinear::gemm, "ONNX Runtime's, constant bias, quantized result"),
    row("QLinearAdd", &[], qlinear::add, "ONNX Runtime's, broadcast"),
    row("QLinearAveragePool", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "ceil_mode", "count_include_pad", "channels_last"], qlinear::average_pool, "ONNX Runtime's, 1-D and 2-D, channels first"),
    row("QLinearConcat", &["axis"], qlinear::concat, "ONNX Runtime's"),
    row("QLinearConv", &["kernel_shape", "strides", "pads", "auto_pad", "dilations", "group"], qlinear::conv, "1-D and 2-D, constant weights, also with a scale a channel"),
    row("QLinearGlobalAveragePool", &["channels_last"], qlinear::global_average_pool, "ONNX Runtime's, channels first"),
    row("QLinearLeakyRelu", &["alpha"], qlinear::leaky_relu, "ONNX Runtime's"),
    row("QLinearMatMul", &[], qlinear::mat_mul, "constants also with a scale a channel"),
    row("QLinearMul", &[], qlinear::mul, "ONNX Runtime's, broadcast"),
    row("QLinearSigmoid", &[], qlinear::sigmoid, "ONNX Runtime's"),
    row("QLinearSoftmax", &["axis", "opset"], qlinear::softmax, "ONNX Runtime's"),
    row("QuantizeLinear", &["axis", "block_size", "output_dtype", "saturate", "precision"], quantization::quantize_linear, "to uint8 or int8 with one scale; constants, also with one a channel"),
    row("RMSNormalization", &["axis", "epsilon", "stash_type"], normalization::rms_normalization, "constant scale"),
    row("Range", &[], generators::range, CONSTANTS),
    row("Reciprocal", &[], activation::reciprocal, ""),
    row("ReduceL1", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_l1, "constant axes"),
    row("ReduceL2", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_l2, "constant axes"),
    row("ReduceLogSum", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_log_sum, "constant axes"),
    row("ReduceLogSumExp", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_log_sum_exp, "constant axes"),
    row("ReduceMax", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_max, "constant axes"),
    row("ReduceMean", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_mean, "constant axes"),
    row("ReduceMin", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_min, "constant axes"),
    row("ReduceProd", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_prod, CONSTANTS),
    row("ReduceSum", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_sum, "constant axes"),
    row("ReduceSumSquare", &["axes", "keepdims", "noop_with_empty_axes"], reduce::reduce_sum_square, "constant axes"),
    row("Relu", &[], activation::relu, ""),
    row("Reshape", &["shape", "allowzero"], shape::reshape, "constant shape"),
    row("Resize", &["mode", "coordinate_transformation_mode", "nearest_mode", "axes", "antialias", "keep_aspect_ratio_policy", "cubic_coeff_a", "exclude_outside", "extrapolation_value"], resize::resize, "all modes; `antialias` as the operator set defines it; `align_corners` without fractions of a pixel"),
    row("Round", &[], activation::round, ""),
    row("Selu", &["alpha", "gamma"], activation::selu, ""),
    row("Shape", &["start", "end"], shape::shape_of, ""),
    row("Shrink", &["bias", "lambd"], activation::shrink, "`lambd` of 0 or more"),
    row("Sigmoid", &[], activation::sigmoid, ""),
    row("Sign", &[], activation::sign, ""),
    row("Sin", &[], activation::sin, ""),
    row("Size", &[], shape::size, ""),
    row("Slice", &["starts", "ends", "axes"], selection::slice, "constant bounds"),
    row("Softmax", &["axis"], pointwise::softmax, "the flattening meaning before operator set 13 included"),
    row("Softplus", &[], activation::softplus, ""),
    row("Softsign", &[], activation::softsign, ""),
    row("SpaceToDepth", &["blocksize"], repeat::space_to_depth, ""),
    row("Split", &["axis", "split", "num_outputs"], selection::split, "constant sizes"),
    row("Sqrt", &[], activation::sqrt, ""),
    row("Squeeze", &["axes"], shape::squeeze, "constant axes"),
    row("Sub", &[], pointwise::sub, "broadcast"),
    row("Sum", &[], pointwise::sum, "broadcast"),
    row("Tanh", &[], activation::tanh, ""),
    row("ThresholdedRelu", &["alpha"], activation::thresholded_relu, ""),
    row("Tile", &[], repeat::tile, "constant repeats"),
    row("TopK", &["axis", "k", "largest", "sorted"], indices::top_k, "constant `k`"),
    row("Transpose", &["perm"], shape::transpose, ""),
    row("Trilu", &["upper"], logic::trilu, "constant diagonal"),
    row("Unsqueeze", &["axes"], shape::unsqueeze, "constant axes"),
    row("Upsample", &["mode", "scales"], resize::upsample, ""),
    row("Where", &[], selection::choose, ""),
    row("Xor", &[], logic::xor, CONSTANTS),
];

/// Operators whose result's shape, or whose very execution, depends on the data.
const DATA_DEPENDENT: &[&str] = &[
    "Compress",
    "If",
    "Loop",
    "NonMaxSuppression",
    "RoiAlign",
    "Scan",
    "Unique",
];

/// Operators whose integers the device does not compute.
const WIDE_INTEGERS: &[&str] = &["ConvInteger", "DynamicQuantizeLinear", "MatMulInteger"];

/// True where the operator is ONNX's own, or one of ONNX Runtime's that is imported.
fn known_domain(node: &NodeProto) -> bool {
    match node.domain.as_str() {
        "" | "ai.onnx" => true,
        "com.microsoft" => qlinear::CONTRIBUTED.contains(&node.op_type.as_str()),
        _ => false,
    }
}

/// The operators that can be imported, in alphabetical order, each with what is supported of it (empty: all).
pub fn supported_operators() -> Vec<(&'static str, &'static str)> {
    TABLE
        .iter()
        .map(|operator| (operator.name, operator.note))
        .collect()
}

/// True where the table has the operator, whatever its forms.
pub(crate) fn can_import(node: &NodeProto) -> bool {
    let name = node.op_type.as_str();
    known_domain(node)
        && !DATA_DEPENDENT.contains(&name)
        && TABLE.iter().any(|operator| operator.name == name)
}

/// True for an operator whose result's shape, or whose very execution, depends on the data that it reads.
pub(crate) fn depends_on_data(node: &NodeProto) -> bool {
    let name = node.op_type.as_str();
    DATA_DEPENDENT.contains(&name) || name == "NonZero" || selects_boxes(name)
}

fn data_dependent() -> Refusal {
    Refusal::unsupported(
        "what it computes, or the shape of it, depends on the data, which is not supported",
    )
}

/// Imports a node.
pub(crate) fn import_node(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let name = cx.node.op_type.as_str();
    if WIDE_INTEGERS.contains(&name) {
        return Err(Refusal::unsupported(
            "scales that are computed while the model runs are not supported: quantize statically, or convert the float model it was made from",
        ));
    }
    if !known_domain(cx.node) {
        return Err(Refusal::unsupported(format!(
            "operators of domain `{}` are not supported; export the model with standard ONNX operators only",
            shown(&cx.node.domain)
        )));
    }
    if DATA_DEPENDENT.contains(&name) {
        return Err(data_dependent());
    }
    let Some(operator) = TABLE.iter().find(|operator| operator.name == name) else {
        return Err(Refusal::unsupported(
            "this operator is not supported; replace it (docs/operators.md lists the supported ones)",
        ));
    };
    cx.attributes().only(operator.attributes)?;
    qlinear::on_integers(cx, operator.import)
}
