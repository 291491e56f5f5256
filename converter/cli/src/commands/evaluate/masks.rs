//! Segmenters: intersection over union, and pixels of the same class.

use std::path::Path;

use anyhow::{Context, Result, bail};
use ocellus_data::{LabelFiles, Mask, SegmentRecipe};
use ocellus_evaluate::SegmentTally;
use ocellus_evaluate::interval::{bootstrap, ratio};
use serde_json::{Map, json};

use super::model::Outputs;
use super::{Agreement, ClassMap, Measured, Subject, colour, percent};
use crate::input::Given;
use crate::layout::transpose;

/// A class for each cell of the model's output.
struct Cells {
    width: usize,
    height: usize,
    classes: Vec<usize>,
}

impl Cells {
    /// Class numbers `[1, rows, columns]`, or the strongest of `count` scores on the second or the last axis; a single score means class 1 above a half.
    fn new(outputs: &Outputs, count: usize) -> Result<Cells> {
        let output = outputs.first()?;
        let refuse = || {
            format!(
                "output `{}` has shape {:?}; a segmenter's is [1, rows, columns] with class numbers, or has an axis more with a score for each of the \
                 recipe's {count} labels",
                output.name, output.shape
            )
        };
        let scores = |size: usize| size == count || (size == 1 && count == 2);
        let (height, width, channels, values) = match output.shape[..] {
            [1, height, width] => {
                let classes = output.values.iter();
                return Ok(Cells {
                    width,
                    height,
                    classes: classes.map(|&v| v.max(0.0).round() as usize).collect(),
                });
            }
            // Files that take pictures in one order of axes and give scores in the other exist.
            [1, height, width, channels] if scores(channels) => {
                (height, width, channels, output.values.clone())
            }
            [1, channels, height, width] if scores(channels) => {
                let values = transpose(&output.shape, &output.values, &[0, 2, 3, 1]);
                (height, width, channels, values)
            }
            _ => bail!(refuse()),
        };
        if channels == 0 || values.len() != height * width * channels {
            bail!(refuse());
        }
        let strongest = |scores: &[f32]| match scores {
            [only] => usize::from(*only > 0.5),
            all => (1..all.len()).fold(0, |best, i| if all[i] > all[best] { i } else { best }),
        };
        Ok(Cells {
            width,
            height,
            classes: values.chunks_exact(channels).map(strongest).collect(),
        })
    }

    /// The class at a pixel of the picture: that of the cell in which its centre lies.
    fn at(&self, outputs: &Outputs, x: u32, y: u32) -> usize {
        let (scale_x, scale_y, left, top) = outputs.geometry.map_or((1.0, 1.0, 0.0, 0.0), |g| {
            (g.scale_x, g.scale_y, g.offset_x_px, g.offset_y_px)
        });
        let input = outputs.input();
        let cell = |pixel: u32, scale: f32, offset: f32, size: usize, cells: usize| {
            let share = ((pixel as f32 + 0.5) * scale + offset) / size as f32;
            ((share * cells as f32).max(0.0) as usize).min(cells.saturating_sub(1))
        };
        let column = cell(x, scale_x, left, input.width, self.width);
        let row = cell(y, scale_y, top, input.height, self.height);
        self.classes
            .get(row * self.width + column)
            .copied()
            .unwrap_or(0)
    }
}

/// The data set's classes as the model's; `None` for pixels that count for nothing.
struct Labels {
    classes: ClassMap,
    ignored: Vec<usize>,
    other: Option<usize>,
}

impl Labels {
    fn new(subject: &Subject<'_>, task: &SegmentRecipe, data: &LabelFiles) -> Result<Labels> {
        let labels = &subject.source.recipe.labels;
        let number = |name: &String| {
            data.names
                .iter()
                .find_map(|(&class, known)| (known == name).then_some(class))
                .with_context(|| {
                    format!("task.ignore names `{name}`, which is no class of the data set")
                })
        };
        let other = task.other.as_ref().map(|name| {
            labels
                .iter()
                .position(|label| label == name)
                .with_context(|| {
                    format!("task.other names `{name}`, which is none of the recipe's labels")
                })
        });
        Ok(Labels {
            classes: ClassMap::new(labels, &data.names)?,
            ignored: task.ignore.iter().map(number).collect::<Result<_>>()?,
            other: other.transpose()?,
        })
    }

    fn of(&self, class: u16) -> Option<usize> {
        let class = usize::from(class);
        if self.ignored.contains(&class) {
            return None;
        }
        self.classes.of(class).or(self.other)
    }
}

/// A picture.
struct Row {
    tally: Option<SegmentTally>,
    other: Option<SegmentTally>,
    /// Cells of the same class, and all.
    same: (u64, u64),
}

