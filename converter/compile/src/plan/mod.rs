//! Arena offsets, computed here once: the device only verifies them.
//!
//! A *block* is memory with a lifetime: a tensor, a chain of tensors that replace one another in place, or the scratch of one operator. Blocks
//! are placed one after the other at the lowest offset that is free during their life. The order decides the peak, so several orders are
//! tried, and the best is improved by giving blocks around the peak an earlier turn. Where more is taken than the most that is alive at once, small
//! graphs are searched for the smallest plan (`exact.rs`). Over several memories, blocks are chosen for each first
//! ([`plan_over`]). Everything is deterministic.

mod exact;
mod place;
mod split;

use exact::{Finished, Found};
use ocellus_format::MAX_PARTS;
use place::{Block, place_all};
use split::split;

use crate::traffic::Traffic;

/// Offsets are multiples of this.
pub const ALIGNMENT_BYTES: u64 = 16;

/// A tensor in the arena, as the planner sees it. Steps as in the file: 0 writes the model's inputs, `1 + i` is operator `i`, one past the
/// last operator reads the model's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Bytes.
    pub size_bytes: u64,
    /// Step that writes it.
    pub first_step: usize,
    /// Last step that reads it.
    pub last_step: usize,
    /// The tensor whose memory it may take over: the same size, read for the last time in the step that writes this one.
    pub replaces: Option<usize>,
}

/// Where everything lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Offset of each tensor.
    pub offsets: Vec<u64>,
    /// Offset of each operator's scratch; 0 where it has none.
    pub scratch_offsets: Vec<u64>,
    /// Bytes of the arena, all parts together.
    pub peak_bytes: u64,
    /// Bytes of each part, one behind the other. One where the arena is for one memory.
    pub parts: Vec<u64>,
    /// No plan of this order of operators can be smaller: the most bytes alive in one step, or more where the search for a smaller plan has shown it.
    pub lower_bound_bytes: u64,
    /// The step with the most bytes alive.
    pub peak_step: usize,
}

/// As much as a thing of that size takes.
pub(crate) fn aligned(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGNMENT_BYTES)
}

/// Places tensors, and the scratch of each operator (`scratch_bytes[i]`, alive in step `1 + i` only).
///
/// Tensors are given in the order of `first_step`, so that a chain of replacements is met from its head.
pub fn plan(lives: &[Life], scratch_bytes: &[u64]) -> Plan {
    let blocks = Blocks::of(lives, scratch_bytes);
    let (alive_bytes, _) = lower_bound(&blocks.all);
    let placed = place_all(&blocks.all, alive_bytes);
    let peak_bytes = peak_of(&blocks.all, &placed);
    if peak_bytes == alive_bytes {
        return blocks.plan(&placed, vec![peak_bytes], alive_bytes);
    }
    match exact::search(&blocks.all, peak_bytes, alive_bytes) {
        Found::Better(placed, finished) => {
            let peak_bytes = peak_of(&blocks.all, &placed);
            let least = match finished {
                Finished::Yes => peak_bytes,
                Finished::No => alive_bytes,
            };
            blocks.plan(&placed, vec![peak_bytes], least)
        }
        Found::NoneSmaller => blocks.plan(&placed, vec![peak_bytes], peak_bytes),
        Found::Unknown => blocks.plan(&placed, vec![peak_bytes], alive_bytes),
    }
}

/// As [`plan`], over memories of these sizes, the fast ones first; at most [`MAX_PARTS`] of them are used. `None` where no plan was found that fits
/// them together.
pub fn plan_over(
    lives: &[Life],
    scratch_bytes: &[u64],
    traffic: &Traffic,
    memories: &[u64],
) -> Option<Plan> {
    let blocks = Blocks::of(lives, scratch_bytes);
    let moved = blocks.moved(traffic);
    let memories = &memories[..memories.len().min(MAX_PARTS)];
    if memories.is_empty() {
        return None;
    }
    let places = split(&blocks.all, &moved, memories)?;
    let ends = |memory: usize| {
        let inside = blocks.all.iter().zip(&places);
        let inside = inside.filter(move |(_, place)| place.memory == memory);
        inside.map(|(block, place)| place.offset + block.size).max()
    };
    let parts: Vec<u64> = (0..memories.len())
        .map(|memory| ends(memory).unwrap_or(0))
        .collect();
    let start = |memory: usize| parts[..memory].iter().sum::<u64>();
    let placed: Vec<u64> = places
        .iter()
        .map(|place| start(place.memory) + place.offset)
        .collect();
    // A memory that nothing has entered is no part.
    let parts = parts.iter().copied().filter(|&bytes| bytes > 0).collect();
    let (alive_bytes, _) = lower_bound(&blocks.all);
    Some(blocks.plan(&placed, parts, alive_bytes))
}

/// The most bytes alive in one step: no plan is smaller.
pub(crate) fn alive_bytes(lives: &[Life], scratch_bytes: &[u64]) -> u64 {
    lower_bound(&Blocks::of(lives, scratch_bytes).all).0
}

/// Everything that takes memory.
struct Blocks {
    all: Vec<Block>,
    /// The block of each tensor.
    of_tensor: Vec<usize>,
    /// The block of the first operator's scratch; the others follow.
    first_scratch: usize,
}

