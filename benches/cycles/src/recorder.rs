//! Turns "this run of instructions was executed" and "this marker was passed" into a report.
//!
//! A [`Segment`] is what lies between two block borders or markers. Executing one adds 1 to its own counter;
//! the sums are multiplied out only when a marker is passed, over the few segments touched since the last.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::decode::Marker;
use crate::model::{Insn, Tally};
use crate::report::{Bracket, Counts, Kind, Report, SCHEMA, Target};

/// A run broken by the same cause over and over should not fill the report with it.
const WARNINGS_MAX: usize = 16;

/// Instructions that are executed one after another, without a marker among them.
///
/// Only the virtual CPU that opened the bracket counts, so the counters are never contended.
#[derive(Debug)]
pub(crate) struct Segment {
    start: u64,
    end: u64,
    ends_in_flow: bool,
    sums: Tally,
    executed: AtomicU64,
    taken: AtomicU64,
}

impl Segment {
    /// A segment of `insns` from the address `start`.
    pub(crate) fn new(start: u64, insns: &[Insn]) -> Segment {
        Segment {
            start,
            end: start + insns.iter().map(|insn| insn.size_bytes).sum::<u64>(),
            ends_in_flow: insns.last().is_some_and(|insn| insn.flow),
            sums: Tally::of(insns),
            executed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        }
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Counts one execution. True if it is the first since the counters were last read.
    pub(crate) fn execute(&self) -> bool {
        let before = self.executed.load(Relaxed);
        self.executed.store(before + 1, Relaxed);
        before == 0
    }

    /// Tells it where execution went afterwards.
    pub(crate) fn continued_at(&self, address: u64) {
        if self.ends_in_flow && address != self.end {
            self.taken.store(self.taken.load(Relaxed) + 1, Relaxed);
        }
    }

    /// Reads the counters into sums, and resets them.
    fn drain(&self, into: &mut Tally) {
        into.add_scaled(&self.sums, self.executed.swap(0, Relaxed));
        into.add_taken(self.taken.swap(0, Relaxed));
    }
}

/// A bracket that has begun.
struct Open {
    /// Where it goes in the report, which is in order of beginning.
    slot: usize,
    kind: Kind,
    total: Tally,
    checked_at_begin: u64,
    layers: Vec<Tally>,
    layer: Option<Tally>,
}

/// A bracket that has ended.
struct Closed {
    kind: Kind,
    total: Tally,
    checked: u64,
    layers: Vec<Tally>,
}

/// The brackets so far.
#[derive(Default)]
pub(crate) struct Recorder {
    touched: Vec<&'static Segment>,
    open: Vec<Open>,
    closed: Vec<Option<Closed>>,
    warnings: Vec<String>,
}

impl Recorder {
    /// Adds a segment that was executed for the first time since the last marker.
    pub(crate) fn touch(&mut self, segment: &'static Segment) {
        self.touched.push(segment);
    }

    /// Passes a marker. `checked` is the count of every instruction executed so far, for the cross-check.
    pub(crate) fn mark(&mut self, marker: Marker, checked: u64) {
        self.settle();
        match marker {
            Marker::Begin(kind) => self.begin(kind, checked),
            Marker::End(kind) => self.end(kind, checked),
            Marker::BeginLayer => match self
                .open
                .iter_mut()
                .rfind(|open| open.kind == Kind::Inference)
            {
                // Layer markers outside an inference are no fault: loading may share code with running.
                None => {}
                Some(open) => {
                    let unfinished = open.layer.replace(Tally::default());
                    if let Some(layer) = unfinished {
                        open.layers.push(layer);
                        self.warn("a layer began before the one before it ended; the earlier was closed there");
                    }
                }
            },
            Marker::EndLayer => {
                if let Some(open) = self
                    .open
                    .iter_mut()
                    .rfind(|open| open.kind == Kind::Inference)
                {
                    match open.layer.take() {
                        Some(layer) => open.layers.push(layer),
                        None => self.warn("a layer ended that had not begun; ignored"),
                    }
                }
            }
        }
    }

    /// Whether anything is being counted.
    pub(crate) fn is_counting(&self) -> bool {
        !self.open.is_empty()
    }

