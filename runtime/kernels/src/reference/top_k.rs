use ocellus_format::ops::TopK;

use super::access::span;
use crate::ArgMaxIo;

/// Indices of the `k` largest or smallest values of each row, in order.
///
/// Each is the first of the best among the values behind its predecessor in that order, so nothing has to be kept.
pub fn top_k_s8(p: &TopK, mut io: ArgMaxIo<'_>) {
    let n = p.n as usize;
    let rank = |x: i8| {
        let x = i32::from(x);
        if p.smallest { x } else { -x }
    };
    let mut to = 0;
    for row in 0..p.rows as usize {
        let x = span(io.x, row * n, n);
        let mut previous = (i32::MIN, 0);
        for _ in 0..p.k {
            let mut best: Option<(i32, usize)> = None;
            for (i, &x) in x.iter().enumerate() {
                let here = (rank(x), i);
                // An index orders equal values.
                if here > previous && best.is_none_or(|best| here < best) {
                    best = Some(here);
                }
            }
            previous = best.unwrap_or(previous);
            io.y.put(to, previous.1);
            to += 1;
        }
    }
}
