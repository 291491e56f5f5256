//! The instruction counter, built on demand, and the emulators' versions.

use std::path::PathBuf;

use crate::command::{Run, output};
use crate::{Host, Progress, SetupError};

/// Builds the emulator plugin that counts instructions, and says where it is.
///
/// # Errors
/// - [`SetupError::Failed`]: it does not build
/// - [`SetupError::StillMissing`]: it was built elsewhere
pub fn cycles_plugin(host: &Host, progress: &dyn Progress) -> Result<PathBuf, SetupError> {
    let cargo = host.require("cargo", "install Rust with rustup")?;
    let mut run = Run::new(host, "building the instruction counter", cargo).args([
        "build",
        "--release",
        "--package",
        "ocellus-cycles",
        "--target-dir",
    ]);
    run.command.arg(&host.target);
    run.run(progress)?;
    let path = plugin_path(host);
    if path.is_file() {
        return Ok(path);
    }
    Err(SetupError::StillMissing {
        what: path.display().to_string(),
        how: "the build put it elsewhere".to_owned(),
    })
}

pub(crate) fn plugin_path(host: &Host) -> PathBuf {
    host.target.join("release").join("libocellus_cycles.so")
}

/// Version of an installed emulator, such as `7.2.22`.
#[must_use]
pub fn emulator_version(host: &Host, program: &str) -> Option<String> {
    version_in(&output(host, &host.find(program)?, &["--version"])?)
}

/// The word after `version` in the first line of what a program says about itself.
fn version_in(text: &str) -> Option<String> {
    let mut words = text
        .lines()
        .next()?
        .split_whitespace()
        .skip_while(|w| *w != "version");
    let version = words.nth(1)?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn reads_versions_of_both_emulators() {
        let system =
            "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c)";
        assert_eq!(version_in(system).as_deref(), Some("7.2.22"));
        assert_eq!(
            version_in("qemu-aarch64 version 8.2.2 (Debian 1:8.2.2)").as_deref(),
            Some("8.2.2")
        );
        assert_eq!(version_in("version unknown"), None);
        assert_eq!(version_in(""), None);
    }
}
