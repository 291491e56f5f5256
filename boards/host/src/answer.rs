//! What a board answers.

use ocellus_protocol::{
    Class, Detection, DeviceError, FrameDecoder, FrameError, Response, Verdict, decode,
};

use crate::job::Step;

/// Something worth showing while a board works.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The step of that number has its answer.
    Answered {
        /// Position among the job's steps.
        step: usize,
    },
    /// An operator was run.
    Progress {
        /// Operators run.
        done: u16,
        /// Operators in the program.
        total: u16,
    },
    /// An operator's cases were run.
    Case(CaseRow),
}

/// One operator's cases on the board's kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRow {
    /// The operator.
    pub operator: String,
    /// Cases in which a kernel of the instruction set gave the reference's bytes.
    pub equal: u32,
    /// Cases whose kernel is the reference's own.
    pub default_method: u32,
    /// Cases that did not hold.
    pub failed: u32,
    /// The smallest of those.
    pub failed_seed: Option<u64>,
}

/// The answer to a [`Step`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Who the device is.
    Hello {
        /// The board's name.
        board: String,
        /// Instruction set of its kernels.
        isa: String,
        /// Operators in its image.
        operators: u8,
        /// Whether the image has per-layer markers.
        profile: bool,
    },
    /// The model's SHA-256, which is right.
    Verified([u8; 32]),
    /// The model is loaded.
    Loaded {
        /// Bytes of arena.
        arena_bytes: u32,
        /// Memory region that holds it, or its first part.
        region: String,
        /// Region and bytes of each part; one where the arena has one part.
        parts: Vec<(String, u32)>,
        /// Operators in the program.
        operators: u16,
        /// Tensors to write.
        inputs: u8,
        /// Tensors to read.
        outputs: u8,
    },
    /// Carried out.
    Done,
    /// A frame became an input.
    Captured {
        /// Columns of the frame.
        width_px: u16,
        /// Rows of the frame.
        height_px: u16,
        /// Memory region that held it.
        region: String,
    },
    /// The model has run.
    Inferred {
        /// Time, where the board has a clock.
        wall_us: Option<u64>,
        /// Cycles, where the core has a counter.
        cycles: Option<u64>,
        /// Tapped tensors, in the order of their operators.
        taps: Vec<(u16, Vec<u8>)>,
    },
    /// An output's bytes.
    Output(Vec<u8>),
    /// An output's SHA-256.
    OutputHash([u8; 32]),
    /// What the outputs mean, best first.
    Task {
        /// Of a classification.
        classes: Vec<Class>,
        /// Of a detection.
        detections: Vec<Detection>,
    },
    /// What the firmware uses.
    Memory {
        /// Set aside for the stack.
        stack_bytes: Option<u32>,
        /// Most of it ever used.
        stack_used_bytes: Option<u32>,
        /// Variables outside stack and arena.
        statics_bytes: Option<u32>,
        /// The loaded model's arena.
        arena_bytes: u32,
        /// Memory region that holds it, or its first part.
        region: String,
        /// Region and bytes of each part; one where the arena has one part, or where no model is loaded.
        parts: Vec<(String, u32)>,
    },
    /// What became of the kernels' cases.
    Conformance {
        /// One row an operator.
        rows: Vec<CaseRow>,
        /// The sum.
        verdict: Verdict,
    },
    /// The device did not do it, and says why. Later steps were asked all the same.
    Refused(DeviceError),
}

/// Turns the bytes of a board's answers into [`Answer`]s.
pub(crate) struct Listener<'j> {
    steps: &'j [Step],
    decoder: FrameDecoder,
    buffer: Vec<u8>,
    /// Requests of the current step that have no final response yet; counted when a step begins.
    open: usize,
    requests_answered: usize,
    draft: Draft,
    answers: Vec<Answer>,
}

/// What came before a step's final response.
#[derive(Default)]
struct Draft {
    bytes: Vec<u8>,
    taps: Vec<(u16, Vec<u8>)>,
    classes: Vec<Class>,
    detections: Vec<Detection>,
    rows: Vec<CaseRow>,
    parts: Vec<(String, u32)>,
    refused: Option<DeviceError>,
}

impl<'j> Listener<'j> {
    pub(crate) fn new(steps: &'j [Step]) -> Self {
        let mut listener = Listener {
            steps,
            decoder: FrameDecoder::default(),
            buffer: vec![0; ocellus_protocol::MAX_MESSAGE_BYTES],
            open: 0,
            requests_answered: 0,
            draft: Draft::default(),
            answers: Vec::new(),
        };
        listener.begin_step();
        listener
    }

    fn begin_step(&mut self) {
        self.draft = Draft::default();
        self.open = self
            .steps
            .get(self.answers.len())
            .map_or(0, |step| step.requests().len());
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.answers.len() == self.steps.len()
    }

    pub(crate) fn requests_answered(&self) -> usize {
        self.requests_answered
    }

