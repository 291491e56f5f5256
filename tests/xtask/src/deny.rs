//! Dependencies: licences, sources, bans.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use ocellus_setup::Host;

use crate::steps::{Failure, call, cargo};

/// What is installed where there is none.
const VERSION: &str = "0.20.2";

/// Dependency trees: the PC's, the bare-metal images'.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "boards/qemu/Cargo.toml"];

/// Checks each tree.
pub(crate) fn run(host: &Host) -> Result<(), Failure> {
    let program = program(host)?;
    for manifest in MANIFESTS {
        let mut command = Command::new(&program);
        command
            .current_dir(&host.root)
            .args(["--manifest-path", manifest, "--all-features"])
            .args(["check", "--config", "deny.toml", "--hide-inclusion-graph"])
            .args(["licenses", "bans", "sources"]);
        call(
            &mut command,
            "Take another dependency, or allow it in deny.toml and say there why.",
        )?;
    }
    eprintln!(
        "  not checked: advisories, whose database comes over the network; where it is reachable: cargo deny check advisories"
    );
    Ok(())
}

/// The installed program, or our own copy, installed if need be.
fn program(host: &Host) -> Result<PathBuf, Failure> {
    let tools = host.target.join("tools");
    let own = tools.join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), own.clone()] {
        let version = Command::new(&program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if version.is_ok_and(|status| status.success()) {
            return Ok(program);
        }
    }
    // A build without optimization takes a third of the time, and the check a second more.
    let mut install = cargo(host, &["install", "cargo-deny", "--locked", "--version"]);
    install
        .args([VERSION, "--debug", "--no-default-features", "--root"])
        .arg(tools);
    call(
        &mut install,
        "Install cargo-deny by hand; the reason that it does not install stands above.",
    )?;
    Ok(own)
}
