//! Each operator against tract on random input, or against values worked out by hand where tract has no such operator or another rule.

use tract_onnx::pb::tensor_proto::DataType;

use crate::file::{File, float, int, integers, ints, tensor, text};

fn conv(x: &[i64], w: &[i64], attributes: Vec<tract_onnx::pb::AttributeProto>) {
    File::new(13, x)
        .random("w", w)
        .random("b", &w[..1])
        .node("Conv", &["x", "w", "b"], &["y"], attributes)
        .agrees();
}

#[test]
fn convolution_with_every_geometry() {
    conv(&[1, 3, 9, 8], &[5, 3, 3, 3], vec![]);
    conv(
        &[1, 3, 9, 8],
        &[5, 3, 3, 2],
        vec![ints("strides", &[2, 3]), ints("pads", &[1, 0, 2, 1])],
    );
    conv(
        &[1, 3, 9, 11],
        &[4, 3, 3, 3],
        vec![ints("dilations", &[2, 3]), ints("pads", &[2, 2, 2, 2])],
    );
    conv(
        &[1, 4, 7, 7],
        &[6, 2, 3, 3],
        vec![int("group", 2), ints("kernel_shape", &[3, 3])],
    );
    conv(
        &[1, 4, 7, 7],
        &[4, 1, 3, 3],
        vec![int("group", 4), ints("pads", &[1, 1, 1, 1])],
    );
    conv(
        &[1, 4, 7, 7],
        &[8, 1, 5, 5],
        vec![int("group", 4), ints("pads", &[2, 2, 2, 2])],
    );
    for mode in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        conv(
            &[1, 2, 8, 7],
            &[3, 2, 3, 4],
            vec![text("auto_pad", mode), ints("strides", &[2, 2])],
        );
        conv(
            &[1, 2, 8, 7],
            &[3, 2, 3, 2],
            vec![text("auto_pad", mode), ints("strides", &[1, 2])],
        );
    }
}

#[test]
fn convolution_of_a_signal() {
    conv(
        &[1, 3, 17],
        &[5, 3, 4],
        vec![
            ints("strides", &[2]),
            ints("pads", &[1, 2]),
            ints("dilations", &[2]),
        ],
    );
    conv(
        &[1, 4, 9],
        &[4, 1, 3],
        vec![int("group", 4), text("auto_pad", "SAME_UPPER")],
    );
}

#[test]
fn transposed_convolution_with_groups_and_output_padding() {
    let check = |x: &[i64], w: &[i64], oc: i64, attributes| {
        File::new(11, x)
            .random("w", w)
            .random("b", &[oc])
            .node("ConvTranspose", &["x", "w", "b"], &["y"], attributes)
            .agrees();
    };
    check(
        &[1, 3, 4, 5],
        &[3, 2, 2, 2],
        2,
        vec![ints("strides", &[2, 2])],
    );
    check(
        &[1, 3, 4, 5],
        &[3, 2, 3, 3],
        2,
        vec![ints("strides", &[2, 3]), ints("pads", &[1, 0, 1, 2])],
    );
    check(
        &[1, 4, 4, 5],
        &[4, 3, 3, 3],
        6,
        vec![
            int("group", 2),
            ints("strides", &[2, 2]),
            ints("pads", &[1, 1, 1, 1]),
            ints("output_padding", &[1, 1]),
        ],
    );
}

#[test]
fn transposed_convolution_to_a_stated_size() {
    // A kernel of ones over a single 1: the output is the kernel, cut or filled at its ends.
    let file = |attributes| {
        File::new(11, &[1, 1, 1, 1])
            .reals("w", &[1, 1, 3, 3], &[1.0; 9])
            .node("ConvTranspose", &["x", "w"], &["y"], attributes)
    };
    file(vec![ints("output_shape", &[1, 3])]).gives(&[2.0], &[1, 1, 1, 3], &[2.0; 3]);
    let mut filled = [0.0; 20];
    for row in 0..3 {
        filled[row * 5..row * 5 + 3].fill(2.0);
    }
    file(vec![ints("output_shape", &[4, 5])]).gives(&[2.0], &[1, 1, 4, 5], &filled);
}

