use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{DataError, pictures_in, read_class_names};

/// Pictures, and beside them a folder with a file of labels for each, of the same stem.
#[derive(Clone, Debug)]
pub struct LabelFiles {
    /// Sorted by path, each with its file of labels where there is one.
    pub pictures: Vec<(PathBuf, Option<PathBuf>)>,
    /// Names of the classes, by the data set's number; empty where nothing names them.
    pub names: BTreeMap<usize, String>,
}

impl LabelFiles {
    /// Boxes: pictures in `images`, text files in `boxes` or `labels`, class names in a YAML file whose name speaks of detection, or the only one.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Folder`] where pictures or label files are missing; [`DataError::Labels`] for the YAML file.
    pub fn boxes(folder: &Path) -> Result<LabelFiles, DataError> {
        LabelFiles::open(folder, &["boxes", "labels"], "txt", "detection")
    }

    /// Masks: pictures in `images`, PNG files in `semantic` or `masks`, class names in a YAML file whose name speaks of semantics, or the only one.
    ///
    /// # Errors
    /// As [`boxes`](Self::boxes).
    pub fn masks(folder: &Path) -> Result<LabelFiles, DataError> {
        LabelFiles::open(folder, &["semantic", "masks"], "png", "semantic")
    }

    fn open(
        folder: &Path,
        label_folders: &[&str],
        extension: &str,
        word: &str,
    ) -> Result<LabelFiles, DataError> {
        let missing = |reason: String| DataError::Folder {
            path: folder.to_owned(),
            reason,
        };
        let images = folder.join("images");
        let labels = label_folders
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_dir())
            .filter(|_| images.is_dir())
            .ok_or_else(|| {
                missing(format!(
                    "pictures in `images` and .{extension} files of the same names in `{}` are needed",
                    label_folders.join("` or `")
                ))
            })?;
        let pictures: Vec<(PathBuf, Option<PathBuf>)> = pictures_in(&images)?
            .into_iter()
            .map(|picture| {
                let below = picture.strip_prefix(&images).unwrap_or(&picture);
                let file = labels.join(below).with_extension(extension);
                (picture, Some(file).filter(|file| file.is_file()))
            })
            .collect();
        if pictures.iter().all(|(_, labels)| labels.is_none()) {
            return Err(missing(format!(
                "no picture of `images` has a .{extension} file of its name in {}",
                labels.display()
            )));
        }
        Ok(LabelFiles {
            pictures,
            names: class_names(folder, word)?,
        })
    }
}

/// Of the YAML file whose name holds the word, or of the only one.
fn class_names(folder: &Path, word: &str) -> Result<BTreeMap<usize, String>, DataError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let path = entry.map_err(DataError::io(folder))?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if matches!(extension, "yaml" | "yml") {
            files.push(path);
        }
    }
    files.sort();
    let speaks = |path: &&PathBuf| {
        path.file_stem()
            .is_some_and(|stem| stem.to_string_lossy().contains(word))
    };
    match (files.iter().find(speaks), &files[..]) {
        (Some(path), _) | (None, [path]) => read_class_names(path),
        _ => Ok(BTreeMap::new()),
    }
}

/// A picture with the text on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcribed {
    /// The file.
    pub path: PathBuf,
    /// What is written there.
    pub text: String,
}

/// Reads `transcriptions.txt` of a folder: a line for each picture, its path below the folder, a tab, the text.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Labels`] with the line; [`DataError::Folder`] where the file is missing or empty.
pub fn read_transcriptions(folder: &Path) -> Result<Vec<Transcribed>, DataError> {
    let path = folder.join("transcriptions.txt");
    let missing = || {
        DataError::Folder {
        path: folder.to_owned(),
        reason: "a file `transcriptions.txt` with a line for each picture is needed: its path, a tab, the text".to_owned(),
    }
    };
    if !path.is_file() {
        return Err(missing());
    }
    let text = std::fs::read_to_string(&path).map_err(DataError::io(&path))?;
    let mut pictures = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let (file, text) = line.split_once('\t').ok_or_else(|| DataError::Labels {
            path: path.clone(),
            reason: format!(
                "line {}: a line is the picture's path, a tab, the text",
                number + 1
            ),
        })?;
        pictures.push(Transcribed {
            path: folder.join(file),
            text: text.to_owned(),
        });
    }
    if pictures.is_empty() {
        return Err(missing());
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn labels_lie_beside_the_pictures() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert!(LabelFiles::boxes(root).is_err());
        for (file, text) in [
            ("images/b.jpg", ""),
            ("images/a.png", ""),
            ("boxes/a.txt", ""),
            ("instance_segmentation.yaml", "names: [wrong]"),
            ("object_detection.yaml", "names: [person]"),
        ] {
            write(root, file, text);
        }
        let data = LabelFiles::boxes(root).unwrap();
        assert_eq!(
            data.pictures,
            [
                (root.join("images/a.png"), Some(root.join("boxes/a.txt"))),
                (root.join("images/b.jpg"), None)
            ]
        );
        assert_eq!(data.names[&0], "person");
        write(root, "masks/c.png", "");
        let message = LabelFiles::masks(root).unwrap_err().to_string();
        assert!(message.contains("no picture"), "{message}");
    }

    #[test]
    fn transcriptions_are_lines_with_a_tab() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let message = read_transcriptions(root).unwrap_err().to_string();
        assert!(message.contains("transcriptions.txt"), "{message}");
        write(root, "transcriptions.txt", "a.png\tNo entry\n\n");
        assert_eq!(
            read_transcriptions(root).unwrap(),
            [Transcribed {
                path: root.join("a.png"),
                text: "No entry".to_owned()
            }]
        );
        write(root, "transcriptions.txt", "a.png\tNo entry\nb.png exit\n");
        let message = read_transcriptions(root).unwrap_err().to_string();
        assert!(message.contains("line 2"), "{message}");
    }
}
