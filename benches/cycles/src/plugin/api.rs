//! The part of QEMU's plugin interface, version 1, that is needed here.
//!
//! The functions live in the QEMU executable. They are looked up by name when the plugin is
//! installed rather than linked, because the same crate is also linked into tools that are no QEMU.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// A block being translated; valid during the callback that hands it over.
pub(super) enum Block {}
/// An instruction of a block; as short-lived.
pub(super) enum Instruction {}

/// QEMU's number for this plugin.
pub(super) type Id = u64;
/// Called when a block is translated.
pub(super) type OnTranslate = extern "C" fn(Id, *mut Block);
/// Called when an instruction is about to be executed, with the pointer given at registration.
pub(super) type OnExecute = extern "C" fn(c_uint, *mut c_void);
/// Called when QEMU exits.
pub(super) type OnExit = extern "C" fn(Id, *mut c_void);

/// The callback reads no guest registers.
const NO_REGISTERS: c_int = 0;
/// The inline operation: add to a `u64` in memory.
const ADD_U64: c_int = 0;

/// What QEMU says about itself; the fields after these are not needed.
#[repr(C)]
pub(super) struct Info {
    pub(super) target_name: *const c_char,
    pub(super) version_min: c_int,
    pub(super) version_current: c_int,
    pub(super) system_emulation: bool,
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Declares [`Api`]: a field per function of QEMU, each filled by name.
macro_rules! api {
    ($($field:ident = $name:literal: $type:ty,)+) => {
        /// QEMU's functions.
        pub(super) struct Api {
            $($field: $type,)+
        }

        impl Api {
            /// Finds the functions in the running executable; the name of the missing one if that is no QEMU.
            pub(super) fn find() -> Result<Api, &'static CStr> {
                Ok(Api {
                    $($field: {
                        // SAFETY: a null handle means the default search order on Linux; the name is a C string.
                        let found = unsafe { dlsym(std::ptr::null_mut(), $name.as_ptr()) };
                        if found.is_null() {
                            return Err($name);
                        }
                        // SAFETY: QEMU's plugin interface, version 1, gives the function of this name this signature.
                        unsafe { std::mem::transmute::<*mut c_void, $type>(found) }
                    },)+
                })
            }
        }
    };
}

api! {
    register_translate = c"qemu_plugin_register_vcpu_tb_trans_cb": extern "C" fn(Id, OnTranslate),
    register_exit = c"qemu_plugin_register_atexit_cb": extern "C" fn(Id, OnExit, *mut c_void),
    register_execute = c"qemu_plugin_register_vcpu_insn_exec_cb":
        unsafe extern "C" fn(*mut Instruction, OnExecute, c_int, *mut c_void),
    register_inline = c"qemu_plugin_register_vcpu_insn_exec_inline":
        unsafe extern "C" fn(*mut Instruction, c_int, *mut c_void, u64),
    block_len = c"qemu_plugin_tb_n_insns": unsafe extern "C" fn(*const Block) -> usize,
    block_insn = c"qemu_plugin_tb_get_insn": unsafe extern "C" fn(*const Block, usize) -> *mut Instruction,
    insn_data = c"qemu_plugin_insn_data": unsafe extern "C" fn(*const Instruction) -> *const u8,
    insn_size = c"qemu_plugin_insn_size": unsafe extern "C" fn(*const Instruction) -> usize,
    insn_address = c"qemu_plugin_insn_vaddr": unsafe extern "C" fn(*const Instruction) -> u64,
}

/// An instruction under translation.
#[derive(Clone, Copy)]
pub(super) struct InsnRef<'a> {
    api: &'a Api,
    insn: *mut Instruction,
}

impl Api {
    /// Asks for a call per translated block, and one at exit.
    pub(super) fn register(&self, id: Id, translate: OnTranslate, exit: OnExit) {
        (self.register_translate)(id, translate);
        (self.register_exit)(id, exit, std::ptr::null_mut());
    }

    /// The instructions of a block.
    ///
    /// # Safety
    /// - `block` is what QEMU handed to the translation callback that is still running.
    /// - The instructions are not used after it returns.
    pub(super) unsafe fn insns(&self, block: *mut Block) -> Vec<InsnRef<'_>> {
        // SAFETY: the block is live, by this function's contract.
        let count = unsafe { (self.block_len)(block) };
        (0..count)
            .map(|index| {
                // SAFETY: likewise, and the index is below the count.
                let insn = unsafe { (self.block_insn)(block, index) };
                InsnRef { api: self, insn }
            })
            .collect()
    }
}

impl InsnRef<'_> {
    /// Its address.
    pub(super) fn address(self) -> u64 {
        // SAFETY: `Api::insns` is the only maker, and its contract keeps the instruction live.
        unsafe { (self.api.insn_address)(self.insn) }
    }

    /// Its bytes, in memory order. QEMU may append bytes that it peeked at; never fewer than the instruction.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the instruction is live, as above.
        let (data, len) = unsafe {
            (
                (self.api.insn_data)(self.insn),
                (self.api.insn_size)(self.insn),
            )
        };
        if data.is_null() {
            return &[];
        }
        // SAFETY: QEMU keeps `len` bytes at `data` as long as the instruction lives, which outlives `self`.
        unsafe { std::slice::from_raw_parts(data, len) }
    }

    /// Calls `callback` with `data` before each execution.
    pub(super) fn on_execute<T: Sync>(self, callback: OnExecute, data: &'static T) {
        let data = std::ptr::from_ref(data).cast_mut().cast();
        // SAFETY: the instruction is live; QEMU only passes `data` on, and it is never freed.
        unsafe { (self.api.register_execute)(self.insn, callback, NO_REGISTERS, data) }
    }

    /// Adds 1 to `counter` at each execution.
    pub(super) fn count_in(self, counter: &'static std::sync::atomic::AtomicU64) {
        // SAFETY: the instruction is live; the counter is a `u64` in memory that is never freed.
        unsafe { (self.api.register_inline)(self.insn, ADD_U64, counter.as_ptr().cast(), 1) }
    }
}
