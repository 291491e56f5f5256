//! Layers too large for the cases of conformance: several rounds over packed weights, pieces of a picture, large workspaces, the borders of all. On whatever of its instruction
//! sets a machine has.

use std::{vec, vec::Vec};

use ocellus_format::{
    Isa, WeightLayout,
    ops::{Conv2d, DepthwiseConv2d, FullyConnected, OutputS8, TransposeConv2d, Window2d},
};

use crate::{
    ConvIo, Kernels, WithKernels, dispatch, layout::pack_conv_2d, reference, select::Select,
};

fn values(len: usize, seed: u32) -> Vec<i8> {
    let mut state = seed | 1;
    core::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        ((state >> 8) as i8).max(-127)
    })
    .take(len)
    .collect()
}

/// Operands of a layer.
#[derive(Clone)]
struct Layer {
    x: Vec<i8>,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    shifts: Vec<u8>,
    y_len: usize,
}

impl Layer {
    fn new(x_len: u32, weights_len: u32, out_c: u32, y_len: u32, taps: u32) -> Layer {
        let shift = 38 + taps.isqrt().max(1).ilog2() as u8;
        Layer {
            x: values(x_len as usize, 1),
            weights: values(weights_len as usize, 2),
            bias: (0..out_c as i32).map(|channel| channel * 37).collect(),
            multipliers: (0..out_c as i32)
                .map(|channel| (1 << 30) + channel * 100_003)
                .collect(),
            shifts: vec![shift; out_c as usize],
            y_len: y_len as usize,
        }
    }

    fn run(&self, kernel: impl FnOnce(ConvIo<'_>)) -> Vec<i8> {
        let mut y = vec![0x55; self.y_len];
        kernel(ConvIo {
            x: &self.x,
            weights: &self.weights,
            bias: &self.bias,
            multipliers: &self.multipliers,
            shifts: &self.shifts,
            y: &mut y,
            scratch: &mut [],
        });
        y
    }
}

/// Runs a layer with a method of the kernels, and compares with the reference.
macro_rules! equal {
    ($method:ident, $params:ty, $p:expr, $layer:expr) => {{
        struct Work<'a>(&'a $params, &'a Layer);
        impl WithKernels for Work<'_> {
            type Output = Vec<i8>;
            fn run<K: Kernels>(self, k: K) -> Vec<i8> {
                assert_eq!(self.0.select(K::ISA).isa, K::ISA);
                self.1.run(|io| k.$method(self.0, io))
            }
        }
        let (p, layer) = ($p, $layer);
        let expected = layer.run(|io| reference::$method(&p, io));
        assert!(expected.iter().any(|&y| y != expected[0]));
        for isa in [
            Isa::Avx2,
            Isa::Avx512Vnni,
            Isa::Neon,
            Isa::NeonDot,
            Isa::NeonI8mm,
        ] {
            if let Some(actual) = dispatch(isa, Work(&p, &layer)) {
                assert!(actual == expected, "{} {p:?}", isa.name());
            }
        }
    }};
}

fn window(size: u32, kernel: u32, stride: u32) -> Window2d {
    Window2d {
        in_h: size,
        in_w: size,
        out_h: size.div_ceil(stride),
        out_w: size.div_ceil(stride),
        kernel_h: kernel,
        kernel_w: kernel,
        stride_h: stride,
        stride_w: stride,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: kernel / 2,
        pad_left: kernel / 2,
    }
}

const OUTPUT: OutputS8 = OutputS8 {
    zero_point: 3,
    min: -100,
    max: 120,
};

