//! Calls to the emulator, as Arm's semihosting specification has them.

use core::arch::asm;

/// Operation numbers.
mod op {
    pub(super) const OPEN: u32 = 0x01;
    pub(super) const WRITE0: u32 = 0x04;
    pub(super) const WRITE: u32 = 0x05;
    pub(super) const READ: u32 = 0x06;
    pub(super) const GET_CMDLINE: u32 = 0x15;
    pub(super) const EXIT_EXTENDED: u32 = 0x20;
}

/// What an open file is for.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Mode {
    /// `rb`
    Read = 1,
    /// `wb`
    Write = 5,
}

/// An argument of a call; pointers travel as numbers.
fn call(op: u32, block: &mut [u32]) -> u32 {
    let mut result = op;
    // SAFETY: the emulator reads and writes the parameter block, which is borrowed for the call, and the memory that its
    // words point to, for which the functions below hand in borrowed slices. Other registers are left alone.
    unsafe { asm!("bkpt 0xab", inout("r0") result, in("r1") block.as_mut_ptr()) };
    result
}

/// A file on the PC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File(u32);

impl File {
    /// Opens a file. `path` ends in a zero byte.
    pub(crate) fn open(path: &[u8], mode: Mode) -> Option<File> {
        let len = path.split_last().filter(|(last, _)| **last == 0)?.1.len();
        let handle = call(
            op::OPEN,
            &mut [path.as_ptr().addr() as u32, mode as u32, len as u32],
        );
        (handle != u32::MAX).then_some(File(handle))
    }

    /// Reads up to `buffer`'s length; 0 at the end.
    pub(crate) fn read(self, buffer: &mut [u8]) -> Option<usize> {
        let missing = call(
            op::READ,
            &mut [
                self.0,
                buffer.as_mut_ptr().expose_provenance() as u32,
                buffer.len() as u32,
            ],
        );
        buffer.len().checked_sub(missing as usize)
    }

    /// Fills `buffer`; false where the file ends before.
    pub(crate) fn read_exact(self, buffer: &mut [u8]) -> bool {
        let mut rest = buffer;
        while !rest.is_empty() {
            match self.read(rest) {
                Some(len) if len > 0 => rest = rest.get_mut(len..).unwrap_or_default(),
                _ => return false,
            }
        }
        true
    }

    /// Writes all of `bytes`.
    pub(crate) fn write_all(self, bytes: &[u8]) -> bool {
        call(
            op::WRITE,
            &mut [
                self.0,
                bytes.as_ptr().expose_provenance() as u32,
                bytes.len() as u32,
            ],
        ) == 0
    }
}

/// The command line, without a zero at its end; `None` where it does not fit.
pub(crate) fn command_line(buffer: &mut [u8]) -> Option<&mut [u8]> {
    let mut block = [
        buffer.as_mut_ptr().expose_provenance() as u32,
        buffer.len() as u32,
    ];
    if call(op::GET_CMDLINE, &mut block) != 0 {
        return None;
    }
    buffer.get_mut(..block[1] as usize)
}

/// Shows a text on the emulator's console. `text` ends in a zero byte.
pub(crate) fn say(text: &[u8]) {
    if text.last() == Some(&0) {
        let mut result = op::WRITE0;
        // SAFETY: the emulator reads up to the zero, which the slice holds.
        unsafe { asm!("bkpt 0xab", inout("r0") result, in("r1") text.as_ptr()) };
        let _ = result;
    }
}

/// Ends the emulator with an exit code.
pub(crate) fn exit(code: u32) -> ! {
    /// `ADP_Stopped_ApplicationExit`: the second word is the exit code.
    const APPLICATION_EXIT: u32 = 0x2_0026;
    loop {
        call(op::EXIT_EXTENDED, &mut [APPLICATION_EXIT, code]);
    }
}
