//! Operands of kernels: slices in, slices out, scratch handed in.
//!
//! Lengths are those that the operator's parameters say (`ocellus_format::ops`). A kernel that is handed other lengths leaves the
//! output unspecified, but never panics and never reads or writes outside its slices.

/// Operands of a convolution, depthwise convolution, transposed convolution or fully connected layer.
#[derive(Debug)]
pub struct ConvIo<'a> {
    /// Input, `Nhwc`, or `[rows, in_c]`.
    pub x: &'a [i8],
    /// Weights, in the layout that the parameters name.
    pub weights: &'a [i8],
    /// One an output channel.
    pub bias: &'a [i32],
    /// One an output channel.
    pub multipliers: &'a [i32],
    /// One an output channel.
    pub shifts: &'a [u8],
    /// Output, `Nhwc`, or `[rows, out_c]`.
    pub y: &'a mut [i8],
    /// As many bytes as [`crate::select`] says, or fewer, where a kernel without scratch runs; 16-byte aligned in the engine.
    pub scratch: &'a mut [u8],
}

/// Operands of a convolution that is added to another tensor.
#[derive(Debug)]
pub struct Conv2dAddIo<'a> {
    /// The other tensor and the output.
    pub a_y: InOut<'a>,
    /// The convolution's input, `Nhwc`.
    pub x: &'a [i8],
    /// Weights, in the layout that the parameters name.
    pub weights: &'a [i8],
    /// One an output channel.
    pub bias: &'a [i32],
    /// One an output channel.
    pub multipliers: &'a [i32],
    /// One an output channel.
    pub shifts: &'a [u8],
    /// A band, then scratch of the convolution's kernel; without room for a band nothing is written.
    pub scratch: &'a mut [u8],
}

/// Operands of a layer's output channels whose weights do not fit `s8`.
#[derive(Debug)]
pub struct WideIo<'a> {
    /// Input, as the layer has it.
    pub x: &'a [i8],
    /// Which output channels.
    pub channels: &'a [u16],
    /// `[channels, taps]`, the taps in the order of portable weights of one output channel.
    pub weights: &'a [i16],
    /// One an output channel of the layer.
    pub bias: &'a [i32],
    /// One an output channel of the layer.
    pub multipliers: &'a [i32],
    /// One an output channel of the layer.
    pub shifts: &'a [u8],
    /// Output, which the layer's kernel has written.
    pub y: &'a mut [i8],
}

/// One input, one output.
#[derive(Debug)]
pub struct UnaryIo<'a> {
    /// Input.
    pub x: &'a [i8],
    /// Output.
    pub y: &'a mut [i8],
}

/// Operands of an average pool.
#[derive(Debug)]
pub struct AveragePoolIo<'a> {
    /// Input, `Nhwc`.
    pub x: &'a [i8],
    /// One, or one for each count of taps.
    pub multipliers: &'a [i32],
    /// One, or one for each count of taps.
    pub shifts: &'a [u8],
    /// Output, `Nhwc`.
    pub y: &'a mut [i8],
}

/// The first operand of an operator that may run in place.
#[derive(Debug)]
pub enum InOut<'a> {
    /// Input and output lie apart.
    Apart(&'a [i8], &'a mut [i8]),
    /// The output replaces the input.
    InPlace(&'a mut [i8]),
}

impl InOut<'_> {
    /// Input element `index`, or 0 outside. In place, it is the output's element, once that has been written.
    #[inline]
    pub fn get(&self, index: usize) -> i8 {
        let x: &[i8] = match self {
            InOut::Apart(x, _) => x,
            InOut::InPlace(x) => x,
        };
        x.get(index).copied().unwrap_or(0)
    }

    /// Writes output element `index`, where there is one.
    #[inline]
    pub fn put(&mut self, index: usize, value: i8) {
        let (InOut::Apart(_, y) | InOut::InPlace(y)) = self;
        if let Some(slot) = y.get_mut(index) {
            *slot = value;
        }
    }
}

/// Two inputs with broadcast, one output.
#[derive(Debug)]
pub struct BinaryIo<'a> {
    /// First input and the output.
    pub a_y: InOut<'a>,
    /// Second input.
    pub b: &'a [i8],
}

