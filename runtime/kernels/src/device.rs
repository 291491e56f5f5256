//! Which instruction sets this machine has, and how to get their tokens.

use ocellus_format::Isa;

use crate::{Kernels, Reference};

/// The best instruction set of a chip whose build names it; a machine that must be asked has [`dispatch`].
#[cfg(ocellus_isa = "helium")]
pub type Device = crate::helium::Helium;
/// The best instruction set of a chip whose build names it; a machine that must be asked has [`dispatch`].
#[cfg(ocellus_isa = "cortex_m_dsp")]
pub type Device = crate::cortex_m_dsp::CortexMDsp;
/// The best instruction set of a chip whose build names it; a machine that must be asked has [`dispatch`].
#[cfg(not(any(ocellus_isa = "helium", ocellus_isa = "cortex_m_dsp")))]
pub type Device = Reference;

/// The token of [`Device`].
#[cfg(ocellus_isa = "helium")]
pub const DEVICE: Device = crate::helium::Helium::new();
/// The token of [`Device`].
#[cfg(ocellus_isa = "cortex_m_dsp")]
pub const DEVICE: Device = crate::cortex_m_dsp::CortexMDsp::new();
/// The token of [`Device`].
#[cfg(not(any(ocellus_isa = "helium", ocellus_isa = "cortex_m_dsp")))]
pub const DEVICE: Device = Reference;

/// Work that is generic over the instruction set.
pub trait WithKernels {
    /// What it gives.
    type Output;

    /// Does it.
    fn run<K: Kernels>(self, kernels: K) -> Self::Output;
}

/// Does the work with the kernels of `isa`; `None` where this machine does not have it.
pub fn dispatch<W: WithKernels>(isa: Isa, work: W) -> Option<W::Output> {
    match isa {
        Isa::Reference => Some(work.run(Reference)),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => crate::x86::Avx2::new().map(|k| work.run(k)),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => crate::x86::Avx512Vnni::new().map(|k| work.run(k)),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Some(work.run(crate::neon::Neon::new())),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => crate::neon::NeonDot::new().map(|k| work.run(k)),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonI8mm => crate::neon::NeonI8mm::new().map(|k| work.run(k)),
        #[cfg(any(ocellus_isa = "helium", ocellus_isa = "cortex_m_dsp"))]
        isa if isa == Device::ISA => Some(work.run(DEVICE)),
        _ => None,
    }
}

/// True where this machine has the instruction set.
pub fn is_available(isa: Isa) -> bool {
    struct Probe;
    impl WithKernels for Probe {
        type Output = ();
        fn run<K: Kernels>(self, _: K) {}
    }
    dispatch(isa, Probe).is_some()
}

/// The best instruction set of this machine.
pub fn best() -> Isa {
    let order = [
        Isa::Avx512Vnni,
        Isa::Avx2,
        Isa::NeonI8mm,
        Isa::NeonDot,
        Isa::Neon,
        Isa::Helium,
        Isa::CortexMDsp,
    ];
    order
        .into_iter()
        .find(|&isa| is_available(isa))
        .unwrap_or(Isa::Reference)
}
