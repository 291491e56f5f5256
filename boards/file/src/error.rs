use std::path::PathBuf;

use crate::Role;

/// Why a board is not available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// No board of that name and no file at that path; use one of `known` or give a path.
    #[error("board `{name}` is not known: use one of {}, or the path of a board file", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names of the boards in the tree.
        known: Vec<String>,
    },
    /// The file cannot be read.
    #[error("reading board file {}: {what}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's message.
        what: String,
    },
    /// The file is not TOML or does not hold a board's keys; `what` names the line.
    #[error("board file {}: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        what: String,
    },
    /// The keys are there but contradict each other; correct the file.
    #[error("board file {}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What contradicts what.
        what: String,
    },
    /// No slot of the board is large enough; use a smaller model or input, or a larger board.
    #[error(
        "board `{board}` has no room for {needed_bytes} bytes of {role}: {}",
        rooms(largest)
    )]
    NoRoom {
        /// The board.
        board: String,
        /// What was to be placed.
        role: Role,
        /// Its size.
        needed_bytes: u64,
        /// Region and size of the largest slot of that role.
        largest: Option<(String, u64)>,
    },
}

fn rooms(largest: &Option<(String, u64)>) -> String {
    match largest {
        Some((region, bytes)) => format!("the largest slot is {bytes} bytes in {region}"),
        None => "its file declares no such slot".to_owned(),
    }
}