#[test]
fn pools_with_padding_and_rounding_up() {
    for (op, extra) in [
        ("MaxPool", None),
        ("AveragePool", None),
        ("AveragePool", Some(int("count_include_pad", 1))),
    ] {
        let check = |x: &[i64], mut attributes: Vec<_>| {
            attributes.extend(extra.clone());
            File::new(11, x)
                .node(op, &["x"], &["y"], attributes)
                .agrees();
        };
        check(
            &[1, 3, 8, 9],
            vec![ints("kernel_shape", &[3, 2]), ints("strides", &[2, 3])],
        );
        check(
            &[1, 3, 8, 9],
            vec![
                ints("kernel_shape", &[3, 3]),
                ints("strides", &[2, 2]),
                ints("pads", &[1, 1, 0, 1]),
            ],
        );
        check(
            &[1, 3, 11],
            vec![
                ints("kernel_shape", &[3]),
                ints("strides", &[2]),
                ints("pads", &[1, 1]),
            ],
        );
        if extra.is_none() {
            check(
                &[1, 2, 8, 9],
                vec![
                    ints("kernel_shape", &[3, 3]),
                    ints("strides", &[2, 2]),
                    text("auto_pad", "SAME_UPPER"),
                ],
            );
            check(
                &[1, 2, 8, 9],
                vec![
                    ints("kernel_shape", &[3, 3]),
                    ints("strides", &[2, 2]),
                    text("auto_pad", "SAME_LOWER"),
                ],
            );
            check(
                &[1, 2, 8, 8],
                vec![
                    ints("kernel_shape", &[3, 3]),
                    ints("strides", &[2, 2]),
                    int("ceil_mode", 1),
                ],
            );
        }
    }
}

#[test]
fn rounding_up_leaves_out_a_window_that_starts_in_the_padding() {
    // Windows of 2 start at -1 and 2; a third, at 5, would hold padding only.
    File::new(11, &[1, 1, 1, 4])
        .node(
            "MaxPool",
            &["x"],
            &["y"],
            vec![
                ints("kernel_shape", &[1, 2]),
                ints("strides", &[1, 3]),
                ints("pads", &[0, 1, 0, 1]),
                int("ceil_mode", 1),
            ],
        )
        .gives(&[1.0, 2.0, 3.0, 4.0], &[1, 1, 1, 2], &[1.0, 4.0]);
}

#[test]
fn global_pools_and_means() {
    File::new(13, &[1, 3, 5, 4])
        .node("GlobalAveragePool", &["x"], &["y"], vec![])
        .agrees();
    File::new(13, &[1, 3, 5, 4])
        .node("GlobalMaxPool", &["x"], &["y"], vec![])
        .agrees();
    File::new(13, &[1, 3, 5, 4])
        .node("ReduceMean", &["x"], &["y"], vec![ints("axes", &[-1, 2])])
        .agrees();
    File::new(13, &[1, 3, 5, 4])
        .node(
            "ReduceMean",
            &["x"],
            &["y"],
            vec![ints("axes", &[1]), int("keepdims", 0)],
        )
        .agrees();
    let file = File::new(18, &[1, 2, 1, 2]).list("axes", &[3, 1]);
    file.node(
        "ReduceMean",
        &["x", "axes"],
        &["y"],
        vec![int("keepdims", 0)],
    )
    .gives(&[1.0, 2.0, 3.0, 6.0], &[1, 1], &[3.0]);
}

