//! Functions of one value: what each computes, and several as one.

use crate::{BinaryOp, UnaryOp};

impl UnaryOp {
    /// The function itself, as exactly as `f64` allows; tables of the device are made with it.
    ///
    /// Outside of its domain a function takes the value at the domain's nearest end: there lies what rounding to 8 bits has pushed over it.
    pub fn exact(self, x: f64) -> f64 {
        match self {
            UnaryOp::Clip { min, max } => x.max(f64::from(min)).min(f64::from(max)),
            UnaryOp::LeakyRelu { slope } => {
                if x < 0.0 {
                    f64::from(slope) * x
                } else {
                    x
                }
            }
            UnaryOp::Sigmoid => sigmoid(x),
            UnaryOp::HardSigmoid { alpha, beta } => {
                (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
            }
            UnaryOp::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            UnaryOp::Silu => x * sigmoid(x),
            UnaryOp::Tanh => libm::tanh(x),
            UnaryOp::Exp => libm::exp(x),
            UnaryOp::Log => libm::log(x.max(0.0)),
            UnaryOp::Sqrt => x.max(0.0).sqrt(),
            UnaryOp::Pow { exponent } if exponent.fract() == 0.0 => {
                libm::pow(x, f64::from(exponent))
            }
            UnaryOp::Pow { exponent } => libm::pow(x.max(0.0), f64::from(exponent)),
            UnaryOp::Erf => libm::erf(x),
            // The larger side apart, so that nothing overflows.
            UnaryOp::Softplus => x.max(0.0) + libm::log1p(libm::exp(-x.abs())),
            UnaryOp::Elu { alpha } => {
                if x < 0.0 {
                    f64::from(alpha) * libm::expm1(x)
                } else {
                    x
                }
            }
            UnaryOp::Threshold { threshold } => {
                if x > f64::from(threshold) {
                    x
                } else {
                    0.0
                }
            }
            UnaryOp::Floor => x.floor(),
            UnaryOp::Ceil => x.ceil(),
            UnaryOp::Round => x.round_ties_even(),
            UnaryOp::Sign if x == 0.0 => 0.0,
            UnaryOp::Sign => x.signum(),
            UnaryOp::Sin => libm::sin(x),
            UnaryOp::Cos => libm::cos(x),
            UnaryOp::Atan => libm::atan(x),
            UnaryOp::Abs => x.abs(),
            UnaryOp::Neg => -x,
            UnaryOp::Affine { scale, offset } => f64::from(scale) * x + f64::from(offset),
        }
    }
}

impl BinaryOp {
    /// The function itself, in `f64`.
    pub fn exact(self, a: f64, b: f64) -> f64 {
        match self {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a * b,
            BinaryOp::Div => a / b,
            BinaryOp::Minimum => a.min(b),
            BinaryOp::Maximum => a.max(b),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// A step of a [`Function`]. Operands are numbers of values: 0 is the argument, `i + 1` the result of step `i`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Of one value.
    Unary(UnaryOp, usize),
    /// Of two values.
    Binary(BinaryOp, usize, usize),
    /// A number.
    Constant(f32),
}

/// A function of one value that is put together from others; the last step is its result.
///
/// What a file spells out in several operators is one table on the device, without rounding in between.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// In order: each reads the argument and steps before it.
    steps: Vec<Step>,
}

impl Function {
    /// Puts a function together; none where a step reads itself or a later one, or where there is no step.
    pub fn new(steps: Vec<Step>) -> Option<Self> {
        let ordered = steps.iter().enumerate().all(|(i, step)| match *step {
            Step::Unary(_, x) => x <= i,
            Step::Binary(_, a, b) => a <= i && b <= i,
            Step::Constant(value) => value.is_finite(),
        });
        (ordered && !steps.is_empty()).then_some(Self { steps })
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The function itself, as exactly as `f64` allows.
    pub fn exact(&self, x: f64) -> f64 {
        let mut values = Vec::with_capacity(self.steps.len() + 1);
        values.push(x);
        for step in &self.steps {
            values.push(match *step {
                Step::Unary(op, x) => op.exact(values[x]),
                Step::Binary(op, a, b) => op.exact(values[a], values[b]),
                Step::Constant(value) => f64::from(value),
            });
        }
        values.pop().unwrap_or(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_steps_is_their_composition() {
        // Mish: x * tanh(softplus(x)).
        let mish = Function::new(vec![
            Step::Unary(UnaryOp::Softplus, 0),
            Step::Unary(UnaryOp::Tanh, 1),
            Step::Binary(BinaryOp::Mul, 0, 2),
        ])
        .unwrap();
        assert!((mish.exact(1.0) - 0.865_098_388).abs() < 1e-8);
        assert_eq!(mish.exact(0.0), 0.0);
        let reciprocal =
            Function::new(vec![Step::Constant(2.0), Step::Binary(BinaryOp::Div, 1, 0)]).unwrap();
        assert_eq!(reciprocal.exact(4.0), 0.5);
    }

    #[test]
    fn steps_out_of_order_are_no_function() {
        assert_eq!(Function::new(vec![]), None);
        assert_eq!(Function::new(vec![Step::Unary(UnaryOp::Abs, 1)]), None);
        assert_eq!(Function::new(vec![Step::Binary(BinaryOp::Add, 0, 1)]), None);
        assert_eq!(Function::new(vec![Step::Constant(f32::NAN)]), None);
    }

    #[test]
    fn outside_of_its_domain_a_function_takes_the_value_at_the_end() {
        assert_eq!(UnaryOp::Sqrt.exact(-1.0), 0.0);
        assert_eq!(UnaryOp::Log.exact(-1.0), f64::NEG_INFINITY);
        assert_eq!(UnaryOp::Pow { exponent: 0.5 }.exact(-4.0), 0.0);
        assert_eq!(UnaryOp::Pow { exponent: 3.0 }.exact(-2.0), -8.0);
        assert_eq!(UnaryOp::Softplus.exact(1000.0), 1000.0);
        assert_eq!(UnaryOp::Sign.exact(0.0), 0.0);
    }
}
