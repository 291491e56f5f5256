//! Vector table, reset and faults.
//!
//! Reset turns the floating-point unit (and with it Helium) on, paints the stack so that its deepest use shows, sets the stack's limit where the
//! core has one, copies `.data`, clears `.bss` and calls `main`. No interrupt is ever enabled.

use core::arch::global_asm;

use ocellus_board_api::MemoryUse;

use crate::semihosting;

/// What reset fills the stack with.
const PAINT: u32 = 0xC0DE_57AC;

global_asm!(
    ".section .vectors, \"a\"",
    ".p2align 7",
    ".word __stack_top",
    ".word ocellus_reset",
    ".rept 14",
    ".word ocellus_fault",
    ".endr",
    ".section .text.ocellus_reset, \"ax\"",
    ".global ocellus_reset",
    ".type ocellus_reset, %function",
    ".thumb_func",
    "ocellus_reset:",
    // CPACR: full access to coprocessors 10 and 11.
    "ldr r0, =0xE000ED88",
    "ldr r1, [r0]",
    "orr r1, r1, #0x00F00000",
    "str r1, [r0]",
    "dsb",
    "isb",
    "ldr r0, =__stack_low",
    "ldr r1, =__stack_top",
    "ldr r2, ={paint}",
    "1: str r2, [r0], #4",
    "cmp r0, r1",
    "bne 1b",
    "ldr r0, =__data_start",
    "ldr r1, =__data_end",
    "ldr r2, =__data_load",
    "2: cmp r0, r1",
    "ittt ne",
    "ldrne r3, [r2], #4",
    "strne r3, [r0], #4",
    "bne 2b",
    "ldr r0, =__bss_start",
    "ldr r1, =__bss_end",
    "movs r2, #0",
    "3: cmp r0, r1",
    "itt ne",
    "strne r2, [r0], #4",
    "bne 3b",
    "bl {main}",
    "udf #0",
    ".size ocellus_reset, . - ocellus_reset",
    ".section .text.ocellus_fault, \"ax\"",
    ".type ocellus_fault, %function",
    ".thumb_func",
    "ocellus_fault:",
    "mrs r0, ipsr",
    "mov r1, sp",
    // The fault may be an overflow of the stack: begin it anew.
    "ldr r2, =__stack_top",
    "mov sp, r2",
    "bl {fault}",
    ".size ocellus_fault, . - ocellus_fault",
    paint = const PAINT,
    main = sym crate::main,
    fault = sym report_fault,
);

#[cfg(ocellus_stack_limit)]
global_asm!(
    ".section .text.ocellus_set_stack_limit, \"ax\"",
    ".global ocellus_set_stack_limit",
    ".type ocellus_set_stack_limit, %function",
    ".thumb_func",
    "ocellus_set_stack_limit:",
    "ldr r0, =__stack_low",
    "msr msplim, r0",
    "bx lr",
);

unsafe extern "C" {
    static __stack_low: u32;
    static __stack_top: u32;
    static __data_start: u32;
    static __bss_end: u32;
    #[cfg(ocellus_stack_limit)]
    fn ocellus_set_stack_limit();
}

/// From here on an overflow of the stack faults, on cores that can watch it.
pub(crate) fn guard_stack() {
    #[cfg(ocellus_stack_limit)]
    // SAFETY: the limit is the stack's own lower end, and the stack pointer is above it.
    unsafe {
        ocellus_set_stack_limit();
    }
}

/// Stack and statics of this image.
pub(crate) fn memory_use() -> MemoryUse {
    let low = (&raw const __stack_low).addr();
    let top = (&raw const __stack_top).addr();
    let mut at = low;
    while at < top {
        // SAFETY: the word lies inside the stack, which is ordinary memory; parts of it may change, hence volatile.
        let word = unsafe { core::ptr::with_exposed_provenance::<u32>(at).read_volatile() };
        if word != PAINT {
            break;
        }
        at += 4;
    }
    let statics = (&raw const __bss_end)
        .addr()
        .saturating_sub((&raw const __data_start).addr());
    MemoryUse {
        stack_bytes: Some(top.saturating_sub(low) as u32),
        stack_used_bytes: Some(top.saturating_sub(at) as u32),
        statics_bytes: Some(statics as u32),
    }
}

/// Says on the console what happened, and ends the emulator.
extern "C" fn report_fault(exception: u32, frame: usize) -> ! {
    /// Configurable and hard fault status.
    const CFSR: usize = 0xE000_ED28;
    const HFSR: usize = 0xE000_ED2C;
    /// Where an exception frame holds the program counter.
    const FRAME_PC: usize = 24;
    let low = (&raw const __stack_low).addr();
    let top = (&raw const __stack_top).addr();
    // A frame outside the stack is none: reading it would fault again.
    let pc_at = if frame >= low && frame < top.saturating_sub(FRAME_PC + 4) {
        Some(frame + FRAME_PC)
    } else {
        None
    };
    semihosting::say(b"fault: exception \0");
    say_hex(exception);
    semihosting::say(b" at \0");
    // SAFETY: aligned and inside the stack, as just shown.
    say_hex(pc_at.map_or(u32::MAX, |at| unsafe {
        core::ptr::with_exposed_provenance::<u32>(at).read_volatile()
    }));
    semihosting::say(b", CFSR \0");
    // SAFETY: a register that every Armv7-M and Armv8-M core with this vector table has.
    say_hex(unsafe { core::ptr::with_exposed_provenance::<u32>(CFSR).read_volatile() });
    semihosting::say(b", HFSR \0");
    // SAFETY: as above.
    say_hex(unsafe { core::ptr::with_exposed_provenance::<u32>(HFSR).read_volatile() });
    semihosting::say(b"\n\0");
    semihosting::exit(crate::exit_code::FAULT)
}

fn say_hex(value: u32) {
    let mut text = *b"00000000\0";
    for (digit, shift) in text.iter_mut().zip((0..8).rev().map(|n| n * 4)) {
        let nibble = ((value >> shift) & 15) as u8;
        *digit = if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        };
    }
    semihosting::say(&text);
}
