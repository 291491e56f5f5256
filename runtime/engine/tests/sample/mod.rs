//! A small model of every operator, made without the converter.

use ocellus::format::ops::{
    Add, ArgMax, AveragePool2d, BatchMatMul, Binary, Concat, Conv2d, Conv2dAdd, DepthwiseConv2d,
    Div, FullyConnected, Gather, GatherElements, IndexType, LayerNorm, Lookup, MaxPool2d, Maximum,
    Minimum, Mul, OutputS8, Pad, Params, Prelu, ResizeBilinear, ResizeNearest, Slice, Softmax,
    Take, TopK, Transpose, TransposeConv2d, Window2d,
};
use ocellus::format::{
    Assembly, BorderInput, BorderOutput, BorderType, Colour, Fit, Info, Isa, Preprocess, QParams,
    Requant, Scratch, Task, TaskRecord, TensorRef, WeightLayout, Writer,
};

/// `1 / 8` and some.
const EIGHTH: Requant = Requant {
    multiplier: 1 << 30,
    shift: 33,
};
const Q: QParams = QParams {
    scale: 0.05,
    zero_point: 3,
};
const OUT: OutputS8 = OutputS8 {
    zero_point: 3,
    min: -128,
    max: 127,
};

struct Builder {
    writer: Writer,
    end: u32,
    count: usize,
}

impl Builder {
    /// A new tensor behind all others.
    fn apart(&mut self, shape: &[u32]) -> TensorRef {
        let offset = self.end;
        self.end += shape.iter().product::<u32>().next_multiple_of(16);
        self.at(offset, shape)
    }

    /// New indices, a byte each, behind all others.
    fn indices_apart(&mut self, shape: &[u32]) -> TensorRef {
        let offset = self.end;
        self.end += shape.iter().product::<u32>().next_multiple_of(16);
        self.count += 1;
        self.writer
            .indices(
                &format!("tensor_{}", self.count),
                shape,
                IndexType::U8,
                offset,
            )
            .expect("a sound shape")
    }

    fn at(&mut self, offset: u32, shape: &[u32]) -> TensorRef {
        self.count += 1;
        self.writer
            .activation(&format!("tensor_{}", self.count), shape, Q, offset)
            .expect("a sound shape")
    }

    fn scratch(&mut self, bytes: u32) -> Scratch {
        let offset = self.end;
        self.end += bytes.next_multiple_of(16);
        Scratch { offset, bytes }
    }

    /// Weights, bias, multipliers, shifts.
    fn weights(&mut self, shape: &[u32], out_c: u32) -> [TensorRef; 4] {
        let weights: Vec<i8> = (0..shape.iter().product::<u32>())
            .map(|i| (i * 29 % 255) as i8)
            .collect();
        let bias: Vec<i32> = (0..out_c as i32).map(|i| i * 40 - 60).collect();
        let writer = &mut self.writer;
        [
            writer
                .constant("weights", shape, None, &weights)
                .expect("weights"),
            writer
                .constant("bias", &[out_c], None, &bias)
                .expect("bias"),
            writer
                .constant(
                    "multipliers",
                    &[out_c],
                    None,
                    &vec![(1 << 30) + 12_345_i32; out_c as usize],
                )
                .expect("multipliers"),
            writer
                .constant("shifts", &[out_c], None, &vec![38_u8; out_c as usize])
                .expect("shifts"),
        ]
    }

    fn op<P: for<'a> Params<'a>>(&mut self, params: &P, inputs: &[TensorRef], output: TensorRef) {
        self.op_with(params, inputs, output, Scratch::default());
    }

