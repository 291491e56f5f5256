//! Time.

/// What measures time on a board. A board leaves `None` what it cannot measure; nothing is ever guessed.
///
/// # For driver authors
/// - Both counts **must not** run backwards, and **may** start anywhere.
/// - Reading **must** take few instructions: it brackets an inference.
pub trait Clock {
    /// Microseconds.
    fn now_us(&mut self) -> Option<u64> {
        None
    }

    /// Cycles of the core.
    fn now_cycles(&mut self) -> Option<u64> {
        None
    }
}

/// The clock of a board without one. An emulator's idea of time says nothing about a chip.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClock;

impl Clock for NoClock {}
