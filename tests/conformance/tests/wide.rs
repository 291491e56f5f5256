//! Output channels with weights beyond `s8` (`docs/numerics.md`, rule 4): against 128-bit integers that read the rule, and against the plain
//! reference where the weights would have fitted.

use ocellus_format::{
    Requant, WeightLayout,
    ops::{self, OutputS8, Window2d},
};
use ocellus_kernels::{ConvIo, WideIo, reference};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u32) -> u32 {
        (self.bits() % u64::from(limit)) as u32
    }

    fn s8s(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.bits() as i8).collect()
    }

    /// In `-255..=255`, the ends often.
    fn wide(&mut self, len: usize) -> Vec<i16> {
        let mut one = || match self.below(4) {
            0 => 255,
            1 => -255,
            _ => self.below(511) as i16 - 255,
        };
        (0..len).map(|_| one()).collect()
    }

    fn window(&mut self) -> Window2d {
        Window2d {
            in_h: 1 + self.below(6),
            in_w: 1 + self.below(6),
            out_h: 1 + self.below(5),
            out_w: 1 + self.below(5),
            kernel_h: 1 + self.below(3),
            kernel_w: 1 + self.below(3),
            stride_h: 1 + self.below(3),
            stride_w: 1 + self.below(3),
            dilation_h: 1 + self.below(2),
            dilation_w: 1 + self.below(2),
            pad_top: self.below(3),
            pad_left: self.below(3),
        }
    }

    fn output(&mut self) -> OutputS8 {
        let (a, b) = (self.bits() as i8, self.bits() as i8);
        OutputS8 {
            zero_point: self.bits() as i8,
            min: a.min(b),
            max: a.max(b),
        }
    }
}

struct Layer {
    x: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    shifts: Vec<u8>,
}

impl Layer {
    fn draw(random: &mut Random, x_len: usize, out_c: usize) -> Layer {
        Layer {
            x: random.s8s(x_len),
            bias: (0..out_c).map(|_| random.bits() as i32 >> 14).collect(),
            multipliers: (0..out_c)
                .map(|_| (1 << 30) + random.below(1 << 30) as i32)
                .collect(),
            shifts: (0..out_c).map(|_| 36 + random.below(8) as u8).collect(),
        }
    }

    fn io<'a>(&'a self, channels: &'a [u16], weights: &'a [i16], y: &'a mut [i8]) -> WideIo<'a> {
        WideIo {
            x: &self.x,
            channels,
            weights,
            bias: &self.bias,
            multipliers: &self.multipliers,
            shifts: &self.shifts,
            y,
        }
    }

    /// The rule, with nothing that could overflow.
    fn finish(&self, oc: usize, sum: i128, output: OutputS8) -> i8 {
        let r = Requant {
            multiplier: self.multipliers[oc],
            shift: self.shifts[oc],
        };
        let acc = sum + i128::from(self.bias[oc]);
        let scaled =
            (acc * i128::from(r.multiplier) * 2 + (1 << r.shift)).div_euclid(1 << (r.shift + 1));
        let y = scaled + i128::from(output.zero_point);
        y.clamp(output.min.into(), output.max.into()) as i8
    }
}

/// What an output channel's tap reads, by row, column and input channel.
fn tap(w: &Window2d, layer: &Layer, in_c: usize, zero: i8, at: [u32; 4], ic: usize) -> i128 {
    let [oy, ox, ky, kx] = at;
    let iy = i64::from(oy * w.stride_h + ky * w.dilation_h) - i64::from(w.pad_top);
    let ix = i64::from(ox * w.stride_w + kx * w.dilation_w) - i64::from(w.pad_left);
    let inside = (0..i64::from(w.in_h)).contains(&iy) && (0..i64::from(w.in_w)).contains(&ix);
    let index = (iy * i64::from(w.in_w) + ix) * in_c as i64 + ic as i64;
    i128::from(if inside {
        layer.x[index as usize]
    } else {
        zero
    })
}

