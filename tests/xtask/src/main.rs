//! Maintainers' commands: `cargo xtask check` is what the gate runs before the tests.
#![forbid(unsafe_code)]

mod deny;
mod devices;
mod lint;
mod steps;
mod tidy;

use std::process::{Command, ExitCode};

use ocellus_setup::Host;

use steps::{Failure, Step, cargo, run_all};

/// The steps of `check`, the quick ones first.
const CHECK: [Step; 7] = [
    Step {
        name: "tidy",
        does: "rules about files: sizes, places, what each operator must have",
        run: tidy::run,
    },
    Step {
        name: "fmt",
        does: "formatting of every crate",
        run: lint::fmt,
    },
    Step {
        name: "deny",
        does: "licences, sources and bans of dependencies",
        run: deny::run,
    },
    Step {
        name: "lint",
        does: "clippy for the PC",
        run: lint::clippy,
    },
    Step {
        name: "lint-devices",
        does: "clippy for every device's instruction set",
        run: lint::device_clippy,
    },
    Step {
        name: "docs",
        does: "documentation, without warnings",
        run: lint::docs,
    },
    Step {
        name: "devices",
        does: "every board's image, with all operators",
        run: devices::build,
    },
];

/// What `check` needs, installed by its own command so that a gate can tell a missing tool from a finding.
const SETUP: Step = Step {
    name: "setup",
    does: "installs what the checks and the emulator tests need",
    run: devices::setup,
};

fn usage() -> String {
    let mut text = "cargo xtask COMMAND\n\n  check     all of these, in this order; stops at the first failure\n".to_owned();
    for step in CHECK.iter().chain([&SETUP]) {
        text += &format!("  {:<13} {}\n", step.name, step.does);
    }
    text += "  performance   instructions, cycles and memory on every emulated board, into docs/performance.md with --update: minutes; --board NAME for one\n";
    text += "  accuracy      int8 against float for the promised models, into docs/accuracy.md with --update: minutes; --only NAME for one\n";
    text
}

fn run(command: &str) -> Result<(), Failure> {
    let host = Host::here().map_err(|error| Failure {
        what: error.to_string(),
        remedy: "run it inside the source tree".to_owned(),
    })?;
    match command {
        "check" => run_all(&CHECK, &host),
        name => match CHECK.iter().chain([&SETUP]).find(|step| step.name == name) {
            Some(step) => run_all(std::slice::from_ref(step), &host),
            None => Err(Failure {
                what: format!("no command is called `{name}`"),
                remedy: usage(),
            }),
        },
    }
}

/// Hands its arguments to a program that measures, built beside the one that is measured.
fn measure(name: &str, arguments: impl Iterator<Item = String>) -> ExitCode {
    let program = format!("ocellus-{name}");
    let measured = Host::here()
        .map_err(|error| error.to_string())
        .and_then(|host| {
            let packages = ["-p", "ocellus-cli", "-p", program.as_str()];
            let built = cargo(&host, &["build", "--release"])
                .args(packages)
                .status();
            if !built.is_ok_and(|status| status.success()) {
                return Err("`cargo build --release` failed".to_owned());
            }
            let program = host.target.join("release").join(&program);
            let status = Command::new(program).args(arguments).status();
            status.map_err(|error| error.to_string())
        });
    match measured {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    for name in ["accuracy", "performance"] {
        if arguments.next_if_eq(name).is_some() {
            return measure(name, arguments);
        }
    }
    let (first, second) = (arguments.next(), arguments.next());
    let command = match (first.as_deref(), second) {
        (None | Some("help" | "-h" | "--help"), _) => {
            print!("{}", usage());
            return ExitCode::SUCCESS;
        }
        (Some(command), None) => command,
        (Some(_), Some(extra)) => {
            eprintln!("`{extra}` is one argument too many\n\n{}", usage());
            return ExitCode::FAILURE;
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {}\n{}", failure.what, failure.remedy);
            ExitCode::FAILURE
        }
    }
}
