//! Arithmetic with constants, written in as few operators as possible, and activations that a file spells out.

use super::edit::Links;
use crate::{BinaryOp, Graph, GraphError, Node, Op, TensorId, UnaryOp};

pub(super) fn simplify(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let rewrite = match graph.nodes[index].op {
        Op::Binary(op) => {
            constant_operand(graph, op, index).or_else(|| composed(graph, links, op, index))
        }
        Op::Unary(op) => unary(graph, links, op, index),
        Op::Prelu => one_slope(graph, index),
        _ => None,
    };
    let Some((op, inputs)) = rewrite else {
        return Ok(false);
    };
    let node = &mut graph.nodes[index];
    // A fused limit stays a limit: only operators that carry one keep it, the others are not rewritten.
    if node.clamp.is_some() && !op.takes_clamp() {
        return Ok(false);
    }
    (node.op, node.inputs) = (op, inputs);
    Ok(true)
}

type Rewrite = Option<(Op, Vec<TensorId>)>;

fn constant_operand(graph: &mut Graph, op: BinaryOp, index: usize) -> Rewrite {
    let node = &graph.nodes[index];
    let (a, b) = (*node.inputs.first()?, *node.inputs.get(1)?);
    let (x, constant, reversed) = match (graph.constant(a).is_some(), graph.constant(b).is_some()) {
        (false, true) => (a, b, false),
        (true, false) => (b, a, true),
        _ => return None,
    };
    let value = graph.constant(constant)?.clone();
    let uniform = value
        .first()
        .copied()
        .filter(|first| value.iter().all(|v| v == first));
    if let Some(value) = uniform.filter(|_| graph.shape(x) == graph.shape(node.output)) {
        let affine = |scale: f32, offset: f32| {
            (scale.is_finite() && offset.is_finite()).then_some(UnaryOp::Affine { scale, offset })
        };
        let unary = match (op, reversed) {
            (BinaryOp::Add, _) => affine(1.0, value),
            (BinaryOp::Sub, false) => affine(1.0, -value),
            (BinaryOp::Sub, true) => affine(-1.0, value),
            (BinaryOp::Mul, _) => affine(value, 0.0),
            (BinaryOp::Div, false) => affine(1.0 / value, 0.0),
            (BinaryOp::Div, true) => None,
            (BinaryOp::Minimum, _) => Some(UnaryOp::Clip {
                min: f32::NEG_INFINITY,
                max: value,
            }),
            (BinaryOp::Maximum, _) => Some(UnaryOp::Clip {
                min: value,
                max: f32::INFINITY,
            }),
        };
        return unary.map(|unary| (Op::Unary(unary), vec![x]));
    }
    // Steps of a file's own are kept as they are.
    if graph.grid(constant).is_some() && !reversed {
        return None;
    }
    let (op, value): (_, Vec<f32>) = match (op, reversed) {
        (BinaryOp::Sub, false) => (BinaryOp::Add, value.iter().map(|v| -v).collect()),
        (BinaryOp::Div, false) if value.iter().all(|v| (1.0 / v).is_finite()) => {
            (BinaryOp::Mul, value.iter().map(|v| 1.0 / v).collect())
        }
        // The constant second, so that later passes look in one place.
        (BinaryOp::Add | BinaryOp::Mul | BinaryOp::Minimum | BinaryOp::Maximum, true) => {
            return Some((Op::Binary(op), vec![x, constant]));
        }
        _ => return None,
    };
    let (name, shape) = (
        graph.tensor(constant).name.clone(),
        graph.shape(constant).to_vec(),
    );
    let constant = graph.add_constant(name, shape, value);
    Some((Op::Binary(op), vec![x, constant]))
}

fn one_slope(graph: &Graph, index: usize) -> Rewrite {
    let node = &graph.nodes[index];
    let slopes = graph.constant(*node.inputs.get(1)?)?;
    let slope = *slopes.first()?;
    slopes.iter().all(|s| *s == slope).then(|| {
        (
            Op::Unary(UnaryOp::LeakyRelu { slope }),
            vec![node.inputs[0]],
        )
    })
}

/// The node that computes a tensor, where nothing is lost by not rounding it.
fn producer<'g>(graph: &'g Graph, links: &Links, id: TensorId) -> Option<&'g Node> {
    let node = &graph.nodes[links.producer(id)?];
    graph.grid(id).is_none().then_some(node)
}

fn unary_before(graph: &Graph, links: &Links, id: TensorId) -> Option<(UnaryOp, TensorId)> {
    let node = producer(graph, links, id)?;
    match node.op {
        Op::Unary(op) => Some((op, *node.inputs.first()?)),
        _ => None,
    }
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6 * b.abs().max(1.0)
}

