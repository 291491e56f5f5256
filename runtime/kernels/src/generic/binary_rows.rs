//! Pairs of a broadcast, row by row.

use ocellus_format::ops::Binary;

use crate::{BinaryIo, InOut, select::row_axis};

/// Rows in which neither operand is repeated, or the second is repeated whole.
pub(crate) struct RowsOf {
    /// Values of a row.
    len: usize,
    /// Rows.
    count: usize,
    /// Every row meets the same one of `b`.
    b_repeats: bool,
}

impl RowsOf {
    /// The longest rows that a broadcast has; `None` where it repeats in another way.
    pub(crate) fn new(p: &Binary) -> Option<RowsOf> {
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
    pub(crate) fn for_each(
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