#[test]
fn convolutions_of_many_taps_and_channels() {
    // 5120 taps are the most that are packed; 1024 and 32 channels fill the small workspace.
    for (size, kernel, stride, in_c, out_c) in [
        (9, 1, 1, 64, 600),
        (8, 1, 1, 1024, 32),
        (7, 1, 1, 1025, 33),
        (5, 3, 1, 200, 90),
        (4, 3, 2, 568, 40),
        (3, 1, 1, 5120, 65),
        (20, 5, 3, 3, 17),
        // Pieces of a picture; a last pixel whose taps end with the input.
        (70, 3, 1, 60, 9),
        (33, 1, 1, 5, 24),
    ] {
        let window = window(size, kernel, stride);
        let p = Conv2d {
            window,
            in_c,
            out_c,
            groups: 1,
            zero_point_in: -7,
            output: OUTPUT,
            layout: WeightLayout::Portable,
            acc_bound: 0,
        };
        let y_len = window.out_h * window.out_w * out_c;
        let layer = Layer::new(size * size * in_c, p.taps() * out_c, out_c, y_len, p.taps());
        equal!(conv_2d_s8, Conv2d, p, layer.clone());
        for layout in [
            WeightLayout::Interleave4x16,
            WeightLayout::Interleave8x4,
            WeightLayout::Interleave8x8,
        ] {
            // A bound that holds, so that kernels may leave steps out.
            let p = Conv2d {
                layout,
                acc_bound: p.taps() * 255 * 128 + 100_000,
                output: OutputS8::unclamped(3),
                ..p
            };
            let mut weights = vec![0; p.weights_len().unwrap() as usize];
            pack_conv_2d(&p, &layer.weights, &mut weights);
            let packed = Layer {
                weights,
                ..layer.clone()
            };
            equal!(conv_2d_s8, Conv2d, p, packed);
        }
    }
}

#[test]
fn depthwise_convolutions_of_many_channels() {
    for (size, kernel, stride, in_c) in [
        (4, 3, 1, 1030),
        (4, 3, 2, 2100),
        (9, 7, 1, 330),
        (18, 16, 1, 40),
        (11, 5, 1, 21),
        (12, 5, 2, 64),
        (140, 3, 1, 9),
    ] {
        let window = window(size, kernel, stride);
        let p = DepthwiseConv2d {
            window,
            in_c,
            multiplier: 1,
            zero_point_in: 9,
            output: OUTPUT,
            acc_bound: 0,
        };
        let taps = kernel * kernel;
        let y_len = window.out_h * window.out_w * in_c;
        let layer = Layer::new(size * size * in_c, taps * in_c, in_c, y_len, taps);
        equal!(depthwise_conv_2d_s8, DepthwiseConv2d, p, layer);
    }
}

#[test]
fn transposed_convolutions_of_many_channels() {
    for (size, kernel, stride, in_c, out_c) in [(5, 2, 2, 24, 24), (3, 4, 2, 130, 300)] {
        let window = Window2d {
            out_h: size * stride,
            out_w: size * stride,
            pad_top: 0,
            pad_left: 0,
            ..window(size, kernel, stride)
        };
        let p = TransposeConv2d {
            window,
            in_c,
            out_c,
            groups: 1,
            zero_point_in: -20,
            output: OUTPUT,
            acc_bound: 0,
        };
        let taps = kernel * kernel * in_c;
        let y_len = window.out_h * window.out_w * out_c;
        let layer = Layer::new(size * size * in_c, taps * out_c, out_c, y_len, taps);
        equal!(transpose_conv_2d_s8, TransposeConv2d, p, layer);
    }
}

#[test]
fn fully_connected_layers_of_few_and_many_rows() {
    for (rows, in_c, out_c) in [
        (1, 640, 128),
        (3, 7001, 11),
        (7, 640, 530),
        (50, 6000, 9),
        (2, 20_003, 11),
    ] {
        let p = FullyConnected {
            rows,
            in_c,
            out_c,
            output: OUTPUT,
            layout: WeightLayout::Portable,
            acc_bound: 0,
        };
        let layer = Layer::new(rows * in_c, in_c * out_c, out_c, rows * out_c, in_c);
        equal!(fully_connected_s8, FullyConnected, p, layer);
    }
}
