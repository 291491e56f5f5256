//! `ocellus compare`: float against int8, tensor by tensor.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use ocellus_compile::interpret::Taps;
use ocellus_evaluate::{LayerError, worst_first};
use ocellus_ir::{Executor, Graph};
use serde_json::json;

use crate::args::CompareArgs;
use crate::commands::convert::border_of;
use crate::commands::run::run_here;
use crate::input::{Border, Given};
use crate::output::{print_json, progress, table};
use crate::source::{FloatModel, ModelFile, Source};

pub(crate) fn run(args: &CompareArgs, json: bool) -> Result<()> {
    let file = ModelFile::open(&args.int8)?;
    let mut source = Source::new(&args.source)?;
    let info = file.interpreter.info();
    if source.options.input_shapes.is_empty() {
        source.options.input_shapes = recorded_shapes(&info.options);
    }
    let disabled: Vec<String> = info
        .options
        .iter()
        .filter(|(key, _)| key == "no-pass")
        .map(|(_, name)| name.clone())
        .collect();
    let model = FloatModel::open(&args.float, &source, &disabled)?;
    let graph = model.graph();
    let [input] = &graph.inputs[..] else {
        bail!(
            "{}: comparing needs a model with one input",
            args.float.display()
        )
    };
    let border: Border = border_of(input);
    let preprocess = match file.task()?.0 {
        Some(preprocess) => preprocess,
        None => source.preprocess(input.border)?,
    };

    let mut layers: Vec<LayerError> = info.tensor_names.iter().map(LayerError::new).collect();
    let by_name: HashMap<&str, usize> = info
        .tensor_names
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), i))
        .collect();
    let mut executor = Executor::new(graph)?;
    let bar = progress(args.inputs.len() as u64, "comparing");
    for path in &args.inputs {
        let given = Given::open(path)?;
        let outcome = run_here(&file, std::slice::from_ref(&given), None, Taps::All)?.outcome;
        let (values, _) = given.in_file_order(&border, &preprocess)?;
        executor.run(&[&values], &mut |id, float| {
            let name = &graph.tensor(id).name;
            if let (Some(&layer), Some(tapped)) =
                (by_name.get(name.as_str()), outcome.taps.get(name))
            {
                layers[layer].add(float, &tapped.dequantized());
            }
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    layers.retain(|layer| layer.values > 0);
    if layers.is_empty() {
        bail!(
            "{} and {} share no tensor by name",
            args.float.display(),
            args.int8.display()
        );
    }
    if model.imported.source_sha256 != info.source_sha256 {
        eprintln!(
            "note: {} was made from another file ({}); tensors are compared by name",
            args.int8.display(),
            info.source_name
        );
    }
    let lost = losses(graph, &layers);
    worst_first(&mut layers);
    let lost_db = |name: &str| lost.get(name).copied();
    let suspect = suspect(&layers, &lost);
    let worst = layers.first().context("no layer")?;
    if json {
        let rows: Vec<_> = layers
            .iter()
            .map(|l| {
                json!({
                    "name": l.name, "snr_db": finite(l.snr_db()), "lost_db": lost_db(&l.name), "cosine": l.cosine(), "max_abs": l.max_abs,
                })
            })
            .collect();
        return print_json(json!({
            "float": args.float, "int8": args.int8, "samples": args.inputs.len(), "worst": worst.name, "suspect": suspect, "layers": rows,
        }));
    }
    let rows: Vec<Vec<String>> = layers
        .iter()
        .map(|l| {
            vec![
                l.name.clone(),
                format!("{:.2}", l.snr_db()),
                lost_db(&l.name).map_or("-".to_owned(), |lost| format!("{lost:.2}")),
                format!("{:.5}", l.cosine()),
                format!("{:.4}", l.max_abs),
            ]
        })
        .collect();
    if let Some(name) = suspect {
        println!("`{name}` is the first to look at: its inputs are good and it is not\n");
    }
    let header = [
        "tensor",
        "snr dB",
        "lost dB",
        "cosine",
        "max |float - int8|",
    ];
    print!("{}", table(&header, &rows));
    Ok(())
}

/// A tensor of 8 bits has no more signal to noise than about this; what is above counts as perfect.
const CEILING_DB: f64 = 50.0;

/// A layer is suspect that loses this much of its inputs' signal to noise, and is left with less than [`GOOD_DB`].
const SUSPECT_DB: f64 = 10.0;

/// At this ratio a tensor is as int8 usually is, however much better its inputs are.
const GOOD_DB: f64 = 20.0;

/// How much signal to noise each layer loses against the worst of its inputs: a layer that only passes on the noise of an earlier one
/// loses next to nothing.
fn losses(graph: &Graph, layers: &[LayerError]) -> HashMap<String, f64> {
    let measured: HashMap<&str, f64> = layers
        .iter()
        .map(|layer| (layer.name.as_str(), layer.snr_db().min(CEILING_DB)))
        .collect();
    let mut behind: HashMap<usize, f64> = HashMap::new();
    let mut lost = HashMap::new();
    for node in &graph.nodes {
        let inputs = node.inputs.iter().map(|&id| {
            let own = measured.get(graph.tensor(id).name.as_str());
            own.or(behind.get(&id.0)).copied().unwrap_or(CEILING_DB)
        });
        let before = inputs.fold(CEILING_DB, f64::min);
        let name = &graph.tensor(node.output).name;
        match measured.get(name.as_str()) {
            Some(after) => {
                lost.insert(name.clone(), before - after);
            }
            // Fused away: what follows is measured against what came before.
            None => {
                behind.insert(node.output.0, before);
            }
        }
    }
    lost
}

/// The layer where most is lost, if it is much.
fn suspect<'a>(layers: &'a [LayerError], lost: &HashMap<String, f64>) -> Option<&'a str> {
    let loss = |layer: &&LayerError| lost.get(&layer.name).copied().unwrap_or(0.0);
    layers
        .iter()
        .filter(|layer| loss(layer) >= SUSPECT_DB && layer.snr_db() < GOOD_DB)
        .max_by(|a, b| loss(a).total_cmp(&loss(b)))
        .map(|layer| layer.name.as_str())
}

/// JSON has no infinity: equal tensors are null.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The shapes that a conversion was given, from the model file's record.
pub(crate) fn recorded_shapes(options: &[(String, String)]) -> Vec<(String, Vec<usize>)> {
    let inputs = options.iter().filter(|(key, _)| key == "input");
    inputs
        .filter_map(|(_, value)| {
            let (name, shape) = value.rsplit_once('=')?;
            let sizes: Result<Vec<usize>, _> = shape.split('x').map(str::parse).collect();
            Some((name.to_owned(), sizes.ok()?))
        })
        .collect()
}
