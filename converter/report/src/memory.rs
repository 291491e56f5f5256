//! The arena over time: a box for every tensor and every scratch.

use maud::{Markup, html};

use crate::ReportError;
use crate::chart::{Axes, chart, px};
use crate::data::{Memory, MemoryBox, MemoryKind};
use crate::text::{grouped, short, shortened};

/// A letter of the boxes' text is about this wide.
const LETTER_PX: f64 = 6.2;
/// A line of it is this high.
const LINE_PX: f64 = 13.0;

impl MemoryKind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            MemoryKind::Input => "input",
            MemoryKind::Activation => "activation",
            MemoryKind::Output => "output",
            MemoryKind::Scratch => "scratch",
        }
    }
}

/// The step in which most is alive, the first of equals.
pub(crate) fn peak_step(memory: &Memory) -> usize {
    let most = memory.live_bytes.iter().max();
    let found = memory
        .live_bytes
        .iter()
        .position(|bytes| Some(bytes) == most);
    found.unwrap_or(0)
}

/// The picture: x is the step, y the address, a box is a tensor or a scratch; what is alive at the peak stands out.
pub(crate) fn map(memory: &Memory) -> Result<Markup, ReportError> {
    let peak = peak_step(memory);
    let axes = Axes {
        title: "memory map: what lies where in the arena, step by step",
        height: 460,
        x: 0.0..memory.steps.max(1) as f64,
        y: 0.0..memory.arena_bytes.max(1) as f64,
        x_title: "step",
        y_title: "address in the arena, bytes",
        y_text: short,
    };
    chart(&axes, |scale| {
        let [left, top, width, height] =
            scale.rectangle(peak as f64..peak as f64 + 1.0, axes.y.clone());
        html! {
            rect.peak x=(px(left)) y=(px(top)) width=(px(width)) height=(px(height)) {
                title { "step " (peak) ": " (grouped(memory.live_bytes.get(peak).copied().unwrap_or(0))) " bytes alive, the most of all steps" }
            }
            @for part in &memory.boxes {
                @let addresses = part.offset as f64..(part.offset + part.bytes) as f64;
                @let free = part.first_step as f64..free_until(part, &memory.boxes) as f64;
                @let [_, _, room, _] = scale.rectangle(free, addresses.clone());
                (memory_box(part, peak, room, scale.rectangle(part.first_step as f64..part.last_step as f64 + 1.0, addresses)))
            }
            @for end in ends(memory) {
                @let y = px(scale.y(end.at as f64));
                line.limit x1=(px(scale.x(0.0))) x2=(px(scale.x(axes.x.end))) y1=(y) y2=(y) {
                    title { (end.title) }
                }
            }
        }
    })
}

/// The parts of the arena in a sentence, where there are several.
pub(crate) fn parts(memory: &Memory) -> Markup {
    if memory.parts.len() < 2 {
        return html! {};
    }
    let parts: Vec<String> = ends(memory).into_iter().map(|end| end.title).collect();
    html! { p.fine { "It lies in " (parts.len()) " parts, from address 0 on: " (parts.join(", ")) "." } }
}

/// Where a part of the arena ends.
struct End {
    at: u64,
    title: String,
}

/// The end of each part, with the region that holds it.
fn ends(memory: &Memory) -> Vec<End> {
    let mut at = 0;
    let parts = memory.parts.iter().map(|part| {
        at += part.bytes;
        let bytes = grouped(part.bytes);
        End {
            at,
            title: match &part.region {
                Some(region) => format!("{bytes} bytes in {region}"),
                None => format!("a part of {bytes} bytes"),
            },
        }
    });
    parts.collect()
}

/// The step behind the last in which a box is by itself: an operator in place writes its output over it.
fn free_until(part: &MemoryBox, boxes: &[MemoryBox]) -> usize {
    let later = boxes.iter().filter(|other| {
        other.first_step > part.first_step
            && other.first_step <= part.last_step
            && other.offset < part.offset + part.bytes
            && part.offset < other.offset + other.bytes
    });
    let first = later.map(|other| other.first_step).min();
    first.unwrap_or(part.last_step + 1)
}

/// A box, with its name where the room in front of the next one holds some of it.
fn memory_box(
    part: &MemoryBox,
    peak: usize,
    room: f64,
    [left, top, width, height]: [f64; 4],
) -> Markup {
    let at_peak = (part.first_step..=part.last_step).contains(&peak);
    let class = format!(
        "box {}{}",
        part.kind.word(),
        if at_peak { " at-peak" } else { "" }
    );
    let letters = ((room - 6.0) / LETTER_PX).max(0.0) as usize;
    let bytes = grouped(part.bytes);
    html! {
        g class=(class) {
            rect x=(px(left)) y=(px(top)) width=(px(width)) height=(px(height)) {}
            @if letters >= 5 && height >= LINE_PX {
                text x=(px(left + 4.0)) y=(px(top + LINE_PX - 2.0)) { (shortened(&part.name, letters)) }
                @if height >= 2.0 * LINE_PX && letters >= bytes.len() {
                    text.figure x=(px(left + 4.0)) y=(px(top + 2.0 * LINE_PX - 2.0)) { (bytes) }
                }
            }
            title {
                (part.name) " (" (part.kind.word()) "): " (bytes) " bytes at " (grouped(part.offset)) ", steps " (part.first_step) " to " (part.last_step)
            }
        }
    }
}

/// Bytes alive in each step.
pub(crate) fn live(memory: &Memory) -> Result<Markup, ReportError> {
    let peak = peak_step(memory);
    let axes = Axes {
        title: "bytes alive in each step",
        height: 220,
        x: 0.0..memory.steps.max(1) as f64,
        y: 0.0..memory.arena_bytes.max(1) as f64 * 1.05,
        x_title: "step",
        y_title: "bytes alive",
        y_text: short,
    };
    chart(&axes, |scale| {
        let arena = px(scale.y(memory.arena_bytes as f64));
        html! {
            @for (step, &bytes) in memory.live_bytes.iter().enumerate() {
                @let [left, top, width, height] = scale.rectangle(step as f64 + 0.08..step as f64 + 0.92, 0.0..bytes as f64);
                rect class=(if step == peak { "bar at-peak" } else { "bar live" }) x=(px(left)) y=(px(top)) width=(px(width)) height=(px(height)) {
                    title { "step " (step) ": " (grouped(bytes)) " bytes" }
                }
            }
            line.limit x1=(px(scale.x(0.0))) x2=(px(scale.x(axes.x.end))) y1=(arena) y2=(arena) {
                title { "arena: " (grouped(memory.arena_bytes)) " bytes" }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::MemoryPart;

    #[test]
    fn parts_are_named_where_there_are_several() {
        let part = |bytes, region: Option<&str>| MemoryPart {
            bytes,
            region: region.map(str::to_owned),
        };
        let mut memory = Memory {
            arena_bytes: 3072,
            steps: 2,
            parts: vec![part(1024, Some("DTCM")), part(2048, None)],
            ..Memory::default()
        };
        let text = parts(&memory).into_string();
        assert!(
            text.contains("1,024 bytes in DTCM, a part of 2,048 bytes"),
            "{text}"
        );
        let picture = map(&memory).unwrap().into_string();
        assert!(picture.contains("1,024 bytes in DTCM"), "{picture}");
        memory.parts = vec![part(3072, None)];
        assert_eq!(parts(&memory).into_string(), "");
    }
}
