//! The device's reader of records against the crate that writes them.

use ocellus_format::ops::{
    Add, Binary, Conv2d, LayerNorm, MaxPool2d, OpCode, OutputS8, Pad, Take, Window2d,
};
use ocellus_format::{Colour, Fit, Preprocess, Task, TaskRecord, WeightLayout, take_record};
use serde::{Deserialize, Serialize};

/// Every kind of field that a record may have, and values at the ends of each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Fields<'a> {
    flag: bool,
    bytes: (u8, i8),
    short: (u16, i16),
    long: (u32, i32),
    longer: (u64, i64),
    real: (f32, f64),
    text: &'a str,
    #[serde(borrow)]
    data: &'a [u8],
    list: [u32; 3],
    maybe: Option<u16>,
    choice: Choice,
    unit: (),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    Newtype(u32),
    Tuple(u8, u16),
    Struct { wide: u64, code: OpCode },
}

/// Numbers without a pattern, the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 29)
    }
}

/// What the reader says of `bytes`, which is what postcard says. Compared as text: what is not a number is unlike itself.
fn agree<'a, T: Deserialize<'a> + core::fmt::Debug>(bytes: &'a [u8]) -> Option<T> {
    let mut rest = bytes;
    let ours = take_record::<T>(&mut rest);
    let theirs = postcard::take_from_bytes::<T>(bytes).ok();
    if let Some((_, behind)) = &theirs {
        assert_eq!(&rest, behind, "{bytes:?}");
    }
    let theirs = theirs.map(|(value, _)| value);
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{bytes:?}");
    ours
}

/// What is written is read, and every change of it is refused or read as by postcard.
fn read_alike<T: Serialize + for<'a> Deserialize<'a> + PartialEq + core::fmt::Debug>(
    value: &T,
    noise: &mut Noise,
) {
    let bytes = postcard::to_allocvec(value).unwrap();
    assert_eq!(agree::<T>(&bytes).as_ref(), Some(value));
    for len in 0..bytes.len() {
        assert_eq!(agree::<T>(&bytes[..len]), None, "{len} of {bytes:?}");
    }
    for _ in 0..2000 {
        let mut changed = bytes.clone();
        for _ in 0..1 + noise.next() % 3 {
            let at = noise.next() as usize % changed.len();
            changed[at] = match noise.next() % 3 {
                0 => 0xFF,
                1 => changed[at] ^ 0x80,
                _ => noise.next() as u8,
            };
        }
        agree::<T>(&changed);
    }
}

#[test]
fn every_kind_of_field_is_read_as_postcard_reads_it() {
    let mut noise = Noise(1);
    let choices = [
        Choice::Unit,
        Choice::Newtype(u32::MAX),
        Choice::Tuple(255, u16::MAX),
        Choice::Struct {
            wide: u64::MAX,
            code: OpCode::Softmax,
        },
    ];
    for (choice, low) in choices.into_iter().zip([true, false, true, true]) {
        let fields = Fields {
            flag: low,
            bytes: (255, i8::MIN),
            short: (u16::MAX, if low { i16::MIN } else { i16::MAX }),
            long: (u32::MAX, if low { i32::MIN } else { i32::MAX }),
            longer: (u64::MAX, if low { i64::MIN } else { i64::MAX }),
            real: (-0.0, f64::MAX),
            text: "hérisson",
            data: &[0, 128, 255],
            list: [0, 127, 128],
            maybe: low.then_some(16_384),
            choice,
            unit: (),
        };
        let bytes = postcard::to_allocvec(&fields).unwrap();
        assert_eq!(agree::<Fields<'_>>(&bytes), Some(fields));
        for len in 0..bytes.len() {
            assert_eq!(agree::<Fields<'_>>(&bytes[..len]), None);
        }
        for _ in 0..20_000 {
            let mut changed = bytes.clone();
            let at = noise.next() as usize % changed.len();
            changed[at] = noise.next() as u8;
            agree::<Fields<'_>>(&changed);
        }
    }
}

#[test]
fn numbers_are_read_as_postcard_reads_them() {
    let mut noise = Noise(2);
    for _ in 0..50_000 {
        // Mostly continued bytes, so that long forms and their last bytes are met.
        let bytes: [u8; 12] = core::array::from_fn(|_| match noise.next() % 8 {
            0..5 => noise.next() as u8 | 0x80,
            5 => noise.next() as u8 & 1,
            _ => noise.next() as u8,
        });
        agree::<u16>(&bytes);
        agree::<i16>(&bytes);
        agree::<u32>(&bytes);
        agree::<i32>(&bytes);
        agree::<u64>(&bytes);
        agree::<i64>(&bytes);
        agree::<bool>(&bytes);
        agree::<Option<u8>>(&bytes);
    }
}

#[test]
fn parameters_and_tasks_are_read_as_postcard_reads_them() {
    let mut noise = Noise(3);
    let window = Window2d {
        in_h: 96,
        in_w: 65_535,
        out_h: 48,
        out_w: 127,
        kernel_h: 3,
        kernel_w: 128,
        stride_h: 2,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 16_384,
        pad_top: 0,
        pad_left: 1,
    };
    let output = OutputS8 {
        zero_point: -128,
        min: -7,
        max: 127,
    };
    let conv = Conv2d {
        window,
        in_c: 3,
        out_c: 300,
        groups: 1,
        zero_point_in: -1,
        output,
        layout: WeightLayout::Interleave4x16,
        acc_bound: i32::MAX as u32,
    };
    read_alike(&conv, &mut noise);
    let add = Add {
        binary: Binary::flat([1, 1, 1, 4096]),
        zero_point_a: -128,
        zero_point_b: 127,
        multiplier_a: 1 << 21,
        multiplier_b: -(1 << 22),
        shift: 20,
        output,
    };
    read_alike(&add, &mut noise);
    let pool = MaxPool2d {
        window,
        channels: 64,
        output,
    };
    read_alike(&pool, &mut noise);
    let task = Task::CenterFace {
        stride: 4,
        score_threshold: 0.5,
        nms_iou: 0.25,
        heat: 0,
        size: 1,
        offset: 2,
        landmarks: 3,
    };
    read_alike(&task, &mut noise);
    let preprocess = Preprocess {
        fit: Fit::Crop { per_mille: 875 },
        colour: Colour::Bgr,
        mean: [103.5, 116.25, 123.75],
        std: [57.0, 58.0, 59.0],
    };
    read_alike(&Some(preprocess), &mut noise);
    let record = TaskRecord {
        preprocess: Some(preprocess),
        task,
        labels: "cat\nhérisson",
    };
    let bytes = postcard::to_allocvec(&record).unwrap();
    assert_eq!(agree::<TaskRecord<'_>>(&bytes), Some(record));
    // Types whose fields no other has.
    for len in 0..40 {
        let bytes: Vec<u8> = (0..len).map(|_| noise.next() as u8 & 3).collect();
        agree::<Pad>(&bytes);
        agree::<Take>(&bytes);
        agree::<LayerNorm>(&bytes);
    }
}
