//! `ocellus compare`: float against int8, tensor by tensor.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use ocellus_compile::interpret::Taps;
use ocellus_evaluate::{LayerError, worst_first};
use ocellus_ir::Executor;
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
    if model.imported.source_sha256 != info.source_sha256 {
        eprintln!(
            "note: {} was made from another file ({}); tensors are compared by name",
            args.int8.display(),
            info.source_name
        );
    }
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
    worst_first(&mut layers);
    let worst = layers.first().context("no layer")?;
    if json {
        let rows: Vec<_> = layers
            .iter()
            .map(|l| json!({ "name": l.name, "snr_db": finite(l.snr_db()), "cosine": l.cosine(), "max_abs": l.max_abs }))
            .collect();
        return print_json(
            json!({ "float": args.float, "int8": args.int8, "samples": args.inputs.len(), "worst": worst.name, "layers": rows }),
        );
    }
    let rows: Vec<Vec<String>> = layers
        .iter()
        .map(|l| {
            vec![
                l.name.clone(),
                format!("{:.2}", l.snr_db()),
                format!("{:.5}", l.cosine()),
                format!("{:.4}", l.max_abs),
            ]
        })
        .collect();
    print!(
        "{}",
        table(&["tensor", "snr dB", "cosine", "max |float - int8|"], &rows)
    );
    Ok(())
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
