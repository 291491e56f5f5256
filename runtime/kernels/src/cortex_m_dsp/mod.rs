//! The DSP extension of Armv7E-M and Armv8-M. Compiled where the build's target has it.
//!
//! No intrinsics are stable for it: the inner loops are `asm!` blocks, the rest is built of single instructions.
// Its instructions exist only as `asm!`; each block states why its pointers stay inside the slices it was given.
#![allow(unsafe_code)]

mod add;
mod average_pool_2d;
mod batch_mat_mul;
mod conv_2d;
mod depthwise_3x3;
mod depthwise_conv_2d;
mod dot;
mod element_wise;
mod fully_connected;
mod max_pool_2d;
mod pair_block;
mod pair_row;
mod planes;
mod product;
mod requantize;
mod rows;
mod simd;
mod taps;
mod transpose_conv_2d;
mod windows;

use ocellus_format::{Isa, ops};

use crate::{AveragePoolIo, BatchMatMulIo, BinaryIo, ConvIo, Kernels, LookupIo, PreluIo, UnaryIo};

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

    fn conv_2d_s8(self, p: &ops::Conv2d, io: ConvIo<'_>) {
        conv_2d::conv_2d_s8(p, io);
    }

    fn depthwise_conv_2d_s8(self, p: &ops::DepthwiseConv2d, io: ConvIo<'_>) {
        depthwise_conv_2d::depthwise_conv_2d_s8(p, io);
    }

    fn transpose_conv_2d_s8(self, p: &ops::TransposeConv2d, io: ConvIo<'_>) {
        transpose_conv_2d::transpose_conv_2d_s8(p, io);
    }

    fn fully_connected_s8(self, p: &ops::FullyConnected, io: ConvIo<'_>) {
        fully_connected::fully_connected_s8(p, io);
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
        element_wise::mul_s8(p, io);
    }

    fn lookup_s8(self, p: &ops::Lookup, io: LookupIo<'_>) {
        element_wise::lookup_s8(p, io);
    }

    fn prelu_s8(self, p: &ops::Prelu, io: PreluIo<'_>) {
        element_wise::prelu_s8(p, io);
    }

    fn batch_mat_mul_s8(self, p: &ops::BatchMatMul, io: BatchMatMulIo<'_>) {
        batch_mat_mul::batch_mat_mul_s8(p, io);
    }
}
