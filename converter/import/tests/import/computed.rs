//! Operators whose operands are all computed, against tract where it has them and against values worked out by hand.

use ocellus_ir::random::Random;
use tract_onnx::pb::tensor_proto::DataType;

use crate::file::{File, close, float, int, integers, ints, run, text};

#[test]
fn arg_max_and_arg_min_of_every_axis() {
    for axis in [0, 1, 3, -2] {
        for keep in [0, 1] {
            for op in ["ArgMax", "ArgMin"] {
                let attributes = vec![int("axis", axis), int("keepdims", keep)];
                File::new(13, &[1, 5, 4, 3])
                    .node(op, &["x"], &["y"], attributes)
                    .output_type(DataType::Int64)
                    .agrees();
            }
        }
    }
}

#[test]
fn arg_max_takes_the_first_of_equal_values_or_the_last() {
    let x = [1.0, 3.0, 3.0, 0.0, 0.0, 2.0];
    let file = || File::new(13, &[2, 3]);
    let axis = int("axis", 1);
    file()
        .node(
            "ArgMax",
            &["x"],
            &["y"],
            vec![axis.clone(), int("keepdims", 0)],
        )
        .gives(&x, &[2], &[1.0, 2.0]);
    let last = vec![axis.clone(), int("select_last_index", 1)];
    file()
        .node("ArgMax", &["x"], &["y"], last.clone())
        .gives(&x, &[2, 1], &[2.0, 2.0]);
    file()
        .node("ArgMin", &["x"], &["y"], vec![axis])
        .gives(&x, &[2, 1], &[0.0, 0.0]);
    file()
        .node("ArgMin", &["x"], &["y"], last)
        .gives(&x, &[2, 1], &[0.0, 1.0]);
}

#[test]
fn products_of_two_computed_operands() {
    let mat_mul = |a: &[i64], b: &[i64]| {
        let (a, b) = (a.to_vec(), b.to_vec());
        let count = |shape: &[i64]| shape.iter().product::<i64>();
        let len = count(&a) + count(&b);
        File::new(13, &[len])
            .list("zero", &[0])
            .list("middle", &[count(&a)])
            .list("end", &[len])
            .list("shape_a", &a)
            .list("shape_b", &b)
            .node("Slice", &["x", "zero", "middle"], &["fa"], vec![])
            .node("Slice", &["x", "middle", "end"], &["fb"], vec![])
            .node("Reshape", &["fa", "shape_a"], &["a"], vec![])
            .node("Reshape", &["fb", "shape_b"], &["b"], vec![])
    };
    for (a, b) in [
        (&[4, 5][..], &[5, 3][..]),
        (&[2, 3, 4, 5], &[2, 3, 5, 6]),
        (&[2, 1, 4, 5], &[3, 5, 6]),
        (&[5], &[2, 5, 3]),
        (&[2, 4, 5], &[5]),
    ] {
        mat_mul(a, b)
            .node("MatMul", &["a", "b"], &["y"], vec![])
            .agrees();
    }
    for (turn_a, turn_b, a, b) in [
        (0, 0, [4, 5], [5, 3]),
        (1, 0, [5, 4], [5, 3]),
        (0, 1, [4, 5], [3, 5]),
        (1, 1, [5, 4], [3, 5]),
    ] {
        let attributes = vec![
            int("transA", turn_a),
            int("transB", turn_b),
            float("alpha", 0.5),
        ];
        mat_mul(&a, &b)
            .random("c", &[3])
            .node("Gemm", &["a", "b", "c"], &["y"], attributes)
            .agrees();
    }
    // A constant stack, on either side.
    File::new(13, &[2, 4, 5])
        .random("w", &[2, 5, 3])
        .node("MatMul", &["x", "w"], &["y"], vec![])
        .agrees();
    File::new(13, &[2, 4, 5])
        .random("w", &[2, 3, 4])
        .node("MatMul", &["w", "x"], &["y"], vec![])
        .agrees();
}

