//! Builds device images and talks to boards: emulated machines, emulated processes, and this process.
//!
//! [`build_image`] makes the firmware for a board and its contents; the model is no part of it. [`run`] places a model, starts the board, asks
//! the [`Step`]s of a [`Job`] and returns one [`Answer`] each. Nothing that it starts outlives it.
//!
//! ```no_run
//! use ocellus_board_file::Board;
//! use ocellus_board_host::{Answer, Contents, Job, Step, Variant, build_image, build_signed_image, run};
//! use ocellus_setup::{Host, Terminal};
//!
//! let (host, board) = (Host::here()?, Board::find("qemu-m55")?);
//! let image = build_image(&host, &board, &Contents::ALL, Variant::Plain, &Terminal::new())?;
//! let mut job = Job::new(std::fs::read("model.oce")?);
//! job.steps = vec![Step::Load, Step::Infer { progress: true }, Step::Output { index: 0, len: 10 }];
//! let answers = run(&host, &board, image.as_ref(), &job, &mut |event| eprintln!("{event:?}"))?;
//! assert!(matches!(answers.last(), Some(Answer::Output(_))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod answer;
mod error;
mod image;
mod job;
mod place;
mod process;
mod run;

pub use answer::{Answer, CaseRow, Event};
pub use error::BoardError;
pub use image::{Contents, Image, OperatorSet, Variant, build_image, build_signed_image};
pub use job::{Frame, Job, Step};
pub use place::{ModelPlace, model_place};
pub use run::run;

pub use ocellus_protocol::{Class, Detection, DeviceError, Verdict};
