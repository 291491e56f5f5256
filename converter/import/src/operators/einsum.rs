//! Einsum where one operand is a constant: a matrix product, with the axes brought into its order.

use crate::constant::Constant;
use crate::error::{Outcome, Refusal};
use crate::operators::linear::product;
use crate::values::{Context, Cx, Format, Value};

/// What stands for the axes of an ellipsis: no letters, so that no equation has them already.
const ELLIPSIS: [char; 8] = ['0', '1', '2', '3', '4', '5', '6', '7'];

/// The equation with as many axes in the place of each ellipsis as its operand has beyond its letters.
fn without_ellipsis(text: &str, ranks: &[usize]) -> Outcome<String> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if !compact.contains("...") {
        return Ok(compact);
    }
    let (left, right) = compact.split_once("->").ok_or_else(|| {
        Refusal::unsupported(format!(
            "the equation `{text}` has an ellipsis and no result; write the result out"
        ))
    })?;
    let mut count = None;
    for (operand, rank) in left.split(',').zip(ranks) {
        let Some((before, behind)) = operand.split_once("...") else {
            continue;
        };
        let hidden = rank.checked_sub(before.len() + behind.len());
        let same = count.is_none() || count == hidden;
        match hidden.filter(|&hidden| same && hidden <= ELLIPSIS.len()) {
            Some(hidden) => count = Some(hidden),
            None => {
                return Err(Refusal::unsupported(format!(
                    "the ellipses of the equation `{text}` stand for different counts of axes; write the axes out"
                )));
            }
        }
    }
    let axes: String = ELLIPSIS.iter().take(count.unwrap_or(0)).collect();
    Ok(format!("{left}->{right}").replace("...", &axes))
}

/// Letters of each operand and of the result; an ellipsis is not among them.
struct Equation {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

impl Equation {
    /// Reads what is `spelled` without ellipsis; `text` is for messages.
    fn read(text: &str, spelled: &str) -> Outcome<Self> {
        let wrong = || Refusal::malformed(format!("the equation `{text}` makes no sense"));
        let (left, right) = match spelled.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (spelled, None),
        };
        let operands: Vec<Vec<char>> = left.split(',').map(|o| o.chars().collect()).collect();
        let result: Vec<char> = match right {
            Some(right) => right.chars().collect(),
            // Without a result: what occurs once, in the order of the alphabet.
            None => {
                let all: Vec<char> = operands.iter().flatten().copied().collect();
                let mut once: Vec<char> = all
                    .iter()
                    .copied()
                    .filter(|c| all.iter().filter(|other| *other == c).count() == 1)
                    .collect();
                once.sort_unstable();
                once
            }
        };
        let is_axis = |c: &char| c.is_ascii_alphabetic() || ELLIPSIS.contains(c);
        let letters = |list: &[char]| list.iter().all(is_axis);
        if !operands.iter().all(|o| letters(o)) || !letters(&result) {
            return Err(wrong());
        }
        let repeats = |list: &[char]| (1..list.len()).any(|i| list[..i].contains(&list[i]));
        if operands.iter().any(|o| repeats(o)) || repeats(&result) {
            return Err(Refusal::unsupported(format!(
                "the equation `{text}` repeats a letter within an operand"
            )));
        }
        if !result
            .iter()
            .all(|c| operands.iter().any(|o| o.contains(c)))
        {
            return Err(wrong());
        }
        Ok(Equation { operands, result })
    }
}

pub(super) fn einsum(cx: &mut Cx<'_, '_>) -> Outcome<Vec<Value>> {
    let text = cx
        .attributes()
        .text("equation")?
        .ok_or_else(|| Refusal::malformed("attribute `equation` is missing"))?;
    let inputs = (0..cx.inputs.len())
        .map(|i| cx.input(i))
        .collect::<Outcome<Vec<_>>>()?;
    if text.contains(|c: char| c.is_ascii_digit()) {
        return Err(Refusal::malformed(format!(
            "the equation `{text}` makes no sense"
        )));
    }
    let ranks: Vec<usize> = inputs
        .iter()
        .map(|value| cx.shape_of(value).len())
        .collect();
    let equation = Equation::read(text, &without_ellipsis(text, &ranks)?)?;
    let ranks_fit = inputs.len() == equation.operands.len()
        && inputs
            .iter()
            .zip(&equation.operands)
            .all(|(value, letters)| cx.shape_of(value).len() == letters.len());
    if !ranks_fit {
        return Err(Refusal::malformed(format!(
            "the equation `{text}` does not fit the operands' shapes"
        )));
    }
    match (&inputs[..], &equation.operands[..]) {
        ([x], [letters]) if letters.len() == equation.result.len() => {
            let order = positions(letters, &equation.result);
            Ok(vec![cx.transpose(x, &order)?])
        }
        ([a, b], [la, lb]) => Ok(vec![contract(cx, (a, la), (b, lb), &equation.result)?]),
        _ => Err(Refusal::unsupported(format!(
            "the equation `{text}` is no product of two operands"
        ))),
    }
}

