//! What must hold for any bytes that claim to be a model file. The fuzz target and the gate's damage test share this file.

use std::ops::Range;

use ocellus::format::ops::{AveragePool2d, MaxPool2d, OpCode};
use ocellus::format::{AlignedBytes, FormatError, Isa, MAX_PARTS, ModelView, verify};
use ocellus::kernels::{Kernels, WithKernels, dispatch};
use ocellus::{Engine, Hook, LoadError, Model, OpTable, Written};

/// Bytes of arena that a run is given; larger plans are refused.
const ARENA_BYTES: usize = 1 << 14;
/// Bytes beside the arena that no run may touch.
const CANARY_BYTES: usize = 64;
const CANARY: u8 = 0xa5;

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the fuzz target does not look at it")]
pub(crate) enum Ending {
    /// Refused by name.
    Refused(LoadError),
    /// Loads; not run, because its windows count more taps than a test can wait for.
    TooLong,
    /// Loads and runs to its end.
    Ran,
}

/// Loads the bytes and runs what loads, on the reference and on the best instruction set of this machine.
///
/// # Panics
/// Where a promise is broken.
pub(crate) fn check(bytes: &[u8]) -> Ending {
    let file = AlignedBytes::from(bytes);
    let digest = verify(&file);
    assert!(
        !matches!(digest, Err(FormatError::BaseMisaligned)),
        "verify reads bytes anywhere"
    );
    if let Ok(view) = ModelView::new_checked(&file) {
        read_all(&view);
    }
    let ending = run(Isa::Reference, &file);
    let best = ocellus::kernels::best();
    if best != Isa::Reference && ending == Ending::Ran {
        assert_eq!(run(best, &file), ending, "{}", best.name());
    }
    ending
}

fn run(isa: Isa, file: &[u8]) -> Ending {
    dispatch(isa, LoadAndRun(file)).unwrap_or(Ending::TooLong)
}

struct LoadAndRun<'a>(&'a [u8]);

impl WithKernels for LoadAndRun<'_> {
    type Output = Ending;

    fn run<K: Kernels>(self, kernels: K) -> Ending {
        let model = match Model::load(self.0, &OpTable::<K>::ALL) {
            Ok(model) => model,
            Err(error) => return Ending::Refused(error),
        };
        if taps(model.view()) > 50_000_000 {
            return Ending::TooLong;
        }
        let mut memories = Memories::of(&model);
        let mut engine = match Engine::in_parts(model, kernels, memories.parts()) {
            Ok(engine) => engine,
            Err(error) => return Ending::Refused(error),
        };
        let input_count = model.view().program().inputs.len();
        for position in 0..input_count {
            let input = engine
                .input(position)
                .expect("a proved model has its inputs");
            assert_eq!(input.values.len(), input.info.len_bytes as usize);
            input
                .values
                .iter_mut()
                .zip(0_u8..=255)
                .for_each(|(value, i)| *value = i.wrapping_mul(37) as i8);
        }
        let mut tap = Tap::default();
        engine.run(&mut tap).expect("a proved model runs");
        assert_eq!(tap.operators, model.view().program().operator_count);
        for position in 0..model.view().program().outputs.len() {
            let output = engine
                .output(position)
                .expect("a proved model has its outputs");
            assert_eq!(output.values.len(), output.info.len_bytes as usize);
        }
        assert!(memories.canaries_live(), "the run wrote outside its arena");
        Ending::Ran
    }
}

/// A memory for each part of the arena, each with canaries on both sides.
struct Memories {
    bytes: [Vec<u8>; MAX_PARTS],
    parts: [Range<usize>; MAX_PARTS],
}

impl Memories {
    fn of<K: Kernels>(model: &Model<'_, K>) -> Memories {
        let mut memories = Memories {
            bytes: [(); MAX_PARTS].map(|()| vec![CANARY; ARENA_BYTES + 16 + 2 * CANARY_BYTES]),
            parts: Default::default(),
        };
        let places = memories.bytes.iter().zip(&mut memories.parts);
        for ((bytes, place), part) in places.zip(model.view().parts().iter()) {
            let start = bytes.as_ptr().addr().wrapping_neg() % 16 + CANARY_BYTES;
            *place = start..start + ARENA_BYTES.min(part.len());
        }
        memories
    }

    fn parts(&mut self) -> [&mut [u8]; MAX_PARTS] {
        let mut places = self.parts.iter();
        self.bytes.each_mut().map(|bytes| {
            let place = places.next().expect("as many");
            &mut bytes[place.clone()]
        })
    }

    fn canaries_live(&self) -> bool {
        let memories = self.bytes.iter().zip(&self.parts);
        memories.into_iter().all(|(bytes, place)| {
            let outside = bytes[..place.start].iter().chain(&bytes[place.end..]);
            outside.copied().all(|byte| byte == CANARY)
        })
    }
}

/// Reads every tensor that a run writes.
#[derive(Default)]
struct Tap {
    operators: u16,
    sum: i64,
}

impl Hook for Tap {
    fn after(&mut self, _: u16, _: OpCode, written: Written<'_>) {
        self.operators += 1;
        for position in 0..written.len() {
            let tensor = written
                .get(position)
                .expect("a proved model has its tensors");
            self.sum += tensor
                .values
                .iter()
                .map(|&value| i64::from(value))
                .sum::<i64>();
        }
    }
}

/// Calls every accessor of a proved file.
fn read_all(view: &ModelView<'_>) {
    for index in 0..view.tensor_count() as u16 {
        let info = view.tensor(index).expect("a proved file has its tensors");
        assert!(info.shape().len() <= ocellus::format::MAX_RANK);
        let _ = view.constant::<u8>(&info.extent()).map(<[u8]>::len);
        let _ = view.constant::<i32>(&info.extent()).map(<[i32]>::len);
    }
    assert_eq!(
        view.program().operators().count(),
        usize::from(view.program().operator_count)
    );
    if let Ok(Some(task)) = view.task() {
        let _ = task.label(1);
    }
    if let Ok(Some(info)) = view.info() {
        for output in &info.outputs {
            let _ = output.assembly.evaluate::<i8>(&[(vec![1, 2], vec![3, 4])]);
        }
    }
}

/// Taps of all pools. Other operators' work is bounded by the bytes that they read and write.
fn taps(view: &ModelView<'_>) -> u64 {
    let windows = view
        .program()
        .operators()
        .filter_map(|operator| match operator.code {
            OpCode::MaxPool2d => operator
                .params::<MaxPool2d>()
                .map(|p| (p.window, p.channels)),
            OpCode::AveragePool2d => operator
                .params::<AveragePool2d>()
                .map(|p| (p.window, p.channels)),
            _ => None,
        });
    windows
        .map(|(w, channels)| {
            [w.out_h, w.out_w, w.kernel_h, w.kernel_w, channels]
                .iter()
                .fold(1_u64, |n, &size| n.saturating_mul(u64::from(size)))
        })
        .fold(0, u64::saturating_add)
}
