//! Hint instructions that bracket what is measured: no operations on hardware, landmarks for a counter.
//!
//! | | Thumb | AArch64 |
//! | --- | --- | --- |
//! | inference | `.inst.w 0xf3af8040`, `0xf3af8050` | `hint #0x40`, `hint #0x50` |
//! | layer, in profiling images | `8041`, `8051` | `#0x41`, `#0x51` |
//! | load | `8042`, `8052` | `#0x42`, `#0x52` |
//! | verify | `8043`, `8053` | `#0x43`, `#0x53` |

// Markers are instructions; there is no safe way to write one.
#![allow(unsafe_code)]

macro_rules! marker {
    ($(#[$doc:meta])* $name:ident, $thumb:literal, $aarch64:literal) => {
        $(#[$doc])*
        #[inline(never)]
        pub fn $name() {
            #[cfg(target_arch = "arm")]
            // SAFETY: an unallocated hint is a no operation on every Armv7-M and Armv8-M core. Without `nomem`, no memory access moves across it.
            unsafe {
                core::arch::asm!($thumb, options(nostack, preserves_flags));
            }
            #[cfg(target_arch = "aarch64")]
            // SAFETY: an unallocated hint is a no operation on every Armv8-A core. Without `nomem`, no memory access moves across it.
            unsafe {
                core::arch::asm!($aarch64, options(nostack, preserves_flags));
            }
        }
    };
}

marker!(
    /// An inference begins.
    begin_inference, ".inst.w 0xf3af8040", "hint #0x40"
);
marker!(
    /// An inference has ended.
    end_inference, ".inst.w 0xf3af8050", "hint #0x50"
);
marker!(
    /// An operator begins.
    begin_layer, ".inst.w 0xf3af8041", "hint #0x41"
);
marker!(
    /// An operator has ended.
    end_layer, ".inst.w 0xf3af8051", "hint #0x51"
);
marker!(
    /// Loading begins.
    begin_load, ".inst.w 0xf3af8042", "hint #0x42"
);
marker!(
    /// Loading has ended.
    end_load, ".inst.w 0xf3af8052", "hint #0x52"
);
marker!(
    /// Checking the digest begins.
    begin_verify, ".inst.w 0xf3af8043", "hint #0x43"
);
marker!(
    /// Checking the digest has ended.
    end_verify, ".inst.w 0xf3af8053", "hint #0x53"
);
