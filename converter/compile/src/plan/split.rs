//! Blocks over several memories, the fast ones first.
//!
//! What gains most by a fast memory is what is read and written most for the bytes and steps that it takes of it. In that order blocks enter
//! the first memory as long as a placement of those chosen fits it; what is left tries the next one, and the last has to hold the rest. Where it does not, a block
//! that is alive where too much is left is moved to the front, and everything is chosen again.

use super::place::{Block, by_orders, place_all};
use super::{lower_bound, peak_of};

/// Most blocks that are moved to the front.
const MOVED_MAX: usize = 32;

/// A block's memory, and its offset there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) memory: usize,
    pub(super) offset: u64,
}

/// A place for every block in memories of these sizes; `traffic` are the bytes read and written of each. `None` where none was found.
pub(super) fn split(blocks: &[Block], traffic: &[u64], memories: &[u64]) -> Option<Vec<Place>> {
    let mut order: Vec<usize> = (0..blocks.len()).filter(|&b| blocks[b].size > 0).collect();
    order.sort_by_key(|&b| (std::cmp::Reverse(gain(&blocks[b], traffic[b])), b));
    for moved in 0..MOVED_MAX {
        let rest = match fill_all(blocks, &order, memories) {
            Ok(places) => return Some(places),
            Err(rest) => rest,
        };
        let next = relief(blocks, &rest, &order[..moved], memories)?;
        order.retain(|&b| b != next);
        order.insert(moved, next);
    }
    None
}

/// Bytes moved for each byte and step that it takes, in 2^-20.
fn gain(block: &Block, traffic: u64) -> u128 {
    let held = u128::from(block.size) * block.life() as u128;
    (u128::from(traffic) << 20) / held.max(1)
}

/// Places blocks in that order of preference.
///
/// # Errors
/// What is left for the last memory and does not fit it.
fn fill_all(blocks: &[Block], order: &[usize], memories: &[u64]) -> Result<Vec<Place>, Vec<usize>> {
    let nowhere = Place {
        memory: 0,
        offset: 0,
    };
    let mut places = vec![nowhere; blocks.len()];
    let mut rest = order.to_vec();
    for (memory, &size) in memories.iter().enumerate() {
        let is_last = memory + 1 == memories.len();
        let chosen = if is_last {
            rest.clone()
        } else {
            fill(blocks, &rest, size)
        };
        let some: Vec<Block> = chosen.iter().map(|&b| blocks[b]).collect();
        let offsets = place_all(&some, lower_bound(&some).0);
        if peak_of(&some, &offsets) > size {
            return Err(rest);
        }
        for (&b, offset) in chosen.iter().zip(offsets) {
            places[b] = Place { memory, offset };
        }
        rest.retain(|b| !chosen.contains(b));
    }
    Ok(places)
}

/// The blocks that enter a memory of so many bytes, in that order of preference.
fn fill(blocks: &[Block], order: &[usize], size: u64) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut some: Vec<Block> = Vec::new();
    for &b in order {
        some.push(blocks[b]);
        let fits = lower_bound(&some).0 <= size && {
            let offsets = by_orders(&some).offsets;
            peak_of(&some, &offsets) <= size
        };
        if fits {
            chosen.push(b);
        } else {
            some.pop();
        }
    }
    chosen
}

/// The block that makes most room at the step in which most is left, of those that were not moved: the smallest that is enough, else the largest.
fn relief(blocks: &[Block], rest: &[usize], moved: &[usize], memories: &[u64]) -> Option<usize> {
    let (&last, others) = memories.split_last()?;
    let largest = others.iter().copied().max()?;
    let left: Vec<Block> = rest.iter().map(|&b| blocks[b]).collect();
    let (live, step) = lower_bound(&left);
    // What is alive may fit while its placement does not.
    let missing = live.saturating_sub(last).max(1);
    let candidates = || {
        rest.iter().copied().filter(|&b| {
            let block = &blocks[b];
            (block.first..=block.last).contains(&step)
                && block.size <= largest
                && !moved.contains(&b)
        })
    };
    let enough = candidates().filter(|&b| blocks[b].size >= missing);
    enough
        .min_by_key(|&b| (blocks[b].size, b))
        .or_else(|| candidates().max_by_key(|&b| (blocks[b].size, std::cmp::Reverse(b))))
}
