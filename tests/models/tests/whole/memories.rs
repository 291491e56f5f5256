//! Arenas over several memories of a board: the bytes of the reference, in the memories that were planned.

use ocellus_board_file::Role;
use ocellus_board_host::{Answer, DeviceError, Job, Step, Variant};
use ocellus_compile::budget::places;
use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{Compiled, Target};
use ocellus_format::Isa;

use crate::fleet::{Member, member};
use crate::graphs;
use crate::identity::{Case, Outputs, here, outputs};
use crate::models::{Model, ULTRAFACE};

/// The board's memories for arenas: region and bytes, fast first.
fn memories(member: &Member) -> Vec<(String, u64)> {
    let slots = member.board.slots_of(Role::Arena);
    slots
        .map(|(slot, region)| (region.name.clone(), slot.size_bytes))
        .collect()
}

/// The model's file for a board's memories, which is run there and here. Gives what was compiled, and the region of each part.
fn runs_on(model: &Model, member: &Member) -> (Compiled, Vec<String>) {
    let memories = memories(member);
    let sizes: Vec<u64> = memories.iter().map(|(_, bytes)| *bytes).collect();
    let compiled = model.compiled_over(Target::Isa(member.packed_for()), sizes.clone());
    let portable = Interpreter::new(&model.compiled(Target::Portable).bytes).expect("sound");
    let inputs = model.inputs(&portable);
    let expected: Vec<Outputs> = inputs
        .iter()
        .map(|inputs| outputs(here(&portable, Isa::Reference, inputs, Taps::None)))
        .collect();
    assert_ne!(expected[0], expected[1], "the input shows in the outputs");
    let case = Case {
        name: format!("{}, for the memories of {}", model.name, member.board.name),
        interpreter: Interpreter::new(&compiled.bytes).expect("sound"),
        compiled,
        inputs: &inputs,
        expected: &expected,
    };
    // In one memory.
    case.agrees_here();
    let there = case.agrees_on(member);
    let parts: Vec<u64> = (case.compiled.report.parts.iter())
        .map(|part| part.bytes)
        .collect();
    let planned: Vec<(String, u32)> = places(&parts, &sizes)
        .expect("planned for them")
        .into_iter()
        .zip(&parts)
        .map(|(memory, &bytes)| (memories[memory].0.clone(), bytes as u32))
        .collect();
    assert_eq!(there, planned);
    let regions = there.into_iter().map(|(region, _)| region);
    (case.compiled, regions.collect())
}

/// On the boards with SSRAM and PSRAM no single memory holds it, and the board says so of the file for one memory.
fn fits_only_together(board: &str) {
    let model = graphs::generated("enlarged");
    let member = member(board, Variant::Plain);
    let whole = model.compiled(Target::Isa(member.packed_for()));
    let largest = memories(&member).into_iter().map(|(_, bytes)| bytes).max();
    assert!(largest.is_some_and(|bytes| bytes < whole.report.arena_lower_bound_bytes));
    let mut job = Job::new(whole.bytes);
    job.steps = vec![Step::Load];
    let answer = member.run(&job).remove(0);
    assert!(
        matches!(
            answer,
            Answer::Refused(DeviceError::ArenaTooSmall { needed_bytes, .. })
                if u64::from(needed_bytes) == whole.report.arena_bytes
        ),
        "{answer:?}"
    );
    let (_, regions) = runs_on(&model, &member);
    assert_eq!(regions, ["SSRAM2", "PSRAM"]);
}

#[test]
fn larger_than_each_memory_of_a_cortex_m4() {
    fits_only_together("qemu-m4");
}

#[test]
fn larger_than_each_memory_of_a_cortex_m7() {
    fits_only_together("qemu-m7");
}

#[test]
fn larger_than_each_memory_of_a_cortex_m33() {
    fits_only_together("qemu-m33");
}

/// Three memories, of which the last would hold everything.
#[test]
fn the_fastest_of_three_memories_is_used_first() {
    let member = member("qemu-m55", Variant::Plain);
    let (compiled, regions) = runs_on(&graphs::generated("enlarged"), &member);
    assert_eq!(regions, ["DTCM", "SRAM", "DDR"]);
    let parts = &compiled.report.parts;
    assert!(parts[0].bytes < parts[2].bytes && parts[1].bytes < parts[2].bytes);
}

/// Two tensors of a detector's first layers are alive together and do not fit the fast memory; nearly all that is moved lies there all the same.
#[test]
fn a_detector_moves_most_in_the_fast_memory() {
    let Some(model) = ULTRAFACE.model() else {
        return;
    };
    let member = member("qemu-m55", Variant::Plain);
    let (compiled, regions) = runs_on(&model, &member);
    assert_eq!(regions, ["DTCM", "SRAM"]);
    let [fast, slow] = compiled.report.parts[..] else {
        panic!("{:?}", compiled.report.parts)
    };
    let moved = |part: ocellus_compile::report::PartReport| part.moved.total();
    assert!(fast.bytes < slow.bytes && moved(fast) > 9 * moved(slow));
}
