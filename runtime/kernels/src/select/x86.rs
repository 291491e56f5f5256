//! Kernels of [`Isa::Avx2`] and [`Isa::Avx512Vnni`]. None wants scratch.

use ocellus_format::{Isa, ops};

use super::{Choice, Operator, helium::is_pointwise};

/// Products of one output at most, where weights are packed.
pub(crate) const TAPS_MAX: u32 = 5120;
/// Taps of the window at most, where a list of them is kept.
pub(crate) const WINDOW_MAX: u32 = 256;

/// The x86-64 kernel of an operator, where there is one for these parameters.
pub(super) fn choice(isa: Isa, operator: Operator<'_>) -> Option<Choice> {
    let kernel = match operator {
        Operator::Conv2d(p) => conv_2d(p)?,
        Operator::DepthwiseConv2d(p) => depthwise_conv_2d(p)?,
        Operator::TransposeConv2d(p) => transpose_conv_2d(p)?,
        _ => everywhere(operator)?,
    };
    Some(Choice {
        isa,
        kernel,
        scratch_bytes: 0,
    })
}

/// Kernels that every instruction set of a machine with an operating system has, for any parameters or by the rows of a broadcast.
pub(super) fn everywhere(operator: Operator<'_>) -> Option<&'static str> {
    Some(match operator {
        Operator::FullyConnected(_) => "fully_connected",
        Operator::MaxPool2d(_) => "max_pool_2d",
        Operator::AveragePool2d(_) => "average_pool_2d",
        Operator::Add(p) => binary("add", &p.binary)?,
        Operator::Mul(p) => binary("mul", &p.binary)?,
        Operator::Minimum(p) => binary("minimum", &p.binary)?,
        Operator::Maximum(p) => binary("maximum", &p.binary)?,
        Operator::Lookup(_) => "lookup",
        Operator::Prelu(_) => "prelu",
        Operator::ResizeBilinear(_) => "resize_bilinear",
        _ => return None,
    })
}

fn conv_2d(p: &ops::Conv2d) -> Option<&'static str> {
    if p.taps() == 0 || p.taps() > TAPS_MAX {
        None
    } else if is_pointwise(p) {
        Some("conv_2d_1x1")
    } else {
        Some("conv_2d")
    }
}

fn depthwise_conv_2d(p: &ops::DepthwiseConv2d) -> Option<&'static str> {
    (p.multiplier == 1 && is_listed(&p.window)).then_some("depthwise_conv_2d")
}

fn transpose_conv_2d(p: &ops::TransposeConv2d) -> Option<&'static str> {
    let w = &p.window;
    let in_c = p.in_c.checked_div(p.groups)?;
    // Each output pixel is reached by so many taps at most.
    let taps = (w.kernel_h as u64) * (w.kernel_w as u64) * u64::from(in_c);
    (in_c > 0 && is_listed(w) && taps <= u64::from(TAPS_MAX)).then_some("transpose_conv_2d")
}

/// True where the kernels' lists of taps hold every tap of a window.
fn is_listed(w: &ops::Window2d) -> bool {
    w.kernel_h
        .checked_mul(w.kernel_w)
        .is_some_and(|taps| (1..=WINDOW_MAX).contains(&taps))
}

/// `b` as long as `a`, or repeated whole.
fn binary(kernel: &'static str, p: &ops::Binary) -> Option<&'static str> {
    row_axis(p).map(|_| kernel)
}

/// The first axis of the rows in which nothing is repeated: outside it `b` is repeated on every axis, and `a` nowhere. `None` where there is none.
pub(crate) fn row_axis(p: &ops::Binary) -> Option<usize> {
    let repeated = |broadcast: u8, axis: usize| {
        broadcast >> axis & 1 == 1 && p.shape.get(axis).is_some_and(|&size| size > 1)
    };
    let first = (0..p.shape.len())
        .rev()
        .find(|&axis| repeated(p.broadcast_b, axis))
        .map_or(0, |axis| axis + 1);
    let outside = (0..first).all(|axis| {
        repeated(p.broadcast_b, axis) || p.shape.get(axis).is_some_and(|&size| size == 1)
    });
    let whole = (0..p.shape.len()).all(|axis| !repeated(p.broadcast_a, axis));
    (outside && whole).then_some(first)
}
