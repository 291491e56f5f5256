use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, OutputS8, Params, product};
use crate::DType;

/// Axes of a broadcast.
pub const BROADCAST_RANK: usize = 4;

/// Two tensors, element by element, with broadcast. Inputs: `a`, `b` `s8`. Output: `y` `s8`, of `shape`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// Sizes of the output, outermost first; unused leading axes are 1.
    pub shape: [u32; BROADCAST_RANK],
    /// Bit `i` set: `a` has size 1 on axis `i` and is repeated.
    pub broadcast_a: u8,
    /// Bit `i` set: `b` has size 1 on axis `i` and is repeated.
    pub broadcast_b: u8,
}

impl Binary {
    /// `len` values against `len` values.
    pub const fn flat(shape: [u32; BROADCAST_RANK]) -> Binary {
        Binary {
            shape,
            broadcast_a: 0,
            broadcast_b: 0,
        }
    }

    /// Distance in elements from one index to the next on each axis of an operand with those broadcast bits; 0 where repeated.
    pub fn strides(&self, broadcast: u8) -> [u32; BROADCAST_RANK] {
        let mut strides = [0; BROADCAST_RANK];
        let mut step = 1;
        for (axis, (stride, &size)) in strides.iter_mut().zip(&self.shape).enumerate().rev() {
            if broadcast >> axis & 1 == 0 {
                *stride = step;
                step *= size;
            }
        }
        strides
    }

    fn operand_len(&self, broadcast: u8) -> Result<u64, OpError> {
        let mut shape = self.shape;
        for (axis, size) in shape.iter_mut().enumerate() {
            if broadcast >> axis & 1 == 1 {
                *size = 1;
            }
        }
        product(&shape)
    }

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        if self.broadcast_a >> BROADCAST_RANK != 0 || self.broadcast_b >> BROADCAST_RANK != 0 {
            return Err(OpError::Parameter);
        }
        operands.expect_counts(2, 1)?;
        operands.expect_input(0, DType::S8, self.operand_len(self.broadcast_a)?)?;
        operands.expect_input(1, DType::S8, self.operand_len(self.broadcast_b)?)?;
        operands.expect_output(0, DType::S8, product(&self.shape)?)
    }
}

/// `a + b`, or `a - b` with a negative multiplier. `docs/numerics.md`, `add`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Add {
    /// Shape and broadcast.
    pub binary: Binary,
    /// Zero point of `a`.
    pub zero_point_a: i8,
    /// Zero point of `b`.
    pub zero_point_b: i8,
    /// Factor of `a`; magnitude at most `2^22`.
    pub multiplier_a: i32,
    /// Factor of `b`; magnitude at most `2^22`.
    pub multiplier_b: i32,
    /// Bits to shift right; `1..=23`.
    pub shift: u8,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
}

impl Add {
    /// Largest magnitude of a multiplier: twice 255 times it, and half a step, stay inside `s32`.
    pub const MULTIPLIER_MAX: i32 = 1 << 22;
}

impl Params<'_> for Add {
    const CODE: OpCode = OpCode::Add;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        let limit = Self::MULTIPLIER_MAX.unsigned_abs();
        if self.multiplier_a.unsigned_abs() > limit || self.multiplier_b.unsigned_abs() > limit {
            return Err(OpError::AccumulatorBound);
        }
        // 2 * 255 * 2^22 + 2^(shift - 1) < 2^31 needs a half of at most 2^22.
        if self.shift == 0 || self.shift > 23 {
            return Err(OpError::Parameter);
        }
        self.output.check()?;
        self.binary.check(operands)
    }
}

/// `a * b`. `docs/numerics.md`, `mul`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mul {
    /// Shape and broadcast.
    pub binary: Binary,
    /// Zero point of `a`.
    pub zero_point_a: i8,
    /// Zero point of `b`.
    pub zero_point_b: i8,
    /// Scale of the product.
    pub requant: crate::Requant,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
}

impl Params<'_> for Mul {
    const CODE: OpCode = OpCode::Mul;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        if !self.requant.is_valid() {
            return Err(OpError::Parameter);
        }
        self.output.check()?;
        self.binary.check(operands)
    }
}

/// The smaller of `a` and `b`; all three share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minimum {
    /// Shape and broadcast.
    pub binary: Binary,
}

impl Params<'_> for Minimum {
    const CODE: OpCode = OpCode::Minimum;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        self.binary.check(operands)
    }
}

/// The larger of `a` and `b`; all three share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maximum {
    /// Shape and broadcast.
    pub binary: Binary,
}

impl Params<'_> for Maximum {
    const CODE: OpCode = OpCode::Maximum;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        self.binary.check(operands)
    }
}

/// `a / b`. `docs/numerics.md`, `div`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Div {
    /// Shape and broadcast.
    pub binary: Binary,
    /// Zero point of `a`.
    pub zero_point_a: i8,
    /// Zero point of `b`.
    pub zero_point_b: i8,
    /// Scale of the quotient, which has [`Div::QUOTIENT_BITS`] behind the point.
    pub requant: crate::Requant,
    /// Zero point and clamp of the output.
    pub output: OutputS8,
}

impl Div {
    /// Bits behind the point of the quotient of two integers: 255 of them stay inside `s32`.
    pub const QUOTIENT_BITS: u32 = 22;
}

impl Params<'_> for Div {
    const CODE: OpCode = OpCode::Div;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        if !self.requant.is_valid() {
            return Err(OpError::Parameter);
        }
        self.output.check()?;
        self.binary.check(operands)
    }
}
