//! One conversation with a board.

use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use ocellus::kernels::best;
use ocellus_board_file::{Board, Emulator as EmulatorFile, EmulatorKind};
use ocellus_board_linux::{Process, StreamCamera, Streams};
use ocellus_format::AlignedBytes;
use ocellus_protocol::send;
use ocellus_setup::Host;

use crate::answer::Listener;
use crate::process::Emulator;
use crate::{Answer, BoardError, Event, Image, Job, model_place};

/// How often the emulator's answers are looked at.
const POLL: Duration = Duration::from_millis(5);

/// Starts the board with the job's model, asks its steps and returns an answer for each.
///
/// The board `host` is this process; all others need an image. What a device refuses is an [`Answer::Refused`].
///
/// # Errors
/// - [`BoardError::NoImage`], [`BoardError::Place`]: the board cannot be started with this job
/// - [`BoardError::Died`], [`BoardError::Silent`], [`BoardError::Frame`]: the conversation broke off
/// - [`BoardError::Serve`]: this machine does not have the job's instruction set
/// - [`BoardError::Io`]: a file of the conversation cannot be read or written
pub fn run(
    host: &Host,
    board: &Board,
    image: Option<&Image>,
    job: &Job,
    observer: &mut dyn FnMut(Event),
) -> Result<Vec<Answer>, BoardError> {
    match (&board.emulator, image) {
        // A bare-metal board that nothing emulates needs a probe, which this tool does not drive yet.
        (None, _) if board.is_bare_metal() => Err(BoardError::NoImage {
            board: board.name.clone(),
        }),
        (None, _) => run_here(board, job, observer),
        (Some(emulator), Some(image)) => run_emulated(host, board, emulator, image, job, observer),
        (Some(_), None) => Err(BoardError::NoImage {
            board: board.name.clone(),
        }),
    }
}

/// The requests as bytes, and how many they are.
fn requests(job: &Job) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let mut count = 0;
    for request in job.steps.iter().flat_map(|step| step.requests()) {
        count += 1;
        let sent = send(
            &request,
            &mut |piece: &[u8]| -> Result<(), std::convert::Infallible> {
                bytes.extend_from_slice(piece);
                Ok(())
            },
        );
        debug_assert!(sent.is_ok(), "requests have an encoding");
    }
    (bytes, count)
}

fn recording(job: &Job) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in &job.frames {
        frame.record(&mut bytes);
    }
    bytes
}

/// Takes answers in as the firmware writes them.
struct Sink<'s, 'j> {
    listener: &'s mut Listener<'j>,
    observer: &'s mut dyn FnMut(Event),
}

impl Write for Sink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.listener
            .take(bytes, self.observer)
            .map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn run_here(
    board: &Board,
    job: &Job,
    observer: &mut dyn FnMut(Event),
) -> Result<Vec<Answer>, BoardError> {
    let mut listener = Listener::new(&job.steps);
    let (requests, _) = requests(job);
    let recording = recording(job);
    let process = Process {
        name: board.name.clone(),
        model: AlignedBytes::from(job.model.as_slice()),
        camera: StreamCamera::new((!job.frames.is_empty()).then(|| Cursor::new(recording))),
        link: Streams {
            requests: Cursor::new(requests),
            responses: Sink {
                listener: &mut listener,
                observer,
            },
        },
    };
    let served = process.serve(job.isa.unwrap_or_else(best));
    served.map_err(|error| BoardError::Serve {
        board: board.name.clone(),
        error,
    })?;
    Ok(listener.into_answers())
}

