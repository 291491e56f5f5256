//! Which kernel an operator gets on an instruction set, and the scratch that it needs. Compiled everywhere, so that a PC plans for a chip that it
//! is not; the kernels themselves ask here too, so that plan and run cannot differ.
//!
//! One file an instruction set says which kernels that one has; what it does not name is the reference's.

mod dsp;
mod helium;
mod neon;
mod x86;

#[cfg(ocellus_isa = "cortex_m_dsp")]
pub(crate) use dsp::{Planes, gathers_rows, is_contiguous, pair_records};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use helium::is_pointwise;
#[cfg(ocellus_isa = "helium")]
pub(crate) use helium::{CHANNELS_MAX, LANES, Planes, is_direct, rescales_bytes};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::{NEON_ROWS_BYTES, NEON_RUNS_MAX, NEON_TAPS_MAX};
#[cfg(any(
    ocellus_isa = "cortex_m_dsp",
    ocellus_isa = "helium",
    target_arch = "x86_64",
    target_arch = "aarch64"
))]
pub(crate) use x86::row_axis;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{TAPS_MAX, WINDOW_MAX};

use ocellus_format::{
    Isa,
    ops::{self, OpCode},
};

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
        Choice {
            isa: Isa::Reference,
            kernel,
            scratch_bytes: 0,
        }
    }

    /// The name in reports: `helium-conv_2d-s8`.
    pub fn display(&self) -> impl core::fmt::Display {
        struct Name(Choice);
        impl core::fmt::Display for Name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.0.isa.name())?;
                f.write_str("-")?;
                f.write_str(self.0.kernel)?;
                f.write_str("-s8")
            }
        }
        Name(*self)
    }
}

