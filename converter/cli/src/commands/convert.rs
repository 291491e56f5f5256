//! `ocellus convert`: a float model into a model file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ocellus_board_file::Board;
use ocellus_compile::auto::{self, Budget, Choice, SCHEMES};
use ocellus_compile::budget::OverBudget;
use ocellus_compile::quantize::Indices;
use ocellus_compile::{
    Calibration, Compiled, Method, Options, Passes, Provenance, Report, Sample, Target,
    compile_telling,
};
use ocellus_data::{pictures_in, read_npz, write_whole};
use ocellus_format::{Colour, Isa, Preprocess, TaskRecord};
use ocellus_ir::passes::{CheckSample, Checking};
use ocellus_ir::{BorderType, Executor, Graph, Input};
use serde_json::json;

use crate::args::ConvertArgs;
use crate::board::{self, Fit};
use crate::commands::compare::finite;
use crate::input::{Border, Given, same_axes};
use crate::layout::PictureAxes;
use crate::output::{Stages, grouped, print_json, progress, table};
use crate::source::{FloatModel, ModelFile, Source, pass_summary};
use crate::{sizes, smaller};

/// What a conversion is asked for, beyond the model.
pub(crate) struct Request<'a> {
    pub(crate) source: &'a Source,
    pub(crate) target: Target,
    /// Of the board that the file is for: [`board::memories`].
    pub(crate) memories: Vec<u64>,
    pub(crate) calibrate: Calibrate,
    pub(crate) every: u64,
    pub(crate) method: Option<Method>,
    /// Tries several ways to quantize.
    pub(crate) auto: Option<Budget>,
    pub(crate) no_pass: &'a [String],
    pub(crate) checking: Checking,
}

/// Where calibration samples come from.
pub(crate) enum Calibrate {
    Pictures(Vec<PathBuf>),
    /// Opened already.
    Given(Vec<Given>),
    Npz(PathBuf),
    Synthetic(u64),
    /// The model's file has the scales.
    Nothing,
}

/// A conversion's result.
pub(crate) struct Converted {
    pub(crate) compiled: Compiled,
    pub(crate) notes: Vec<String>,
    /// Where several ways to quantize were tried.
    pub(crate) attempts: Option<Choice>,
}