fn run_emulated(
    host: &Host,
    board: &Board,
    emulator: &EmulatorFile,
    image: &Image,
    job: &Job,
    observer: &mut dyn FnMut(Event),
) -> Result<Vec<Answer>, BoardError> {
    let folder = tempfile::Builder::new()
        .prefix("ocellus-")
        .tempdir()
        .map_err(BoardError::io(std::env::temp_dir()))?;
    let folder = folder.path();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(BoardError::io(path))
    };
    let (requests, asked) = requests(job);
    write("requests", &requests)?;
    write("responses", &[])?;
    write("model.oce", &job.model)?;
    if !job.frames.is_empty() {
        write("frames", &recording(job))?;
    }
    let arguments = match emulator.kind {
        EmulatorKind::System => machine_arguments(board, emulator, image, job)?,
        EmulatorKind::User => process_arguments(board, emulator, image, job),
        _ => {
            return Err(BoardError::NoImage {
                board: board.name.clone(),
            });
        }
    };
    let emulator = Emulator::start(host, &emulator.program, &arguments, folder)?;
    listen(
        board,
        emulator,
        job,
        asked,
        &folder.join("responses"),
        observer,
    )
}

/// For a whole machine: model and image in its memory, files by semihosting.
fn machine_arguments(
    board: &Board,
    emulator: &EmulatorFile,
    image: &Image,
    job: &Job,
) -> Result<Vec<String>, BoardError> {
    let mut arguments = emulator.base_args();
    let mut semihosting = "enable=on,target=native,arg=requests,arg=responses".to_owned();
    if !job.frames.is_empty() {
        semihosting.push_str(",arg=frames");
    }
    arguments.extend(["-serial".to_owned(), "null".to_owned()]);
    arguments.extend(["-semihosting-config".to_owned(), semihosting]);
    arguments.extend(["-kernel".to_owned(), image.elf.display().to_string()]);
    if !job.model.is_empty()
        && let Some(place) = model_place(board, job.model.len() as u64)?
    {
        let loader = format!(
            "loader,file=model.oce,addr={:#x},force-raw=on",
            place.address
        );
        arguments.extend(["-device".to_owned(), loader]);
    }
    if let Some(plugin) = &job.plugin {
        arguments.extend(["-plugin".to_owned(), plugin.clone()]);
    }
    Ok(arguments)
}

/// For a process: files by name.
fn process_arguments(
    board: &Board,
    emulator: &EmulatorFile,
    image: &Image,
    job: &Job,
) -> Vec<String> {
    let mut arguments = emulator.base_args();
    if let Some(plugin) = &job.plugin {
        arguments.extend(["-plugin".to_owned(), plugin.clone()]);
    }
    arguments.push(image.elf.display().to_string());
    let mut option =
        |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
    option("--name", &board.name);
    option("--requests", "requests");
    option("--responses", "responses");
    option("--model", "model.oce");
    if !job.frames.is_empty() {
        option("--frames", "frames");
    }
    if let Some(isa) = job.isa {
        option("--isa", isa.name());
    }
    arguments
}

/// Reads the answers while the emulator runs.
fn listen(
    board: &Board,
    mut emulator: Emulator,
    job: &Job,
    asked: usize,
    responses: &Path,
    observer: &mut dyn FnMut(Event),
) -> Result<Vec<Answer>, BoardError> {
    let mut file = File::open(responses).map_err(BoardError::io(responses))?;
    let mut listener = Listener::new(&job.steps);
    let mut chunk = vec![0; 64 << 10];
    let mut last_heard = Instant::now();
    loop {
        // Asked before reading: what an emulator wrote before its end is then read for sure.
        let ended = emulator.ended()?;
        let len = file.read(&mut chunk).map_err(BoardError::io(responses))?;
        listener
            .take(&chunk[..len], observer)
            .map_err(|error| BoardError::Frame {
                board: board.name.clone(),
                error,
            })?;
        if len > 0 {
            last_heard = Instant::now();
            continue;
        }
        let answered = listener.requests_answered();
        match ended {
            Some(status) if status.success() && listener.is_complete() => {
                return Ok(listener.into_answers());
            }
            Some(status) => {
                return Err(BoardError::Died {
                    board: board.name.clone(),
                    program: emulator.program.clone(),
                    status: status.to_string(),
                    answered,
                    asked,
                    console: emulator.console(),
                });
            }
            None if last_heard.elapsed() > job.patience => {
                return Err(BoardError::Silent {
                    board: board.name.clone(),
                    seconds: job.patience.as_secs(),
                    answered,
                    asked,
                    console: emulator.console(),
                });
            }
            None => std::thread::sleep(POLL),
        }
    }
}
