//! Convolution, depthwise, transposed, fully connected.

use ocellus_format::{DType, WeightLayout, ops};
use ocellus_kernels::{
    BinaryIo, Conv2dAddIo, ConvIo, InOut, Kernels,
    layout::{is_pairable, pack_conv_2d, pack_fully_connected},
    reference,
    select::Select,
};

use crate::{
    Case, Checked, Fault, binary,
    compare::{Targets, accept, accept_with, compare},
    draw,
    memory::Memory,
    rng::Rng,
    wide::Wide,
};

/// Products of a case: a reference on an emulated microcontroller does them in a blink.
const MACS: u64 = 150_000;
/// Bytes of an activation or a weight tensor.
const TENSOR: u64 = 20_000;

/// Halves channels, then the count of output rows, until the case is small.
struct Small {
    window: ops::Window2d,
    in_c: u32,
    out_c: u32,
}

impl Small {
    fn is_small(&self, groups: u32) -> bool {
        let w = &self.window;
        let out = u64::from(w.out_h) * u64::from(w.out_w);
        let weights =
            u64::from(w.kernel_h * w.kernel_w * (self.in_c / groups)) * u64::from(self.out_c);
        // Outputs of a transposed convolution see each weight less often: counted as if they did not.
        out * weights <= MACS
            && weights <= TENSOR
            && out * u64::from(self.out_c) <= TENSOR
            && u64::from(w.in_h * w.in_w) * u64::from(self.in_c) <= TENSOR
    }

    /// Gives rows and columns up first where `keep_channels`, else channels, which remain multiples of `groups`.
    fn shrink(mut self, groups: u32, keep_channels: bool) -> Small {
        while !self.is_small(groups) {
            let shrunk = keep_channels && self.halve_picture()
                || self.halve_channels(groups)
                || self.halve_picture();
            if !shrunk {
                break;
            }
        }
        self
    }

    /// Fewer outputs of the same picture, then less of what they do not read. False where there is but one.
    fn halve_picture(&mut self) -> bool {
        let w = &mut self.window;
        if w.out_h == 1 && w.out_w == 1 {
            return false;
        }
        if w.out_h >= w.out_w {
            w.out_h = w.out_h.div_ceil(2)
        } else {
            w.out_w = w.out_w.div_ceil(2)
        }
        w.in_h = w.in_h.min(w.out_h * w.stride_h + w.kernel_h * w.dilation_h);
        w.in_w = w.in_w.min(w.out_w * w.stride_w + w.kernel_w * w.dilation_w);
        true
    }

    /// False where each group has but one channel on both sides.
    fn halve_channels(&mut self, groups: u32) -> bool {
        let larger = if self.in_c >= self.out_c {
            &mut self.in_c
        } else {
            &mut self.out_c
        };
        let members = *larger / groups;
        *larger = members.div_ceil(2) * groups;
        members > 1
    }
}

/// Channels of both sides, multiples of the groups.
fn grouped(rng: &mut Rng) -> (u32, u32, u32) {
    if rng.one_in(5) {
        let groups = rng.pick(&[2, 3, 4, 5]);
        let members = [1, 2, 3, 4, 5, 8];
        (
            groups,
            groups * rng.pick(&members),
            groups * rng.pick(&members),
        )
    } else {
        (1, draw::channels(rng), draw::channels(rng))
    }
}

/// Operands of one layer.
pub(crate) struct Layer<'m> {
    pub(crate) x: &'m mut [i8],
    weights: &'m mut [i8],
    pub(crate) bias: &'m mut [i32],
    pub(crate) multipliers: &'m mut [i32],
    pub(crate) shifts: &'m mut [u8],
    acc_bound: u32,
}

