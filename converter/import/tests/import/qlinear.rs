//! Operators on the integers of quantized tensors: the same as the operator on real numbers between DequantizeLinear and QuantizeLinear, which is
//! compared with tract, and the same bytes on the device.

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{Calibration, Method, Options, compile};
use ocellus_ir::{optimize, random::Random};
use ocellus_kernels::Reference;
use tract_onnx::pb::AttributeProto;
use tract_onnx::pb::tensor_proto::DataType;

use crate::file::{File, float, int, integers, ints, text};

/// Scale and zero point of `q`, `r` and the result, the latter for `int8`.
const GRIDS: [(&str, f32, i64); 3] = [("q", 0.011, 3), ("r", 0.017, -20), ("y", 0.023, 7)];

/// A float input and what `q` and `r` round it to; the grid of a result is there too.
fn quantized(ty: DataType, shape: &[i64]) -> File {
    let above = if ty == DataType::Uint8 { 128 } else { 0 };
    let mut file = File::new(13, shape).output_type(ty);
    for (name, scale, zero) in GRIDS {
        file = file
            .reals(&format!("{name}_scale"), &[], &[scale])
            .store(integers(&format!("{name}_zero"), ty, &[], &[zero + above]));
    }
    file.node(
        "QuantizeLinear",
        &["x", "q_scale", "q_zero"],
        &["q"],
        vec![],
    )
    .node(
        "DequantizeLinear",
        &["q", "q_scale", "q_zero"],
        &["q_again"],
        vec![],
    )
    .node(
        "QuantizeLinear",
        &["q_again", "r_scale", "r_zero"],
        &["r"],
        vec![],
    )
}

/// `name` with its scale and zero point, as operands have it.
fn operand(name: &str) -> [String; 3] {
    [
        name.to_owned(),
        format!("{name}_scale"),
        format!("{name}_zero"),
    ]
}

impl File {
    /// An operator of ONNX Runtime on `operands`, whose result has the grid of `y`.
    fn on_integers(self, op: &str, operands: &[&str], attributes: Vec<AttributeProto>) -> File {
        let mut inputs: Vec<String> = operands.iter().flat_map(|name| operand(name)).collect();
        inputs.extend(operand("y").into_iter().skip(1));
        self.named(op, &inputs, attributes).contributed()
    }

    fn named(self, op: &str, inputs: &[String], attributes: Vec<AttributeProto>) -> File {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.node(op, &inputs, &["y"], attributes)
    }

    /// The operator on real numbers, between DequantizeLinear and QuantizeLinear.
    fn on_reals(mut self, op: &str, operands: &[&str], attributes: Vec<AttributeProto>) -> File {
        let mut reals = Vec::new();
        for name in operands {
            let inputs = operand(name);
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let real = format!("{name}_real");
            self = self.node("DequantizeLinear", &inputs, &[&real], vec![]);
            reals.push(real);
        }
        let reals: Vec<&str> = reals.iter().map(String::as_str).collect();
        self.node(op, &reals, &["y_real"], attributes).node(
            "QuantizeLinear",
            &["y_real", "y_scale", "y_zero"],
            &["y"],
            vec![],
        )
    }
}

/// What the device makes of inputs from a seed.
fn on_the_device(file: &File) -> Vec<Vec<i8>> {
    let mut graph = file.import().unwrap().graph;
    optimize(&mut graph, &ocellus_ir::Options::default()).unwrap();
    let calibration = Calibration::new(&graph, Method::default());
    let compiled = compile(&graph, &calibration, &Options::default(), None).unwrap();
    let interpreter = Interpreter::new(&compiled.bytes).unwrap();
    let mut random = Random::new(11);
    let runs = (0..4).map(|_| {
        let count = graph.inputs[0].shape.iter().product();
        let values: Vec<f32> = random.values(count).iter().map(|v| 1.3 * v).collect();
        let input = interpreter.quantize_input(0, &values);
        let outcome = interpreter.run(Reference, &[input], Taps::None).unwrap();
        interpreter.assemble_quantized(&outcome).swap_remove(0)
    });
    runs.collect()
}

/// Both ways to write an operator are the same to the bit, and what an independent implementation computes.
fn agree(integers: &File, reals: &File) {
    reals.agrees();
    let ours = on_the_device(integers);
    assert_eq!(ours, on_the_device(reals));
    let distinct: std::collections::BTreeSet<&i8> = ours.iter().flatten().collect();
    assert!(distinct.len() > 3, "nothing is computed: {distinct:?}");
}

