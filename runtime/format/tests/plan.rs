//! What the proof of the arena plan accepts and refuses, and what the writer promises.

use ocellus_format::layout::{HEADER_BYTES, SECTION_ENTRY_BYTES};
use ocellus_format::ops::{Add, Binary, Lookup, OutputS8, Params, Softmax};
use ocellus_format::{
    AlignedBytes, FormatError, Info, Isa, ModelView, QParams, Scratch, Tag, TensorRef, WriteError,
    Writer, seal, verify,
};

const Q: QParams = QParams {
    scale: 1.0,
    zero_point: 0,
};
const LEN: u32 = 32;

struct Model {
    writer: Writer,
    table: TensorRef,
}

impl Model {
    fn new() -> Model {
        let mut writer = Writer::new(Isa::Reference);
        let table = writer
            .constant("table", &[256], None, &[5_i8; 256])
            .unwrap();
        Model { writer, table }
    }

    fn at(&mut self, name: &str, offset: u32) -> TensorRef {
        self.writer.activation(name, &[LEN], Q, offset).unwrap()
    }

    fn op(
        &mut self,
        params: &impl for<'a> Params<'a>,
        inputs: &[TensorRef],
        output: TensorRef,
        scratch: Scratch,
    ) {
        self.writer
            .operator("layer", params, inputs, &[output], scratch)
            .unwrap();
    }

    fn lookup(&mut self, from: TensorRef, to: TensorRef) {
        let table = self.table;
        self.op(&Lookup { len: LEN }, &[from, table], to, Scratch::default());
    }

    fn add(&mut self, a: TensorRef, b: TensorRef, to: TensorRef, scratch: Scratch) {
        let binary = Binary::flat([1, 1, 1, LEN]);
        let output = OutputS8::unclamped(0);
        let params = Add {
            binary,
            zero_point_a: 0,
            zero_point_b: 0,
            multiplier_a: 2,
            multiplier_b: 2,
            shift: 1,
            output,
        };
        self.op(&params, &[a, b], to, scratch);
    }

    fn finish(self, inputs: &[TensorRef], outputs: &[TensorRef]) -> Result<Vec<u8>, WriteError> {
        self.writer
            .finish("main", inputs, outputs, Info::default(), None)
    }
}

fn refusal(result: Result<Vec<u8>, WriteError>) -> FormatError {
    match result {
        Err(WriteError::Refused(error)) => error,
        other => panic!(
            "expected a refused plan, got {:?}",
            other.map(|bytes| bytes.len())
        ),
    }
}

#[test]
fn memory_is_reused_after_the_last_read() {
    let mut m = Model::new();
    let (x, y, z) = (m.at("x", 0), m.at("y", 32), m.at("z", 0));
    m.lookup(x, y);
    m.lookup(y, z);
    let file = AlignedBytes::from(m.finish(&[x], &[z]).unwrap().as_slice());
    let view = ModelView::new_checked(&file).unwrap();
    assert_eq!(view.program().arena_bytes, 64);
    assert_eq!(view.program().operators().count(), 2);
}

#[test]
fn overlapping_live_tensors_are_refused() {
    for offset in [0, 16] {
        let mut m = Model::new();
        let (x, y, z) = (m.at("x", 0), m.at("y", 48), m.at("z", offset));
        m.lookup(x, y);
        m.lookup(y, z);
        // `x` is an output too, so it has to outlive the writing of `z`.
        assert_eq!(
            refusal(m.finish(&[x], &[z, x])),
            FormatError::Overlap {
                index: 1,
                tensor: 0
            }
        );
    }
}

#[test]
fn overlapping_inputs_are_refused() {
    let mut m = Model::new();
    let (a, b, y) = (m.at("a", 0), m.at("b", 16), m.at("y", 64));
    m.add(a, b, y, Scratch::default());
    assert_eq!(
        refusal(m.finish(&[a, b], &[y])),
        FormatError::Overlap {
            index: 0,
            tensor: 0
        }
    );
}

#[test]
fn in_place_is_accepted_where_exact() {
    let mut m = Model::new();
    let (a, b, y) = (m.at("a", 0), m.at("b", 32), m.at("y", 0));
    m.add(a, b, y, Scratch::default());
    assert!(m.finish(&[a, b], &[y]).is_ok());
}

#[test]
fn in_place_is_refused_for_the_second_operand() {
    let mut m = Model::new();
    let (a, b, y) = (m.at("a", 0), m.at("b", 32), m.at("y", 32));
    m.add(a, b, y, Scratch::default());
    assert_eq!(
        refusal(m.finish(&[a, b], &[y])),
        FormatError::Overlap {
            index: 0,
            tensor: 1
        }
    );
}

#[test]
fn in_place_is_refused_where_the_input_is_read_twice() {
    let mut m = Model::new();
    let (a, y) = (m.at("a", 0), m.at("y", 0));
    m.add(a, a, y, Scratch::default());
    assert_eq!(
        refusal(m.finish(&[a], &[y])),
        FormatError::Overlap {
            index: 0,
            tensor: 0
        }
    );
}

