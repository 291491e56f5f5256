//! Layers to measure: those that most of CenterFace's time goes to, at 640x448, and a classifier's last one.
//!
//! `cargo bench -p ocellus-kernel-benches` runs each on every instruction set that the machine has, one thread, and gives
//! multiply-accumulates a second (criterion's `elem/s`).

use ocellus_format::{
    WeightLayout,
    ops::{Conv2d, DepthwiseConv2d, FullyConnected, OutputS8, Window2d},
};
use ocellus_kernels::{ConvIo, Kernels, WithKernels, select};

/// More than any kernel wants for these layers.
const SCRATCH_BYTES: usize = 64 * 1024;

/// A layer's operator.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each variant is the operator of its name")]
pub enum Operator {
    Conv2d(Conv2d),
    DepthwiseConv2d(DepthwiseConv2d),
    FullyConnected(FullyConnected),
}

/// A layer with operands.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it shows up as.
    pub name: &'static str,
    /// Multiply-accumulates of a run.
    pub macs: u64,
    operator: Operator,
    x: Vec<i8>,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    shifts: Vec<u8>,
    y: Vec<i8>,
    scratch: Vec<u8>,
}

impl Layer {
    fn new(name: &'static str, operator: Operator) -> Layer {
        let area = |h: u32, w: u32| h as usize * w as usize;
        let output = |w: &Window2d| area(w.out_h, w.out_w);
        let input = |w: &Window2d| area(w.in_h, w.in_w);
        let (x, weights, out_c, y, taps) = match &operator {
            Operator::Conv2d(p) => (
                input(&p.window) * p.in_c as usize,
                (p.taps() * p.out_c) as usize,
                p.out_c,
                output(&p.window) * p.out_c as usize,
                p.taps(),
            ),
            Operator::DepthwiseConv2d(p) => {
                let window = p.window.kernel_h * p.window.kernel_w;
                (
                    input(&p.window) * p.in_c as usize,
                    (window * p.in_c) as usize,
                    p.in_c,
                    output(&p.window) * p.in_c as usize,
                    window,
                )
            }
            Operator::FullyConnected(p) => (
                area(p.rows, p.in_c),
                area(p.out_c, p.in_c),
                p.out_c,
                area(p.rows, p.out_c),
                p.in_c,
            ),
        };
        // Sums of random products that fill the range of `s8`.
        let shift = 31 + 7 + taps.isqrt().max(1).ilog2() as u8;
        let values = |len: usize, factor: usize| {
            (0..len)
                .map(|i| ((i.wrapping_mul(factor) >> 7) % 255) as u8)
                .map(|byte| byte.wrapping_sub(127).cast_signed())
                .collect()
        };
        Layer {
            name,
            macs: y as u64 * u64::from(taps),
            operator,
            x: values(x, 2_654_435_761),
            weights: values(weights, 40_503),
            bias: (0..out_c as i32).map(|channel| channel * 31).collect(),
            multipliers: vec![1_500_000_000; out_c as usize],
            shifts: vec![shift; out_c as usize],
            y: vec![0; y],
            scratch: vec![0; SCRATCH_BYTES],
        }
    }

    /// The outputs of the last run.
    pub fn output(&self) -> &[i8] {
        &self.y
    }
}

/// Runs a layer once with the kernels that it is dispatched to; the kernel's name comes back.
pub struct Run<'a>(pub &'a mut Layer);

impl WithKernels for Run<'_> {
    type Output = String;

    fn run<K: Kernels>(self, kernels: K) -> String {
        let layer = self.0;
        // As the engine hands it over: at a multiple of 16.
        let aligned = layer.scratch.as_ptr().align_offset(16);
        let scratch = layer.scratch.get_mut(aligned..).unwrap_or_default();
        let io = ConvIo {
            x: &layer.x,
            weights: &layer.weights,
            bias: &layer.bias,
            multipliers: &layer.multipliers,
            shifts: &layer.shifts,
            y: &mut layer.y,
            scratch,
        };
        match &layer.operator {
            Operator::Conv2d(p) => {
                kernels.conv_2d_s8(p, io);
                select::conv_2d(K::ISA, p).display().to_string()
            }
            Operator::DepthwiseConv2d(p) => {
                kernels.depthwise_conv_2d_s8(p, io);
                select::depthwise_conv_2d(K::ISA, p).display().to_string()
            }
            Operator::FullyConnected(p) => {
                kernels.fully_connected_s8(p, io);
                select::fully_connected(K::ISA, p).display().to_string()
            }
        }
    }
}

/// The layers.
pub fn layers() -> [Layer; 4] {
    let window = |h: u32, w: u32, kernel: u32| Window2d {
        in_h: h,
        in_w: w,
        out_h: h,
        out_w: w,
        kernel_h: kernel,
        kernel_w: kernel,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: kernel / 2,
        pad_left: kernel / 2,
    };
    let conv_2d = |window: Window2d, channels: u32| {
        Operator::Conv2d(Conv2d {
            window,
            in_c: channels,
            out_c: channels,
            groups: 1,
            zero_point_in: -3,
            output: OutputS8::unclamped(5),
            layout: WeightLayout::Portable,
            acc_bound: 0,
        })
    };
    let depthwise = DepthwiseConv2d {
        window: window(112, 160, 3),
        in_c: 96,
        multiplier: 1,
        zero_point_in: -3,
        output: OutputS8::unclamped(5),
        acc_bound: 0,
    };
    let fully_connected = FullyConnected {
        rows: 1,
        in_c: 640,
        out_c: 128,
        output: OutputS8::unclamped(5),
        layout: WeightLayout::Portable,
        acc_bound: 0,
    };
    [
        Layer::new(
            "conv_2d 1x1 112x160 64 to 64",
            conv_2d(window(112, 160, 1), 64),
        ),
        Layer::new("conv_2d 3x3 56x80 32 to 32", conv_2d(window(56, 80, 3), 32)),
        Layer::new(
            "depthwise_conv_2d 3x3 112x160 96",
            Operator::DepthwiseConv2d(depthwise),
        ),
        Layer::new(
            "fully_connected 640 to 128",
            Operator::FullyConnected(fully_connected),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocellus_format::Isa;
    use ocellus_kernels::dispatch;

    #[test]
    fn outputs_vary_and_equal_the_reference() {
        for mut layer in layers() {
            dispatch(Isa::Reference, Run(&mut layer));
            let expected = layer.output().to_vec();
            let first = expected[0];
            assert!(expected.iter().any(|&y| y != first), "{}", layer.name);
            for isa in Isa::ALL {
                layer.y.fill(0);
                if dispatch(isa, Run(&mut layer)).is_some() {
                    assert!(layer.output() == expected, "{} {}", layer.name, isa.name());
                }
            }
        }
    }
}