#[test]
fn gemm_with_either_side_constant() {
    for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let x: &[i64] = if a == 1 { &[4, 2] } else { &[2, 4] };
        let w: &[i64] = if b == 1 { &[3, 4] } else { &[4, 3] };
        let attributes = vec![
            int("transA", a),
            int("transB", b),
            float("alpha", 0.5),
            float("beta", 2.0),
        ];
        for c in [&[3][..], &[1, 3], &[2, 1], &[2, 3], &[1]] {
            File::new(13, x)
                .random("w", w)
                .random("c", c)
                .node("Gemm", &["x", "w", "c"], &["y"], attributes.clone())
                .agrees();
        }
        // [4, 2] by the constant on the left: A is [3, 4] in effect, B is [4, 2].
        let x: &[i64] = if b == 1 { &[2, 4] } else { &[4, 2] };
        let w: &[i64] = if a == 1 { &[4, 3] } else { &[3, 4] };
        File::new(13, x)
            .random("w", w)
            .random("c", &[2])
            .node("Gemm", &["w", "x", "c"], &["y"], attributes.clone())
            .agrees();
    }
}

#[test]
fn matrix_products_with_either_side_constant() {
    File::new(13, &[1, 4])
        .random("w", &[4, 3])
        .node("MatMul", &["x", "w"], &["y"], vec![])
        .agrees();
    File::new(13, &[1, 5, 4])
        .random("w", &[4, 3])
        .node("MatMul", &["x", "w"], &["y"], vec![])
        .agrees();
    File::new(13, &[1, 4, 5])
        .random("w", &[3, 4])
        .node("MatMul", &["w", "x"], &["y"], vec![])
        .agrees();
    File::new(13, &[2, 2])
        .reals("w", &[2], &[1.0, 10.0])
        .node("MatMul", &["x", "w"], &["y"], vec![])
        .gives(&[1.0, 2.0, 3.0, 4.0], &[2], &[21.0, 43.0]);
    File::new(13, &[2, 2])
        .reals("w", &[2], &[1.0, 10.0])
        .node("MatMul", &["w", "x"], &["y"], vec![])
        .gives(&[1.0, 2.0, 3.0, 4.0], &[2], &[31.0, 42.0]);
    File::new(13, &[2])
        .reals("w", &[1, 2, 2], &[1.0, 2.0, 3.0, 4.0])
        .node("MatMul", &["w", "x"], &["y"], vec![])
        .gives(&[1.0, 10.0], &[1, 2], &[21.0, 43.0]);
}

#[test]
fn batch_normalization_of_pictures_and_rows() {
    for x in [&[1, 3, 4, 5][..], &[1, 3, 7], &[1, 3]] {
        File::new(13, x)
            .random("s", &[3])
            .random("b", &[3])
            .random("m", &[3])
            .reals("v", &[3], &[0.5, 2.0, 0.1])
            .node(
                "BatchNormalization",
                &["x", "s", "b", "m", "v"],
                &["y"],
                vec![float("epsilon", 0.01)],
            )
            .agrees();
    }
}

#[test]
fn arithmetic_with_broadcast_and_constants_on_either_side() {
    for op in ["Add", "Sub", "Mul", "Div", "Min", "Max"] {
        for c in [&[][..], &[4], &[3, 1, 1], &[1, 3, 5, 4]] {
            let count = usize::try_from(c.iter().product::<i64>()).unwrap();
            let values: Vec<f32> = (0..count).map(|i| 0.25 + i as f32 / 8.0).collect();
            let file = || File::new(13, &[1, 3, 5, 4]).reals("c", c, &values);
            file().node(op, &["x", "c"], &["y"], vec![]).agrees();
            if op != "Div" {
                file().node(op, &["c", "x"], &["y"], vec![]).agrees();
            }
        }
        if op != "Div" {
            let two = File::new(13, &[1, 3, 4]).node("Exp", &["x"], &["e"], vec![]);
            two.node(op, &["x", "e"], &["y"], vec![]).agrees();
        }
    }
    File::new(13, &[2])
        .reals("c", &[], &[6.0])
        .node("Div", &["c", "x"], &["y"], vec![])
        .gives(&[2.0, -3.0], &[2], &[3.0, -2.0]);
    let three = File::new(13, &[2])
        .reals("c", &[2], &[0.0, 5.0])
        .reals("d", &[1], &[1.0]);
    three
        .node("Max", &["x", "c", "d"], &["y"], vec![])
        .gives(&[-1.0, 9.0], &[2], &[1.0, 9.0]);
}

