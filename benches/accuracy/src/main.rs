//! `cargo xtask accuracy`: converts and measures the models that something is promised of, and writes `docs/accuracy.md`.
#![forbid(unsafe_code)]

mod measure;
mod packages;
mod peers;
mod rows;
mod sources;
mod table;
mod verdict;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use ocellus_setup::Host;

use measure::Outcome;
use rows::{ROWS, Row};

/// Measures int8 against float, or against a quantized file's own runtime, row by row.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask accuracy")]
struct Args {
    /// Measures this row; may be repeated. The others keep what an earlier run on this machine measured.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Writes docs/accuracy.md; without it the table goes to standard output.
    #[arg(long)]
    update: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// False where a promise is not kept.
fn run(args: &Args) -> Result<bool> {
    let host = Host::here()?;
    for name in &args.only {
        if !ROWS.iter().any(|row| row.name == name) {
            let known: Vec<String> = ROWS
                .iter()
                .map(|row| format!("{} ({})", row.name, table::source(row)))
                .collect();
            bail!(
                "no row is named `{name}`; the rows are {}",
                known.join(", ")
            );
        }
    }
    let chosen = |row: &&Row| args.only.is_empty() || args.only.iter().any(|n| n == row.name);
    let mut kept = true;
    for row in ROWS.iter().filter(chosen) {
        let start = Instant::now();
        eprintln!("{}: converting and measuring", row.name);
        let outcome = measure::measure(&host, row).with_context(|| row.name)?;
        measure::keep(&host, row, &outcome)?;
        eprintln!(
            "{} ({:.0} s)\n",
            table::line(row, &outcome),
            start.elapsed().as_secs_f64()
        );
        kept &= match &outcome {
            Outcome::Measured(measured) => !verdict::verdict(row, measured).fails(),
            Outcome::Refused(_) => false,
            Outcome::NoData => true,
        };
    }
    let outcomes: Vec<(&Row, Option<Outcome>)> = ROWS
        .iter()
        .map(|row| (row, measure::recall(&host, row)))
        .collect();
    let text = table::document(&outcomes);
    if args.update {
        let path = host.root.join("docs/accuracy.md");
        ocellus_data::write_whole(&path, text.as_bytes())?;
        eprintln!("written: {}", path.display());
    } else {
        print!("{text}");
    }
    Ok(kept)
}