impl<'m> Layer<'m> {
    fn draw(
        rng: &mut Rng,
        memory: &mut Memory<'m>,
        x_len: usize,
        weights_len: usize,
        out_c: usize,
        taps: u32,
        zero_point_folded: bool,
    ) -> Result<Layer<'m>, Fault> {
        let misalign = draw::misalign(rng);
        let x = memory.s8(x_len, misalign)?;
        let weights = memory.s8(weights_len, 0)?;
        let bias = memory.s32(out_c)?;
        let multipliers = memory.s32(out_c)?;
        let shifts = memory.bytes(out_c, 0)?;
        draw::activations(rng, x);
        draw::weights(rng, weights);
        let acc_bound = draw::biases(rng, taps, zero_point_folded, bias);
        draw::requants(rng, draw::sum_magnitude(taps), multipliers, shifts);
        Ok(Layer {
            x,
            weights,
            bias,
            multipliers,
            shifts,
            acc_bound,
        })
    }

    /// A layout, where it can hold these weights.
    fn layout(&self, wanted: WeightLayout) -> WeightLayout {
        let held = wanted != WeightLayout::Pair2x4
            || self.acc_bound < WeightLayout::ACC_BOUND_PAIR && is_pairable(self.weights);
        if held { wanted } else { WeightLayout::Portable }
    }

    fn inputs(&self, weights_len: usize) -> [(DType, usize); 5] {
        [
            (DType::S8, self.x.len()),
            (DType::S8, weights_len),
            (DType::S32, self.bias.len()),
            (DType::S32, self.multipliers.len()),
            (DType::U8, self.shifts.len()),
        ]
    }

    fn io<'a>(&'a self, weights: &'a [i8], y: &'a mut [i8], scratch: &'a mut [u8]) -> ConvIo<'a> {
        ConvIo {
            x: self.x,
            weights,
            bias: self.bias,
            multipliers: self.multipliers,
            shifts: self.shifts,
            y,
            scratch,
        }
    }
}

pub(crate) struct Conv2d;

impl Case for Conv2d {
    type Params = ops::Conv2d;

    fn draw(rng: &mut Rng) -> ops::Conv2d {
        let (groups, in_c, out_c) = grouped(rng);
        let mut window = draw::window(rng, 12);
        if rng.one_in(3) {
            // The kernel of most layers of most networks.
            let (h, w) = (rng.size(1, 12), rng.size(1, 12));
            window = ops::Window2d {
                in_h: h,
                in_w: w,
                out_h: h,
                out_w: w,
                kernel_h: 1,
                kernel_w: 1,
                stride_h: 1,
                stride_w: 1,
                dilation_h: 1,
                dilation_w: 1,
                pad_top: 0,
                pad_left: 0,
            };
        }
        let pointwise = window.kernel_h == 1 && window.kernel_w == 1;
        let small = Small {
            window,
            in_c,
            out_c,
        }
        .shrink(groups, rng.one_in(2));
        let mut window = small.window;
        if pointwise
            && window.stride_h == 1
            && window.pad_top == 0
            && window.pad_left == 0
            && window.stride_w == 1
        {
            (window.in_h, window.in_w) = (window.out_h, window.out_w);
        }
        ops::Conv2d {
            window,
            in_c: small.in_c,
            out_c: small.out_c,
            groups,
            zero_point_in: draw::zero_point(rng),
            output: draw::output(rng),
            layout: rng.pick(&[
                WeightLayout::Portable,
                WeightLayout::Portable,
                WeightLayout::Interleave4x16,
                WeightLayout::Pair2x4,
                WeightLayout::Pair2x4,
                WeightLayout::Interleave8x4,
                WeightLayout::Interleave8x8,
                WeightLayout::Interleave2x16,
            ]),
            acc_bound: 0,
        }
    }

