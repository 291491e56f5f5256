//! What a board gives the firmware: camera, clock, model slots, memories, link.
//!
//! The firmware (`ocellus-app`) is written against these traits and knows no chip. A board is a value of a type that implements
//! [`Board`]; a chip family's crate makes it from a board data file.
//!
//! # For board authors
//!
//! - A board **must** hand out memories that nothing else uses: not the stack, not statics, not the model slots.
//! - A board **must** name memories in order of preference: the firmware takes the first that is large enough, for each part of an arena.
//! - A board **may** leave out what it does not have: [`NoCamera`], [`NoClock`], no arena slots at all.
//! - A board **must not** start a conversation: the PC asks, the firmware answers.
//!
//! # For driver authors
//!
//! [`Camera`], [`Clock`] and [`Link`] say for each side what it must and must not do. [`Recorder`] and [`FaultInjector`] wrap any camera, to
//! observe it or to hurt it.
#![no_std]
#![forbid(unsafe_code)]

mod camera;
mod clock;
mod link;
mod memory;
mod wrap;

pub use camera::{Camera, CameraError, FrameInfo, NoCamera, PixelFormat};
pub use clock::{Clock, NoClock};
pub use link::{Link, LinkError};
pub use memory::{MAX_SLOTS, Memory, MemorySlots, MemoryUse, ModelSlots};
pub use wrap::{Fault, FaultInjector, Recorder, Recording};

use ocellus_kernels::Kernels;

/// Everything that the firmware needs of a board.
pub trait Board {
    /// The instruction set of the board's kernels.
    type Kernels: Kernels;
    /// Where frames come from.
    type Camera: Camera;
    /// What measures time.
    type Clock: Clock;
    /// Where requests come from and answers go.
    type Link: Link;

    /// The name that `--board` takes.
    fn name(&self) -> &str;

    /// The instruction set's token: having it proves that the board has the instructions.
    fn kernels(&self) -> Self::Kernels;

    /// Takes the board apart, so that the firmware can use the link while the arena is lent to the engine.
    fn parts(&mut self) -> Parts<'_, Self::Camera, Self::Clock, Self::Link>;
}

/// A board taken apart.
#[derive(Debug)]
pub struct Parts<'b, C, T, L> {
    /// The board's name.
    pub name: &'b str,
    /// Where frames come from.
    pub camera: &'b mut C,
    /// What measures time.
    pub clock: &'b mut T,
    /// Where requests come from and answers go.
    pub link: &'b mut L,
    /// Where a model file may lie. The firmware takes the first that holds one.
    pub models: ModelSlots<'b>,
    /// Memories for the engine's arena, in order of preference, each at a multiple of 16.
    pub arenas: MemorySlots<'b>,
    /// Memories for camera frames, in order of preference.
    pub frames: MemorySlots<'b>,
    /// Asks what the firmware has used so far.
    pub memory_use: fn() -> MemoryUse,
}