#[test]
fn activations() {
    for (op, attributes) in [
        ("Relu", vec![]),
        ("LeakyRelu", vec![float("alpha", 0.2)]),
        ("LeakyRelu", vec![]),
        ("Sigmoid", vec![]),
        ("HardSigmoid", vec![]),
        ("HardSigmoid", vec![float("alpha", 0.3), float("beta", 0.4)]),
        ("HardSwish", vec![]),
        ("Tanh", vec![]),
        ("Exp", vec![]),
        ("Abs", vec![]),
        ("Neg", vec![]),
    ] {
        File::new(14, &[1, 3, 4])
            .node(op, &["x"], &["y"], attributes)
            .agrees();
    }
}

#[test]
fn clip_with_attributes_and_inputs() {
    File::new(10, &[4])
        .node(
            "Clip",
            &["x"],
            &["y"],
            vec![float("min", -0.5), float("max", 0.25)],
        )
        .agrees();
    File::new(13, &[4])
        .reals("lo", &[], &[-0.5])
        .reals("hi", &[], &[0.5])
        .node("Clip", &["x", "lo", "hi"], &["y"], vec![])
        .agrees();
    File::new(13, &[2])
        .reals("hi", &[], &[0.5])
        .node("Clip", &["x", "", "hi"], &["y"], vec![])
        .gives(&[-9.0, 9.0], &[2], &[-9.0, 0.5]);
}

#[test]
fn prelu_per_channel_shared_and_per_position() {
    for slope in [&[3, 1, 1][..], &[1], &[1, 1, 1], &[3, 5, 4]] {
        File::new(9, &[1, 3, 5, 4])
            .random("s", slope)
            .node("PRelu", &["x", "s"], &["y"], vec![])
            .agrees();
    }
    File::new(9, &[1, 6])
        .random("s", &[6])
        .node("PRelu", &["x", "s"], &["y"], vec![])
        .agrees();
}

#[test]
fn softmax_of_an_axis_and_of_flattened_rows() {
    for axis in [-1, 1, 2] {
        File::new(13, &[1, 3, 4, 5])
            .node("Softmax", &["x"], &["y"], vec![int("axis", axis)])
            .agrees();
    }
    // Before set 13 the axes from 1 on are one row: 4 equal values are a quarter each.
    let old = File::new(11, &[1, 2, 2]).node("Softmax", &["x"], &["y"], vec![]);
    old.gives(&[1.0; 4], &[1, 2, 2], &[0.25; 4]);
    let new = File::new(13, &[1, 2, 2]).node("Softmax", &["x"], &["y"], vec![]);
    new.gives(&[1.0; 4], &[1, 2, 2], &[0.5; 4]);
}

#[test]
fn minus_infinity_hides_positions_from_a_softmax() {
    let hidden = f32::NEG_INFINITY;
    let masked = |file: File| {
        let mask = [0.0, hidden, 0.0, 0.0, 0.0, hidden];
        file.reals("mask", &[2, 3], &mask)
            .node("Add", &["x", "mask"], &["sum"], vec![])
    };
    let softmax = |file: File| file.node("Softmax", &["sum"], &["y"], vec![]);
    let x = [1.0, 2.0, 1.0, -3.0, -3.0, 9.0];
    let expected = [0.5, 0.0, 0.5, 0.5, 0.5, 0.0];
    softmax(masked(File::new(13, &[1, 2, 3]))).gives(&x, &[1, 2, 3], &expected);
    softmax(masked(File::new(13, &[1, 2, 3]))).agrees();
    let chosen = File::new(13, &[1, 2, 3])
        .store(integers(
            "hide",
            DataType::Bool,
            &[2, 3],
            &[0, 1, 0, 0, 0, 1],
        ))
        .reals("low", &[], &[hidden])
        .node("Where", &["hide", "low", "x"], &["sum"], vec![]);
    softmax(chosen).gives(&x, &[1, 2, 3], &expected);
    // Two masks, and heads that are split off between them and the softmax.
    let twice = masked(File::new(13, &[1, 2, 3]))
        .node("Add", &["sum", "mask"], &["both"], vec![])
        .list("rows", &[2, 3])
        .node("Reshape", &["both", "rows"], &["heads"], vec![])
        .node("Softmax", &["heads"], &["y"], vec![]);
    twice.gives(&x, &[2, 3], &expected);
    // What anything else reads would show it.
    let place = ["-inf", "n0/constant", "`n0`"];
    masked(File::new(13, &[1, 2, 3]))
        .node("Relu", &["sum"], &["y"], vec![])
        .refused(&place);
    masked(File::new(13, &[1, 2, 3]))
        .node("Softmax", &["sum"], &["shares"], vec![])
        .node("Relu", &["sum"], &["shown"], vec![])
        .node("Add", &["shares", "shown"], &["y"], vec![])
        .refused(&place);
}

