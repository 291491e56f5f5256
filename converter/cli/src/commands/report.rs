//! `ocellus report`: all that is known of a model file, as one page.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ocellus_board_file::Board;
use ocellus_compile::interpret::{Tapped, Taps};
use ocellus_data::{pictures_in, write_whole};
use ocellus_format::{Attempt, CalibrationData, Isa, QParams};
use ocellus_kernels::best;
use ocellus_report::{
    Accuracy, Errors as ErrorPart, Fit as FitPart, Headline, Histogram, LayerCost, Provenance,
    Report, TensorError,
};

use crate::anatomy::{self, Spread};
use crate::args::ReportArgs;
use crate::board;
use crate::commands::bench::{Bench, measure as bench};
use crate::commands::compare::finite;
use crate::commands::convert::sha256;
use crate::commands::inspect::isa_of_board;
use crate::commands::run::run_here;
use crate::errors::{self, Errors};
use crate::input::Given;
use crate::keys::{self, Signed};
use crate::layers::{layers, simd_share};
use crate::output::print_json;
use crate::sizes;
use crate::source::{ModelFile, Source};

/// What a report looks at beside the model file.
pub(crate) struct Request<'a> {
    /// The model file's name, for the title.
    pub(crate) model: &'a Path,
    /// Its memories are shown.
    pub(crate) board: Option<Board>,
    /// What an inference costs there.
    pub(crate) bench: Option<Bench>,
    /// The float model, and what its file leaves open.
    pub(crate) against: Option<(&'a Path, Source)>,
    /// Inputs for errors and histograms.
    pub(crate) inputs: &'a mut dyn ExactSizeIterator<Item = Result<Given>>,
}

pub(crate) fn run(args: &ReportArgs, json: bool) -> Result<()> {
    if args
        .output
        .extension()
        .is_none_or(|extension| extension != "html")
    {
        bail!(
            "{}: the page's name must end in .html",
            args.output.display()
        );
    }
    let file = ModelFile::open(&args.model)?;
    let paths = chosen(&args.data, args.samples as usize)?;
    let board = args.board.as_deref().map(board::find).transpose()?;
    let bench = match &board {
        // A file for real hardware: its sizes are known, its costs are not.
        Some(board) if board::check_startable(board).is_err() => None,
        // The page says why.
        Some(board) if board::check_sizes(board, &file).is_err() => None,
        Some(board) => Some(bench(board.clone(), &file, None)?),
        None => None,
    };
    let against = match &args.against {
        Some(path) => Some((path.as_path(), Source::new(&args.source)?)),
        None => None,
    };
    let report = assemble(
        &file,
        Request {
            model: &args.model,
            board,
            bench,
            against,
            inputs: &mut paths.iter().map(|path| Given::open(path)),
        },
    )?;
    write(&report, &args.output)?;
    if json {
        let mut fields = serde_json::to_value(&report)?;
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("page".to_owned(), args.output.display().to_string().into());
        }
        return print_json(fields);
    }
    println!("{}", args.output.display());
    Ok(())
}

/// Writes the page.
pub(crate) fn write(report: &Report, path: &Path) -> Result<()> {
    let page = report
        .to_html()
        .with_context(|| path.display().to_string())?;
    Ok(write_whole(path, page.as_bytes())?)
}

/// Files as they are, folders by their pictures, evenly chosen.
fn chosen(data: &[PathBuf], most: usize) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for path in data {
        if path.is_dir() {
            let pictures = pictures_in(path)?;
            if pictures.is_empty() {
                bail!("{}: no pictures (JPEG, PNG, PNM)", path.display());
            }
            paths.extend(pictures);
        } else {
            paths.push(path.clone());
        }
    }
    let step = paths.len().div_ceil(most).max(1);
    Ok(paths.into_iter().step_by(step).collect())
}

