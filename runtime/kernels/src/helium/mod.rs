//! Kernels of the Armv8.1-M vector extension. Compiled where the build's `target-cpu` has it.

use ocellus_format::Isa;

use crate::Kernels;

/// The proof that the chip has the vector extension: the build was for one that has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Helium(());

impl Helium {
    /// This module is compiled only for chips that have the extension.
    pub const fn new() -> Helium {
        Helium(())
    }
}

impl Kernels for Helium {
    const ISA: Isa = Isa::Helium;
}