/// An operator of ONNX Runtime against ONNX's own, in both types.
fn check(
    [integers, reals]: [&str; 2],
    shape: &[i64],
    operands: &[&str],
    attributes: &[AttributeProto],
) {
    for ty in [DataType::Int8, DataType::Uint8] {
        let file = || quantized(ty, shape);
        agree(
            &file().on_integers(integers, operands, attributes.to_vec()),
            &file().on_reals(reals, operands, attributes.to_vec()),
        );
    }
}

#[test]
fn sums_and_products() {
    check(["QLinearAdd", "Add"], &[1, 3, 4, 5], &["q", "r"], &[]);
    check(["QLinearMul", "Mul"], &[1, 3, 4, 5], &["q", "r"], &[]);
}

#[test]
fn functions_of_one_value() {
    let slope = [float("alpha", 0.2)];
    check(
        ["QLinearLeakyRelu", "LeakyRelu"],
        &[1, 3, 4, 5],
        &["q"],
        &slope,
    );
    check(
        ["QLinearLeakyRelu", "LeakyRelu"],
        &[1, 3, 4, 5],
        &["q"],
        &[],
    );
    check(["QLinearSigmoid", "Sigmoid"], &[1, 3, 4, 5], &["q"], &[]);
}

#[test]
fn pools() {
    let window = [
        ints("kernel_shape", &[3, 2]),
        ints("strides", &[2, 1]),
        ints("pads", &[1, 0, 1, 1]),
    ];
    check(
        ["QLinearAveragePool", "AveragePool"],
        &[1, 3, 7, 6],
        &["q"],
        &window,
    );
    check(
        ["QLinearGlobalAveragePool", "GlobalAveragePool"],
        &[1, 6, 4, 5],
        &["q"],
        &[],
    );
}

#[test]
fn softmax_of_the_operator_set_that_it_names() {
    // The steps of a probability.
    let file = || {
        let mut file = quantized(DataType::Int8, &[1, 3, 5]);
        let stored = &mut file.graph().initializer;
        stored.retain(|tensor| !tensor.name.starts_with("y_"));
        file.reals("y_scale", &[], &[1.0 / 256.0]).store(integers(
            "y_zero",
            DataType::Int8,
            &[],
            &[-128],
        ))
    };
    let innermost = [int("axis", 2)];
    agree(
        &file().on_integers(
            "QLinearSoftmax",
            &["q"],
            vec![int("axis", 2), int("opset", 13)],
        ),
        &file().on_reals("Softmax", &["q"], innermost.to_vec()),
    );
    // Before operator set 13 all axes from the stated one on were one.
    let flat = file()
        .node(
            "DequantizeLinear",
            &["q", "q_scale", "q_zero"],
            &["q_real"],
            vec![],
        )
        .list("flat", &[1, 15])
        .list("back", &[1, 3, 5])
        .node("Reshape", &["q_real", "flat"], &["row"], vec![])
        .node("Softmax", &["row"], &["share"], vec![])
        .node("Reshape", &["share", "back"], &["y_real"], vec![])
        .node(
            "QuantizeLinear",
            &["y_real", "y_scale", "y_zero"],
            &["y"],
            vec![],
        );
    agree(
        &file().on_integers(
            "QLinearSoftmax",
            &["q"],
            vec![int("axis", 1), int("opset", 12)],
        ),
        &flat,
    );
}

#[test]
fn parts_of_two_scales_are_joined() {
    for ty in [DataType::Int8, DataType::Uint8] {
        let file = || quantized(ty, &[1, 3, 4, 5]);
        let mut inputs = operand("y")[1..].to_vec();
        inputs.extend(operand("q"));
        inputs.extend(operand("r"));
        let attributes = vec![int("axis", 1)];
        agree(
            &file()
                .named("QLinearConcat", &inputs, attributes.clone())
                .contributed(),
            &file().on_reals("Concat", &["q", "r"], attributes),
        );
    }
}