    /// The reference reads portable weights, whatever the kernel under test reads: so packing and reading are tested too.
    fn check<K: Kernels>(
        k: K,
        p: &ops::Conv2d,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let w = &p.window;
        let portable = ops::Conv2d {
            layout: WeightLayout::Portable,
            ..*p
        };
        let x_len = (w.in_h * w.in_w * p.in_c) as usize;
        let y_len = (w.out_h * w.out_w * p.out_c) as usize;
        let layer = Layer::draw(
            rng,
            memory,
            x_len,
            (p.taps() * p.out_c) as usize,
            p.out_c as usize,
            p.taps(),
            true,
        )?;
        let p = &ops::Conv2d {
            acc_bound: layer.acc_bound,
            layout: layer.layout(p.layout),
            ..*p
        };
        let packed = memory.s8(p.weights_len().unwrap_or(0) as usize, 0)?;
        pack_conv_2d(p, layer.weights, packed);
        let wide = Wide::draw(rng, memory, p.out_c, p.taps())?;
        let mut inputs = [(DType::S8, 0); 7];
        let inputs = wide.inputs(layer.inputs(packed.len()), &mut inputs);
        accept(p, inputs, true, y_len)?;
        let targets = Targets {
            y_len,
            misalign: draw::misalign(rng),
            scratch_bytes: p.select(K::ISA).scratch_bytes as usize,
            x_len,
        };
        compare(
            memory,
            &targets,
            |y| {
                reference::conv_2d_s8(&portable, layer.io(layer.weights, y, &mut []));
                reference::conv_2d_wide_s8(&portable, wide.io(&layer, y));
            },
            |y, scratch| {
                k.conv_2d_s8(p, layer.io(packed, y, scratch));
                reference::conv_2d_wide_s8(p, wide.io(&layer, y));
            },
        )
    }
}

pub(crate) struct Conv2dAdd;

impl Case for Conv2dAdd {
    type Params = ops::Conv2dAdd;

    fn draw(rng: &mut Rng) -> ops::Conv2dAdd {
        let mut conv = Conv2d::draw(rng);
        let w = &mut conv.window;
        // The first row of every window lies in the picture or above it.
        w.out_h = w.out_h.min((w.in_h + w.pad_top - 1) / w.stride_h + 1);
        let rows = match rng.size(0, 2) {
            0 => 1,
            1 => w.out_h,
            _ => rng.size(1, w.out_h),
        };
        let add = ops::Add {
            binary: ops::Binary::flat([1, w.out_h, w.out_w, conv.out_c]),
            ..binary::Add::draw(rng)
        };
        ops::Conv2dAdd { conv, add, rows }
    }

    /// The reference is that of the convolution, whole, and of the sum.
    fn check<K: Kernels>(
        k: K,
        p: &ops::Conv2dAdd,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let (conv, w) = (&p.conv, &p.conv.window);
        let portable = ops::Conv2d {
            layout: WeightLayout::Portable,
            ..*conv
        };
        let x_len = (w.in_h * w.in_w * conv.in_c) as usize;
        let y_len = (w.out_h * w.out_w * conv.out_c) as usize;
        let taps = conv.taps();
        let (weights_len, out_c) = ((taps * conv.out_c) as usize, conv.out_c as usize);
        let layer = Layer::draw(rng, memory, x_len, weights_len, out_c, taps, true)?;
        let p = &ops::Conv2dAdd {
            conv: ops::Conv2d {
                acc_bound: layer.acc_bound,
                layout: layer.layout(conv.layout),
                ..*conv
            },
            ..*p
        };
        let packed = memory.s8(p.conv.weights_len().unwrap_or(0) as usize, 0)?;
        pack_conv_2d(&p.conv, layer.weights, packed);
        let misalign = draw::misalign(rng);
        let a = memory.s8(y_len, misalign)?;
        draw::activations(rng, a);
        let whole = memory.s8(y_len, 0)?;
        let mut inputs = [(DType::S8, y_len); 6];
        let (_, of_conv) = inputs.split_at_mut(1);
        of_conv.copy_from_slice(&layer.inputs(packed.len()));
        // The convolution's input is in the arena, its other operands are not.
        accept_with(p, &inputs, 2, (DType::S8, y_len))?;
        let in_place = rng.one_in(2);
        let targets = Targets {
            y_len,
            misalign: draw::misalign(rng),
            scratch_bytes: p.select(K::ISA).scratch_bytes as usize,
            x_len: x_len + y_len,
        };
        compare(
            memory,
            &targets,
            |y| {
                reference::conv_2d_s8(&portable, layer.io(layer.weights, whole, &mut []));
                let a_y = InOut::Apart(a, y);
                reference::add_s8(&p.add, BinaryIo { a_y, b: whole });
            },
            |y, scratch| {
                let a_y = if in_place {
                    y.copy_from_slice(a);
                    InOut::InPlace(y)
                } else {
                    InOut::Apart(a, y)
                };
                let io = Conv2dAddIo {
                    a_y,
                    x: layer.x,
                    weights: packed,
                    bias: layer.bias,
                    multipliers: layer.multipliers,
                    shifts: layer.shifts,
                    scratch,
                };
                k.conv_2d_add_s8(p, io);
            },
        )
    }
}

