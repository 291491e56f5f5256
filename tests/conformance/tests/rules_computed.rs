//! The rules of operators whose operands are all computed, a second time in wide integers, `f64` or plain sorting.

use ocellus_format::{
    Requant,
    ops::{self, IndexType, OutputS8},
};
use ocellus_kernels::{
    ArgMaxIo, BatchMatMulIo, BinaryIo, InOut, Indices, IndicesMut, LayerNormIo, TakeIo, reference,
};

/// A generator of its own, so that no mistake of the cases' is shared.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn s8(&mut self) -> i8 {
        self.next() as i8
    }

    fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }

    fn list(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.s8()).collect()
    }
}

/// A real factor as rule 3 writes it.
fn requant(factor: f64) -> Requant {
    let exponent = factor.abs().log2().floor() as i32 + 1;
    let multiplier = (factor * 2f64.powi(31 - exponent)).round_ties_even();
    Requant {
        multiplier: multiplier.clamp(-2147483647.0, 2147483647.0) as i32,
        shift: (31 - exponent) as u8,
    }
}

fn real(r: Requant) -> f64 {
    f64::from(r.multiplier) / 2f64.powi(i32::from(r.shift))
}

#[test]
fn arg_max_is_the_first_or_last_of_the_largest_or_smallest() {
    let mut rng = Lcg(1);
    for round in 0..200 {
        let (outer, n, inner) = (1 + rng.below(3), 1 + rng.below(400), 1 + rng.below(4));
        let (smallest, last) = (round % 2 == 1, round % 4 > 1);
        let p = ops::ArgMax {
            outer,
            n,
            inner,
            smallest,
            last,
            index: IndexType::U16,
        };
        let x: Vec<i8> = (0..outer * n * inner).map(|_| rng.s8() >> 5).collect();
        let mut y = vec![0x5555; (outer * inner) as usize];
        let io = ArgMaxIo {
            x: &x,
            y: IndicesMut::U16(&mut y),
        };
        reference::arg_max_s8(&p, io);
        for o in 0..outer {
            for c in 0..inner {
                let axis: Vec<i32> = (0..n)
                    .map(|i| i32::from(x[((o * n + i) * inner + c) as usize]))
                    .collect();
                let wanted = if smallest {
                    axis.iter().min()
                } else {
                    axis.iter().max()
                };
                let holds = |v: &i32| Some(v) == wanted;
                let expected = if last {
                    axis.iter().rposition(holds)
                } else {
                    axis.iter().position(holds)
                };
                assert_eq!(
                    Some(usize::from(y[(o * inner + c) as usize])),
                    expected,
                    "{p:?}"
                );
            }
        }
    }
}

#[test]
fn top_k_is_a_stable_sort_cut_short() {
    let mut rng = Lcg(2);
    for round in 0..200 {
        let (rows, n) = (1 + rng.below(3), 1 + rng.below(300));
        let p = ops::TopK {
            rows,
            n,
            k: 1 + rng.below(n),
            smallest: round % 2 == 1,
            index: IndexType::U16,
        };
        let x: Vec<i8> = (0..rows * n).map(|_| rng.s8() >> (round % 3 * 3)).collect();
        let mut y = vec![0x5555; (rows * p.k) as usize];
        let io = ArgMaxIo {
            x: &x,
            y: IndicesMut::U16(&mut y),
        };
        reference::top_k_s8(&p, io);
        for (x, y) in x.chunks(n as usize).zip(y.chunks(p.k as usize)) {
            let mut order: Vec<u16> = (0..n as u16).collect();
            order.sort_by_key(|&i| {
                let x = i32::from(x[usize::from(i)]);
                if p.smallest { x } else { -x }
            });
            assert_eq!(y, &order[..p.k as usize], "{p:?}");
        }
    }
}

