//! Why a board did not answer.

use std::path::PathBuf;

use ocellus_protocol::FrameError;

/// Why an image was not built, or a board did not answer.
///
/// What a device refuses is no such error: it is [`Answer::Refused`](crate::Answer::Refused), so that what came before is not lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The compiler for the device is missing and cannot be installed.
    #[error(transparent)]
    Setup(#[from] ocellus_setup::SetupError),
    /// The model does not fit any of the board's slots.
    #[error(transparent)]
    Place(#[from] ocellus_board_file::BoardError),
    /// The image does not build.
    #[error("building the image for {board} failed ({status}):\n{log}")]
    Build {
        /// The board.
        board: String,
        /// How cargo ended.
        status: String,
        /// What the compiler said last.
        log: String,
    },
    /// The file is no image.
    #[error("{path}: {what}; build it again", path = path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The board needs an image, and none was given.
    #[error("{board} runs a firmware image, and none was given; build it first")]
    NoImage {
        /// The board.
        board: String,
    },
    /// A file of the conversation cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file or program.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// The emulator ended before the conversation did.
    #[error(
        "{board}: `{program}` ended early ({status}), after {answered} of {asked} requests{console}"
    )]
    Died {
        /// The board.
        board: String,
        /// The emulator.
        program: String,
        /// How it ended.
        status: String,
        /// Requests answered.
        answered: usize,
        /// Requests sent.
        asked: usize,
        /// What it said last, with a line break before it; empty where it said nothing.
        console: String,
    },
    /// The board was silent for too long, and was stopped.
    #[error(
        "{board}: no answer for {seconds} s, after {answered} of {asked} requests; stopped{console}"
    )]
    Silent {
        /// The board.
        board: String,
        /// How long.
        seconds: u64,
        /// Requests answered.
        answered: usize,
        /// Requests sent.
        asked: usize,
        /// What it said last, with a line break before it; empty where it said nothing.
        console: String,
    },
    /// An answer arrived damaged.
    #[error("{board}: an answer arrived damaged: {error}")]
    Frame {
        /// The board.
        board: String,
        /// How.
        error: FrameError,
    },
    /// This machine does not have the instruction set.
    #[error("{board}: {error}")]
    Serve {
        /// The board.
        board: String,
        /// Why.
        error: ocellus_board_linux::ServeError,
    },
}

impl BoardError {
    /// An operating system's error with its file.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> BoardError {
        let path = path.into();
        move |error| BoardError::Io { path, error }
    }
}
