//! Functions of one value that are tables: half a step, where the argument is exact.

use ocellus_ir::random::Random;
use ocellus_ir::{BinaryOp, Function, Graph, Op, Step, TensorId, UnaryOp};

use crate::cases::{Bound, Case, HALF, PICTURE, add, unary};

macro_rules! function {
    ($name:literal, $op:expr) => {
        Case {
            name: $name,
            shapes: &[PICTURE],
            bound: HALF,
            build: |g, x, _| add(g, unary($op), x),
        }
    };
}

/// The argument moved to 2..6, which is rounded to 255 steps from 0 on; what the steepest slope there makes of half such a step comes on top.
macro_rules! positive {
    ($name:literal, $op:expr, $slope:expr) => {
        Case {
            name: $name,
            shapes: &[PICTURE],
            bound: Bound::StepsAnd(0.51, $slope * 6.0 / 255.0 / 2.0),
            build: |g, x, random| moved(g, x, random, $op),
        }
    };
}

fn moved(g: &mut Graph, x: &[TensorId], _: &mut Random, op: UnaryOp) -> TensorId {
    let affine = UnaryOp::Affine {
        scale: 1.0,
        offset: 4.0,
    };
    let positive = add(g, unary(affine), x);
    add(g, unary(op), &[positive])
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        positive!("log", UnaryOp::Log, 0.5),
        positive!("sqrt", UnaryOp::Sqrt, 0.354),
        positive!("reciprocal", UnaryOp::Pow { exponent: -1.0 }, 0.25),
        positive!("power of 0.3", UnaryOp::Pow { exponent: 0.3 }, 0.185),
        function!("square", UnaryOp::Pow { exponent: 2.0 }),
        function!("cube", UnaryOp::Pow { exponent: 3.0 }),
        function!("erf", UnaryOp::Erf),
        function!("softplus", UnaryOp::Softplus),
        function!("elu", UnaryOp::Elu { alpha: 1.5 }),
        function!("threshold", UnaryOp::Threshold { threshold: 0.5 }),
        function!("floor", UnaryOp::Floor),
        function!("ceil", UnaryOp::Ceil),
        function!("round", UnaryOp::Round),
        function!("sign", UnaryOp::Sign),
        function!("sin", UnaryOp::Sin),
        function!("cos", UnaryOp::Cos),
        function!("atan", UnaryOp::Atan),
        Case {
            name: "function of three steps",
            shapes: &[PICTURE],
            bound: HALF,
            build: |g, x, _| {
                let mish = Function::new(vec![
                    Step::Unary(UnaryOp::Softplus, 0),
                    Step::Unary(UnaryOp::Tanh, 1),
                    Step::Binary(BinaryOp::Mul, 0, 2),
                ]);
                add(g, Op::Function(mish.unwrap()), x)
            },
        },
    ]
}
