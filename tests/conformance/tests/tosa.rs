//! The reference against vectors that Arm's TOSA reference model computed. `vectors/generate.py` made them.

use ocellus_conformance::vectors::{Vector, read};
use ocellus_format::{
    Requant, WeightLayout,
    ops::{self, Binary, OutputS8, Window2d},
};
use ocellus_kernels::{
    AveragePoolIo, BinaryIo, ConvIo, InOut, IndexedIo, LookupIo, UnaryIo, layout::pack_conv_2d,
    reference,
};

fn window(v: &Vector) -> Window2d {
    Window2d {
        in_h: v.one("in_h"),
        in_w: v.one("in_w"),
        out_h: v.one("out_h"),
        out_w: v.one("out_w"),
        kernel_h: v.one("kernel_h"),
        kernel_w: v.one("kernel_w"),
        stride_h: v.one("stride_h"),
        stride_w: v.one("stride_w"),
        dilation_h: v.one("dilation_h"),
        dilation_w: v.one("dilation_w"),
        pad_top: v.one("pad_top"),
        pad_left: v.one("pad_left"),
    }
}

fn output(v: &Vector) -> OutputS8 {
    OutputS8 {
        zero_point: v.one("zero_point_out"),
        min: v.one("min"),
        max: v.one("max"),
    }
}

/// Runs a kernel with the vector's operands and compares every value.
fn check_conv(v: &Vector, weights: &[i8], kernel: impl FnOnce(ConvIo<'_>)) {
    let expected: Vec<i8> = v.all("y");
    let mut y = vec![0x55; expected.len()];
    kernel(ConvIo {
        x: &v.all::<i8>("x"),
        weights,
        bias: &v.all::<i32>("bias"),
        multipliers: &v.all::<i32>("multipliers"),
        shifts: &v.all::<u8>("shifts"),
        y: &mut y,
        scratch: &mut [],
    });
    assert_eq!(y, expected, "{}", v.name);
}

fn check_unary(v: &Vector, x: &str, kernel: impl FnOnce(UnaryIo<'_>)) {
    let expected: Vec<i8> = v.all("y");
    let mut y = vec![0x55; expected.len()];
    kernel(UnaryIo {
        x: &v.all::<i8>(x),
        y: &mut y,
    });
    assert_eq!(y, expected, "{}", v.name);
}

/// The cases of an operator, of which there are some.
fn of<'a>(vectors: &'a [Vector], operator: &str) -> Vec<&'a Vector> {
    let is = |v: &&Vector| {
        v.name
            .rsplit_once('_')
            .is_some_and(|(name, _)| name == operator)
    };
    let found: Vec<_> = vectors.iter().filter(is).collect();
    assert!(found.len() >= 8, "{operator}: {} cases", found.len());
    found
}

#[test]
fn conv_2d_of_every_layout_equals_tosa() {
    for v in of(&read("conv_2d"), "conv_2d") {
        let portable = ops::Conv2d {
            window: window(v),
            in_c: v.one("in_c"),
            out_c: v.one("out_c"),
            groups: v.one("groups"),
            zero_point_in: v.one("zero_point_in"),
            output: output(v),
            layout: WeightLayout::Portable,
            acc_bound: 0,
        };
        let weights: Vec<i8> = v.all("weights");
        check_conv(v, &weights, |io| reference::conv_2d_s8(&portable, io));

        let p = ops::Conv2d {
            layout: WeightLayout::Interleave4x16,
            ..portable
        };
        let mut packed = vec![0; p.weights_len().unwrap() as usize];
        pack_conv_2d(&p, &weights, &mut packed);
        check_conv(v, &packed, |io| reference::conv_2d_s8(&p, io));
    }
}

#[test]
fn depthwise_conv_2d_equals_tosa() {
    for v in of(&read("depthwise_conv_2d"), "depthwise_conv_2d") {
        let p = ops::DepthwiseConv2d {
            window: window(v),
            in_c: v.one("in_c"),
            multiplier: v.one("multiplier"),
            zero_point_in: v.one("zero_point_in"),
            output: output(v),
            acc_bound: 0,
        };
        check_conv(v, &v.all::<i8>("weights"), |io| {
            reference::depthwise_conv_2d_s8(&p, io)
        });
    }
}

#[test]
fn transpose_conv_2d_equals_tosa() {
    for v in of(&read("transpose_conv_2d"), "transpose_conv_2d") {
        let p = ops::TransposeConv2d {
            window: window(v),
            in_c: v.one("in_c"),
            out_c: v.one("out_c"),
            groups: v.one("groups"),
            zero_point_in: v.one("zero_point_in"),
            output: output(v),
            acc_bound: 0,
        };
        check_conv(v, &v.all::<i8>("weights"), |io| {
            reference::transpose_conv_2d_s8(&p, io)
        });
    }
}

#[test]
fn fully_connected_equals_tosa() {
    for v in of(&read("fully_connected"), "fully_connected") {
        let p = ops::FullyConnected {
            rows: v.one("rows"),
            in_c: v.one("in_c"),
            out_c: v.one("out_c"),
            output: output(v),
            layout: WeightLayout::Portable,
            acc_bound: 0,
        };
        check_conv(v, &v.all::<i8>("weights"), |io| {
            reference::fully_connected_s8(&p, io)
        });
    }
}

#[test]
fn max_pool_2d_equals_tosa() {
    for v in of(&read("pool_2d"), "max_pool_2d") {
        let output = OutputS8 {
            zero_point: 0,
            min: v.one("min"),
            max: v.one("max"),
        };
        let p = ops::MaxPool2d {
            window: window(v),
            channels: v.one("channels"),
            output,
        };
        check_unary(v, "x", |io| reference::max_pool_2d_s8(&p, io));
    }
}

