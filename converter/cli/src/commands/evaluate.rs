//! `ocellus evaluate`: accuracy on labelled pictures, agreement with another model.

use std::path::Path;

use anyhow::{Context, Result, bail};
use ocellus_compile::interpret::Taps;
use ocellus_data::{LabelledFolder, Picture, TaskRecipe};
use ocellus_evaluate::{ClassifyTally, rank};
use ocellus_format::CalibrationData;
use ocellus_import::TractReference;
use serde_json::json;

use crate::args::EvaluateArgs;
use crate::commands::run::{reference_border, run_here};
use crate::input::{Border, Given};
use crate::output::{print_json, progress};
use crate::source::{ModelFile, Source, is_model_file};

/// A classifier of either kind.
pub(crate) enum Classifier {
    Float {
        reference: Box<TractReference>,
        border: Border,
        preprocess: ocellus_format::Preprocess,
    },
    Int8(Box<ModelFile>),
}

impl Classifier {
    pub(crate) fn open(path: &Path, source: &Source) -> Result<Classifier> {
        if is_model_file(path)? {
            return Ok(Classifier::Int8(Box::new(ModelFile::open(path)?)));
        }
        let reference = TractReference::load(path, &source.import_options(path)?)?;
        let input = reference
            .inputs()
            .next()
            .with_context(|| format!("{}: the model has no input", path.display()))?
            .clone();
        let preprocess = source.preprocess(input.border)?;
        Ok(Classifier::Float {
            border: reference_border(&input),
            reference: Box::new(reference),
            preprocess,
        })
    }

    /// The scores of a picture: output 0.
    pub(crate) fn scores(&self, given: &Given) -> Result<Vec<f32>> {
        match self {
            Classifier::Float {
                reference,
                border,
                preprocess,
            } => {
                let (values, _) = given.in_file_order(border, preprocess)?;
                let outputs = reference.run(&[&values])?;
                Ok(outputs
                    .into_iter()
                    .next()
                    .context("the model has no output")?
                    .values)
            }
            Classifier::Int8(file) => {
                let ran = run_here(file, std::slice::from_ref(given), None, Taps::None)?;
                let (_, _, values) = file
                    .interpreter
                    .assemble(&ran.outcome)
                    .into_iter()
                    .next()
                    .context("the model has no output")?;
                Ok(values)
            }
        }
    }

    fn calibration_hashes(&self) -> &[[u8; 32]] {
        match self {
            Classifier::Int8(file) => match &file.interpreter.info().calibration.data {
                CalibrationData::Samples(hashes) => hashes,
                _ => &[],
            },
            Classifier::Float { .. } => &[],
        }
    }
}

pub(crate) fn run(args: &EvaluateArgs, json: bool) -> Result<()> {
    let source = Source::new(&args.source)?;
    let model = Classifier::open(&args.model, &source)?;
    let other = args
        .against
        .as_deref()
        .map(|path| Classifier::open(path, &source))
        .transpose()?;
    let folder = LabelledFolder::open(&args.data)?;
    let seen: Vec<[u8; 32]> = [Some(&model), other.as_ref()]
        .into_iter()
        .flatten()
        .flat_map(|model| model.calibration_hashes().to_vec())
        .collect();
    // A model with a background class counts the data set's classes from 1.
    let background =
        matches!(&source.recipe.task, Some(TaskRecipe::Classify(task)) if task.background);
    let mut tally = ClassifyTally::default();
    let mut skipped = 0_u64;
    let bar = progress(folder.pictures.len() as u64, "evaluating");
    for labelled in &folder.pictures {
        bar.inc(1);
        let picture = Picture::open(&labelled.path)?;
        if seen.contains(&picture.sha256) {
            match args.calibrated.as_str() {
                "refuse" => bail!(
                    "{}: calibration has seen this picture, so accuracy measured on it means little; measure on other pictures, or say \
                     --calibrated skip or --calibrated allow",
                    labelled.path.display()
                ),
                "skip" => {
                    skipped += 1;
                    continue;
                }
                _ => {}
            }
        }
        let given = Given::Picture(Box::new(picture));
        let scores = model
            .scores(&given)
            .with_context(|| labelled.path.display().to_string())?;
        let label = labelled.class + usize::from(background);
        if label >= scores.len() {
            bail!(
                "{}: class {label} of {} that the model knows",
                labelled.path.display(),
                scores.len()
            );
        }
        let strongest = match &other {
            Some(other) => rank(&other.scores(&given)?, 1).first().copied(),
            None => None,
        };
        tally.add(&scores, label, strongest);
    }
    bar.finish_and_clear();
    if tally.samples == 0 {
        bail!(
            "{}: every picture was left out; give pictures that calibration has not seen",
            args.data.display()
        );
    }
    let agreement = other.is_some().then(|| tally.share(tally.agree));
    if json {
        return print_json(json!({
            "model": args.model, "data": args.data, "samples": tally.samples, "skipped": skipped,
            "top1": tally.share(tally.top1), "top5": tally.share(tally.top5),
            "against": args.against, "agreement": agreement, "ap50": null, "miou": null,
        }));
    }
    println!(
        "samples    {} ({skipped} left out: calibration has seen them)",
        tally.samples
    );
    println!("top-1      {:.2} %", 100.0 * tally.share(tally.top1));
    println!("top-5      {:.2} %", 100.0 * tally.share(tally.top5));
    if let Some(agreement) = agreement {
        println!(
            "agreement  {:.2} % of the strongest classes",
            100.0 * agreement
        );
    }
    Ok(())
}
