//! Integer kernels: the reference, and one implementation for each instruction set.
//!
//! [`Kernels`] has one method an operator; its default is the reference, so an instruction set is complete on its first day and faster on
//! its second. An instruction set is a value ([`Reference`], ...): owning it proves that the machine has it. Every kernel equals the reference bit
//! for bit (`docs/numerics.md`). [`select`] says, on any machine, which kernel an operator gets on an instruction set, and how much scratch.
#![no_std]

// Asking a PC for its instruction set needs the operating system.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
extern crate std;

pub mod generic;
pub mod layout;
pub mod reference;
pub mod select;

#[cfg(ocellus_isa = "cortex_m_dsp")]
pub mod cortex_m_dsp;
#[cfg(ocellus_isa = "helium")]
pub mod helium;
#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(target_arch = "x86_64")]
pub mod x86;

mod device;
mod io;
#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests;

pub use device::{DEVICE, Device, WithKernels, best, dispatch, is_available};
pub use io::{
    ArgMaxIo, AveragePoolIo, BatchMatMulIo, BinaryIo, Conv2dAddIo, ConvIo, InOut, IndexedIo,
    Indices, IndicesMut, LayerNormIo, LookupIo, PreluIo, SoftmaxIo, TakeIo, UnaryIo, WideIo,
};

use ocellus_format::{Isa, ops};

/// One method an operator. An instruction set overrides those that it has kernels for, by the choice of [`select`].
pub trait Kernels: Copy + 'static {
    /// The instruction set.
    const ISA: Isa;

    /// 2-D convolution, `s8` by `s8`.
    fn conv_2d_s8(self, p: &ops::Conv2d, io: ConvIo<'_>) {
        reference::conv_2d_s8(p, io);
    }

    /// Depthwise 2-D convolution, `s8` by `s8`.
    fn depthwise_conv_2d_s8(self, p: &ops::DepthwiseConv2d, io: ConvIo<'_>) {
        reference::depthwise_conv_2d_s8(p, io);
    }

    /// Transposed 2-D convolution, `s8` by `s8`.
    fn transpose_conv_2d_s8(self, p: &ops::TransposeConv2d, io: ConvIo<'_>) {
        reference::transpose_conv_2d_s8(p, io);
    }

    /// Fully connected, `s8` by `s8`.
    fn fully_connected_s8(self, p: &ops::FullyConnected, io: ConvIo<'_>) {
        reference::fully_connected_s8(p, io);
    }

    /// Largest value of each window.
    fn max_pool_2d_s8(self, p: &ops::MaxPool2d, io: UnaryIo<'_>) {
        reference::max_pool_2d_s8(p, io);
    }

    /// Mean of each window.
    fn average_pool_2d_s8(self, p: &ops::AveragePool2d, io: AveragePoolIo<'_>) {
        reference::average_pool_2d_s8(p, io);
    }

    /// Sum or difference with broadcast.
    fn add_s8(self, p: &ops::Add, io: BinaryIo<'_>) {
        reference::add_s8(p, io);
    }

    /// Product with broadcast.
    fn mul_s8(self, p: &ops::Mul, io: BinaryIo<'_>) {
        reference::mul_s8(p, io);
    }

    /// Smaller of two, with broadcast.
    fn minimum_s8(self, p: &ops::Minimum, io: BinaryIo<'_>) {
        reference::minimum_s8(p, io);
    }

    /// Larger of two, with broadcast.
    fn maximum_s8(self, p: &ops::Maximum, io: BinaryIo<'_>) {
        reference::maximum_s8(p, io);
    }

    /// Any function of one value.
    fn lookup_s8(self, p: &ops::Lookup, io: LookupIo<'_>) {
        reference::lookup_s8(p, io);
    }

    /// Leaky rectifier with a slope for each channel.
    fn prelu_s8(self, p: &ops::Prelu, io: PreluIo<'_>) {
        reference::prelu_s8(p, io);
    }

    /// Softmax over the innermost axis.
    fn softmax_s8(self, p: &ops::Softmax, io: SoftmaxIo<'_>) {
        reference::softmax_s8(p, io);
    }

    /// Copies one input of a concatenation into the output's columns `column..column + width` of `total`.
    fn concat_s8(self, p: &ops::Concat, column: usize, total: usize, io: UnaryIo<'_>) {
        reference::concat_s8(p, column, total, io);
    }

    /// A box with steps.
    fn slice_s8(self, p: &ops::Slice, io: UnaryIo<'_>) {
        reference::slice_s8(p, io);
    }

    /// A frame around the input.
    fn pad_s8(self, p: &ops::Pad, io: UnaryIo<'_>) {
        reference::pad_s8(p, io);
    }

    /// Axes in another order.
    fn transpose_s8(self, p: &ops::Transpose, io: UnaryIo<'_>) {
        reference::transpose_s8(p, io);
    }

    /// Chosen indices of one axis.
    fn gather_s8(self, p: &ops::Gather, io: IndexedIo<'_>) {
        reference::gather_s8(p, io);
    }

    /// Nearest-neighbour resize.
    fn resize_nearest_s8(self, p: &ops::ResizeNearest, io: IndexedIo<'_>) {
        reference::resize_nearest_s8(p, io);
    }

    /// Bilinear resize.
    fn resize_bilinear_s8(self, p: &ops::ResizeBilinear, io: IndexedIo<'_>) {
        reference::resize_bilinear_s8(p, io);
    }

    /// Where the largest or smallest value of an axis lies.
    fn arg_max_s8(self, p: &ops::ArgMax, io: ArgMaxIo<'_>) {
        reference::arg_max_s8(p, io);
    }

    /// Products of computed matrices.
    fn batch_mat_mul_s8(self, p: &ops::BatchMatMul, io: BatchMatMulIo<'_>) {
        reference::batch_mat_mul_s8(p, io);
    }

    /// Rows of mean 0 and variance 1, scaled and shifted.
    fn layer_norm_s8(self, p: &ops::LayerNorm, io: LayerNormIo<'_>) {
        reference::layer_norm_s8(p, io);
    }

    /// Computed indices of one axis.
    fn take_s8(self, p: &ops::Take, io: TakeIo<'_>) {
        reference::take_s8(p, io);
    }

    /// A computed index for each element.
    fn gather_elements_s8(self, p: &ops::GatherElements, io: TakeIo<'_>) {
        reference::gather_elements_s8(p, io);
    }

    /// Where the largest or smallest values of the innermost axis lie.
    fn top_k_s8(self, p: &ops::TopK, io: ArgMaxIo<'_>) {
        reference::top_k_s8(p, io);
    }

    /// 2-D convolution, added to another tensor: the instruction set's own kernels of the two, a band of rows after the other.
    fn conv_2d_add_s8(self, p: &ops::Conv2dAdd, io: Conv2dAddIo<'_>) {
        reference::conv_2d_add_s8(self, p, io);
    }

    /// Quotient with broadcast.
    fn div_s8(self, p: &ops::Div, io: BinaryIo<'_>) {
        reference::div_s8(p, io);
    }
}

/// The definition: plain loops on any machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl Kernels for Reference {
    const ISA: Isa = Isa::Reference;
}