#[test]
fn computed_indices_count_from_the_end_below_zero_and_are_clamped() {
    let x: Vec<i8> = (0..8).collect();
    let p = ops::Take {
        outer: 2,
        in_n: 4,
        out_n: 7,
        inner: 1,
        index: IndexType::S32,
    };
    let mut y = [0x55; 14];
    let list = [3, 0, -1, -4, 4, -5, i32::MAX];
    let io = TakeIo {
        x: &x,
        indices: Indices::S32(&list),
        y: &mut y,
    };
    reference::take_s8(&p, io);
    assert_eq!(y, [3, 0, 3, 0, 3, 0, 3, 7, 4, 7, 4, 7, 4, 7]);

    // `[2, 2, 2]` by `[2, 1, 2]`.
    let p = ops::GatherElements {
        outer: 2,
        in_n: 2,
        out_n: 1,
        inner: 2,
        index: IndexType::U8,
    };
    let mut y = [0x55; 4];
    let io = TakeIo {
        x: &x,
        indices: Indices::U8(&[1, 0, 0, 9]),
        y: &mut y,
    };
    reference::gather_elements_s8(&p, io);
    assert_eq!(y, [2, 1, 4, 7]);
}

#[test]
fn batch_mat_mul_is_the_rounded_exact_product() {
    let mut rng = Lcg(3);
    for round in 0..100_u32 {
        let (m, k, n) = (1 + rng.below(5), 1 + rng.below(40), 1 + rng.below(5));
        let stack = [1, 1 + rng.below(2), 1 + rng.below(3)];
        let p = ops::BatchMatMul {
            stack,
            broadcast_a: if round % 3 == 0 { 0b010 } else { 0 },
            broadcast_b: if round % 5 == 0 { 0b100 } else { 0 },
            m,
            k,
            n,
            transposed_a: round % 2 == 0,
            transposed_b: round % 4 < 2,
            zero_point_a: rng.s8(),
            zero_point_b: rng.s8(),
            requant: requant(0.5 / f64::from(k * 40)),
            output: OutputS8::unclamped(rng.s8()),
        };
        let [_, s1, s2] = stack;
        let (a1, b2) = (
            if round % 3 == 0 { 1 } else { s1 },
            if round % 5 == 0 { 1 } else { s2 },
        );
        let a = rng.list((a1 * s2 * m * k) as usize);
        let b = rng.list((s1 * b2 * k * n) as usize);
        let mut y = vec![0x55; (s1 * s2 * m * n) as usize];
        let io = BatchMatMulIo {
            a: &a,
            b: &b,
            y: &mut y,
        };
        reference::batch_mat_mul_s8(&p, io);
        let mut values = y.iter();
        for i1 in 0..s1 {
            for i2 in 0..s2 {
                for row in 0..m {
                    for column in 0..n {
                        let mut sum = 0_i64;
                        for i in 0..k {
                            let a_matrix = ((i1 % a1) * s2 + i2) * m * k;
                            let b_matrix = (i1 * b2 + i2 % b2) * k * n;
                            let a_at = if p.transposed_a {
                                i * m + row
                            } else {
                                row * k + i
                            };
                            let b_at = if p.transposed_b {
                                column * k + i
                            } else {
                                i * n + column
                            };
                            let left = i64::from(a[(a_matrix + a_at) as usize])
                                - i64::from(p.zero_point_a);
                            let right = i64::from(b[(b_matrix + b_at) as usize])
                                - i64::from(p.zero_point_b);
                            sum += left * right;
                        }
                        // Below 2^53: exact.
                        let expected = (sum as f64 * real(p.requant) + 0.5).floor()
                            + f64::from(p.output.zero_point);
                        assert_eq!(
                            f64::from(*values.next().unwrap()),
                            expected.clamp(-128.0, 127.0),
                            "{p:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_product_of_the_longest_axis_stays_inside_its_accumulator() {
    let k = ops::BatchMatMul::K_MAX;
    assert!(i64::from(k) * 255 * 255 < 1 << 31 && i64::from(k + 1) * 255 * 255 >= 1 << 31);
    for (end, expected) in [(i8::MAX, i8::MAX), (i8::MIN, i8::MIN)] {
        let p = ops::BatchMatMul {
            stack: [1; 3],
            broadcast_a: 0,
            broadcast_b: 0,
            m: 1,
            k,
            n: 1,
            transposed_a: false,
            transposed_b: false,
            zero_point_a: i8::MIN,
            zero_point_b: if end == i8::MAX { i8::MIN } else { i8::MAX },
            requant: requant(2f64.powi(-20)),
            output: OutputS8::unclamped(0),
        };
        let io = BatchMatMulIo {
            a: &vec![i8::MAX; k as usize],
            b: &vec![end; k as usize],
            y: &mut [0],
        };
        let y = &mut [0];
        reference::batch_mat_mul_s8(&p, BatchMatMulIo { y, ..io });
        assert_eq!(*y, [expected]);
    }
}

/// Each value lies within half a step, and what the rule's roundings add, of the real result for the same integers.
#[test]
fn layer_norm_is_close_to_the_real_one() {
    let mut rng = Lcg(4);
    for round in 0..600_u32 {
        let n = [1, 2, 3, 8, 64, 197, 1_000, 5_000, 65_535][rng.below(9) as usize];
        let rows = if n > 1_000 { 1 } else { 1 + rng.below(3) };
        let by_row = round % 3 == 0;
        let (run, parameters) = if by_row { (n, rows) } else { (1, n) };
        let centered = round % 4 != 1;
        // From so little that it vanishes to as much as the variance.
        let epsilon_real = [0.0, 1e-6, 0.01, 3.0, 2_000.0][rng.below(5) as usize];
        let epsilon = (epsilon_real * f64::from(n).powi(2) * 16_384.0).round() as u64;
        let p = ops::LayerNorm {
            rows,
            n,
            run,
            parameters,
            centered,
            zero_point_in: if round % 7 == 0 { -128 } else { rng.s8() },
            epsilon,
            output: OutputS8::unclamped(rng.s8()),
        };
        let gamma: Vec<Requant> = (0..parameters)
            .map(|_| requant((f64::from(rng.s8()) + 0.37) * 0.9 / 256.0))
            .collect();
        let offsets: Vec<i32> = (0..parameters)
            .map(|_| i32::from(rng.s8()) * 1_731)
            .collect();
        let spread = rng.below(8);
        let x: Vec<i8> = (0..rows * n)
            .map(|_| match round % 5 {
                0 => [i8::MIN, i8::MAX][rng.below(2) as usize],
                1 => 17,
                _ => rng.s8() >> spread,
            })
            .collect();
        let mut y = vec![0x55; x.len()];
        let io = LayerNormIo {
            x: &x,
            multipliers: &gamma.iter().map(|r| r.multiplier).collect::<Vec<_>>(),
            shifts: &gamma.iter().map(|r| r.shift).collect::<Vec<_>>(),
            offsets: &offsets,
            y: &mut y,
        };
        reference::layer_norm_s8(&p, io);
        for (row, (x, y)) in x.chunks(n as usize).zip(y.chunks(n as usize)).enumerate() {
            let d: Vec<f64> = x
                .iter()
                .map(|&x| f64::from(x) - f64::from(p.zero_point_in))
                .collect();
            let mean = if centered {
                d.iter().sum::<f64>() / f64::from(n)
            } else {
                0.0
            };
            let variance = d.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / f64::from(n);
            let deviation = (variance + epsilon_real).sqrt();
            for (i, (d, &y)) in d.iter().zip(y).enumerate() {
                let parameter = if by_row { row } else { i };
                let normal = if (d - mean).abs() < 1e-9 {
                    0.0
                } else {
                    (d - mean) / deviation
                };
                // A scaled value has 12 bits behind the point, a normal one 20.
                let gamma = real(gamma[parameter]) * 256.0;
                let exact = normal * gamma
                    + f64::from(offsets[parameter]) / 4_096.0
                    + f64::from(p.output.zero_point);
                let error = f64::from(y) - exact.clamp(-128.0, 127.0);
                let bound = 0.5 + 2f64.powi(-11) + gamma.abs() * 2f64.powi(-16);
                assert!(error.abs() <= bound, "{p:?}: {y} for {exact}");
            }
        }
    }
}

#[test]
fn div_is_the_quotient_to_half_a_step_and_saturates_at_zero() {
    let mut rng = Lcg(5);
    for _ in 0..400 {
        let binary = ops::Binary::flat([1, 1, 1, 64]);
        let p = ops::Div {
            binary,
            zero_point_a: rng.s8(),
            zero_point_b: rng.s8(),
            requant: requant(
                f64::from(1 + rng.below(40)) / 2f64.powi(ops::Div::QUOTIENT_BITS as i32),
            ),
            output: OutputS8 {
                zero_point: rng.s8(),
                min: -100,
                max: 90,
            },
        };
        let (a, b) = (rng.list(64), rng.list(64));
        let mut y = [0x55; 64];
        let io = BinaryIo {
            a_y: InOut::Apart(&a, &mut y),
            b: &b,
        };
        reference::div_s8(&p, io);
        for ((&a, &b), &y) in a.iter().zip(&b).zip(&y) {
            let a = f64::from(a) - f64::from(p.zero_point_a);
            let b = f64::from(b) - f64::from(p.zero_point_b);
            let factor = real(p.requant) * 2f64.powi(ops::Div::QUOTIENT_BITS as i32);
            let quotient = if b == 0.0 && a == 0.0 { 0.0 } else { a / b };
            let quotient = if b == 0.0 && a != 0.0 {
                a * f64::INFINITY
            } else {
                quotient
            };
            let exact = (quotient * factor + f64::from(p.output.zero_point)).clamp(-100.0, 90.0);
            assert!(
                (f64::from(y) - exact).abs() <= 0.501,
                "{p:?}: {a} / {b} is {y}"
            );
        }
    }
}

/// A kernel that is handed other lengths leaves the output unspecified, but does not panic.
#[test]
fn operands_of_wrong_lengths_do_not_panic() {
    let mut y = [0; 5];
    let p = ops::LayerNorm {
        rows: 3,
        n: 4,
        run: 2,
        parameters: 9,
        centered: true,
        zero_point_in: 0,
        epsilon: u64::MAX,
        output: OutputS8::unclamped(0),
    };
    let io = LayerNormIo {
        x: &[1; 4],
        multipliers: &[],
        shifts: &[200],
        offsets: &[i32::MAX],
        y: &mut y,
    };
    reference::layer_norm_s8(&p, io);
    let p = ops::BatchMatMul {
        stack: [2, 1, 2],
        broadcast_a: 9,
        broadcast_b: 255,
        m: 3,
        k: 5,
        n: 2,
        transposed_a: true,
        transposed_b: false,
        zero_point_a: -128,
        zero_point_b: 127,
        requant: Requant {
            multiplier: 7,
            shift: 255,
        },
        output: OutputS8::unclamped(0),
    };
    let io = BatchMatMulIo {
        a: &[127],
        b: &[],
        y: &mut y,
    };
    reference::batch_mat_mul_s8(&p, io);
    let p = ops::TopK {
        rows: 2,
        n: 3,
        k: 7,
        smallest: false,
        index: IndexType::U8,
    };
    let io = ArgMaxIo {
        x: &[1, 2, 3, 4],
        y: IndicesMut::U8(&mut [0; 3]),
    };
    reference::top_k_s8(&p, io);
    let p = ops::Take {
        outer: 3,
        in_n: 0,
        out_n: 4,
        inner: 2,
        index: IndexType::S32,
    };
    let io = TakeIo {
        x: &[1],
        indices: Indices::S32(&[-7]),
        y: &mut y,
    };
    reference::take_s8(&p, io);
}
