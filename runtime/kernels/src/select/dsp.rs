//! Kernels of [`Isa::CortexMDsp`].

use ocellus_format::{Isa, WeightLayout, ops};

use super::{Choice, Operator, helium::is_pointwise, x86::row_axis};

/// Input rows at a time.
const ROWS: u32 = 3;
/// Values of a row that are widened together, and the bytes that three rows of them become.
const RUN: u32 = 4;
const RUN_BYTES: u32 = 2 * ROWS * RUN;

/// The kernel of an operator with DSP instructions, where there is one for these parameters.
pub(super) fn choice(operator: Operator<'_>) -> Option<Choice> {
    let (kernel, scratch_bytes) = match operator {
        Operator::Conv2d(p) => conv_2d(p)?,
        Operator::DepthwiseConv2d(p) if p.multiplier == 1 => (
            "depthwise_conv_2d",
            Planes::new(p).map_or(Some(0), |planes| planes.bytes())?,
        ),
        Operator::FullyConnected(p) if reads(p.layout) => ("fully_connected", 0),
        Operator::Add(p) if row_axis(&p.binary).is_some() => ("add", 0),
        Operator::TransposeConv2d(_) => ("transpose_conv_2d", 0),
        Operator::BatchMatMul(p) if !(p.transposed_a && p.transposed_b) => ("batch_mat_mul", 0),
        Operator::Mul(p) if row_axis(&p.binary).is_some() => ("mul", 0),
        Operator::Lookup(_) => ("lookup", 0),
        Operator::Prelu(_) => ("prelu", 0),
        Operator::MaxPool2d(p) if p.channels >= CHANNELS => ("max_pool_2d", 0),
        Operator::AveragePool2d(p) if p.channels >= CHANNELS => ("average_pool_2d", 0),
        _ => return None,
    };
    Some(Choice {
        isa: Isa::CortexMDsp,
        kernel,
        scratch_bytes,
    })
}

/// True where each window is a piece of the input and the next one follows it.
pub(crate) fn is_contiguous(p: &ops::Conv2d) -> bool {
    let w = &p.window;
    is_pointwise(p) && p.groups == 1 && (w.stride_h, w.stride_w) == (1, 1) && w.in_w == w.out_w
}

/// Pairs of channels done at once at most, and bytes of what is kept of each.
const RECORDS_MAX: u32 = 64;
const RECORD_BYTES: u32 = 28;

/// Values of a window's row from which on that pays for being widened by itself.
const ROW_MIN: u32 = 16;

/// True where the columns of a window's row lie side by side in the input and are a whole number of runs, not too few.
pub(crate) fn gathers_rows(p: &ops::Conv2d) -> bool {
    let w = &p.window;
    let is_long = |len: u32| len.is_multiple_of(RUN) && (len >= ROW_MIN || w.kernel_h == 1);
    p.groups == 1 && w.dilation_w == 1 && w.kernel_w.checked_mul(p.in_c).is_some_and(is_long)
}

/// How many pairs of channels that share weights are done at once; 0 where none do.
pub(crate) fn pair_records(p: &ops::Conv2d) -> u32 {
    match p.layout {
        // A single one has a record too, so that the count is above 0.
        WeightLayout::Pair2x4 => p.group_out_c().div_ceil(2).min(RECORDS_MAX),
        _ => 0,
    }
}

fn conv_2d(p: &ops::Conv2d) -> Option<(&'static str, u32)> {
    if !reads(p.layout) || p.taps() == 0 {
        return None;
    }
    let wide = wide_bytes(p.taps())?;
    let (kernel, values) = if is_contiguous(p) {
        ("conv_2d_1x1", p.taps())
    } else if gathers_rows(p) {
        ("conv_2d", p.window.kernel_w * p.group_in_c())
    } else {
        ("conv_2d", p.taps())
    };
    let copies = if values == 0 {
        0
    } else {
        copies_bytes(values)?
    };
    let records = pair_records(p).checked_mul(RECORD_BYTES)?;
    Some((kernel, wide.checked_add(records)?.checked_add(copies)?))
}

fn reads(layout: WeightLayout) -> bool {
    matches!(layout, WeightLayout::Portable | WeightLayout::Pair2x4)
}

