//! Every kernel against the reference, on every instruction set that the machine has.
//!
//! The cases are `ocellus-cases`; emulators and boards run the same ones. The tests of the reference itself, against vectors from
//! another implementation and against rules written out in wide integers, lie in `tests/` beside.

pub mod vectors;

use std::env;

use ocellus_cases::{MEMORY_BYTES, Report, describe, run_all};
use ocellus_format::Isa;
use ocellus_kernels::{Kernels, WithKernels, dispatch};

/// Cases of each operator in the gate.
pub const CASES: u64 = 1_000;

struct AllCases {
    count: u64,
}

impl WithKernels for AllCases {
    type Output = Report;

    fn run<K: Kernels>(self, k: K) -> Report {
        let mut memory = vec![0; MEMORY_BYTES];
        let mut report = Report::new();
        run_all(k, &mut memory, self.count, &mut report);
        report
    }
}

/// Runs `count` cases of every operator; `None` where this machine does not have the instruction set.
pub fn run(isa: Isa, count: u64) -> Option<Report> {
    dispatch(isa, AllCases { count })
}

/// The instruction sets that `OCELLUS_REQUIRE_ISA` says this machine must have: names with commas between.
///
/// # Panics
/// Where a name is none.
pub fn required() -> Vec<Isa> {
    let names = env::var("OCELLUS_REQUIRE_ISA").unwrap_or_default();
    names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            Isa::from_name(name)
                .unwrap_or_else(|| panic!("OCELLUS_REQUIRE_ISA: `{name}` is no instruction set"))
        })
        .collect()
}

/// A table of a report, with the parameters of the smallest case of each operator that failed.
pub fn table(report: &Report) -> String {
    let mut text = format!(
        "{:<20} {:>8} {:>8} {:>8}\n",
        "operator", "equal", "default", "failed"
    );
    for (op, row) in report.rows() {
        text += &format!(
            "{:<20} {:>8} {:>8} {:>8}\n",
            op.name(),
            row.equal,
            row.default_method,
            row.failed
        );
        if let Some(failure) = row.smallest {
            text += &format!("  {:?}\n  ", failure.fault);
            // Writing to a `String` cannot fail.
            let _ = describe(op, failure.seed, &mut text);
            text += "\n";
        }
    }
    text
}
