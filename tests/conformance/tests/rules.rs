//! The rules of `docs/numerics.md` that no other implementation has, computed a second time in wide integers or `f64`; and the proofs that
//! the short forms of requantize are exact.

use ocellus_format::{
    Requant,
    ops::{self, Binary, OutputS8},
};
use ocellus_kernels::{
    BinaryIo, InOut, IndexedIo, PreluIo, SoftmaxIo, UnaryIo,
    generic::{SMMLA_SHIFTS, SQDMULH_SHIFT_MIN, requantize_smmla, requantize_sqdmulh},
    reference::{self, requantize},
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

    fn multiplier(&mut self) -> i32 {
        match self.below(6) {
            0 => 0,
            1 => 1 << 30,
            2 => i32::MAX,
            3 => (1 << 30) + self.below(8) as i32,
            _ => (1 << 30) + self.below(1 << 30) as i32,
        }
    }

    fn requant(&mut self) -> Requant {
        let sign = if self.below(4) == 0 { -1 } else { 1 };
        Requant {
            multiplier: sign * self.multiplier(),
            shift: 2 + self.below(61) as u8,
        }
    }

    /// Small, anything, the ends, or close to a half of the scale.
    fn acc(&mut self, r: Requant) -> i32 {
        match self.below(5) {
            0 => self.next() as i32 >> 20,
            1 => [i32::MIN, i32::MIN + 1, i32::MAX, 0, -1][self.below(5) as usize],
            2 if r.multiplier != 0 => {
                let half = i128::from(2 * i64::from(self.s8()) + 1) << (r.shift - 1);
                let acc = half / i128::from(r.multiplier) + i128::from(self.below(5)) - 2;
                acc.clamp(i32::MIN.into(), i32::MAX.into()) as i32
            }
            _ => self.next() as i32,
        }
    }
}

/// Rule 3 with nothing that could overflow: a floor of an exact fraction.
fn exact(acc: i32, r: Requant) -> i128 {
    let numerator = i128::from(acc) * i128::from(r.multiplier) * 2 + (1_i128 << r.shift);
    numerator.div_euclid(1_i128 << (r.shift + 1))
}

fn finish(value: i128, o: OutputS8) -> i8 {
    (value + i128::from(o.zero_point)).clamp(o.min.into(), o.max.into()) as i8
}

#[test]
fn requantize_is_the_floor_of_the_exact_sum() {
    let mut rng = Lcg(1);
    for _ in 0..2_000_000 {
        let r = rng.requant();
        let acc = rng.acc(r);
        let expected = exact(acc, r).clamp(i32::MIN.into(), i32::MAX.into());
        assert_eq!(i128::from(requantize(acc, r)), expected, "{acc} {r:?}");
    }
}

#[test]
fn requantize_at_its_edges() {
    for shift in Requant::SHIFT_MIN..=Requant::SHIFT_MAX {
        for multiplier in [
            0,
            1 << 30,
            (1 << 30) + 1,
            i32::MAX - 1,
            i32::MAX,
            -(1 << 30),
            -i32::MAX,
        ] {
            let r = Requant { multiplier, shift };
            assert!(r.is_valid());
            for acc in [i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX - 1, i32::MAX] {
                let expected = exact(acc, r).clamp(i32::MIN.into(), i32::MAX.into());
                assert_eq!(i128::from(requantize(acc, r)), expected, "{acc} {r:?}");
            }
        }
    }
}

#[test]
fn halves_round_up() {
    let half = Requant {
        multiplier: 1 << 30,
        shift: 31,
    };
    let rounded: Vec<i32> = [-3, -2, -1, 0, 1, 2, 3]
        .map(|acc| requantize(acc, half))
        .to_vec();
    assert_eq!(rounded, [-1, -1, 0, 0, 1, 1, 2]);
}

