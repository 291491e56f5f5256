//! The DSP extension of Armv7E-M and Armv8-M. Compiled where the build's target has it; every operator is the reference's.

use ocellus_format::Isa;

use crate::Kernels;

/// The proof that the chip has the DSP extension: the build was for one that has.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexMDsp(());

impl CortexMDsp {
    /// This module is compiled only for chips that have the extension.
    pub const fn new() -> CortexMDsp {
        CortexMDsp(())
    }
}

impl Kernels for CortexMDsp {
    const ISA: Isa = Isa::CortexMDsp;
}
