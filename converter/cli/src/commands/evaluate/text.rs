//! Text recognizers: texts read alike, and character errors.

use std::path::Path;

use anyhow::{Context, Result, bail};
use ocellus_data::{CtcRecipe, read_transcriptions};
use ocellus_evaluate::interval::{bootstrap, share};
use ocellus_evaluate::{TextTally, ctc_greedy};
use serde_json::{Map, json};

use super::model::Outputs;
use super::{Agreement, Measured, Subject, percent};
use crate::source::is_model_file;

/// Characters by class.
struct Alphabet {
    /// Those of the classes other than the blank, in order.
    characters: Vec<String>,
    blank: usize,
}

impl Alphabet {
    fn new(subject: &Subject<'_>, task: &CtcRecipe) -> Result<Alphabet> {
        let mut characters = match &task.characters_key {
            None => subject.source.recipe.labels.clone(),
            Some(key) => metadata(subject, key)?,
        };
        if task.space {
            characters.push(" ".to_owned());
        }
        Ok(Alphabet {
            characters,
            blank: task.blank,
        })
    }

    fn read(&self, outputs: &Outputs) -> Result<String> {
        let output = outputs.first()?;
        let classes = self.characters.len() + 1;
        if output.shape.last() != Some(&classes) {
            bail!(
                "output `{}` has shape {:?}, and with the blank there are {classes} characters; its last axis must hold a score for each",
                output.name,
                output.shape
            );
        }
        let read = ctc_greedy(&output.values, classes, self.blank);
        Ok(read
            .into_iter()
            .filter_map(|class| {
                let index = class - usize::from(class > self.blank);
                self.characters.get(index)
            })
            .map(String::as_str)
            .collect())
    }
}

/// The lines of a value of the `.onnx` file's metadata, of either model.
fn metadata(subject: &Subject<'_>, key: &str) -> Result<Vec<String>> {
    let paths = [Some(&subject.args.model), subject.args.against.as_ref()];
    for path in paths.into_iter().flatten() {
        if is_model_file(path)? {
            continue;
        }
        let metadata = ocellus_import::metadata(path)?;
        let value = metadata.iter().find(|(name, _)| name == key);
        let (_, value) = value.with_context(|| {
            let names: Vec<&str> = metadata.iter().map(|(name, _)| name.as_str()).collect();
            format!(
                "{}: task.characters_key names `{key}`, and the file's metadata has {}",
                path.display(),
                if names.is_empty() {
                    "nothing".to_owned()
                } else {
                    names.join(", ")
                }
            )
        })?;
        return Ok(value.lines().map(str::to_owned).collect());
    }
    bail!(
        "the characters are in the metadata of the .onnx file; give it with --against, or write them as `labels` in the recipe"
    )
}

pub(super) fn measure(subject: &Subject<'_>, task: &CtcRecipe) -> Result<(Measured, u64)> {
    subject.refuse_draw()?;
    let alphabet = Alphabet::new(subject, task)?;
    let data = read_transcriptions(&subject.args.data)?;
    let pictures: Vec<&Path> = data.iter().map(|picture| picture.path.as_path()).collect();
    let (rows, skipped) = subject.each(&pictures, |index, given| {
        let (outputs, other) = subject.run(given)?;
        let other = other.map(|other| alphabet.read(&other));
        Ok((index, alphabet.read(&outputs)?, other.transpose()?))
    })?;
    let (mut tally, mut other_tally) = (TextTally::default(), TextTally::default());
    let mut same = 0;
    for (index, read, other) in &rows {
        tally.add(&data[*index].text, read);
        if let Some(other) = other {
            other_tally.add(&data[*index].text, other);
            same += u64::from(other == read);
        }
    }
    let pictures = tally.pictures();
    let value = bootstrap(pictures, |weights| tally.character_error_rate(weights));
    let compared = subject.other.is_some();
    let (against, difference) = if compared {
        (
            bootstrap(pictures, |weights| {
                other_tally.character_error_rate(weights)
            }),
            bootstrap(pictures, |weights| {
                let other = other_tally.character_error_rate(weights)?;
                Some(tally.character_error_rate(weights)? - other)
            }),
        )
    } else {
        (None, None)
    };
    let mut lines = vec![("errors", percent(value))];
    for (index, read, other) in &rows {
        let text = &data[*index].text;
        let other = other.as_deref().unwrap_or(read);
        let shown = if other == read {
            format!("{read:?}")
        } else {
            format!("{read:?}, the other {other:?}")
        };
        lines.push(("text", format!("{text:?}: {shown}")));
    }
    let texts: Vec<_> = rows
        .iter()
        .map(|(index, read, other)| {
            json!({
                "picture": data[*index].path, "transcription": data[*index].text, "text": read, "against_text": other,
            })
        })
        .collect();
    let measured = Measured {
        task: "ctc",
        samples: rows.len(),
        metric: "character_error_rate",
        lines,
        value,
        against,
        difference,
        agreement: compared.then(|| Agreement {
            same,
            of: rows.len() as u64,
            estimate: share(same, rows.len() as u64),
            what: "texts",
        }),
        fields: Map::from_iter([("texts".to_owned(), json!(texts))]),
    };
    Ok((measured, skipped))
}
