//! Charts over the layers: cost, error, histograms.

use maud::{Markup, html};

use crate::ReportError;
use crate::chart::{Axes, chart, px};
use crate::data::{Errors, Histogram, Layer};
use crate::text::{grouped, short, shortened};

/// What cost means in this report: the most telling figure that every layer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    Cycles,
    Instructions,
    Time,
    Macs,
}

impl Cost {
    pub(crate) fn of(layers: &[Layer]) -> Cost {
        let all = |known: fn(&Layer) -> bool| !layers.is_empty() && layers.iter().all(known);
        if all(|layer| layer.cost.estimated_cycles.is_some()) {
            Cost::Cycles
        } else if all(|layer| layer.cost.instructions.is_some()) {
            Cost::Instructions
        } else if all(|layer| layer.cost.wall_us.is_some()) {
            Cost::Time
        } else {
            Cost::Macs
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Cost::Cycles => "estimated cycles",
            Cost::Instructions => "instructions",
            Cost::Time => "microseconds",
            Cost::Macs => "multiply-accumulates",
        }
    }

    pub(crate) fn value(self, layer: &Layer) -> f64 {
        match self {
            Cost::Cycles => layer.cost.estimated_cycles.unwrap_or(0) as f64,
            Cost::Instructions => layer.cost.instructions.unwrap_or(0) as f64,
            Cost::Time => layer.cost.wall_us.unwrap_or(0.0),
            Cost::Macs => layer.macs as f64,
        }
    }

    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Cost::Time => format!("{value:.1}"),
            _ => grouped(value as u64),
        }
    }
}

/// The colour of an operator.
pub(crate) fn family(op: &str) -> &'static str {
    match op {
        "conv_2d" | "transpose_conv_2d" => "convolution",
        "depthwise_conv_2d" => "depthwise",
        "fully_connected" | "batch_mat_mul" => "matrix",
        _ => "other",
    }
}

/// The operators' colours, with their names.
pub(crate) const FAMILIES: [(&str, &str); 4] = [
    ("convolution", "convolution"),
    ("depthwise", "depthwise convolution"),
    ("matrix", "matrix product"),
    ("other", "all else"),
];

/// Cost of each layer, in the order in which they run.
pub(crate) fn cost(layers: &[Layer], cost: Cost) -> Result<Markup, ReportError> {
    let largest = layers
        .iter()
        .map(|layer| cost.value(layer))
        .fold(0.0, f64::max);
    let axes = Axes {
        title: "cost of each layer",
        height: 280,
        x: 0.5..layers.len().max(1) as f64 + 0.5,
        y: 0.0..if largest > 0.0 { 1.05 * largest } else { 1.0 },
        x_title: "layer",
        y_title: cost.word(),
        y_text: short,
    };
    chart(&axes, |scale| {
        html! {
            @for (index, layer) in layers.iter().enumerate() {
                @let value = cost.value(layer);
                @let x = index as f64 + 1.0;
                @let [left, top, width, height] = scale.rectangle(x - 0.4..x + 0.4, 0.0..value);
                rect class={ "bar " (family(layer.op)) } x=(px(left)) y=(px(top)) width=(px(width)) height=(px(height)) {
                    title { (index + 1) ". " (layer.name) " (" (layer.op) "): " (cost.text(value)) " " (cost.word()) }
                }
            }
        }
    })
}

/// Ratios above this are drawn at it: no int8 tensor is better than that, but one that is equal.
const TOP_DB: f64 = 60.0;

/// Signal to noise of each tensor against float, in graph order.
pub(crate) fn errors(errors: &Errors) -> Result<Markup, ReportError> {
    let drawn = |snr: Option<f64>| snr.unwrap_or(TOP_DB).clamp(-10.0, TOP_DB);
    let worst = errors
        .tensors
        .iter()
        .map(|tensor| drawn(tensor.snr_db))
        .fold(0.0, f64::min);
    let axes = Axes {
        title: "signal to noise of each tensor against float",
        height: 280,
        x: 0.5..errors.tensors.len().max(1) as f64 + 0.5,
        y: worst..TOP_DB,
        x_title: "tensor, in the order of the graph",
        y_title: "signal to noise, dB",
        y_text: |value| format!("{value:.0}"),
    };
    chart(&axes, |scale| {
        let points = errors.tensors.iter().enumerate().map(|(index, tensor)| {
            let (x, y) = (scale.x(index as f64 + 1.0), scale.y(drawn(tensor.snr_db)));
            (x, y, tensor)
        });
        let line: Vec<String> = points
            .clone()
            .map(|(x, y, _)| format!("{},{}", px(x), px(y)))
            .collect();
        html! {
            polyline.trace points=(line.join(" ")) {}
            @for (x, y, tensor) in points {
                @let suspect = errors.suspect.as_deref() == Some(tensor.name.as_str());
                circle class=(if suspect { "dot suspect" } else { "dot" }) cx=(px(x)) cy=(px(y)) r=(if suspect { "6" } else { "3.5" }) {
                    title { (tensor.name) ": " (decibels(tensor.snr_db)) @if suspect { "; the first to look at" } }
                }
            }
        }
    })
}

/// A ratio, or that there is no noise.
pub(crate) fn decibels(snr: Option<f64>) -> String {
    snr.map_or("equal".to_owned(), |snr| format!("{snr:.2} dB"))
}

const SPARK_WIDTH: f64 = 200.0;
const SPARK_HEIGHT: f64 = 64.0;

/// A histogram small enough that many stand side by side. The square root of the counts is drawn, so that rare values show.
pub(crate) fn spark(histogram: &Histogram) -> Markup {
    let largest = histogram.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = SPARK_WIDTH / histogram.counts.len().max(1) as f64;
    let bin = (histogram.max - histogram.min) / histogram.counts.len().max(1) as f64;
    let total: u64 = histogram.counts.iter().sum();
    let ends = 100.0 * histogram.at_ends as f64 / total.max(1) as f64;
    html! {
        figure.spark {
            svg viewBox=(format!("0 0 {SPARK_WIDTH} {SPARK_HEIGHT}")) role="img" aria-label={ "values of " (histogram.name) } {
                @for (index, &count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                    @let height = ((count as f64 / largest).sqrt() * SPARK_HEIGHT).max(1.0);
                    rect.bin x=(px(index as f64 * width)) y=(px(SPARK_HEIGHT - height)) width=(px((width - 0.5).max(0.5))) height=(px(height)) {
                        title { (number(histogram.min + index as f64 * bin)) " to " (number(histogram.min + (index as f64 + 1.0) * bin)) ": " (grouped(count)) }
                    }
                }
            }
            figcaption {
                span.name title=(histogram.name) { (shortened(&histogram.name, 30)) }
                span.range { (number(histogram.min)) " … " (number(histogram.max)) @if ends >= 0.05 { ", " (format!("{ends:.1}")) " % at the ends" } }
            }
        }
    }
}

/// Four digits.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.2}"),
        v if v >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}
