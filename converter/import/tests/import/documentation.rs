//! The table in `docs/operators.md` is the importer's own.

use std::path::Path;

use ocellus_import::supported_operators;

#[test]
fn the_table_of_operators_is_the_importers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let expected: Vec<String> = supported_operators()
        .iter()
        .map(|(name, note)| format!("| `{name}` | {note} |"))
        .collect();
    assert_eq!(
        rows,
        expected,
        "write these rows into docs/operators.md:\n{}",
        expected.join("\n")
    );
    assert!(supported_operators().is_sorted_by_key(|(name, _)| *name));
}