pub(crate) fn run(args: &ConvertArgs, json: bool) -> Result<()> {
    check_output(&args.output)?;
    let source = Source::new(&args.source)?;
    let board = args.board.as_deref().map(board::find).transpose()?;
    let target = match (&args.isa, &board) {
        (Some(name), _) => Target::Isa(isa_named(name)?),
        (None, Some(board)) => board::target(board)?,
        (None, None) => Target::Portable,
    };
    let calibrate = match (&args.calibrate, &source.recipe.calibration.data) {
        (Some(text), _) => calibrate_from(text)?,
        (None, Some(path)) => calibrate_from(&path.display().to_string())?,
        (None, None) => Calibrate::Nothing,
    };
    let (method, auto) = match (args.quantize.as_deref(), args.method.as_deref()) {
        (Some(word), _) if word == "auto" || word.starts_with("auto:") => {
            (None, Some(auto_budget(word)?))
        }
        (word, older) => (word.or(older).map(str::parse).transpose()?, None),
    };
    let request = Request {
        source: &source,
        target,
        memories: board.as_ref().map(board::memories).unwrap_or_default(),
        calibrate,
        every: args.every,
        method,
        auto,
        no_pass: &args.no_pass,
        checking: match args.check_passes.as_str() {
            "each" => Checking::Each,
            "never" => Checking::Never,
            _ => Checking::Affordable,
        },
    };
    let converted = convert(&args.model, &request)?;
    let report = &converted.compiled.report;
    let placement = board
        .as_ref()
        .map(|board| placed(board, &args.model, &request, report))
        .transpose()?;
    let regions = match &board {
        Some(board) => {
            let file = ModelFile::from_bytes(&converted.compiled.bytes)?;
            sizes::regions(board, &file, sizes::image(board, &file)?.as_ref())?
        }
        None => Vec::new(),
    };
    write_whole(&args.output, &converted.compiled.bytes)?;

    for note in &converted.notes {
        eprintln!("note: {note}");
    }
    eprintln!(
        "{}: {} bytes; arena {} bytes (no order of these operators needs less than {}); {} multiply-accumulates",
        args.output.display(),
        grouped(report.model_bytes),
        grouped(report.arena_bytes),
        grouped(report.arena_lower_bound_bytes),
        grouped(report.macs),
    );
    if let Some(placement) = placement.as_ref().filter(|_| report.parts.len() > 1) {
        eprint!(
            "\n{}",
            sizes::parts_table(&report.parts, &placement.arena_regions)
        );
    }
    if !regions.is_empty() {
        eprint!("\n{}", sizes::regions_table(&regions));
    }
    let fits = board::fits_everywhere(report)?;
    eprint!("\n{}", fits_table(&fits));
    if json {
        print_json(json!({
            "model": args.output,
            "sha256": hex::encode(sha256(&converted.compiled.bytes)),
            "isa": target.isa().name(),
            "board": args.board,
            "model_bytes": report.model_bytes,
            "arena_bytes": report.arena_bytes,
            "arena_lower_bound_bytes": report.arena_lower_bound_bytes,
            "macs": report.macs,
            "macs_on_simd_share": report.simd_share(),
            "notes": converted.notes,
            "attempts": converted.attempts.as_ref().map(attempts_json),
            "arena_region": placement.as_ref().map(board::Fit::arena_region),
            "arena_parts": report.parts.iter().enumerate().map(|(index, part)| json!({
                "bytes": part.bytes, "read_bytes": part.moved.read_bytes, "written_bytes": part.moved.written_bytes,
                "region": placement.as_ref().and_then(|p| p.arena_regions.get(index)),
            })).collect::<Vec<_>>(),
            "model_region": placement.as_ref().map(|p| p.model_region.clone()),
            "regions": regions,
            "boards": fits.iter().map(|fit| json!({
                "board": fit.board, "fits": fit.refusal.is_none(), "arena_region": fit.arena_region(),
                "model_region": fit.model_region, "why_not": fit.why_not(),
            })).collect::<Vec<_>>(),
            "layers": report.layers.iter().map(|layer| json!({
                "name": layer.name, "op": layer.op, "kernel": layer.kernel, "macs": layer.macs, "shape": layer.shape,
                "constant_bytes": layer.constant_bytes, "live_bytes": layer.live_bytes,
            })).collect::<Vec<_>>(),
        }))?;
    }
    Ok(())
}

/// Where the model lies on a board.
///
/// # Errors
/// Which tensor and layer are in the way, and what would help.
fn placed(board: &Board, model: &Path, request: &Request<'_>, report: &Report) -> Result<Fit> {
    let fit = board::fit(board, report)?;
    let reason = match &fit.refusal {
        None => return Ok(fit),
        Some(OverBudget::Arena(refusal)) => {
            refusal.explain(smaller::sentence(model, request, board, refusal).as_deref())
        }
        Some(other) => other.to_string(),
    };
    Err(board::refused(board, &reason, report)?)
}

/// What was tried; a ratio is null where nothing differs.
fn attempts_json(choice: &Choice) -> serde_json::Value {
    let attempts = choice.attempts.iter().enumerate();
    let attempts = attempts.map(|(index, attempt)| {
        json!({
            "way": attempt.scheme.to_string(), "snr_db": finite(attempt.score.snr_db),
            "agreement": attempt.score.agreement, "taken": index == choice.best,
        })
    });
    attempts.collect()
}

