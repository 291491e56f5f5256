//! `ocellus compare`: float against int8, tensor by tensor.

use anyhow::{Context, Result};
use ocellus_evaluate::Share;
use serde_json::json;

use crate::args::CompareArgs;
use crate::errors::{Row, measure};
use crate::input::Given;
use crate::output::{print_json, table};
use crate::source::{ModelFile, Source};

pub(crate) fn run(args: &CompareArgs, json: bool) -> Result<()> {
    let file = ModelFile::open(&args.int8)?;
    let errors = measure(
        &args.float,
        &file,
        &args.int8,
        Source::new(&args.source)?,
        &mut args.inputs.iter().map(|path| Given::open(path)),
        &mut |_, _| {},
    )?;
    let worst = errors.rows.first().context("no layer")?;
    if json {
        let rows: Vec<_> = errors.rows.iter().map(to_json).collect();
        return print_json(json!({
            "float": args.float, "int8": args.int8, "samples": errors.samples, "worst": worst.name(), "suspect": errors.suspect, "layers": rows,
        }));
    }
    let rows: Vec<Vec<String>> = errors
        .rows
        .iter()
        .map(|row| {
            vec![
                row.name().to_owned(),
                format!("{:.2}", row.error.snr_db()),
                row.lost_db
                    .map_or("-".to_owned(), |lost| format!("{lost:.2}")),
                percent(row.own),
                percent(row.clipped),
                format!("{:.5}", row.error.cosine()),
                format!("{:.4}", row.error.max_abs),
            ]
        })
        .collect();
    if let Some(name) = &errors.suspect {
        println!(
            "`{name}` is the first to look at: what it makes of the inputs that it gets is wrong\n"
        );
    }
    let header = [
        "tensor",
        "snr dB",
        "lost dB",
        "own % (channel)",
        "clipped %",
        "cosine",
        "max |float - int8|",
    ];
    print!("{}", table(&header, &rows));
    Ok(())
}

/// A share in percent, with its channel where there is one to look at.
fn percent(share: Option<Share>) -> String {
    match share {
        None => "-".to_owned(),
        Some(share) if share.error == 0.0 => "0".to_owned(),
        Some(share) => format!("{:.2} ({})", 100.0 * share.error, share.channel),
    }
}

fn to_json(row: &Row) -> serde_json::Value {
    json!({
        "name": row.name(), "snr_db": finite(row.error.snr_db()), "lost_db": row.lost_db, "own_error": row.own.map(|own| own.error),
        "own_channel": row.own.map(|own| own.channel), "clipped_error": row.clipped.map(|clipped| clipped.error),
        "clipped_channel": row.clipped.map(|clipped| clipped.channel), "cosine": row.error.cosine(), "max_abs": row.error.max_abs,
    })
}

/// JSON has no infinity: equal tensors are null.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
