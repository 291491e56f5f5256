//! Kernels of [`Isa::Neon`], [`Isa::NeonDot`] and [`Isa::NeonI8mm`]. None wants scratch.

use ocellus_format::{Isa, ops};

use super::{Choice, Operator, helium::is_pointwise};

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
        Operator::FullyConnected(p) if p.in_c <= NEON_TAPS_MAX => "fully_connected",
        _ => return None,
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
    let w = &p.window;
    // One output column's rows.
    let reach = u64::from(w.kernel_w - 1) * u64::from(w.dilation_w) + 1;
    let rows = reach
        .checked_mul(u64::from(p.group_in_c()))?
        .checked_mul(u64::from(w.kernel_h))?;
    (w.kernel_h * w.kernel_w <= NEON_RUNS_MAX && rows <= u64::from(NEON_ROWS_BYTES / 2))
        .then_some("conv_2d")
}
