//! Operators that become several of the graph, a model's own functions, branches, and where a refused model is cut.

use ocellus_import::{ErrorKind, ImportOptions, import_onnx_bytes};
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, ValueInfoProto,
    attribute_proto::AttributeType, tensor_proto::DataType,
};

use crate::file::{File, agree, float, int, integers, ints, text};

#[test]
fn functions_of_one_value() {
    for op in [
        "Erf",
        "Softplus",
        "Softsign",
        "Elu",
        "Selu",
        "Celu",
        "Sin",
        "Cos",
        "Atan",
        "Floor",
        "Ceil",
        "Round",
        "Sign",
        "Abs",
        "ThresholdedRelu",
    ] {
        File::new(13, &[2, 5])
            .node(op, &["x"], &["y"], vec![])
            .agrees();
    }
    let shrink = |attributes| File::new(13, &[4]).node("Shrink", &["x"], &["y"], attributes);
    shrink(vec![]).gives(&[-2.0, -0.2, 0.2, 2.0], &[4], &[-2.0, 0.0, 0.0, 2.0]);
    shrink(vec![float("bias", 1.5), float("lambd", 1.5)]).gives(
        &[-2.0, -1.0, 1.0, 2.0],
        &[4],
        &[-0.5, 0.0, 0.0, 0.5],
    );
    let gelu = |mode| {
        let file = File::new(20, &[3]);
        file.node("Gelu", &["x"], &["y"], vec![text("approximate", mode)])
    };
    gelu("none").gives(&[-1.0, 0.0, 1.0], &[3], &[-0.158_655_25, 0.0, 0.841_344_7]);
    gelu("tanh").gives(&[-1.0, 0.0, 1.0], &[3], &[-0.158_808, 0.0, 0.841_192]);
    File::new(18, &[2])
        .node("Mish", &["x"], &["y"], vec![])
        .gives(&[0.0, 1.0], &[2], &[0.0, 0.865_098_4]);
}

#[test]
fn powers_of_computed_and_of_constant_numbers() {
    let pow = |exponent| {
        File::new(13, &[3])
            .reals("e", &[], &[exponent])
            .node("Pow", &["x", "e"], &["y"], vec![])
    };
    pow(2.0).gives(&[-1.0, 2.0, 3.0], &[3], &[1.0, 4.0, 9.0]);
    pow(0.5).gives(&[1.0, 4.0, 9.0], &[3], &[1.0, 2.0, 3.0]);
    File::new(13, &[3])
        .reals("b", &[], &[2.0])
        .node("Pow", &["b", "x"], &["y"], vec![])
        .gives(&[0.0, 1.0, 3.0], &[3], &[1.0, 2.0, 8.0]);
}

#[test]
fn frames_that_copy() {
    for mode in ["reflect", "edge"] {
        File::new(13, &[1, 2, 5, 4])
            .list("p", &[0, 0, 2, 1, 0, 0, 1, 3])
            .node("Pad", &["x", "p"], &["y"], vec![text("mode", mode)])
            .agrees();
    }
    File::new(19, &[3])
        .list("p", &[2, 4])
        .node("Pad", &["x", "p"], &["y"], vec![text("mode", "wrap")])
        .gives(
            &[1.0, 2.0, 3.0],
            &[9],
            &[2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0],
        );
}

#[test]
fn blocks_of_pixels_and_channels() {
    for mode in ["DCR", "CRD"] {
        File::new(13, &[1, 12, 2, 3])
            .node(
                "DepthToSpace",
                &["x"],
                &["y"],
                vec![int("blocksize", 2), text("mode", mode)],
            )
            .agrees();
    }
    File::new(13, &[1, 3, 4, 6])
        .node("SpaceToDepth", &["x"], &["y"], vec![int("blocksize", 2)])
        .agrees();
}

