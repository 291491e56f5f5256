//! The table of operators: one row each, with the function that imports it.

mod convolution;
mod indices;
mod linear;
mod logic;
mod pointwise;
mod pool;
mod quantization;
mod resize;
mod selection;
mod shape;

use tract_tflite::tflite::BuiltinOperator;

use crate::ending::selects_boxes;
use crate::error::{Outcome, Refusal, shown};
use crate::tflite::file::{TfLiteFile, name_of};
use crate::tflite::node::Tx;
use crate::values::Value;

type Import = fn(&mut Tx<'_, '_>) -> Outcome<Vec<Value>>;

/// One operator of the file format.
struct Row {
    code: BuiltinOperator,
    import: Import,
    /// What is supported of it, for the documentation.
    note: &'static str,
}

const fn row(code: BuiltinOperator, import: Import, note: &'static str) -> Row {
    Row { code, import, note }
}

const CONSTANTS: &str = "constants only";

#[rustfmt::skip]
static TABLE: &[Row] = &[
    row(BuiltinOperator::ABS, pointwise::abs, ""),
    row(BuiltinOperator::ADD, pointwise::add, "broadcast"),
    row(BuiltinOperator::ADD_N, pointwise::add_n, ""),
    row(BuiltinOperator::ARG_MAX, indices::arg_max, "constant axis"),
    row(BuiltinOperator::ARG_MIN, indices::arg_min, "constant axis"),
    row(BuiltinOperator::AVERAGE_POOL_2D, pool::average_pool, ""),
    row(BuiltinOperator::BATCH_MATMUL, linear::batch_matmul, ""),
    row(BuiltinOperator::BATCH_TO_SPACE_ND, convolution::rearrangement, "behind a convolution that SPACE_TO_BATCH_ND precedes: a dilation"),
    row(BuiltinOperator::BROADCAST_TO, shape::broadcast_to, "constant shape"),
    row(BuiltinOperator::CAST, quantization::cast, "constants; uint8 and int8 inputs without a scale, indices and truth values to float"),
    row(BuiltinOperator::CEIL, pointwise::ceil, ""),
    row(BuiltinOperator::CONCATENATION, selection::concatenation, ""),
    row(BuiltinOperator::CONV_2D, convolution::conv_2d, "constant weights"),
    row(BuiltinOperator::COS, pointwise::cos, ""),
    row(BuiltinOperator::DENSIFY, quantization::pass_on, CONSTANTS),
    row(BuiltinOperator::DEPTHWISE_CONV_2D, convolution::depthwise_conv_2d, "constant weights"),
    row(BuiltinOperator::DEPTH_TO_SPACE, shape::depth_to_space, ""),
    row(BuiltinOperator::DEQUANTIZE, quantization::dequantize, ""),
    row(BuiltinOperator::DIV, pointwise::div, "broadcast"),
    row(BuiltinOperator::ELU, pointwise::elu, ""),
    row(BuiltinOperator::EMBEDDING_LOOKUP, indices::embedding_lookup, ""),
    row(BuiltinOperator::EQUAL, logic::equal, ""),
    row(BuiltinOperator::EXP, pointwise::exp, ""),
    row(BuiltinOperator::EXPAND_DIMS, shape::expand_dims, ""),
    row(BuiltinOperator::FILL, shape::fill, CONSTANTS),
    row(BuiltinOperator::FLOOR, pointwise::floor, ""),
    row(BuiltinOperator::FLOOR_DIV, pointwise::floor_div, CONSTANTS),
    row(BuiltinOperator::FULLY_CONNECTED, linear::fully_connected, "constant weights, not shuffled"),
    row(BuiltinOperator::GATHER, indices::gather, "indices that are constant, an input of the model, or out of ARG_MAX or TOPK_V2"),
    row(BuiltinOperator::GATHER_ND, indices::gather_nd, "indices as GATHER, computed ones of one axis"),
    row(BuiltinOperator::GELU, pointwise::gelu, ""),
    row(BuiltinOperator::GREATER, logic::greater, ""),
    row(BuiltinOperator::GREATER_EQUAL, logic::greater_equal, ""),
    row(BuiltinOperator::HARD_SWISH, pointwise::hard_swish, ""),
    row(BuiltinOperator::L2_NORMALIZATION, pointwise::l2_normalization, ""),
    row(BuiltinOperator::LEAKY_RELU, pointwise::leaky_relu, ""),
    row(BuiltinOperator::LESS, logic::less, ""),
    row(BuiltinOperator::LESS_EQUAL, logic::less_equal, ""),
    row(BuiltinOperator::LOCAL_RESPONSE_NORMALIZATION, pointwise::local_response_normalization, ""),
    row(BuiltinOperator::LOG, pointwise::log, ""),
    row(BuiltinOperator::LOGICAL_AND, logic::logical_and, ""),
    row(BuiltinOperator::LOGICAL_NOT, logic::logical_not, ""),
    row(BuiltinOperator::LOGICAL_OR, logic::logical_or, ""),
    row(BuiltinOperator::LOGISTIC, pointwise::logistic, ""),
    row(BuiltinOperator::LOG_SOFTMAX, pointwise::log_softmax, ""),
    row(BuiltinOperator::MAXIMUM, pointwise::maximum, "broadcast"),
    row(BuiltinOperator::MAX_POOL_2D, pool::max_pool, ""),
    row(BuiltinOperator::MEAN, pool::mean, "constant axes"),
    row(BuiltinOperator::MINIMUM, pointwise::minimum, "broadcast"),
    row(BuiltinOperator::MIRROR_PAD, selection::mirror_pad, "constant padding"),
    row(BuiltinOperator::MUL, pointwise::mul, "broadcast"),
    row(BuiltinOperator::NEG, pointwise::neg, ""),
    row(BuiltinOperator::NOT_EQUAL, logic::not_equal, ""),
    row(BuiltinOperator::PACK, selection::pack, ""),
    row(BuiltinOperator::PAD, selection::pad, "constant padding"),
    row(BuiltinOperator::PADV2, selection::pad, "constant padding"),
    row(BuiltinOperator::POW, pointwise::pow, "constant exponent"),
    row(BuiltinOperator::PRELU, pointwise::prelu, "constant slope"),
    row(BuiltinOperator::QUANTIZE, quantization::quantize, "to int8 and uint8"),
    row(BuiltinOperator::REDUCE_MAX, pool::reduce_max, "constant axes"),
    row(BuiltinOperator::REDUCE_MIN, pool::reduce_min, "constant axes"),
    row(BuiltinOperator::REDUCE_PROD, pool::reduce_prod, CONSTANTS),
    row(BuiltinOperator::RELU, pointwise::relu, ""),
    row(BuiltinOperator::RELU6, pointwise::relu6, ""),
    row(BuiltinOperator::RELU_0_TO_1, pointwise::relu_0_to_1, ""),
    row(BuiltinOperator::RELU_N1_TO_1, pointwise::relu_n1_to_1, ""),
    row(BuiltinOperator::RESHAPE, shape::reshape, "constant shape"),
    row(BuiltinOperator::RESIZE_BILINEAR, resize::bilinear, ""),
    row(BuiltinOperator::RESIZE_NEAREST_NEIGHBOR, resize::nearest, ""),
    row(BuiltinOperator::REVERSE_V2, selection::reverse, "constant axes"),
    row(BuiltinOperator::ROUND, pointwise::round, ""),
    row(BuiltinOperator::RSQRT, pointwise::rsqrt, ""),
    row(BuiltinOperator::SELECT, logic::select, ""),
    row(BuiltinOperator::SELECT_V2, logic::select_v2, ""),
    row(BuiltinOperator::SHAPE, shape::shape_of, ""),
    row(BuiltinOperator::SIGN, pointwise::sign, ""),
    row(BuiltinOperator::SIN, pointwise::sin, ""),
    row(BuiltinOperator::SLICE, selection::slice, "constant bounds"),
    row(BuiltinOperator::SOFTMAX, pointwise::softmax, ""),
    row(BuiltinOperator::SPACE_TO_BATCH_ND, convolution::rearrangement, "before a convolution that BATCH_TO_SPACE_ND follows: a dilation"),
    row(BuiltinOperator::SPACE_TO_DEPTH, shape::space_to_depth, ""),
    row(BuiltinOperator::SPLIT, selection::split, "constant axis"),
    row(BuiltinOperator::SPLIT_V, selection::split_v, "constant sizes"),
    row(BuiltinOperator::SQRT, pointwise::sqrt, ""),
    row(BuiltinOperator::SQUARE, pointwise::square, ""),
    row(BuiltinOperator::SQUARED_DIFFERENCE, pointwise::squared_difference, "broadcast"),
    row(BuiltinOperator::SQUEEZE, shape::squeeze, ""),
    row(BuiltinOperator::STRIDED_SLICE, selection::strided_slice, "constant bounds"),
    row(BuiltinOperator::SUB, pointwise::sub, "broadcast"),
    row(BuiltinOperator::SUM, pool::sum, "constant axes"),
    row(BuiltinOperator::TANH, pointwise::tanh, ""),
    row(BuiltinOperator::TILE, shape::tile, "constant repeats"),
    row(BuiltinOperator::TOPK_V2, indices::top_k, "constant `k`"),
    row(BuiltinOperator::TRANSPOSE, shape::transpose, ""),
    row(BuiltinOperator::TRANSPOSE_CONV, convolution::transpose_conv, "constant weights"),
    row(BuiltinOperator::UNPACK, selection::unpack, ""),
];

