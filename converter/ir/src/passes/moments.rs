//! A normalization as TensorFlow spells it: `x * s + (offset - mean * s)` with `s` the factor by the deviation. Its two products are as large as the
//! data and only their difference is small, so in 8 bits little of it is left; as `(x - mean) / deviation * factor + offset` it is a normalization.

use super::edit::Links;
use super::normalize::{before_reshapes, made_by, mean_of, root_of, square_of, stands_for};
use crate::{BinaryOp, Graph, GraphError, Op, TensorId, UnaryOp};

/// The parts of such a sum.
struct Parts {
    /// `x - mean`, which the variance was made of.
    deviation: TensorId,
    /// `1 / sqrt(variance + epsilon)`
    reciprocal: TensorId,
    /// A constant factor.
    factor: Option<TensorId>,
    offset: Offset,
}

enum Offset {
    Number(f32),
    Constant(TensorId),
}

/// The two operands of a product, in both orders.
fn factors(graph: &Graph, links: &Links, id: TensorId) -> Option<[[TensorId; 2]; 2]> {
    match made_by(graph, links, id)? {
        (Op::Binary(BinaryOp::Mul), &[a, b]) => Some([[a, b], [b, a]]),
        _ => None,
    }
}

/// The product that is subtracted in `id`, and what it is subtracted from.
fn subtracted(graph: &Graph, links: &Links, id: TensorId) -> Option<(TensorId, Offset)> {
    let flat = before_reshapes(graph, links, id);
    match made_by(graph, links, flat)? {
        (
            &Op::Unary(UnaryOp::Affine {
                scale: -1.0,
                offset,
            }),
            &[product],
        ) => Some((product, Offset::Number(offset))),
        (Op::Unary(UnaryOp::Neg), &[product]) => Some((product, Offset::Number(0.0))),
        (Op::Binary(BinaryOp::Sub), &[offset, product])
            if flat == id && graph.constant(offset).is_some() =>
        {
            Some((product, Offset::Constant(offset)))
        }
        _ => None,
    }
}

/// The parts of `product + rest`.
fn parts(
    graph: &Graph,
    links: &Links,
    product: TensorId,
    rest: (TensorId, Offset),
) -> Option<Parts> {
    let (moved, offset) = rest;
    let same = |a, b| before_reshapes(graph, links, a) == before_reshapes(graph, links, b);
    let moved = before_reshapes(graph, links, moved);
    for [x, s] in factors(graph, links, product)? {
        for [mean, again] in factors(graph, links, moved)? {
            if !same(s, again) {
                continue;
            }
            // The factor of the deviation, where there is one.
            let constant = factors(graph, links, s)
                .into_iter()
                .flatten()
                .find(|[_, factor]| graph.constant(*factor).is_some());
            let (reciprocal, factor) = match constant {
                Some([reciprocal, factor]) => (reciprocal, Some(factor)),
                None => (s, None),
            };
            let found = root_of(graph, links, reciprocal).filter(|root| root.exponent == -0.5);
            let deviation = found
                .and_then(|root| mean_of(graph, links, root.variance))
                .and_then(|(square, axes)| Some((square_of(graph, links, square)?, axes)));
            let Some((deviation, axes)) = deviation else {
                continue;
            };
            if let Some((Op::Binary(BinaryOp::Sub), &[of, from])) = made_by(graph, links, deviation)
                && of == x
                && same(from, mean)
                && stands_for(graph, reciprocal, deviation, &axes)
            {
                return Some(Parts {
                    deviation,
                    reciprocal,
                    factor,
                    offset,
                });
            }
        }
    }
    None
}

/// Writes such a sum as a quotient, its factor and its offset.
pub(super) fn collect(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let node = graph.nodes[index].clone();
    let &[a, b] = node.inputs.as_slice() else {
        return Ok(false);
    };
    let found = match node.op {
        Op::Binary(BinaryOp::Sub) => parts(graph, links, a, (b, Offset::Number(0.0))),
        _ => [[a, b], [b, a]].into_iter().find_map(|[product, rest]| {
            parts(graph, links, product, subtracted(graph, links, rest)?)
        }),
    };
    let Some(found) = found else {
        return Ok(false);
    };
    let mut staged = Vec::new();
    let quotient = Op::Binary(BinaryOp::Mul);
    let operands = [found.deviation, found.reciprocal];
    staged.push(graph.stage(format!("{}.normal", node.name), quotient, &operands)?);
    if let Some(factor) = found.factor {
        let operands = [last(&staged, a), factor];
        let op = Op::Binary(BinaryOp::Mul);
        staged.push(graph.stage(format!("{}.scaled", node.name), op, &operands)?);
    }
    match found.offset {
        Offset::Number(0.0) => {}
        Offset::Number(offset) => {
            let op = Op::Unary(UnaryOp::Affine { scale: 1.0, offset });
            let operands = [last(&staged, a)];
            staged.push(graph.stage(format!("{}.shifted", node.name), op, &operands)?);
        }
        Offset::Constant(offset) => {
            let op = Op::Binary(BinaryOp::Add);
            let operands = [last(&staged, a), offset];
            staged.push(graph.stage(format!("{}.shifted", node.name), op, &operands)?);
        }
    }
    let shape = graph.shape(node.output);
    if graph.shape(last(&staged, a)) != shape {
        return Ok(false);
    }
    if let Some(last) = staged.last_mut() {
        (last.name, last.clamp) = (node.name, node.clamp);
    }
    graph.replace_node(index, staged);
    Ok(true)
}