#[test]
fn reductions_over_any_axes() {
    for op in [
        "ReduceMean",
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceLogSumExp",
    ] {
        for axes in [&[1][..], &[2, 3], &[-1], &[0, 2]] {
            for keep in [0, 1] {
                let attributes = vec![int("keepdims", keep)];
                // The list of axes is an input since operator set 13 or 18.
                let file = File::new(12, &[1, 3, 4, 5]);
                let attributes = [attributes, vec![ints("axes", axes)]].concat();
                file.node(op, &["x"], &["y"], attributes).agrees();
            }
        }
    }
    File::new(18, &[2, 3])
        .list("a", &[1])
        .node("ReduceMax", &["x", "a"], &["y"], vec![int("keepdims", 0)])
        .gives(&[1.0, 3.0, 2.0, -1.0, -3.0, -2.0], &[2], &[3.0, -1.0]);
    File::new(13, &[2, 3])
        .node("LogSoftmax", &["x"], &["y"], vec![])
        .agrees();
}

#[test]
fn norms_by_hand() {
    File::new(13, &[1, 1, 2, 2])
        .node("GlobalLpPool", &["x"], &["y"], vec![])
        .gives(&[1.0, -2.0, 4.0, 2.0], &[1, 1, 1, 1], &[5.0]);
    File::new(13, &[2, 2])
        .node("LpNormalization", &["x"], &["y"], vec![])
        .gives(&[3.0, 4.0, 0.0, -2.0], &[2, 2], &[0.6, 0.8, 0.0, -1.0]);
    File::new(13, &[2, 2])
        .node(
            "LpNormalization",
            &["x"],
            &["y"],
            vec![int("axis", 0), int("p", 1)],
        )
        .gives(&[3.0, 4.0, 1.0, -4.0], &[2, 2], &[0.75, 0.5, 0.25, -0.5]);
}

#[test]
fn values_that_are_repeated_reversed_and_chosen() {
    File::new(13, &[1, 3, 1])
        .list("s", &[2, 3, 4])
        .node("Expand", &["x", "s"], &["y"], vec![])
        .agrees();
    File::new(13, &[2, 3])
        .list("r", &[2, 3])
        .node("Tile", &["x", "r"], &["y"], vec![])
        .agrees();
    File::new(13, &[6])
        .list("s", &[-1])
        .list("e", &[-7])
        .list("a", &[0])
        .list("t", &[-2])
        .node("Slice", &["x", "s", "e", "a", "t"], &["y"], vec![])
        .gives(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[3], &[5.0, 3.0, 1.0]);
    let chosen = File::new(13, &[2, 2])
        .store(integers("c", DataType::Bool, &[2, 1], &[1, 0]))
        .reals("z", &[], &[7.0]);
    chosen
        .node("Where", &["c", "x", "z"], &["y"], vec![])
        .gives(&[1.0, 2.0, 3.0, 4.0], &[2, 2], &[1.0, 2.0, 7.0, 7.0]);
    File::new(13, &[4])
        .reals("t", &[], &[0.5])
        .reals("z", &[], &[-1.0])
        .node("Greater", &["x", "t"], &["c"], vec![])
        .node("Where", &["c", "x", "z"], &["y"], vec![])
        .gives(&[0.0, 0.5, 0.6, 2.0], &[4], &[-1.0, -1.0, 0.6, 2.0]);
    File::new(13, &[2, 3])
        .store(integers("a", DataType::Int64, &[], &[1]))
        .node("CumSum", &["x", "a"], &["y"], vec![int("reverse", 1)])
        .gives(
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            &[2, 3],
            &[6.0, 5.0, 3.0, 15.0, 11.0, 6.0],
        );
}

#[test]
fn sums_of_products() {
    for (equation, weights) in [
        ("bchw,cd->bdhw", &[3, 2][..]),
        ("bchw,dc->bhwd", &[2, 3]),
        ("bchw,hw->bc", &[4, 5]),
        ("bchw,cwo->bcho", &[3, 5, 2]),
    ] {
        File::new(13, &[1, 3, 4, 5])
            .random("w", weights)
            .node(
                "Einsum",
                &["x", "w"],
                &["y"],
                vec![text("equation", equation)],
            )
            .agrees();
    }
    File::new(13, &[3, 2, 4])
        .random("w", &[3, 4, 5])
        .node("MatMul", &["x", "w"], &["y"], vec![])
        .agrees();
    File::new(13, &[3, 4, 2])
        .random("w", &[3, 5, 4])
        .node("MatMul", &["w", "x"], &["y"], vec![])
        .agrees();
}