/// Weights `w` of `int8` or `uint8` with a scale for each of `scales` along `axis`, also as real numbers `w_real`; and a bias likewise.
fn weighted(file: File, ty: DataType, shape: &[i64], axis: i64, bias: i64) -> File {
    let scales: Vec<f32> = match axis {
        0.. => (0..shape[usize::try_from(axis).unwrap()])
            .map(|i| 0.01 + 0.003 * i as f32)
            .collect(),
        _ => vec![0.015],
    };
    let zero = if ty == DataType::Uint8 { 131 } else { 0 };
    let (low, high) = if ty == DataType::Uint8 {
        (0, 256)
    } else {
        (-127, 255)
    };
    let mut random = Random::new(5);
    let count: i64 = shape.iter().product();
    let weights: Vec<i64> = (0..count)
        .map(|_| low + random.below(high as usize) as i64)
        .collect();
    let of_bias: Vec<f32> = scales.iter().map(|scale| GRIDS[0].1 * scale).collect();
    let steps: Vec<i64> = (0..bias).map(|i| 900 * i - 1500).collect();
    let dims: Vec<i64> = if axis < 0 {
        vec![]
    } else {
        vec![scales.len() as i64]
    };
    let along = |axis: i64| {
        if axis < 0 {
            vec![]
        } else {
            vec![int("axis", axis)]
        }
    };
    file.store(integers("w", ty, shape, &weights))
        .reals("w_scale", &dims, &scales)
        .store(integers("w_zero", ty, &dims, &vec![zero; scales.len()]))
        .store(integers("b", DataType::Int32, &[bias], &steps))
        .reals("b_scale", &dims, &of_bias)
        .node(
            "DequantizeLinear",
            &["w", "w_scale", "w_zero"],
            &["w_real"],
            along(axis),
        )
        .node(
            "DequantizeLinear",
            &["b", "b_scale"],
            &["b_real"],
            along(axis.min(0)),
        )
        .node(
            "DequantizeLinear",
            &["q", "q_scale", "q_zero"],
            &["q_real"],
            vec![],
        )
}

fn layer(names: &[&str]) -> Vec<String> {
    let mut inputs: Vec<String> = operand("q").into_iter().chain(operand("w")).collect();
    inputs.extend(names.iter().map(|name| (*name).to_owned()));
    inputs
}

#[test]
fn convolutions_with_one_scale_and_one_a_channel() {
    for ty in [DataType::Int8, DataType::Uint8] {
        for (axis, groups) in [(-1, 1), (0, 1), (0, 2)] {
            let attributes = vec![
                ints("pads", &[1, 1, 1, 1]),
                ints("strides", &[2, 1]),
                int("group", groups),
            ];
            let file = || {
                weighted(
                    quantized(DataType::Uint8, &[1, 4, 6, 5]),
                    ty,
                    &[6, 4 / groups, 3, 3],
                    axis,
                    6,
                )
            };
            let reals = file()
                .node(
                    "Conv",
                    &["q_real", "w_real", "b_real"],
                    &["y_real"],
                    attributes.clone(),
                )
                .node(
                    "QuantizeLinear",
                    &["y_real", "y_scale", "y_zero"],
                    &["y"],
                    vec![],
                );
            let inputs = layer(&["y_scale", "y_zero", "b"]);
            agree(&file().named("QLinearConv", &inputs, attributes), &reals);
        }
    }
}

#[test]
fn products_with_a_matrix() {
    for ty in [DataType::Int8, DataType::Uint8] {
        for axis in [-1, 1] {
            let file = || weighted(quantized(DataType::Int8, &[1, 7]), ty, &[7, 5], axis, 5);
            let quantize = |file: File| {
                file.node(
                    "QuantizeLinear",
                    &["y_real", "y_scale", "y_zero"],
                    &["y"],
                    vec![],
                )
            };
            let product =
                quantize(file().node("MatMul", &["q_real", "w_real"], &["y_real"], vec![]));
            agree(
                &file().named("QLinearMatMul", &layer(&["y_scale", "y_zero"]), vec![]),
                &product,
            );
            // `alpha` belongs to the steps of the bias too.
            let halves = vec![float("alpha", 0.5), float("beta", 0.5)];
            let inputs = ["q_real", "w_real", "b_real"];
            let halved = quantize(file().node("Gemm", &inputs, &["y_real"], halves));
            let gemm = file()
                .named(
                    "QGemm",
                    &layer(&["b", "y_scale", "y_zero"]),
                    vec![float("alpha", 0.5)],
                )
                .contributed();
            agree(&gemm, &halved);
        }
        let file = || weighted(quantized(DataType::Int8, &[1, 7]), ty, &[5, 7], 0, 5);
        let gemm = file()
            .node(
                "Gemm",
                &["q_real", "w_real", "b_real"],
                &["y_real"],
                vec![int("transB", 1)],
            )
            .node(
                "QuantizeLinear",
                &["y_real", "y_scale", "y_zero"],
                &["y"],
                vec![],
            );
        let turned = file()
            .named(
                "QGemm",
                &layer(&["b", "y_scale", "y_zero"]),
                vec![int("transB", 1)],
            )
            .contributed();
        agree(&turned, &gemm);
    }
}

