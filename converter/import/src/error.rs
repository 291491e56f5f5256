//! Why a model file was not imported: which file, where in it, the reason, and what to do.

use std::fmt;

/// Which of the three families an error belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file could not be read from the disk.
    Unreadable,
    /// The file is wrong: no converter could read it.
    Malformed,
    /// The file is right, but holds something that Ocellus does not do.
    Unsupported,
    /// The file leaves something open, or an option does not fit it: another option helps.
    Options,
}

/// Where in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The file as a whole.
    File,
    /// A model input.
    Input(String),
    /// A model output.
    Output(String),
    /// A stored tensor.
    Initializer(String),
    /// A node.
    Node {
        /// Position in the file, from 0.
        index: usize,
        /// Its name, empty where the file gives none.
        name: String,
        /// Its operator, as the file spells it.
        operator: String,
    },
}

/// An error of the import, complete enough to act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading {file}: {place}{reason}")]
pub struct ImportError {
    /// The file's name as it was given.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// Which family.
    pub kind: ErrorKind,
    /// What is wrong and what to do, as a sentence without its full stop.
    pub reason: String,
}

/// At most this much of a name from a file goes into a message.
const SHOWN_CHARS: usize = 120;

/// A name from a file, made safe to print on one line.
pub(crate) fn shown(name: &str) -> String {
    let mut text: String = name
        .chars()
        .take(SHOWN_CHARS)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if name.chars().nth(SHOWN_CHARS).is_some() {
        text.push_str("...");
    }
    text
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File => Ok(()),
            Place::Input(name) => write!(f, "input `{}`: ", shown(name)),
            Place::Output(name) => write!(f, "output `{}`: ", shown(name)),
            Place::Initializer(name) => write!(f, "tensor `{}`: ", shown(name)),
            Place::Node {
                index,
                name,
                operator,
            } if name.is_empty() => {
                write!(f, "node {index} `{}`: ", shown(operator))
            }
            Place::Node {
                index,
                name,
                operator,
            } => {
                write!(f, "node {index} `{}` ({}): ", shown(operator), shown(name))
            }
        }
    }
}

/// An error that does not know its place yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
    /// Set where the trouble is not at the node being imported.
    pub(crate) place: Option<Place>,
}

impl Refusal {
    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Refusal {
            kind: ErrorKind::Malformed,
            reason: reason.into(),
            place: None,
        }
    }

    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Refusal {
            kind: ErrorKind::Unsupported,
            reason: reason.into(),
            place: None,
        }
    }

    pub(crate) fn options(reason: impl Into<String>) -> Self {
        Refusal {
            kind: ErrorKind::Options,
            reason: reason.into(),
            place: None,
        }
    }

    pub(crate) fn unreadable(reason: impl Into<String>) -> Self {
        Refusal {
            kind: ErrorKind::Unreadable,
            reason: reason.into(),
            place: None,
        }
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    pub(crate) fn in_file(self, file: &str) -> ImportError {
        ImportError {
            file: file.to_owned(),
            place: self.place.unwrap_or(Place::File),
            kind: self.kind,
            reason: self.reason,
        }
    }
}

/// What the importer's functions return.
pub(crate) type Outcome<T> = Result<T, Refusal>;