#[test]
fn in_place_is_refused_where_the_input_is_read_later() {
    let mut m = Model::new();
    let (a, y, z) = (m.at("a", 0), m.at("y", 0), m.at("z", 32));
    m.lookup(a, y);
    m.add(y, a, z, Scratch::default());
    assert_eq!(
        refusal(m.finish(&[a], &[z])),
        FormatError::Overlap {
            index: 0,
            tensor: 0
        }
    );
}

#[test]
fn in_place_is_refused_for_operators_that_cannot() {
    let mut m = Model::new();
    let (x, y) = (m.at("x", 0), m.at("y", 0));
    let table = m
        .writer
        .constant("exponentials", &[256], None, &[1_u32; 256])
        .unwrap();
    let params = Softmax {
        rows: 1,
        n: LEN,
        exp_bits: Softmax::exp_bits_for(LEN, 8),
        out_bits: 8,
    };
    m.op(&params, &[x, table], y, Scratch::default());
    assert_eq!(
        refusal(m.finish(&[x], &[y])),
        FormatError::Overlap {
            index: 0,
            tensor: 0
        }
    );
}

#[test]
fn scratch_stays_off_tensors_that_are_needed() {
    // `a` at 0, `b` at 32, the output at 64, each of 32 bytes.
    for (offset, fits) in [
        (0, false),
        (48, false),
        (80, false),
        (96, true),
        (104, false),
    ] {
        let mut m = Model::new();
        let (a, b, y) = (m.at("a", 0), m.at("b", 32), m.at("y", 64));
        m.add(a, b, y, Scratch { offset, bytes: 16 });
        match m.finish(&[a, b], &[y]) {
            Ok(_) => assert!(fits, "scratch at {offset}"),
            refused => {
                assert!(!fits, "scratch at {offset}");
                assert_eq!(refusal(refused), FormatError::Scratch { index: 0 });
            }
        }
    }
}

#[test]
fn tensors_are_written_exactly_once() {
    let mut m = Model::new();
    let (x, y, never) = (m.at("x", 0), m.at("y", 32), m.at("never", 64));
    m.lookup(x, y);
    assert_eq!(
        m.finish(&[x], &[y]),
        Err(WriteError::Unwritten {
            tensor: "never".into()
        })
    );
    let _ = never;

    let mut m = Model::new();
    let (x, y) = (m.at("x", 0), m.at("y", 32));
    m.lookup(x, y);
    m.lookup(x, y);
    assert_eq!(
        m.finish(&[x], &[y]),
        Err(WriteError::Unwritten { tensor: "y".into() })
    );
}

#[test]
fn reading_before_writing_is_refused() {
    let mut m = Model::new();
    let (x, y, z) = (m.at("x", 0), m.at("y", 32), m.at("z", 64));
    m.lookup(y, z);
    m.lookup(x, y);
    assert!(matches!(
        refusal(m.finish(&[x], &[z])),
        FormatError::Read { index: 0, .. }
    ));
}

fn small() -> Vec<u8> {
    let mut m = Model::new();
    let (x, y) = (m.at("x", 0), m.at("y", 32));
    m.lookup(x, y);
    m.finish(&[x], &[y]).unwrap()
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    assert_eq!(small(), small());
}

#[test]
fn equal_constants_are_stored_once() {
    let mut m = Model::new();
    let again = m
        .writer
        .constant("again", &[16, 16], None, &[5_i8; 256])
        .unwrap();
    let (x, y, z) = (m.at("x", 0), m.at("y", 32), m.at("z", 0));
    m.lookup(x, y);
    m.op(&Lookup { len: LEN }, &[y, again], z, Scratch::default());
    let file = AlignedBytes::from(m.finish(&[x], &[z]).unwrap().as_slice());
    assert_eq!(ModelView::new_checked(&file).unwrap().weights().len(), 256);
}

