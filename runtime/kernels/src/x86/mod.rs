//! Kernels of x86-64, for the PC.

use ocellus_format::Isa;

use crate::Kernels;

/// The proof that the machine has AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// Asks the machine.
    pub fn new() -> Option<Avx2> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }
}

impl Kernels for Avx2 {
    const ISA: Isa = Isa::Avx2;
}

/// The proof that the machine has AVX-512 with VNNI, on vectors of 256 bits too.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Vnni(());

impl Avx512Vnni {
    /// Asks the machine.
    pub fn new() -> Option<Avx512Vnni> {
        let all = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512vnni");
        all.then_some(Avx512Vnni(()))
    }
}

impl Kernels for Avx512Vnni {
    const ISA: Isa = Isa::Avx512Vnni;
}
