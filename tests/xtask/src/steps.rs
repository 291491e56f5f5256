//! Steps with their times.

use std::process::Command;
use std::time::{Duration, Instant};

use ocellus_setup::Host;

/// Why a step failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) what: String,
    /// What to do next.
    pub(crate) remedy: String,
}

/// One thing to check.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// For the list of commands.
    pub(crate) does: &'static str,
    pub(crate) run: fn(&Host) -> Result<(), Failure>,
}

/// Runs steps until one fails; prints each one's time, and all of them at the end.
pub(crate) fn run_all(steps: &[Step], host: &Host) -> Result<(), Failure> {
    let mut times = Vec::new();
    for step in steps {
        eprintln!("xtask {}: {}", step.name, step.does);
        let start = Instant::now();
        let result = (step.run)(host);
        let time = start.elapsed();
        times.push((step.name, time));
        if let Err(failure) = result {
            eprintln!("xtask {}: FAILED after {}", step.name, seconds(time));
            return Err(Failure {
                what: format!("{}: {}", step.name, failure.what),
                remedy: format!(
                    "{}\nThen, for this step alone: cargo xtask {}",
                    failure.remedy, step.name
                ),
            });
        }
        eprintln!("xtask {}: ok, {}\n", step.name, seconds(time));
    }
    if times.len() > 1 {
        for (name, time) in &times {
            eprintln!("  {name:<13} {:>9}", seconds(*time));
        }
        let sum = times.iter().map(|(_, time)| *time).sum();
        eprintln!("  {:<13} {:>9}", "all", seconds(sum));
    }
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Runs a program with its output on the terminal.
pub(crate) fn call(command: &mut Command, remedy: &str) -> Result<(), Failure> {
    let shown = shown(command);
    eprintln!("$ {shown}");
    let start = Instant::now();
    let status = command.status().map_err(|error| Failure {
        what: format!("`{shown}` does not start: {error}"),
        remedy: remedy.to_owned(),
    })?;
    eprintln!("  {}", seconds(start.elapsed()));
    if status.success() {
        Ok(())
    } else {
        Err(Failure {
            what: format!("`{shown}` failed ({status})"),
            remedy: remedy.to_owned(),
        })
    }
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// `cargo` in the source tree.
pub(crate) fn cargo(host: &Host, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&host.root).args(arguments);
    command
}
