//! Products of two computed tensors.

use ocellus_ir::Op;

use crate::error::Outcome;
use crate::values::{Context, Format, Value};

/// `a [.., m, k]` by `b [.., k, n]`, of which at most one is constant.
pub(super) fn product<F: Format>(
    cx: &mut Context<'_, F>,
    a: &Value,
    b: &Value,
    transposed: [bool; 2],
) -> Outcome<Value> {
    let operands = [cx.real(a)?, cx.real(b)?];
    let y = cx.emit(Op::BatchMatMul { transposed }, &operands)?;
    Ok(cx.live(y))
}

/// MatMul of two computed operands, or of one with a constant stack of matrices: a vector is a matrix of one row or column.
pub(super) fn mat_mul<F: Format>(cx: &mut Context<'_, F>, a: &Value, b: &Value) -> Outcome<Value> {
    let (shape_a, shape_b) = (cx.shape_of(a), cx.shape_of(b));
    let (row, column) = (shape_a.len() == 1, shape_b.len() == 1);
    let a = match row {
        true => cx.reshape(a, vec![1, shape_a[0]])?,
        false => a.clone(),
    };
    let b = match column {
        true => cx.reshape(b, vec![shape_b[0], 1])?,
        false => b.clone(),
    };
    let y = product(cx, &a, &b, [false; 2])?;
    let mut shape = cx.shape_of(&y);
    if column {
        shape.pop();
    }
    if row {
        shape.remove(shape.len() - if column { 1 } else { 2 });
    }
    cx.reshape(&y, shape)
}