pub(super) fn measure(subject: &Subject<'_>, task: &SegmentRecipe) -> Result<(Measured, u64)> {
    let count = subject.source.recipe.labels.len();
    if count == 0 {
        bail!("a segmenter's recipe needs `labels`, the names of its classes in order");
    }
    let data = LabelFiles::masks(&subject.args.data)?;
    let labels = Labels::new(subject, task, &data)?;
    let pictures: Vec<&Path> = data
        .pictures
        .iter()
        .map(|(path, _)| path.as_path())
        .collect();
    let (rows, skipped) = subject.each(&pictures, |index, given| {
        let (path, mask) = &data.pictures[index];
        let (outputs, other) = subject.run(given)?;
        let cells = Cells::new(&outputs, count)?;
        let other = match &other {
            Some(other) => Some((Cells::new(other, count)?, other)),
            None => None,
        };
        let same = other.as_ref().map_or((0, 0), |(other, _)| {
            let pairs = cells.classes.iter().zip(&other.classes);
            let same = pairs.filter(|(a, b)| a == b).count() as u64;
            (same, cells.classes.len() as u64)
        });
        let mask = mask.as_deref().map(|mask| open(mask, given)).transpose()?;
        let tally = |cells: &Cells, outputs: &Outputs| {
            let mask = mask.as_ref()?;
            let pixels = mask.classes.iter().enumerate().map(|(i, &class)| {
                let (x, y) = (i as u32 % mask.width_px, i as u32 / mask.width_px);
                (labels.of(class), cells.at(outputs, x, y))
            });
            let mut tally = SegmentTally::new(count);
            tally.add(pixels);
            Some(tally)
        };
        draw(subject, path, given, &cells, &outputs)?;
        Ok(Row {
            tally: tally(&cells, &outputs),
            other: other.and_then(|(cells, outputs)| tally(&cells, outputs)),
            same,
        })
    })?;
    Ok((measured(subject, count, rows), skipped))
}

fn measured(subject: &Subject<'_>, count: usize, rows: Vec<Row>) -> Measured {
    let samples = rows.len();
    let same: Vec<(u64, u64)> = rows.iter().map(|row| row.same).collect();
    let (mut tally, mut other) = (SegmentTally::new(count), SegmentTally::new(count));
    for row in rows {
        row.tally.into_iter().for_each(|one| tally.append(one));
        row.other.into_iter().for_each(|one| other.append(one));
    }
    let pictures = tally.pictures();
    let value = bootstrap(pictures, |weights| tally.miou(weights));
    let accuracy = bootstrap(pictures, |weights| tally.pixel_accuracy(weights));
    let compared = subject.other.is_some();
    let (against, difference) = if compared {
        (
            bootstrap(pictures, |weights| other.miou(weights)),
            bootstrap(pictures, |weights| {
                Some(tally.miou(weights)? - other.miou(weights)?)
            }),
        )
    } else {
        (None, None)
    };
    let pixel_accuracy = json!(accuracy.map(|estimate| estimate.value));
    Measured {
        task: "segment",
        samples,
        metric: "miou",
        lines: vec![("mIoU", percent(value)), ("pixels", percent(accuracy))],
        value,
        against,
        difference,
        agreement: compared.then(|| Agreement {
            same: same.iter().map(|(same, _)| same).sum(),
            of: same.iter().map(|(_, all)| all).sum(),
            estimate: ratio(&same),
            what: "cells of the output",
        }),
        fields: Map::from_iter([("pixel_accuracy".to_owned(), pixel_accuracy)]),
    }
}

fn open(path: &Path, given: &Given) -> Result<Mask> {
    let mask = Mask::open(path)?;
    if let Some(picture) = given.picture()
        && (picture.width_px, picture.height_px) != (mask.width_px, mask.height_px)
    {
        bail!(
            "{}: the mask has {}x{} pixels and its picture {}x{}",
            path.display(),
            mask.width_px,
            mask.height_px,
            picture.width_px,
            picture.height_px
        );
    }
    Ok(mask)
}

/// Every class but the first as a tint.
fn draw(
    subject: &Subject<'_>,
    path: &Path,
    given: &Given,
    cells: &Cells,
    outputs: &Outputs,
) -> Result<()> {
    let (Some(_), Some(picture)) = (&subject.args.draw, given.picture()) else {
        return Ok(());
    };
    let mut picture = picture.clone();
    picture.tint(|x, y| {
        let class = cells.at(outputs, x, y);
        (class > 0).then(|| colour(class))
    });
    subject.write_drawn(path, &picture)
}
