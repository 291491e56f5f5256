//! Which input positions an output position covers, and with what weights: exact integers, no tables, no heap.

/// Consecutive input positions of one output position. Their weights add up to `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    first: u32,
    last: u32,
    first_weight: u32,
    middle_weight: u32,
    last_weight: u32,
}

impl Span {
    /// The span of output `o` of `out`, over `size` input positions. All sizes are above 0.
    ///
    /// Shrinking: output `o` covers `[o * size, (o + 1) * size)` in units of `1 / out` of an input position. Enlarging: the two positions around
    /// `(o + 1/2) * size / out - 1/2`, in units of `1 / (2 * out)`.
    pub(crate) fn new(o: u32, out: u32, size: u32) -> Span {
        if out <= size {
            let (begin, end) = (o * size, (o + 1) * size);
            let (first, last) = (quotient(begin, out), quotient(end - 1, out));
            if first == last {
                return Span {
                    first,
                    last,
                    first_weight: end - begin,
                    middle_weight: 0,
                    last_weight: 0,
                };
            }
            return Span {
                first,
                last,
                first_weight: (first + 1) * out - begin,
                middle_weight: out,
                last_weight: end - last * out,
            };
        }
        let unit = 2 * out;
        let position = ((2 * o + 1) * size).saturating_sub(out);
        let (first, fraction) = (quotient(position, unit), remainder(position, unit));
        let last = (first + 1).min(size - 1);
        if first >= last || fraction == 0 {
            let only = first.min(size - 1);
            return Span {
                first: only,
                last: only,
                first_weight: unit,
                middle_weight: 0,
                last_weight: 0,
            };
        }
        Span {
            first,
            last,
            first_weight: unit - fraction,
            middle_weight: 0,
            last_weight: fraction,
        }
    }

    /// The span of a part that begins at an input position.
    pub(crate) fn moved(self, by: u32) -> Span {
        Span {
            first: self.first + by,
            last: self.last + by,
            ..self
        }
    }

    /// The sum of the weights of any span of these sizes.
    pub(crate) fn total(out: u32, size: u32) -> u32 {
        if out <= size { size } else { 2 * out }
    }

    /// Positions with their weights.
    #[inline]
    pub(crate) fn positions(self) -> impl Iterator<Item = (u32, u32)> {
        (self.first..=self.last).map(move |at| {
            let weight = if at == self.first {
                self.first_weight
            } else if at == self.last {
                self.last_weight
            } else {
                self.middle_weight
            };
            (at, weight)
        })
    }
}

fn quotient(a: u32, b: u32) -> u32 {
    a.checked_div(b).unwrap_or(0)
}

fn remainder(a: u32, b: u32) -> u32 {
    a.checked_rem(b).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn weights_add_up_and_stay_inside() {
        for size in 1..40 {
            for out in 1..90 {
                for o in 0..out {
                    let span = Span::new(o, out, size);
                    assert!(
                        span.positions().all(|(at, _)| at < size),
                        "{o} of {out} over {size}"
                    );
                    let sum: u32 = span.positions().map(|(_, weight)| weight).sum();
                    assert_eq!(sum, Span::total(out, size), "{o} of {out} over {size}");
                }
            }
        }
    }

    #[test]
    fn shrinking_covers_every_position_equally() {
        for (size, out) in [(926_u32, 448_u32), (1280, 640), (7, 3), (5, 5)] {
            let mut covered = [0_u32; 1280];
            for o in 0..out {
                for (at, weight) in Span::new(o, out, size).positions() {
                    covered[at as usize] += weight;
                }
            }
            assert!(covered[..size as usize].iter().all(|&sum| sum == out));
        }
    }
}