/// Where each of the wanted letters stands.
fn positions(letters: &[char], wanted: &[char]) -> Vec<usize> {
    wanted
        .iter()
        .filter_map(|c| letters.iter().position(|l| l == c))
        .collect()
}

/// A product over the letters that both operands have and the result has not.
fn contract(
    cx: &mut Cx<'_, '_>,
    (a, la): (&Value, &[char]),
    (b, lb): (&Value, &[char]),
    result: &[char],
) -> Outcome<Value> {
    let of = |keep: &dyn Fn(char) -> bool, letters: &[char]| -> Vec<char> {
        letters.iter().copied().filter(|&c| keep(c)).collect()
    };
    let in_both = |c: char| la.contains(&c) && lb.contains(&c);
    let batch = of(&|c| in_both(c) && result.contains(&c), la);
    let summed = of(&|c| in_both(c) && !result.contains(&c), la);
    let rows = of(&|c| !lb.contains(&c), la);
    let columns = of(&|c| !la.contains(&c), lb);
    if rows.iter().chain(&columns).any(|c| !result.contains(c)) {
        return Err(Refusal::unsupported(
            "it sums over an axis that only one operand has; use ReduceSum",
        ));
    }
    let (shape_a, shape_b) = (cx.shape_of(a), cx.shape_of(b));
    let size = |c: &char| {
        let at = |letters: &[char], shape: &[usize]| {
            letters.iter().position(|l| l == c).map(|i| shape[i])
        };
        at(la, &shape_a).or(at(lb, &shape_b)).unwrap_or(1)
    };
    if let Some(wrong) = la.iter().find(|&c| {
        lb.iter()
            .position(|l| l == c)
            .is_some_and(|i| shape_b[i] != size(c))
    }) {
        return Err(Refusal::malformed(format!(
            "axis `{wrong}` has two sizes, in shapes {shape_a:?} and {shape_b:?}"
        )));
    }
    let count = |list: &[char]| -> usize { list.iter().map(size).product() };
    let arranged = |cx: &mut Cx<'_, '_>, x: &Value, letters: &[char], wanted: [&[char]; 3]| {
        let order = positions(letters, &wanted.concat());
        let moved = cx.transpose(x, &order)?;
        cx.reshape(&moved, wanted.map(count).to_vec())
    };
    let left = arranged(cx, a, la, [&batch, &rows, &summed])?;
    let right = arranged(cx, b, lb, [&batch, &summed, &columns])?;
    let single = |value: Value| match value {
        // One matrix is no stack of them.
        Value::Constant(c) if c.shape[0] == 1 => {
            let shape = c.shape[1..].to_vec();
            c.with_shape(shape).map(Value::Constant)
        }
        value => Ok(value),
    };
    let (left, right) = (single(left)?, single(right)?);
    let y = product(cx, &left, &right)?;
    let letters = [&batch[..], &rows, &columns].concat();
    let y = cx.reshape(&y, letters.iter().map(size).collect())?;
    cx.transpose(&y, &positions(&letters, result))
}

/// A stack of constant matrices `[n, k, columns]` by `x [n, rows, k]`: one group of channels each.
pub(super) fn by_stack<F: Format>(
    cx: &mut Context<'_, F>,
    x: &Value,
    stack: &Constant,
) -> Outcome<Value> {
    let shape = cx.shape_of(x);
    let (&[n, rows, k], &[stacked, inner, columns]) = (&shape[..], &stack.shape[..]) else {
        return Err(Refusal::unsupported(format!(
            "a product of shapes {shape:?} and {:?} is not supported",
            stack.shape
        )));
    };
    if n != stacked || k != inner {
        return Err(Refusal::malformed(format!(
            "shapes {shape:?} and {:?} do not make a product",
            stack.shape
        )));
    }
    let source = stack.reals("the constant operand")?;
    let mut values = Vec::with_capacity(source.len());
    for matrix in 0..n {
        for column in 0..columns {
            values.extend((0..k).map(|i| source[(matrix * k + i) * columns + column]));
        }
    }
    let weights = cx.weights(vec![n * columns, 1, 1, k], values)?;
    let moved = cx.transpose(x, &[1, 0, 2])?;
    let picture = cx.reshape(&moved, vec![1, 1, rows, n * k])?;
    let operand = cx.real(&picture)?;
    let op = ocellus_ir::Op::Conv2d {
        window: ocellus_ir::Window::UNIT,
        groups: n,
    };
    let y = cx.emit(op, &[operand, weights])?;
    let y = cx.live(y);
    let y = cx.reshape(&y, vec![rows, n, columns])?;
    cx.transpose(&y, &[1, 0, 2])
}
