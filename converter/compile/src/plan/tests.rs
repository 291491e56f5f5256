use super::*;

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
    let too_small = Plan {
        peak_bytes: good.peak_bytes - 16,
        ..good
    };
    assert!(check(&lives, &[32], &too_small).is_err());
}

#[test]
fn nothing_to_place_is_a_plan() {
    let planned = plan(&[], &[]);
    assert_eq!(planned.peak_bytes, 0);
    assert_eq!(check(&[], &[], &planned), Ok(()));
}