    pub(crate) fn into_answers(self) -> Vec<Answer> {
        self.answers
    }

    /// Takes bytes in.
    ///
    /// # Errors
    /// [`FrameError`]: an answer arrived damaged
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        observer: &mut dyn FnMut(Event),
    ) -> Result<(), FrameError> {
        for &byte in bytes {
            if let Some(frame) = self.decoder.push(byte, &mut self.buffer) {
                let len = frame?;
                let buffer = std::mem::take(&mut self.buffer);
                let taken = decode::<Response<'_>>(&buffer[..len])
                    .map(|response| self.respond(&response, observer));
                self.buffer = buffer;
                taken?;
            }
        }
        Ok(())
    }

    fn respond(&mut self, response: &Response<'_>, observer: &mut dyn FnMut(Event)) {
        if self.is_complete() {
            return;
        }
        match *response {
            Response::Progress { done, total } => observer(Event::Progress { done, total }),
            Response::Data { data, .. } => self.draft.bytes.extend_from_slice(data),
            Response::TapData {
                tensor,
                offset,
                data,
            } => self.draft.tap(tensor, offset, data),
            Response::ArenaPart { bytes, region } => {
                self.draft.parts.push((region.to_owned(), bytes));
            }
            Response::Class(class) => self.draft.classes.push(class),
            Response::Detection(detection) => self.draft.detections.push(detection),
            Response::Case(row) => {
                let row = CaseRow {
                    operator: row.operator.to_owned(),
                    equal: row.equal,
                    default_method: row.default_method,
                    failed: row.failed,
                    failed_seed: row.failed_seed,
                };
                observer(Event::Case(row.clone()));
                self.draft.rows.push(row);
            }
            _ => {}
        }
        if !response.is_final() {
            return;
        }
        self.requests_answered += 1;
        self.open = self.open.saturating_sub(1);
        if let Response::Error(error) = *response {
            self.draft.refused.get_or_insert(error);
        }
        if self.open == 0 {
            let step = self.answers.len();
            let draft = std::mem::take(&mut self.draft);
            self.answers.push(draft.finish(&self.steps[step], response));
            observer(Event::Answered { step });
            self.begin_step();
        }
    }
}

impl Draft {
    fn tap(&mut self, tensor: u16, offset: u32, data: &[u8]) {
        // A tensor's first piece begins a new copy, also where the same tensor is sent again.
        if offset == 0 {
            self.taps.push((tensor, data.to_vec()));
        } else if let Some((_, bytes)) = self.taps.last_mut() {
            bytes.extend_from_slice(data);
        }
    }

    /// The parts that were named, or the one part.
    fn parts(&self, region: &str, arena_bytes: u32) -> Vec<(String, u32)> {
        if self.parts.is_empty() {
            vec![(region.to_owned(), arena_bytes)]
        } else {
            self.parts.clone()
        }
    }

    fn finish(self, step: &Step, last: &Response<'_>) -> Answer {
        if let Some(error) = self.refused {
            return Answer::Refused(error);
        }
        match (*last, step) {
            (
                Response::Hello {
                    board,
                    isa,
                    operators,
                    profile,
                    ..
                },
                _,
            ) => Answer::Hello {
                board: board.to_owned(),
                isa: isa.to_owned(),
                operators,
                profile,
            },
            (Response::Verified { sha256 }, _) => Answer::Verified(sha256),
            (
                Response::Loaded {
                    arena_bytes,
                    region,
                    operators,
                    inputs,
                    outputs,
                },
                _,
            ) => Answer::Loaded {
                arena_bytes,
                region: region.to_owned(),
                parts: self.parts(region, arena_bytes),
                operators,
                inputs,
                outputs,
            },
            (
                Response::Captured {
                    width_px,
                    height_px,
                    region,
                },
                _,
            ) => Answer::Captured {
                width_px,
                height_px,
                region: region.to_owned(),
            },
            (Response::Inferred { wall_us, cycles }, _) => Answer::Inferred {
                wall_us,
                cycles,
                taps: self.taps,
            },
            (Response::OutputHash { sha256 }, _) => Answer::OutputHash(sha256),
            (
                Response::Memory {
                    stack_bytes,
                    stack_used_bytes,
                    statics_bytes,
                    arena_bytes,
                    region,
                },
                _,
            ) => Answer::Memory {
                stack_bytes,
                stack_used_bytes,
                statics_bytes,
                arena_bytes,
                region: region.to_owned(),
                parts: self.parts(region, arena_bytes),
            },
            (Response::Conformance(verdict), _) => Answer::Conformance {
                rows: self.rows,
                verdict,
            },
            (Response::Done, Step::Output { .. }) => Answer::Output(self.bytes),
            (Response::Done, Step::Task) => Answer::Task {
                classes: self.classes,
                detections: self.detections,
            },
            _ => Answer::Done,
        }
    }
}
