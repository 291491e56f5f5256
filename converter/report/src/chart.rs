//! A chart: axes and grid by `plotters`, marks placed on them by the template.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use crate::ReportError;

/// Width of every chart, in the units of its view box; the page scales it.
pub(crate) const WIDTH: u32 = 1100;

/// A chart's axes.
pub(crate) struct Axes<'a> {
    /// What the picture shows, for readers that cannot see it.
    pub(crate) title: &'a str,
    pub(crate) height: u32,
    pub(crate) x: Range<f64>,
    pub(crate) y: Range<f64>,
    pub(crate) x_title: &'a str,
    pub(crate) y_title: &'a str,
    pub(crate) y_text: fn(f64) -> String,
}

/// Where values lie in a chart.
pub(crate) struct Scale {
    x: Linear,
    y: Linear,
}

struct Linear {
    from: f64,
    pixel: f64,
    pixels_each: f64,
}

impl Linear {
    fn through(range: &Range<f64>, pixels: (f64, f64)) -> Linear {
        let width = range.end - range.start;
        let pixels_each = if width > 0.0 {
            (pixels.1 - pixels.0) / width
        } else {
            0.0
        };
        Linear {
            from: range.start,
            pixel: pixels.0,
            pixels_each,
        }
    }

    fn at(&self, value: f64) -> f64 {
        self.pixel + (value - self.from) * self.pixels_each
    }
}

impl Scale {
    pub(crate) fn x(&self, value: f64) -> f64 {
        self.x.at(value)
    }

    pub(crate) fn y(&self, value: f64) -> f64 {
        self.y.at(value)
    }

    /// Left, top, width and height of the box between two corners.
    pub(crate) fn rectangle(&self, x: Range<f64>, y: Range<f64>) -> [f64; 4] {
        let (left, right) = (self.x(x.start), self.x(x.end));
        let (top, bottom) = (self.y(y.end), self.y(y.start));
        [left, top, right - left, (bottom - top).max(0.0)]
    }
}

/// A pixel coordinate: a tenth is enough and keeps the page small.
pub(crate) fn px(value: f64) -> String {
    format!("{:.1}", value)
}

/// Draws axes, and marks where [`Scale`] says.
///
/// # Errors
/// [`ReportError::Chart`]
pub(crate) fn chart(
    axes: &Axes<'_>,
    marks: impl FnOnce(&Scale) -> Markup,
) -> Result<Markup, ReportError> {
    let (frame, scale) = frame(axes).map_err(|error| ReportError::Chart {
        title: axes.title.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(html! {
        // On a narrow screen it scrolls: its text would be too small.
        div.wide {
            svg.chart viewBox=(format!("0 0 {WIDTH} {}", axes.height)) role="img" aria-label=(axes.title) {
                title { (axes.title) }
                g.frame { (PreEscaped(frame)) }
                (marks(&scale))
            }
        }
    })
}

type DrawingError = DrawingAreaErrorKind<std::io::Error>;

/// Grid, axes and their numbers as elements of SVG, and where values lie on them. All text in it is a number or a title of ours.
fn frame(axes: &Axes<'_>) -> Result<(String, Scale), DrawingError> {
    let mut document = String::new();
    let pixels;
    {
        let area = SVGBackend::with_string(&mut document, (WIDTH, axes.height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin_top(10)
            .margin_right(14)
            .x_label_area_size(40)
            .y_label_area_size(74)
            .build_cartesian_2d(axes.x.clone(), axes.y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .x_labels(12)
            .y_labels(6)
            .x_desc(axes.x_title)
            .y_desc(axes.y_title)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| (axes.y_text)(*value))
            .label_style(("sans-serif", 12))
            .axis_desc_style(("sans-serif", 13))
            .draw()?;
        let near = chart.backend_coord(&(axes.x.start, axes.y.start));
        let far = chart.backend_coord(&(axes.x.end, axes.y.end));
        pixels = [near, far].map(|(x, y)| (f64::from(x), f64::from(y)));
        area.present()?;
    }
    let [near, far] = pixels;
    // The elements without the document around them: they go into one of the page's own.
    let inside = document
        .split_once('>')
        .and_then(|(_, rest)| rest.rsplit_once("</svg>"))
        .map_or("", |(inside, _)| inside);
    let scale = Scale {
        x: Linear::through(&axes.x, (near.0, far.0)),
        y: Linear::through(&axes.y, (near.1, far.1)),
    };
    Ok((inside.to_owned(), scale))
}
