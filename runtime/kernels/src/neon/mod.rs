//! Kernels of Armv8-A: Advanced SIMD, the dot product and the int8 matrix product. None wants scratch: what they gather and pack lies on the stack.
// Vector loads and stores take pointers, and a function for an instruction set may run only where a token proves that; each block states why.
#![allow(unsafe_code)]

mod block_dot;
mod block_i8mm;
mod block_mlal;
mod conv_2d;
mod fully_connected;
mod product;
mod requantize;
mod rows;
mod store;

use ocellus_format::{Isa, ops};

use crate::{ConvIo, Kernels};

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

/// The proof that the machine has the int8 matrix product.
#[derive(Clone, Copy, Debug)]
pub struct NeonI8mm(());

impl NeonI8mm {
    /// Asks the machine.
    pub fn new() -> Option<NeonI8mm> {
        std::arch::is_aarch64_feature_detected!("i8mm").then_some(NeonI8mm(()))
    }
}

/// The methods of all: they differ in the product of pixels and panels only.
macro_rules! kernels {
    ($name:ident) => {
        impl Kernels for $name {
            const ISA: Isa = Isa::$name;

            fn conv_2d_s8(self, p: &ops::Conv2d, io: ConvIo<'_>) {
                conv_2d::conv_2d_s8(self, p, io);
            }

            fn fully_connected_s8(self, p: &ops::FullyConnected, io: ConvIo<'_>) {
                fully_connected::fully_connected_s8(self, p, io);
            }
        }
    };
}

kernels!(Neon);
kernels!(NeonDot);
kernels!(NeonI8mm);