/// An operator with its parameters, whichever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the operator of its name")]
#[non_exhaustive]
pub enum Operator<'a> {
    Conv2d(&'a ops::Conv2d),
    DepthwiseConv2d(&'a ops::DepthwiseConv2d),
    TransposeConv2d(&'a ops::TransposeConv2d),
    FullyConnected(&'a ops::FullyConnected),
    MaxPool2d(&'a ops::MaxPool2d),
    AveragePool2d(&'a ops::AveragePool2d),
    Add(&'a ops::Add),
    Mul(&'a ops::Mul),
    Minimum(&'a ops::Minimum),
    Maximum(&'a ops::Maximum),
    Lookup(&'a ops::Lookup),
    Prelu(&'a ops::Prelu),
    Softmax(&'a ops::Softmax),
    Concat(&'a ops::Concat),
    Slice(&'a ops::Slice),
    Pad(&'a ops::Pad),
    Transpose(&'a ops::Transpose),
    Gather(&'a ops::Gather),
    ResizeNearest(&'a ops::ResizeNearest),
    ResizeBilinear(&'a ops::ResizeBilinear),
    ArgMax(&'a ops::ArgMax),
    BatchMatMul(&'a ops::BatchMatMul),
    LayerNorm(&'a ops::LayerNorm),
    Take(&'a ops::Take),
    GatherElements(&'a ops::GatherElements),
    TopK(&'a ops::TopK),
    Div(&'a ops::Div),
    Conv2dAdd(&'a ops::Conv2dAdd),
}

/// The kernel of any operator.
pub fn choice(isa: Isa, operator: Operator<'_>) -> Choice {
    match operator {
        Operator::Conv2d(p) => conv_2d(isa, p),
        Operator::DepthwiseConv2d(p) => depthwise_conv_2d(isa, p),
        Operator::TransposeConv2d(p) => transpose_conv_2d(isa, p),
        Operator::FullyConnected(p) => fully_connected(isa, p),
        Operator::MaxPool2d(p) => max_pool_2d(isa, p),
        Operator::AveragePool2d(p) => average_pool_2d(isa, p),
        Operator::Add(p) => add(isa, p),
        Operator::Mul(p) => mul(isa, p),
        Operator::Minimum(p) => minimum(isa, p),
        Operator::Maximum(p) => maximum(isa, p),
        Operator::Lookup(p) => lookup(isa, p),
        Operator::Prelu(p) => prelu(isa, p),
        Operator::Softmax(p) => softmax(isa, p),
        Operator::Concat(p) => concat(isa, p),
        Operator::Slice(p) => slice(isa, p),
        Operator::Pad(p) => pad(isa, p),
        Operator::Transpose(p) => transpose(isa, p),
        Operator::Gather(p) => gather(isa, p),
        Operator::ResizeNearest(p) => resize_nearest(isa, p),
        Operator::ResizeBilinear(p) => resize_bilinear(isa, p),
        Operator::ArgMax(p) => arg_max(isa, p),
        Operator::BatchMatMul(p) => batch_mat_mul(isa, p),
        Operator::LayerNorm(p) => layer_norm(isa, p),
        Operator::Take(p) => take(isa, p),
        Operator::GatherElements(p) => gather_elements(isa, p),
        Operator::TopK(p) => top_k(isa, p),
        Operator::Div(p) => div(isa, p),
        Operator::Conv2dAdd(p) => conv_2d_add(isa, p),
    }
}

/// Parameters whose kernel can be asked for, so that code generic over operators can.
pub trait Select {
    /// The kernel on an instruction set.
    fn select(&self, isa: Isa) -> Choice;
}

/// The kernel of `conv_2d_add`: that of its convolution, with scratch for any band of rows behind the band itself.
pub fn conv_2d_add(isa: Isa, p: &ops::Conv2dAdd) -> Choice {
    let mut first = 0;
    let mut wanted = 0;
    let mut runs_on = isa;
    while first < p.conv.window.out_h {
        let (conv, _, rows) = p.band(first);
        let choice = conv_2d(isa, &conv);
        wanted = wanted.max(choice.scratch_bytes);
        if choice.isa == Isa::Reference {
            runs_on = Isa::Reference;
        }
        first = first.saturating_add(rows.max(1));
    }
    Choice {
        isa: runs_on,
        kernel: OpCode::Conv2dAdd.name(),
        scratch_bytes: p.band_bytes().saturating_add(wanted),
    }
}

impl<'a> From<&'a ops::Conv2dAdd> for Operator<'a> {
    fn from(p: &'a ops::Conv2dAdd) -> Operator<'a> {
        Operator::Conv2dAdd(p)
    }
}

impl Select for ops::Conv2dAdd {
    fn select(&self, isa: Isa) -> Choice {
        conv_2d_add(isa, self)
    }
}

/// For each other operator: a function of its name, `From` and [`Select`] for its parameters.
macro_rules! operators {
    ($($function:ident $name:ident)*) => {$(
        #[doc = concat!("The kernel of `", stringify!($function), "`.")]
        pub fn $function(isa: Isa, p: &ops::$name) -> Choice {
            let chosen = match isa {
                Isa::CortexMDsp => dsp::choice(Operator::$name(p)),
                Isa::Helium => helium::choice(Operator::$name(p)),
                Isa::Neon | Isa::NeonDot | Isa::NeonI8mm => neon::choice(isa, Operator::$name(p)),
                Isa::Avx2 | Isa::Avx512Vnni => x86::choice(isa, Operator::$name(p)),
                _ => None,
            };
            chosen.unwrap_or(Choice::reference(OpCode::$name.name()))
        }

        impl<'a> From<&'a ops::$name> for Operator<'a> {
            fn from(p: &'a ops::$name) -> Operator<'a> {
                Operator::$name(p)
            }
        }

        impl Select for ops::$name {
            fn select(&self, isa: Isa) -> Choice {
                $function(isa, self)
            }
        }
    )*};
}

operators! {
    conv_2d Conv2d
    depthwise_conv_2d DepthwiseConv2d
    transpose_conv_2d TransposeConv2d
    fully_connected FullyConnected
    max_pool_2d MaxPool2d
    average_pool_2d AveragePool2d
    add Add
    mul Mul
    minimum Minimum
    maximum Maximum
    lookup Lookup
    prelu Prelu
    softmax Softmax
    concat Concat
    slice Slice
    pad Pad
    transpose Transpose
    gather Gather
    resize_nearest ResizeNearest
    resize_bilinear ResizeBilinear
    arg_max ArgMax
    batch_mat_mul BatchMatMul
    layer_norm LayerNorm
    take Take
    gather_elements GatherElements
    top_k TopK
    div Div
}