    /// Notes something that does not add up.
    pub(crate) fn warn(&mut self, what: impl Into<String>) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(what.into());
        }
    }

    /// Credits what was executed since the last marker to all that is open.
    fn settle(&mut self) {
        let mut since = Tally::default();
        for segment in self.touched.drain(..) {
            segment.drain(&mut since);
        }
        for open in &mut self.open {
            open.total.add_scaled(&since, 1);
            if let Some(layer) = &mut open.layer {
                layer.add_scaled(&since, 1);
            }
        }
    }

    fn begin(&mut self, kind: Kind, checked: u64) {
        if let Some(at) = self.open.iter().position(|open| open.kind == kind) {
            // The end was jumped over, by a fault or a reset; what was inside cannot be trusted either.
            self.open.truncate(at);
            self.warn(format!(
                "{kind:?} began again before it ended; the earlier bracket was dropped"
            ));
        }
        let slot = self.closed.len();
        self.closed.push(None);
        self.open.push(Open {
            slot,
            kind,
            total: Tally::default(),
            checked_at_begin: checked,
            layers: Vec::new(),
            layer: None,
        });
    }

    fn end(&mut self, kind: Kind, checked: u64) {
        let Some(at) = self.open.iter().position(|open| open.kind == kind) else {
            self.warn(format!("{kind:?} ended but had not begun; ignored"));
            return;
        };
        if at + 1 != self.open.len() {
            self.warn(format!(
                "{kind:?} ended around an open bracket; the inner one was dropped"
            ));
        }
        self.open.truncate(at + 1);
        let Some(mut open) = self.open.pop() else {
            return;
        };
        if let Some(layer) = open.layer.take() {
            open.layers.push(layer);
            self.warn("an inference ended inside a layer; the layer was closed there");
        }
        self.closed[open.slot] = Some(Closed {
            kind,
            total: open.total,
            checked: checked - open.checked_at_begin,
            layers: open.layers,
        });
    }

    /// The report of everything closed so far.
    pub(crate) fn report(&self, target: Target, checking: bool) -> Report {
        let closed = || self.closed.iter().flatten();
        let helium = closed().any(|bracket| bracket.total.classes.helium > 0);
        let counts = |tally: &Tally| Counts {
            instructions: tally.classes.total(),
            estimated_cycles: (target == Target::Thumb && !helium).then_some(tally.m4_cycles),
            m55_cycles: (target == Target::Thumb && helium).then_some(tally.m55_cycles),
            classes: tally.classes,
        };
        let brackets = closed().map(|bracket| Bracket {
            kind: bracket.kind,
            counts: counts(&bracket.total),
            instructions_checked: checking.then_some(bracket.checked),
            layers: bracket.layers.iter().map(counts).collect(),
        });
        let mut warnings = self.warnings.clone();
        warnings.extend(
            self.open
                .iter()
                .map(|open| format!("{:?} began but never ended; left out", open.kind)),
        );
        Report {
            schema: SCHEMA,
            target,
            brackets: brackets.collect(),
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;

    /// A loop body at address 8: one add, one branch, 4 bytes each.
    fn segment() -> &'static Segment {
        Box::leak(Box::new(Segment::new(
            8,
            &[
                Insn::new(Class::DataProcessing, 1),
                Insn::new(Class::Branch, 1),
            ],
        )))
    }

    fn run(recorder: &mut Recorder, segment: &'static Segment, times: u64) {
        for _ in 0..times {
            if segment.execute() {
                recorder.touch(segment);
            }
        }
    }

    #[test]
    fn nested_brackets_and_layers_share_what_they_execute() {
        let (mut recorder, body) = (Recorder::default(), segment());
        recorder.mark(Marker::Begin(Kind::Load), 0);
        run(&mut recorder, body, 2);
        recorder.mark(Marker::Begin(Kind::Verify), 4);
        run(&mut recorder, body, 3);
        body.continued_at(8);
        body.continued_at(16);
        recorder.mark(Marker::End(Kind::Verify), 10);
        recorder.mark(Marker::End(Kind::Load), 10);
        assert!(!recorder.is_counting());
        recorder.mark(Marker::Begin(Kind::Inference), 10);
        recorder.mark(Marker::BeginLayer, 10);
        run(&mut recorder, body, 1);
        recorder.mark(Marker::EndLayer, 12);
        run(&mut recorder, body, 1);
        recorder.mark(Marker::End(Kind::Inference), 14);

        let report = recorder.report(Target::Thumb, true);
        let seen: Vec<_> = report
            .brackets
            .iter()
            .map(|b| {
                (
                    b.kind,
                    b.counts.instructions,
                    b.counts.estimated_cycles,
                    b.layers.len(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (Kind::Load, 10, Some(12), 0),
                (Kind::Verify, 6, Some(8), 0),
                (Kind::Inference, 4, Some(4), 1)
            ]
        );
        assert!(
            report
                .brackets
                .iter()
                .all(|b| b.instructions_checked == Some(b.counts.instructions))
        );
        assert_eq!(report.brackets[2].layers[0].instructions, 2);
        assert_eq!(report.warnings, [""; 0]);
    }

    #[test]
    fn markers_that_do_not_pair_are_said_and_leave_nothing_wrong() {
        let (mut recorder, body) = (Recorder::default(), segment());
        recorder.mark(Marker::End(Kind::Load), 0);
        recorder.mark(Marker::Begin(Kind::Inference), 0);
        run(&mut recorder, body, 5);
        recorder.mark(Marker::Begin(Kind::Inference), 0);
        run(&mut recorder, body, 1);
        recorder.mark(Marker::EndLayer, 0);
        recorder.mark(Marker::End(Kind::Inference), 0);
        recorder.mark(Marker::Begin(Kind::Verify), 0);
        let report = recorder.report(Target::Aarch64, false);
        assert_eq!(report.brackets.len(), 1);
        assert_eq!(report.brackets[0].counts.instructions, 2);
        assert_eq!(report.brackets[0].counts.estimated_cycles, None);
        assert_eq!(report.warnings.len(), 4, "{:?}", report.warnings);
    }
}
