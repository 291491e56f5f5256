//! Kernels of the Armv8.1-M vector extension. Compiled where the build's `target-cpu` has it.
//!
//! No intrinsics are stable for it, so the inner loops are whole `asm!` blocks with tail predication: a block runs a loop over a
//! row of any length, and its loads and stores touch no byte outside the row.
// Vector instructions exist only as `asm!`; each block states why its pointers stay inside the slices it was given.
#![allow(unsafe_code)]

mod batch_mat_mul;
mod block;
mod conv_2d;
mod copy;
mod depthwise_conv_2d;
mod depthwise_planes;
mod elementwise;
mod fully_connected;
mod movement;
mod pool;
mod requantize;
mod resize_bilinear;
mod softmax;
mod transpose_conv_2d;
mod window;

use ocellus_format::{Isa, ops};

use crate::{
    AveragePoolIo, BatchMatMulIo, BinaryIo, ConvIo, IndexedIo, Kernels, LookupIo, PreluIo,
    SoftmaxIo, UnaryIo,
};

/// The proof that the chip has the vector extension: the build was for one that has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Helium(());

impl Helium {
    /// This module is compiled only for chips that have the extension.
    pub const fn new() -> Helium {
        Helium(())
    }
}

impl Kernels for Helium {
    const ISA: Isa = Isa::Helium;

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
        pool::max_pool_2d_s8(p, io);
    }

    fn average_pool_2d_s8(self, p: &ops::AveragePool2d, io: AveragePoolIo<'_>) {
        pool::average_pool_2d_s8(p, io);
    }

    fn add_s8(self, p: &ops::Add, io: BinaryIo<'_>) {
        elementwise::add_s8(p, io);
    }

    fn mul_s8(self, p: &ops::Mul, io: BinaryIo<'_>) {
        elementwise::mul_s8(p, io);
    }

    fn minimum_s8(self, p: &ops::Minimum, io: BinaryIo<'_>) {
        elementwise::minimum_s8(p, io);
    }

    fn maximum_s8(self, p: &ops::Maximum, io: BinaryIo<'_>) {
        elementwise::maximum_s8(p, io);
    }

    fn lookup_s8(self, p: &ops::Lookup, io: LookupIo<'_>) {
        elementwise::lookup_s8(p, io);
    }

    fn prelu_s8(self, p: &ops::Prelu, io: PreluIo<'_>) {
        elementwise::prelu_s8(p, io);
    }

    fn softmax_s8(self, p: &ops::Softmax, io: SoftmaxIo<'_>) {
        softmax::softmax_s8(p, io);
    }

    fn concat_s8(self, p: &ops::Concat, column: usize, total: usize, io: UnaryIo<'_>) {
        movement::concat_s8(p, column, total, io);
    }

    fn slice_s8(self, p: &ops::Slice, io: UnaryIo<'_>) {
        movement::slice_s8(p, io);
    }

    fn pad_s8(self, p: &ops::Pad, io: UnaryIo<'_>) {
        movement::pad_s8(p, io);
    }

    fn transpose_s8(self, p: &ops::Transpose, io: UnaryIo<'_>) {
        movement::transpose_s8(p, io);
    }

    fn gather_s8(self, p: &ops::Gather, io: IndexedIo<'_>) {
        movement::gather_s8(p, io);
    }

    fn resize_nearest_s8(self, p: &ops::ResizeNearest, io: IndexedIo<'_>) {
        movement::resize_nearest_s8(p, io);
    }

    fn batch_mat_mul_s8(self, p: &ops::BatchMatMul, io: BatchMatMulIo<'_>) {
        batch_mat_mul::batch_mat_mul_s8(p, io);
    }

    fn resize_bilinear_s8(self, p: &ops::ResizeBilinear, io: IndexedIo<'_>) {
        resize_bilinear::resize_bilinear_s8(p, io);
    }
}
