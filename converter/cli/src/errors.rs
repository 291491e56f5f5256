//! Float against int8, tensor by tensor: what `compare` prints and a report draws.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, bail};
use ocellus_compile::Passes;
use ocellus_compile::equalize::Factors;
use ocellus_compile::interpret::{Tapped, Taps};
use ocellus_evaluate::{LayerError, OwnError, Share, worst_first};
use ocellus_ir::{Executor, Graph, Masks};

use crate::commands::convert::border_of;
use crate::commands::run::{inputs_read, run_here};
use crate::input::{Border, Given};
use crate::output::progress;
use crate::source::{FloatModel, ModelFile, Source};

/// A tensor's error.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) error: LayerError,
    /// Signal to noise lost against the worst of the layer's inputs.
    pub(crate) lost_db: Option<f64>,
    /// What the layer does wrong itself, on the inputs that it read: its worst channel.
    pub(crate) own: Option<Share>,
    /// What its range cuts off: the channel that loses most.
    pub(crate) clipped: Option<Share>,
}

impl Row {
    pub(crate) fn name(&self) -> &str {
        &self.error.name
    }
}

/// Errors of all tensors that float and int8 share.
#[derive(Clone, Debug)]
pub(crate) struct Errors {
    /// Worst signal to noise first.
    pub(crate) rows: Vec<Row>,
    /// The layer to look at first.
    pub(crate) suspect: Option<String>,
    pub(crate) samples: usize,
}

/// What each sample of a comparison shows of the int8 side: a tensor by its name.
pub(crate) type Seen<'a> = &'a mut dyn FnMut(&str, &Tapped);

/// Compares a model file with the float model that it was made of.
///
/// `seen` gets each int8 tensor that has a float twin.
pub(crate) fn measure(
    float: &Path,
    file: &ModelFile,
    name: &Path,
    mut source: Source,
    inputs: &mut dyn ExactSizeIterator<Item = Result<Given>>,
    seen: Seen<'_>,
) -> Result<Errors> {
    let info = file.interpreter.info();
    if source.options.input_shapes.is_empty() {
        source.options.input_shapes = recorded_shapes(&info.options);
    }
    if source.options.outputs.is_empty() {
        source.options.outputs = recorded_cuts(&info.options);
    }
    let disabled: Vec<String> = info
        .options
        .iter()
        .filter(|(key, name)| key == "no-pass" && !Passes::NAMES.contains(&name.as_str()))
        .map(|(_, name)| name.clone())
        .collect();
    let model = FloatModel::open(float, &source, &disabled)?;
    // The tensors of the file have the factors that its conversion gave to their channels.
    let graph = &Factors::from_options(model.graph(), &info.options).apply(model.graph());
    let [input] = &graph.inputs[..] else {
        bail!(
            "{}: comparing needs a model with one input",
            float.display()
        )
    };
    let border: Border = border_of(input);
    let preprocess = match file.task()?.0 {
        Some(preprocess) => preprocess,
        None => source.preprocess(input.border)?,
    };
    let mut layers: Vec<LayerError> = info.tensor_names.iter().map(LayerError::new).collect();
    let mut own: Vec<OwnError> = vec![OwnError::default(); layers.len()];
    let by_name: HashMap<&str, usize> = info
        .tensor_names
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), i))
        .collect();
    let masks = Masks::of(graph);
    let mut executor = Executor::new(graph)?;
    let samples = inputs.len();
    let bar = progress(samples as u64, "comparing");
    for given in inputs {
        let given = given?;
        let taps = taps(file, &given, &graph.tensor(input.tensor).name)?;
        let tapped = |id| {
            let name = graph.tensor(id).name.as_str();
            Some((*by_name.get(name)?, taps.get(name)?))
        };
        let (values, _) = given.in_file_order(&border, &preprocess)?;
        executor.run(&[&values], &mut |id, float| {
            if let Some((layer, tapped)) = tapped(id)
                && id != input.tensor
            {
                let int8 = tapped.dequantized();
                layers[layer].add(&masks.seen(id, float), &masks.seen(id, &int8));
                seen(&graph.tensor(id).name, tapped);
            }
        })?;
        // Once more, each layer on the int8 layer's own inputs.
        executor.run_replacing(&[&values], &mut |id, float| {
            if let Some((layer, tapped)) = tapped(id)
                && tapped.values.len() == float.len()
            {
                let int8 = tapped.dequantized();
                if id != input.tensor {
                    let channels = graph.tensor(id).shape.last().copied().unwrap_or(1);
                    let q = tapped.qparams;
                    let range = (q.dequantize(-128), q.dequantize(127));
                    let (float, int8) = (masks.seen(id, float), masks.seen(id, &int8));
                    own[layer].add(&float, &int8, channels, q.scale, range);
                }
                float.copy_from_slice(&int8);
            }
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let own: HashMap<String, OwnError> = layers
        .iter()
        .zip(own)
        .map(|(layer, own)| (layer.name.clone(), own))
        .collect();
    layers.retain(|layer| layer.values > 0);
    if layers.is_empty() {
        bail!(
            "{} and {} share no tensor by name; give the float model that it was made of, {}",
            float.display(),
            name.display(),
            info.source_name
        );
    }
    if model.imported.source_sha256 != info.source_sha256 {
        eprintln!(
            "note: {} was made from another file ({}); tensors are compared by name",
            name.display(),
            info.source_name
        );
    }
    let lost = losses(graph, &layers);
    worst_first(&mut layers);
    let rows: Vec<Row> = layers
        .into_iter()
        .map(|error| Row {
            lost_db: lost.get(&error.name).copied(),
            own: own.get(&error.name).and_then(OwnError::worst),
            clipped: own.get(&error.name).and_then(OwnError::worst_clipped),
            error,
        })
        .collect();
    Ok(Errors {
        suspect: suspect(&rows),
        samples,
        rows,
    })
}

/// Every tensor of a run, the model's input included.
fn taps(file: &ModelFile, given: &Given, input: &str) -> Result<HashMap<String, Tapped>> {
    let given = std::slice::from_ref(given);
    let mut taps = run_here(file, given, None, Taps::All)?.outcome.taps;
    if let Some(read) = inputs_read(file, given)?.into_iter().next() {
        taps.insert(input.to_owned(), read);
    }
    Ok(taps)
}

/// A tensor of 8 bits has no more signal to noise than about this; what is above counts as perfect.
const CEILING_DB: f64 = 50.0;

/// A layer is suspect whose worst channel has an error of a tenth of its signal.
const SUSPECT_SHARE: f64 = 0.1;

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

/// The layer that is most wrong inside its range, if it is much; else the one that cuts off most, if that is much.
fn suspect(rows: &[Row]) -> Option<String> {
    let largest = |share: fn(&Row) -> Option<Share>| {
        let errors = rows.iter().filter_map(|row| Some((row, share(row)?.error)));
        errors
            .filter(|(_, error)| *error >= SUSPECT_SHARE)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(row, _)| row.name().to_owned())
    };
    largest(|row| row.own).or_else(|| largest(|row| row.clipped))
}

/// The tensors at which a conversion ended the model, from the model file's record.
pub(crate) fn recorded_cuts(options: &[(String, String)]) -> Vec<String> {
    let cuts = options.iter().filter(|(key, _)| key == "cut");
    cuts.map(|(_, name)| name.clone()).collect()
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