fn last(staged: &[crate::Node], otherwise: TensorId) -> TensorId {
    staged.last().map_or(otherwise, |node| node.output)
}

#[cfg(test)]
mod tests {
    use crate::passes::spelled::{self, node};
    use crate::random::Random;
    use crate::{BinaryOp, BorderType, Graph, Op, UnaryOp};

    #[derive(Clone, Copy, PartialEq)]
    enum Rest {
        /// `offset - mean * s` with a constant offset.
        Offset,
        Negative,
        /// Axes of the mean and of all that is made of it come back in reshapes.
        Flat,
        /// The mean of something else.
        Wrong,
    }

    /// `x * s + rest` over the axis that is innermost.
    fn optimized(rest: Rest) -> (Vec<&'static str>, f32) {
        let mut graph = Graph::default();
        let mut random = Random::new(5);
        let x = graph.add_input("x", vec![1, 4, 5, 6], BorderType::F32);
        let flat = rest == Rest::Flat;
        let whole = |graph: &mut Graph, id| match flat {
            true => node(
                graph,
                Op::Reshape {
                    shape: vec![1, 4, 5, 1],
                },
                &[id],
            ),
            false => id,
        };
        let mean_of = |graph: &mut Graph, x| {
            let op = Op::Mean {
                axes: vec![3],
                keep_dims: !flat,
            };
            node(graph, op, &[x])
        };
        let mean = mean_of(&mut graph, x);
        let from = whole(&mut graph, mean);
        let deviation = node(&mut graph, Op::Binary(BinaryOp::Sub), &[x, from]);
        let squares = Op::Unary(UnaryOp::Pow { exponent: 2.0 });
        let squares = node(&mut graph, squares, &[deviation]);
        let variance = mean_of(&mut graph, squares);
        let sum = Op::Unary(UnaryOp::Affine {
            scale: 1.0,
            offset: 1e-3,
        });
        let sum = node(&mut graph, sum, &[variance]);
        let root = Op::Unary(UnaryOp::Pow { exponent: -0.5 });
        let mut s = node(&mut graph, root, &[sum]);
        if !flat {
            let gamma = graph.add_constant("gamma", vec![6], random.values(6));
            s = node(&mut graph, Op::Binary(BinaryOp::Mul), &[s, gamma]);
        }
        let by = whole(&mut graph, s);
        let product = node(&mut graph, Op::Binary(BinaryOp::Mul), &[x, by]);
        let moved = match rest {
            Rest::Wrong => node(&mut graph, Op::Binary(BinaryOp::Mul), &[variance, s]),
            _ => node(&mut graph, Op::Binary(BinaryOp::Mul), &[mean, s]),
        };
        let other = match rest {
            Rest::Offset => {
                let beta = graph.add_constant("beta", vec![6], random.values(6));
                node(&mut graph, Op::Binary(BinaryOp::Sub), &[beta, moved])
            }
            _ => node(&mut graph, Op::Unary(UnaryOp::Neg), &[moved]),
        };
        let other = whole(&mut graph, other);
        let y = node(&mut graph, Op::Binary(BinaryOp::Add), &[product, other]);
        graph.add_output("y", y, BorderType::F32);
        spelled::optimized(graph)
    }

    #[test]
    fn every_spelling_becomes_one_operator() {
        for rest in [Rest::Offset, Rest::Negative, Rest::Flat] {
            let (names, worst) = optimized(rest);
            assert_eq!(names, ["layer_norm"]);
            assert!(worst < 1e-5, "{worst}");
        }
    }

    #[test]
    fn another_mean_is_none() {
        let (names, worst) = optimized(Rest::Wrong);
        assert!(!names.contains(&"layer_norm"), "{names:?}");
        assert!(worst < 1e-5, "{worst}");
    }
}
