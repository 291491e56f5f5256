//! The order of operators that keeps the fewest bytes alive at once.
//!
//! What is alive depends on which operators have run, not on their order, so the search goes through sets of operators: the one with the smallest
//! peak so far first, until one holds them all. Where a single tensor is alive the operators before and behind it are searched apart. An
//! operator that leaves no more alive than before, and needs no more than was needed already, runs at once: nothing is gained by waiting.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::lower::{DeviceNode, DeviceProgram, Operand, swapped};
use crate::plan::aligned;

/// Sets that the exact search may look at, for operators between two single tensors; then [`WIDTH`] of each size are kept.
const SETS_MAX: usize = 60_000;

/// Sets of one size that the search by size keeps.
const WIDTH: usize = 200;

/// An operator as the search sees it.
struct Work {
    /// Tensors that it reads, each once.
    reads: Vec<usize>,
    output: usize,
    scratch: u64,
    /// Tensors that its output may take the place of, where nobody reads them later.
    replaceable: Vec<usize>,
}

struct Search {
    works: Vec<Work>,
    sizes: Vec<u64>,
    /// Operators that read each tensor.
    readers: Vec<Vec<usize>>,
    /// Operator that writes each tensor.
    writer: Vec<Option<usize>>,
    /// Outputs of the model.
    kept: Vec<bool>,
}

/// A set of operators that have run, and how it was reached.
struct Reached {
    done: Vec<u64>,
    live: u64,
    peak: u64,
    /// Position of the set before, and the operator that was added.
    from: Option<(usize, usize)>,
    count: usize,
}

/// An order of the program's operators with a smaller peak than their own; none where there is none, or the search found none.
///
/// `scratch_bytes` are those of each operator; `in_place` says whether outputs may lie where inputs did.
pub(crate) fn better_order(
    program: &DeviceProgram,
    scratch_bytes: &[u64],
    in_place: bool,
) -> Option<Vec<usize>> {
    let search = Search::of(program, scratch_bytes, in_place);
    let count = search.works.len();
    let own: Vec<usize> = (0..count).collect();
    let known = search.peak_of(&own, search.start(program));
    if known <= search.least() {
        return None;
    }
    let mut order = Vec::with_capacity(count);
    let mut live = search.start(program);
    for segment in search.segments(program) {
        let part: Vec<usize> = segment.clone().collect();
        let limit = search.peak_of(&part, live);
        let found = (limit > search.least_of(&part))
            .then(|| {
                search
                    .by_peak(&part, live, limit)
                    .unwrap_or_else(|| search.by_size(&part, live, limit))
            })
            .flatten();
        order.extend(found.unwrap_or(part));
        live = search.live_after(&order, program);
    }
    (search.peak_of(&order, search.start(program)) < known).then_some(order)
}

/// The program with its operators in that order, and its tensors numbered as they are then written.
pub(crate) fn reordered(program: &DeviceProgram, order: &[usize]) -> DeviceProgram {
    let mut number = vec![usize::MAX; program.tensors.len()];
    let written = order.iter().map(|&node| program.nodes[node].output);
    let tensors: Vec<usize> = program.inputs.iter().copied().chain(written).collect();
    for (new, &old) in tensors.iter().enumerate() {
        number[old] = new;
    }
    let nodes = order.iter().map(|&index| {
        let node = &program.nodes[index];
        let renumber = |operand: &Operand| match *operand {
            Operand::Tensor(tensor) => Operand::Tensor(number[tensor]),
            constant => constant,
        };
        DeviceNode {
            inputs: node.inputs.iter().map(renumber).collect(),
            output: number[node.output],
            ..node.clone()
        }
    });
    let numbers = |list: &[usize]| list.iter().map(|&tensor| number[tensor]).collect();
    DeviceProgram {
        nodes: nodes.collect(),
        tensors: tensors
            .iter()
            .map(|&tensor| program.tensors[tensor].clone())
            .collect(),
        constants: program.constants.clone(),
        inputs: numbers(&program.inputs),
        outputs: numbers(&program.outputs),
        placed: (program.placed.iter())
            .map(|placed| placed.map(|tensor| number[tensor]))
            .collect(),
    }
}

/// Tensors that the output of a node may take the place of.
fn replaceable(program: &DeviceProgram, node: &DeviceNode) -> Vec<usize> {
    let tensor = |position: usize| match node.inputs.get(position) {
        Some(&Operand::Tensor(tensor)) => Some(tensor),
        _ => None,
    };
    let fits = |tensor: &usize| {
        let reads = node
            .inputs
            .iter()
            .filter(|o| **o == Operand::Tensor(*tensor));
        reads.count() == 1
            && program.tensors[*tensor].size_bytes() == program.tensors[node.output].size_bytes()
    };
    let first = tensor(0).filter(|_| node.op.code().runs_in_place());
    let both = node.inputs.len() == 2 && swapped(node.op).is_some_and(|op| op != node.op);
    let second = tensor(1).filter(|_| both && node.op.code().runs_in_place());
    first.into_iter().chain(second).filter(fits).collect()
}

