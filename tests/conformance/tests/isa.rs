//! Every instruction set against the reference.

use std::collections::BTreeMap;

use ocellus_cases::{DIGEST, DIGEST_COUNT, SCRATCH_BYTES, choice};
use ocellus_conformance::{CASES, required, run, table};
use ocellus_format::{Isa, ops::OpCode};

#[test]
fn every_instruction_set_equals_the_reference() {
    let required = required();
    for isa in Isa::ALL {
        let Some(report) = run(isa, CASES) else {
            assert!(
                !required.contains(&isa),
                "OCELLUS_REQUIRE_ISA names {}, which this machine does not have",
                isa.name()
            );
            eprintln!("SKIPPED: this machine does not have {}", isa.name());
            continue;
        };
        eprintln!("{}\n{}", isa.name(), table(&report));
        assert_eq!(
            report.failed(),
            0,
            "{} differs from the reference:\n{}",
            isa.name(),
            table(&report)
        );
        if isa == Isa::Reference {
            assert_eq!(
                report.equal(),
                0,
                "the reference proves nothing about itself"
            );
        }
    }
}

#[test]
fn every_operator_has_cases_that_run() {
    let report = run(Isa::Reference, 10).expect("every machine has the reference");
    for (op, row) in report.rows() {
        assert_eq!(row.default_method, 10, "{}", op.name());
    }
    assert_eq!(report.rows().count(), OpCode::ALL.len());
}

#[test]
fn the_reference_computes_the_same_on_every_machine() {
    let report = run(Isa::Reference, DIGEST_COUNT).expect("every machine has the reference");
    assert_eq!(report.digest, DIGEST);
}

#[test]
fn no_kernel_wants_more_scratch_for_a_case_than_stated() {
    for isa in Isa::ALL {
        for op in OpCode::ALL {
            for seed in 0..CASES {
                let choice = choice(isa, op, seed).expect("every operator has cases");
                let wanted = choice.scratch_bytes as usize;
                assert!(
                    wanted <= SCRATCH_BYTES,
                    "{} {} seed {seed}: {wanted}",
                    isa.name(),
                    op.name()
                );
            }
        }
    }
}

/// A kernel that no case reaches is not tested: each variant that `select` names is chosen often.
#[test]
fn cases_reach_every_kernel_often() {
    for isa in Isa::ALL {
        let mut counts = BTreeMap::new();
        for op in OpCode::ALL {
            for seed in 0..CASES {
                let choice = choice(isa, op, seed).expect("every operator has cases");
                *counts.entry(choice.display().to_string()).or_insert(0) += 1;
            }
        }
        eprintln!("{}: {counts:?}", isa.name());
        for (kernel, count) in counts {
            assert!(
                count >= 50,
                "{}: only {count} of {CASES} cases reach {kernel}",
                isa.name()
            );
        }
    }
}
