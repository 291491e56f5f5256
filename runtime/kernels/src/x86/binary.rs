//! Pairs of a broadcast, row by row.

use ocellus_format::ops::Binary;

use crate::{BinaryIo, InOut, select::row_axis};

/// Rows in which neither operand is repeated, or the second is repeated whole.
pub(super) struct RowsOf {
    /// Values of a row.
    len: usize,
    /// Rows.
    count: usize,
    /// Every row meets the same one of `b`.
    b_repeats: bool,
}

impl RowsOf {
    /// The longest rows that a broadcast has; `None` where it repeats in another way.
    pub(super) fn new(p: &Binary) -> Option<RowsOf> {
        let inner = row_axis(p)?;
        let product = |sizes: &[u32]| sizes.iter().map(|&size| size as usize).product();
        let (outer, rest) = p.shape.split_at(inner);
        Some(RowsOf {
            len: product(rest),
            count: product(outer),
            b_repeats: inner > 0,
        })
    }

    /// Hands every row over: `a` and `b` where they differ from the output, and the output. `false`, and nothing done, where a slice is too short.
    pub(super) fn for_each(
        &self,
        io: &mut BinaryIo<'_>,
        mut row: impl FnMut(Option<&[i8]>, &[i8], &mut [i8]),
    ) -> bool {
        let total = self.len * self.count;
        let b_len = if self.b_repeats { self.len } else { total };
        let Some(b) = io.b.get(..b_len).filter(|_| self.len > 0) else {
            return false;
        };
        match &mut io.a_y {
            InOut::Apart(a, y) => {
                let (Some(a), Some(y)) = (a.get(..total), y.get_mut(..total)) else {
                    return false;
                };
                let rows = a.chunks_exact(self.len).zip(y.chunks_exact_mut(self.len));
                for ((a, y), b) in rows.zip(b.chunks_exact(self.len).cycle()) {
                    row(Some(a), b, y);
                }
            }
            InOut::InPlace(y) => {
                let Some(y) = y.get_mut(..total) else {
                    return false;
                };
                let rows = y.chunks_exact_mut(self.len);
                for (y, b) in rows.zip(b.chunks_exact(self.len).cycle()) {
                    row(None, b, y);
                }
            }
        }
        true
    }
}

/// Defines a function of two values applied to whole rows, with the loop in a function that may use AVX2.
macro_rules! rows {
    ($(#[$doc:meta])* $name:ident, $params:ty, $p:ident, $f:expr) => {
        $(#[$doc])*
        pub(super) fn $name(_: super::Avx2, $p: &$params, mut io: crate::BinaryIo<'_>) {
            #[target_feature(enable = "avx2")]
            fn run($p: &$params, a: Option<&[i8]>, b: &[i8], y: &mut [i8]) {
                let f = $f;
                match a {
                    Some(a) => {
                        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                            *y = f(a, b);
                        }
                    }
                    None => {
                        for (y, &b) in y.iter_mut().zip(b) {
                            *y = f(*y, b);
                        }
                    }
                }
            }
            let done = super::binary::RowsOf::new(&$p.binary).is_some_and(|rows| {
                // SAFETY: the token proves AVX2.
                rows.for_each(&mut io, |a, b, y| unsafe { run($p, a, b, y) })
            });
            if !done {
                crate::reference::$name($p, io);
            }
        }
    };
}
pub(super) use rows;
