//! Kernels of the Armv8.1-M vector extension. Compiled where the build's `target-cpu` has it.
//!
//! No intrinsics are stable for it, so the inner loops are whole `asm!` blocks with tail predication: a block runs a loop over a
//! row of any length, and its loads and stores touch no byte outside the row.
// Vector instructions exist only as `asm!`; each block states why its pointers stay inside the slices it was given.
#![allow(unsafe_code)]

mod add;
mod block;
mod conv_2d;
mod copy;
mod depthwise_conv_2d;
mod depthwise_planes;
mod fully_connected;
mod pool;
mod requantize;
mod window;

use ocellus_format::{Isa, ops};

use crate::{AveragePoolIo, BinaryIo, ConvIo, Kernels, UnaryIo};

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
        add::add_s8(p, io);
    }
}