impl Blocks {
    fn of(lives: &[Life], scratch_bytes: &[u64]) -> Blocks {
        let mut all: Vec<Block> = Vec::new();
        let mut of_tensor = vec![usize::MAX; lives.len()];
        for (index, life) in lives.iter().enumerate() {
            let replaced = life.replaces.filter(|&old| {
                let fits = lives[old].size_bytes == life.size_bytes
                    && lives[old].last_step == life.first_step;
                // Two tensors cannot both take over one: the second finds the block already longer.
                fits && of_tensor[old] != usize::MAX && all[of_tensor[old]].last == life.first_step
            });
            of_tensor[index] = match replaced {
                Some(old) => {
                    all[of_tensor[old]].last = life.last_step;
                    of_tensor[old]
                }
                None => {
                    all.push(Block {
                        size: aligned(life.size_bytes),
                        first: life.first_step,
                        last: life.last_step,
                    });
                    all.len() - 1
                }
            };
        }
        let first_scratch = all.len();
        let scratch = scratch_bytes.iter().enumerate();
        all.extend(scratch.map(|(index, &bytes)| Block {
            size: aligned(bytes),
            first: index + 1,
            last: index + 1,
        }));
        Blocks {
            all,
            of_tensor,
            first_scratch,
        }
    }

    /// Bytes read and written of each.
    fn moved(&self, traffic: &Traffic) -> Vec<u64> {
        let mut moved = vec![0; self.all.len()];
        for (&block, tensor) in self.of_tensor.iter().zip(&traffic.tensors) {
            moved[block] += tensor.total();
        }
        for (block, scratch) in moved[self.first_scratch..].iter_mut().zip(&traffic.scratch) {
            *block = scratch.total();
        }
        moved
    }

    /// The plan with blocks at these offsets.
    fn plan(&self, placed: &[u64], parts: Vec<u64>, lower_bound_bytes: u64) -> Plan {
        let (_, peak_step) = lower_bound(&self.all);
        Plan {
            offsets: self.of_tensor.iter().map(|&block| placed[block]).collect(),
            scratch_offsets: placed[self.first_scratch..].to_vec(),
            peak_bytes: parts.iter().sum(),
            parts,
            lower_bound_bytes,
            peak_step,
        }
    }
}

/// Where the last of the blocks ends.
fn peak_of(blocks: &[Block], offsets: &[u64]) -> u64 {
    let ends = blocks.iter().zip(offsets);
    ends.map(|(block, offset)| offset + block.size)
        .max()
        .unwrap_or(0)
}

/// The most bytes alive in one step, and that step.
fn lower_bound(blocks: &[Block]) -> (u64, usize) {
    let steps = blocks.iter().map(|block| block.last + 1).max().unwrap_or(0);
    let mut live = vec![0u64; steps];
    for block in blocks {
        for step in &mut live[block.first..=block.last] {
            *step += block.size;
        }
    }
    let mut best = (0, 0);
    for (step, &bytes) in live.iter().enumerate() {
        if bytes > best.0 {
            best = (bytes, step);
        }
    }
    best
}

/// Two things that lie in the same bytes at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// A tensor's index, or the count of tensors plus an operator's index for scratch.
    pub first: usize,
    /// The other.
    pub second: usize,
}

/// Proves a plan, without knowledge of how it was made: nothing that is alive at the same time overlaps, but for an output that lies exactly
/// where the input it replaces lies, and nothing lies across the end of a part.
///
/// # Errors
/// The first pair that overlaps, or a thing with itself where it is not aligned or reaches past the end of its part.
pub fn check(lives: &[Life], scratch_bytes: &[u64], plan: &Plan) -> Result<(), Overlap> {
    struct Placed {
        start: u64,
        end: u64,
        first: usize,
        last: usize,
        replaces: Option<usize>,
    }
    let tensors = lives
        .iter()
        .zip(&plan.offsets)
        .map(|(life, &start)| Placed {
            start,
            end: start + life.size_bytes,
            first: life.first_step,
            last: life.last_step,
            replaces: life.replaces,
        });
    let scratch = scratch_bytes
        .iter()
        .zip(&plan.scratch_offsets)
        .enumerate()
        .map(|(index, (&bytes, &start))| Placed {
            start,
            end: start + bytes,
            first: index + 1,
            last: index + 1,
            replaces: None,
        });
    let all: Vec<Placed> = tensors.chain(scratch).collect();
    let in_one_part = |placed: &Placed| {
        let mut end = 0;
        let ends = plan.parts.iter().map(|bytes| {
            end += bytes;
            end
        });
        let mut behind = ends.skip_while(|&end| end <= placed.start);
        placed.start == placed.end || behind.next().is_some_and(|end| placed.end <= end)
    };
    for (second, b) in all.iter().enumerate() {
        if b.start % ALIGNMENT_BYTES != 0 || !in_one_part(b) {
            return Err(Overlap {
                first: second,
                second,
            });
        }
        for (first, a) in all[..second].iter().enumerate() {
            let same_time = a.first <= b.last && b.first <= a.last;
            let same_bytes = a.start < b.end && b.start < a.end;
            let in_place = b.replaces == Some(first)
                && a.last == b.first
                && (a.start, a.end) == (b.start, b.end);
            if same_time && same_bytes && !in_place {
                return Err(Overlap { first, second });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
