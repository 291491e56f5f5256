//! Cases of operators whose operands are all computed.

use ocellus_ir::{BinaryOp, Graph, Op, TensorId, UnaryOp};

use crate::cases::{Bound, Case, HALF, add, constant, unary};

const ROWS: &[usize] = &[1, 3, 12, 8];

fn case(
    name: &'static str,
    bound: Bound,
    shapes: &'static [&'static [usize]],
    build: fn(&mut Graph, &[TensorId], &mut ocellus_ir::random::Random) -> TensorId,
) -> Case {
    Case {
        name,
        shapes,
        bound,
        build,
    }
}

fn arg_max(axis: usize, keep_dims: bool, smallest: bool) -> Op {
    Op::ArgMax {
        axis,
        keep_dims,
        smallest,
        last: smallest,
    }
}

fn product(transposed: [bool; 2]) -> Op {
    Op::BatchMatMul { transposed }
}

fn layer_norm(axis: usize, run: usize, centered: bool) -> Op {
    Op::LayerNorm {
        axis,
        run,
        epsilon: 1e-5,
        centered,
    }
}

/// The real layer norm of an input that is exact in `s8` is met to half a step, and what the rule's other roundings add.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("arg_max innermost", Bound::Exact, &[ROWS], |g, x, _| {
            add(g, arg_max(3, false, false), x)
        }),
        case("arg_max outer", Bound::Exact, &[ROWS], |g, x, _| {
            add(g, arg_max(1, true, false), x)
        }),
        case("arg_min", Bound::Exact, &[&[1, 600, 3]], |g, x, _| {
            add(g, arg_max(1, false, true), x)
        }),
        case("top_k indices", Bound::Exact, &[&[2, 300]], |g, x, _| {
            let op = Op::TopK {
                k: 7,
                smallest: false,
            };
            add(g, op, x)
        }),
        case("top_k values", Bound::Exact, &[&[2, 40]], |g, x, _| {
            let op = Op::TopK {
                k: 40,
                smallest: true,
            };
            let indices = g.add_node("indices", op, x).unwrap();
            add(g, Op::GatherElements { axis: 1 }, &[x[0], indices])
        }),
        case(
            "gather_elements of an outer axis",
            Bound::Exact,
            &[ROWS],
            |g, x, _| {
                let indices = g.add_node("indices", arg_max(2, true, false), x).unwrap();
                add(g, Op::GatherElements { axis: 2 }, &[x[0], indices])
            },
        ),
        case(
            "gather_elements by constants",
            Bound::Exact,
            &[&[4, 3]],
            |g, x, _| {
                let list = vec![0.0, -1.0, 2.0, 9.0, -9.0, 1.0];
                let indices = g.add_constant("list", vec![2, 3], list);
                add(g, Op::GatherElements { axis: 0 }, &[x[0], indices])
            },
        ),
        case("take", Bound::Exact, &[&[6, 5], &[4, 6]], |g, x, _| {
            let indices = g
                .add_node("indices", arg_max(1, false, false), &[x[1]])
                .unwrap();
            add(g, Op::Take { axis: 0 }, &[x[0], indices])
        }),
        case("take from a table", HALF, &[&[1, 4, 9]], |g, x, random| {
            let table = constant(g, &[9, 6], random);
            let indices = g.add_node("indices", arg_max(2, false, true), x).unwrap();
            add(g, Op::Take { axis: 0 }, &[table, indices])
        }),
        case(
            "batch_mat_mul",
            HALF,
            &[&[1, 3, 5, 8], &[1, 3, 8, 4]],
            |g, x, _| add(g, product([false; 2]), x),
        ),
        case(
            "batch_mat_mul of transposed",
            HALF,
            &[&[3, 8, 5], &[3, 4, 8]],
            |g, x, _| add(g, product([true; 2]), x),
        ),
        case(
            "batch_mat_mul with broadcast",
            HALF,
            &[&[2, 1, 5, 8], &[3, 4, 8]],
            |g, x, _| add(g, product([false, true]), x),
        ),
        case(
            "batch_mat_mul by a constant stack",
            // A step of the constant is 1.4 / 255: half of it eight times a value of up to 2.
            Bound::StepsAnd(0.51, 0.046),
            &[&[2, 5, 8]],
            |g, x, random| {
                let stack = constant(g, &[2, 8, 3], random);
                add(g, product([false; 2]), &[x[0], stack])
            },
        ),
        case("layer_norm", HALF, &[ROWS], |g, x, random| {
            let (gamma, beta) = (constant(g, &[8], random), constant(g, &[8], random));
            add(g, layer_norm(3, 1, true), &[x[0], gamma, beta])
        }),
        case("layer_norm of pixels", HALF, &[ROWS], |g, x, random| {
            let (gamma, beta) = (constant(g, &[3], random), constant(g, &[3], random));
            add(g, layer_norm(2, 96, true), &[x[0], gamma, beta])
        }),
        case("layer_norm uncentered", HALF, &[ROWS], |g, x, random| {
            let (gamma, beta) = (constant(g, &[96], random), constant(g, &[96], random));
            add(g, layer_norm(2, 1, false), &[x[0], gamma, beta])
        }),
        case(
            "div",
            // The divisor's own rounding, half of 11/255 in at least 7, of a quotient of at most 2/7.
            Bound::StepsAnd(0.51, 0.000_9),
            &[ROWS, ROWS],
            |g, x, _| {
                let away = UnaryOp::Affine {
                    scale: 1.0,
                    offset: 9.0,
                };
                let divisor = g.add_node("divisor", unary(away), &[x[1]]).unwrap();
                add(g, Op::Binary(BinaryOp::Div), &[x[0], divisor])
            },
        ),
        case(
            "div of a constant with broadcast",
            // As above, of a quotient of at most 0.7/7; and the constant's, half of 1.4/255 over 7.
            Bound::StepsAnd(0.51, 0.001),
            &[&[1, 5, 8]],
            |g, x, random| {
                let away = UnaryOp::Affine {
                    scale: 1.0,
                    offset: 9.0,
                };
                let divisor = g.add_node("divisor", unary(away), x).unwrap();
                let dividend = constant(g, &[5, 1], random);
                add(g, Op::Binary(BinaryOp::Div), &[dividend, divisor])
            },
        ),
    ]
}
