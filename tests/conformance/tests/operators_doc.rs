//! The table of the device's operators in `docs/operators.md` is the code's own.

use std::collections::BTreeSet;
use std::path::Path;

use ocellus_cases::choice;
use ocellus_conformance::CASES;
use ocellus_format::{Isa, ops::OpCode};

/// The columns of the table behind number and name. An instruction set without a column has no kernels, or those of [`ALIKE`].
const COLUMNS: [Isa; 5] = [
    Isa::CortexMDsp,
    Isa::Helium,
    Isa::Neon,
    Isa::Avx2,
    Isa::Avx512Vnni,
];

/// Instruction sets with the same kernels as one that has a column.
const ALIKE: [(Isa, Isa); 2] = [(Isa::NeonDot, Isa::Neon), (Isa::NeonI8mm, Isa::Neon)];

/// The kernels of an operator on an instruction set beside the reference's, as the cases find them.
fn kernels(isa: Isa, op: OpCode) -> BTreeSet<&'static str> {
    (0..CASES)
        .filter_map(|seed| choice(isa, op, seed))
        .filter(|choice| choice.isa != Isa::Reference)
        .map(|choice| choice.kernel)
        .collect()
}

fn row(op: OpCode) -> String {
    let mut text = format!("| {} | `{}` |", op as u8, op.name());
    for isa in COLUMNS {
        let names: Vec<String> = kernels(isa, op)
            .iter()
            .map(|kernel| format!("`{kernel}`"))
            .collect();
        text += &format!(" {} |", names.join(", "));
    }
    text
}

#[test]
fn the_table_of_device_operators_is_the_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let text = std::fs::read_to_string(&path).expect("docs/operators.md");
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .collect();
    let expected: Vec<String> = OpCode::ALL.into_iter().map(row).collect();
    assert_eq!(
        rows,
        expected,
        "write these rows into docs/operators.md:\n{}",
        expected.join("\n")
    );
}

#[test]
fn an_instruction_set_without_a_column_has_no_kernels_of_its_own() {
    for isa in Isa::ALL.into_iter().filter(|isa| !COLUMNS.contains(isa)) {
        let alike = ALIKE.iter().find(|(of, _)| *of == isa);
        for op in OpCode::ALL {
            let expected = alike.map(|&(_, isa)| kernels(isa, op)).unwrap_or_default();
            let found = kernels(isa, op);
            assert_eq!(
                found,
                expected,
                "{}: give it a column in docs/operators.md and here",
                isa.name()
            );
        }
    }
}