/// Three rows of so many values, one behind the other, and what is written behind the last by whole words.
fn copies_bytes(values: u32) -> Option<u32> {
    let all = values.checked_mul(ROWS)?.checked_add(RUN - 1)?;
    all.checked_next_multiple_of(RUN)
}

/// Three rows of so many values in 16 bits, in whole runs.
fn wide_bytes(taps: u32) -> Option<u32> {
    taps.div_ceil(RUN).checked_mul(RUN_BYTES)
}

/// Taps along each axis of the windows that have planes.
const KERNEL: usize = 3;
/// Channels spread together, and bytes of a pair of neighbours of each.
const CHANNELS: u32 = 4;
const PAIR_BYTES: usize = 16;
/// Outputs of a row at a time.
const BLOCK: usize = 4;
/// Bytes of scratch that planes take, where that is three rows or more.
const PLANES_BYTES: usize = 4096;

/// One axis of a depthwise layer.
#[cfg_attr(
    not(ocellus_isa = "cortex_m_dsp"),
    expect(dead_code, reason = "a plan needs sizes only")
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaneAxis {
    /// Pixels of the input.
    pub(crate) input: usize,
    /// Pixels of the output.
    pub(crate) out: usize,
    /// Pixels of the input from one output to the next.
    pub(crate) stride: usize,
    /// Pixels of padding before the first.
    pub(crate) pad: usize,
    /// Values from one pixel of the input to the next.
    pub(crate) step: usize,
    /// Values from one pixel of the output to the next.
    pub(crate) y_step: usize,
    /// Taps from one to the next along the axis.
    pub(crate) w_step: usize,
}

/// How the kernel of 3x3 windows cuts a depthwise layer.
#[cfg_attr(
    not(ocellus_isa = "cortex_m_dsp"),
    expect(dead_code, reason = "a plan needs sizes only")
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    /// Along the rows of pairs.
    pub(crate) inner: PlaneAxis,
    /// Across them.
    pub(crate) outer: PlaneAxis,
    /// Pairs of a row.
    pub(crate) row_pairs: usize,
    /// Rows of outputs of a strip.
    pub(crate) strip_rows: usize,
}

impl Planes {
    /// `None` for layers that have none: other windows, strides or multipliers, and fewer than four channels.
    pub(crate) fn new(p: &ops::DepthwiseConv2d) -> Option<Planes> {
        let w = &p.window;
        let is_3x3 = w.kernel_h as usize == KERNEL && w.kernel_w as usize == KERNEL;
        let is_dense = w.dilation_h == 1 && w.dilation_w == 1;
        if !is_3x3 || !is_dense || p.multiplier != 1 || p.in_c < CHANNELS {
            return None;
        }
        let in_c = p.in_c as usize;
        let along = PlaneAxis {
            input: w.in_w as usize,
            out: w.out_w as usize,
            stride: w.stride_w as usize,
            pad: w.pad_left as usize,
            step: in_c,
            y_step: in_c,
            w_step: 1,
        };
        let down = PlaneAxis {
            input: w.in_h as usize,
            out: w.out_h as usize,
            stride: w.stride_h as usize,
            pad: w.pad_top as usize,
            step: in_c * w.in_w as usize,
            y_step: in_c * w.out_w as usize,
            w_step: KERNEL,
        };
        let blocks = |inner: &PlaneAxis, outer: &PlaneAxis| inner.out.div_ceil(BLOCK) * outer.out;
        let (inner, outer) = if blocks(&down, &along) < blocks(&along, &down) {
            (down, along)
        } else {
            (along, down)
        };
        if !(1..=2).contains(&inner.stride) || outer.stride > KERNEL {
            return None;
        }
        let row_pairs = 2 * inner.stride * inner.out.div_ceil(BLOCK) + 1;
        let rows = PLANES_BYTES.checked_div(row_pairs * PAIR_BYTES)?;
        let strip_rows = rows
            .saturating_sub(KERNEL)
            .checked_div(outer.stride)?
            .saturating_add(1)
            .min(outer.out);
        Some(Planes {
            inner,
            outer,
            row_pairs,
            strip_rows,
        })
    }

    /// Bytes of a strip.
    fn bytes(&self) -> Option<u32> {
        let rows = (self.strip_rows - 1) * self.outer.stride + KERNEL;
        u32::try_from(rows * self.row_pairs * PAIR_BYTES).ok()
    }
}
