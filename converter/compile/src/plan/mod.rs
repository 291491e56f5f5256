//! Arena offsets, computed here once: the device only verifies them.
//!
//! A *block* is memory with a lifetime: a tensor, a chain of tensors that replace one another in place, or the scratch of one operator. Blocks
//! are placed one after the other at the lowest offset that is free during their life. The order decides the peak, so several orders are
//! tried, and the best is improved by giving blocks around the peak an earlier turn. Everything is deterministic.

mod place;

use place::{Block, place_all};

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
    /// Bytes of the arena.
    pub peak_bytes: u64,
    /// Most bytes alive in one step: no plan of this order of operators can be smaller.
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
    let mut blocks: Vec<Block> = Vec::new();
    let mut block_of = vec![usize::MAX; lives.len()];
    for (index, life) in lives.iter().enumerate() {
        let replaced = life.replaces.filter(|&old| {
            let fits =
                lives[old].size_bytes == life.size_bytes && lives[old].last_step == life.first_step;
            // Two tensors cannot both take over one: the second finds the block already longer.
            fits && block_of[old] != usize::MAX && blocks[block_of[old]].last == life.first_step
        });
        block_of[index] = match replaced {
            Some(old) => {
                blocks[block_of[old]].last = life.last_step;
                block_of[old]
            }
            None => {
                blocks.push(Block {
                    size: aligned(life.size_bytes),
                    first: life.first_step,
                    last: life.last_step,
                });
                blocks.len() - 1
            }
        };
    }
    let first_scratch = blocks.len();
    blocks.extend(
        scratch_bytes
            .iter()
            .enumerate()
            .map(|(index, &bytes)| Block {
                size: aligned(bytes),
                first: index + 1,
                last: index + 1,
            }),
    );

    let (lower_bound_bytes, peak_step) = lower_bound(&blocks);
    let placed = place_all(&blocks, lower_bound_bytes);
    Plan {
        offsets: block_of.iter().map(|&block| placed[block]).collect(),
        scratch_offsets: placed[first_scratch..].to_vec(),
        peak_bytes: blocks
            .iter()
            .zip(&placed)
            .map(|(block, offset)| offset + block.size)
            .max()
            .unwrap_or(0),
        lower_bound_bytes,
        peak_step,
    }
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
/// where the input it replaces lies.
///
/// # Errors
/// The first pair that overlaps, or a thing with itself where it is not aligned or reaches past the peak.
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
    for (second, b) in all.iter().enumerate() {
        if b.start % ALIGNMENT_BYTES != 0 || b.end > plan.peak_bytes {
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
