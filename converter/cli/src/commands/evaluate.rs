//! `ocellus evaluate`: accuracy on labelled pictures, agreement with another model, by the recipe's task.

mod boxes;
mod classes;
mod masks;
mod model;
mod text;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use ocellus_data::{Picture, TaskRecipe};
use ocellus_evaluate::Estimate;
use ocellus_format::{SampleSet, Task};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::args::EvaluateArgs;
use crate::input::Given;
use crate::output::{print_json, progress};
use crate::source::Source;
use model::Model;

/// What is measured, and against what.
struct Subject<'a> {
    args: &'a EvaluateArgs,
    source: Source,
    model: Model,
    other: Option<Model>,
    /// Pictures that calibration has seen, by the beginnings of their SHA-256.
    seen: HashSet<[u8; 8]>,
}

/// How often two models answer alike.
struct Agreement {
    same: u64,
    of: u64,
    estimate: Option<Estimate>,
    /// What is counted, for people.
    what: &'static str,
}

/// What came of it.
struct Measured {
    task: &'static str,
    samples: usize,
    /// Name of the metric in `--json`.
    metric: &'static str,
    /// Lines for people: a title and a number.
    lines: Vec<(&'static str, String)>,
    value: Option<Estimate>,
    against: Option<Estimate>,
    /// The model's metric less the other's, on the same pictures.
    difference: Option<Estimate>,
    agreement: Option<Agreement>,
    /// Further fields of `--json`.
    fields: Map<String, Value>,
}

pub(crate) fn run(args: &EvaluateArgs, json: bool) -> Result<()> {
    let subject = Subject::open(args)?;
    let (measured, skipped) = match &subject.source.recipe.task {
        None if matches!(subject.model.task()?, Task::CenterFace { .. }) => {
            boxes::measure(&subject)?
        }
        None | Some(TaskRecipe::Classify(_)) => classes::measure(&subject)?,
        Some(TaskRecipe::Binary(task)) => classes::measure_binary(&subject, task)?,
        Some(TaskRecipe::Segment(task)) => masks::measure(&subject, task)?,
        Some(TaskRecipe::Ctc(task)) => text::measure(&subject, task)?,
        Some(
            TaskRecipe::CenterFace(_)
            | TaskRecipe::FastestDet(_)
            | TaskRecipe::Ssd(_)
            | TaskRecipe::Yolo(_),
        ) => boxes::measure(&subject)?,
    };
    if json {
        return print_json(subject.json(&measured, skipped));
    }
    println!(
        "samples     {} ({skipped} left out: calibration has seen them)",
        measured.samples
    );
    for (title, line) in &measured.lines {
        println!("{title:11} {line}");
    }
    if let (Some(difference), Some(against)) = (&measured.difference, &measured.against) {
        println!(
            "difference  {:+.2} points from {:.2} % ({}); standard error {:.2}, 95 % from {:+.2} to {:+.2}",
            100.0 * difference.value,
            100.0 * against.value,
            subject.other.as_ref().map_or("", Model::runtime),
            100.0 * difference.standard_error,
            100.0 * difference.low,
            100.0 * difference.high,
        );
    }
    if let Some(agreement) = &measured.agreement {
        match &agreement.estimate {
            Some(estimate) => println!(
                "agreement   {:.2} % ({} of {} {}); 95 % from {:.2} to {:.2}",
                100.0 * estimate.value,
                agreement.same,
                agreement.of,
                agreement.what,
                100.0 * estimate.low,
                100.0 * estimate.high,
            ),
            None => println!("agreement   no {} to compare", agreement.what),
        }
    }
    Ok(())
}

impl<'a> Subject<'a> {
    fn open(args: &'a EvaluateArgs) -> Result<Subject<'a>> {
        let source = Source::new(&args.source)?;
        let model = Model::open(&args.model, &source)?;
        let other = args
            .against
            .as_deref()
            .map(|path| Model::open(path, &source))
            .transpose()?;
        let models = [Some(&model), other.as_ref()];
        let seen = models.into_iter().flatten();
        let seen = seen.flat_map(Model::calibration_prefixes);
        Ok(Subject {
            seen: seen.copied().collect(),
            args,
            source,
            model,
            other,
        })
    }

    /// Does something with each picture, on all cores; the results are in the order of the list, without those that calibration has seen, whose count
    /// is the second.
    fn each<T: Send>(
        &self,
        pictures: &[&Path],
        job: impl Fn(usize, &Given) -> Result<T> + Sync,
    ) -> Result<(Vec<T>, u64)> {
        let bar = progress(pictures.len() as u64, "evaluating");
        // Of several failures the first in the list is told, whatever the cores did: pictures behind a failure are not looked at any more.
        let failed = AtomicUsize::new(usize::MAX);
        let rows: Vec<Result<Option<T>>> = pictures
            .par_iter()
            .enumerate()
            .map(|(index, path)| {
                if index > failed.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let row = self.one(index, path, &job);
                if row.is_err() {
                    failed.fetch_min(index, Ordering::Relaxed);
                }
                bar.inc(1);
                row
            })
            .collect();
        let rows: Vec<Option<T>> = rows.into_iter().collect::<Result<_>>()?;
        bar.finish_and_clear();
        let count = rows.len();
        let rows: Vec<T> = rows.into_iter().flatten().collect();
        if rows.is_empty() {
            bail!(
                "{}: every picture was left out; give pictures that calibration has not seen",
                self.args.data.display()
            );
        }
        let skipped = (count - rows.len()) as u64;
        Ok((rows, skipped))
    }

    /// A picture; `None` where it is left out.
    fn one<T>(
        &self,
        index: usize,
        path: &Path,
        job: &impl Fn(usize, &Given) -> Result<T>,
    ) -> Result<Option<T>> {
        let picture = Picture::open(path)?;
        if !self.counts(path, &picture)? {
            return Ok(None);
        }
        let given = Given::Picture(Box::new(picture));
        let row = job(index, &given).with_context(|| path.display().to_string())?;
        Ok(Some(row))
    }

    /// False for a picture to leave out.
    fn counts(&self, path: &Path, picture: &Picture) -> Result<bool> {
        if !self.seen.contains(&SampleSet::prefix(&picture.sha256)) {
            return Ok(true);
        }
        match self.args.calibrated.as_str() {
            "refuse" => bail!(
                "{}: calibration has seen this picture, so accuracy measured on it means little; measure on other pictures, or say \
                 --calibrated skip or --calibrated allow",
                path.display()
            ),
            "skip" => Ok(false),
            _ => Ok(true),
        }
    }

    /// Both models on a picture.
    fn run(&self, given: &Given) -> Result<(model::Outputs, Option<model::Outputs>)> {
        let outputs = self.model.run(given)?;
        let other = self.other.as_ref().map(|other| other.run(given));
        Ok((outputs, other.transpose()?))
    }

    fn refuse_draw(&self) -> Result<()> {
        if self.args.draw.is_some() {
            bail!(
                "--draw draws boxes and masks, and this model's task has neither; leave it out, or give a recipe with another task"
            );
        }
        Ok(())
    }

    /// Writes a drawn picture under the name of its file.
    fn write_drawn(&self, path: &Path, picture: &Picture) -> Result<()> {
        let Some(folder) = &self.args.draw else {
            return Ok(());
        };
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let stem = path.file_stem().unwrap_or(path.as_os_str());
        let mut name = stem.to_os_string();
        name.push(".png");
        Ok(picture.write_png(&folder.join(name))?)
    }

    fn json(&self, measured: &Measured, skipped: u64) -> Value {
        let value = measured.value.map(|estimate| estimate.value);
        let of = |name: &str| value.filter(|_| measured.metric == name);
        let agreement = measured.agreement.as_ref();
        let estimate = agreement.and_then(|agreement| agreement.estimate);
        let mut fields = Map::new();
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        add("model", json!(self.args.model));
        add("data", json!(self.args.data));
        add("task", json!(measured.task));
        add("samples", json!(measured.samples));
        add("skipped", json!(skipped));
        add("against", json!(self.args.against));
        let runtime = self.other.as_ref().map(Model::runtime);
        add("against_runtime", json!(runtime));
        add("agreement", json!(estimate.map(|e| e.value)));
        add(
            "agreement_interval",
            json!(estimate.map(|e| [e.low, e.high])),
        );
        add("agreement_same", json!(agreement.map(|a| a.same)));
        add("agreement_of", json!(agreement.map(|a| a.of)));
        add("metric", json!(measured.metric));
        add("value", json!(value));
        add(
            "value_interval",
            json!(measured.value.map(|e| [e.low, e.high])),
        );
        add("against_value", json!(measured.against.map(|e| e.value)));
        add("difference", json!(measured.difference));
        for name in ["top1", "top5", "ap50", "miou"] {
            add(name, json!(of(name)));
        }
        fields.extend(measured.fields.clone());
        Value::Object(fields)
    }
}

/// `12.34 % (95 % from 10.00 to 15.00)`.
fn percent(estimate: Option<Estimate>) -> String {
    match estimate {
        Some(e) => format!(
            "{:.2} % (95 % from {:.2} to {:.2})",
            100.0 * e.value,
            100.0 * e.low,
            100.0 * e.high
        ),
        None => "nothing is labelled".to_owned(),
    }
}

/// Class of the data set to class of the model: by name where both have names, else by number.
struct ClassMap {
    by_name: Option<std::collections::BTreeMap<usize, usize>>,
}

impl ClassMap {
    fn new(model: &[String], data: &std::collections::BTreeMap<usize, String>) -> Result<ClassMap> {
        if model.is_empty() || data.is_empty() {
            return Ok(ClassMap { by_name: None });
        }
        let by_name: std::collections::BTreeMap<usize, usize> = data
            .iter()
            .filter_map(|(&class, name)| {
                Some((class, model.iter().position(|label| label == name)?))
            })
            .collect();
        if by_name.is_empty() {
            bail!(
                "no class of the data set ({}, ..) is one of the recipe's labels ({}, ..); name the labels as the data set does",
                data.values().next().map_or("", String::as_str),
                model[0]
            );
        }
        Ok(ClassMap {
            by_name: Some(by_name),
        })
    }

    fn of(&self, class: usize) -> Option<usize> {
        match &self.by_name {
            Some(map) => map.get(&class).copied(),
            None => Some(class),
        }
    }
}

/// A colour for a class, far from those of its neighbours.
fn colour(class: usize) -> [u8; 3] {
    let hue = (class as f32 * 0.618_034).fract() * 6.0;
    let ramp = |offset: f32| {
        let at = (hue + offset).rem_euclid(6.0);
        let v = (2.0 - (at - 3.0).abs()).clamp(0.0, 1.0);
        (255.0 * v) as u8
    };
    [ramp(3.0), ramp(1.0), ramp(5.0)]
}
