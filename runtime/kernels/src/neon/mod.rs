//! Kernels of Armv8-A: Advanced SIMD, the dot product and the int8 matrix product. None wants scratch: what they gather and pack lies on the stack.
// Vector loads and stores take pointers, and a function for an instruction set may run only where a token proves that; each block states why.
#![allow(unsafe_code)]

mod add;
mod average_pool_2d;
mod batch_mat_mul;
mod block_dot;
mod block_i8mm;
mod block_mlal;
mod conv_2d;
mod depthwise_conv_2d;
mod depthwise_dot;
mod fully_connected;
mod lookup;
mod max_pool_2d;
mod maximum;
mod minimum;
mod mul;
mod pool;
mod prelu;
mod product;
mod requantize;
mod resize_bilinear;
mod rows;
mod sixteen;
mod store;
mod transpose_conv_2d;

use ocellus_format::{Isa, ops};

use crate::{
    AveragePoolIo, BatchMatMulIo, BinaryIo, ConvIo, IndexedIo, Kernels, LookupIo, PreluIo, UnaryIo,
};

/// The proof that the machine has Advanced SIMD, as every AArch64 Linux machine has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neon(());

impl Neon {
    /// AArch64 has it.
    pub const fn new() -> Neon {
        Neon(())
    }
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

/// The proof that the machine has the int8 matrix product, and the dot product.
#[derive(Clone, Copy, Debug)]
pub struct NeonI8mm(NeonDot);

impl NeonI8mm {
    /// Asks the machine.
    pub fn new() -> Option<NeonI8mm> {
        NeonDot::new()
            .filter(|_| std::arch::is_aarch64_feature_detected!("i8mm"))
            .map(NeonI8mm)
    }
}

/// The methods of all: they differ in the product of pixels and panels only.
macro_rules! kernels {
    ($name:ident, $dot:expr) => {
        impl Kernels for $name {
            const ISA: Isa = Isa::$name;

            fn conv_2d_s8(self, p: &ops::Conv2d, io: ConvIo<'_>) {
                conv_2d::conv_2d_s8(self, p, io);
            }

            fn depthwise_conv_2d_s8(self, p: &ops::DepthwiseConv2d, io: ConvIo<'_>) {
                depthwise_conv_2d::depthwise_conv_2d_s8(Self::ISA, $dot(self), p, io);
            }

            fn fully_connected_s8(self, p: &ops::FullyConnected, io: ConvIo<'_>) {
                fully_connected::fully_connected_s8(self, p, io);
            }

            fn transpose_conv_2d_s8(self, p: &ops::TransposeConv2d, io: ConvIo<'_>) {
                transpose_conv_2d::transpose_conv_2d_s8(self, p, io);
            }

            fn batch_mat_mul_s8(self, p: &ops::BatchMatMul, io: BatchMatMulIo<'_>) {
                batch_mat_mul::batch_mat_mul_s8(self, p, io);
            }

            fn max_pool_2d_s8(self, p: &ops::MaxPool2d, io: UnaryIo<'_>) {
                max_pool_2d::max_pool_2d_s8(p, io);
            }

            fn average_pool_2d_s8(self, p: &ops::AveragePool2d, io: AveragePoolIo<'_>) {
                average_pool_2d::average_pool_2d_s8(p, io);
            }

            fn add_s8(self, p: &ops::Add, io: BinaryIo<'_>) {
                add::add_s8(p, io);
            }

            fn mul_s8(self, p: &ops::Mul, io: BinaryIo<'_>) {
                mul::mul_s8(p, io);
            }

            fn minimum_s8(self, p: &ops::Minimum, io: BinaryIo<'_>) {
                minimum::minimum_s8(p, io);
            }

            fn maximum_s8(self, p: &ops::Maximum, io: BinaryIo<'_>) {
                maximum::maximum_s8(p, io);
            }

            fn lookup_s8(self, p: &ops::Lookup, io: LookupIo<'_>) {
                lookup::lookup_s8(p, io);
            }

            fn prelu_s8(self, p: &ops::Prelu, io: PreluIo<'_>) {
                prelu::prelu_s8(p, io);
            }

            fn resize_bilinear_s8(self, p: &ops::ResizeBilinear, io: IndexedIo<'_>) {
                resize_bilinear::resize_bilinear_s8(p, io);
            }
        }
    };
}

kernels!(Neon, |_| None);
kernels!(NeonDot, Some);
kernels!(NeonI8mm, |token: NeonI8mm| Some(token.0));