/// Operands of a table look-up.
#[derive(Debug)]
pub struct LookupIo<'a> {
    /// Input and output.
    pub x_y: InOut<'a>,
    /// 256 entries, `table[x + 128]`.
    pub table: &'a [i8],
}

/// Operands of a leaky rectifier with a slope for each channel.
#[derive(Debug)]
pub struct PreluIo<'a> {
    /// Input and output.
    pub x_y: InOut<'a>,
    /// One a channel, negative side.
    pub multipliers: &'a [i32],
    /// One a channel, negative side.
    pub shifts: &'a [u8],
}

/// Operands of a softmax.
#[derive(Debug)]
pub struct SoftmaxIo<'a> {
    /// Input, `[rows, n]`.
    pub x: &'a [i8],
    /// 256 entries, by distance from the row's maximum.
    pub table: &'a [u32],
    /// Output, `[rows, n]`.
    pub y: &'a mut [i8],
}

/// One input, index tables, one output: gather and resize.
#[derive(Debug)]
pub struct IndexedIo<'a> {
    /// Input.
    pub x: &'a [i8],
    /// Indices of a gather; row table of a resize.
    pub rows: &'a [u16],
    /// Column table of a resize; empty for a gather.
    pub columns: &'a [u16],
    /// Output.
    pub y: &'a mut [i8],
}

/// Indices to read.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each variant is the element type of its name")]
pub enum Indices<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    S32(&'a [i32]),
}

impl Indices<'_> {
    /// Index `at` of an axis of `n`: one below zero counts from the end, and what then lies outside is the nearest inside. 0 outside of the slice.
    #[inline]
    pub fn of_axis(&self, at: usize, n: u32) -> usize {
        let index = match self {
            Indices::U8(list) => list.get(at).map_or(0, |&i| i64::from(i)),
            Indices::U16(list) => list.get(at).map_or(0, |&i| i64::from(i)),
            Indices::S32(list) => list.get(at).map_or(0, |&i| i64::from(i)),
        };
        let from_start = if index < 0 {
            index + i64::from(n)
        } else {
            index
        };
        // Not `clamp`, which could panic.
        from_start.min(i64::from(n) - 1).max(0) as usize
    }
}

/// Indices to write.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant is the element type of its name")]
pub enum IndicesMut<'a> {
    U8(&'a mut [u8]),
    U16(&'a mut [u16]),
}

impl IndicesMut<'_> {
    /// Writes element `at`, where there is one.
    #[inline]
    pub fn put(&mut self, at: usize, index: usize) {
        match self {
            IndicesMut::U8(list) => {
                if let Some(slot) = list.get_mut(at) {
                    *slot = index as u8;
                }
            }
            IndicesMut::U16(list) => {
                if let Some(slot) = list.get_mut(at) {
                    *slot = index as u16;
                }
            }
        }
    }
}

/// Operands of what finds the largest values.
#[derive(Debug)]
pub struct ArgMaxIo<'a> {
    /// Input.
    pub x: &'a [i8],
    /// Output.
    pub y: IndicesMut<'a>,
}

/// Operands of a product of computed matrices.
#[derive(Debug)]
pub struct BatchMatMulIo<'a> {
    /// First stack of matrices.
    pub a: &'a [i8],
    /// Second stack of matrices.
    pub b: &'a [i8],
    /// Output.
    pub y: &'a mut [i8],
}

/// Operands of a normalization of rows.
#[derive(Debug)]
pub struct LayerNormIo<'a> {
    /// Input, `[rows, n]`.
    pub x: &'a [i8],
    /// One a parameter.
    pub multipliers: &'a [i32],
    /// One a parameter.
    pub shifts: &'a [u8],
    /// One a parameter.
    pub offsets: &'a [i32],
    /// Output, `[rows, n]`.
    pub y: &'a mut [i8],
}

/// Operands of what picks by computed indices.
#[derive(Debug)]
pub struct TakeIo<'a> {
    /// Input.
    pub x: &'a [i8],
    /// Indices.
    pub indices: Indices<'a>,
    /// Output.
    pub y: &'a mut [i8],
}