#[test]
fn the_digest_covers_every_byte() {
    let file = small();
    assert_eq!(verify(&file), Ok(()));
    for at in (0..file.len()).filter(|at| !(8..16).contains(at)) {
        let mut damaged = file.clone();
        damaged[at] ^= 4;
        assert!(verify(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn unknown_sections_are_skipped_unless_required() {
    let file = small();
    for index in 0..4 {
        let entry = HEADER_BYTES + index * SECTION_ENTRY_BYTES;
        let mut renamed = file.clone();
        renamed[entry..entry + 4].copy_from_slice(b"LATE");
        seal(&mut renamed);
        let required = renamed[entry + 4] == 1;
        let renamed = AlignedBytes::from(renamed.as_slice());
        match ModelView::new_checked(&renamed) {
            Ok(view) => assert!(!required && view.info_bytes().is_none()),
            Err(error) => {
                assert!(required);
                assert_eq!(error, FormatError::RequiredSection { tag: Tag(*b"LATE") });
            }
        }
    }
}

#[test]
fn a_base_off_sixteen_bytes_is_refused() {
    let file = small();
    let mut shifted = AlignedBytes::from([&[0; 4], file.as_slice()].concat().as_slice());
    assert_eq!(
        ModelView::new_checked(&shifted[4..]).err(),
        Some(FormatError::BaseMisaligned)
    );
    shifted.copy_within(4.., 0);
    assert!(
        ModelView::new_checked(&shifted).is_ok(),
        "bytes behind the file are ignored"
    );
}

#[test]
fn names_follow_the_order_of_the_file() {
    let mut m = Model::new();
    // Declared against the order of execution.
    let (z, y, x) = (m.at("z", 0), m.at("y", 32), m.at("x", 0));
    m.lookup(x, y);
    m.lookup(y, z);
    let file = AlignedBytes::from(m.finish(&[x], &[z]).unwrap().as_slice());
    let view = ModelView::new_checked(&file).unwrap();
    let info = view.info().unwrap().unwrap();
    assert_eq!(info.tensor_names, ["x", "y", "z", "table"]);
    assert_eq!(info.layer_names, ["layer", "layer"]);
}

/// `x` at 0 and `y` at 48, 32 bytes each, and 16 bytes of scratch at 96, in an arena of these parts.
fn in_parts(sizes: &[u32]) -> Result<Vec<u8>, WriteError> {
    let mut m = Model::new();
    let (x, y) = (m.at("x", 0), m.at("y", 48));
    let table = m.table;
    let scratch = Scratch {
        offset: 96,
        bytes: 16,
    };
    m.op(&Lookup { len: LEN }, &[x, table], y, scratch);
    m.writer.parts(sizes);
    m.finish(&[x], &[y])
}

#[test]
fn parts_are_ranges_one_behind_the_other() {
    let ends = |sizes: &[u32]| {
        let file = AlignedBytes::from(in_parts(sizes).unwrap().as_slice());
        let view = ModelView::new_checked(&file).unwrap();
        let parts = view.parts();
        assert_eq!(parts.count(), sizes.len().max(1));
        let lens = parts.iter().map(|range| range.len() as u32);
        assert!(lens.eq(parts.sizes().into_iter().take(parts.count())));
        let ends: Vec<u32> = parts.iter().map(|range| range.end).collect();
        assert_eq!(ends.last(), Some(&view.program().arena_bytes));
        ends
    };
    assert_eq!(ends(&[]), [112]);
    assert_eq!(ends(&[112]), [112], "one part is none");
    assert_eq!(ends(&[48, 80]), [48, 128]);
    assert_eq!(ends(&[32, 16, 48, 16]), [32, 48, 96, 112]);
}

#[test]
fn nothing_lies_across_the_end_of_a_part() {
    assert!(in_parts(&[96, 16]).is_ok());
    for (sizes, tensor) in [([16, 96], 0), ([64, 48], 1)] {
        assert_eq!(
            refusal(in_parts(&sizes)),
            FormatError::Tensor { index: tensor }
        );
    }
    let mut m = Model::new();
    let (x, y) = (m.at("x", 0), m.at("y", 32));
    let table = m.table;
    let scratch = Scratch {
        offset: 64,
        bytes: 32,
    };
    m.op(&Lookup { len: LEN }, &[x, table], y, scratch);
    m.writer.parts(&[80, 16]);
    assert_eq!(
        refusal(m.finish(&[x], &[y])),
        FormatError::Scratch { index: 0 }
    );
}

#[test]
fn sizes_of_parts_that_contradict_each_other_are_refused() {
    for sizes in [
        [112, 0].as_slice(),
        &[104, 8],
        &[16, 16, 16, 16, 48],
        &[32, 16, 48, 16, 16],
    ] {
        assert_eq!(refusal(in_parts(sizes)), FormatError::Parts, "{sizes:?}");
    }
    // Too small an arena for what lies in it.
    assert_eq!(
        refusal(in_parts(&[48, 48])),
        FormatError::Scratch { index: 0 }
    );
    let file = in_parts(&[48, 64]).unwrap();
    let at = |tag: &[u8]| file.windows(4).position(|bytes| bytes == tag).unwrap();
    let entry = at(b"PART");
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let (offset, len) = (word(entry + 8) as usize, word(entry + 12));
    assert_eq!(len, 8);
    // Another sum than the arena's, and a list of one, or of one and a half.
    for (position, value) in [(offset, 64), (entry + 12, 4), (entry + 12, 6)] {
        let mut damaged = file.clone();
        damaged[position..position + 4].copy_from_slice(&(value as u32).to_le_bytes());
        let damaged = AlignedBytes::from(damaged.as_slice());
        assert_eq!(
            ModelView::new_checked(&damaged).err(),
            Some(FormatError::Parts)
        );
    }
}
