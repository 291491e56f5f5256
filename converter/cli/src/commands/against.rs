//! `ocellus bench --against FILE`: this run beside an earlier one.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::output::{grouped, table};

/// Figures of a whole run that are compared, in the order of `bench`.
const FIGURES: [&str; 11] = [
    "macs",
    "instructions",
    "estimated_cycles",
    "wall_us",
    "load_instructions",
    "verify_instructions",
    "arena_bytes",
    "model_bytes",
    "code_bytes",
    "ram_bytes",
    "stack_bytes",
];

/// Figures of a layer, the first that both runs have.
const OF_LAYER: [&str; 3] = ["estimated_cycles", "instructions", "wall_us"];

/// A figure before and now; `None` where a run does not know it.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    name: String,
    before: Option<f64>,
    now: Option<f64>,
}

impl Pair {
    /// Now over before.
    fn ratio(&self) -> Option<f64> {
        let (before, now) = self.before.zip(self.now)?;
        (before > 0.0).then(|| now / before)
    }

    fn cells(&self) -> Vec<String> {
        let cell = |value: Option<f64>| match value {
            None => "-".to_owned(),
            Some(value) if value.fract() == 0.0 => grouped(value as u64),
            Some(value) => format!("{value:.1}"),
        };
        let ratio = self.ratio().map_or("-".to_owned(), |r| format!("{r:.3}"));
        vec![self.name.clone(), cell(self.before), cell(self.now), ratio]
    }

    fn to_json(&self) -> Value {
        json!({ "before": self.before, "ratio": self.ratio() })
    }
}

/// Two runs, the figures side by side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Against {
    file: String,
    /// Model and board of the earlier run.
    model: String,
    board: String,
    figures: Vec<Pair>,
    /// Layers that both runs have, in this one's order.
    layers: Vec<Pair>,
    /// Layers that one of them has.
    only_before: Vec<String>,
    only_now: Vec<String>,
}

/// What `ocellus bench --json` said earlier.
///
/// # Errors
/// The file cannot be read, or is none.
pub(crate) fn read(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let value: Value = serde_json::from_slice(&bytes).with_context(|| {
        let path = path.display();
        format!("{path}: no JSON; --against takes what `ocellus bench --json` printed")
    })?;
    ensure!(
        value.get("board").is_some_and(Value::is_string)
            && value.get("layers").is_some_and(Value::is_array),
        "{}: has no `board` and `layers`; --against takes what `ocellus bench --json` printed",
        path.display()
    );
    Ok(value)
}

impl Against {
    /// Compares `now` with `before`, each as [`read`] gives it.
    pub(crate) fn new(file: &Path, before: &Value, now: &Value) -> Against {
        let text = |value: &Value, field: &str| {
            let text = value.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let number = |value: &Value, field: &str| value.get(field).and_then(Value::as_f64);
        let figures = FIGURES
            .iter()
            .map(|&name| Pair {
                name: name.to_owned(),
                before: number(before, name),
                now: number(now, name),
            })
            .filter(|pair| pair.before.is_some() || pair.now.is_some())
            .collect();
        let layers_of = |value: &Value| -> VecDeque<(String, Value)> {
            let layers = value.get("layers").and_then(Value::as_array);
            let layers = layers.into_iter().flatten();
            layers
                .map(|layer| (text(layer, "name"), layer.clone()))
                .collect()
        };
        let mut earlier = layers_of(before);
        let (mut layers, mut only_now) = (Vec::new(), Vec::new());
        for (name, layer) in layers_of(now) {
            // Names repeat where a network has none: the first that is left.
            let Some(at) = earlier.iter().position(|(other, _)| *other == name) else {
                only_now.push(name);
                continue;
            };
            let (_, old) = earlier.remove(at).unwrap_or_default();
            let figure = OF_LAYER
                .into_iter()
                .find(|figure| number(&old, figure).is_some() && number(&layer, figure).is_some());
            layers.push(Pair {
                name,
                before: figure.and_then(|figure| number(&old, figure)),
                now: figure.and_then(|figure| number(&layer, figure)),
            });
        }
        Against {
            file: file.display().to_string(),
            model: text(before, "model"),
            board: text(before, "board"),
            figures,
            layers,
            only_before: earlier.into_iter().map(|(name, _)| name).collect(),
            only_now,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let figures: Map<String, Value> = self
            .figures
            .iter()
            .map(|pair| (pair.name.clone(), pair.to_json()))
            .collect();
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|pair| json!({ "name": pair.name, "before": pair.before, "now": pair.now, "ratio": pair.ratio() }))
            .collect();
        json!({
            "file": self.file, "model": self.model, "board": self.board, "figures": figures, "layers": layers,
            "only_before": self.only_before, "only_now": self.only_now,
        })
    }

    pub(crate) fn print(&self, board: &str) {
        println!();
        println!("against {} ({} on {})", self.file, self.model, self.board);
        if self.board != board {
            println!("  that was another board: what differs is not the model's doing alone");
        }
        let rows = |pairs: &[Pair]| -> Vec<Vec<String>> { pairs.iter().map(Pair::cells).collect() };
        print!(
            "{}",
            table(&["layer", "before", "now", "ratio"], &rows(&self.layers))
        );
        println!();
        print!(
            "{}",
            table(&["in all", "before", "now", "ratio"], &rows(&self.figures))
        );
        for (what, names) in [
            ("only before", &self.only_before),
            ("only now", &self.only_now),
        ] {
            if !names.is_empty() {
                println!("{what}: {}", names.join(", "));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(instructions: u64, layers: &[(&str, u64)]) -> Value {
        let layers: Vec<Value> = layers
            .iter()
            .map(|(name, cycles)| json!({ "name": name, "estimated_cycles": cycles, "instructions": 1 }))
            .collect();
        json!({ "model": "m.oce", "board": "b", "instructions": instructions, "wall_us": null, "layers": layers })
    }

    #[test]
    fn layers_meet_by_name_and_repeated_names_in_order() {
        let before = run(200, &[("conv", 10), ("conv", 20), ("old", 1)]);
        let now = run(100, &[("conv", 5), ("new", 1), ("conv", 5)]);
        let against = Against::new(Path::new("f.json"), &before, &now);
        let ratios: Vec<Option<f64>> = against.layers.iter().map(Pair::ratio).collect();
        assert_eq!(ratios, [Some(0.5), Some(0.25)]);
        assert_eq!(against.only_before, ["old"]);
        assert_eq!(against.only_now, ["new"]);
        assert_eq!(against.figures.len(), 1, "what neither knows is left out");
        assert_eq!(against.to_json()["figures"]["instructions"]["ratio"], 0.5);
    }
}
