use ocellus_format::ops::ArgMax;

use super::access::at;
use crate::ArgMaxIo;

/// Index of the largest or smallest value of an axis.
pub fn arg_max_s8(p: &ArgMax, mut io: ArgMaxIo<'_>) {
    let (n, inner) = (p.n as usize, p.inner as usize);
    let mut index = 0;
    for outer in 0..p.outer as usize {
        for column in 0..inner {
            let value = |i: usize| at(io.x, (outer * n + i) * inner + column);
            let mut best = 0;
            for i in 1..n {
                let (new, old) = (value(i), value(best));
                let better = if p.smallest { new < old } else { new > old };
                if better || (p.last && new == old) {
                    best = i;
                }
            }
            io.y.put(index, best);
            index += 1;
        }
    }
}
