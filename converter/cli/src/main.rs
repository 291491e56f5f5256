//! The `ocellus` command: converts, runs and measures models.

mod anatomy;
mod answer;
mod args;
mod board;
mod commands;
mod errors;
mod float;
mod input;
mod keys;
mod layers;
mod layout;
mod output;
mod sizes;
mod smaller;
mod source;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::Parser;

use args::{Cli, Command};

/// What the last panic said.
static FAULT: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The importer survives panics of the library that reads ONNX, so a panic by itself prints nothing.
    std::panic::set_hook(Box::new(|panic| {
        *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    match catch_unwind(AssertUnwindSafe(|| run(&cli))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let _ = writeln!(std::io::stderr(), "error: {}", paragraph(&error));
            ExitCode::FAILURE
        }
        Err(_) => {
            // Not locked while something is printed: that may panic in its turn.
            let fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner).clone();
            end(&fault)
        }
    }
}

/// How the program ends after a panic that said this. Standard error may be what is gone.
fn end(fault: &str) -> ExitCode {
    let say = |text: String| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    if fault.contains("failed printing to stderr: ") {
        return ExitCode::FAILURE;
    }
    if let Some((_, reason)) = fault.split_once("failed printing to stdout: ") {
        // A reader that has seen enough (`| head`) is no fault.
        if !reason.contains("Broken pipe") {
            say(format!(
                "error: writing to standard output: {}",
                one_line(reason)
            ));
        }
        return ExitCode::FAILURE;
    }
    say(format!(
        "error: this is a fault of ocellus; please report it with the command and the model: {}",
        one_line(fault)
    ));
    ExitCode::from(101)
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let json = cli.json;
    match &cli.command {
        Command::Doctor(args) => commands::doctor::run(args, json),
        Command::Convert(args) => commands::convert::run(args, json),
        Command::Run(args) => commands::run::run(args, json),
        Command::Compare(args) => commands::compare::run(args, json),
        Command::Evaluate(args) => commands::evaluate::run(args, json),
        Command::Bench(args) => commands::bench::run(args, json),
        Command::Inspect(args) => commands::inspect::run(args, json),
        Command::Report(args) => commands::report::run(args, json),
        Command::Build(args) => commands::build::run(args, json),
        Command::Flash(args) => commands::flash::run(args, json),
        Command::Keygen(args) => commands::sign::keygen(args, json),
        Command::Sign(args) => commands::sign::sign(args, json),
        Command::Verify(args) => commands::sign::verify(args, json),
        Command::Demo(args) => commands::demo::run(args, json),
    }
}

/// The chain of causes, outermost first, without those that the text before them holds already.
fn paragraph(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = one_line(&cause.to_string());
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn causes_are_said_once() {
        let cause = || anyhow!("line 2\n  |\n  ^ odd");
        assert_eq!(
            paragraph(&cause().context("a.toml")),
            "a.toml: line 2 | ^ odd"
        );
        let twice = Err::<(), _>(anyhow!("gone"))
            .context("b: gone")
            .context("reading");
        assert_eq!(paragraph(&twice.unwrap_err()), "reading: b: gone");
    }
}