/// Collects everything.
pub(crate) fn assemble(file: &ModelFile, request: Request<'_>) -> Result<Report> {
    let view = file.view()?;
    let program = view.program();
    let isa: Isa = match &request.board {
        Some(board) => isa_of_board(board)?,
        None if program.isa == Isa::Reference => best(),
        None => program.isa,
    };
    let runs = layers(file, isa)?;
    let memory = anatomy::memory_on(file, request.board.as_ref())?;
    let mut layers = anatomy::layers(file, &runs, &memory)?;
    let needs = anatomy::needs(file, &layers, &memory)?;
    let image = match &request.board {
        Some(board) => sizes::image(board, file)?,
        None => None,
    };
    if let Some(bench) = &request.bench {
        for (layer, (_, cost)) in layers.iter_mut().zip(&bench.layers) {
            layer.cost = LayerCost {
                instructions: cost.instructions,
                estimated_cycles: cost.estimated_cycles,
                wall_us: cost.wall_us,
            };
        }
    }
    let measured = request.bench.as_ref();
    let headline = Headline {
        macs: program.macs,
        macs_on_simd_share: simd_share(&runs),
        model_bytes: file.bytes.len() as u64,
        constant_bytes: needs.constant_bytes,
        arena_bytes: memory.arena_bytes,
        code_bytes: image.as_ref().map(|image| image.code_bytes),
        instructions: measured.and_then(|bench| bench.instructions),
        estimated_cycles: measured.and_then(|bench| bench.estimated_cycles),
        wall_us: measured.and_then(|bench| bench.wall_us),
        stack_used_bytes: measured.and_then(|bench| bench.stack_bytes),
    };
    let (errors, activations) = on_samples(file, request.model, request.against, request.inputs)?;
    let board = request.board.as_ref().map(|board| ocellus_report::Board {
        name: board.name.clone(),
        title: board.title.clone(),
        // What does not fit has no place; the section on boards says why.
        regions: sizes::regions(board, file, image.as_ref()).unwrap_or_default(),
    });
    let mut fits = board::fits_everywhere(&needs)?;
    if let Some(board) = &request.board {
        // One of a file of the user's own is not among the known; whichever it is, it comes first.
        fits.retain(|fit| fit.board != board.name);
        fits.insert(0, board::fit(board, &needs)?);
    }
    Ok(Report {
        model: name_of(request.model),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        isa: isa.name().to_owned(),
        headline,
        board,
        layers,
        memory,
        weights: anatomy::weights(file)?,
        activations,
        errors,
        accuracy: accuracy(&file.interpreter.info().attempts),
        fits: fits
            .into_iter()
            .map(|fit| FitPart {
                why_not: fit.why_not(),
                arena_region: fit.arena_region(),
                board: fit.board,
                model_region: fit.model_region,
            })
            .collect(),
        provenance: provenance(file, program.isa),
        notes: file.interpreter.info().notes.clone(),
    })
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn provenance(file: &ModelFile, isa: Isa) -> Provenance {
    let info = file.interpreter.info();
    Provenance {
        model_sha256: hex::encode(sha256(&file.bytes)),
        source: info.source_name.clone(),
        source_sha256: hex::encode(info.source_sha256),
        converter: info.tool_version.clone(),
        file_isa: match isa {
            Isa::Reference => "every machine (portable)".to_owned(),
            isa => isa.name().to_owned(),
        },
        options: info.options.clone(),
        calibration_method: info.calibration.method.clone(),
        calibration_data: calibration_data(&info.calibration.data),
        signature: match keys::verify(&file.bytes) {
            Ok(Signed::No) => "none".to_owned(),
            Ok(Signed::By(key)) => format!("by {}", hex::encode(key)),
            Err(error) => error.to_string(),
        },
    }
}

/// What each way of quantizing reached that was tried when the file was made.
fn accuracy(attempts: &[Attempt]) -> Vec<Accuracy> {
    let rows = attempts.iter().flat_map(|attempt| {
        let row = |measure: &str, value| Accuracy {
            method: attempt.way.clone(),
            measure: measure.to_owned(),
            value,
            chosen: attempt.taken,
        };
        let snr = attempt.snr_centi_db.map(|value| f64::from(value) / 100.0);
        let agreement = attempt.agreement_centi_percent;
        let agreement = agreement.map(|value| row("agreement", Some(f64::from(value) / 1e4)));
        [Some(row("snr_db", snr)), agreement].into_iter().flatten()
    });
    rows.collect()
}

fn calibration_data(data: &CalibrationData) -> String {
    match data {
        CalibrationData::None => "nothing".to_owned(),
        CalibrationData::Synthetic(seed) => format!("noise, seed {seed}"),
        CalibrationData::Samples(set) => format!(
            "{} samples; SHA-256 of theirs {}",
            set.prefixes.len(),
            hex::encode(set.sha256)
        ),
    }
}

/// Errors against float, where there is a float model, and how the values of each tensor are spread, both on the samples.
fn on_samples(
    file: &ModelFile,
    model: &Path,
    against: Option<(&Path, Source)>,
    inputs: &mut dyn ExactSizeIterator<Item = Result<Given>>,
) -> Result<(Option<ErrorPart>, Vec<Histogram>)> {
    let mut spreads: HashMap<String, (Spread, QParams)> = HashMap::new();
    let mut see = |name: &str, tapped: &Tapped| {
        let fresh = || (Spread::default(), tapped.qparams);
        let (spread, _) = spreads.entry(name.to_owned()).or_insert_with(fresh);
        spread.add(&tapped.values);
    };
    let errors = match against {
        Some((path, source)) => {
            let measured =
                errors::measure(path, file, model, source, inputs, &mut |name, tapped| {
                    see(name, tapped)
                })?;
            Some(error_part(file, path, measured))
        }
        None => {
            for given in inputs {
                let taps = run_here(file, &[given?], None, Taps::All)?.outcome.taps;
                for (name, tapped) in &taps {
                    see(name, tapped);
                }
            }
            None
        }
    };
    // In the order of the file.
    let names = &file.interpreter.info().tensor_names;
    let activations = names.iter().filter_map(|name| {
        let (spread, q) = spreads.get(name)?;
        Some(spread.finish(name.clone(), *q))
    });
    Ok((errors, activations.collect()))
}

fn error_part(file: &ModelFile, float: &Path, errors: Errors) -> ErrorPart {
    let names = &file.interpreter.info().tensor_names;
    let mut rows = errors.rows;
    rows.sort_by_key(|row| names.iter().position(|name| name == row.name()));
    let tensors = rows.iter().map(|row| TensorError {
        name: row.name().to_owned(),
        snr_db: finite(row.error.snr_db()),
        own_error: row.own.map(|own| own.error),
        own_channel: row.own.map(|own| own.channel),
        clipped_error: row.clipped.map(|clipped| clipped.error),
        cosine: row.error.cosine(),
        max_abs: row.error.max_abs,
    });
    ErrorPart {
        float: name_of(float),
        samples: errors.samples,
        suspect: errors.suspect,
        tensors: tensors.collect(),
    }
}