#[test]
fn weights_that_are_computed_from_constants() {
    File::new(13, &[1, 3, 5, 5])
        .random("w", &[2, 3, 3, 3])
        .node("Mul", &["w", "w"], &["square"], vec![])
        .node(
            "ReduceMean",
            &["square"],
            &["mean"],
            vec![ints("axes", &[1, 2, 3])],
        )
        .node("Sqrt", &["mean"], &["size"], vec![])
        .node("Div", &["w", "size"], &["standard"], vec![])
        .node("Conv", &["x", "standard"], &["y"], vec![])
        .agrees();
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    NodeProto {
        op_type: op.into(),
        input: list(inputs),
        output: list(outputs),
        ..Default::default()
    }
}

#[test]
fn a_models_own_functions_are_written_out() {
    let slope = AttributeProto {
        name: "alpha".into(),
        ref_attr_name: "slope".into(),
        r#type: AttributeType::Float as i32,
        ..Default::default()
    };
    let leaky = NodeProto {
        attribute: vec![slope],
        ..node("LeakyRelu", &["a"], &["inner"])
    };
    let function = |body: Vec<NodeProto>| FunctionProto {
        name: Some("Twice".into()),
        domain: Some("own".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        attribute: vec!["slope".into()],
        node: body,
        ..Default::default()
    };
    let call = |file: File, x: &str, y: &str| {
        let mut file = file.node("Twice", &[x], &[y], vec![float("slope", 0.5)]);
        file.graph().node.last_mut().unwrap().domain = "own".into();
        file
    };
    let calls = || call(call(File::new(13, &[2]), "x", "inner"), "inner", "y");
    let mut file = calls();
    file.model.functions = vec![function(vec![leaky, node("Add", &["inner", "a"], &["b"])])];
    file.gives(&[-4.0, 1.0], &[2], &[-9.0, 4.0]);

    let mut endless = calls();
    let own = NodeProto {
        domain: "own".into(),
        ..node("Twice", &["a"], &["b"])
    };
    endless.model.functions = vec![function(vec![own])];
    endless.refused(&["function `Twice`", "calls itself"]);
}

#[test]
fn a_branch_is_taken_where_the_condition_is_constant() {
    let graph = |op: &str| GraphProto {
        node: vec![node(op, &["outer"], &["inside"])],
        output: vec![ValueInfoProto {
            name: "inside".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let branch = |name: &str, op: &str| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Graph as i32,
        g: Some(graph(op)),
        ..Default::default()
    };
    for (condition, expected) in [(1, [0.0, 2.0]), (0, [1.0, -2.0])] {
        File::new(13, &[2])
            .store(integers("c", DataType::Bool, &[], &[condition]))
            .node("Identity", &["x"], &["outer"], vec![])
            .node(
                "If",
                &["c"],
                &["y"],
                vec![branch("then_branch", "Relu"), branch("else_branch", "Neg")],
            )
            .gives(&[-1.0, 2.0], &[2], &expected);
    }
}

#[test]
fn a_refused_model_is_told_where_to_cut() {
    let file = File::new(13, &[1, 4, 4])
        .node("Relu", &["x"], &["scores"], vec![])
        .node("Tanh", &["x"], &["boxes"], vec![])
        .node("Abs", &["x"], &["unused"], vec![])
        .node("NonMaxSuppression", &["boxes", "scores"], &["kept"], vec![])
        .node("Gather", &["boxes", "kept"], &["y"], vec![]);
    file.refused(&[
        "node 3 `NonMaxSuppression`",
        "depends on the data",
        "convert with `--cut boxes` `--cut scores`",
    ]);
    File::new(13, &[4])
        .node("Relu", &["x"], &["flags"], vec![])
        .node("NonZero", &["flags"], &["y"], vec![])
        .refused(&["node 1 `NonZero`", "convert with `--cut flags`"]);
}

#[test]
fn a_model_ends_where_it_is_cut() {
    let file = File::new(13, &[1, 4, 4])
        .node("Relu", &["x"], &["scores_of_all"], vec![])
        .node("Tanh", &["x"], &["boxes"], vec![])
        .node(
            "NonMaxSuppression",
            &["boxes", "scores_of_all"],
            &["kept"],
            vec![],
        )
        .node("Gather", &["boxes", "kept"], &["y"], vec![]);
    let cut = |outputs: &[&str]| ImportOptions {
        outputs: outputs.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let options = cut(&["boxes", "scores_..."]);
    let imported = import_onnx_bytes("test.onnx", &file.bytes(), &options).unwrap();
    let names: Vec<&str> = imported
        .graph
        .outputs
        .iter()
        .map(|o| o.name.as_str())
        .collect();
    assert_eq!(names, ["boxes", "scores_of_all"]);
    agree("test.onnx", &file.bytes(), &options, 1e-5);
    for (name, word) in [("box", "no tensor of that name"), ("...", "both begin so")] {
        let error = import_onnx_bytes("test.onnx", &file.bytes(), &cut(&[name])).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Options);
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// Boxes and scores out of two convolutions, and a selection of two classes as exporters write it: one slice of the scores each.
fn detector() -> File {
    let classes = |file: File, class: i64| {
        let of = |name: &str| format!("{name}{class}");
        file.list(&of("from"), &[class])
            .list(&of("to"), &[class + 1])
            .node(
                "Slice",
                &["scores", &of("from"), &of("to"), "one"],
                &[&of("slice")],
                vec![],
            )
            .node("Greater", &[&of("slice"), "least"], &[&of("high")], vec![])
            .node("NonZero", &[&of("high")], &[&of("at")], vec![])
            .node(
                "NonMaxSuppression",
                &["boxes", &of("slice")],
                &[&of("kept")],
                vec![],
            )
    };
    let file = File::new(13, &[1, 3, 4, 4])
        .random("box_weights", &[4, 3, 1, 1])
        .random("score_weights", &[2, 3, 1, 1])
        .list("box_shape", &[1, 16, 4])
        .list("score_shape", &[1, 2, 16])
        .list("one", &[1])
        .reals("least", &[], &[0.5])
        .node("Conv", &["x", "box_weights"], &["raw_boxes"], vec![])
        .node("Conv", &["x", "score_weights"], &["raw_scores"], vec![])
        .node("Reshape", &["raw_boxes", "box_shape"], &["boxes"], vec![])
        .node("Reshape", &["raw_scores", "score_shape"], &["flat"], vec![])
        .node("Sigmoid", &["flat"], &["scores"], vec![]);
    let names = ["at0", "at1", "kept0", "kept1"];
    classes(classes(file, 0), 1).node("Concat", &names, &["y"], vec![int("axis", 0)])
}

#[test]
fn a_detector_ends_before_it_selects_boxes() {
    let file = detector();
    let imported = file.import().unwrap();
    let outputs = imported.graph.outputs.iter();
    let names: Vec<&str> = outputs.map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["boxes", "scores"]);
    let note = imported.notes.join("; ");
    for word in ["`boxes`, `scores`", "before `NonZero` (n7)", "`--cut`"] {
        assert!(note.contains(word), "{note}");
    }
    // The reference ends there too.
    file.agrees();
    // What the user asks for comes first.
    let options = ImportOptions {
        outputs: vec!["raw_scores".into()],
        ..Default::default()
    };
    let imported = import_onnx_bytes("test.onnx", &file.bytes(), &options).unwrap();
    assert_eq!(imported.graph.outputs[0].name, "raw_scores");
    assert_eq!(imported.notes, [""; 0]);
    // A layer behind the selection: a model of two stages is refused.
    let mut file = detector();
    file.graph().output[0].name = "z".into();
    file.random("head", &[1, 16])
        .node("MatMul", &["head", "y"], &["z"], vec![])
        .refused(&["node 7 `NonZero`", "depends on the data", "`--cut "]);
}

/// The names of a file's outputs once it is imported.
fn ends(file: &File) -> Vec<String> {
    let outputs = file.import().unwrap().graph.outputs;
    outputs.into_iter().map(|output| output.name).collect()
}

#[test]
fn whatever_has_weights_behind_a_selection_is_a_layer() {
    let behind = |operator: &str, weights: &str| {
        let mut file = detector();
        file.graph().output[0].name = "z".into();
        file.random("few", &[1024])
            .random("many", &[1025])
            .node("Neg", &["many"], &["computed"], vec![])
            .node(operator, &["y", weights], &["z"], vec![])
    };
    let words = ["node 7 `NonZero`", "depends on the data"];
    behind("Einsum", "few").refused(&words);
    behind("FusedConv", "few").contributed().refused(&words);
    behind("Mystery", "many").contributed().refused(&words);
    behind("Mystery", "computed").contributed().refused(&words);
    for file in [
        behind("Mystery", "few").contributed(),
        behind("Add", "many"),
    ] {
        assert_eq!(ends(&file), ["boxes", "scores"]);
    }
}

#[test]
fn no_model_ends_at_truth_values_or_indices() {
    let file = || {
        File::new(13, &[1, 3, 4, 4])
            .random("weights", &[2, 3, 1, 1])
            .reals("least", &[], &[0.5])
            .list("line", &[-1])
            .list("first", &[0])
            .node("Conv", &["x", "weights"], &["scores"], vec![])
    };
    let high = || {
        file()
            .node("Greater", &["scores", "least"], &["high"], vec![])
            .node("Reshape", &["high", "line"], &["flat"], vec![])
    };
    let straight = high().node("NonZero", &["flat"], &["y"], vec![]);
    assert_eq!(ends(&straight), ["scores"]);
    let best = file()
        .node("ArgMax", &["scores"], &["best"], vec![int("axis", 1)])
        .node("Unsqueeze", &["best", "first"], &["more"], vec![])
        .node("Concat", &["more", "more"], &["both"], vec![int("axis", 0)])
        .node("NonZero", &["both"], &["y"], vec![]);
    assert_eq!(ends(&best), ["scores"]);
    let real = i64::from(DataType::Float as i32);
    let cast = high()
        .node("Cast", &["flat"], &["mask"], vec![int("to", real)])
        .node("NonZero", &["mask"], &["y"], vec![]);
    assert_eq!(ends(&cast), ["mask"]);
}

#[test]
fn an_input_that_is_handed_through_stays_an_output() {
    let mut file = detector();
    let mut size = file.graph().input[0].clone();
    size.name = "size".into();
    file.graph().input.push(size.clone());
    file.graph().output.push(size);
    assert_eq!(ends(&file), ["boxes", "scores", "size"]);
}

#[test]
fn outputs_that_are_constant_are_left_out() {
    let mut file = File::new(13, &[1, 4])
        .reals("stored", &[2, 4], &[0.5; 8])
        .node("Relu", &["stored"], &["priors"], vec![])
        .node("Shape", &["x"], &["size"], vec![])
        .node("Relu", &["x"], &["y"], vec![]);
    for (at, name) in ["priors", "size"].into_iter().enumerate() {
        let output = ValueInfoProto {
            name: name.into(),
            ..Default::default()
        };
        file.graph().output.insert(at, output);
    }
    let imported = file.import().unwrap();
    assert_eq!(imported.graph.outputs.len(), 1);
    assert_eq!(imported.graph.outputs[0].name, "y");
    let note = imported.notes.join("; ");
    assert!(
        note.contains("`priors`") && note.contains("`size`"),
        "{note}"
    );
    file.agrees();
}

#[test]
fn what_equals_the_largest_around_it_is_kept() {
    // How detectors without boxes find their peaks.
    let window = || vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])];
    File::new(13, &[1, 2, 5, 6])
        .node("MaxPool", &["x"], &["largest"], window())
        .node("Equal", &["largest", "x"], &["peak"], vec![])
        .node("Cast", &["peak"], &["ones"], vec![int("to", 1)])
        .node("Mul", &["x", "ones"], &["y"], vec![])
        .agrees();
}

#[test]
fn responses_are_normalized_by_neighbouring_channels() {
    for size in [1, 4, 5] {
        File::new(13, &[1, 7, 3, 4])
            .node(
                "LRN",
                &["x"],
                &["y"],
                vec![
                    int("size", size),
                    float("alpha", 0.5),
                    float("beta", 0.6),
                    float("bias", 1.5),
                ],
            )
            .agrees();
    }
}
