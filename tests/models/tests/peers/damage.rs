//! Damaged files: never a panic, always a graph that passes its checks or an error of one line.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ocellus_import::{ErrorKind, ImportOptions, import_bytes};
use ocellus_ir::random::Random;

use crate::operators::cases;

const ROUNDS: usize = 2_000;
const SEED: u64 = 20_261_125;

/// Numbers that lengths, offsets and indices go wrong with.
const WORDS: [u32; 10] = [
    0,
    1,
    2,
    4,
    0x7f,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffc,
    0xffff_ffff,
];

fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len());
    // Offsets, lengths and sizes are words at multiples of four.
    let word = (at & !3)..((at & !3) + 4);
    match random.below(8) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.below(256) as u8,
        2 if word.end <= bytes.len() => {
            let value = WORDS[random.below(WORDS.len())];
            bytes[word].copy_from_slice(&value.to_le_bytes());
        }
        3 if word.end <= bytes.len() => {
            let mut value = u32::from_le_bytes(bytes[word.clone()].try_into().expect("four bytes"));
            value = value.wrapping_add([1, 4, u32::MAX, u32::MAX - 3][random.below(4)]);
            bytes[word].copy_from_slice(&value.to_le_bytes());
        }
        4 if word.end <= bytes.len() => {
            // Another word of the file: an offset that leads somewhere, a size that is one.
            let from = random.below(bytes.len() / 4) * 4;
            bytes.copy_within(from..from + 4, word.start);
        }
        5 => bytes.truncate(at.max(8)),
        6 => {
            let end = (at + 4 * random.below(4)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            let end = (at + 4 * random.below(4)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len()) & !3;
            bytes.splice(to..to, piece);
        }
    }
}

#[test]
fn no_damage_causes_a_panic() {
    let cases = cases();
    let mut random = Random::new(SEED);
    let (mut refused, mut imported) = (0, 0);
    for round in 0..ROUNDS {
        let case = &cases[random.below(cases.len())];
        let mut bytes = case.model.clone();
        for _ in 0..=random.below(3) {
            if !bytes.is_empty() {
                damage(&mut random, &mut bytes);
            }
        }
        let read = || {
            let options = ImportOptions::default();
            let mut graph = import_bytes("damaged.tflite", &bytes, &options)?.graph;
            graph.verify().expect("an imported graph is sound");
            if ocellus_ir::optimize(&mut graph, &ocellus_ir::Options::default()).is_ok() {
                graph.verify().expect("an optimized graph is sound");
            }
            Ok::<(), ocellus_import::ImportError>(())
        };
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Ok(())) => imported += 1,
            Ok(Err(error)) => {
                refused += 1;
                assert!(
                    !error.to_string().contains('\n'),
                    "{} round {round}: {error}",
                    case.name
                );
                assert_ne!(error.kind, ErrorKind::Unreadable);
            }
            Err(_) => panic!("{} round {round} of seed {SEED} panicked", case.name),
        }
    }
    assert!(
        refused > ROUNDS / 4 && imported > ROUNDS / 20,
        "of {ROUNDS} damaged files {refused} were refused and {imported} were read"
    );
}
