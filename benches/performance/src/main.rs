//! `cargo xtask performance`: converts and benches the MLPerf Tiny models on every emulated board, writes `docs/performance.md` and keeps the figures in `benches/record`.
#![forbid(unsafe_code)]

mod document;
mod measure;
mod peers;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ocellus_setup::Host;

use measure::{Figures, MODELS, Record};

/// Boards in the order of the document.
const BOARDS: [&str; 7] = [
    "qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55", "qemu-a53", "qemu-a76", "qemu-max",
];

/// Counts one inference of each model on each board.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask performance")]
struct Args {
    /// Measures on this board; may be repeated. The others keep what the last record says.
    #[arg(long, value_name = "NAME", value_parser = BOARDS)]
    board: Vec<String>,
    /// Writes docs/performance.md and a record of this commit; without it the document goes to standard output.
    #[arg(long)]
    update: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let host = Host::here()?;
    let last = measure::last(&host)?;
    let mut figures: Vec<Figures> = Vec::new();
    for board in BOARDS {
        for model in &MODELS {
            let chosen = args.board.is_empty() || args.board.iter().any(|name| name == board);
            let kept = last
                .iter()
                .flat_map(|record| &record.figures)
                .find(|kept| kept.board == board && kept.model == model.name);
            match kept {
                Some(kept) if !chosen => figures.push(kept.clone()),
                _ if !chosen => {}
                _ => {
                    eprintln!("{} on {board}", model.name);
                    figures.push(measure::measure(&host, model, board)?);
                }
            }
        }
    }
    let text = document::document(&figures);
    if args.update {
        let record = Record::of(&host, figures)?;
        let path = record.keep(&host)?;
        let document = host.root.join("docs/performance.md");
        ocellus_data::write_whole(&document, text.as_bytes())?;
        eprintln!("written: {}, {}", document.display(), path.display());
    } else {
        print!("{text}");
    }
    Ok(())
}
