use ocellus_format::ops::Div;

use super::binary::for_each_pair;
use super::requantize;
use crate::BinaryIo;

/// Quotient. What is divided by zero takes the output's end on its side.
pub fn div_s8(p: &Div, io: BinaryIo<'_>) {
    for_each_pair(&p.binary, io, |a, b| {
        let a = i32::from(a) - i32::from(p.zero_point_a);
        let b = i32::from(b) - i32::from(p.zero_point_b);
        p.output.finish(match quotient(a, b) {
            Some(quotient) => requantize(quotient, p.requant),
            None => a.signum().saturating_mul(i32::MAX),
        })
    });
}

/// `a / b` with [`Div::QUOTIENT_BITS`] behind the point, halves away from zero; `None` where `b` is zero.
fn quotient(a: i32, b: i32) -> Option<i32> {
    let (dividend, divisor) = (a.unsigned_abs() << Div::QUOTIENT_BITS, b.unsigned_abs());
    let magnitude = dividend.wrapping_add(divisor / 2).checked_div(divisor)?;
    let magnitude = magnitude as i32;
    Some(if (a < 0) == (b < 0) {
        magnitude
    } else {
        -magnitude
    })
}