#[test]
fn the_smmla_form_is_exact_on_its_shifts() {
    let mut rng = Lcg(2);
    for i in 0..2_000_000_u32 {
        let shift = SMMLA_SHIFTS.start()
            + (i % u32::from(SMMLA_SHIFTS.end() - SMMLA_SHIFTS.start() + 1)) as u8;
        let r = Requant {
            multiplier: rng.multiplier(),
            shift,
        };
        let (acc, zero_point) = (rng.acc(r), [-128, 127, 0, rng.s8()][rng.below(4) as usize]);
        let expected = finish(exact(acc, r), OutputS8::unclamped(zero_point));
        assert_eq!(
            requantize_smmla(acc, r, zero_point),
            expected,
            "{acc} {r:?} {zero_point}"
        );
    }
}

/// Why the range is what it is: one shift beyond each end there is a value that the form gets wrong.
#[test]
fn the_smmla_form_is_wrong_beside_its_shifts() {
    for shift in [SMMLA_SHIFTS.start() - 1, SMMLA_SHIFTS.end() + 1] {
        let mut rng = Lcg(3);
        let wrong = (0..100_000).any(|_| {
            let r = Requant {
                multiplier: rng.multiplier(),
                shift,
            };
            let (acc, zero_point) = (rng.acc(r), [-128, 127, 0, rng.s8()][rng.below(4) as usize]);
            requantize_smmla(acc, r, zero_point)
                != finish(exact(acc, r), OutputS8::unclamped(zero_point))
        });
        assert!(wrong, "shift {shift} belongs to the range");
    }
}

#[test]
fn the_sqdmulh_form_is_exact_on_its_shifts() {
    let mut rng = Lcg(4);
    for i in 0..2_000_000_u32 {
        let shift =
            SQDMULH_SHIFT_MIN + (i % u32::from(Requant::SHIFT_MAX - SQDMULH_SHIFT_MIN + 1)) as u8;
        let r = Requant {
            shift,
            ..rng.requant()
        };
        let acc = rng.acc(r);
        assert_eq!(
            i128::from(requantize_sqdmulh(acc, r)),
            exact(acc, r),
            "{acc} {r:?}"
        );
    }
}

#[test]
fn prelu_follows_its_rule() {
    let mut rng = Lcg(5);
    for _ in 0..200 {
        let (rows, channels) = (1 + rng.below(4), 1 + rng.below(9));
        let positive = Requant {
            multiplier: rng.multiplier(),
            shift: 28 + rng.below(6) as u8,
        };
        let p = ops::Prelu {
            rows,
            channels,
            zero_point_in: rng.s8(),
            positive,
            output: OutputS8::unclamped(rng.s8()),
        };
        let negative: Vec<Requant> = (0..channels)
            .map(|_| Requant {
                shift: 28 + rng.below(8) as u8,
                ..rng.requant()
            })
            .collect();
        let x: Vec<i8> = (0..rows * channels).map(|_| rng.s8()).collect();
        let expected: Vec<i8> = x
            .iter()
            .enumerate()
            .map(|(i, &x)| {
                let d = i32::from(x) - i32::from(p.zero_point_in);
                let r = if d < 0 {
                    negative[i % channels as usize]
                } else {
                    positive
                };
                finish(exact(d, r), p.output)
            })
            .collect();
        let multipliers: Vec<i32> = negative.iter().map(|r| r.multiplier).collect();
        let shifts: Vec<u8> = negative.iter().map(|r| r.shift).collect();
        let mut y = x;
        let io = PreluIo {
            x_y: InOut::InPlace(&mut y),
            multipliers: &multipliers,
            shifts: &shifts,
        };
        reference::prelu_s8(&p, io);
        assert_eq!(y, expected, "{p:?}");
    }
}

