//! Formatting, clippy, documentation.

use ocellus_board_file::Board;
use ocellus_setup::{Host, Quiet, device_toolchain};

use crate::steps::{Failure, call, cargo};

/// Crates outside the workspace that are formatted all the same.
const OUTSIDE: [&str; 2] = ["boards/qemu/Cargo.toml", "tests/fuzz/Cargo.toml"];

/// The workspace's crates that end in a device image.
const DEVICE_CRATES: [&str; 9] = [
    "ocellus-format",
    "ocellus-kernels",
    "ocellus",
    "ocellus-image",
    "ocellus-tasks",
    "ocellus-protocol",
    "ocellus-board-api",
    "ocellus-app",
    "ocellus-cases",
];

const FIX_LINTS: &str =
    "Correct what clippy names. An exception carries its reason: #[expect(.., reason = \"..\")].";

/// `cargo fmt --check` of everything.
pub(crate) fn fmt(host: &Host) -> Result<(), Failure> {
    call(
        &mut cargo(host, &["fmt", "--all", "--check"]),
        "Run `cargo fmt --all`.",
    )?;
    for manifest in OUTSIDE {
        call(
            &mut cargo(host, &["fmt", "--manifest-path", manifest, "--check"]),
            &format!("Run `cargo fmt --manifest-path {manifest}`."),
        )?;
    }
    Ok(())
}

/// Clippy for the PC.
pub(crate) fn clippy(host: &Host) -> Result<(), Failure> {
    // The same selection of packages and targets as `cargo test`, so that dependencies are compiled with one set of features.
    call(
        &mut cargo(
            host,
            &[
                "clippy",
                "--release",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        FIX_LINTS,
    )
}

/// Clippy for every device, so that no `cfg` branch goes without.
pub(crate) fn device_clippy(host: &Host) -> Result<(), Failure> {
    let boards = Board::all().map_err(|error| Failure {
        what: error.to_string(),
        remedy: "Correct the board's data file.".to_owned(),
    })?;
    let mut linted: Vec<&str> = Vec::new();
    for board in &boards {
        let Some(triple) = &board.triple else {
            continue;
        };
        // A process asks its machine for the instruction set: one build serves all boards of a triple.
        if board.is_bare_metal() {
            crates_clippy(host, board, triple, true)?;
            image_clippy(host, board, triple)?;
        } else if !linted.contains(&triple.as_str()) {
            linted.push(triple);
            crates_clippy(host, board, triple, false)?;
        }
    }
    Ok(())
}

/// The workspace's device crates, for one board.
fn crates_clippy(
    host: &Host,
    board: &Board,
    triple: &str,
    bare_metal: bool,
) -> Result<(), Failure> {
    let mut packages = DEVICE_CRATES.to_vec();
    if !bare_metal {
        packages.push("ocellus-board-linux");
    }
    let mut arguments = vec!["--lib", "--bins"];
    for package in packages {
        arguments.extend(["--package", package]);
    }
    arguments.extend([
        "--features",
        "ocellus-app/profile",
        "--features",
        "ocellus-app/conformance",
    ]);
    clippy_for(host, board, triple, &arguments, false)
}

/// The image itself, as it is and as the tests build it.
fn image_clippy(host: &Host, board: &Board, triple: &str) -> Result<(), Failure> {
    let manifest = ["--manifest-path", "boards/qemu/Cargo.toml"];
    clippy_for(host, board, triple, &manifest, true)?;
    let all = [&manifest[..], &["--all-features"]].concat();
    clippy_for(host, board, triple, &all, true)
}

fn clippy_for(
    host: &Host,
    board: &Board,
    triple: &str,
    arguments: &[&str],
    is_image: bool,
) -> Result<(), Failure> {
    let toolchain = device_toolchain(host, triple, &Quiet).map_err(|error| Failure {
        what: error.to_string(),
        remedy: "Run `cargo xtask setup`.".to_owned(),
    })?;
    let mut flags = Vec::new();
    if let Some(cpu) = &board.target_cpu
        && board.is_bare_metal()
    {
        flags.extend(["-C".to_owned(), format!("target-cpu={cpu}")]);
    }
    // Debian's compiler comes without clippy: its build, in `devices`, has to do.
    if toolchain.origin != "rustup" {
        eprintln!(
            "  {}: the compiler is {}'s, which has no clippy: compiled in `devices`, linted where rustup has {triple}",
            board.name, toolchain.origin
        );
        return Ok(());
    }
    let mut command = toolchain.command(host, "clippy", &flags);
    command
        .arg("--release")
        .arg("--target-dir")
        // One folder for all: build scripts and macros are compiled once.
        .arg(host.target.join("lint"))
        .args(arguments)
        .args(["--", "-D", "warnings"]);
    if is_image {
        command
            .env("OCELLUS_BOARD", host.root.join(&board.path))
            .env("OCELLUS_OPERATORS", "all")
            // Any key serves: the image is compiled and never runs.
            .env("OCELLUS_SIGNER", "0".repeat(64));
    }
    eprintln!("  for {} ({triple}):", board.name);
    call(&mut command, FIX_LINTS)
}

/// Documentation of the libraries. The programs have `--help`, and one of them shares its name with a library.
pub(crate) fn docs(host: &Host) -> Result<(), Failure> {
    let mut command = cargo(
        host,
        &["doc", "--release", "--workspace", "--no-deps", "--lib"],
    );
    command.env("RUSTDOCFLAGS", "-D warnings");
    call(
        &mut command,
        "Correct the documentation that rustdoc names.",
    )
}
