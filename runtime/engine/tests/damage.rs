//! No model file, however damaged, causes a panic or a write outside the arena; what is wrong has a name.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;

use ocellus::LoadError;
use ocellus::format::layout::{
    HEADER_BYTES, HEADER_FILE_BYTES, HEADER_SECTION_COUNT, SECTION_ENTRY_BYTES,
};
use ocellus::format::seal;

#[path = "../../../tests/fuzz/src/model_file.rs"]
mod model_file;
mod sample;

use model_file::Ending;

const ITERATIONS: u64 = 100_000;
const SEED: u64 = 0x0ce1_1005;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Where damage tells: header and table, the program, the tensor records, the parts or the weights, or anywhere.
fn position(random: &mut Random, file: &[u8]) -> usize {
    let sections = usize::from(file[HEADER_SECTION_COUNT.start]);
    let table = HEADER_BYTES..HEADER_BYTES + sections * SECTION_ENTRY_BYTES;
    let word =
        |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    let section = |index: usize| {
        let entry = table.start + index * SECTION_ENTRY_BYTES;
        word(entry + 8)..word(entry + 8) + word(entry + 12)
    };
    let range = match random.below(8) {
        0 => 0..table.end,
        1..=3 => section(0),
        4..=5 => section(1),
        // The parts, where there are any; the task, which decides nothing here, where not.
        6 => section(2),
        _ => 0..file.len(),
    };
    range.start + random.below(range.len())
}

/// One to four kinds of damage.
fn damage(random: &mut Random, whole: &[u8]) -> Vec<u8> {
    const TROUBLE: [u32; 12] = [
        0,
        1,
        2,
        16,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX,
    ];
    let mut file = whole.to_vec();
    for _ in 0..=random.below(4) {
        let at = position(random, whole).min(file.len().saturating_sub(1));
        let value = TROUBLE[random.below(TROUBLE.len())];
        match random.below(16) {
            0 => file.truncate(at),
            1 => {
                let from = random.below(file.len());
                let len = random.below(64).min(file.len() - from).min(file.len() - at);
                file.copy_within(from..from + len, at);
            }
            2 => {
                let len = random.below(8).min(file.len() - at);
                file.drain(at..at + len);
            }
            3 => (0..random.below(8)).for_each(|_| file.insert(at, value as u8)),
            4..=6 => file
                .iter_mut()
                .skip(at & !3)
                .zip(value.to_le_bytes())
                .for_each(|(to, from)| *to = from),
            7..=8 => file
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = value as u8),
            9..=10 => file
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = byte.wrapping_add(1)),
            11 => file
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = byte.wrapping_sub(1)),
            _ => file
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << random.below(8)),
        }
    }
    // Bytes put in or taken out would nearly always end at the stated length; the rest of the checks want to be reached too.
    let file_bytes = file.len() as u32;
    if let Some(field) = file
        .get_mut(HEADER_FILE_BYTES)
        .filter(|_| random.below(4) != 0)
    {
        field.copy_from_slice(&file_bytes.to_le_bytes());
    }
    // Structure has to hold whether or not the digest does.
    if random.below(2) == 0 {
        seal(&mut file);
    }
    file
}

/// The variant's name, with the operator's contradiction where there is one.
fn name(ending: Ending) -> String {
    let word = |text: String| {
        text.split([' ', '(', '{'])
            .next()
            .unwrap_or_default()
            .to_string()
    };
    match ending {
        Ending::Refused(LoadError::Format(error)) => word(format!("{error:?}")),
        Ending::Refused(LoadError::Operator { error, .. }) => {
            format!("Operator, {}", word(format!("{error:?}")))
        }
        Ending::Refused(error) => word(format!("{error:?}")),
        Ending::TooLong | Ending::Ran => format!("{ending:?}"),
    }
}

#[test]
fn the_undamaged_model_runs() {
    assert_eq!(model_file::check(&sample::every_operator()), Ending::Ran);
    assert_eq!(
        model_file::check(&sample::every_operator_in_parts()),
        Ending::Ran
    );
}

#[test]
fn damaged_files_are_refused_by_name_or_run_inside_the_arena() {
    let models = [sample::every_operator(), sample::every_operator_in_parts()];
    let mut endings = BTreeMap::<String, u64>::new();
    for iteration in 0..ITERATIONS {
        let mut random = Random(SEED ^ iteration.wrapping_mul(0xd134_2543_de82_ef95));
        let file = damage(&mut random, &models[(iteration % 2) as usize]);
        let ending = catch_unwind(|| model_file::check(&file));
        let ending =
            ending.unwrap_or_else(|_| panic!("iteration {iteration} of seed {SEED:#x} panics"));
        *endings.entry(name(ending)).or_default() += 1;
    }
    println!("{endings:#?}");
    // The damage has to reach every depth: tables, plan, operators, runs.
    assert!(endings.len() >= 20, "too few kinds of ending");
    assert!(endings["Ran"] >= ITERATIONS / 20, "too few files run");
    for kind in [
        "Section",
        "Program",
        "Tensor",
        "Operator",
        "Read",
        "Write",
        "Overlap",
        "Scratch",
        "Parts",
        "Attributes",
    ] {
        assert!(endings.contains_key(kind), "no file ended as {kind}");
    }
}

#[test]
fn every_truncation_is_refused() {
    for whole in [sample::every_operator(), sample::every_operator_in_parts()] {
        for len in 0..whole.len() {
            assert!(
                matches!(model_file::check(&whole[..len]), Ending::Refused(_)),
                "{len} bytes"
            );
        }
    }
}

#[test]
fn findings_stay_fixed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/findings");
    for entry in std::fs::read_dir(folder).expect("tests/fuzz/findings") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a finding");
        model_file::check(&bytes);
    }
}

/// Not a test of anything: writes what the fuzzer starts from.
#[test]
#[ignore = "writes files; tests/fuzz/README.md"]
fn writes_seed_corpus() {
    let folder = std::env::var("OCELLUS_SEED_CORPUS").expect("OCELLUS_SEED_CORPUS names a folder");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder);
    std::fs::create_dir_all(&folder).expect("the folder");
    for (name, bytes) in [
        ("every_operator", sample::every_operator()),
        ("in_parts", sample::every_operator_in_parts()),
    ] {
        std::fs::write(folder.join(name), bytes).expect("the file");
    }
}
