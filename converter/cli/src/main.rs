//! The `ocellus` command: converts, runs and measures models.

mod answer;
mod args;
mod board;
mod commands;
mod input;
mod layers;
mod layout;
mod output;
mod source;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let result = match &cli.command {
        Command::Doctor(args) => commands::doctor::run(args, json),
        Command::Convert(args) => commands::convert::run(args, json),
        Command::Run(args) => commands::run::run(args, json),
        Command::Compare(args) => commands::compare::run(args, json),
        Command::Evaluate(args) => commands::evaluate::run(args, json),
        Command::Bench(args) => commands::bench::run(args, json),
        Command::Inspect(args) => commands::inspect::run(args, json),
        Command::Build(args) => commands::build::run(args, json),
        Command::Flash(args) => commands::flash::run(args, json),
        Command::Demo(args) => commands::demo::run(args, json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One paragraph: the chain of causes, outermost first.
            let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("error: {}", chain.join(": "));
            ExitCode::FAILURE
        }
    }
}
