//! Files that appear whole under their name or not at all: written beside it, renamed when they are complete, removed when that fails.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::DataError;

/// Writes a file, in the place of an earlier one.
///
/// # Errors
/// [`DataError::Io`]; what was there before is still there then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let written = aside(path, bytes, 0o666).and_then(|file| Ok(file.persist(path)?));
    written.map(|_| ()).map_err(DataError::io(path))
}

/// Writes a file that is not there yet, with these permissions where the system has such; it is on the disk when this returns.
///
/// # Errors
/// [`DataError::Io`], also where a file of the name is there.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DataError> {
    let written = aside(path, bytes, mode).and_then(|file| {
        file.as_file().sync_all()?;
        Ok(file.persist_noclobber(path)?)
    });
    written.map(|_| ()).map_err(DataError::io(path))
}

/// A file beside another that goes when it is dropped.
fn aside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name().unwrap_or_default();
    let prefix = format!("{}.part-", name.to_string_lossy());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    // The library's error names the file beside, which is of no use to anyone.
    let mut code = None;
    let open = |aside: &Path| {
        let opened = options.open(aside);
        opened.inspect_err(|error| code = error.raw_os_error())
    };
    let folder = folder.unwrap_or(Path::new("."));
    let file = tempfile::Builder::new()
        .prefix(&prefix)
        .make_in(folder, open);
    let mut file = file.map_err(|error| code.map_or(error, io::Error::from_raw_os_error))?;
    file.as_file_mut().write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_file_takes_the_place_of_another_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.oce");
        for bytes in [&b"first"[..], b"second"] {
            write_whole(&path, bytes).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(names(folder.path()), ["a.oce"]);
    }

    #[test]
    fn a_new_file_leaves_another_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        write_new(&path, b"first", 0o600).unwrap();
        let error = write_new(&path, b"second", 0o600).unwrap_err().to_string();
        assert!(
            error.contains("key.pem") && error.contains("exists"),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(names(folder.path()), ["key.pem"]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_new_file_or_those_asked_for() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        std::fs::write(folder.path().join("plain"), b"").unwrap();
        write_whole(&folder.path().join("whole"), b"").unwrap();
        write_new(&folder.path().join("secret"), b"", 0o600).unwrap();
        assert_eq!(mode("whole"), mode("plain"));
        assert_eq!(mode("secret"), 0o600);
    }

    #[test]
    fn an_error_names_the_file_and_not_the_one_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/a.oce");
        let error = write_whole(&path, b"").unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(!error.contains(".part-"), "{error}");
        // A folder is in the way.
        let path = folder.path().join("taken");
        std::fs::create_dir_all(path.join("full")).unwrap();
        write_whole(&path, b"").unwrap_err();
        assert_eq!(names(folder.path()), ["taken"]);
    }
}
