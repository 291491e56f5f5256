//! The tables in `docs/operators.md` are the importers' own.

use std::path::Path;

use ocellus_import::{supported_operators, supported_tflite_operators};

/// The rows of the section with that title, up to the next one, are those of the table.
fn compare(title: &str, table: &[(&str, &str)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != title)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("| `"))
        .collect();
    let expected: Vec<String> = table
        .iter()
        .map(|(name, note)| format!("| `{name}` | {note} |"))
        .collect();
    assert_eq!(
        rows,
        expected,
        "write these rows below `{title}` of docs/operators.md:\n{}",
        expected.join("\n")
    );
    assert!(table.is_sorted_by_key(|(name, _)| *name));
}

#[test]
fn the_table_of_onnx_operators_is_the_importers() {
    compare(
        "## ONNX operators that can be imported",
        &supported_operators(),
    );
}

#[test]
fn the_table_of_tflite_operators_is_the_importers() {
    compare(
        "## TensorFlow Lite operators that can be imported",
        &supported_tflite_operators(),
    );
}