#[test]
fn concat_split_and_slice() {
    let file = File::new(13, &[1, 4, 3, 2])
        .random("c", &[1, 1, 3, 2])
        .node("Concat", &["x", "c", "x"], &["y"], vec![int("axis", 1)]);
    file.agrees();
    let file = File::new(13, &[1, 6, 2]).list("sizes", &[1, 3, 2]);
    let file = file.node(
        "Split",
        &["x", "sizes"],
        &["a", "b", "c"],
        vec![int("axis", 1)],
    );
    file.node("Concat", &["c", "a", "b"], &["y"], vec![int("axis", -2)])
        .agrees();
    let file = File::new(11, &[1, 6, 2]).node("Split", &["x"], &["a", "b"], vec![int("axis", 1)]);
    file.node("Sub", &["a", "b"], &["y"], vec![]).agrees();
    let file = File::new(9, &[1, 6, 5]);
    file.node(
        "Slice",
        &["x"],
        &["y"],
        vec![
            ints("starts", &[1, -3]),
            ints("ends", &[100, -1]),
            ints("axes", &[1, 2]),
        ],
    )
    .agrees();
    let file = File::new(13, &[1, 7, 5])
        .list("s", &[-6, 0])
        .list("e", &[i64::MAX, 4])
        .list("a", &[1, -1])
        .list("t", &[2, 3]);
    file.node("Slice", &["x", "s", "e", "a", "t"], &["y"], vec![])
        .agrees();
}

#[test]
fn padding_grows_and_cuts() {
    let file = File::new(13, &[1, 2, 3, 4])
        .list("p", &[0, 1, 0, 2, 0, 0, 3, 1])
        .reals("v", &[], &[-2.0]);
    file.node(
        "Pad",
        &["x", "p", "v"],
        &["y"],
        vec![text("mode", "constant")],
    )
    .agrees();
    let file = File::new(9, &[2, 2]);
    file.node(
        "Pad",
        &["x"],
        &["y"],
        vec![ints("pads", &[0, 1, 1, 0]), float("value", 9.0)],
    )
    .gives(
        &[1.0, 2.0, 3.0, 4.0],
        &[3, 3],
        &[9.0, 1.0, 2.0, 9.0, 3.0, 4.0, 9.0, 9.0, 9.0],
    );
    let file = File::new(13, &[4]).list("p", &[-1, 1]);
    file.node("Pad", &["x", "p"], &["y"], vec![]).gives(
        &[1.0, 2.0, 3.0, 4.0],
        &[4],
        &[2.0, 3.0, 4.0, 0.0],
    );
}