    fn op_with<P: for<'a> Params<'a>>(
        &mut self,
        params: &P,
        inputs: &[TensorRef],
        output: TensorRef,
        scratch: Scratch,
    ) {
        let layer = format!("layer {}", <P as Params<'_>>::CODE.name());
        self.writer
            .operator(&layer, params, inputs, &[output], scratch)
            .expect("a sound operator");
    }
}

fn window(input: (u32, u32), output: (u32, u32), kernel: u32, stride: u32, pad: u32) -> Window2d {
    Window2d {
        in_h: input.0,
        in_w: input.1,
        out_h: output.0,
        out_w: output.1,
        kernel_h: kernel,
        kernel_w: kernel,
        stride_h: stride,
        stride_w: stride,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: pad,
        pad_left: pad,
    }
}

/// Operators whose operands are all computed: `[16, 3]` of the picture's values, in an order that depends on them.
fn computed(b: &mut Builder, picture: TensorRef) -> TensorRef {
    let normal = b.apart(&[16, 3]);
    let multipliers = b
        .writer
        .constant("gamma", &[3], None, &[1_i32 << 30, -(1 << 30), 1 << 30])
        .expect("multipliers");
    let shifts = b
        .writer
        .constant("gamma shifts", &[3], None, &[33_u8, 33, 34])
        .expect("shifts");
    let offsets = b
        .writer
        .constant("beta", &[3], None, &[0_i32, 12 << 12, -(9 << 11)])
        .expect("offsets");
    b.op(
        &LayerNorm {
            rows: 16,
            n: 3,
            run: 1,
            parameters: 3,
            centered: true,
            zero_point_in: 3,
            epsilon: 1_000,
            output: OUT,
        },
        &[picture, multipliers, shifts, offsets],
        normal,
    );
    let similarity = b.apart(&[16, 16]);
    b.op(
        &BatchMatMul {
            stack: [1; 3],
            broadcast_a: 0,
            broadcast_b: 0,
            m: 16,
            k: 3,
            n: 16,
            transposed_a: false,
            transposed_b: true,
            zero_point_a: 3,
            zero_point_b: 3,
            requant: Requant {
                multiplier: 1 << 30,
                shift: 36,
            },
            output: OUT,
        },
        &[normal, normal],
        similarity,
    );
    let best = b.indices_apart(&[16]);
    b.op(
        &ArgMax {
            outer: 16,
            n: 16,
            inner: 1,
            smallest: true,
            last: false,
            index: IndexType::U8,
        },
        &[similarity],
        best,
    );
    let ranked = b.indices_apart(&[16, 3]);
    b.op(
        &TopK {
            rows: 16,
            n: 16,
            k: 3,
            smallest: false,
            index: IndexType::U8,
        },
        &[similarity],
        ranked,
    );
    let strongest = b.apart(&[16, 3]);
    b.op(
        &GatherElements {
            outer: 16,
            in_n: 16,
            out_n: 3,
            inner: 1,
            index: IndexType::U8,
        },
        &[similarity, ranked],
        strongest,
    );
    let taken = b.apart(&[16, 3]);
    b.op(
        &Take {
            outer: 1,
            in_n: 16,
            out_n: 16,
            inner: 3,
            index: IndexType::U8,
        },
        &[picture, best],
        taken,
    );
    let ratio = b.apart(&[16, 3]);
    b.op(
        &Div {
            binary: Binary::flat([1, 1, 16, 3]),
            zero_point_a: 3,
            zero_point_b: 3,
            requant: Requant {
                multiplier: 1 << 30,
                shift: 48,
            },
            output: OUT,
        },
        &[taken, strongest],
        ratio,
    );
    ratio
}

/// The file. Input: `[6, 6, 2]`. Outputs: ten scores, and a `[3, 3, 4]` picture.
pub(crate) fn every_operator() -> Vec<u8> {
    written(false)
}

/// The same, with an arena of three parts: the input lies in the first, the first convolution and its scratch in the second.
#[allow(dead_code, reason = "not every test that includes this file needs it")]
pub(crate) fn every_operator_in_parts() -> Vec<u8> {
    written(true)
}

fn written(in_parts: bool) -> Vec<u8> {
    let mut b = Builder {
        writer: Writer::new(Isa::Reference),
        end: 0,
        count: 0,
    };
    let x = b.apart(&[6, 6, 2]);

    let conv_offset = b.end;
    let conv = b.apart(&[6, 6, 4]);
    let [w, bias, m, s] = b.weights(&[4, 3, 3, 2], 4);
    let params = Conv2d {
        window: window((6, 6), (6, 6), 3, 1, 1),
        in_c: 2,
        out_c: 4,
        groups: 1,
        zero_point_in: 3,
        output: OUT,
        layout: WeightLayout::Portable,
        acc_bound: 1 << 20,
    };
    let scratch = b.scratch(64);
    b.op_with(&params, &[x, w, bias, m, s], conv, scratch);

    let first_end = b.end;
    let depthwise = b.apart(&[6, 6, 4]);
    let [w, bias, m, s] = b.weights(&[3, 3, 4], 4);
    let params = DepthwiseConv2d {
        window: window((6, 6), (6, 6), 3, 1, 1),
        in_c: 4,
        multiplier: 1,
        zero_point_in: 3,
        output: OUT,
        acc_bound: 1 << 20,
    };
    b.op(&params, &[conv, w, bias, m, s], depthwise);

    let sum = b.at(conv_offset, &[6, 6, 4]);
    let params = Add {
        binary: Binary::flat([1, 6, 6, 4]),
        zero_point_a: 3,
        zero_point_b: 3,
        multiplier_a: 1 << 19,
        multiplier_b: 1 << 18,
        shift: 20,
        output: OUT,
    };
    b.op(&params, &[conv, depthwise], sum);

    let again = b.at(conv_offset, &[6, 6, 4]);
    let [w, bias, m, s] = b.weights(&[4, 3, 3, 4], 4);
    let params = Conv2dAdd {
        conv: Conv2d {
            window: window((6, 6), (6, 6), 3, 1, 1),
            in_c: 4,
            out_c: 4,
            groups: 1,
            zero_point_in: 3,
            output: OUT,
            layout: WeightLayout::Portable,
            acc_bound: 1 << 21,
        },
        add: params,
        rows: 4,
    };
    let scratch = b.scratch(96 + 512);
    let operands = [sum, depthwise, w, bias, m, s];
    b.op_with(&params, &operands, again, scratch);

    let looked_up = b.at(conv_offset, &[6, 6, 4]);
    let table: Vec<i8> = (0..256).map(|i| (i / 2 - 64) as i8).collect();
    let table = b
        .writer
        .constant("table", &[256], None, &table)
        .expect("table");
    b.op(&Lookup { len: 144 }, &[again, table], looked_up);

    let rectified = b.at(conv_offset, &[6, 6, 4]);
    let slopes = b
        .writer
        .constant("slopes", &[4], None, &[1_i32 << 30; 4])
        .expect("slopes");
    let slope_shifts = b
        .writer
        .constant("slope shifts", &[4], None, &[32_u8; 4])
        .expect("shifts");
    let positive = Requant {
        multiplier: 1 << 30,
        shift: 30,
    };
    b.op(
        &Prelu {
            rows: 36,
            channels: 4,
            zero_point_in: 3,
            positive,
            output: OUT,
        },
        &[looked_up, slopes, slope_shifts],
        rectified,
    );

    let halves = window((6, 6), (3, 3), 2, 2, 0);
    let largest = b.apart(&[3, 3, 4]);
    b.op(
        &MaxPool2d {
            window: halves,
            channels: 4,
            output: OUT,
        },
        &[rectified],
        largest,
    );
    let mean = b.apart(&[3, 3, 4]);
    let quarter = b
        .writer
        .constant("quarter", &[1], None, &[1_i32 << 30])
        .expect("quarter");
    let quarter_shift = b
        .writer
        .constant("quarter shift", &[1], None, &[32_u8])
        .expect("shift");
    let params = AveragePool2d {
        window: halves,
        channels: 4,
        zero_point_in: 3,
        output: OUT,
        by_count: false,
    };
    b.op(&params, &[rectified, quarter, quarter_shift], mean);

    let flat = Binary::flat([1, 3, 3, 4]);
    let product = b.apart(&[3, 3, 4]);
    b.op(
        &Mul {
            binary: flat,
            zero_point_a: 3,
            zero_point_b: 3,
            requant: EIGHTH,
            output: OUT,
        },
        &[largest, mean],
        product,
    );
    let smaller = b.apart(&[3, 3, 4]);
    b.op(&Minimum { binary: flat }, &[product, mean], smaller);
    let larger = b.apart(&[3, 3, 4]);
    let row = b
        .writer
        .constant("row", &[4], Some(Q), &[-9_i8, 0, 9, 90])
        .expect("row");
    b.op(
        &Maximum {
            binary: Binary {
                broadcast_b: 0b0110,
                ..flat
            },
        },
        &[smaller, row],
        larger,
    );

    let deconvolved = b.apart(&[6, 6, 2]);
    let [w, bias, m, s] = b.weights(&[2, 2, 2, 4], 2);
    let params = TransposeConv2d {
        window: window((3, 3), (6, 6), 2, 2, 0),
        in_c: 4,
        out_c: 2,
        groups: 1,
        zero_point_in: 3,
        output: OUT,
        acc_bound: 1 << 20,
    };
    b.op(&params, &[larger, w, bias, m, s], deconvolved);

    let joined = b.apart(&[6, 6, 6]);
    b.op(&Concat { outer: 36 }, &[deconvolved, rectified], joined);
    let sliced = b.apart(&[4, 4, 6]);
    let params = Slice {
        in_shape: [1, 6, 6, 6],
        out_shape: [1, 4, 4, 6],
        begin: [0, 1, 1, 0],
        step: [1; 4],
    };
    b.op(&params, &[joined], sliced);
    let framed = b.apart(&[5, 5, 6]);
    b.op(
        &Pad {
            in_shape: [1, 4, 4, 6],
            before: [0, 1, 0, 0],
            after: [0, 0, 1, 0],
            value: 3,
        },
        &[sliced],
        framed,
    );
    let turned = b.apart(&[6, 5, 5]);
    b.op(
        &Transpose {
            in_shape: [1, 5, 5, 6],
            order: [0, 3, 1, 2],
        },
        &[framed],
        turned,
    );
    let gathered = b.apart(&[5, 5, 3]);
    let indices = b
        .writer
        .constant("indices", &[3], None, &[5_u16, 0, 2])
        .expect("indices");
    b.op(
        &Gather {
            outer: 1,
            in_n: 6,
            out_n: 3,
            inner: 25,
        },
        &[turned, indices],
        gathered,
    );

    let near = b.apart(&[3, 3, 3]);
    let rows = b
        .writer
        .constant("rows", &[3], None, &[0_u16, 2, 4])
        .expect("rows");
    b.op(
        &ResizeNearest {
            in_h: 5,
            in_w: 5,
            out_h: 3,
            out_w: 3,
            channels: 3,
        },
        &[gathered, rows, rows],
        near,
    );
    let linear = b.apart(&[4, 4, 3]);
    let rows: [u16; 12] = [0, 1, 0, 0, 1, 1024, 1, 2, 512, 2, 2, 0];
    let rows = b
        .writer
        .constant("weighted rows", &[4, 3], None, &rows)
        .expect("rows");
    b.op(
        &ResizeBilinear {
            in_h: 3,
            in_w: 3,
            out_h: 4,
            out_w: 4,
            channels: 3,
        },
        &[near, rows, rows],
        linear,
    );

    let picked = computed(&mut b, linear);

    let logits = b.apart(&[10]);
    let [w, bias, m, s] = b.weights(&[10, 48], 10);
    let params = FullyConnected {
        rows: 1,
        in_c: 48,
        out_c: 10,
        output: OUT,
        layout: WeightLayout::Portable,
        acc_bound: 1 << 21,
    };
    b.op(&params, &[picked, w, bias, m, s], logits);
    let scores = b.apart(&[10]);
    let exponentials: Vec<u32> = (0..256)
        .map(|d| ((-0.05 * f64::from(d)).exp() * f64::from(1 << 22)) as u32)
        .collect();
    let exponentials = b
        .writer
        .constant("exponentials", &[256], None, &exponentials)
        .expect("exponentials");
    b.op(
        &Softmax {
            rows: 1,
            n: 10,
            exp_bits: Softmax::exp_bits_for(10, 8),
            out_bits: 8,
        },
        &[logits, exponentials],
        scores,
    );

    let info = Info {
        tool_version: "test".into(),
        inputs: vec![BorderInput {
            name: "x".into(),
            shape: vec![1, 2, 6, 6],
            order: vec![0, 2, 3, 1],
            border: BorderType::F32,
        }],
        outputs: vec![BorderOutput {
            name: "y".into(),
            shape: vec![10],
            assembly: Assembly::output(0).reshape(vec![10]),
            border: BorderType::F32,
        }],
        ..Info::default()
    };
    let task = TaskRecord {
        preprocess: Some(Preprocess {
            fit: Fit::Stretch,
            colour: Colour::Rgb,
            mean: [0.0; 3],
            std: [255.0; 3],
        }),
        task: Task::Classify {
            top_k: 5,
            softmax: false,
        },
        labels: "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine",
    };
    if in_parts {
        let sizes = [conv_offset, first_end - conv_offset, b.end - first_end];
        b.writer.parts(&sizes);
    }
    b.writer
        .finish("main", &[x], &[scores, larger], info, Some(&task))
        .expect("a sound model")
}
