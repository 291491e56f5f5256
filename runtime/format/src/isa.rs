//! Instruction sets that kernels exist for, and weight layouts that they read.

use serde::{Deserialize, Serialize};

/// An instruction set. The order is the number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Isa {
    /// Plain loops; the definition.
    Reference,
    /// Armv7E-M and Armv8-M DSP: Cortex-M4, M7, M33.
    CortexMDsp,
    /// Armv8.1-M vector extension: Cortex-M55, M85.
    Helium,
    /// Armv8-A Advanced SIMD without dot product: Cortex-A53.
    Neon,
    /// Armv8.2-A dot product: Cortex-A55, A76.
    NeonDot,
    /// Armv8.6-A int8 matrix multiply.
    NeonI8mm,
    /// x86-64 AVX2.
    Avx2,
    /// x86-64 AVX-512 with VNNI.
    Avx512Vnni,
}

impl Isa {
    /// Every instruction set.
    pub const ALL: [Isa; 8] = [
        Isa::Reference,
        Isa::CortexMDsp,
        Isa::Helium,
        Isa::Neon,
        Isa::NeonDot,
        Isa::NeonI8mm,
        Isa::Avx2,
        Isa::Avx512Vnni,
    ];

    /// The word in reports, command lines and board files.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Reference => "reference",
            Isa::CortexMDsp => "cortex-m-dsp",
            Isa::Helium => "helium",
            Isa::Neon => "neon",
            Isa::NeonDot => "neon-dot",
            Isa::NeonI8mm => "neon-i8mm",
            Isa::Avx2 => "avx2",
            Isa::Avx512Vnni => "avx512-vnni",
        }
    }

    /// The instruction set of that name.
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }
}

/// How a weight tensor lies in the file. `docs/model-format.md`, weight layouts.
///
/// Every layout has a portable reader in `ocellus-kernels`, so any machine runs any file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WeightLayout {
    /// `Ohwi` for convolution and fully connected, `Hwc` for depthwise. Runs everywhere.
    Portable,
    /// Four output channels interleaved by sixteen input values: for each block of four channels, for each run of sixteen
    /// of the `kh * kw * ic` values, channel 0's sixteen, channel 1's, 2's, 3's. The last run and block are padded with zeros.
    Interleave4x16,
}
