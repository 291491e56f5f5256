//! Classifiers: the strongest class, and yes or no.

use std::path::Path;

use anyhow::{Result, bail};
use ocellus_data::{BinaryRecipe, LabelFiles, LabelledFolder, TaskRecipe, read_boxes};
use ocellus_evaluate::interval::{paired_difference, share};
use ocellus_evaluate::{ClassifyTally, rank};
use serde_json::{Map, Value, json};

use super::{Agreement, Measured, Subject, percent};

/// Two models' answers to pictures, and whether they are right.
#[derive(Default)]
struct Pairs {
    /// Of `--json`, one a picture.
    answers: Vec<Value>,
    samples: u64,
    right: u64,
    other_right: u64,
    /// Only the model is right.
    gained: u64,
    /// Only the other is.
    lost: u64,
    same: u64,
}

impl Pairs {
    fn add(&mut self, picture: &Path, answer: usize, other: Option<usize>, label: usize) {
        self.answers.push(json!({
            "picture": picture, "label": label, "answer": answer, "against_answer": other,
        }));
        let right = answer == label;
        let other_right = other == Some(label);
        self.samples += 1;
        self.right += u64::from(right);
        self.other_right += u64::from(other_right);
        self.gained += u64::from(right && !other_right);
        self.lost += u64::from(other_right && !right);
        self.same += u64::from(other == Some(answer));
    }

    fn measured(self, task: &'static str, metric: &'static str, compared: bool) -> Measured {
        let when = |estimate| if compared { estimate } else { None };
        Measured {
            task,
            samples: self.samples as usize,
            metric,
            lines: Vec::new(),
            value: share(self.right, self.samples),
            against: when(share(self.other_right, self.samples)),
            difference: when(paired_difference(self.gained, self.lost, self.samples)),
            agreement: compared.then(|| Agreement {
                same: self.same,
                of: self.samples,
                estimate: share(self.same, self.samples),
                what: "answers",
            }),
            fields: Map::from_iter([("answers".to_owned(), self.answers.into())]),
        }
    }
}

/// Top-1 and top-5 over a labelled folder.
pub(super) fn measure(subject: &Subject<'_>) -> Result<(Measured, u64)> {
    subject.refuse_draw()?;
    let folder = LabelledFolder::open(&subject.args.data)?;
    // A model with a background class counts the data set's classes from 1.
    let background =
        matches!(&subject.source.recipe.task, Some(TaskRecipe::Classify(task)) if task.background);
    let pictures: Vec<&Path> = folder.pictures.iter().map(|p| p.path.as_path()).collect();
    let (rows, skipped) = subject.each(&pictures, |index, given| {
        let (outputs, other) = subject.run(given)?;
        let scores = &outputs.first()?.values;
        let label = folder.pictures[index].class + usize::from(background);
        if label >= scores.len() {
            bail!("class {label} of {} that the model knows", scores.len());
        }
        let other = match &other {
            Some(other) => rank(&other.first()?.values, 1).first().copied(),
            None => None,
        };
        Ok((index, scores.clone(), label, other))
    })?;
    let mut tally = ClassifyTally::default();
    let mut pairs = Pairs::default();
    for (index, scores, label, other) in &rows {
        tally.add(scores, *label, *other);
        if let Some(&strongest) = rank(scores, 1).first() {
            pairs.add(pictures[*index], strongest, *other, *label);
        }
    }
    let mut measured = pairs.measured("classify", "top1", subject.other.is_some());
    measured.lines = vec![
        ("top-1", percent(measured.value)),
        ("top-5", format!("{:.2} %", 100.0 * tally.share(tally.top5))),
    ];
    let top5 = json!(tally.share(tally.top5));
    measured.fields.insert("top5".to_owned(), top5);
    Ok((measured, skipped))
}

/// Whether a class is in the picture, which the boxes say.
pub(super) fn measure_binary(
    subject: &Subject<'_>,
    task: &BinaryRecipe,
) -> Result<(Measured, u64)> {
    subject.refuse_draw()?;
    let data = LabelFiles::boxes(&subject.args.data)?;
    let Some(class) = data
        .names
        .iter()
        .find_map(|(&class, name)| (*name == task.class).then_some(class))
    else {
        bail!(
            "{}: no class is named `{}`; write in the recipe what the data set's YAML file calls it",
            subject.args.data.display(),
            task.class
        );
    };
    // A picture without a file of boxes says nothing.
    let labelled: Vec<(&Path, &Path)> = data
        .pictures
        .iter()
        .filter_map(|(picture, boxes)| Some((picture.as_path(), boxes.as_deref()?)))
        .collect();
    let pictures: Vec<&Path> = labelled.iter().map(|(picture, _)| *picture).collect();
    let (rows, skipped) = subject.each(&pictures, |index, given| {
        let (outputs, other) = subject.run(given)?;
        let boxes = read_boxes(labelled[index].1)?;
        let label = boxes.iter().any(|found| {
            let [x0, y0, x1, y1] = found.corners;
            found.class == class && (x1 - x0) * (y1 - y0) >= task.min_area
        });
        let answer = |outputs: &super::model::Outputs| -> Result<usize> {
            let scores = &outputs.first()?.values;
            if scores.len() < 2 || task.yes >= scores.len() {
                bail!(
                    "output 0 has {} values and the recipe says that entry {} means yes; a binary classifier has an entry for yes and one for no",
                    scores.len(),
                    task.yes
                );
            }
            Ok(usize::from(rank(scores, 1).first() == Some(&task.yes)))
        };
        let other = other.as_ref().map(answer).transpose()?;
        Ok((index, answer(&outputs)?, other, usize::from(label)))
    })?;
    let mut pairs = Pairs::default();
    for &(index, answer, other, label) in &rows {
        pairs.add(pictures[index], answer, other, label);
    }
    let mut measured = pairs.measured("binary", "accuracy", subject.other.is_some());
    measured.lines = vec![("accuracy", percent(measured.value))];
    let positive = rows.iter().filter(|row| row.3 == 1).count();
    measured
        .fields
        .insert("labelled_yes".to_owned(), json!(positive));
    Ok((measured, skipped))
}