/// An operator that the file format does not define, known by its name.
struct Custom {
    name: &'static str,
    import: Import,
    note: &'static str,
}

/// What converters beside TensorFlow's own write.
static CUSTOM: &[Custom] = &[Custom {
    name: "Convolution2DTransposeBias",
    import: convolution::transpose_conv_bias,
    note: "of MediaPipe; constant weights",
}];

/// Operators whose result's shape, or whose very execution, depends on the data.
const DATA_DEPENDENT: &[BuiltinOperator] = &[
    BuiltinOperator::CALL,
    BuiltinOperator::CALL_ONCE,
    BuiltinOperator::IF,
    BuiltinOperator::NON_MAX_SUPPRESSION_V4,
    BuiltinOperator::NON_MAX_SUPPRESSION_V5,
    BuiltinOperator::UNIQUE,
    BuiltinOperator::WHERE,
    BuiltinOperator::WHILE,
];

/// The operators of TensorFlow Lite files that can be imported, in alphabetical order, each with what is supported of it (empty: all).
pub fn supported_tflite_operators() -> Vec<(&'static str, &'static str)> {
    let rows = TABLE.iter();
    let mut all: Vec<(&str, &str)> = rows
        .map(|row| (row.code.variant_name().unwrap_or_default(), row.note))
        .chain(CUSTOM.iter().map(|custom| (custom.name, custom.note)))
        .collect();
    all.sort_unstable();
    all
}

