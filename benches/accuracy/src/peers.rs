//! Answers of the runtimes that quantized files are made for, as `tests/models/vectors/answers.py` stored them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ocellus_data::Picture;
use ocellus_evaluate::interval::{paired_difference, share};
use ocellus_setup::Host;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::measure::{Difference, Measured};
use crate::rows::Row;
use crate::sources::Files;

/// A runtime's answers to the pictures of a row.
#[derive(Debug, Deserialize)]
pub(crate) struct Answers {
    runtime: String,
    model_sha256: String,
    /// Of a line a picture: its name, its SHA-256.
    pictures_sha256: String,
    /// By the picture's path in the folder of the data, with `/`.
    answers: BTreeMap<String, u64>,
}

/// What `ocellus evaluate --json` says of a classifier.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    metric: String,
    value: Option<f64>,
    answers: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    picture: String,
    label: u64,
    answer: u64,
}

const REMEDY: &str = "write them again with tests/models/vectors/answers.py";

impl Answers {
    /// Those of a row, which must be of its model and of its pictures as they are here.
    pub(crate) fn of(host: &Host, row: &Row, files: &Files) -> Result<Answers> {
        let folder = host.root.join("benches/accuracy/answers");
        let path = folder.join(row.name).with_added_extension("json");
        let text = std::fs::read(&path).with_context(|| format!("{}; {REMEDY}", path.display()))?;
        let answers: Answers = serde_json::from_slice(&text)
            .with_context(|| format!("{}; {REMEDY}", path.display()))?;
        let model =
            std::fs::read(&files.model).with_context(|| files.model.display().to_string())?;
        ensure!(
            hex::encode(Sha256::digest(&model)) == answers.model_sha256,
            "{}: the answers are those of another file than {}; {REMEDY}",
            path.display(),
            files.model.display()
        );
        let mut pictures = Sha256::new();
        for name in answers.answers.keys() {
            let picture = Picture::open(&files.data.join(name))?;
            pictures.update(format!("{name} {}\n", hex::encode(picture.sha256)));
        }
        ensure!(
            hex::encode(pictures.finalize()) == answers.pictures_sha256,
            "{}: the answers are to other pictures than those of {}; {REMEDY}",
            path.display(),
            files.data.display()
        );
        Ok(answers)
    }

    /// How often the device answers alike, and which of the two is right more often.
    pub(crate) fn against(&self, said: &Said, data: &Path) -> Result<Measured> {
        let (mut same, mut right, mut gained, mut lost) = (0, 0, 0, 0);
        for answer in &said.answers {
            let theirs = self.to(&answer.picture, data)?;
            let [ours_right, theirs_right] = [answer.answer, theirs].map(|a| a == answer.label);
            same += u64::from(answer.answer == theirs);
            right += u64::from(theirs_right);
            gained += u64::from(ours_right && !theirs_right);
            lost += u64::from(theirs_right && !ours_right);
        }
        let samples = said.answers.len() as u64;
        let agreement = share(same, samples);
        Ok(Measured {
            samples,
            metric: said.metric.clone(),
            value: said.value,
            against_value: share(right, samples).map(|estimate| estimate.value),
            against_runtime: self.runtime.clone(),
            difference: paired_difference(gained, lost, samples).map(|estimate| Difference {
                value: estimate.value,
                standard_error: estimate.standard_error,
                low: estimate.low,
                high: estimate.high,
            }),
            agreement: agreement.map(|estimate| estimate.value),
            agreement_interval: agreement.map(|estimate| [estimate.low, estimate.high]),
            agreement_same: same,
            agreement_of: samples,
            kept_boxes: None,
        })
    }

    /// The runtime's answer to a picture.
    fn to(&self, picture: &str, data: &Path) -> Result<u64> {
        let inside = Path::new(picture).strip_prefix(data).ok();
        let parts = inside.into_iter().flat_map(Path::iter);
        let name: Vec<_> = parts.map(|part| part.to_string_lossy()).collect();
        let answer = self.answers.get(&name.join("/"));
        let answer =
            answer.with_context(|| format!("no answer to {picture} is stored; {REMEDY}"))?;
        Ok(*answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_labels_are_counted() {
        let answers = Answers {
            runtime: "peer".to_owned(),
            model_sha256: String::new(),
            pictures_sha256: String::new(),
            answers: [
                ("a/0.jpg", 3),
                ("a/1.jpg", 5),
                ("a/2.jpg", 7),
                ("a/3.jpg", 1),
            ]
            .map(|(name, answer)| (name.to_owned(), answer))
            .into(),
        };
        let answer = |name: &str, label, answer| Answer {
            picture: format!("data/a/{name}.jpg"),
            label,
            answer,
        };
        let mut said = Said {
            metric: "top1".to_owned(),
            value: Some(0.5),
            // Both are right, the device alone, the peer alone, neither.
            answers: vec![
                answer("0", 3, 3),
                answer("1", 4, 4),
                answer("2", 7, 6),
                answer("3", 2, 1),
            ],
        };
        let measured = answers.against(&said, Path::new("data")).unwrap();
        assert_eq!((measured.agreement_same, measured.agreement_of), (2, 4));
        assert_eq!(measured.agreement, Some(0.5));
        assert_eq!(measured.against_value, Some(0.5));
        assert_eq!(measured.difference.unwrap().value, 0.0);
        said.answers.push(answer("4", 0, 0));
        let missing = answers.against(&said, Path::new("data")).unwrap_err();
        assert!(missing.to_string().contains("data/a/4.jpg"), "{missing}");
    }
}