/// The integer rule a second time in wide integers, and the real softmax: each value lies within one step of it.
#[test]
fn softmax_follows_its_rule_and_is_close_to_the_real_one() {
    let mut rng = Lcg(6);
    for n in [1_u32, 2, 3, 10, 100, 512, 513, 1_000, 4_000] {
        let scale = [0.004, 0.05, 0.2, 1.0][rng.below(4) as usize];
        let out_bits = [8, 9, 12, 15][rng.below(4) as usize];
        let exp_bits = ops::Softmax::exp_bits_for(n, out_bits);
        let entry = |d: u32| {
            ((-scale * f64::from(d)).exp() * f64::from(1_u32 << exp_bits)).round_ties_even() as u32
        };
        let table: Vec<u32> = (0..256).map(entry).collect();
        let rows = 2;
        let x: Vec<i8> = (0..rows * n).map(|_| rng.s8()).collect();
        let mut y = vec![0x55; x.len()];
        reference::softmax_s8(
            &ops::Softmax {
                rows,
                n,
                exp_bits,
                out_bits,
            },
            SoftmaxIo {
                x: &x,
                table: &table,
                y: &mut y,
            },
        );

        for (x, y) in x.chunks(n as usize).zip(y.chunks(n as usize)) {
            let largest = x.iter().max().copied().unwrap();
            let distance = |x: i8| i32::from(largest) - i32::from(x);
            let sum: u128 = x
                .iter()
                .map(|&x| u128::from(table[distance(x) as usize]))
                .sum();
            let real_sum: f64 = x
                .iter()
                .map(|&x| (-scale * f64::from(distance(x))).exp())
                .sum();
            for (&x, &y) in x.iter().zip(y) {
                let e = u128::from(table[distance(x) as usize]);
                let expected = ((((e << out_bits) + sum / 2) / sum) as i128 - 128).clamp(-128, 127);
                assert_eq!(i128::from(y), expected, "n {n} scale {scale}");
                let real = (-scale * f64::from(distance(x))).exp() / real_sum;
                let real_steps = (real * f64::from(1_u32 << out_bits)).min(255.0);
                let steps = (f64::from(y) + 128.0) - real_steps;
                assert!(steps.abs() <= 1.0, "n {n} scale {scale}: {y} for {real}");
            }
        }
    }
}

#[test]
fn minimum_and_maximum_follow_their_rules() {
    let mut rng = Lcg(7);
    // `b` holds one value for each of three channels.
    let binary = Binary {
        broadcast_b: 0b0111,
        ..Binary::flat([1, 2, 2, 3])
    };
    for _ in 0..100 {
        let a: Vec<i8> = (0..12).map(|_| rng.s8()).collect();
        let b: Vec<i8> = (0..3).map(|_| rng.s8()).collect();
        let mut y = vec![0x55; 12];
        reference::minimum_s8(
            &ops::Minimum { binary },
            BinaryIo {
                a_y: InOut::Apart(&a, &mut y),
                b: &b,
            },
        );
        let expected: Vec<i8> = (0..12)
            .map(|i| if a[i] < b[i % 3] { a[i] } else { b[i % 3] })
            .collect();
        assert_eq!(y, expected);
        reference::maximum_s8(
            &ops::Maximum { binary },
            BinaryIo {
                a_y: InOut::Apart(&a, &mut y),
                b: &b,
            },
        );
        let expected: Vec<i8> = (0..12)
            .map(|i| if a[i] > b[i % 3] { a[i] } else { b[i % 3] })
            .collect();
        assert_eq!(y, expected);
    }
}

