//! The smallest placement, by search with bounds.
//!
//! Pushed down as far as they go, the blocks of some smallest placement lie each on the ground or on a block of the same time. Taken in the order
//! of their offsets they stack up: each lies on the highest of those before it that it meets. So the search chooses the next block, no lower
//! than the last, and keeps for every step how high the stack is there. What is still to come in a step has to fit above that: a choice that leaves too little room
//! below the best placement known is given up.
//!
//! How far it looks is counted in choices, not in time: the same blocks give the same answer everywhere.

use super::place::Block;

/// Most choices that the search looks at.
const CHOICES_MAX: usize = 400_000;

/// Most blocks that it is tried on.
const BLOCKS_MAX: usize = 64;

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Offsets with a smaller peak than was known. No placement has a smaller one where the search was finished.
    Better(Vec<u64>, Finished),
    /// There is none.
    NoneSmaller,
    /// The search was given up.
    Unknown,
}

/// Whether every choice was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finished {
    Yes,
    No,
}

/// Looks for a placement with a peak below `known`, down to `lower_bound`.
pub(super) fn search(blocks: &[Block], known: u64, lower_bound: u64) -> Found {
    let sized: Vec<usize> = (0..blocks.len()).filter(|&b| blocks[b].size > 0).collect();
    if sized.len() > BLOCKS_MAX {
        return Found::Unknown;
    }
    let columns = Columns::of(blocks, &sized);
    let mut search = Search {
        heights: vec![0; columns.count],
        to_come: columns.to_come.clone(),
        columns: &columns,
        placed: vec![None; columns.blocks.len()],
        best: known,
        best_offsets: None,
        lower_bound,
        choices: 0,
    };
    let finished = search.from(0, 0);
    let Some(offsets) = search.best_offsets else {
        return match finished {
            Finished::Yes => Found::NoneSmaller,
            Finished::No => Found::Unknown,
        };
    };
    let mut all = vec![0; blocks.len()];
    for (&block, offset) in sized.iter().zip(offsets) {
        all[block] = offset;
    }
    Found::Better(all, finished)
}

/// A block over columns instead of steps.
struct Column {
    size: u64,
    first: usize,
    last: usize,
}

/// The steps in which something begins; the others hold no more than the one before.
struct Columns {
    count: usize,
    blocks: Vec<Column>,
    /// Bytes alive in each.
    to_come: Vec<u64>,
}

impl Columns {
    fn of(blocks: &[Block], sized: &[usize]) -> Columns {
        let mut begins: Vec<usize> = sized.iter().map(|&b| blocks[b].first).collect();
        begins.sort_unstable();
        begins.dedup();
        let mut columns = Columns {
            count: begins.len(),
            blocks: Vec::with_capacity(sized.len()),
            to_come: vec![0; begins.len()],
        };
        for &b in sized {
            let block = &blocks[b];
            let first = begins.partition_point(|&step| step < block.first);
            let last = begins.partition_point(|&step| step <= block.last) - 1;
            for bytes in &mut columns.to_come[first..=last] {
                *bytes += block.size;
            }
            columns.blocks.push(Column {
                size: block.size,
                first,
                last,
            });
        }
        columns
    }
}

struct Search<'c> {
    columns: &'c Columns,
    /// Where the stack ends in each column.
    heights: Vec<u64>,
    /// Bytes of blocks to come in each column.
    to_come: Vec<u64>,
    placed: Vec<Option<u64>>,
    best: u64,
    best_offsets: Option<Vec<u64>>,
    lower_bound: u64,
    choices: usize,
}

impl Search<'_> {
    /// Places what is left, no lower than `floor` and, at `floor`, only blocks from number `from` on.
    fn from(&mut self, floor: u64, from: usize) -> Finished {
        if self.placed.iter().all(Option::is_some) {
            // Each choice has kept it below the best.
            self.best = self.heights.iter().copied().max().unwrap_or(0);
            self.best_offsets = Some(self.placed.iter().map(|at| at.unwrap_or(0)).collect());
            return Finished::Yes;
        }
        let mut next: Vec<(u64, usize)> = Vec::new();
        for (number, block) in self.columns.blocks.iter().enumerate() {
            if self.placed[number].is_some() {
                continue;
            }
            let under = &self.heights[block.first..=block.last];
            let offset = under.iter().copied().max().unwrap_or(0);
            // Lower, its turn was before. It has one again when something lies under it.
            if (offset, number) >= (floor, from) {
                next.push((offset, number));
            }
        }
        next.sort_unstable_by_key(|&(offset, number)| {
            let block = &self.columns.blocks[number];
            let area = block.size * (block.last - block.first + 1) as u64;
            (offset, std::cmp::Reverse(area), number)
        });
        for (offset, number) in next {
            if self.best <= self.lower_bound {
                break;
            }
            self.choices += 1;
            if self.choices > CHOICES_MAX {
                return Finished::No;
            }
            if self.choose(number, offset) == Finished::No {
                return Finished::No;
            }
        }
        Finished::Yes
    }

    /// Places a block, and all that follows from it, and takes it back.
    fn choose(&mut self, number: usize, offset: u64) -> Finished {
        let block = &self.columns.blocks[number];
        let range = block.first..=block.last;
        let before = self.heights[range.clone()].to_vec();
        self.heights[range.clone()].fill(offset + block.size);
        self.to_come[range.clone()]
            .iter_mut()
            .for_each(|bytes| *bytes -= block.size);
        self.placed[number] = Some(offset);
        let mut finished = Finished::Yes;
        if self.has_room(offset) {
            finished = self.from(offset, number + 1);
        }
        self.placed[number] = None;
        let block = &self.columns.blocks[number];
        self.to_come[range.clone()]
            .iter_mut()
            .for_each(|bytes| *bytes += block.size);
        self.heights[range].copy_from_slice(&before);
        finished
    }

    /// Whether what is to come may fit below the best, no lower than `floor`.
    fn has_room(&self, floor: u64) -> bool {
        self.heights
            .iter()
            .zip(&self.to_come)
            .all(|(&height, &to_come)| {
                let from = if to_come > 0 {
                    height.max(floor)
                } else {
                    height
                };
                from + to_come < self.best
            })
    }
}
