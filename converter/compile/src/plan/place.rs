//! Placement of blocks: greedy in a given order, over several orders, then improved step by step.

/// Memory with a lifetime; the size is a multiple of the alignment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) size: u64,
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Block {
    fn meets(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    pub(super) fn life(&self) -> usize {
        self.last - self.first + 1
    }
}

/// How a block picks among the gaps that are large enough.
#[derive(Clone, Copy)]
enum Fit {
    /// The lowest.
    First,
    /// The one that it fills best.
    Best,
}

/// Most placements that improvement may try.
const TRIES_MAX: usize = 4000;

/// Tries times the square of the count of blocks: about a second.
const WORK: usize = 300_000_000;

/// Offsets, and how they came about.
pub(super) struct Placed {
    pub(super) offsets: Vec<u64>,
    peak: u64,
    order: Vec<usize>,
    fit: Fit,
}

/// The best of several orders.
pub(super) fn by_orders(blocks: &[Block]) -> Placed {
    let area = |block: &Block| u128::from(block.size) * block.life() as u128;
    let mut orders: Vec<Vec<usize>> = Vec::new();
    let mut order_by = |compare: &dyn Fn(&Block, &Block) -> std::cmp::Ordering| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by(|&a, &b| compare(&blocks[a], &blocks[b]).then(a.cmp(&b)));
        orders.push(order);
    };
    order_by(&|a, b| b.size.cmp(&a.size).then(a.first.cmp(&b.first)));
    order_by(&|a, b| area(b).cmp(&area(a)));
    order_by(&|a, b| b.life().cmp(&a.life()).then(b.size.cmp(&a.size)));
    order_by(&|a, b| a.first.cmp(&b.first).then(b.size.cmp(&a.size)));
    order_by(&|a, b| b.last.cmp(&a.last).then(b.size.cmp(&a.size)));

    let mut best = Placed {
        offsets: Vec::new(),
        peak: u64::MAX,
        order: Vec::new(),
        fit: Fit::First,
    };
    for order in orders {
        for fit in [Fit::First, Fit::Best] {
            let (peak, offsets) = place(blocks, &order, fit);
            if peak < best.peak {
                best = Placed {
                    offsets,
                    peak,
                    order: order.clone(),
                    fit,
                };
            }
        }
    }
    best
}

/// Offsets of all blocks: the smallest peak that the search finds. Stops at `lower_bound`.
pub(super) fn place_all(blocks: &[Block], lower_bound: u64) -> Vec<u64> {
    let Placed {
        mut offsets,
        mut peak,
        mut order,
        fit,
    } = by_orders(blocks);
    // Blocks that end at the peak came too late: one of them, or of those below it, takes an earlier turn. What is no worse is kept, so that the
    // search crosses plateaus. The choices are those of a fixed sequence of numbers.
    let mut numbers = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        numbers ^= numbers << 13;
        numbers ^= numbers >> 7;
        numbers ^= numbers << 17;
        (numbers % limit.max(1) as u64) as usize
    };
    let tries = (WORK / (blocks.len() * blocks.len()).max(1)).min(TRIES_MAX);
    for _ in 0..tries {
        if peak <= lower_bound {
            break;
        }
        let at_peak: Vec<usize> = (0..blocks.len())
            .filter(|&b| blocks[b].size > 0 && offsets[b] + blocks[b].size == peak)
            .collect();
        let top = at_peak[below(at_peak.len())];
        let column: Vec<usize> = (0..blocks.len())
            .filter(|&b| blocks[b].size > 0 && blocks[b].meets(&blocks[top]))
            .collect();
        let moved = if below(2) == 0 {
            top
        } else {
            column[below(column.len())]
        };
        let position = order.iter().position(|&b| b == moved).unwrap_or(0);
        let mut candidate = order.clone();
        candidate.remove(position);
        candidate.insert(below(position + 1), moved);
        let (new_peak, new_offsets) = place(blocks, &candidate, fit);
        if new_peak <= peak {
            (peak, offsets, order) = (new_peak, new_offsets, candidate);
        }
    }
    offsets
}

/// Places blocks in that order, each in a gap between those already placed that live at the same time.
fn place(blocks: &[Block], order: &[usize], fit: Fit) -> (u64, Vec<u64>) {
    let mut offsets = vec![0u64; blocks.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    let mut peak = 0;
    for &index in order {
        let block = &blocks[index];
        if block.size == 0 {
            continue;
        }
        // `placed` is sorted by offset.
        let mut gap_start = 0;
        let mut found: Option<(u64, u64)> = None;
        for &other in &placed {
            if !block.meets(&blocks[other]) {
                continue;
            }
            let gap = offsets[other].saturating_sub(gap_start);
            if gap >= block.size && found.is_none_or(|(_, size)| gap < size) {
                found = Some((gap_start, gap));
                if matches!(fit, Fit::First) {
                    break;
                }
            }
            gap_start = gap_start.max(offsets[other] + blocks[other].size);
        }
        let offset = found.map_or(gap_start, |(start, _)| start);
        offsets[index] = offset;
        peak = peak.max(offset + block.size);
        let at = placed.partition_point(|&other| (offsets[other], other) < (offset, index));
        placed.insert(at, index);
    }
    (peak, offsets)
}
