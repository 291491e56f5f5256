//! Debian's packages: installing them, which needs root, and reading files out of them, which does not.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::Run;
use crate::{Host, Progress, SetupError};

/// Installs packages.
pub(crate) fn install(
    host: &Host,
    packages: &[&str],
    progress: &dyn Progress,
) -> Result<(), SetupError> {
    let owned = || packages.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    update(host, progress, owned)?;
    let words = ["install", "-y", "--no-install-recommends"];
    as_root(
        host,
        format!("installing {}", packages.join(" ")),
        "apt-get",
        owned,
    )?
    .args(words.iter().chain(packages))
    .run(progress)
}

/// Lets packages of a second architecture be installed.
pub(crate) fn add_architecture(
    host: &Host,
    name: &str,
    progress: &dyn Progress,
) -> Result<(), SetupError> {
    as_root(host, format!("adding architecture {name}"), "dpkg", || {
        vec![format!("packages of {name}")]
    })?
    .args(["--add-architecture", name])
    .run(progress)
}

fn update(
    host: &Host,
    progress: &dyn Progress,
    wanted: impl FnOnce() -> Vec<String>,
) -> Result<(), SetupError> {
    as_root(host, "updating the list of packages", "apt-get", wanted)?
        .args(["update"])
        .run(progress)
}

fn as_root<'a>(
    host: &Host,
    what: impl Into<String>,
    program: &str,
    wanted: impl FnOnce() -> Vec<String>,
) -> Result<Run<'a>, SetupError> {
    let Some(file) = host.find("apt-get").and_then(|_| host.find(program)) else {
        return Err(SetupError::NoApt { packages: wanted() });
    };
    // Through `env`, because sudo drops variables.
    let quiet = "DEBIAN_FRONTEND=noninteractive";
    let file = file.into_os_string();
    if host.is_root {
        let mut run = Run::new(host, what, file);
        run.command.env("DEBIAN_FRONTEND", "noninteractive");
        return Ok(run);
    }
    let Some(sudo) = host.find("sudo") else {
        return Err(SetupError::NoRoot { packages: wanted() });
    };
    Ok(Run::new(host, what, sudo).args(["env".into(), quiet.into(), file]))
}

/// Downloads a package into `dir`, resuming what lies there.
pub(crate) fn download(
    host: &Host,
    package: &str,
    dir: &Path,
    about_bytes: u64,
    progress: &dyn Progress,
) -> Result<PathBuf, SetupError> {
    let wanted = || vec![package.to_owned()];
    let apt = host
        .find("apt-get")
        .ok_or_else(|| SetupError::NoApt { packages: wanted() })?;
    let fetch = || {
        let mut run = Run::new(host, format!("fetching Debian's {package}"), &apt)
            .args(["download", package]);
        run.command.current_dir(dir);
        run.watch = Some((dir, Some(about_bytes)));
        run.run(progress)
    };
    // A fresh machine has no list of packages, an old one has a list of versions that are gone.
    if let Err(first) = fetch() {
        if let Err(e) = update(host, progress, wanted) {
            let SetupError::Failed {
                command,
                status,
                tail,
            } = first
            else {
                return Err(first);
            };
            return Err(SetupError::Failed {
                command,
                status,
                tail: format!("{tail}\nand then: {e}"),
            });
        }
        fetch()?;
    }
    super::package::newest(dir, "deb").ok_or_else(|| SetupError::NotInPackage {
        package: package.to_owned(),
        file: "a .deb file".to_owned(),
    })
}

/// Reads files out of a downloaded package.
pub(crate) fn unpack(
    host: &Host,
    deb: &Path,
    files: &[&str],
    into: &Path,
    progress: &dyn Progress,
) -> Result<(), SetupError> {
    let dpkg = host.require("dpkg-deb", "it is part of Debian's `dpkg`")?;
    let tar = host.require("tar", "install `tar`")?;
    // Piped, because the whole package would take hundreds of megabytes of disk.
    let mut source = Command::new(dpkg);
    source
        .arg("--fsys-tarfile")
        .arg(deb)
        .env("PATH", &host.path);
    let mut source = source
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(SetupError::io(deb))?;
    let mut run = Run::new(host, format!("unpacking {}", file_name(deb)), tar).args(["-x", "-C"]);
    run.command
        .arg(into)
        .args(files.iter().map(|f| format!("./{f}")));
    if let Some(pipe) = source.stdout.take() {
        run.command.stdin(pipe);
    }
    let result = run.run(progress);
    source.wait().map_err(SetupError::io(deb))?;
    result
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
