//! Memories that a board lends to the firmware.

/// Most slots of one role. The board file's check holds boards to it.
pub const MAX_SLOTS: usize = 8;

/// A piece of a memory.
#[derive(Debug)]
pub struct Memory<'m> {
    /// Name of the region that it lies in, as the board file has it.
    pub region: &'m str,
    /// The piece.
    pub bytes: &'m mut [u8],
}

/// Memories in order of preference; unused places are `None`.
pub type MemorySlots<'m> = [Option<Memory<'m>>; MAX_SLOTS];

/// Where a model file may lie; unused places are `None`.
pub type ModelSlots<'m> = [Option<&'m [u8]>; MAX_SLOTS];

/// What the firmware itself has used. `None` where an operating system keeps the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Set aside for the stack.
    pub stack_bytes: Option<u32>,
    /// Most of it ever used.
    pub stack_used_bytes: Option<u32>,
    /// Variables outside stack, arena and frames.
    pub statics_bytes: Option<u32>,
}