impl Search {
    fn of(program: &DeviceProgram, scratch_bytes: &[u64], in_place: bool) -> Self {
        let count = program.tensors.len();
        let mut search = Self {
            works: Vec::with_capacity(program.nodes.len()),
            sizes: (program.tensors.iter())
                .map(|tensor| aligned(tensor.size_bytes()))
                .collect(),
            readers: vec![Vec::new(); count],
            writer: vec![None; count],
            kept: vec![false; count],
        };
        for &output in &program.outputs {
            search.kept[output] = true;
        }
        for (index, (node, &scratch)) in program.nodes.iter().zip(scratch_bytes).enumerate() {
            let mut reads: Vec<usize> = (node.inputs.iter())
                .filter_map(|operand| match *operand {
                    Operand::Tensor(tensor) => Some(tensor),
                    Operand::Constant(_) => None,
                })
                .collect();
            reads.sort_unstable();
            reads.dedup();
            for &tensor in &reads {
                search.readers[tensor].push(index);
            }
            search.writer[node.output] = Some(index);
            search.works.push(Work {
                reads,
                output: node.output,
                scratch: aligned(scratch),
                replaceable: if in_place {
                    replaceable(program, node)
                } else {
                    Vec::new()
                },
            });
        }
        search
    }

    /// Bytes of the model's inputs.
    fn start(&self, program: &DeviceProgram) -> u64 {
        program.inputs.iter().map(|&input| self.sizes[input]).sum()
    }

    /// No order needs less: what an operator reads, writes and works in.
    fn least_of(&self, works: &[usize]) -> u64 {
        let of = |&index: &usize| {
            let work = &self.works[index];
            let read: u64 = work.reads.iter().map(|&tensor| self.sizes[tensor]).sum();
            let written = match work.replaceable.is_empty() {
                true => self.sizes[work.output],
                false => 0,
            };
            read + written + work.scratch
        };
        works.iter().map(of).max().unwrap_or(0)
    }

    fn least(&self) -> u64 {
        let all: Vec<usize> = (0..self.works.len()).collect();
        self.least_of(&all)
    }

    /// Ranges of operators between places where one tensor alone is alive.
    fn segments(&self, program: &DeviceProgram) -> Vec<std::ops::Range<usize>> {
        let mut alive: Vec<usize> = program.inputs.clone();
        let (mut segments, mut first) = (Vec::new(), 0);
        for (index, work) in self.works.iter().enumerate() {
            alive.push(work.output);
            alive.retain(|&tensor| {
                self.kept[tensor] || self.readers[tensor].iter().any(|&reader| reader > index)
            });
            if alive == [work.output] || index + 1 == self.works.len() {
                segments.push(first..index + 1);
                first = index + 1;
            }
        }
        segments
    }

    /// True where a tensor is read for the last time by `work`, behind those of `done`.
    fn dies(&self, tensor: usize, work: usize, done: &dyn Fn(usize) -> bool) -> bool {
        !self.kept[tensor]
            && (self.readers[tensor].iter()).all(|&reader| reader == work || done(reader))
    }

    /// Bytes alive while an operator runs, and behind it.
    fn step(&self, live: u64, work: usize, done: &dyn Fn(usize) -> bool) -> (u64, u64) {
        let it = &self.works[work];
        let written = self.sizes[it.output];
        let mut replaceable = it.replaceable.iter();
        let in_place = replaceable.any(|&tensor| self.dies(tensor, work, done));
        let during = live + it.scratch + if in_place { 0 } else { written };
        let dead = it.reads.iter().filter(|&&t| self.dies(t, work, done));
        let freed: u64 = dead.map(|&tensor| self.sizes[tensor]).sum();
        (during, live + written - freed)
    }

    /// The peak of operators in that order, behind all that come before them in the program.
    fn peak_of(&self, order: &[usize], mut live: u64) -> u64 {
        let first = order.iter().copied().min().unwrap_or(0);
        let mut ran = vec![false; self.works.len()];
        let mut peak = live;
        for &work in order {
            let done = |other: usize| other < first || ran[other];
            let (during, after) = self.step(live, work, &done);
            (peak, live) = (peak.max(during), after);
            ran[work] = true;
        }
        peak
    }

    fn live_after(&self, order: &[usize], program: &DeviceProgram) -> u64 {
        let mut ran = vec![false; self.works.len()];
        order.iter().for_each(|&work| ran[work] = true);
        let written = order.iter().map(|&work| self.works[work].output);
        let tensors = program.inputs.iter().copied().chain(written);
        let alive = tensors.filter(|&t| self.kept[t] || self.readers[t].iter().any(|&r| !ran[r]));
        alive.map(|tensor| self.sizes[tensor]).sum()
    }

