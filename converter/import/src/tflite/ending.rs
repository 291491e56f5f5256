//! The end of a detector's file: before the operator that selects its boxes.

use tract_tflite::tflite::{BuiltinOperator, Operator, TensorType};

use crate::ending::{Role, Sketch, Step, ending};
use crate::error::Outcome;
use crate::tflite::file::{TensorInfo, TfLiteFile, code, main_graph, name_of};
use crate::tflite::operators::depends_on_data;

/// Operators with weights, at least where one of their operands is constant.
const LAYERS: &[BuiltinOperator] = &[
    BuiltinOperator::BATCH_MATMUL,
    BuiltinOperator::CONV_2D,
    BuiltinOperator::CONV_3D,
    BuiltinOperator::DEPTHWISE_CONV_2D,
    BuiltinOperator::FULLY_CONNECTED,
    BuiltinOperator::LSTM,
    BuiltinOperator::TRANSPOSE_CONV,
    BuiltinOperator::UNIDIRECTIONAL_SEQUENCE_LSTM,
];

/// Real numbers, or integers that stand for them.
fn is_real(info: &TensorInfo<'_>) -> bool {
    match info.ty {
        TensorType::FLOAT32 => true,
        TensorType::INT8 | TensorType::UINT8 => info.quantization.is_some(),
        _ => false,
    }
}

/// Ends the file before it selects boxes, where nothing with weights lies behind that; `needed` says which operators its outputs depend on. Gives a
/// sentence that says so.
pub(super) fn end(
    file: &mut TfLiteFile<'_>,
    operators: &[Operator<'_>],
    needed: &[bool],
) -> Outcome<Option<String>> {
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
        let mut operands = 0;
        for input in operator.inputs().iter().flatten().filter(|&i| i != -1) {
            let at = file.tensor(input)?.0;
            operands += 1;
            if computed[at] {
                reads.push(at);
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
        let role = if depends_on_data(code, custom) {
            selects = true;
            Role::Selection
        } else if LAYERS.contains(&code) && reads.len() < operands {
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
        return Ok(None);
    }
    let mut outputs = Vec::with_capacity(file.outputs.len());
    for &output in &file.outputs {
        let at = file.tensor(output)?.0;
        if computed[at] {
            outputs.push(at);
        }
    }
    let sketch = Sketch {
        steps,
        outputs,
        may_end,
    };
    let Some(found) = ending(&sketch) else {
        return Ok(None);
    };
    let (code, custom) = code(&file.model, &operators[kept[found.before]])?;
    let first = sketch.steps[found.before].writes.first();
    let node = first.map_or("", |&tensor| file.tensors[tensor].name.as_str());
    let names = found
        .tensors
        .iter()
        .map(|&at| file.tensors[at].name.as_str());
    let note = found.note(names, &name_of(code, custom), node);
    let numbers = found.tensors.iter().map(|&at| i32::try_from(at));
    file.outputs = numbers.filter_map(Result::ok).collect();
    Ok(Some(note))
}
