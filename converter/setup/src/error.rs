use std::path::PathBuf;

/// Why something that is needed is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The source tree was not found; run inside the checkout.
    #[error("the source tree of this tool was not found: run it inside the checkout")]
    NoTree,
    /// A program is not installed, and nothing here can install it.
    #[error("`{program}` is not installed: {remedy}")]
    NoProgram {
        /// The program.
        program: String,
        /// What to do.
        remedy: String,
    },
    /// There is no `apt-get`; install the packages' counterparts by the system's own means.
    #[error("no `apt-get` here to install {}: install what they hold by your system's own means", packages.join(" "))]
    NoApt {
        /// Names of the Debian packages.
        packages: Vec<String>,
    },
    /// Installing needs root and there is no `sudo`; run the command as root.
    #[error("installing {0} needs root, and there is no `sudo`: run `apt-get install {0}` as root", packages.join(" "))]
    NoRoot {
        /// Names of the Debian packages.
        packages: Vec<String>,
    },
    /// A program failed; its last lines say why.
    #[error("`{command}` failed ({status}):\n{tail}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// Its last lines.
        tail: String,
    },
    /// A command went through and yet what it should install is not there.
    #[error("{what} is still missing: {how}")]
    StillMissing {
        /// The need.
        what: String,
        /// What to do.
        how: String,
    },
    /// A downloaded file has another content than the pinned one; it was moved to `moved_to` and is not used.
    #[error(
        "{file} of {package} has SHA-256 {found}, expected {expected}: it was moved to {} and is not used; the package has changed or the download is damaged, try again",
        moved_to.display()
    )]
    WrongHash {
        /// The package.
        package: String,
        /// The file in it.
        file: String,
        /// Of the file that came.
        found: String,
        /// Of the file that was pinned.
        expected: &'static str,
        /// Where it is now.
        moved_to: PathBuf,
    },
    /// The package does not hold the file.
    #[error("{package} does not hold {file}: the package has changed")]
    NotInPackage {
        /// The package.
        package: String,
        /// The file.
        file: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
}

impl SetupError {
    /// Adds the path to a system error; for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
