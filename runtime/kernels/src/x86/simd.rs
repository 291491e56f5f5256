//! The two instruction sets as one value, for code that differs between them in its inner loop only.

use crate::layout::Matrix;
use ocellus_format::Isa;

use super::{Avx2, Avx512Vnni};

/// The instructions that an inner loop may use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Simd {
    /// Vectors of 256 bits.
    Avx2(Avx2),
    /// Vectors of 512 bits, with four products of bytes and their sum in one instruction.
    Avx512Vnni(Avx512Vnni),
}

impl Simd {
    /// Which of the two.
    pub(super) fn isa(self) -> Isa {
        match self {
            Simd::Avx2(_) => Isa::Avx2,
            Simd::Avx512Vnni(_) => Isa::Avx512Vnni,
        }
    }

    /// True where the products of [`super::product`] with these weights are exact. The vectors of 256 bits move an input's sign to the weight,
    /// and -128, which no converter writes, has no opposite.
    pub(super) fn takes(self, weights: &Matrix<'_>) -> bool {
        match self {
            Simd::Avx2(_) => !weights.has_lowest(),
            Simd::Avx512Vnni(_) => true,
        }
    }

    /// The proof of AVX2, which both have.
    pub(super) fn avx2(self) -> Avx2 {
        match self {
            Simd::Avx2(token) => token,
            Simd::Avx512Vnni(token) => token.avx2(),
        }
    }
}
