//! Kernels of x86-64, for the PC. None wants scratch: what they gather and pack lies on the stack.
// Vector loads and stores take pointers, and a function for an instruction set may run only where a token proves that; each block states why.
#![allow(unsafe_code)]

mod add;
mod average_pool_2d;
mod binary;
mod block_avx2;
mod block_avx512;
mod conv_2d;
mod depthwise_conv_2d;
mod fully_connected;
mod lookup;
mod max_pool_2d;
mod maximum;
mod minimum;
mod mul;
mod prelu;
mod product;
mod requantize;
mod resize_bilinear;
mod simd;
mod transpose_conv_2d;

use ocellus_format::{Isa, ops};

use crate::{AveragePoolIo, BinaryIo, ConvIo, IndexedIo, Kernels, LookupIo, PreluIo, UnaryIo};
use simd::Simd;

/// The proof that the machine has AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// Asks the machine.
    pub fn new() -> Option<Avx2> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }
}

/// The proof that the machine has AVX-512 with VNNI, on vectors of 256 bits too.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Vnni(Avx2);

impl Avx512Vnni {
    /// Asks the machine.
    pub fn new() -> Option<Avx512Vnni> {
        let all = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512vnni");
        Avx2::new().filter(|_| all).map(Avx512Vnni)
    }

    /// AVX-512 includes it.
    pub fn avx2(self) -> Avx2 {
        self.0
    }
}

/// The methods of both: they differ in the product of rows and columns only.
macro_rules! kernels {
    ($name:ident, $simd:expr) => {
        impl Kernels for $name {
            const ISA: Isa = Isa::$name;

            fn conv_2d_s8(self, p: &ops::Conv2d, io: ConvIo<'_>) {
                conv_2d::conv_2d_s8($simd(self), p, io);
            }

            fn depthwise_conv_2d_s8(self, p: &ops::DepthwiseConv2d, io: ConvIo<'_>) {
                depthwise_conv_2d::depthwise_conv_2d_s8($simd(self), p, io);
            }

            fn transpose_conv_2d_s8(self, p: &ops::TransposeConv2d, io: ConvIo<'_>) {
                transpose_conv_2d::transpose_conv_2d_s8($simd(self), p, io);
            }

            fn fully_connected_s8(self, p: &ops::FullyConnected, io: ConvIo<'_>) {
                fully_connected::fully_connected_s8($simd(self), p, io);
            }

            fn max_pool_2d_s8(self, p: &ops::MaxPool2d, io: UnaryIo<'_>) {
                max_pool_2d::max_pool_2d_s8($simd(self).avx2(), p, io);
            }

            fn average_pool_2d_s8(self, p: &ops::AveragePool2d, io: AveragePoolIo<'_>) {
                average_pool_2d::average_pool_2d_s8($simd(self).avx2(), p, io);
            }

            fn add_s8(self, p: &ops::Add, io: BinaryIo<'_>) {
                add::add_s8($simd(self).avx2(), p, io);
            }

            fn mul_s8(self, p: &ops::Mul, io: BinaryIo<'_>) {
                mul::mul_s8($simd(self).avx2(), p, io);
            }

            fn minimum_s8(self, p: &ops::Minimum, io: BinaryIo<'_>) {
                minimum::minimum_s8($simd(self).avx2(), p, io);
            }

            fn maximum_s8(self, p: &ops::Maximum, io: BinaryIo<'_>) {
                maximum::maximum_s8($simd(self).avx2(), p, io);
            }

            fn lookup_s8(self, p: &ops::Lookup, io: LookupIo<'_>) {
                lookup::lookup_s8(p, io);
            }

            fn prelu_s8(self, p: &ops::Prelu, io: PreluIo<'_>) {
                prelu::prelu_s8($simd(self).avx2(), p, io);
            }

            fn resize_bilinear_s8(self, p: &ops::ResizeBilinear, io: IndexedIo<'_>) {
                resize_bilinear::resize_bilinear_s8($simd(self).avx2(), p, io);
            }
        }
    };
}

kernels!(Avx2, Simd::Avx2);
kernels!(Avx512Vnni, Simd::Avx512Vnni);
