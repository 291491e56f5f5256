//! The page's tables.

use maud::{Markup, html};

use crate::charts::{Cost, decibels, family};
use crate::data::{Accuracy, Errors, Fit, Headline, Layer, Provenance, Region};
use crate::text::{grouped, prose, shape, shortened, size};

/// Rows of errors that are shown at once; the others are behind a line to click.
const WORST: usize = 12;

/// Letters of a name that a cell shows; TensorFlow's run to hundreds.
const NAME_LETTERS: usize = 56;

/// A name, short; the whole of it is under the pointer.
fn name(name: &str) -> Markup {
    html! { span title=(name) { (shortened(name, NAME_LETTERS)) } }
}

/// The layers, in the order in which they run.
pub(crate) fn layers(layers: &[Layer], cost: Cost) -> Markup {
    let total: f64 = layers.iter().map(|layer| cost.value(layer)).sum();
    let largest = layers
        .iter()
        .map(|layer| cost.value(layer))
        .fold(0.0, f64::max);
    let measured = cost != Cost::Macs;
    html! {
        div.wide {
            table.layers {
                thead { tr {
                    th.number { "#" } th { "layer" } th { "kernel" } th { "output" } th.number { "MACs" }
                    th.number { "weights, B" } th.number { "scratch, B" } th.number { "live, B" }
                    @if measured { th.number { (cost.word()) } }
                    th { "share" }
                } }
                tbody {
                    @for (index, layer) in layers.iter().enumerate() {
                        @let value = cost.value(layer);
                        @let share = if total > 0.0 { 100.0 * value / total } else { 0.0 };
                        @let bar = if largest > 0.0 { 100.0 * value / largest } else { 0.0 };
                        tr {
                            td.number { (index + 1) }
                            td.name { (name(&layer.name)) }
                            td.kernel { (layer.kernel) }
                            td.shape { (shape(&layer.shape)) }
                            td.number { (grouped(layer.macs)) }
                            td.number { (grouped(layer.constant_bytes)) }
                            td.number { (grouped(layer.scratch_bytes)) }
                            td.number { (grouped(layer.live_bytes)) }
                            @if measured { td.number { (cost.text(value)) } }
                            td.share {
                                span class={ "meter " (family(layer.op)) } style={ "width:" (format!("{bar:.1}")) "%" } {}
                                span.percent { (format!("{share:.1} %")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Errors against float, worst first.
pub(crate) fn errors(errors: &Errors) -> Markup {
    let mut sorted: Vec<_> = errors.tensors.iter().collect();
    let order = |snr: Option<f64>| snr.unwrap_or(f64::INFINITY);
    sorted.sort_by(|a, b| order(a.snr_db).total_cmp(&order(b.snr_db)));
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.2}", 100.0 * s));
    let rows = |from: usize, to: usize| {
        html! {
            div.wide {
                table {
                    thead { tr {
                        th { "tensor" } th.number { "signal to noise" } th.number { "own error, %" } th.number { "channel" }
                        th.number { "clipped, %" } th.number { "cosine" } th.number { "largest difference" }
                    } }
                    tbody {
                        @for tensor in sorted.iter().take(to).skip(from) {
                            tr.suspect[errors.suspect.as_ref() == Some(&tensor.name)] {
                                td.name { (name(&tensor.name)) }
                                td.number { (decibels(tensor.snr_db)) }
                                td.number { (percent(tensor.own_error)) }
                                td.number { @if tensor.own_error.is_some_and(|error| error > 0.0) { @if let Some(channel) = tensor.own_channel { (channel) } } }
                                td.number { (percent(tensor.clipped_error)) }
                                td.number { (format!("{:.5}", tensor.cosine)) }
                                td.number { (format!("{:.4}", tensor.max_abs)) }
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        (rows(0, WORST))
        @if sorted.len() > WORST {
            details { summary { (sorted.len() - WORST) " more" } (rows(WORST, sorted.len())) }
        }
    }
}

/// The regions of a board and how full they are.
pub(crate) fn regions(regions: &[Region], headline: &Headline) -> Markup {
    html! {
        div.regions {
            @for region in regions {
                @let used: u64 = region.parts.iter().map(|part| part.bytes).sum();
                @let share = |bytes: u64| 100.0 * bytes as f64 / region.size_bytes.max(1) as f64;
                div.region {
                    div.head {
                        strong { (region.name) } span.kind { (region.kind) }
                        span.used { (size(used)) " of " (size(region.size_bytes)) ", " (format!("{:.1} %", share(used))) }
                    }
                    div.track {
                        @for part in &region.parts {
                            span class={ "part " (part.what) } style={ "width:" (format!("{:.3}", share(part.bytes))) "%" } title={ (part.what) ": " (grouped(part.bytes)) " bytes" } {}
                        }
                    }
                    table.parts { tbody {
                        @for part in &region.parts {
                            tr {
                                td { span class={ "key " (part.what) } {} (part.what) }
                                td.number { (grouped(part.bytes)) }
                                td { @if part.exact { "exact" } @else { "reserved" } }
                                td.slot { @if part.slot_bytes > 0 { "of " (grouped(part.slot_bytes)) " set aside" } }
                            }
                        }
                        @if region.parts.is_empty() { tr { td { "nothing of this model" } } }
                    } }
                }
            }
        }
        p.fine {
            "Bytes marked exact are those of the linked image, the model file and its plan, as the board itself measures them. The stack is a reserve"
            @match headline.stack_used_bytes {
                Some(bytes) => { "; its deepest use in a measured inference was " (grouped(bytes)) " bytes." }
                None => { "; " code { "ocellus bench" } " measures how much of it an inference uses." }
            }
        }
    }
}

/// What each way of quantizing reached: a row a way, a column a measure.
pub(crate) fn accuracy(rows: &[Accuracy]) -> Markup {
    let mut methods: Vec<&str> = Vec::new();
    let mut measures: Vec<&str> = Vec::new();
    for row in rows {
        for (list, word) in [(&mut methods, &row.method), (&mut measures, &row.measure)] {
            if !list.contains(&word.as_str()) {
                list.push(word);
            }
        }
    }
    html! {
        div.wide { table {
            thead { tr { th { "way" } @for measure in &measures { th.number { (measured(measure)) } } th { "" } } }
            tbody {
                @for method in methods {
                    @let reached: Vec<&Accuracy> = rows.iter().filter(|row| row.method == method).collect();
                    @let chosen = reached.iter().any(|row| row.chosen);
                    tr.chosen[chosen] {
                        td.name { (method) }
                        @for measure in &measures {
                            td.number { @if let Some(row) = reached.iter().find(|row| row.measure == *measure) { (result(row)) } }
                        }
                        td { @if chosen { "this file" } }
                    }
                }
            }
        } }
    }
}

fn measured(measure: &str) -> &str {
    match measure {
        "snr_db" => "signal to noise",
        "agreement" => "same strongest class",
        other => other,
    }
}

fn result(row: &Accuracy) -> String {
    match (row.measure.as_str(), row.value) {
        ("agreement", Some(share)) => format!("{:.2} %", 100.0 * share),
        _ => decibels(row.value),
    }
}

/// Where the model fits, and what would make it.
pub(crate) fn fits(fits: &[Fit]) -> Markup {
    html! {
        div.wide { table.fits {
            thead { tr { th { "board" } th { "fits" } th { "model in" } th { "arena in" } th { "what would make it fit" } } }
            tbody {
                @for fit in fits {
                    tr {
                        td.name { (fit.board) }
                        @match &fit.why_not {
                            None => { td.yes { "yes" } td { (fit.model_region) } td { (fit.arena_region) } td {} }
                            Some(why) => { td.no { "no" } td {} td {} td.why { (prose(why)) } }
                        }
                    }
                }
            }
        } }
    }
}

/// Where the file comes from.
pub(crate) fn provenance(p: &Provenance) -> Markup {
    let row = |what: &str, value: &str| {
        html! { tr { th { (what) } td.name { (value) } } }
    };
    html! {
        div.wide { table.facts { tbody {
            (row("model file, SHA-256", &p.model_sha256))
            (row("made from", &p.source))
            (row("its SHA-256", &p.source_sha256))
            (row("by", &format!("ocellus {}", p.converter)))
            (row("laid out for", &p.file_isa))
            @for (name, value) in &p.options { (row(&format!("option {name}"), value)) }
            (row("calibration", &p.calibration_method))
            (row("calibrated on", &p.calibration_data))
            (row("signature", &p.signature))
        } } }
    }
}
