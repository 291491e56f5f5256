//! Kernels of [`Isa::Helium`].

use ocellus_format::{Isa, ops};

use super::{Choice, Operator, x86::row_axis};

/// The Helium kernel of an operator, where there is one for these parameters.
pub(super) fn choice(operator: Operator<'_>) -> Option<Choice> {
    let (kernel, scratch_bytes) = match operator {
        Operator::Conv2d(p) => conv_2d(p)?,
        Operator::FullyConnected(p) => ("fully_connected", accumulators_bytes(p.out_c)?),
        Operator::DepthwiseConv2d(p) => ("depthwise_conv_2d", depthwise_bytes(p)?),
        // Nothing is repeated: one row.
        Operator::Add(p) if row_axis(&p.binary) == Some(0) => ("add", 0),
        _ => return None,
    };
    Some(Choice {
        isa: Isa::Helium,
        kernel,
        scratch_bytes,
    })
}

/// True where an output pixel's taps lie side by side in the input: no im2col row is gathered.
pub(crate) fn is_pointwise(p: &ops::Conv2d) -> bool {
    let w = &p.window;
    let inside = |out: u32, stride: u32, size: u32| (out - 1) * stride < size;
    w.kernel_h == 1
        && w.kernel_w == 1
        && w.pad_top == 0
        && w.pad_left == 0
        && inside(w.out_h, w.stride_h, w.in_h)
        && inside(w.out_w, w.stride_w, w.in_w)
}

fn conv_2d(p: &ops::Conv2d) -> Option<(&'static str, u32)> {
    let accumulators = accumulators_bytes(p.group_out_c())?;
    if is_pointwise(p) {
        return Some(("conv_2d_1x1", accumulators));
    }
    let rows = p.taps().checked_next_multiple_of(16)?.checked_mul(2)?;
    Some(("conv_2d", accumulators.checked_add(rows)?))
}

/// Two rows of accumulators, each a multiple of 16 bytes.
fn accumulators_bytes(out_c: u32) -> Option<u32> {
    out_c.checked_next_multiple_of(4)?.checked_mul(8)
}

/// A row of accumulators, and a window with its padding filled in. A channel multiplier above 1 has no kernel.
fn depthwise_bytes(p: &ops::DepthwiseConv2d) -> Option<u32> {
    if p.multiplier != 1 {
        return None;
    }
    let window = p.in_c.checked_mul(p.window.kernel_h * p.window.kernel_w)?;
    p.in_c
        .checked_next_multiple_of(4)?
        .checked_mul(4)?
        .checked_add(window)
}