#[test]
fn einsum_of_two_operands_in_every_order() {
    for (equation, w) in [
        ("bhqd,bhkd->bhqk", &[1, 2, 6, 3][..]),
        ("bhqd,bhdk->bhqk", &[1, 2, 3, 6]),
        ("bhqd,dk->bhqk", &[3, 6]),
        ("bhqd,kd->bqhk", &[6, 3]),
        ("bhqd,hde->bqe", &[2, 3, 7]),
        ("bhqd,qk->bhkd", &[4, 4]),
    ] {
        let equation = || vec![text("equation", equation)];
        File::new(13, &[1, 2, 4, 3])
            .random(
                "w",
                &w.iter().map(|&size| i64::from(size)).collect::<Vec<_>>(),
            )
            .node("Einsum", &["x", "w"], &["y"], equation())
            .agrees();
    }
    let computed = |equation: &str| {
        File::new(13, &[1, 2, 4, 3])
            .node("Tanh", &["x"], &["t"], vec![])
            .node(
                "Einsum",
                &["x", "t"],
                &["y"],
                vec![text("equation", equation)],
            )
    };
    computed("bhqd,bhkd->bhqk").agrees();
    computed("bhqd,bhqe->bhde").agrees();
    computed("bhqd,bhqe->bhe").refused(&["sums over an axis that only one operand has"]);
    File::new(13, &[2, 4, 3])
        .node("Einsum", &["x"], &["y"], vec![text("equation", "abc->cab")])
        .agrees();
}

#[test]
fn normalization_over_the_innermost_axes() {
    for (axis, parameters) in [(-1, &[6][..]), (1, &[4, 6])] {
        File::new(17, &[1, 4, 6])
            .random("gamma", parameters)
            .random("beta", parameters)
            .node(
                "LayerNormalization",
                &["x", "gamma", "beta"],
                &["y"],
                vec![int("axis", axis), float("epsilon", 1e-3)],
            )
            .agrees();
    }
}

