//! A softmax as exporters spell it: exponentials by their sum. The exponentials alone would need a scale for the largest of them.

use super::edit::Links;
use super::normalize::{before_repeats, before_reshapes, made_by, mean_of, stands_for};
use crate::{BinaryOp, Graph, GraphError, Op, TensorId, UnaryOp};

/// The axis over which `total` is the sum of `values`.
fn summed_axis(graph: &Graph, links: &Links, total: TensorId, values: TensorId) -> Option<usize> {
    let total = before_repeats(graph, links, total);
    let flat = before_reshapes(graph, links, total);
    let (mean, factor) = match made_by(graph, links, flat)? {
        (&Op::Unary(UnaryOp::Affine { scale, offset: 0.0 }), &[mean]) => (mean, scale),
        _ => (total, 1.0),
    };
    let (of, axes) = mean_of(graph, links, mean)?;
    let &[axis] = axes.as_slice() else {
        return None;
    };
    let count = graph.shape(values)[axis] as f32;
    (of == values && factor == count && stands_for(graph, total, values, &axes)).then_some(axis)
}

/// What a softmax of `x` along `axis` is of: a number that is taken from all of a row, such as its largest, changes nothing.
fn without_shift(graph: &Graph, links: &Links, x: TensorId, axis: usize) -> TensorId {
    match made_by(graph, links, x) {
        Some((Op::Binary(BinaryOp::Sub), &[inner, shift])) => {
            let whole = graph.shape(inner) == graph.shape(x);
            let lead = graph.shape(x).len() - graph.shape(shift).len();
            let own = axis.checked_sub(lead);
            let one = own.is_none_or(|axis| graph.shape(shift)[axis] == 1);
            if whole && one { inner } else { x }
        }
        _ => x,
    }
}

/// Writes exponentials by their sum, or by its reciprocal, as a softmax.
pub(super) fn find(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let &[a, b] = node.inputs.as_slice() else {
        return Ok(false);
    };
    let reciprocal = |id: TensorId| {
        let flat = before_reshapes(graph, links, before_repeats(graph, links, id));
        match made_by(graph, links, flat) {
            Some((&Op::Unary(UnaryOp::Pow { exponent: -1.0 }), &[total])) => Some(total),
            _ => None,
        }
    };
    let candidates = match node.op {
        Op::Binary(BinaryOp::Div) => vec![(a, Some(b))],
        _ => vec![(a, reciprocal(b)), (b, reciprocal(a))],
    };
    let found = candidates.into_iter().find_map(|(values, total)| {
        let (Op::Unary(UnaryOp::Exp), &[x]) = made_by(graph, links, values)? else {
            return None;
        };
        let axis = summed_axis(graph, links, total?, values)?;
        Some((without_shift(graph, links, x, axis), axis))
    });
    let Some((x, axis)) = found else {
        return Ok(false);
    };
    if graph.shape(x) != graph.shape(graph.nodes[index].output) {
        return Ok(false);
    }
    let node = &mut graph.nodes[index];
    (node.op, node.inputs) = (Op::Softmax { axis }, vec![x]);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use crate::passes::spelled::{self, node};
    use crate::{BinaryOp, BorderType, Graph, Op, UnaryOp};

    /// Exponentials of a tensor, less its mean where `shifted`, by their sum over `over`.
    fn optimized(
        shifted: bool,
        by_reciprocal: bool,
        over: usize,
        factor: f32,
    ) -> (Vec<&'static str>, f32) {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![1, 4, 5, 6], BorderType::F32);
        let mean = |graph: &mut Graph, x, axis| {
            let op = Op::Mean {
                axes: vec![axis],
                keep_dims: true,
            };
            node(graph, op, &[x])
        };
        let below = if shifted {
            let mean = mean(&mut graph, x, 3);
            node(&mut graph, Op::Binary(BinaryOp::Sub), &[x, mean])
        } else {
            x
        };
        let powers = node(&mut graph, Op::Unary(UnaryOp::Exp), &[below]);
        let mean = mean(&mut graph, powers, over);
        let sum = Op::Unary(UnaryOp::Affine {
            scale: factor,
            offset: 0.0,
        });
        let sum = node(&mut graph, sum, &[mean]);
        let y = if by_reciprocal {
            let reciprocal = Op::Unary(UnaryOp::Pow { exponent: -1.0 });
            let reciprocal = node(&mut graph, reciprocal, &[sum]);
            node(&mut graph, Op::Binary(BinaryOp::Mul), &[reciprocal, powers])
        } else {
            node(&mut graph, Op::Binary(BinaryOp::Div), &[powers, sum])
        };
        graph.add_output("y", y, BorderType::F32);
        spelled::optimized(graph)
    }

    #[test]
    fn every_spelling_becomes_one_operator() {
        for (shifted, by_reciprocal) in [(false, false), (true, false), (true, true)] {
            let (names, worst) = optimized(shifted, by_reciprocal, 3, 6.0);
            assert_eq!(names, ["softmax"], "{shifted} {by_reciprocal}");
            assert!(worst < 1e-6, "{worst}");
        }
    }

    #[test]
    fn another_sum_or_a_shift_within_the_row_is_none() {
        // The mean instead of the sum.
        let (names, worst) = optimized(false, false, 3, 1.0);
        assert!(
            !names.contains(&"softmax") && worst < 1e-5,
            "{names:?} {worst}"
        );
        // The shift differs along the axis that is summed over.
        let (names, worst) = optimized(true, false, 1, 4.0);
        assert!(
            names.contains(&"softmax") && names.contains(&"sub"),
            "{names:?}"
        );
        assert!(worst < 1e-6, "{worst}");
    }
}
