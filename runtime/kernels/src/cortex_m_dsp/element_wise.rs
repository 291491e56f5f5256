//! Operators on one value at a time: product, table look-up, leaky rectifier.

use ocellus_format::{
    Requant,
    ops::{Lookup, Mul, Prelu},
};

use super::requantize::finish;
use crate::{
    BinaryIo, InOut, LookupIo, PreluIo,
    generic::{RowsOf, SMMLA_SHIFTS},
    reference,
};

/// Calls `f` with each value of a row, and replaces or writes it by what that gives.
#[inline(always)]
fn map(x_y: &mut InOut<'_>, first: usize, len: usize, f: impl Fn(usize, i8) -> i8) {
    let some = first..first + len;
    match x_y {
        InOut::Apart(x, y) => {
            let x = x.get(some.clone()).unwrap_or(&[]);
            let y = y.get_mut(some).unwrap_or_default();
            for (at, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                *y = f(at, x);
            }
        }
        InOut::InPlace(y) => {
            let y = y.get_mut(some).unwrap_or_default();
            for (at, y) in y.iter_mut().enumerate() {
                *y = f(at, *y);
            }
        }
    }
}

pub(super) fn mul_s8(p: &Mul, mut io: BinaryIo<'_>) {
    let short = SMMLA_SHIFTS.contains(&p.requant.shift);
    let product = |a: i8, b: i8| {
        let a = i32::from(a) - i32::from(p.zero_point_a);
        let b = i32::from(b) - i32::from(p.zero_point_b);
        finish(a * b, p.requant, p.output, short)
    };
    let done = RowsOf::new(&p.binary).is_some_and(|rows| {
        rows.for_each(&mut io, |a, b, y| {
            for (at, (y, &b)) in y.iter_mut().zip(b).enumerate() {
                let a = a.map_or(*y, |a| a.get(at).copied().unwrap_or(0));
                *y = product(a, b);
            }
        })
    });
    if !done {
        reference::mul_s8(p, io);
    }
}

pub(super) fn lookup_s8(p: &Lookup, mut io: LookupIo<'_>) {
    let Some(table) = io.table.first_chunk::<256>() else {
        return;
    };
    map(&mut io.x_y, 0, p.len as usize, |_, x| {
        table[usize::from(x as u8 ^ 0x80)]
    });
}

pub(super) fn prelu_s8(p: &Prelu, mut io: PreluIo<'_>) {
    let channels = p.channels as usize;
    let slopes = io
        .multipliers
        .get(..channels)
        .zip(io.shifts.get(..channels));
    let Some((multipliers, shifts)) = slopes else {
        return;
    };
    for row in 0..p.rows as usize {
        map(&mut io.x_y, row * channels, channels, |c, x| {
            let d = i32::from(x) - i32::from(p.zero_point_in);
            let negative = multipliers.get(c).zip(shifts.get(c));
            let r = match negative {
                Some((&multiplier, &shift)) if d < 0 => Requant { multiplier, shift },
                _ => p.positive,
            };
            finish(d, r, p.output, SMMLA_SHIFTS.contains(&r.shift))
        });
    }
}