fn unary(graph: &Graph, links: &Links, op: UnaryOp, index: usize) -> Rewrite {
    let x = *graph.nodes[index].inputs.first()?;
    let before = unary_before(graph, links, x);
    let to = |op: UnaryOp, x: TensorId| Some((Op::Unary(op), vec![x]));
    match (op, before) {
        (UnaryOp::Neg, _) => to(
            UnaryOp::Affine {
                scale: -1.0,
                offset: 0.0,
            },
            x,
        ),
        (UnaryOp::LeakyRelu { slope: 0.0 }, _) => to(
            UnaryOp::Clip {
                min: 0.0,
                max: f32::INFINITY,
            },
            x,
        ),
        (UnaryOp::LeakyRelu { slope: 1.0 }, _) => to(
            UnaryOp::Affine {
                scale: 1.0,
                offset: 0.0,
            },
            x,
        ),
        (
            UnaryOp::Clip { min, max },
            Some((
                UnaryOp::Clip {
                    min: low,
                    max: high,
                },
                source,
            )),
        ) => {
            let limit = |v: f32| v.max(min).min(max);
            to(
                UnaryOp::Clip {
                    min: limit(low),
                    max: limit(high),
                },
                source,
            )
        }
        // Only where both are used once or the inner one is used anyway: the inner node dies or stays, work never grows.
        (
            UnaryOp::Affine { scale, offset },
            Some((
                UnaryOp::Affine {
                    scale: s,
                    offset: o,
                },
                source,
            )),
        ) => {
            let (scale, offset) = (scale * s, scale * o + offset);
            (scale.is_finite() && offset.is_finite())
                .then(|| (Op::Unary(UnaryOp::Affine { scale, offset }), vec![source]))
        }
        // 1 / 6 * clip(x + 3, 0, 6) and its relatives.
        (UnaryOp::Affine { scale, offset }, Some((UnaryOp::Clip { min, max }, middle))) => {
            if !(near(scale * min + offset, 0.0) && near(scale * max + offset, 1.0)) {
                return hard_swish_scaled(graph, links, scale, offset, x);
            }
            let (inner, source) = match unary_before(graph, links, middle) {
                Some((UnaryOp::Affine { scale, offset }, source)) => ((scale, offset), source),
                _ => ((1.0, 0.0), middle),
            };
            to(
                UnaryOp::HardSigmoid {
                    alpha: scale * inner.0,
                    beta: scale * inner.1 + offset,
                },
                source,
            )
        }
        (UnaryOp::Affine { scale, offset }, None) => {
            hard_swish_scaled(graph, links, scale, offset, x)
        }
        // clip(a * x + b, 0, 1)
        (
            UnaryOp::Clip { min: 0.0, max: 1.0 },
            Some((UnaryOp::Affine { scale, offset }, source)),
        ) if links.has_one_reader(x) => {
            // Behind a layer that can take the factors and the limit itself, they are better left apart.
            let fusible = producer(graph, links, source).is_some_and(|node| node.op.takes_clamp());
            if fusible {
                None
            } else {
                to(
                    UnaryOp::HardSigmoid {
                        alpha: scale,
                        beta: offset,
                    },
                    source,
                )
            }
        }
        _ => None,
    }
}

/// `x * clip(x + 3, 0, 6)`, times 1 / 6 by the node at hand.
fn hard_swish_scaled(
    graph: &Graph,
    links: &Links,
    scale: f32,
    offset: f32,
    product: TensorId,
) -> Rewrite {
    let node = producer(graph, links, product)
        .filter(|node| node.op == Op::Binary(BinaryOp::Mul) && node.clamp.is_none())?;
    let (a, b) = (*node.inputs.first()?, *node.inputs.get(1)?);
    [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
        let (UnaryOp::Clip { min: 0.0, max }, sum) = unary_before(graph, links, gate)? else {
            return None;
        };
        let (
            UnaryOp::Affine {
                scale: one,
                offset: three,
            },
            source,
        ) = unary_before(graph, links, sum)?
        else {
            return None;
        };
        let matches = source == x
            && near(one, 1.0)
            && near(three, 3.0)
            && near(max, 6.0)
            && near(scale, 1.0 / 6.0)
            && offset == 0.0;
        matches.then(|| (Op::Unary(UnaryOp::HardSwish), vec![x]))
    })
}

/// Activations that multiply a value by a function of itself, or take the larger of the two.
fn composed(graph: &Graph, links: &Links, op: BinaryOp, index: usize) -> Rewrite {
    let node = &graph.nodes[index];
    let (a, b) = (*node.inputs.first()?, *node.inputs.get(1)?);
    [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
        let (gate, source) = unary_before(graph, links, gate)?;
        if source != x {
            return None;
        }
        let found = match (op, gate) {
            (BinaryOp::Mul, UnaryOp::Sigmoid) => UnaryOp::Silu,
            (BinaryOp::Mul, UnaryOp::HardSigmoid { alpha, beta })
                if near(alpha, 1.0 / 6.0) && near(beta, 0.5) =>
            {
                UnaryOp::HardSwish
            }
            (BinaryOp::Maximum, UnaryOp::Affine { scale, offset: 0.0 })
                if (0.0..=1.0).contains(&scale) =>
            {
                UnaryOp::LeakyRelu { slope: scale }
            }
            _ => return None,
        };
        Some((Op::Unary(found), vec![x]))
    })
}
