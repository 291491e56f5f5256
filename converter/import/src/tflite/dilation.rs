//! Dilated convolutions as TensorFlow once wrote them: the picture's pixels are dealt out over the batch, a dense convolution runs on each
//! part, and the parts are put together again. The three operators are one convolution with a dilation.

use std::collections::HashMap;

use tract_tflite::tflite::{BuiltinOperator, Operator};

use crate::constant::Constant;
use crate::error::Outcome;
use crate::tflite::file::{TfLiteFile, code};
use crate::values::Value;

/// What the pair around a convolution says. Pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dilation {
    /// Distance between taps.
    pub(super) rate: [usize; 2],
    /// Padding before and after.
    pub(super) pad: [[usize; 2]; 2],
    /// Rows and columns that are cut off the result, before and after.
    pub(super) crop: [[usize; 2]; 2],
}

/// Finds such triples and notes them in the file.
pub(super) fn find(file: &mut TfLiteFile<'_>, operators: &[Operator<'_>]) -> Outcome<()> {
    let mut readers: HashMap<i32, Vec<usize>> = HashMap::new();
    for (index, operator) in operators.iter().enumerate() {
        for input in operator.inputs().iter().flatten() {
            readers.entry(input).or_default().push(index);
        }
    }
    let outputs = file.outputs.clone();
    let only_reader = |operator: &Operator<'_>| -> Option<usize> {
        let result = operator.outputs().and_then(|list| list.iter().next())?;
        match readers.get(&result).map(Vec::as_slice) {
            Some(&[reader]) if !outputs.contains(&result) => Some(reader),
            _ => None,
        }
    };
    for (index, first) in operators.iter().enumerate() {
        if code(&file.model, first)?.0 != BuiltinOperator::SPACE_TO_BATCH_ND {
            continue;
        }
        let Some(middle) = only_reader(first) else {
            continue;
        };
        let convolution = &operators[middle];
        let data = convolution.inputs().and_then(|list| list.iter().next());
        let dealt = first.outputs().and_then(|list| list.iter().next());
        let is_convolution = matches!(
            code(&file.model, convolution)?.0,
            BuiltinOperator::CONV_2D | BuiltinOperator::DEPTHWISE_CONV_2D
        );
        let Some(last) = only_reader(convolution).filter(|_| is_convolution && data == dealt)
        else {
            continue;
        };
        if code(&file.model, &operators[last])?.0 != BuiltinOperator::BATCH_TO_SPACE_ND {
            continue;
        }
        let (rate, pad) = (
            constant(file, first, 1)?.and_then(|c| pair(&c)),
            constant(file, first, 2)?.and_then(|c| borders(&c)),
        );
        let (again, crop) = (
            constant(file, &operators[last], 1)?.and_then(|c| pair(&c)),
            constant(file, &operators[last], 2)?.and_then(|c| borders(&c)),
        );
        if let (Some(rate), Some(pad), Some(crop)) = (rate, pad, crop)
            && again == Some(rate)
        {
            file.dilated.insert(middle, Dilation { rate, pad, crop });
            file.rearrangements.extend([index, last]);
        }
    }
    Ok(())
}

/// A stored input of an operator.
fn constant(
    file: &mut TfLiteFile<'_>,
    operator: &Operator<'_>,
    input: usize,
) -> Outcome<Option<Constant>> {
    let Some(index) = operator.inputs().and_then(|list| list.iter().nth(input)) else {
        return Ok(None);
    };
    let (index, info) = file.tensor(index)?;
    if super::tensor::stored_bytes(&file.model, &info.tensor)?.is_none() {
        return Ok(None);
    }
    Ok(match file.value(index)? {
        Value::Constant(constant) => Some(constant),
        Value::Live(_) => None,
    })
}

/// Sizes of blocks, of the two spatial axes.
fn pair(constant: &Constant) -> Option<[usize; 2]> {
    let values = constant.ints("the block").ok()?;
    let [rows, columns] = **values else {
        return None;
    };
    let size = |value: i64| {
        usize::try_from(value)
            .ok()
            .filter(|v| (1..1 << 20).contains(v))
    };
    Some([size(rows)?, size(columns)?])
}

/// `[[top, bottom], [left, right]]` as before and after.
fn borders(constant: &Constant) -> Option<[[usize; 2]; 2]> {
    let values = constant.ints("the borders").ok()?;
    let [top, bottom, left, right] = **values else {
        return None;
    };
    let size = |value: i64| usize::try_from(value).ok().filter(|v| *v < 1 << 20);
    Some([[size(top)?, size(left)?], [size(bottom)?, size(right)?]])
}
