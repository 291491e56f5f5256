//! The firmware where there is an operating system: one process, files or memory for the link.
//!
//! The same conversation as on a chip ([`ocellus_app::serve`]), with the best instruction set that the machine has or the one asked for. Tests run it
//! in their own process.
#![forbid(unsafe_code)]

mod camera;

pub use camera::StreamCamera;

use std::io::{Read, Write};
use std::time::Instant;

use ocellus::OpTable;
use ocellus::format::{Isa, ModelView};
use ocellus::kernels::{Kernels, WithKernels, dispatch};
use ocellus_board_api::{
    Board, Camera, Clock, Link, LinkError, MAX_SLOTS, Memory, MemorySlots, MemoryUse, ModelSlots,
    Parts,
};
use ocellus_format::AlignedBytes;

/// Bytes of a camera frame that the process holds at most: 16,384 by 1,365 pixels in colour.
const FRAME_BYTES: usize = 64 << 20;

/// Bytes of arena that the kernels' cases run in, where no model is loaded.
const CASES_ARENA_BYTES: usize = 256 << 10;

/// A process as a board.
#[derive(Debug)]
pub struct Process<C, L> {
    /// The name that `--board` takes.
    pub name: String,
    /// The model file.
    pub model: AlignedBytes,
    /// Where frames come from.
    pub camera: C,
    /// Where requests come from and answers go.
    pub link: L,
}

impl<C: Camera, L: Link> Process<C, L> {
    /// Serves one conversation.
    ///
    /// # Errors
    /// - [`ServeError::Isa`]: the machine does not have the instruction set
    /// - [`ServeError::Link`]: the link failed
    pub fn serve(self, isa: Isa) -> Result<(), ServeError> {
        let served = dispatch(isa, self).ok_or(ServeError::Isa(isa))?;
        served.map_err(ServeError::Link)
    }
}

/// Why a conversation did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServeError {
    /// The machine does not have the instruction set; choose another.
    Isa(Isa),
    /// The link failed.
    Link(LinkError),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServeError::Isa(isa) => write!(
                f,
                "this machine does not have the instruction set {}",
                isa.name()
            ),
            ServeError::Link(LinkError::Closed) => f.write_str("the link was closed"),
            ServeError::Link(_) => f.write_str("the link cannot be read or written"),
        }
    }
}

impl std::error::Error for ServeError {}

impl<C: Camera, L: Link> WithKernels for Process<C, L> {
    type Output = Result<(), LinkError>;

    fn run<K: Kernels>(self, kernels: K) -> Result<(), LinkError> {
        // A file that is no model gets no arena; loading it says why.
        let mut arena_bytes = ModelView::new_checked(&self.model)
            .map_or(0, |view| view.program().arena_bytes as usize);
        if cfg!(feature = "conformance") {
            arena_bytes = arena_bytes.max(CASES_ARENA_BYTES);
        }
        let mut board = Running {
            kernels,
            clock: ProcessClock {
                start: Instant::now(),
            },
            arena: AlignedBytes::from(vec![0; arena_bytes].as_slice()),
            frame: vec![0; FRAME_BYTES],
            process: self,
        };
        ocellus_app::serve(&mut board, &OpTable::ALL)
    }
}

/// A process with its kernels.
struct Running<K, C, L> {
    process: Process<C, L>,
    kernels: K,
    clock: ProcessClock,
    arena: AlignedBytes,
    frame: Vec<u8>,
}

impl<K: Kernels, C: Camera, L: Link> Board for Running<K, C, L> {
    type Kernels = K;
    type Camera = C;
    type Clock = ProcessClock;
    type Link = L;

    fn name(&self) -> &str {
        &self.process.name
    }

    fn kernels(&self) -> K {
        self.kernels
    }

    fn parts(&mut self) -> Parts<'_, C, ProcessClock, L> {
        let mut models: ModelSlots<'_> = [None; MAX_SLOTS];
        models[0] = Some(&self.process.model);
        let mut arenas: MemorySlots<'_> = [const { None }; MAX_SLOTS];
        arenas[0] = Some(Memory {
            region: "heap",
            bytes: &mut self.arena,
        });
        let mut frames: MemorySlots<'_> = [const { None }; MAX_SLOTS];
        frames[0] = Some(Memory {
            region: "heap",
            bytes: &mut self.frame,
        });
        Parts {
            name: &self.process.name,
            camera: &mut self.process.camera,
            clock: &mut self.clock,
            link: &mut self.process.link,
            models,
            arenas,
            frames,
            memory_use: MemoryUse::default,
        }
    }
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug)]
pub struct ProcessClock {
    start: Instant,
}

impl Clock for ProcessClock {
    fn now_us(&mut self) -> Option<u64> {
        u64::try_from(self.start.elapsed().as_micros()).ok()
    }
}

/// A link over anything that reads and anything that writes.
#[derive(Debug)]
pub struct Streams<R, W> {
    /// Requests.
    pub requests: R,
    /// Responses; flushed after each message's last byte by being unbuffered.
    pub responses: W,
}

impl<R: Read, W: Write> Link for Streams<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LinkError> {
        self.requests.read(buffer).map_err(|_| LinkError::Device)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.responses
            .write_all(bytes)
            .map_err(|_| LinkError::Device)
    }
}