pub(crate) struct DepthwiseConv2d;

impl Case for DepthwiseConv2d {
    type Params = ops::DepthwiseConv2d;

    fn draw(rng: &mut Rng) -> ops::DepthwiseConv2d {
        let in_c = draw::channels(rng);
        let multiplier = rng.pick(&[1, 1, 1, 1, 2, 3]);
        let window = draw::window(rng, 14);
        // As many groups as input channels: only rows and columns can give way.
        let small = Small {
            window,
            in_c,
            out_c: in_c * multiplier,
        }
        .shrink(in_c, true);
        ops::DepthwiseConv2d {
            window: small.window,
            in_c,
            multiplier,
            zero_point_in: draw::zero_point(rng),
            output: draw::output(rng),
            acc_bound: 0,
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::DepthwiseConv2d,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let w = &p.window;
        let taps = w.kernel_h * w.kernel_w;
        let x_len = (w.in_h * w.in_w * p.in_c) as usize;
        let y_len = (w.out_h * w.out_w * p.out_c()) as usize;
        let weights_len = (taps * p.out_c()) as usize;
        let layer = Layer::draw(
            rng,
            memory,
            x_len,
            weights_len,
            p.out_c() as usize,
            taps,
            true,
        )?;
        let p = &ops::DepthwiseConv2d {
            acc_bound: layer.acc_bound,
            ..*p
        };
        let wide = Wide::draw(rng, memory, p.out_c(), taps)?;
        let mut inputs = [(DType::S8, 0); 7];
        let inputs = wide.inputs(layer.inputs(weights_len), &mut inputs);
        accept(p, inputs, true, y_len)?;
        let targets = Targets {
            y_len,
            misalign: draw::misalign(rng),
            scratch_bytes: p.select(K::ISA).scratch_bytes as usize,
            x_len,
        };
        compare(
            memory,
            &targets,
            |y| {
                reference::depthwise_conv_2d_s8(p, layer.io(layer.weights, y, &mut []));
                reference::depthwise_conv_2d_wide_s8(p, wide.io(&layer, y));
            },
            |y, scratch| {
                k.depthwise_conv_2d_s8(p, layer.io(layer.weights, y, scratch));
                reference::depthwise_conv_2d_wide_s8(p, wide.io(&layer, y));
            },
        )
    }
}

pub(crate) struct TransposeConv2d;

impl Case for TransposeConv2d {
    type Params = ops::TransposeConv2d;

    fn draw(rng: &mut Rng) -> ops::TransposeConv2d {
        let (groups, in_c, out_c) = grouped(rng);
        // The picture that the strides step over is the output.
        let backward = draw::window(rng, 12);
        let window = ops::Window2d {
            in_h: backward.out_h,
            in_w: backward.out_w,
            out_h: backward.in_h,
            out_w: backward.in_w,
            ..backward
        };
        let small = Small {
            window,
            in_c,
            out_c,
        }
        .shrink(groups, false);
        ops::TransposeConv2d {
            window: small.window,
            in_c: small.in_c,
            out_c: small.out_c,
            groups,
            zero_point_in: draw::zero_point(rng),
            output: draw::output(rng),
            acc_bound: 0,
        }
    }