/// TOSA divides by a multiplication too, whose factors the vectors hold.
#[test]
fn average_pool_2d_equals_tosa() {
    for v in of(&read("pool_2d"), "average_pool_2d") {
        let p = ops::AveragePool2d {
            window: window(v),
            channels: v.one("channels"),
            zero_point_in: v.one("zero_point_in"),
            output: output(v),
            by_count: true,
        };
        let (multipliers, shifts): (Vec<i32>, Vec<u8>) = (v.all("multipliers"), v.all("shifts"));
        check_unary(v, "x", |UnaryIo { x, y }| {
            reference::average_pool_2d_s8(
                &p,
                AveragePoolIo {
                    x,
                    multipliers: &multipliers,
                    shifts: &shifts,
                    y,
                },
            );
        });
    }
}

fn check_binary(v: &Vector, kernel: impl FnOnce(Binary, BinaryIo<'_>)) {
    let binary = Binary {
        shape: v.four("shape"),
        broadcast_a: v.one("broadcast_a"),
        broadcast_b: v.one("broadcast_b"),
    };
    let b: Vec<i8> = v.all("b");
    check_unary(v, "a", |UnaryIo { x, y }| {
        kernel(
            binary,
            BinaryIo {
                a_y: InOut::Apart(x, y),
                b: &b,
            },
        )
    });
}

#[test]
fn add_equals_tosa() {
    for v in of(&read("binary"), "add") {
        check_binary(v, |binary, io| {
            let p = ops::Add {
                binary,
                zero_point_a: v.one("zero_point_a"),
                zero_point_b: v.one("zero_point_b"),
                multiplier_a: v.one("multiplier_a"),
                multiplier_b: v.one("multiplier_b"),
                shift: v.one("shift"),
                output: output(v),
            };
            reference::add_s8(&p, io);
        });
    }
}

#[test]
fn mul_equals_tosa() {
    for v in of(&read("binary"), "mul") {
        check_binary(v, |binary, io| {
            let p = ops::Mul {
                binary,
                zero_point_a: v.one("zero_point_a"),
                zero_point_b: v.one("zero_point_b"),
                requant: Requant {
                    multiplier: v.one("multiplier"),
                    shift: v.one("shift"),
                },
                output: output(v),
            };
            reference::mul_s8(&p, io);
        });
    }
}

#[test]
fn requantize_equals_tosa_rescale_at_every_shift() {
    let vectors = read("rescale");
    for shift in 2..=62 {
        let of_shift = vectors.iter().filter(|v| v.one::<u8>("shift") == shift);
        let mut count = 0;
        for v in of_shift {
            let r = Requant {
                multiplier: v.one("multiplier"),
                shift,
            };
            for (&acc, &y) in v.all::<i32>("acc").iter().zip(&v.all::<i32>("y")) {
                assert_eq!(reference::requantize(acc, r), y, "{acc} {r:?}");
                count += 1;
            }
        }
        assert!(count > 3, "shift {shift}: {count} values");
    }
}

#[test]
fn copies_equal_tosa() {
    let vectors = read("movement");
    for v in of(&vectors, "pad") {
        let p = ops::Pad {
            in_shape: v.four("in_shape"),
            before: v.four("before"),
            after: v.four("after"),
            value: v.one("value"),
        };
        check_unary(v, "x", |io| reference::pad_s8(&p, io));
    }
    for v in of(&vectors, "transpose") {
        let p = ops::Transpose {
            in_shape: v.four("in_shape"),
            order: v.four("order"),
        };
        check_unary(v, "x", |io| reference::transpose_s8(&p, io));
    }
    for v in of(&vectors, "slice") {
        let p = ops::Slice {
            in_shape: v.four("in_shape"),
            out_shape: v.four("out_shape"),
            begin: v.four("begin"),
            step: [1; 4],
        };
        check_unary(v, "x", |io| reference::slice_s8(&p, io));
    }
    for v in of(&vectors, "concat") {
        let p = ops::Concat {
            outer: v.one("outer"),
        };
        let b: Vec<i8> = v.all("b");
        check_unary(v, "a", |UnaryIo { x, y }| {
            let outer = p.outer as usize;
            let (width, total) = (x.len() / outer, y.len() / outer);
            reference::concat_s8(&p, 0, total, UnaryIo { x, y: &mut *y });
            reference::concat_s8(&p, width, total, UnaryIo { x: &b, y });
        });
    }
    for v in of(&vectors, "gather") {
        let indices: Vec<u16> = v.all("indices");
        let p = ops::Gather {
            outer: v.one("outer"),
            in_n: v.one("in_n"),
            out_n: indices.len() as u32,
            inner: v.one("inner"),
        };
        check_unary(v, "x", |UnaryIo { x, y }| {
            reference::gather_s8(
                &p,
                IndexedIo {
                    x,
                    rows: &indices,
                    columns: &[],
                    y,
                },
            );
        });
    }
}

#[test]
fn lookup_equals_tosa() {
    for v in of(&read("movement"), "lookup") {
        let table: Vec<i8> = v.all("table");
        check_unary(v, "x", |UnaryIo { x, y }| {
            let p = ops::Lookup {
                len: x.len() as u32,
            };
            reference::lookup_s8(
                &p,
                LookupIo {
                    x_y: InOut::Apart(x, y),
                    table: &table,
                },
            );
        });
    }
}
