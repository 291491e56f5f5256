use super::*;
use crate::traffic::Moved;

struct Numbers(u64);

impl Numbers {
    /// splitmix64, below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// A random network: each operator writes one tensor and reads a few earlier ones; some may run in place.
fn random_network(seed: u64) -> (Vec<Life>, Vec<u64>) {
    let mut numbers = Numbers(seed);
    let operators = 1 + numbers.below(40);
    let mut lives = vec![Life {
        size_bytes: 1 + numbers.below(5000) as u64,
        first_step: 0,
        last_step: 0,
        replaces: None,
    }];
    let mut reads = Vec::new();
    for step in 1..=operators {
        let mut read: Vec<usize> = (0..=numbers.below(3))
            .map(|_| lives.len() - 1 - numbers.below(lives.len().min(6)))
            .collect();
        read.dedup();
        for &r in &read {
            lives[r].last_step = step;
        }
        let same_size = numbers.below(3) == 0;
        let size_bytes = if same_size {
            lives[read[0]].size_bytes
        } else {
            1 + numbers.below(5000) as u64
        };
        lives.push(Life {
            size_bytes,
            first_step: step,
            last_step: step,
            replaces: None,
        });
        reads.push((read[0], same_size));
    }
    let last = lives.len() - 1;
    lives[last].last_step = operators + 1;
    for (step, &(read, same_size)) in reads.iter().enumerate() {
        if same_size && lives[read].last_step == step + 1 {
            lives[step + 1].replaces = Some(read);
        }
    }
    let scratch = (0..operators)
        .map(|_| {
            if numbers.below(2) == 0 {
                0
            } else {
                numbers.below(3000) as u64
            }
        })
        .collect();
    (lives, scratch)
}

#[test]
fn nothing_alive_overlaps() {
    let (mut at_bound, mut in_place) = (0, 0);
    for seed in 0..300 {
        let (lives, scratch) = random_network(seed);
        let plan = plan(&lives, &scratch);
        assert_eq!(check(&lives, &scratch, &plan), Ok(()), "seed {seed}");
        assert!(plan.peak_bytes >= plan.lower_bound_bytes, "seed {seed}");
        at_bound += usize::from(plan.peak_bytes == plan.lower_bound_bytes);
        in_place += lives
            .iter()
            .enumerate()
            .filter(|(index, life)| {
                life.replaces
                    .is_some_and(|old| plan.offsets[old] == plan.offsets[*index])
            })
            .count();
    }
    assert!(
        at_bound > 240,
        "{at_bound} of 300 plans reach the lower bound"
    );
    assert!(in_place > 300, "{in_place} tensors in place");
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let (lives, scratch) = random_network(11);
    assert_eq!(plan(&lives, &scratch), plan(&lives, &scratch));
}

#[test]
fn a_chain_in_place_takes_one_block() {
    let lives: Vec<Life> = (0..5)
        .map(|step| Life {
            size_bytes: 100,
            first_step: step,
            last_step: step + 1,
            replaces: step.checked_sub(1),
        })
        .collect();
    let planned = plan(&lives, &[0; 4]);
    assert_eq!(planned.peak_bytes, 112);
    assert!(planned.offsets.iter().all(|&offset| offset == 0));
    assert_eq!(check(&lives, &[0; 4], &planned), Ok(()));
}

#[test]
fn in_place_only_where_the_input_dies_there() {
    let alive_later = [
        Life {
            size_bytes: 64,
            first_step: 0,
            last_step: 2,
            replaces: None,
        },
        Life {
            size_bytes: 64,
            first_step: 1,
            last_step: 3,
            replaces: Some(0),
        },
    ];
    let other_size = [
        Life {
            size_bytes: 64,
            first_step: 0,
            last_step: 1,
            replaces: None,
        },
        Life {
            size_bytes: 65,
            first_step: 1,
            last_step: 3,
            replaces: Some(0),
        },
    ];
    for lives in [alive_later, other_size] {
        let planned = plan(&lives, &[0, 0]);
        assert_eq!(check(&lives, &[0, 0], &planned), Ok(()));
        assert_ne!(planned.offsets[0], planned.offsets[1]);
    }
}

#[test]
fn two_tensors_cannot_take_over_the_same_one() {
    let lives = [
        Life {
            size_bytes: 64,
            first_step: 0,
            last_step: 1,
            replaces: None,
        },
        Life {
            size_bytes: 64,
            first_step: 1,
            last_step: 3,
            replaces: Some(0),
        },
        Life {
            size_bytes: 64,
            first_step: 1,
            last_step: 3,
            replaces: Some(0),
        },
    ];
    let planned = plan(&lives, &[0, 0]);
    assert_ne!(planned.offsets[1], planned.offsets[2]);
    assert_eq!(check(&lives, &[0, 0], &planned), Ok(()));
}

#[test]
fn the_check_sees_what_is_wrong() {
    let lives = [
        Life {
            size_bytes: 64,
            first_step: 0,
            last_step: 1,
            replaces: None,
        },
        Life {
            size_bytes: 64,
            first_step: 1,
            last_step: 2,
            replaces: None,
        },
    ];
    let good = plan(&lives, &[32]);
    assert_eq!(check(&lives, &[32], &good), Ok(()));
    let overlapping = Plan {
        offsets: vec![0, 48],
        ..good.clone()
    };
    assert_eq!(
        check(&lives, &[32], &overlapping),
        Err(Overlap {
            first: 0,
            second: 1
        })
    );
    let crooked = Plan {
        offsets: vec![8, 128],
        ..good.clone()
    };
    assert_eq!(
        check(&lives, &[32], &crooked),
        Err(Overlap {
            first: 0,
            second: 0
        })
    );
    let scratch_on_tensor = Plan {
        scratch_offsets: vec![good.offsets[1]],
        ..good.clone()
    };
    assert_eq!(
        check(&lives, &[32], &scratch_on_tensor),
        Err(Overlap {
            first: 1,
            second: 2
        })
    );
    for parts in [vec![good.peak_bytes - 16], vec![32, good.peak_bytes - 32]] {
        let crossed = Plan {
            parts,
            ..good.clone()
        };
        assert!(check(&lives, &[32], &crossed).is_err(), "{crossed:?}");
    }
}

#[test]
fn nothing_to_place_is_a_plan() {
    let planned = plan(&[], &[]);
    assert_eq!(planned.peak_bytes, 0);
    assert_eq!(check(&[], &[], &planned), Ok(()));
}

/// What a random run moves: each tensor is written once and read up to eight times over.
fn random_traffic(seed: u64, lives: &[Life], scratch: &[u64]) -> Traffic {
    let mut numbers = Numbers(!seed);
    let mut moved = |bytes: u64| Moved {
        read_bytes: bytes * (1 + numbers.below(8) as u64),
        written_bytes: bytes,
    };
    Traffic {
        tensors: lives.iter().map(|life| moved(life.size_bytes)).collect(),
        scratch: scratch.iter().map(|&bytes| moved(bytes)).collect(),
    }
}

#[test]
fn memories_that_hold_it_only_together_get_a_part_each() {
    let mut found = 0;
    for seed in 0..200 {
        let (lives, scratch) = random_network(seed);
        let traffic = random_traffic(seed, &lives, &scratch);
        let whole = plan(&lives, &scratch).peak_bytes;
        let least = lower_bound(&Blocks::of(&lives, &scratch).all).0;
        // Neither holds it; together they have a third more than is alive.
        let memories = [aligned(least / 3), whole - ALIGNMENT_BYTES];
        let Some(planned) = plan_over(&lives, &scratch, &traffic, &memories) else {
            continue;
        };
        found += 1;
        assert_eq!(check(&lives, &scratch, &planned), Ok(()), "seed {seed}");
        let fits = planned.parts.iter().zip(&memories);
        assert!(fits.into_iter().all(|(part, memory)| part <= memory));
        assert_eq!(planned.peak_bytes, planned.parts.iter().sum::<u64>());
        assert_eq!(
            Some(planned),
            plan_over(&lives, &scratch, &traffic, &memories)
        );
    }
    assert!(found > 150, "{found} of 200");
}

/// Bytes moved in the first of several parts.
fn moved_in_the_first(planned: &Plan, traffic: &Traffic) -> u64 {
    let tensors = traffic.tensors.iter().zip(&planned.offsets);
    let scratch = traffic.scratch.iter().zip(&planned.scratch_offsets);
    let inside = tensors
        .chain(scratch)
        .filter(|&(_, &offset)| planned.parts.len() > 1 && offset < planned.parts[0]);
    inside.map(|(moved, _)| moved.total()).sum()
}

#[test]
fn the_fast_memory_gets_what_is_used_most() {
    let (mut better, mut worse) = (0, 0);
    for seed in 0..100 {
        let (lives, scratch) = random_network(seed);
        let traffic = random_traffic(seed, &lives, &scratch);
        let whole = plan(&lives, &scratch).peak_bytes;
        let memories = [aligned(whole / 4), whole];
        let first = |ranked_by: &Traffic| {
            let planned = plan_over(&lives, &scratch, ranked_by, &memories).expect("it fits");
            assert_eq!(check(&lives, &scratch, &planned), Ok(()), "seed {seed}");
            moved_in_the_first(&planned, &traffic)
        };
        // The same, chosen as if nothing were moved.
        let blind = Traffic {
            tensors: vec![Moved::default(); lives.len()],
            scratch: vec![Moved::default(); scratch.len()],
        };
        better += usize::from(first(&traffic) > first(&blind));
        worse += usize::from(first(&traffic) < first(&blind));
    }
    assert!(better > 70 && worse < 20, "{better} better, {worse} worse");
}

#[test]
fn a_block_that_is_in_the_way_makes_room() {
    let life = |size_bytes, first_step, last_step| Life {
        size_bytes,
        first_step,
        last_step,
        replaces: None,
    };
    // The two large ones do not fit the second memory together, and what is used most is small.
    let lives = [
        life(64, 0, 1),
        life(640, 1, 3),
        life(640, 1, 3),
        life(64, 3, 4),
    ];
    let moved = |total: u64| Moved {
        read_bytes: total,
        written_bytes: 0,
    };
    let traffic = Traffic {
        tensors: [9000, 100, 90, 9000].map(moved).to_vec(),
        scratch: vec![Moved::default(); 3],
    };
    let planned = plan_over(&lives, &[0; 3], &traffic, &[640, 704]).expect("it fits");
    assert_eq!(check(&lives, &[0; 3], &planned), Ok(()));
    assert_eq!(planned.parts, [640, 704]);
    assert_eq!(plan_over(&lives, &[0; 3], &traffic, &[624, 624]), None);
    assert_eq!(plan_over(&lives, &[0; 3], &traffic, &[]), None);
}

#[test]
fn a_memory_that_nothing_enters_is_no_part() {
    let lives = [Life {
        size_bytes: 640,
        first_step: 0,
        last_step: 2,
        replaces: None,
    }];
    let traffic = Traffic {
        tensors: vec![Moved::default()],
        scratch: vec![Moved::default()],
    };
    let planned = plan_over(&lives, &[0], &traffic, &[64, 1024]).expect("it fits");
    assert_eq!((planned.parts, planned.offsets), (vec![640], vec![0]));
}

/// A few blocks with random lives.
fn random_blocks(seed: u64, most: usize) -> Vec<Block> {
    let mut numbers = Numbers(seed);
    let count = 2 + numbers.below(most - 1);
    (0..count)
        .map(|_| {
            let first = numbers.below(6);
            Block {
                size: ALIGNMENT_BYTES * numbers.below(9) as u64,
                first,
                last: first + numbers.below(4),
            }
        })
        .collect()
}

/// The smallest peak of all orders in which blocks take the lowest place that is free: one of them makes a smallest placement.
fn least_of_all_orders(blocks: &[Block]) -> u64 {
    fn go(blocks: &[Block], placed: &mut Vec<(usize, u64)>, best: &mut u64) {
        let peak = |placed: &[(usize, u64)]| {
            let ends = placed.iter().map(|&(b, offset)| offset + blocks[b].size);
            ends.max().unwrap_or(0)
        };
        if peak(placed) >= *best {
            return;
        }
        if placed.len() == blocks.len() {
            *best = peak(placed);
            return;
        }
        for b in 0..blocks.len() {
            if placed.iter().any(|&(other, _)| other == b) {
                continue;
            }
            let block = &blocks[b];
            let same_time = placed.iter().copied().filter(|&(other, _)| {
                block.first <= blocks[other].last && blocks[other].first <= block.last
            });
            let taken: Vec<(u64, u64)> = same_time
                .map(|(other, offset)| (offset, offset + blocks[other].size))
                .collect();
            let ends = taken.iter().map(|&(_, end)| end);
            let free = |at: &u64| {
                (taken.iter()).all(|&(start, end)| at + block.size <= start || end <= *at)
            };
            let offset = std::iter::once(0).chain(ends).filter(free).min();
            placed.push((b, offset.expect("above everything")));
            go(blocks, placed, best);
            placed.pop();
        }
    }
    let mut best = u64::MAX;
    go(blocks, &mut Vec::new(), &mut best);
    best
}

#[test]
fn small_graphs_get_the_smallest_plan() {
    for seed in 0..400 {
        let blocks = random_blocks(seed, 7);
        let least = least_of_all_orders(&blocks);
        let (alive, _) = lower_bound(&blocks);
        let greedy = peak_of(&blocks, &place_all(&blocks, alive));
        assert!(alive <= least && least <= greedy, "seed {seed}");
        // From the worst placement that there is, the search alone has to find the least.
        let stacked: u64 = blocks.iter().map(|block| block.size).sum();
        let Found::Better(offsets, Finished::Yes) = exact::search(&blocks, stacked + 1, alive)
        else {
            panic!("seed {seed}: {blocks:?}")
        };
        assert_eq!(peak_of(&blocks, &offsets), least, "seed {seed}: {blocks:?}");
        let apart = |a: usize, b: usize| {
            let (x, y) = (&blocks[a], &blocks[b]);
            let same_time = x.first <= y.last && y.first <= x.last;
            let ends = [offsets[a] + x.size, offsets[b] + y.size];
            !same_time || ends[0] <= offsets[b] || ends[1] <= offsets[a]
        };
        for a in 0..blocks.len() {
            assert!((0..a).all(|b| apart(a, b)), "seed {seed}: {offsets:?}");
        }
        assert_eq!(
            exact::search(&blocks, least, alive),
            Found::NoneSmaller,
            "seed {seed}"
        );
    }
}

/// Hardly any small set of blocks needs more than is alive at once; this one does.
#[test]
fn a_plan_that_needs_more_than_is_alive_is_known_to_be_the_smallest() {
    let blocks = [
        (64, 6, 7),
        (64, 1, 3),
        (48, 4, 5),
        (32, 2, 5),
        (32, 5, 6),
        (48, 0, 1),
        (16, 2, 4),
    ]
    .map(|(size, first, last)| Block { size, first, last });
    assert_eq!(lower_bound(&blocks).0, 112);
    assert_eq!(least_of_all_orders(&blocks), 128);
    assert_eq!(exact::search(&blocks, 128, 112), Found::NoneSmaller);
    let mut lives = blocks.map(|block| Life {
        size_bytes: block.size,
        first_step: block.first,
        last_step: block.last,
        replaces: None,
    });
    lives.sort_by_key(|life| life.first_step);
    let planned = plan(&lives, &[]);
    assert_eq!((planned.peak_bytes, planned.lower_bound_bytes), (128, 128));
}

#[test]
fn most_graphs_of_thirty_operators_are_settled() {
    let mut settled = 0;
    for seed in 0..100 {
        let (lives, scratch) = random_network(seed);
        let planned = plan(&lives, &scratch);
        settled += usize::from(planned.peak_bytes == planned.lower_bound_bytes);
    }
    assert!(settled > 95, "{settled} of 100");
}