/// The boards, and where a model would lie on each.
pub(crate) fn fits_table(fits: &[board::Fit]) -> String {
    let rows: Vec<Vec<String>> = fits
        .iter()
        .map(|fit| match &fit.refusal {
            None => vec![
                fit.board.clone(),
                "yes".into(),
                fit.model_region.clone(),
                fit.arena_region(),
            ],
            Some(_) => vec![
                fit.board.clone(),
                "no".into(),
                fit.model_region.clone(),
                fit.arena_region(),
            ],
        })
        .collect();
    table(&["board", "fits", "model in", "arena in"], &rows)
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

/// Says before the work, not after it, that its result has no place.
pub(crate) fn check_output(path: &Path) -> Result<()> {
    if path.extension().is_none_or(|extension| extension != "oce") {
        bail!("{}: the model file's name must end in .oce", path.display());
    }
    if path.is_dir() {
        bail!("{}: this is a folder; name a file", path.display());
    }
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) if !folder.exists() => bail!(
            "{}: the folder {} does not exist; create it first",
            path.display(),
            folder.display()
        ),
        Some(folder) if !folder.is_dir() => bail!(
            "{}: {} is no folder; choose another place",
            path.display(),
            folder.display()
        ),
        _ => Ok(()),
    }
}

pub(crate) fn isa_named(name: &str) -> Result<Isa> {
    Isa::from_name(name).with_context(|| {
        format!(
            "instruction set `{name}` is unknown; the known are {}",
            Isa::ALL.map(Isa::name).join(", ")
        )
    })
}

fn calibrate_from(text: &str) -> Result<Calibrate> {
    if let Some(seed) = text.strip_prefix("synthetic:") {
        return Ok(Calibrate::Synthetic(seed.parse().with_context(|| {
            format!("`{seed}` is no seed; write synthetic:7")
        })?));
    }
    let path = PathBuf::from(text);
    if path.extension().is_some_and(|extension| extension == "npz") {
        return Ok(Calibrate::Npz(path));
    }
    let pictures = pictures_in(&path)?;
    if pictures.is_empty() {
        bail!("{text}: no pictures to calibrate on (JPEG, PNG, PNM)");
    }
    Ok(Calibrate::Pictures(pictures))
}

/// How many ways `auto`, `auto:3` or `auto:60s` tries.
fn auto_budget(word: &str) -> Result<Budget> {
    let hint = "write auto, auto:3 for the first three ways, or auto:60s for those that begin within a minute";
    let Some((_, amount)) = word.split_once(':') else {
        return Ok(Budget::Count(SCHEMES.len()));
    };
    let (digits, is_time) = match amount.strip_suffix('s') {
        Some(seconds) => (seconds, true),
        None => (amount, false),
    };
    let number: u32 = digits
        .parse()
        .ok()
        .filter(|&number| number > 0)
        .with_context(|| format!("`{word}`: {hint}"))?;
    Ok(match is_time {
        true => Budget::Time(Duration::from_secs(number.into())),
        false => Budget::Count(number as usize),
    })
}

