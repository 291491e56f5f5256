//! Kernels of [`Isa::Neon`], [`Isa::NeonDot`] and [`Isa::NeonI8mm`]. None wants scratch.

use ocellus_format::{Isa, ops};

use super::{Choice, Operator, helium::is_pointwise, x86::everywhere};

/// Products of one output at most, where weights are packed or taps gathered.
pub(crate) const NEON_TAPS_MAX: u32 = 8192;
/// Bytes of padded input rows on the stack.
pub(crate) const NEON_ROWS_BYTES: u32 = 96 << 10;
/// Runs of taps that lie side by side, at most: rows of the window, or taps of a dilated one.
pub(crate) const NEON_RUNS_MAX: u32 = 256;

/// The AArch64 kernel of an operator, where there is one for these parameters.
pub(super) fn choice(isa: Isa, operator: Operator<'_>) -> Option<Choice> {
    let kernel = match operator {
        Operator::Conv2d(p) => conv_2d(p)?,
        Operator::DepthwiseConv2d(p) => depthwise_conv_2d(p)?,
        Operator::TransposeConv2d(p) => transpose_conv_2d(p)?,
        Operator::BatchMatMul(p) => batch_mat_mul(p)?,
        _ => everywhere(operator)?,
    };
    Some(Choice {
        isa,
        kernel,
        scratch_bytes: 0,
    })
}

fn conv_2d(p: &ops::Conv2d) -> Option<&'static str> {
    if p.taps() == 0 || p.taps() > NEON_TAPS_MAX {
        return None;
    }
    if is_pointwise(p) {
        return Some("conv_2d_1x1");
    }
    fits(&p.window, p.group_in_c()).then_some("conv_2d")
}

fn depthwise_conv_2d(p: &ops::DepthwiseConv2d) -> Option<&'static str> {
    fits(&p.window, p.in_c.checked_mul(p.multiplier)?).then_some("depthwise_conv_2d")
}

fn transpose_conv_2d(p: &ops::TransposeConv2d) -> Option<&'static str> {
    let w = &p.window;
    let in_c = p.in_c.checked_div(p.groups).filter(|&in_c| in_c > 0)?;
    // An output pixel is reached by no more taps than the window has.
    let taps = w.kernel_h.checked_mul(w.kernel_w)?.checked_mul(in_c)?;
    (taps <= NEON_TAPS_MAX && fits(w, in_c)).then_some("transpose_conv_2d")
}

fn batch_mat_mul(p: &ops::BatchMatMul) -> Option<&'static str> {
    // A row is read once or, with zero points of `b`, up to three times.
    (p.k.checked_mul(3)? <= NEON_TAPS_MAX && p.n > 0 && p.m > 0 && !p.stack.contains(&0))
        .then_some("batch_mat_mul")
}

/// True where the kernels have room for the padded rows under one output column and for a list of the window's taps.
fn fits(w: &ops::Window2d, channels: u32) -> bool {
    let reach = u64::from(w.kernel_w - 1) * u64::from(w.dilation_w) + 1;
    let rows = reach
        .checked_mul(u64::from(channels))
        .and_then(|row| row.checked_mul(u64::from(w.kernel_h)));
    w.kernel_h
        .checked_mul(w.kernel_w)
        .is_some_and(|taps| taps <= NEON_RUNS_MAX)
        && rows.is_some_and(|rows| rows <= u64::from(NEON_ROWS_BYTES / 2))
}
