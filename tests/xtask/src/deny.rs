//! Dependencies: licences, sources, bans.

use std::path::PathBuf;
use std::process::Command;

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
            .args(["--config", "deny.toml", "check", "--hide-inclusion-graph"])
            // One list of licences serves both trees: neither meets all of them.
            .args(["--allow", "license-not-encountered"])
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
        let version = Command::new(&program).arg("--version").output();
        if version.is_ok_and(|output| is_compatible(&output.stdout)) {
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

/// Options move between minor versions.
fn is_compatible(version: &[u8]) -> bool {
    let minor = VERSION.rsplit_once('.').map_or(VERSION, |(minor, _)| minor);
    String::from_utf8_lossy(version).starts_with(&format!("cargo-deny {minor}."))
}

#[cfg(test)]
mod tests {
    use super::is_compatible;

    #[test]
    fn another_minor_version_is_not_used() {
        assert!(is_compatible(b"cargo-deny 0.20.9\n"));
        assert!(!is_compatible(b"cargo-deny 0.19.0\n"));
        assert!(!is_compatible(b"cargo-deny 0.200.0\n"));
        assert!(!is_compatible(b""));
    }
}