    fn check<K: Kernels>(
        k: K,
        p: &ops::TransposeConv2d,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let w = &p.window;
        let taps = w.kernel_h * w.kernel_w * (p.in_c / p.groups);
        let x_len = (w.in_h * w.in_w * p.in_c) as usize;
        let y_len = (w.out_h * w.out_w * p.out_c) as usize;
        let weights_len = (taps * p.out_c) as usize;
        let layer = Layer::draw(
            rng,
            memory,
            x_len,
            weights_len,
            p.out_c as usize,
            taps,
            false,
        )?;
        let p = &ops::TransposeConv2d {
            acc_bound: layer.acc_bound,
            ..*p
        };
        accept(p, &layer.inputs(weights_len), true, y_len)?;
        let targets = Targets {
            y_len,
            misalign: draw::misalign(rng),
            scratch_bytes: p.select(K::ISA).scratch_bytes as usize,
            x_len,
        };
        compare(
            memory,
            &targets,
            |y| reference::transpose_conv_2d_s8(p, layer.io(layer.weights, y, &mut [])),
            |y, scratch| k.transpose_conv_2d_s8(p, layer.io(layer.weights, y, scratch)),
        )
    }
}

pub(crate) struct FullyConnected;

impl Case for FullyConnected {
    type Params = ops::FullyConnected;

    fn draw(rng: &mut Rng) -> ops::FullyConnected {
        let mut in_c = if rng.one_in(3) {
            rng.size(130, 700)
        } else {
            draw::channels(rng)
        };
        let mut out_c = draw::channels(rng);
        while u64::from(in_c * out_c) > TENSOR {
            (in_c, out_c) = (in_c.div_ceil(2), out_c.div_ceil(2));
        }
        let output = draw::output(rng);
        ops::FullyConnected {
            rows: rng.pick(&[1, 1, 1, 2, 3, 4, 5]),
            in_c,
            out_c,
            output,
            layout: rng.pick(&[
                WeightLayout::Portable,
                WeightLayout::Portable,
                WeightLayout::Interleave4x16,
                WeightLayout::Pair2x4,
                WeightLayout::Pair2x4,
                WeightLayout::Interleave8x4,
                WeightLayout::Interleave8x8,
                WeightLayout::Interleave2x16,
            ]),
            acc_bound: 0,
        }
    }

    /// The reference reads portable weights, as for a convolution.
    fn check<K: Kernels>(
        k: K,
        p: &ops::FullyConnected,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault> {
        let x_len = (p.rows * p.in_c) as usize;
        let y_len = (p.rows * p.out_c) as usize;
        let weights_len = (p.in_c * p.out_c) as usize;
        let layer = Layer::draw(
            rng,
            memory,
            x_len,
            weights_len,
            p.out_c as usize,
            p.in_c,
            true,
        )?;
        let p = &ops::FullyConnected {
            acc_bound: layer.acc_bound,
            layout: layer.layout(p.layout),
            ..*p
        };
        let portable = &ops::FullyConnected {
            layout: WeightLayout::Portable,
            ..*p
        };
        let packed = memory.s8(p.weights_len().unwrap_or(0) as usize, 0)?;
        pack_fully_connected(p, layer.weights, packed);
        let wide = Wide::draw(rng, memory, p.out_c, p.in_c)?;
        let mut inputs = [(DType::S8, 0); 7];
        let inputs = wide.inputs(layer.inputs(packed.len()), &mut inputs);
        accept(p, inputs, true, y_len)?;
        let targets = Targets {
            y_len,
            misalign: draw::misalign(rng),
            scratch_bytes: p.select(K::ISA).scratch_bytes as usize,
            x_len,
        };
        compare(
            memory,
            &targets,
            |y| {
                reference::fully_connected_s8(portable, layer.io(layer.weights, y, &mut []));
                reference::fully_connected_wide_s8(p, wide.io(&layer, y));
            },
            |y, scratch| {
                k.fully_connected_s8(p, layer.io(packed, y, scratch));
                reference::fully_connected_wide_s8(p, wide.io(&layer, y));
            },
        )
    }
}
