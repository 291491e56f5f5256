//! Operators on one value at a time: product, table look-up, leaky rectifier.

use ocellus_format::{
    Requant,
    ops::{Lookup, Mul, Prelu},
};

use super::requantize::finish;
use crate::{
    BinaryIo, InOut, LookupIo, PreluIo, generic::SMMLA_SHIFTS, reference, select::row_axis,
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
    let all = p.binary.shape;
    let Some(axis) = row_axis(&p.binary) else {
        reference::mul_s8(p, io);
        return;
    };
    let len_of = |sizes: &[u32]| sizes.iter().fold(1, |len, &size| len * size as usize);
    let row = len_of(all.get(axis..).unwrap_or(&[]));
    let Some(b) = io.b.get(..row).filter(|b| !b.is_empty()) else {
        return;
    };
    let short = SMMLA_SHIFTS.contains(&p.requant.shift);
    for first in (0..len_of(&all)).step_by(row.max(1)) {
        map(&mut io.a_y, first, row, |at, a| {
            let b = b.get(at).copied().unwrap_or(0);
            let a = i32::from(a) - i32::from(p.zero_point_a);
            let b = i32::from(b) - i32::from(p.zero_point_b);
            finish(a * b, p.requant, p.output, short)
        });
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