/// Tries ways to quantize, shows what they reach, and returns the best.
fn try_ways(
    graph: &Graph,
    calibration: &Calibration,
    options: &Options,
    budget: Budget,
) -> Result<Choice> {
    let count = match budget {
        Budget::Count(count) => count.min(SCHEMES.len()),
        Budget::Time(_) => SCHEMES.len(),
    };
    if let Budget::Time(time) = budget {
        eprintln!("no way to quantize is begun after {} s", time.as_secs());
    }
    let bar = progress(count as u64, "trying");
    let choice = auto::choose(graph, calibration, options, budget, &mut |done| {
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let rows: Vec<Vec<String>> = choice
        .attempts
        .iter()
        .enumerate()
        .map(|(index, attempt)| {
            let agreement = attempt.score.agreement;
            vec![
                attempt.scheme.to_string(),
                format!("{:.2}", attempt.score.snr_db),
                agreement.map_or("-".into(), |share| format!("{:.2}", 100.0 * share)),
                if index == choice.best { "taken" } else { "" }.into(),
            ]
        })
        .collect();
    eprint!(
        "calibrated on {} samples, compared on {} others of the calibration data\n{}",
        choice.fit_samples,
        choice.held_samples,
        table(&["way", "snr dB", "agreement %", ""], &rows)
    );
    Ok(choice)
}

/// Imports, optimizes, calibrates and compiles.
pub(crate) fn convert(path: &Path, request: &Request<'_>) -> Result<Converted> {
    let (compile_passes, graph_passes) = split_passes(request.no_pass)?;
    let model = FloatModel::open_checked(
        path,
        request.source,
        &graph_passes,
        request.checking,
        |graph| first_sample(graph, request),
    )?;
    let graph = model.graph();
    let mut notes = model.imported.notes.clone();
    let borders: Vec<Border> = graph.inputs.iter().map(border_of).collect();
    let first = graph
        .inputs
        .first()
        .with_context(|| format!("{}: the model has no input", path.display()))?;
    let preprocess = request.source.preprocess(first.border)?;
    let picture = PictureAxes::of(&first.shape).filter(|_| graph.inputs.len() == 1);
    if let Some(axes) = picture.filter(|_| !request.source.has_recipe) {
        notes.push(assumption(axes, &preprocess));
    }
    let method = match (&request.method, &request.source.recipe.calibration.method) {
        (Some(method), _) => *method,
        (None, Some(text)) => {
            let word = match request.source.recipe.calibration.percentile {
                Some(percentile) if text == "percentile" => format!("{text}:{percentile}"),
                _ => text.clone(),
            };
            word.parse().with_context(|| {
                let path = request.source.recipe_path.display();
                format!("{path}: calibration.method")
            })?
        }
        (None, None) => Method::default(),
    };
    let output_names: Vec<String> = graph
        .outputs
        .iter()
        .map(|output| output.name.clone())
        .collect();
    // Before calibration, which takes its time.
    let recipe_task = request.source.task(&output_names)?;
    if matches!(request.calibrate, Calibrate::Nothing) && !has_scales(graph) {
        bail!(
            "{}: activations need scales: give representative inputs with --calibrate DIR (pictures) or --calibrate FILE.npz, or, to try things \
             out only, noise with --calibrate synthetic:SEED",
            path.display()
        );
    }
    let mut calibration = calibrate(graph, &borders, &preprocess, request, method)?;
    let mut options: Vec<(String, String)> = vec![("every".into(), request.every.to_string())];
    for (name, shape) in &request.source.import_options(path)?.input_shapes {
        let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
        options.push(("input".into(), format!("{name}={}", shape.join("x"))));
    }
    let cuts = request.source.options.outputs.iter();
    options.extend(cuts.map(|name| ("cut".to_owned(), name.clone())));
    options.extend(
        request
            .no_pass
            .iter()
            .map(|name| ("no-pass".to_owned(), name.clone())),
    );
    let labels = request.source.recipe.labels.join("\n");
    let task = TaskRecord {
        preprocess: picture.map(|_| preprocess),
        task: recipe_task,
        labels: &labels,
    };
    let provenance = Provenance {
        source_name: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        source_sha256: model.imported.source_sha256,
        options,
        notes,
        attempts: Vec::new(),
    };
    let mut options = Options {
        target: request.target,
        passes: compile_passes,
        memories: request.memories.clone(),
        provenance,
    };
    let mut attempts = None;
    if let Some(budget) = request.auto {
        let choice = try_ways(graph, &calibration, &options, budget)
            .with_context(|| path.display().to_string())?;
        let scheme = choice.attempts[choice.best].scheme;
        calibration.method = scheme.ranges;
        options.passes = scheme.passes(options.passes);
        // The count tried, also where time has decided: with it the same file can be made again.
        let record = &mut options.provenance.options;
        record.push(("quantize".into(), format!("auto:{}", choice.attempts.len())));
        if !scheme.without.is_empty() {
            record.push(("no-pass".into(), scheme.without.into()));
        }
        options.provenance.attempts = choice.record();
        attempts = Some(choice);
    }
    let method = calibration.method.to_string();
    options
        .provenance
        .options
        .insert(0, ("method".into(), method));
    let stages = Stages::default();
    let tell = |progress| stages.show(progress);
    let compiled = compile_telling(graph, &calibration, &options, Some(&task), &tell)
        .with_context(|| path.display().to_string())?;
    drop(stages);
    let mut notes = compiled.report.notes.clone();
    notes.extend(model.passes.iter().filter_map(pass_summary));
    Ok(Converted {
        compiled,
        notes,
        attempts,
    })
}

fn assumption(axes: PictureAxes, p: &Preprocess) -> String {
    let colour = match p.colour {
        Colour::Rgb => "RGB",
        Colour::Bgr => "BGR",
        Colour::Gray => "grey",
    };
    format!(
        "no recipe: assumed a picture in {}, {} order, stretched to {}x{}, (pixel - {}) / {}; say otherwise with --recipe",
        axes.name(),
        colour,
        axes.width,
        axes.height,
        p.mean[0],
        p.std[0],
    )
}

pub(crate) fn border_of(input: &Input) -> Border {
    Border {
        name: input.name.clone(),
        shape: input.shape.clone(),
        order: input.order.clone(),
    }
}

fn split_passes(names: &[String]) -> Result<(Passes, Vec<String>)> {
    let mut passes = Passes::default();
    let mut graph = Vec::new();
    for name in names {
        if let Some(without) = passes.without(name) {
            passes = without;
        } else {
            let in_graph = ocellus_ir::passes::STAGES
                .iter()
                .copied()
                .flatten()
                .map(|pass| pass.name);
            let known: Vec<&str> = Passes::NAMES.into_iter().chain(in_graph).collect();
            if !known.contains(&name.as_str()) {
                bail!(
                    "no pass is named `{name}`; the passes are {}",
                    known.join(", ")
                );
            }
            graph.push(name.clone());
        }
    }
    Ok((passes, graph))
}

fn calibrate(
    graph: &Graph,
    borders: &[Border],
    preprocess: &Preprocess,
    request: &Request<'_>,
    method: Method,
) -> Result<Calibration> {
    match &request.calibrate {
        Calibrate::Nothing => Ok(Calibration::new(graph, method)),
        Calibrate::Pictures(paths) => {
            if borders.len() != 1 {
                bail!(
                    "pictures calibrate models with one input and this one has {}; give a .npz with an array for each",
                    borders.len()
                );
            }
            let chosen: Vec<&PathBuf> = paths.iter().step_by(request.every as usize).collect();
            let samples = chosen.iter().map(|path| {
                let given = Given::open(path)?;
                let (values, _) = given.in_file_order(&borders[0], preprocess)?;
                Ok(Sample {
                    inputs: vec![values],
                    sha256: given.picture().map(|picture| picture.sha256),
                })
            });
            collect(graph, samples, chosen.len(), method)
        }
        Calibrate::Given(given) => {
            let border = borders.first().context("the model has no input")?;
            let samples = given.iter().map(|given| {
                let (values, _) = given.in_file_order(border, preprocess)?;
                Ok(Sample {
                    inputs: vec![values],
                    sha256: given.picture().map(|picture| picture.sha256),
                })
            });
            collect(graph, samples, given.len(), method)
        }
        Calibrate::Npz(path) => {
            let samples = npz_samples(path, borders, request.every as usize)?;
            let count = samples.len();
            collect(graph, samples.into_iter().map(Ok), count, method)
        }
        Calibrate::Synthetic(seed) => {
            let count = 16;
            let samples = (0..count).map(|index| Ok(noise(graph, *seed, index, preprocess)));
            Ok(collect(graph, samples, count as usize, method)?.synthetic(*seed))
        }
    }
}

/// True for a model that is quantized already: some operator reads what the file has a scale for.
fn has_scales(graph: &Graph) -> bool {
    graph
        .nodes
        .iter()
        .flat_map(|node| &node.inputs)
        .map(|id| graph.tensor(*id))
        .any(|tensor| tensor.grid.is_some() && tensor.value.is_none())
}

/// The first calibration sample, for the checks of passes. What is wrong with the others is said when their turn comes.
fn first_sample(graph: &Graph, request: &Request<'_>) -> Result<Vec<CheckSample>> {
    let borders: Vec<Border> = graph.inputs.iter().map(border_of).collect();
    let (Some(first), Some(border)) = (graph.inputs.first(), borders.first()) else {
        return Ok(vec![]);
    };
    let preprocess = request.source.preprocess(first.border)?;
    let values = |given: &Given| Ok(vec![vec![given.in_file_order(border, &preprocess)?.0]]);
    match &request.calibrate {
        Calibrate::Synthetic(seed) => Ok(vec![noise(graph, *seed, 0, &preprocess).inputs]),
        Calibrate::Npz(path) => {
            let samples = npz_samples(path, &borders, request.every as usize)?;
            Ok(samples.into_iter().take(1).map(|s| s.inputs).collect())
        }
        Calibrate::Pictures(paths) if borders.len() == 1 => match paths.first() {
            Some(path) => values(&Given::open(path)?),
            None => Ok(vec![]),
        },
        Calibrate::Given(given) if borders.len() == 1 => given.first().map_or(Ok(vec![]), values),
        Calibrate::Pictures(_) | Calibrate::Given(_) | Calibrate::Nothing => Ok(vec![]),
    }
}

fn collect(
    graph: &Graph,
    samples: impl Iterator<Item = Result<Sample>>,
    count: usize,
    method: Method,
) -> Result<Calibration> {
    let mut calibration = Calibration::new(graph, method);
    let mut executor = Executor::new(graph)?;
    let bar = progress(count as u64, "calibrating");
    for sample in samples {
        calibration.observe(&mut executor, graph, &sample?)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(calibration)
}

/// Samples lie along the first axis of each array; an array named as the input, or the only one.
fn npz_samples(path: &Path, borders: &[Border], every: usize) -> Result<Vec<Sample>> {
    let arrays = read_npz(path)?;
    let mut samples: Vec<Sample> = Vec::new();
    for (position, border) in borders.iter().enumerate() {
        let array = match arrays.iter().find(|(name, _)| *name == border.name) {
            Some((_, array)) => array,
            None if arrays.len() == 1 && borders.len() == 1 => &arrays[0].1,
            None => bail!(
                "{}: no array is named `{}`, as the input is",
                path.display(),
                border.name
            ),
        };
        let len: usize = border.shape.iter().product();
        if array.shape.first() == Some(&0) {
            bail!(
                "{}: array for input `{}` holds no samples; samples lie along its first axis",
                path.display(),
                border.name
            );
        }
        if len == 0 || !same_axes(array.shape.get(1..).unwrap_or_default(), &border.shape) {
            bail!(
                "{}: array for input `{}` has shape {:?}; samples of shape {:?} along the first axis are needed",
                path.display(),
                border.name,
                array.shape,
                border.shape
            );
        }
        for (index, values) in array.values.to_f32().chunks(len).step_by(every).enumerate() {
            if position == 0 {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                samples.push(Sample {
                    inputs: Vec::new(),
                    sha256: Some(sha256(&bytes)),
                });
            }
            let Some(sample) = samples.get_mut(index) else {
                bail!(
                    "{}: the arrays hold different counts of samples",
                    path.display()
                );
            };
            sample.inputs.push(values.to_vec());
        }
    }
    if samples.is_empty()
        || samples
            .iter()
            .any(|sample| sample.inputs.len() != borders.len())
    {
        bail!(
            "{}: no samples, or different counts of them for different inputs",
            path.display()
        );
    }
    Ok(samples)
}

/// Uniform pixels through the normalization for pictures, indices of what is picked by them, 0 and 1 for other whole numbers, `-1..1` for all else.
fn noise(graph: &Graph, seed: u64, index: u64, preprocess: &Preprocess) -> Sample {
    let mut state = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(index + 1);
    let mut next = move || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    };
    let inputs = graph
        .inputs
        .iter()
        .map(|input| {
            let len = graph.tensor(input.tensor).len();
            let picture = PictureAxes::of(&input.shape).is_some();
            let whole = matches!(input.border, BorderType::S32 | BorderType::S64)
                .then(|| Indices::limit(graph, input.tensor).unwrap_or(2));
            (0..len)
                .map(|_| {
                    if let Some(limit) = whole {
                        (next() * limit as f32).floor()
                    } else if picture {
                        (next() * 255.0 - preprocess.mean[0]) / preprocess.std[0]
                    } else {
                        next() * 2.0 - 1.0
                    }
                })
                .collect()
        })
        .collect();
    Sample {
        inputs,
        sha256: None,
    }
}
