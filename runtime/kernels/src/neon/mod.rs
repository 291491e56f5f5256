//! Armv8-A Advanced SIMD and its int8 extensions; every operator is the reference's.

use ocellus_format::Isa;

use crate::Kernels;

/// The proof that the machine has Advanced SIMD, as every AArch64 Linux machine has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neon(());

impl Neon {
    /// AArch64 has it.
    pub const fn new() -> Neon {
        Neon(())
    }
}

impl Kernels for Neon {
    const ISA: Isa = Isa::Neon;
}

/// The proof that the machine has the dot product instructions.
#[derive(Clone, Copy, Debug)]
pub struct NeonDot(());

impl NeonDot {
    /// Asks the machine.
    pub fn new() -> Option<NeonDot> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(NeonDot(()))
    }
}

impl Kernels for NeonDot {
    const ISA: Isa = Isa::NeonDot;
}

/// The proof that the machine has the int8 matrix product.
#[derive(Clone, Copy, Debug)]
pub struct NeonI8mm(());

impl NeonI8mm {
    /// Asks the machine.
    pub fn new() -> Option<NeonI8mm> {
        std::arch::is_aarch64_feature_detected!("i8mm").then_some(NeonI8mm(()))
    }
}

impl Kernels for NeonI8mm {
    const ISA: Isa = Isa::NeonI8mm;
}
