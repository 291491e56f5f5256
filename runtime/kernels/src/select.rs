//! Which kernel an operator gets on an instruction set, and the scratch that it needs. Compiled everywhere, so that a PC plans for a chip that it
//! is not; the kernels themselves ask here too, so that plan and run cannot differ.

use ocellus_format::{Isa, ops};

/// The kernel of one operator on one instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whose kernel runs: the instruction set asked for, or [`Isa::Reference`].
    pub isa: Isa,
    /// The operator's name, with the variant where there are several: `conv_2d`, `conv_2d_1x1`.
    pub kernel: &'static str,
    /// Bytes of scratch it wants.
    pub scratch_bytes: u32,
}

impl Choice {
    /// The reference kernel of an operator.
    pub const fn reference(kernel: &'static str) -> Choice {
        Choice { isa: Isa::Reference, kernel, scratch_bytes: 0 }
    }
}

/// The kernel of a convolution.
pub fn conv_2d(isa: Isa, p: &ops::Conv2d) -> Choice {
    let _ = (isa, p);
    Choice::reference("conv_2d")
}
