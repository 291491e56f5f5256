//! Every kernel against the reference where it runs: the same cases as on the PC, in the image, in the emulator.

use ocellus_board_host::{Answer, Contents, Job, Step, Variant, run};
use ocellus_cases::{choice, describe};
use ocellus_format::Isa;
use ocellus_format::ops::OpCode;
use ocellus_target_tests::Target;

/// Cases of each operator. The PC runs more of them; here each kernel has to be reached, in an emulator that is two orders slower.
const CASES: u32 = 120;

/// Runs the cases on a board with the instruction set `isa`, and expects each kernel that [`select`](ocellus_kernels::select) names to have been
/// the one under test.
fn kernels_equal_the_reference(name: &str, isa: Isa) {
    let target = Target::named(name);
    let image = target.image(&Contents::ALL, Variant::Conformance);
    let mut job = Job::new(Vec::new());
    // A process takes the one it is told; a chip has one.
    job.isa = (!target.board.is_bare_metal()).then_some(isa);
    job.steps = vec![Step::Hello, Step::Conformance { cases: CASES }];
    let answers = run(&target.host, &target.board, Some(&image), &job, &mut |_| ())
        .unwrap_or_else(|error| panic!("{error}"));
    let [
        Answer::Hello { isa: running, .. },
        Answer::Conformance { rows, verdict },
    ] = answers.as_slice()
    else {
        panic!("{answers:?}");
    };
    assert_eq!(running, isa.name(), "the instruction set in the image");

    assert_eq!(rows.len(), OpCode::ALL.len(), "one row an operator");
    for (op, row) in OpCode::ALL.into_iter().zip(rows) {
        assert_eq!(row.operator, op.name());
        let mut failed = String::new();
        if let Some(seed) = row.failed_seed {
            describe(op, seed, &mut failed).expect("a string takes it");
        }
        assert_eq!(row.failed, 0, "{}-{failed}", isa.name());
        // A case whose kernel is the reference's own says nothing about the instruction set.
        let own = (0..u64::from(CASES))
            .filter_map(|seed| choice(isa, op, seed))
            .filter(|choice| choice.isa == isa)
            .count();
        eprintln!(
            "{name} {}-{}: {} equal, {} by the reference",
            isa.name(),
            row.operator,
            row.equal,
            row.default_method
        );
        assert_eq!(
            (row.equal as usize, (row.equal + row.default_method) as u64),
            (own, u64::from(CASES)),
            "{} on {name}: which cases had a kernel of {}",
            row.operator,
            isa.name()
        );
    }
    let here = ocellus_conformance::run(Isa::Reference, u64::from(CASES))
        .expect("every machine has the reference");
    assert_eq!(
        verdict.digest, here.digest,
        "the reference of {name} computes something else than this PC's"
    );
    assert_eq!((verdict.failed, here.failed()), (0, 0));
}

macro_rules! boards {
    ($($test:ident: $name:literal $isa:ident,)*) => {$(
        #[test]
        fn $test() {
            kernels_equal_the_reference($name, Isa::$isa);
        }
    )*};
}

boards! {
    on_cortex_m4: "qemu-m4" CortexMDsp,
    on_cortex_m7: "qemu-m7" CortexMDsp,
    on_cortex_m33: "qemu-m33" CortexMDsp,
    on_cortex_m55: "qemu-m55" Helium,
    on_cortex_a53: "qemu-a53" Neon,
    on_cortex_a76: "qemu-a76" Neon,
    on_cortex_a76_with_dot_products: "qemu-a76" NeonDot,
    on_armv8_6_with_matrix_products: "qemu-max" NeonI8mm,
}

/// The instruction set that a process chooses by itself.
#[test]
fn a_process_finds_what_its_core_has() {
    for (name, isa) in [
        ("qemu-a53", Isa::Neon),
        ("qemu-a76", Isa::NeonDot),
        ("qemu-max", Isa::NeonI8mm),
    ] {
        let target = Target::named(name);
        let image = target.image(&Contents::ALL, Variant::Conformance);
        let mut job = Job::new(Vec::new());
        job.steps = vec![Step::Hello];
        let answers = run(&target.host, &target.board, Some(&image), &job, &mut |_| ())
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(
            matches!(&answers[0], Answer::Hello { isa: found, .. } if found == isa.name()),
            "{name}: {answers:?}"
        );
    }
}
