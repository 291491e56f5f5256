//! Comparisons, logic and choices. A truth value that is computed from the model's input is a tensor of zeros and ones.

use crate::error::Outcome;
use crate::operators::logic::{Comparison, both, compare, either, neither};
use crate::operators::selection::choose_of;
use crate::tflite::node::Tx;
use crate::values::Value;

macro_rules! comparisons {
    ($($name:ident $comparison:ident;)*) => {$(
        pub(super) fn $name(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
            Ok(vec![compare(cx, Comparison::$comparison)?])
        }
    )*};
}

comparisons! {
    equal Equal;
    not_equal NotEqual;
    less Less;
    less_equal LessOrEqual;
    greater Greater;
    greater_equal GreaterOrEqual;
}

pub(super) fn logical_and(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![both(cx)?])
}

pub(super) fn logical_or(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![either(cx)?])
}

pub(super) fn logical_not(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![neither(cx)?])
}

pub(super) fn select_v2(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    Ok(vec![choose_of(cx)?])
}

/// The older form, in which a list of conditions chooses whole rows.
pub(super) fn select(cx: &mut Tx<'_, '_>) -> Outcome<Vec<Value>> {
    let condition = cx.input(0)?;
    let rank = cx.shape_of(&cx.input(1)?).len();
    if let [count] = cx.shape_of(&condition)[..]
        && rank > 1
    {
        let mut shape = vec![1; rank];
        shape[0] = count;
        cx.inputs[0] = Some(cx.reshape(&condition, shape)?);
    }
    select_v2(cx)
}
