//! The firmware on emulated Cortex-M machines: no operating system, no heap, nothing that can panic.
#![no_std]
#![no_main]

mod board;
mod memory;
mod semihosting;
mod startup;

use core::panic::PanicInfo;

/// What the emulator ends with.
mod exit_code {
    pub(crate) const SERVED: u32 = 0;
    /// The command line names no files, or they cannot be opened.
    pub(crate) const NO_LINK: u32 = 2;
    /// Reading or writing a file failed.
    pub(crate) const LINK: u32 = 3;
    /// The core took a fault; the console says which.
    pub(crate) const FAULT: u32 = 4;
    /// Unreachable, and shown to be by the test that finds no panicking code in the image.
    pub(crate) const PANIC: u32 = 5;
}

/// Called by reset, once.
extern "C" fn main() -> ! {
    startup::guard_stack();
    let mut buffer = [0; 512];
    let command_line = semihosting::command_line(&mut buffer).unwrap_or_default();
    // SAFETY: reset calls `main` once.
    let Some(mut board) = (unsafe { board::Emulated::open(command_line) }) else {
        semihosting::say(
            b"the command line must name a file of requests and one for responses\n\0",
        );
        semihosting::exit(exit_code::NO_LINK);
    };
    let operators = include!(concat!(env!("OUT_DIR"), "/operators.rs"));
    #[cfg(not(feature = "signed"))]
    let served = ocellus_app::serve(&mut board, &operators);
    #[cfg(feature = "signed")]
    let served = ocellus_app::serve_signed(
        &mut board,
        &operators,
        &include!(concat!(env!("OUT_DIR"), "/signer.rs")),
    );
    let code = match served {
        Ok(()) => exit_code::SERVED,
        Err(_) => exit_code::LINK,
    };
    semihosting::exit(code)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    semihosting::say(b"panic\n\0");
    semihosting::exit(exit_code::PANIC)
}
