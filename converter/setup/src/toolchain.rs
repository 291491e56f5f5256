//! Which compiler builds for a device.
//!
//! rustup's targets come first. Where rustup is not installed or cannot fetch, Debian's compiler takes over: it has no
//! bare-metal `core`, so that is built from its sources, and no bundled linker, so `ld.lld` links.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{Run, output};
use crate::{Host, Progress, SetupError, apt};

/// Debian's packages for bare-metal targets.
const DEBIAN_BARE: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];
/// Debian's packages for 64-bit Arm Linux.
const DEBIAN_ARM64: [&str; 5] = [
    "rustc-web",
    "cargo-web",
    "libstd-rust-web-dev:arm64",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
];
/// What Debian's compiler offers in place of a static musl target: glibc, linked statically.
const DEBIAN_ARM64_TRIPLE: &str = "aarch64-unknown-linux-gnu";

/// How to build for a triple.
///
/// `cargo` in `root` with `env`, `args` after the subcommand, and `rustflags` before the caller's own (joined with
/// `\x1f` in `CARGO_ENCODED_RUSTFLAGS`). Outputs lie in `target/<triple>/`, where `triple` may not be the one that was
/// asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceToolchain {
    /// The triple to build for, which names cargo's output folder too.
    pub triple: String,
    /// The cargo to call.
    pub cargo: PathBuf,
    /// Variables to set.
    pub env: Vec<(String, String)>,
    /// Arguments for `cargo build` or `cargo rustc`, `--target` among them.
    pub args: Vec<String>,
    /// Flags for the compiler.
    pub rustflags: Vec<String>,
    /// For reports: `rustup` or `Debian`.
    pub origin: &'static str,
}

impl DeviceToolchain {
    /// What is installed for a triple.
    #[must_use]
    pub fn find(host: &Host, triple: &str) -> Option<Self> {
        Self::rustup(host, triple).or_else(|| Self::debian(host, triple))
    }

    fn rustup(host: &Host, triple: &str) -> Option<Self> {
        let (rustc, cargo) = (host.find("rustc")?, host.find("cargo")?);
        let libraries = output(
            host,
            &rustc,
            &["--print", "target-libdir", "--target", triple],
        )?;
        let mut names = std::fs::read_dir(libraries)
            .ok()?
            .flatten()
            .map(|e| e.file_name());
        names
            .any(|n| n.to_string_lossy().starts_with("libcore-"))
            .then(|| Self {
                triple: triple.to_owned(),
                cargo,
                env: Vec::new(),
                args: vec!["--target".to_owned(), triple.to_owned()],
                rustflags: if triple.ends_with("-musl") {
                    // The target brings its start files and C library along; the PC's own `cc` does not know the machine.
                    let flags = ["-C", "linker=rust-lld", "-C", "link-self-contained=yes"];
                    flags.map(str::to_owned).to_vec()
                } else {
                    Vec::new()
                },
                origin: "rustup",
            })
    }

    fn debian(host: &Host, triple: &str) -> Option<Self> {
        let bin = host.debian.join("bin");
        let (cargo, rustc) = (bin.join("cargo"), bin.join("rustc"));
        if !cargo.is_file() || !rustc.is_file() {
            return None;
        }
        let library = host.debian.join("lib/rustlib");
        // Its own folder first, because cargo calls further tools by name and rustup's stand in the way.
        let path = std::env::join_paths(
            std::iter::once(bin.clone()).chain(std::env::split_paths(&host.path)),
        )
        .ok()?;
        let mut env = vec![
            ("PATH".to_owned(), path.into_string().ok()?),
            ("RUSTC".to_owned(), rustc.to_string_lossy().into_owned()),
        ];
        let (triple, extra, rustflags) = if is_arm64_linux(triple) {
            let has_std = library.join(DEBIAN_ARM64_TRIPLE).is_dir();
            let linker = host.find("aarch64-linux-gnu-gcc").filter(|_| has_std)?;
            let linker = format!("linker={}", linker.display());
            let flags = ["-C", &linker, "-C", "target-feature=+crt-static"];
            (DEBIAN_ARM64_TRIPLE, None, flags.map(str::to_owned).to_vec())
        } else {
            let linker = host
                .find("ld.lld")
                .filter(|_| library.join("src").exists())?;
            env.push(("RUSTC_BOOTSTRAP".to_owned(), "1".to_owned()));
            let linker = format!("linker={}", linker.display());
            (
                triple,
                Some("-Zbuild-std=core,alloc"),
                ["-C", &linker].map(str::to_owned).to_vec(),
            )
        };
        let mut args = vec!["--target".to_owned(), triple.to_owned()];
        args.extend(extra.map(str::to_owned));
        Some(Self {
            triple: triple.to_owned(),
            cargo,
            env,
            args,
            rustflags,
            origin: "Debian",
        })
    }

    /// `cargo SUBCOMMAND` in the source tree, for this triple, with further compiler flags.
    ///
    /// Variables that an outer cargo set for another compiler are removed.
    #[must_use]
    pub fn command(&self, host: &Host, subcommand: &str, rustflags: &[String]) -> Command {
        let mut command = Command::new(&self.cargo);
        command
            .current_dir(&host.root)
            .arg(subcommand)
            .args(&self.args);
        for name in [
            "RUSTFLAGS",
            "RUSTC",
            "RUSTDOC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
        ] {
            command.env_remove(name);
        }
        let flags: Vec<_> = self
            .rustflags
            .iter()
            .chain(rustflags)
            .map(String::as_str)
            .collect();
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command
    }
}

fn is_arm64_linux(triple: &str) -> bool {
    triple.starts_with("aarch64-unknown-linux-")
}

/// The toolchain for a triple, installed if it is missing.
///
/// # Errors
/// - [`SetupError::Failed`], [`SetupError::NoApt`], [`SetupError::NoRoot`]: neither way works; the text is that of the
///   second
/// - [`SetupError::StillMissing`]: both ways went through and installed nothing of use
pub fn device_toolchain(
    host: &Host,
    triple: &str,
    progress: &dyn Progress,
) -> Result<DeviceToolchain, SetupError> {
    if let Some(found) = DeviceToolchain::find(host, triple) {
        return Ok(found);
    }
    if let Some(rustup) = host.find("rustup") {
        // A failure is not the end: an offline mirror may still have Debian's packages.
        let run = Run::new(host, format!("adding Rust target {triple}"), rustup)
            .args(["target", "add", triple]);
        if run.run(progress).is_ok()
            && let Some(found) = DeviceToolchain::find(host, triple)
        {
            return Ok(found);
        }
    }
    if is_arm64_linux(triple) {
        apt::add_architecture(host, "arm64", progress)?;
        apt::install(host, &DEBIAN_ARM64, progress)?;
    } else {
        apt::install(host, &DEBIAN_BARE, progress)?;
    }
    DeviceToolchain::find(host, triple).ok_or_else(|| SetupError::StillMissing {
        what: format!("Rust target {triple}"),
        how: format!("run `rustup target add {triple}`"),
    })
}