/// Every second channel is wide; the others must stay what was there.
fn holds(
    random: &mut Random,
    window: &Window2d,
    [in_c, out_c, run]: [usize; 3],
    zero: i8,
    output: OutputS8,
    first_ic: impl Fn(usize) -> usize,
    kernel: impl Fn(WideIo<'_>),
) {
    let layer = Layer::draw(random, (window.in_h * window.in_w) as usize * in_c, out_c);
    let channels: Vec<u16> = (0..out_c as u16).step_by(2).collect();
    let taps = (window.kernel_h * window.kernel_w) as usize * run;
    let weights = random.wide(channels.len() * taps);
    let before = random.s8s((window.out_h * window.out_w) as usize * out_c);
    let mut y = before.clone();
    kernel(layer.io(&channels, &weights, &mut y));
    let mut expected = before;
    for (n, &oc) in channels.iter().enumerate() {
        let oc = usize::from(oc);
        for oy in 0..window.out_h {
            for ox in 0..window.out_w {
                let mut sum = 0;
                for ky in 0..window.kernel_h {
                    for kx in 0..window.kernel_w {
                        for i in 0..run {
                            let at = [oy, ox, ky, kx];
                            let x = tap(window, &layer, in_c, zero, at, first_ic(oc) + i);
                            let w = (ky * window.kernel_w + kx) as usize * run + i;
                            sum += x * i128::from(weights[n * taps + w]);
                        }
                    }
                }
                let index = (oy * window.out_w + ox) as usize * out_c + oc;
                expected[index] = layer.finish(oc, sum, output);
            }
        }
    }
    assert_eq!(y, expected);
}

#[test]
fn wide_channels_follow_the_rule() {
    let mut random = Random(11);
    for _ in 0..300 {
        let window = random.window();
        let groups = 1 + random.below(3);
        let (run, members) = (1 + random.below(5), 1 + random.below(4));
        let (zero, output) = (random.bits() as i8, random.output());
        let p = ops::Conv2d {
            window,
            in_c: groups * run,
            out_c: groups * members,
            groups,
            zero_point_in: zero,
            output,
            layout: WeightLayout::Portable,
            acc_bound: 0,
        };
        let sizes = [p.in_c, p.out_c, run].map(|size| size as usize);
        holds(
            &mut random,
            &window,
            sizes,
            zero,
            output,
            |oc| oc / members as usize * run as usize,
            |io| reference::conv_2d_wide_s8(&p, io),
        );

        let p = ops::DepthwiseConv2d {
            window,
            in_c: 1 + random.below(6),
            multiplier: 1 + random.below(3),
            zero_point_in: zero,
            output,
            acc_bound: 0,
        };
        let sizes = [p.in_c as usize, p.out_c() as usize, 1];
        holds(
            &mut random,
            &window,
            sizes,
            zero,
            output,
            |oc| oc / p.multiplier as usize,
            |io| reference::depthwise_conv_2d_wide_s8(&p, io),
        );

        let p = ops::FullyConnected {
            rows: 1 + random.below(4),
            in_c: 1 + random.below(40),
            out_c: 1 + random.below(6),
            output,
            layout: WeightLayout::Portable,
            acc_bound: 0,
        };
        let column = Window2d {
            in_h: p.rows,
            in_w: 1,
            out_h: p.rows,
            out_w: 1,
            kernel_h: 1,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        };
        let sizes = [p.in_c as usize, p.out_c as usize, p.in_c as usize];
        holds(
            &mut random,
            &column,
            sizes,
            0,
            output,
            |_| 0,
            |io| reference::fully_connected_wide_s8(&p, io),
        );
    }
}

#[test]
fn narrow_weights_give_what_the_layer_gives() {
    let mut random = Random(12);
    for _ in 0..200 {
        let (window, output) = (random.window(), random.output());
        let p = ops::Conv2d {
            window,
            in_c: 1 + random.below(8),
            out_c: 1 + random.below(8),
            groups: 1,
            zero_point_in: random.bits() as i8,
            output,
            layout: WeightLayout::Portable,
            acc_bound: 0,
        };
        let x_len = (window.in_h * window.in_w * p.in_c) as usize;
        let layer = Layer::draw(&mut random, x_len, p.out_c as usize);
        let weights = random.s8s((p.taps() * p.out_c) as usize);
        let mut plain = vec![0; (window.out_h * window.out_w * p.out_c) as usize];
        let io = ConvIo {
            x: &layer.x,
            weights: &weights,
            bias: &layer.bias,
            multipliers: &layer.multipliers,
            shifts: &layer.shifts,
            y: &mut plain,
            scratch: &mut [],
        };
        reference::conv_2d_s8(&p, io);
        let channels: Vec<u16> = (0..p.out_c as u16).collect();
        let weights: Vec<i16> = weights.iter().map(|&w| i16::from(w)).collect();
        let mut wide = vec![0; plain.len()];
        reference::conv_2d_wide_s8(&p, layer.io(&channels, &weights, &mut wide));
        assert_eq!(wide, plain);
    }
}

#[test]
fn damaged_lists_write_nothing_else() {
    let mut random = Random(13);
    let p = ops::FullyConnected {
        rows: 2,
        in_c: 3,
        out_c: 4,
        output: OutputS8::unclamped(0),
        layout: WeightLayout::Portable,
        acc_bound: 0,
    };
    let layer = Layer::draw(&mut random, 6, 4);
    let before = random.s8s(8);
    let mut y = before.clone();
    reference::fully_connected_wide_s8(&p, layer.io(&[4, u16::MAX], &[1; 6], &mut y));
    assert_eq!(y, before);
}
