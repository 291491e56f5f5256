//! Board files in the tree and outside it.

use std::path::{Path, PathBuf};

use crate::{Board, BoardError};

/// The root of the source tree that this tool was built from.
///
/// The tree may have been moved since, so the program's own place and the current folder are tried too.
#[must_use]
pub fn workspace_root() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .and_then(Path::parent)
        .map(Path::to_owned);
    let near = [std::env::current_exe().ok(), std::env::current_dir().ok()];
    let near = near
        .iter()
        .flatten()
        .flat_map(|p| p.ancestors())
        .map(Path::to_owned);
    built
        .into_iter()
        .chain(near)
        .find(|p| p.join("boards/file/Cargo.toml").is_file())
}

impl Board {
    /// A board by its name, or by the path of its file.
    ///
    /// What ends in `.toml` or holds a path separator is a path.
    ///
    /// # Errors
    /// - [`BoardError::Unknown`]: no such name; the error lists those there are
    /// - those of [`Board::load`]
    pub fn find(name_or_path: &str) -> Result<Self, BoardError> {
        let path = Path::new(name_or_path);
        if path.extension().is_some_and(|e| e == "toml") || path.components().count() > 1 {
            return Self::load(path);
        }
        match Self::files()
            .into_iter()
            .find(|(name, _)| name == name_or_path)
        {
            Some((_, path)) => Self::load(&path),
            None => Err(BoardError::Unknown {
                name: name_or_path.to_owned(),
                known: Self::names(),
            }),
        }
    }

    /// Every board in the tree, sorted by name.
    ///
    /// # Errors
    /// Those of [`Board::load`].
    pub fn all() -> Result<Vec<Self>, BoardError> {
        Self::files()
            .iter()
            .map(|(_, path)| Self::load(path))
            .collect()
    }

    /// Names of the boards in the tree, sorted.
    #[must_use]
    pub fn names() -> Vec<String> {
        Self::files().into_iter().map(|(name, _)| name).collect()
    }

    /// Name and file of every board in the tree, sorted by name; the file is `boards/*/boards/NAME.toml`.
    fn files() -> Vec<(String, PathBuf)> {
        let Some(root) = workspace_root() else {
            return Vec::new();
        };
        let entries = |dir: &Path| {
            std::fs::read_dir(dir)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path())
                .collect::<Vec<_>>()
        };
        let mut found: Vec<_> = entries(&root.join("boards"))
            .iter()
            .flat_map(|family| entries(&family.join("boards")))
            .filter(|p| p.extension().is_some_and(|e| e == "toml"))
            .filter_map(|p| Some((p.file_stem()?.to_str()?.to_owned(), p)))
            .collect();
        found.sort();
        found
    }
}