/// Worked out by hand: the values of a row are its mean -1 and +1 times its deviation.
#[test]
fn normalizations_by_hand() {
    let x = [1.0, 3.0, 10.0, 20.0, -4.0, 0.0, 5.0, 5.0];
    let file = |opset, shape: &[i64]| File::new(opset, shape);
    file(13, &[1, 4, 2])
        .reals("gamma", &[4], &[1.0, 2.0, 3.0, 4.0])
        .reals("beta", &[4], &[0.0, 0.5, 0.0, -1.0])
        .node(
            "InstanceNormalization",
            &["x", "gamma", "beta"],
            &["y"],
            vec![float("epsilon", 0.0)],
        )
        .gives(
            &x,
            &[1, 4, 2],
            &[-1.0, 1.0, -1.5, 2.5, -3.0, 3.0, -1.0, -1.0],
        );
    // Two groups of two channels of one pixel each are the rows; from operator set 21 on there is a factor a channel.
    let group = vec![int("num_groups", 4), float("epsilon", 0.0)];
    file(18, &[1, 8, 1])
        .reals("gamma", &[4], &[1.0, 2.0, 3.0, 4.0])
        .reals("beta", &[4], &[0.0, 0.5, 0.0, -1.0])
        .node(
            "GroupNormalization",
            &["x", "gamma", "beta"],
            &["y"],
            group.clone(),
        )
        .gives(
            &x,
            &[1, 8, 1],
            &[-1.0, 1.0, -1.5, 2.5, -3.0, 3.0, -1.0, -1.0],
        );
    file(21, &[1, 8, 1])
        .reals("gamma", &[8], &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
        .reals("beta", &[8], &[0.0; 8])
        .node("GroupNormalization", &["x", "gamma", "beta"], &["y"], group)
        .gives(&x, &[1, 8, 1], &[-1.0, 2.0, -1.0, 2.0, -1.0, 2.0, 0.0, 0.0]);
    file(13, &[1, 2, 2, 2])
        .node(
            "MeanVarianceNormalization",
            &["x"],
            &["y"],
            vec![ints("axes", &[0, 3])],
        )
        .gives(
            &x,
            &[1, 2, 2, 2],
            &[-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 0.0, 0.0],
        );
    file(23, &[1, 2])
        .reals("gamma", &[2], &[1.0, 10.0])
        .node(
            "RMSNormalization",
            &["x", "gamma"],
            &["y"],
            vec![float("epsilon", 0.0)],
        )
        .gives(&[3.0, 4.0], &[1, 2], &[0.848_528_1, 11.313_708]);
}

#[test]
fn indices_from_the_models_input() {
    for ty in [DataType::Int64, DataType::Int32] {
        File::with_input(13, ty, &[1, 4])
            .random("table", &[9, 5])
            .node("Gather", &["table", "x"], &["y"], vec![])
            .agrees();
    }
    File::with_input(13, DataType::Int64, &[2, 2])
        .random("table", &[3, 4, 2])
        .node("Gather", &["table", "x"], &["y"], vec![int("axis", 1)])
        .agrees();
    // A mask is computed with, and its numbers are real.
    File::with_input(13, DataType::Int64, &[1, 4])
        .reals("one", &[1], &[1.0])
        .node("Cast", &["x"], &["real"], vec![int("to", 1)])
        .node("Sub", &["one", "real"], &["y"], vec![])
        .agrees();
}

#[test]
fn indices_out_of_arg_max() {
    File::new(13, &[6, 3])
        .node(
            "ArgMax",
            &["x"],
            &["i"],
            vec![int("axis", 0), int("keepdims", 0)],
        )
        .node("Gather", &["x", "i"], &["y"], vec![])
        .agrees();
    File::new(13, &[6, 3])
        .node("ArgMax", &["x"], &["i"], vec![int("axis", 0)])
        .node("GatherElements", &["x", "i"], &["y"], vec![])
        .agrees();
    File::new(13, &[6, 3])
        .node("ArgMax", &["x"], &["i"], vec![int("axis", 0)])
        .list("shape", &[3, 1])
        .node("Reshape", &["i", "shape"], &["list"], vec![])
        .node("GatherND", &["x", "list"], &["y"], vec![])
        .agrees();
}

#[test]
fn constant_indices_of_elements_and_tuples() {
    let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let tuples = integers("i", DataType::Int64, &[3, 2], &[0, 2, 2, -1, 1, 1]);
    File::new(13, &[3, 4, 2])
        .store(tuples)
        .node("GatherND", &["x", "i"], &["y"], vec![])
        .gives(&x, &[3, 2], &[4.0, 5.0, 22.0, 23.0, 10.0, 11.0]);
    let elements = integers("i", DataType::Int64, &[2, 4], &[0, 1, 2, -1, 4, 3, 2, 1]);
    File::new(13, &[5, 4])
        .store(elements)
        .node("GatherElements", &["x", "i"], &["y"], vec![])
        .agrees();
}

#[test]
fn the_largest_and_the_smallest_of_an_axis() {
    for (axis, largest) in [(-1, 1), (-1, 0), (1, 1)] {
        for output in ["values", "indices"] {
            let attributes = vec![int("axis", axis), int("largest", largest)];
            File::new(13, &[1, 5, 6])
                .list("k", &[3])
                .node("TopK", &["x", "k"], &["values", "indices"], attributes)
                .node("Identity", &[output], &["y"], vec![])
                .agrees();
        }
    }
    let x = [2.0, 5.0, 5.0, 1.0];
    File::new(13, &[4])
        .list("k", &[3])
        .node("TopK", &["x", "k"], &["v", "y"], vec![])
        .gives(&x, &[3], &[1.0, 2.0, 0.0]);
}

#[test]
fn ellipses_stand_for_the_axes_that_are_not_named() {
    let equation = |written: &str| vec![text("equation", written)];
    // tract does not read ellipses: the same with all axes named.
    for (short, long) in [
        ("...ij,...kj->...ik", "abij,abkj->abik"),
        ("b...ij,b...jk->b...ik", "baij,bajk->baik"),
        ("a...,a...->a...", "aijk,aijk->aijk"),
    ] {
        let file = |written: &str| {
            File::new(13, &[1, 2, 4, 4])
                .node("Tanh", &["x"], &["r"], vec![])
                .node("Einsum", &["x", "r"], &["y"], equation(written))
        };
        let x = Random::new(3).values(32);
        let values = |file: File| run(&file.import().unwrap().graph, &[&x]).swap_remove(0);
        close(&values(file(short)), &values(file(long)), 0.0, short);
    }
    let file = File::new(13, &[2, 3]).node("Tanh", &["x"], &["r"], vec![]);
    file.node("Einsum", &["x", "r"], &["y"], equation("...i,...ij->...j"))
        .refused(&["different counts of axes"]);
}