/// The function that imports an operator; `custom` is the name of one that the format does not define.
fn find(code: BuiltinOperator, custom: Option<&str>) -> Option<Import> {
    if code == BuiltinOperator::CUSTOM {
        let named = CUSTOM.iter().find(|row| Some(row.name) == custom);
        return named.map(|row| row.import);
    }
    let row = TABLE.iter().find(|row| row.code == code);
    row.map(|row| row.import)
}

/// True where the table has the operator.
pub(super) fn is_imported(code: BuiltinOperator, custom: Option<&str>) -> bool {
    find(code, custom).is_some()
}

/// True for an operator that selects boxes.
pub(super) fn is_selection(code: BuiltinOperator, custom: Option<&str>) -> bool {
    match code {
        BuiltinOperator::NON_MAX_SUPPRESSION_V4 | BuiltinOperator::NON_MAX_SUPPRESSION_V5 => true,
        BuiltinOperator::CUSTOM => custom.is_some_and(selects_boxes),
        _ => false,
    }
}

/// Refuses an operator that is not in the table, with the tensors where the model would be cut.
pub(super) fn refuse_unknown(
    file: &TfLiteFile<'_>,
    code: BuiltinOperator,
    custom: Option<&str>,
    inputs: &[i32],
) -> Outcome<()> {
    if is_imported(code, custom) {
        return Ok(());
    }
    let computed: Vec<String> = inputs
        .iter()
        .filter_map(|&input| file.tensor(input).ok())
        .filter(|(index, _)| matches!(file.values[*index], Some(Value::Live(_))))
        .map(|(_, info)| format!("`--cut '{}'`", shown(&info.name)))
        .collect();
    let cut = match computed.is_empty() {
        true => "cut the model before it".to_owned(),
        false => format!("cut the model before it with {}", computed.join(" ")),
    };
    Err(Refusal::unsupported(match code {
        BuiltinOperator::CUSTOM => format!(
            "the custom operator `{}` is not supported; {cut}",
            shown(&name_of(code, custom))
        ),
        code if DATA_DEPENDENT.contains(&code) => format!(
            "what it computes, or the shape of it, depends on the data, which is not supported; {cut}"
        ),
        _ => format!(
            "this operator is not supported (docs/operators.md lists those that are); replace it, or {cut}"
        ),
    }))
}

/// Imports an operator.
pub(super) fn import_operator(
    cx: &mut Tx<'_, '_>,
    code: BuiltinOperator,
    custom: Option<&str>,
) -> Outcome<Vec<Value>> {
    let import =
        find(code, custom).ok_or_else(|| Refusal::unsupported("this operator is not supported"))?;
    import(cx)
}
