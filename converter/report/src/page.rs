//! The page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::ReportError;
use crate::charts::{self, Cost, FAMILIES};
use crate::data::{Errors, Histogram, MemoryKind, Report};
use crate::memory;
use crate::tables;
use crate::text::{grouped, prose, short, size};

/// Nothing is fetched, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

impl Report {
    /// The page. The same report gives the same bytes.
    ///
    /// # Errors
    /// [`ReportError::Chart`]
    pub fn to_html(&self) -> Result<String, ReportError> {
        let cost = Cost::of(&self.layers);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="generator" content={ "ocellus " (self.tool_version) };
                    title { (self.model) " – Ocellus report" }
                    style { (PreEscaped(include_str!("style.css"))) }
                }
                body {
                    header {
                        h1 { (self.model) }
                        p.sub { (self.subtitle()) }
                        @if let Some((board, why)) = self.refusal() {
                            p.verdict.bad { strong { "It does not fit " (board) ": " } (prose(why)) }
                        }
                        (self.tiles())
                    }
                    main {
                        @if let Some(board) = &self.board {
                            @if !board.regions.is_empty() {
                                (section("board", "Where it lies", html! { (tables::regions(&board.regions, &self.headline)) }))
                            }
                        }
                        (section("cost", "What it costs", html! {
                            (legend(&FAMILIES))
                            (charts::cost(&self.layers, cost)?)
                            (tables::layers(&self.layers, cost))
                        }))
                        (section("memory", "Memory over time", html! {
                            p.fine { "Step 0 holds the inputs, step " i { "n" } " is layer " i { "n" } ", the last one holds the outputs. Most is alive in step "
                                (memory::peak_step(&self.memory)) "; what lies there then stands out. The arena has " (grouped(self.memory.arena_bytes))
                                " bytes; no plan of this order of operators needs less than " (grouped(self.memory.lower_bound_bytes)) "." }
                            (memory::parts(&self.memory))
                            (legend(&MEMORY_KINDS.map(|kind| (kind.word(), kind.word()))))
                            (memory::map(&self.memory)?)
                            (memory::live(&self.memory)?)
                        }))
                        @if let Some(errors) = &self.errors { (error_section(errors)?) }
                        @if !self.accuracy.is_empty() {
                            (section("accuracy", "Accuracy by method", html! {
                                p.fine { "What " code { "--quantize auto" } " tried: calibrated on most of the calibration samples, compared with float on the others." }
                                (tables::accuracy(&self.accuracy))
                            }))
                        }
                        (histograms("weights", "Weights", "The weights of each layer as stored, integers; bars are square roots of counts.", &self.weights))
                        (histograms("activations", "Activations", "Values of each tensor on the samples, in real numbers; bars are square roots of counts.", &self.activations))
                        @if !self.fits.is_empty() {
                            (section("fits", "Where it fits", tables::fits(&self.fits)))
                        }
                        @if !self.notes.is_empty() {
                            (section("notes", "Notes", html! { ul { @for note in &self.notes { li { (prose(note)) } } } }))
                        }
                        (section("provenance", "Provenance", tables::provenance(&self.provenance)))
                    }
                    footer { "Made by ocellus " (self.tool_version) ". This page needs no network and no other file." }
                }
            }
        };
        Ok(page.into_string())
    }

    fn subtitle(&self) -> String {
        let from = &self.provenance.source;
        let kernels = format!("{} kernels", self.isa);
        match &self.board {
            Some(board) => format!("from {from}, on {} with {kernels}", board.title),
            None => format!("from {from}, with {kernels}"),
        }
    }

    /// The board that was asked about, where the model does not fit it, and why not.
    fn refusal(&self) -> Option<(&str, &str)> {
        let board = self.board.as_ref()?;
        let fit = self.fits.iter().find(|fit| fit.board == board.name)?;
        Some((fit.board.as_str(), fit.why_not.as_deref()?))
    }

    fn tiles(&self) -> Markup {
        let h = &self.headline;
        let tile = |id: &str, what: &str, figure: String, exact: String| {
            html! { div.tile id=(id) { div.what { (what) } div.figure { (figure) } div.exact { (exact) } } }
        };
        let bytes = |value: u64| (size(value), format!("{} bytes", grouped(value)));
        let (model, model_exact) = bytes(h.model_bytes);
        let (arena, arena_exact) = bytes(h.arena_bytes);
        html! {
            div.tiles {
                (tile("macs", "multiply-accumulates", short(h.macs as f64), format!("{}; {:.1} % on SIMD", grouped(h.macs), 100.0 * h.macs_on_simd_share)))
                (tile("model-bytes", "model file", model, model_exact))
                (tile("arena-bytes", "arena", arena, arena_exact))
                @if let Some(code) = h.code_bytes {
                    @let (code, exact) = bytes(code);
                    (tile("code-bytes", "firmware", code, exact))
                }
                @if let Some(instructions) = h.instructions {
                    (tile("instructions", "instructions", short(instructions as f64), grouped(instructions)))
                }
                @if let Some(cycles) = h.estimated_cycles {
                    (tile("cycles", "estimated cycles", short(cycles as f64), grouped(cycles)))
                }
                @if let Some(us) = h.wall_us {
                    (tile("time", "time on this machine", format!("{:.2} ms", us / 1000.0), format!("{us:.1} µs")))
                }
            }
        }
    }
}

const MEMORY_KINDS: [MemoryKind; 4] = [
    MemoryKind::Input,
    MemoryKind::Activation,
    MemoryKind::Output,
    MemoryKind::Scratch,
];

fn section(id: &str, title: &str, body: Markup) -> Markup {
    html! { section id=(id) { h2 { (title) } (body) } }
}

/// Colours, by class, and what they mean.
fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        p.legend { @for (class, word) in entries { span { span class={ "key " (class) } {} (word) } } }
    }
}

fn error_section(errors: &Errors) -> Result<Markup, ReportError> {
    Ok(section(
        "errors",
        "Error of each layer",
        html! {
            p.fine {
                "Against " (errors.float) " on " (errors.samples) @if errors.samples == 1 { " sample" } @else { " samples" }
                ". \"Own error\" is what a layer makes of the inputs that the int8 layer read, for the worst channel, as a share of that channel's signal;"
                " \"clipped\" is what its range cuts off."
            }
            @match &errors.suspect {
                Some(name) => { p.verdict.bad { "The first to look at is " strong { (name) } "." } }
                None => { p.verdict.good { "No layer makes an error of its own that matters." } }
            }
            (charts::errors(errors)?)
            (tables::errors(errors))
        },
    ))
}

fn histograms(id: &str, title: &str, what: &str, histograms: &[Histogram]) -> Markup {
    html! {
        @if !histograms.is_empty() {
            (section(id, title, html! {
                p.fine { (what) }
                div.sparks { @for histogram in histograms { (charts::spark(histogram)) } }
            }))
        }
    }
}
