//! Device images, and the tools to build and run them.

use std::process::Stdio;

use ocellus_board_file::Board;
use ocellus_board_host::{Contents, Variant, build_image};
use ocellus_setup::{Host, Need, Status, Terminal, ensure};

use crate::steps::{Failure, call, cargo};

fn boards() -> Result<Vec<Board>, Failure> {
    Board::all().map_err(|error| Failure {
        what: error.to_string(),
        remedy: "Correct the board's data file.".to_owned(),
    })
}

/// Installs the compiler's tools, the device targets and the emulators.
pub(crate) fn setup(host: &Host) -> Result<(), Failure> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let found = cargo(host, &[tool, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            let mut command = std::process::Command::new("rustup");
            command.args(["component", "add", component]);
            call(
                &mut command,
                &format!("Install {component} for the compiler in use."),
            )?;
        }
    }
    let boards = boards()?;
    let needs: Vec<Need> = boards.iter().flat_map(Need::for_board).collect();
    ensure(&needs, host, &Terminal::new()).map_err(|error| Failure {
        what: error.to_string(),
        remedy: "Install it by hand; `ocellus doctor` lists what is missing.".to_owned(),
    })?;
    let mut shown: Vec<String> = Vec::new();
    for need in needs {
        let title = need.title();
        if let Status::Present { what } = need.check(host)
            && !shown.contains(&title)
        {
            eprintln!("  {title}: {what}");
            shown.push(title);
        }
    }
    Ok(())
}

/// Builds every board's image with every operator.
pub(crate) fn build(host: &Host) -> Result<(), Failure> {
    for board in boards()? {
        let image = build_image(
            host,
            &board,
            &Contents::ALL,
            Variant::Plain,
            &Terminal::new(),
        )
        .map_err(|error| Failure {
            what: error.to_string(),
            remedy: format!("Correct what the compiler names for {}.", board.name),
        })?;
        let Some(image) = image else {
            continue;
        };
        if board.is_bare_metal() && !image.panic_symbols.is_empty() {
            return Err(Failure {
                what: format!(
                    "the image of {} can panic: {}",
                    board.name,
                    image.panic_symbols.join(", ")
                ),
                remedy: "Find the checked access or division that the compiler could not prove, and write it with `get` or `checked_div`."
                    .to_owned(),
            });
        }
        eprintln!(
            "  {:<9} {:>9} bytes of code and constants, {:>6} of variables",
            board.name, image.code_bytes, image.statics_bytes
        );
    }
    Ok(())
}
