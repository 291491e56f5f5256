use std::path::{Path, PathBuf};

use crate::DataError;

/// A picture with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledPicture {
    /// The file.
    pub path: PathBuf,
    /// Index of its class.
    pub class: usize,
}

/// Pictures with a class each: one folder a class (classes in the order of the folders' names), or an index at the start of the file name
/// (`0007_anything.jpg` is class 7).
#[derive(Clone, Debug)]
pub struct LabelledFolder {
    /// Names of the classes where folders name them, else empty.
    pub classes: Vec<String>,
    /// Sorted by path.
    pub pictures: Vec<LabelledPicture>,
}

impl LabelledFolder {
    /// Lists a labelled folder.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Folder`] where neither form is found, or a file name has no index.
    pub fn open(folder: &Path) -> Result<LabelledFolder, DataError> {
        let mut entries = entries(folder)?;
        entries.sort();
        let classes: Vec<PathBuf> = entries
            .iter()
            .filter(|path| path.is_dir())
            .cloned()
            .collect();
        let mut pictures = Vec::new();
        let mut names = Vec::new();
        for (class, path) in classes.iter().enumerate() {
            names.push(file_name(path));
            pictures.extend(
                pictures_in(path)?
                    .into_iter()
                    .map(|path| LabelledPicture { path, class }),
            );
        }
        if classes.is_empty() {
            for path in entries.into_iter().filter(|path| is_picture(path)) {
                let class = index_in_name(&path).ok_or_else(|| DataError::Folder {
                    path: path.clone(),
                    reason: "the file name does not start with a class index (`0007_name.jpg` is class 7), and there is no folder a class"
                        .to_owned(),
                })?;
                pictures.push(LabelledPicture { path, class });
            }
        }
        if pictures.is_empty() {
            return Err(DataError::Folder {
                path: folder.to_owned(),
                reason: "no labelled pictures; put them in one folder a class, or name them `0007_name.jpg` for class 7".to_owned(),
            });
        }
        Ok(LabelledFolder {
            classes: names,
            pictures,
        })
    }
}

/// The pictures of a folder and the folders in it, sorted by path.
///
/// # Errors
/// [`DataError::Io`].
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut pictures = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if is_picture(&path) {
                pictures.push(path);
            }
        }
    }
    pictures.sort();
    Ok(pictures)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    std::fs::read_dir(folder)
        .map_err(DataError::io(folder))?
        .map(|entry| {
            entry
                .map(|entry| entry.path())
                .map_err(DataError::io(folder))
        })
        .collect()
}

fn is_picture(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or("")
        .to_ascii_lowercase();
    matches!(
        extension.as_str(),
        "jpg" | "jpeg" | "png" | "ppm" | "pgm" | "pnm"
    )
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn index_in_name(path: &Path) -> Option<usize> {
    let name = file_name(path);
    let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    name[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_classes_in_order_of_name() {
        let root = tempfile::tempdir().unwrap();
        for (class, file) in [("dog", "b.jpg"), ("cat", "a.png"), ("dog", "a.jpg")] {
            std::fs::create_dir_all(root.path().join(class)).unwrap();
            std::fs::write(root.path().join(class).join(file), "").unwrap();
        }
        let folder = LabelledFolder::open(root.path()).unwrap();
        assert_eq!(folder.classes, ["cat", "dog"]);
        assert_eq!(
            folder.pictures.iter().map(|p| p.class).collect::<Vec<_>>(),
            [0, 1, 1]
        );
    }

    #[test]
    fn an_index_leads_the_file_name() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("0012_n01.jpg"), "").unwrap();
        assert_eq!(
            LabelledFolder::open(root.path()).unwrap().pictures[0].class,
            12
        );
        std::fs::write(root.path().join("nameless.jpg"), "").unwrap();
        assert!(
            LabelledFolder::open(root.path())
                .unwrap_err()
                .to_string()
                .contains("nameless.jpg")
        );
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(LabelledFolder::open(root.path()).is_err());
    }
}