    /// Adds an operator to a set, and those behind it that are free.
    fn extend(
        &self,
        part: &[usize],
        reached: &mut Vec<Reached>,
        mut from: usize,
        mut work: usize,
    ) -> usize {
        let first = part[0];
        loop {
            let before = &reached[from];
            let mut done = before.done.clone();
            let (during, live) = self.step(before.live, work, &has(first, &before.done));
            done[(work - first) / 64] |= 1 << ((work - first) % 64);
            let next = Reached {
                live,
                peak: before.peak.max(during),
                from: Some((from, work)),
                count: before.count + 1,
                done,
            };
            reached.push(next);
            from = reached.len() - 1;
            let now = &reached[from];
            let done = has(first, &now.done);
            let free = self.ready(part, &now.done).into_iter().find(|&next| {
                let (during, after) = self.step(now.live, next, &done);
                during <= now.peak && after <= now.live
            });
            match free {
                Some(next) => work = next,
                None => return from,
            }
        }
    }

    /// Operators whose inputs are there.
    fn ready(&self, part: &[usize], set: &[u64]) -> Vec<usize> {
        let done = has(part[0], set);
        let there = |&tensor: &usize| self.writer[tensor].is_none_or(&done);
        let ready = |work: &usize| !done(*work) && self.works[*work].reads.iter().all(there);
        part.iter().copied().filter(ready).collect()
    }

    fn empty(part: &[usize], live: u64) -> Reached {
        Reached {
            done: vec![0; part.len().div_ceil(64)],
            live,
            peak: live,
            from: None,
            count: 0,
        }
    }

    /// The best order, below `limit`; `None` where too many sets were looked at, `Some(None)` where no order is better.
    fn by_peak(&self, part: &[usize], live: u64, limit: u64) -> Option<Option<Vec<usize>>> {
        let mut reached = vec![Self::empty(part, live)];
        let mut best: HashMap<Vec<u64>, u64> = HashMap::new();
        // The smallest peak first, then the largest set, then the one that was found first.
        let mut queue = BinaryHeap::from([Reverse((live, Reverse(0), 0))]);
        while let Some(Reverse((peak, _, position))) = queue.pop() {
            if reached[position].count == part.len() {
                return Some(Some(path(&reached, position)));
            }
            if reached.len() > SETS_MAX {
                return None;
            }
            if best
                .get(&reached[position].done)
                .is_some_and(|&known| known < peak)
            {
                continue;
            }
            for work in self.ready(part, &reached[position].done) {
                let next = self.extend(part, &mut reached, position, work);
                let found = &reached[next];
                let known = best.get(&found.done).copied().unwrap_or(u64::MAX);
                if found.peak < limit && found.peak < known {
                    best.insert(found.done.clone(), found.peak);
                    queue.push(Reverse((found.peak, Reverse(found.count), next)));
                }
            }
        }
        Some(None)
    }

    /// A good order, below `limit`: of the sets of each size those with the smallest peak, then the fewest bytes alive.
    fn by_size(&self, part: &[usize], live: u64, limit: u64) -> Option<Vec<usize>> {
        let mut reached = vec![Self::empty(part, live)];
        let mut by_count: Vec<Vec<usize>> = vec![Vec::new(); part.len() + 1];
        by_count[0].push(0);
        for count in 0..part.len() {
            let mut sets = std::mem::take(&mut by_count[count]);
            sets.sort_by_key(|&set| (reached[set].peak, reached[set].live, set));
            let mut seen = HashSet::new();
            sets.retain(|&set| seen.insert(reached[set].done.clone()));
            sets.truncate(WIDTH);
            for set in sets {
                for work in self.ready(part, &reached[set].done) {
                    let next = self.extend(part, &mut reached, set, work);
                    if reached[next].peak < limit {
                        by_count[reached[next].count].push(next);
                    }
                }
            }
        }
        let whole = by_count.pop()?;
        let best = (whole.into_iter()).min_by_key(|&set| (reached[set].peak, set))?;
        Some(path(&reached, best))
    }
}

/// Whether an operator has run: those before the part have.
fn has(first: usize, done: &[u64]) -> impl Fn(usize) -> bool {
    move |work: usize| {
        work.checked_sub(first).is_none_or(|bit| {
            done.get(bit / 64)
                .is_some_and(|word| word >> (bit % 64) & 1 == 1)
        })
    }
}

/// The operators on the way to a set.
fn path(reached: &[Reached], mut position: usize) -> Vec<usize> {
    let mut order = Vec::new();
    while let Some((before, work)) = reached[position].from {
        order.push(work);
        position = before;
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests;
