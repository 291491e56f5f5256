//! The emulated board: memories from its data file, link and camera over semihosting.

use ocellus_board_api::{
    Board, Camera, CameraError, FrameInfo, Link, LinkError, MAX_SLOTS, Memory, MemorySlots,
    ModelSlots, NoClock, Parts,
};
use ocellus_kernels::{DEVICE, Device};

use crate::semihosting::{File, Mode};
use crate::startup;

/// A piece of the board's memory.
struct Slot {
    region: &'static str,
    origin: usize,
    len: usize,
}

include!(concat!(env!("OUT_DIR"), "/slots.rs"));

/// Both directions of the link: a file of requests, a file of responses.
#[derive(Debug)]
pub(crate) struct Files {
    requests: File,
    responses: File,
}

impl Link for Files {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LinkError> {
        self.requests.read(buffer).ok_or(LinkError::Device)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if self.responses.write_all(bytes) {
            Ok(())
        } else {
            Err(LinkError::Device)
        }
    }
}

/// A camera whose frames are those of a file, one after the other.
#[derive(Debug)]
pub(crate) struct FileCamera {
    frames: Option<File>,
    /// The header already read.
    next: Option<FrameInfo>,
}

impl Camera for FileCamera {
    fn next_frame(&mut self) -> Result<FrameInfo, CameraError> {
        if let Some(info) = self.next {
            return Ok(info);
        }
        let file = self.frames.ok_or(CameraError::Absent)?;
        let mut header = [0; FrameInfo::HEADER_BYTES];
        if !file.read_exact(&mut header) {
            return Err(CameraError::Ended);
        }
        let info = FrameInfo::from_header(&header).ok_or(CameraError::Damaged)?;
        self.next = Some(info);
        Ok(info)
    }

    fn capture(&mut self, buffer: &mut [u8]) -> Result<FrameInfo, CameraError> {
        let info = self.next_frame()?;
        let needed_bytes = info.len_bytes().ok_or(CameraError::Damaged)?;
        let buffer = buffer
            .get_mut(..needed_bytes as usize)
            .ok_or(CameraError::BufferTooSmall { needed_bytes })?;
        let file = self.frames.ok_or(CameraError::Absent)?;
        self.next = None;
        if file.read_exact(buffer) {
            Ok(info)
        } else {
            Err(CameraError::Damaged)
        }
    }
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Emulated {
    link: Files,
    camera: FileCamera,
    clock: NoClock,
    arenas: MemorySlots<'static>,
    frames: MemorySlots<'static>,
}

impl Emulated {
    /// Opens the files that the command line names: requests, responses and, if there is a third, frames.
    ///
    /// # Safety
    /// Called once: it hands out the memories of the board.
    pub(crate) unsafe fn open(command_line: &mut [u8]) -> Option<Emulated> {
        let mut paths = command_line
            .split(|&b| b == b' ' || b == 0)
            .filter(|path| !path.is_empty());
        let mut path = [0; 256];
        let mut open = |mode| File::open(terminated(paths.next()?, &mut path)?, mode);
        let requests = open(Mode::Read)?;
        let responses = open(Mode::Write)?;
        let frames = open(Mode::Read);
        // SAFETY: the caller's promise; slots of one board do not overlap, which the board file's check has shown, and
        // the linker script uses none of these.
        let (arenas, frame_slots) = unsafe { (lend(&ARENAS), lend(&FRAMES)) };
        Some(Emulated {
            link: Files {
                requests,
                responses,
            },
            camera: FileCamera { frames, next: None },
            clock: NoClock,
            arenas,
            frames: frame_slots,
        })
    }
}

/// `path` with a zero behind.
fn terminated<'b>(path: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let terminated = buffer.get_mut(..=path.len())?;
    for (to, from) in terminated.iter_mut().zip(path.iter().chain(&[0])) {
        *to = *from;
    }
    Some(terminated)
}

/// # Safety
/// Called once for a list of slots that are memory, do not overlap and that nothing else uses.
unsafe fn lend(slots: &[Slot]) -> MemorySlots<'static> {
    let mut memories = [const { None }; MAX_SLOTS];
    for (memory, slot) in memories.iter_mut().zip(slots) {
        let start = core::ptr::with_exposed_provenance_mut(slot.origin);
        // SAFETY: the caller's promise.
        let bytes = unsafe { core::slice::from_raw_parts_mut(start, slot.len) };
        *memory = Some(Memory {
            region: slot.region,
            bytes,
        });
    }
    memories
}

/// A shorter loan of the same memories.
fn reborrow<'b>(memories: &'b mut MemorySlots<'static>) -> MemorySlots<'b> {
    let mut lent = [const { None }; MAX_SLOTS];
    for (to, from) in lent.iter_mut().zip(memories) {
        *to = from.as_mut().map(|memory| Memory {
            region: memory.region,
            bytes: &mut *memory.bytes,
        });
    }
    lent
}

impl Board for Emulated {
    type Kernels = Device;
    type Camera = FileCamera;
    type Clock = NoClock;
    type Link = Files;

    fn name(&self) -> &str {
        NAME
    }

    fn kernels(&self) -> Device {
        DEVICE
    }

    fn parts(&mut self) -> Parts<'_, FileCamera, NoClock, Files> {
        let mut models: ModelSlots<'_> = [None; MAX_SLOTS];
        for (model, slot) in models.iter_mut().zip(&MODELS) {
            let start = core::ptr::with_exposed_provenance(slot.origin);
            // SAFETY: memory of the board that nothing writes while the machine runs.
            *model = Some(unsafe { core::slice::from_raw_parts(start, slot.len) });
        }
        Parts {
            name: NAME,
            camera: &mut self.camera,
            clock: &mut self.clock,
            link: &mut self.link,
            models,
            arenas: reborrow(&mut self.arenas),
            frames: reborrow(&mut self.frames),
            memory_use: startup::memory_use,
        }
    }
}