#[test]
fn resize_bilinear_is_the_rounded_exact_blend() {
    let mut rng = Lcg(8);
    for _ in 0..200 {
        let (in_h, in_w, out_h, out_w, channels) = (
            1 + rng.below(5),
            1 + rng.below(5),
            1 + rng.below(6),
            1 + rng.below(6),
            1 + rng.below(3),
        );
        let mut table = |n: u32, size: u32| -> Vec<u16> {
            (0..n)
                .flat_map(|_| {
                    [
                        rng.below(size) as u16,
                        rng.below(size) as u16,
                        rng.below(2049) as u16,
                    ]
                })
                .collect()
        };
        let (rows, columns) = (table(out_h, in_h), table(out_w, in_w));
        let x: Vec<i8> = (0..in_h * in_w * channels).map(|_| rng.s8()).collect();
        let mut y = vec![0x55; (out_h * out_w * channels) as usize];
        let p = ops::ResizeBilinear {
            in_h,
            in_w,
            out_h,
            out_w,
            channels,
        };
        reference::resize_bilinear_s8(
            &p,
            IndexedIo {
                x: &x,
                rows: &rows,
                columns: &columns,
                y: &mut y,
            },
        );
        let at = |iy: u16, ix: u16, c: u32| {
            f64::from(x[((u32::from(iy) * in_w + u32::from(ix)) * channels + c) as usize])
        };
        let mut values = y.iter();
        for row in rows.chunks(3) {
            for column in columns.chunks(3) {
                for c in 0..channels {
                    // Every product and sum is a multiple of 2^-22 below 2^8: exact in `f64`.
                    let (fy, fx) = (f64::from(row[2]) / 2048.0, f64::from(column[2]) / 2048.0);
                    let top = at(row[0], column[0], c) * (1.0 - fx) + at(row[0], column[1], c) * fx;
                    let bottom =
                        at(row[1], column[0], c) * (1.0 - fx) + at(row[1], column[1], c) * fx;
                    let expected = (top * (1.0 - fy) + bottom * fy + 0.5).floor();
                    assert_eq!(f64::from(*values.next().unwrap()), expected, "{p:?}");
                }
            }
        }
    }
}

#[test]
fn resize_nearest_copies_what_its_tables_name() {
    let x: Vec<i8> = (0..12).collect();
    let p = ops::ResizeNearest {
        in_h: 2,
        in_w: 3,
        out_h: 3,
        out_w: 2,
        channels: 2,
    };
    let mut y = [0x55; 12];
    // The last column is behind the picture: its edge is taken.
    let io = IndexedIo {
        x: &x,
        rows: &[1, 0, 1],
        columns: &[1, 7],
        y: &mut y,
    };
    reference::resize_nearest_s8(&p, io);
    assert_eq!(y, [8, 9, 10, 11, 2, 3, 4, 5, 8, 9, 10, 11]);
}

#[test]
fn slice_steps_over_elements() {
    let x: Vec<i8> = (0..24).collect();
    let p = ops::Slice {
        in_shape: [1, 2, 3, 4],
        out_shape: [1, 1, 2, 2],
        begin: [0, 1, 0, 1],
        step: [1, 1, 2, 2],
    };
    let mut y = [0x55; 4];
    reference::slice_s8(&p, UnaryIo { x: &x, y: &mut y });
    assert_eq!(y, [13, 15, 21, 23]);
}

/// A kernel that is handed other lengths leaves the output unspecified, but does not panic.
#[test]
fn operands_of_wrong_lengths_do_not_panic() {
    let binary = Binary::flat([1, 2, 2, 3]);
    let mut y = [0; 5];
    reference::minimum_s8(
        &ops::Minimum { binary },
        BinaryIo {
            a_y: InOut::InPlace(&mut y),
            b: &[1],
        },
    );
    reference::softmax_s8(
        &ops::Softmax {
            rows: 2,
            n: 4,
            exp_bits: 22,
            out_bits: 8,
        },
        SoftmaxIo {
            x: &[1; 4],
            table: &[],
            y: &mut y,
        },
    );
    let p = ops::Slice {
        in_shape: [9; 4],
        out_shape: [9; 4],
        begin: [5; 4],
        step: [3; 4],
    };
    reference::slice_s8(&p, UnaryIo { x: &[], y: &mut y });
    let p = ops::ResizeBilinear {
        in_h: 0,
        in_w: 0,
        out_h: 2,
        out_w: 2,
        channels: 3,
    };
    reference::resize_bilinear_s8(
        &p,
        IndexedIo {
            x: &[1],
            rows: &[],
            columns: &[9],
            y: &mut y,
        },
    );
    let p = ops::Transpose {
        in_shape: [2; 4],
        order: [9, 200, 0, 1],
    };
    reference::transpose_s8(&p, UnaryIo { x: &[1], y: &mut y });
}