#[test]
fn shapes_and_orders() {
    File::new(13, &[1, 6, 2])
        .list("s", &[0, -1, 3])
        .node("Reshape", &["x", "s"], &["y"], vec![])
        .agrees();
    File::new(13, &[1, 6, 2])
        .node("Flatten", &["x"], &["y"], vec![int("axis", -1)])
        .agrees();
    File::new(13, &[1, 6, 2])
        .node("Transpose", &["x"], &["y"], vec![])
        .agrees();
    File::new(13, &[1, 6, 2])
        .node("Transpose", &["x"], &["y"], vec![ints("perm", &[1, 0, 2])])
        .agrees();
    File::new(11, &[1, 6, 1])
        .node("Squeeze", &["x"], &["y"], vec![ints("axes", &[-1])])
        .agrees();
    File::new(13, &[1, 6, 1])
        .node("Squeeze", &["x"], &["y"], vec![])
        .agrees();
    File::new(11, &[6, 2])
        .node("Unsqueeze", &["x"], &["y"], vec![ints("axes", &[0, 3])])
        .agrees();
    File::new(13, &[6, 2])
        .list("a", &[-1, 1])
        .node("Unsqueeze", &["x", "a"], &["y"], vec![])
        .agrees();
    File::new(13, &[1, 6, 2])
        .node("Identity", &["x"], &["z"], vec![])
        .node("Dropout", &["z"], &["y"], vec![])
        .agrees();
    let file =
        File::new(13, &[3, 4]).store(integers("i", DataType::Int64, &[2, 2], &[2, -1, 0, 0]));
    file.node("Gather", &["x", "i"], &["y"], vec![int("axis", 1)])
        .agrees();
    let file = File::new(13, &[3, 4]).store(integers("i", DataType::Int64, &[], &[-2]));
    file.node("Gather", &["x", "i"], &["y"], vec![]).agrees();
}

#[test]
fn resizing_by_every_coordinate_rule() {
    for (mode, coordinates, nearest) in [
        ("nearest", "asymmetric", "floor"),
        ("nearest", "half_pixel", "round_prefer_floor"),
        ("nearest", "half_pixel", "round_prefer_ceil"),
        ("nearest", "asymmetric", "ceil"),
        ("linear", "half_pixel", "floor"),
        ("linear", "align_corners", "floor"),
        ("linear", "asymmetric", "floor"),
        ("linear", "pytorch_half_pixel", "floor"),
    ] {
        let attributes = vec![
            text("mode", mode),
            text("coordinate_transformation_mode", coordinates),
            text("nearest_mode", nearest),
        ];
        let file = File::new(13, &[1, 2, 4, 6]).reals("s", &[4], &[1.0, 1.0, 2.0, 1.5]);
        file.node("Resize", &["x", "", "s"], &["y"], attributes.clone())
            .agrees();
        let file = File::new(13, &[1, 2, 4, 6]).list("s", &[1, 2, 7, 3]);
        file.node("Resize", &["x", "", "", "s"], &["y"], attributes)
            .agrees();
    }
}

#[test]
fn upsampling_of_old_operator_sets() {
    let file = File::new(9, &[1, 1, 1, 2]).reals("s", &[4], &[1.0, 1.0, 2.0, 2.0]);
    file.node("Upsample", &["x", "s"], &["y"], vec![]).gives(
        &[1.0, 2.0],
        &[1, 1, 2, 4],
        &[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0],
    );
    let file = File::new(10, &[1, 1, 1, 2]).reals("s", &[4], &[1.0, 1.0, 1.0, 2.0]);
    file.node("Resize", &["x", "s"], &["y"], vec![text("mode", "linear")])
        .gives(&[1.0, 2.0], &[1, 1, 1, 4], &[1.0, 1.5, 2.0, 2.0]);
}

#[test]
fn resizing_in_the_layout_of_the_graph() {
    let file = File::new(13, &[1, 2, 3, 2]).reals("s", &[4], &[1.0, 2.0, 1.0, 1.0]);
    let attributes = vec![
        text("coordinate_transformation_mode", "asymmetric"),
        text("nearest_mode", "floor"),
    ];
    let x: Vec<f32> = (0..12u8).map(f32::from).collect();
    let mut expected = x[..6].to_vec();
    expected.extend_from_slice(&x[..6]);
    expected.extend_from_slice(&x[6..]);
    expected.extend_from_slice(&x[6..]);
    file.node("Resize", &["x", "", "s"], &["y"], attributes)
        .gives(&x, &[1, 4, 3, 2], &expected);
}

