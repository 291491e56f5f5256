//! Every instruction set against the reference.

use ocellus_cases::{DIGEST, DIGEST_COUNT};
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
