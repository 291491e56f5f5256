//! Kernels of [`Isa::Helium`].

use ocellus_format::{Isa, WeightLayout, ops};

use super::{Choice, Operator, x86::row_axis};

/// The Helium kernel of an operator, where there is one for these parameters.
pub(super) fn choice(operator: Operator<'_>) -> Option<Choice> {
    let (kernel, scratch_bytes) = match operator {
        Operator::Conv2d(p) => conv_2d(p)?,
        Operator::FullyConnected(p) => ("fully_connected", fully_connected_bytes(p)?),
        Operator::DepthwiseConv2d(p) => ("depthwise_conv_2d", depthwise_bytes(p)?),
        Operator::TransposeConv2d(p) => ("transpose_conv_2d", transpose_bytes(p)?),
        Operator::MaxPool2d(_) => ("max_pool_2d", 0),
        Operator::AveragePool2d(_) => ("average_pool_2d", 0),
        Operator::Add(p) => row_axis(&p.binary).map(|_| ("add", 0))?,
        Operator::Mul(p) => row_axis(&p.binary).map(|_| ("mul", 0))?,
        Operator::Minimum(p) => row_axis(&p.binary).map(|_| ("minimum", 0))?,
        Operator::Maximum(p) => row_axis(&p.binary).map(|_| ("maximum", 0))?,
        Operator::Lookup(_) => ("lookup", 0),
        Operator::Prelu(_) => ("prelu", 0),
        Operator::BatchMatMul(_) => ("batch_mat_mul", 0),
        Operator::Softmax(_) => ("softmax", 0),
        Operator::Concat(_) => ("concat", 0),
        Operator::Slice(_) => ("slice", 0),
        Operator::Pad(_) => ("pad", 0),
        Operator::Transpose(_) => ("transpose", 0),
        Operator::Gather(_) => ("gather", 0),
        Operator::ResizeNearest(_) => ("resize_nearest", 0),
        Operator::ResizeBilinear(_) => ("resize_bilinear", 0),
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

/// True where consecutive output pixels read consecutive rows of the input.
pub(crate) fn is_direct(p: &ops::Conv2d) -> bool {
    let w = &p.window;
    is_pointwise(p) && p.groups == 1 && w.stride_h == 1 && w.stride_w == 1 && w.in_w == w.out_w
}

fn conv_2d(p: &ops::Conv2d) -> Option<(&'static str, u32)> {
    let rows = if is_direct(p) {
        copies_bytes(p.taps())?
    } else {
        rows_bytes(p.taps())?
    };
    let name = if is_pointwise(p) {
        "conv_2d_1x1"
    } else {
        "conv_2d"
    };
    Some((name, rescales_bytes(p.group_out_c()).checked_add(rows)?))
}

fn fully_connected_bytes(p: &ops::FullyConnected) -> Option<u32> {
    if p.rows == 1 && p.layout == WeightLayout::Interleave2x16 {
        return Some(0);
    }
    let rows = if p.layout == WeightLayout::Portable {
        0
    } else {
        copies_bytes(p.in_c)?
    };
    rescales_bytes(p.out_c).checked_add(rows)
}

fn transpose_bytes(p: &ops::TransposeConv2d) -> Option<u32> {
    let (in_c, out_c) = (
        p.in_c.checked_div(p.groups)?,
        p.out_c.checked_div(p.groups)?,
    );
    let taps = (p.window.kernel_h * p.window.kernel_w).checked_mul(in_c)?;
    rescales_bytes(out_c).checked_add(rows_bytes(taps)?)
}

/// Four of the input's rows, which are read in whole runs: for the last ones, of which that would reach beyond the input.
fn copies_bytes(taps: u32) -> Option<u32> {
    if taps.is_multiple_of(16) {
        return Some(0);
    }
    taps.checked_next_multiple_of(16)?.checked_mul(4)
}

/// Bytes of gathered rows, about.
const ROWS_BYTES: u32 = 1280;

/// Rows of inputs in whole runs: four of them, or up to sixteen while they are short.
fn rows_bytes(taps: u32) -> Option<u32> {
    let row = taps.checked_next_multiple_of(16)?;
    let fours = (ROWS_BYTES / 4).checked_div(row)?.clamp(1, 4);
    row.checked_mul(4 * fours)
}

/// Output channels whose rescales are held at a time, a multiple of four.
pub(crate) const CHANNELS_MAX: usize = 64;

/// Rescales of as many of `out_c` channels as are held at a time, rounded up to four.
pub(crate) fn rescales_bytes(out_c: u32) -> u32 {
    out_c.min(CHANNELS_MAX as u32).next_multiple_of(4) * 16
}

/// Input channels that a depthwise layer takes at a time.
pub(crate) const LANES: usize = 8;
/// Output channels for each input channel, at most.
const MULTIPLIER_MAX: u32 = 8;
/// Output columns of a plane, at most.
const TILE_MAX: u32 = 32;

/// How the planes of a depthwise layer lie, and its scratch: rescales, places of outputs, weights, planes, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planes {
    /// Output rows of a plane. Above the picture's where that has fewer.
    pub rows: u32,
    /// Output columns of a plane.
    pub tile: u32,
    /// Vectors of a window.
    pub vectors: u32,
    /// Input rows of a plane: bytes of a column.
    pub height: u32,
    /// Bytes of a plane.
    pub bytes: u32,
    pub rescales_bytes: u32,
    pub places_bytes: u32,
    pub weights_bytes: u32,
    pub planes_bytes: u32,
}

impl Planes {
    /// `None` where a window spans more than two vectors, or a distance leaves 16 bits.
    pub(crate) fn new(p: &ops::DepthwiseConv2d) -> Option<Planes> {
        let w = &p.window;
        let beside = w.dilation_w == 1 || w.kernel_w == 1;
        if !beside || p.multiplier > MULTIPLIER_MAX {
            return None;
        }
        // More rows share the input rows between them, but widen the window; each inner loop has its count.
        let window = (w.kernel_h - 1) * w.dilation_h + 1;
        let shape = |rows: u32| {
            let height = (rows - 1) * w.stride_h + window;
            let span = (w.kernel_w - 1).checked_mul(height)?.checked_add(window)?;
            Some((rows, height, span.div_ceil(16)))
        };
        let (rows, height, vectors) = match (w.stride_h, w.stride_w, shape(4)?, shape(2)?) {
            (1, 1, four @ (_, 6, 1), _) => four,
            (2, 2, _, two @ (_, 5, 1)) => two,
            (_, _, _, (rows, height, 1 | 2)) => (rows, height, 2),
            _ => {
                let (rows, height, vectors) = shape(1)?;
                (rows, height, vectors.max(2))
            }
        };
        let tile = w.out_w.div_ceil(w.out_w.div_ceil(TILE_MAX).max(1));
        let columns = (tile - 1)
            .checked_mul(w.stride_w)?
            .checked_add(w.kernel_w)?;
        let bytes = columns.checked_mul(height)?;
        let (lanes, members) = (LANES as u32, LANES as u32 * p.multiplier);
        let reach = rows.checked_mul(w.out_w)?.checked_mul(p.out_c())?;
        // 16 bits of a place, of which one value, or with two vectors the sign, says that there is none.
        let places = if vectors == 1 {
            u16::MAX
        } else {
            i16::MAX as u16
        };
        let fits = vectors <= 2 && bytes <= 4096 && reach <= u32::from(places);
        let padded_bytes = bytes
            .checked_mul(lanes)?
            .checked_add(64 + 8 * height * w.stride_w);
        fits.then_some(Planes {
            rows,
            tile,
            vectors,
            height,
            bytes,
            rescales_bytes: members * 16,
            places_bytes: (rows * tile).next_multiple_of(8) * 2,
            weights_bytes: members * vectors * 16,
            planes_bytes: padded_bytes?,
        })
    }

    fn scratch_bytes(&self) -> u32 {
        self.rescales_bytes + self.places_bytes + self.weights_bytes + self.planes_bytes
    }
}

/// Planes; or a window with its padding filled in, which wants a channel multiplier of 1.
fn depthwise_bytes(p: &ops::DepthwiseConv2d) -> Option<u32> {
    match Planes::new(p) {
        Some(planes) => Some(planes.scratch_bytes()),
        None if p.multiplier == 1 => p.in_c.checked_mul(p.window.kernel_h * p.window.kernel_w),
        None => None,
    }
}