#[test]
fn arithmetic_of_shapes_folds() {
    // Reshape to (1, c, h * w / 2, 2), all of it computed from Shape.
    let scalar = |name: &str, value| integers(name, DataType::Int64, &[], &[value]);
    let file = File::new(13, &[1, 3, 4, 6])
        .store(scalar("one", 1))
        .store(scalar("three", 3))
        .store(scalar("two", 2))
        .list("axis", &[0])
        .list("tail", &[2])
        .list("begin", &[2])
        .list("end", &[3])
        .node("Shape", &["x"], &["shape"], vec![])
        .node("Gather", &["shape", "one"], &["c"], vec![])
        .node("Gather", &["shape", "three"], &["w"], vec![])
        .node("Slice", &["shape", "begin", "end"], &["h"], vec![])
        .node("Mul", &["h", "w"], &["hw"], vec![])
        .node("Div", &["hw", "two"], &["half"], vec![])
        .node("Cast", &["half"], &["real"], vec![int("to", 1)])
        .node("Floor", &["real"], &["whole"], vec![])
        .node("Cast", &["whole"], &["half2"], vec![int("to", 7)])
        .node("Unsqueeze", &["c", "axis"], &["c1"], vec![])
        .node(
            "Concat",
            &["axis1", "c1", "half2", "tail"],
            &["target"],
            vec![int("axis", 0)],
        )
        .node("Reshape", &["x", "target"], &["y"], vec![])
        .list("axis1", &[1]);
    assert_eq!(file.import().unwrap().graph.outputs[0].shape, [1, 3, 12, 2]);
    assert_eq!(file.import().unwrap().graph.nodes.len(), 1);
    file.agrees();
}

#[test]
fn constants_are_made_and_chosen() {
    // Where(Equal(ConstantOfShape + Range, 2), Tile, Expand)
    File::new(13, &[3])
        .list("n", &[3])
        .store(integers("zero", DataType::Int64, &[], &[0]))
        .store(integers("lim", DataType::Int64, &[], &[9]))
        .store(integers("step", DataType::Int64, &[], &[3]))
        .store(integers("four", DataType::Int64, &[], &[4]))
        .reals("p", &[1], &[10.0])
        .reals("q", &[], &[20.0])
        .node(
            "ConstantOfShape",
            &["n"],
            &["ones"],
            vec![tensor("value", integers("", DataType::Int64, &[1], &[1]))],
        )
        .node("Range", &["zero", "lim", "step"], &["range"], vec![])
        .node("Add", &["ones", "range"], &["list"], vec![])
        .node("Equal", &["list", "four"], &["hit"], vec![])
        .node("Tile", &["p", "n"], &["tiled"], vec![])
        .node("Expand", &["q", "n"], &["spread"], vec![])
        .node("Where", &["hit", "tiled", "spread"], &["chosen"], vec![])
        .node("Add", &["x", "chosen"], &["y"], vec![])
        .gives(&[1.0, 2.0, 3.0], &[3], &[21.0, 12.0, 23.0]);
}

#[test]
fn quantized_weights_become_real() {
    let weights = integers("q", DataType::Int8, &[2, 2], &[10, -128, 127, 0]);
    let file = File::new(13, &[1, 2])
        .store(weights.clone())
        .reals("s", &[2], &[0.5, 2.0])
        .store(integers("z", DataType::Int8, &[2], &[0, 27]));
    let file = file.node(
        "DequantizeLinear",
        &["q", "s", "z"],
        &["w"],
        vec![int("axis", 0)],
    );
    file.node("Gemm", &["x", "w"], &["y"], vec![int("transB", 1)])
        .gives(&[1.0, 1.0], &[1, 2], &[-59.0, 146.0]);
    let file = File::new(13, &[1, 2])
        .store(weights)
        .reals("s", &[], &[0.5]);
    file.node("DequantizeLinear", &["q", "s"], &["w"], vec![])
        .node("MatMul", &["x", "w"], &["y"], vec![])
        .gives(&[1.0, 2.0], &[1, 2], &[132.0, -64.0]);
}
