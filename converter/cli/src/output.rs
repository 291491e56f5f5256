//! What commands print: a table for people on standard error or output, one object for programs.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use ocellus_compile::{Progress, Stage};
use serde_json::{Map, Value};

/// Prints the object of `--json`: the command's fields, `schema` and `tool_version`.
pub(crate) fn print_json(fields: Value) -> Result<()> {
    let mut object = Map::new();
    object.insert("schema".to_owned(), 1.into());
    object.insert("tool_version".to_owned(), env!("CARGO_PKG_VERSION").into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    println!("{}", serde_json::to_string(&Value::Object(object))?);
    Ok(())
}

/// Longest cell of a table; TensorFlow's layer names run to hundreds of letters. `--json` has them whole.
const MAX_CELL: usize = 56;

/// The cell, with the middle left out where it is too long.
fn shortened(cell: &str) -> String {
    let letters: Vec<char> = cell.chars().collect();
    if letters.len() <= MAX_CELL {
        return cell.to_owned();
    }
    let half = (MAX_CELL - 1) / 2;
    let (head, tail) = (&letters[..half], &letters[letters.len() - half..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

/// A table with columns as wide as their widest cell; the first column is left-aligned, the others right-aligned.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| shortened(cell)).collect())
        .collect();
    let columns = header.len();
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        for (column, cell) in cells.iter().enumerate().take(columns) {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            if column == 0 {
                text.push_str(&format!("{cell}{pad}"));
            } else {
                text.push_str(&format!("  {pad}{cell}"));
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    };
    line(
        &header
            .iter()
            .map(|&cell| cell.to_owned())
            .collect::<Vec<_>>(),
    );
    line(
        &widths
            .iter()
            .map(|&width| "-".repeat(width))
            .collect::<Vec<_>>(),
    );
    for row in &rows {
        line(row);
    }
    text
}

/// Digits in groups of three: `1,234,567`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A progress bar on standard error.
pub(crate) fn progress(len: u64, what: &str) -> indicatif::ProgressBar {
    let style =
        indicatif::ProgressStyle::with_template("{msg:24} [{bar:32}] {pos}/{len} {elapsed}")
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar())
            .progress_chars("=> ");
    let bar = indicatif::ProgressBar::new(len).with_style(style);
    bar.set_message(what.to_owned());
    bar
}

/// A bar for each stage of a compilation, one after the other.
#[derive(Default)]
pub(crate) struct Stages {
    shown: Mutex<Option<(Stage, indicatif::ProgressBar)>>,
}

impl Stages {
    /// Shows that a part is done.
    pub(crate) fn show(&self, progress: Progress) {
        // A bar is whole whatever a thread that ended was about to do with it.
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(&*shown, Some((stage, _)) if *stage == progress.stage) {
            let bar = self::progress(progress.of as u64, progress.stage.words());
            if let Some((_, before)) = shown.replace((progress.stage, bar)) {
                before.finish_and_clear();
            }
        }
        if let Some((_, bar)) = &*shown {
            bar.inc(1);
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        let shown = self.shown.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bar)) = shown.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let text = table(
            &["layer", "macs"],
            &[
                vec!["a".into(), "10".into()],
                vec!["longer".into(), "1".into()],
            ],
        );
        assert_eq!(
            text,
            "layer   macs\n------  ----\na         10\nlonger     1\n"
        );
    }

    #[test]
    fn long_cells_lose_their_middle() {
        let text = table(&["layer"], &[vec!["a".repeat(40) + &"b".repeat(40)]]);
        assert!(text.contains("a…b"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= MAX_CELL));
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
