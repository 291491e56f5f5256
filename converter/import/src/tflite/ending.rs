//! The end of a detector's file: before the operator that selects its boxes.

use tract_tflite::tflite::{BuiltinOperator, Operator, TensorType};

use crate::ending::{MAX_SETTINGS, Role, Sketch, Step, ending};
use crate::error::Outcome;
use crate::source::left_out;
use crate::tflite::file::{TensorInfo, TfLiteFile, code, main_graph, name_of};
use crate::tflite::operators::{is_imported, is_selection};

/// Operators with weights, at least where one of their operands is constant.
const LAYERS: &[BuiltinOperator] = &[
    BuiltinOperator::BATCH_MATMUL,
    BuiltinOperator::BIDIRECTIONAL_SEQUENCE_LSTM,
    BuiltinOperator::BIDIRECTIONAL_SEQUENCE_RNN,
    BuiltinOperator::CONV_2D,
    BuiltinOperator::CONV_3D,
    BuiltinOperator::CONV_3D_TRANSPOSE,
    BuiltinOperator::DEPTHWISE_CONV_2D,
    BuiltinOperator::EMBEDDING_LOOKUP,
    BuiltinOperator::EMBEDDING_LOOKUP_SPARSE,
    BuiltinOperator::FULLY_CONNECTED,
    BuiltinOperator::LSTM,
    BuiltinOperator::RNN,
    BuiltinOperator::SVDF,
    BuiltinOperator::TRANSPOSE_CONV,
    BuiltinOperator::UNIDIRECTIONAL_SEQUENCE_LSTM,
    BuiltinOperator::UNIDIRECTIONAL_SEQUENCE_RNN,
];

/// Operators that run other graphs of the file, which may have layers.
const OTHER_GRAPHS: &[BuiltinOperator] = &[
    BuiltinOperator::CALL,
    BuiltinOperator::CALL_ONCE,
    BuiltinOperator::IF,
    BuiltinOperator::WHILE,
];

/// True for an operator with weights, among whose operands are constants; `largest` is how many numbers the largest of them has.
fn is_layer(code: BuiltinOperator, custom: Option<&str>, largest: usize) -> bool {
    match is_imported(code, custom) {
        // The custom operators that are imported are convolutions.
        true => LAYERS.contains(&code) || code == BuiltinOperator::CUSTOM,
        false => LAYERS.contains(&code) || largest > MAX_SETTINGS,
    }
}

/// Real numbers, or integers that stand for them.
fn is_real(info: &TensorInfo<'_>) -> bool {
    match info.ty {
        TensorType::FLOAT32 => true,
        TensorType::INT8 | TensorType::UINT8 => info.quantization.is_some(),
        _ => false,
    }
}

/// How many numbers a stored tensor has, as far as weights may be of its type.
fn numbers(info: &TensorInfo<'_>) -> usize {
    match info.ty {
        TensorType::FLOAT16
        | TensorType::FLOAT32
        | TensorType::INT4
        | TensorType::INT8
        | TensorType::UINT8 => {
            let sizes = info.shape.iter();
            sizes.fold(1, |count: usize, &size| count.saturating_mul(size))
        }
        _ => 0,
    }
}

/// Ends the file before it selects boxes, where nothing with weights lies behind that; `needed` says which operators its outputs depend on. Gives the
/// sentences that say so, and which outputs are left out.
pub(super) fn end(
    file: &mut TfLiteFile<'_>,
    operators: &[Operator<'_>],
    needed: &[bool],
) -> Outcome<Vec<String>> {
    let mut computed = vec![false; file.tensors.len()];
    for input in main_graph(&file.model)?.inputs().iter().flatten() {
        computed[file.tensor(input)?.0] = true;
    }
    let mut may_end: Vec<bool> = file.tensors.iter().map(is_real).collect();
    for (index, &is_input) in computed.iter().enumerate() {
        may_end[index] &= !is_input;
    }
    let mut steps = Vec::new();
    let mut kept = Vec::new();
    let mut selects = false;
    for (index, operator) in operators.iter().enumerate().filter(|(i, _)| needed[*i]) {
        let (code, custom) = code(&file.model, operator)?;
        let mut reads = Vec::new();
        let mut largest = None;
        for input in operator.inputs().iter().flatten().filter(|&i| i != -1) {
            let (at, info) = file.tensor(input)?;
            if computed[at] {
                reads.push(at);
            } else {
                largest = largest.max(Some(numbers(info)));
            }
        }
        if reads.is_empty() || code == BuiltinOperator::SHAPE {
            continue;
        }
        let mut writes = Vec::new();
        for output in operator.outputs().iter().flatten() {
            let at = file.tensor(output)?.0;
            computed[at] = true;
            writes.push(at);
        }
        let role = if is_selection(code, custom) {
            selects = true;
            Role::Selection
        } else if OTHER_GRAPHS.contains(&code)
            || largest.is_some_and(|largest| is_layer(code, custom, largest))
        {
            Role::Layer
        } else {
            Role::Plain
        };
        steps.push(Step {
            reads,
            writes,
            role,
        });
        kept.push(index);
    }
    if !selects {
        return Ok(Vec::new());
    }
    let mut outputs = Vec::with_capacity(file.outputs.len());
    let mut constant = Vec::new();
    for &output in &file.outputs {
        let (at, info) = file.tensor(output)?;
        match computed[at] {
            true => outputs.push(at),
            false => constant.push(left_out(&info.name)),
        }
    }
    let sketch = Sketch {
        steps,
        outputs,
        may_end,
    };
    let Some(found) = ending(&sketch) else {
        return Ok(Vec::new());
    };
    let (code, custom) = code(&file.model, &operators[kept[found.before]])?;
    let first = sketch.steps[found.before].writes.first();
    let node = first.map_or("", |&tensor| file.tensors[tensor].name.as_str());
    let names = found
        .tensors
        .iter()
        .map(|&at| file.tensors[at].name.as_str());
    let mut notes = vec![found.note(names, &name_of(code, custom), node)];
    notes.append(&mut constant);
    let ends = found.tensors.iter().map(|&at| i32::try_from(at));
    file.outputs = ends.filter_map(Result::ok).collect();
    Ok(notes)
}
