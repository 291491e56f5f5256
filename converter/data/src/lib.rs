//! What users hand in: pictures, arrays, labelled folders, recipes.

mod array;
mod boxes;
mod folder;
mod labels;
mod mask;
mod names;
mod picture;
mod recipe;
mod whole;

use std::path::PathBuf;

pub use array::{Array, Values, read_npy, read_npz, write_npy};
pub use boxes::{LabelledBox, read_boxes};
pub use folder::{LabelledFolder, LabelledPicture, pictures_in};
pub use labels::{LabelFiles, Transcribed, read_transcriptions};
pub use mask::Mask;
pub use names::read_class_names;
pub use picture::Picture;
pub use recipe::{
    BinaryRecipe, BoxFormRecipe, CalibrationRecipe, CenterFaceRecipe, ClassifyRecipe, CtcRecipe,
    GridRecipe, InputRecipe, Recipe, SegmentRecipe, SourceRecipe, SsdRecipe, TaskRecipe,
};
pub use whole::{write_new, write_whole};

/// What is wrong with something that a user handed in. The text names the file, the reason and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A picture does not decode.
    #[error("{path}: not a picture that can be decoded: {reason}; JPEG, PNG and PNM are read", path = path.display())]
    Picture {
        /// Which.
        path: PathBuf,
        /// What the decoder says.
        reason: String,
    },
    /// A `.npy` or `.npz` file is damaged or of a type that is not read.
    #[error("{path}: {reason}", path = path.display())]
    Array {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A recipe does not say what it must.
    #[error("{path}: {reason}", path = path.display())]
    Recipe {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// A file with labels is not what its kind holds.
    #[error("{path}: {reason}", path = path.display())]
    Labels {
        /// Which.
        path: PathBuf,
        /// Line or key, what is wrong, and what is read.
        reason: String,
    },
    /// A folder holds no labelled pictures.
    #[error("{path}: {reason}", path = path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        reason: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> DataError {
        let path = path.to_owned();
        move |source| DataError::Io { path, source }
    }
}
