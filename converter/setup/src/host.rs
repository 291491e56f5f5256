//! The machine that this tool runs on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::SetupError;

/// Where programs are looked up and files are kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Host {
    /// Root of the source tree.
    pub root: PathBuf,
    /// Cache of package files.
    pub packages: PathBuf,
    /// Cargo's target folder of the PC's own crates.
    pub target: PathBuf,
    /// Folder that Debian installs into.
    pub debian: PathBuf,
    /// Folders that programs are looked up in, as in `PATH`.
    pub path: OsString,
    /// Whether packages can be installed without `sudo`.
    pub is_root: bool,
}

impl Host {
    /// This machine.
    ///
    /// # Errors
    /// - [`SetupError::NoTree`]: the source tree was moved away
    pub fn here() -> Result<Self, SetupError> {
        let root = ocellus_board_file::workspace_root().ok_or(SetupError::NoTree)?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |t| root.join(t));
        let uid = Command::new("id").arg("-u").output();
        Ok(Self {
            packages: root.join("target/packages"),
            target,
            debian: PathBuf::from("/usr"),
            path: std::env::var_os("PATH").unwrap_or_default(),
            is_root: uid.is_ok_and(|o| o.stdout.trim_ascii() == b"0"),
            root,
        })
    }

    /// A machine whose programs are those of one folder; for tests.
    #[must_use]
    pub fn with_path(root: &Path, path: OsString, is_root: bool) -> Self {
        Self {
            root: root.to_owned(),
            packages: root.join("target/packages"),
            target: root.join("target"),
            debian: root.join("usr"),
            path,
            is_root,
        }
    }

    /// The program's file, if it is installed.
    #[must_use]
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .map(|dir| dir.join(program))
            .find(|p| p.is_file())
    }

    /// The program's file.
    pub(crate) fn require(&self, program: &str, remedy: &str) -> Result<PathBuf, SetupError> {
        let missing = || SetupError::NoProgram {
            program: program.to_owned(),
            remedy: remedy.to_owned(),
        };
        self.find(program).ok_or_else(missing)
    }
}