#[test]
fn what_only_moves_or_compares_values_keeps_the_integers() {
    let pads = [0, 0, 1, 2, 0, 0, 1, 0];
    let window = || vec![ints("kernel_shape", &[2, 2]), ints("pads", &[1, 0, 0, 1])];
    let moved = |ty: DataType, node: &dyn Fn(File, &str, &str) -> File| {
        let file = || {
            quantized(ty, &[1, 4, 4, 6])
                .list("pads", &pads)
                .list("turned", &[1, 6, 16])
                .reals("none", &[0], &[])
                .reals("twice", &[4], &[1.0, 1.0, 2.0, 2.0])
                .store(integers("q_value", ty, &[], &[90]))
                .reals(
                    "q_real_value",
                    &[],
                    &[GRIDS[0].1
                        * if ty == DataType::Uint8 {
                            90.0 - 131.0
                        } else {
                            87.0
                        }],
                )
        };
        let integers = node(file(), "q", "y");
        let reals = node(
            file().node(
                "DequantizeLinear",
                &["q", "q_scale", "q_zero"],
                &["q_real"],
                vec![],
            ),
            "q_real",
            "y_real",
        )
        .node(
            "QuantizeLinear",
            &["y_real", "q_scale", "q_zero"],
            &["y"],
            vec![],
        );
        agree(&integers, &reals);
    };
    for ty in [DataType::Int8, DataType::Uint8] {
        moved(ty, &|file, x, y| file.node("MaxPool", &[x], &[y], window()));
        moved(ty, &|file, x, y| {
            file.node("Pad", &[x, "pads", &format!("{x}_value")], &[y], vec![])
        });
        moved(ty, &|file, x, y| {
            file.node("Pad", &[x, "pads"], &[y], vec![text("mode", "reflect")])
        });
        moved(ty, &|file, x, y| {
            file.node("Concat", &[x, x], &[y], vec![int("axis", 2)])
        });
        moved(ty, &|file, x, y| {
            file.node("Reshape", &[x, "turned"], &[y], vec![])
        });
        moved(ty, &|file, x, y| {
            file.node("Transpose", &[x], &[y], vec![ints("perm", &[0, 2, 3, 1])])
        });
        moved(ty, &|file, x, y| {
            file.node(
                "Resize",
                &[x, "none", "twice"],
                &[y],
                vec![text("mode", "nearest")],
            )
        });
        moved(ty, &|file, x, y| {
            file.node("DepthToSpace", &[x], &[y], vec![int("blocksize", 2)])
        });
        moved(ty, &|file, x, y| {
            file.node("GlobalMaxPool", &[x], &[y], vec![])
        });
    }
}

#[test]
fn a_padding_without_a_value_writes_the_integer_zero() {
    let file = quantized(DataType::Int8, &[1, 1, 1, 2])
        .list("pads", &[0, 0, 0, 1, 0, 0, 0, 0])
        .node("Pad", &["q", "pads"], &["y"], vec![]);
    // 0.11 is 10 steps, above a zero point of 3.
    file.gives_integers(&[0.11, -0.11], &[0.0, 13.0, -7.0]);
}

