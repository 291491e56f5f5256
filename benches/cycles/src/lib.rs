//! Counts what a guest executes between markers, under QEMU, without touching the guest.
//!
//! The crate is two things. As a `cdylib` it is a QEMU TCG plugin (plugin API version 1, QEMU 7.2):
//! it decodes every instruction when QEMU translates it, sums a block once, and at run time adds
//! one to a counter per executed block. As an `rlib` it is [`report`], the typed reader of the JSON
//! that the plugin writes, and [`plugin_argument`], the QEMU option that loads the plugin.
//!
//! `README.md` beside this crate's manifest has the markers, the cycle model, its limits, and how
//! to run the plugin by hand.

mod decode;
mod model;
// The plugin talks C to QEMU: function pointers looked up by name, and pointers handed back by it.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod plugin;
mod recorder;
pub mod report;

use std::path::Path;

/// The value of QEMU's `-plugin` option that loads `plugin` and makes it write its report to `out`.
///
/// Commas are doubled, as QEMU's option syntax wants. `None` if a path is not UTF-8.
pub fn plugin_argument(plugin: &Path, out: &Path) -> Option<String> {
    let quote = |path: &Path| path.to_str().map(|text| text.replace(',', ",,"));
    Some(format!("file={},out={}", quote(plugin)?, quote(out)?))
}
