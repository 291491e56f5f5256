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

/// Output channels and values that lie side by side in a packed layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Output channels of a block.
    pub channels: u32,
    /// Neighbouring values of one channel.
    pub run: u32,
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
    /// Two output channels `a` and `b` in one 16-bit integer, `256 * b + a`: for each block of two channels, for each run of four values `t`, the
    /// integers of `t` = 0, 2, 1, 3. The last run and block are padded with zeros. Not every matrix has such a form, see [`WeightLayout::ACC_BOUND_PAIR`].
    Pair2x4,
    /// As [`WeightLayout::Interleave4x16`], eight channels by four values.
    Interleave8x4,
    /// As [`WeightLayout::Interleave4x16`], eight channels by eight values.
    Interleave8x8,
    /// As [`WeightLayout::Interleave4x16`], two channels by sixteen values.
    Interleave2x16,
}

impl WeightLayout {
    /// Accumulators of [`WeightLayout::Pair2x4`] are below this magnitude, since two of them share 32 bits less the eight that they overlap.
    pub const ACC_BOUND_PAIR: u32 = 1 << 23;

    /// The layout's blocks; a portable matrix has none.
    pub const fn block(self) -> Option<Block> {
        let (channels, run) = match self {
            WeightLayout::Portable => return None,
            WeightLayout::Interleave4x16 => (4, 16),
            WeightLayout::Pair2x4 => (2, 4),
            WeightLayout::Interleave8x4 => (8, 4),
            WeightLayout::Interleave8x8 => (8, 8),
            WeightLayout::Interleave2x16 => (2, 16),
        };
        Some(Block { channels, run })
    }

    /// Bytes of a matrix with `channels` output channels of `taps` values each.
    pub fn matrix_len(self, channels: u32, taps: u64) -> Option<u64> {
        let Some(block) = self.block() else {
            return taps.checked_mul(u64::from(channels));
        };
        taps.checked_next_multiple_of(u64::from(block.run))?
            .checked_mul(u64::from(
                channels.checked_next_multiple_of(block.channels)?,
            ))
    }

    /// Accumulators stay below this magnitude.
    pub(crate) const fn acc_bound(self) -> u32 {
        match self {
            WeightLayout::Pair2x4 => Self::ACC_BOUND_PAIR,
            _ => 1 << 31,
        }
    }
}