#[test]
fn layers_follow_each_other_without_real_numbers_between() {
    // As ONNX Runtime's quantizer writes them.
    let file = weighted(
        quantized(DataType::Int8, &[1, 4, 6, 6]),
        DataType::Int8,
        &[4, 4, 3, 3],
        0,
        4,
    )
    .node(
        "QLinearConv",
        &[
            "q", "q_scale", "q_zero", "w", "w_scale", "w_zero", "q_scale", "q_zero", "b",
        ],
        &["c"],
        vec![ints("pads", &[1, 1, 1, 1])],
    )
    .node(
        "MaxPool",
        &["c"],
        &["m"],
        vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
    )
    .node(
        "Transpose",
        &["m"],
        &["t"],
        vec![ints("perm", &[0, 2, 3, 1])],
    )
    .list("flat", &[1, 36])
    .node("Reshape", &["t", "flat"], &["f"], vec![])
    .node(
        "QLinearAdd",
        &[
            "f", "q_scale", "q_zero", "f", "q_scale", "q_zero", "y_scale", "y_zero",
        ],
        &["y"],
        vec![],
    )
    .contributed();
    let distinct: std::collections::BTreeSet<i8> =
        on_the_device(&file).into_iter().flatten().collect();
    assert!(distinct.len() > 10, "{distinct:?}");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let file = || quantized(DataType::Int8, &[1, 4, 6, 6]);
    let layers = |bias: DataType| {
        let mut file = weighted(file(), DataType::Int8, &[4, 4, 3, 3], 0, 4);
        let stored = &mut file.graph().initializer;
        stored.retain(|tensor| tensor.name != "b");
        file.store(integers("b", bias, &[4], &[1, 2, 3, 4]))
    };
    file()
        .store(integers("wrong", DataType::Uint8, &[], &[3]))
        .node(
            "QLinearSigmoid",
            &["q", "q_scale", "wrong", "y_scale", "y_zero"],
            &["y"],
            vec![],
        )
        .contributed()
        .refused(&["`QLinearSigmoid`", "a zero point is uint8", "are int8"]);
    layers(DataType::Int32)
        .store(integers("wrong", DataType::Uint8, &[], &[3]))
        .node(
            "QLinearConv",
            &[
                "q", "q_scale", "q_zero", "w", "w_scale", "wrong", "y_scale", "y_zero",
            ],
            &["y"],
            vec![],
        )
        .refused(&["`QLinearConv`", "a zero point is uint8", "are int8"]);
    layers(DataType::Int64)
        .named("QLinearConv", &layer(&["y_scale", "y_zero", "b"]), vec![])
        .refused(&["`QLinearConv`", "the bias is int64", "must be int32"]);
    file()
        .node(
            "QLinearSigmoid",
            &["q", "q_scale", "q_zero", "x", "y_zero"],
            &["y"],
            vec![],
        )
        .contributed()
        .refused(&[
            "`QLinearSigmoid`",
            "the scale of the result is computed",
            "only a constant",
        ]);
    file()
        .node(
            "QLinearSigmoid",
            &["x", "q_scale", "q_zero", "y_scale", "y_zero"],
            &["y"],
            vec![],
        )
        .contributed()
        .refused(&["`QLinearSigmoid`", "input 0 is float"]);
    file()
        .reals("many", &[4], &[0.1, 0.2, 0.3, 0.4])
        .node(
            "QLinearSigmoid",
            &["q", "many", "", "y_scale", "y_zero"],
            &["y"],
            vec![],
        )
        .contributed()
        .refused(&["more than one scale", "quantize activations per tensor"]);
    file()
        .node("Concat", &["q", "r"], &["y"], vec![int("axis", 1)])
        .refused(&["`Concat`", "different scales", "dequantize"]);
    file()
        .on_integers(
            "QLinearGlobalAveragePool",
            &["q"],
            vec![int("channels_last", 1)],
        )
        .refused(&["`channels_last`", "without optimizing it for one machine"]);
    weighted(
        quantized(DataType::Int8, &[1, 7]),
        DataType::Int8,
        &[7, 5],
        1,
        5,
    )
    .named("QGemm", &layer(&["b"]), vec![])
    .contributed()
    .refused(&["`QGemm`", "float result", "quantize the output too"]);
    file()
        .on_integers("QLinearReduceMean", &["q"], vec![])
        .refused(&["domain `com.microsoft`", "standard ONNX operators"]);
    file()
        .node("Exp", &["q"], &["y"], vec![])
        .refused(&["computes with the integers"]);
}

#[test]
fn scales_that_are_computed_while_running_are_refused_by_name() {
    for op in ["MatMulInteger", "ConvInteger", "DynamicQuantizeLinear"] {
        File::new(13, &[1, 4])
            .node(op, &["x"], &["y"], vec![])
            .refused(&[&format!("`{op}`"), "quantize statically", "float model"]);
    }
}
