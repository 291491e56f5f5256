//! Models, inputs and outputs out of a file of arrays.

use std::collections::BTreeMap;
use std::path::Path;

use ocellus_data::{Array, Values, read_npz};

/// A model and what the peer made of its inputs.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) model: Vec<u8>,
    pub(crate) inputs: Vec<Array>,
    pub(crate) outputs: Vec<Array>,
    /// Tensors of the first sample by the file's names, where the file of arrays has them.
    pub(crate) tensors: BTreeMap<String, Array>,
}

/// The cases of a file, by name: arrays `NAME/model`, `NAME/x0`, `NAME/y0` and so on.
pub(crate) fn read(path: &Path) -> Vec<Case> {
    let arrays = read_npz(path).unwrap_or_else(|error| panic!("{error}"));
    cases(arrays)
}

/// The one case of a file of a whole model: arrays `model`, `x0`, `y0` with samples along the first axis, and `t/TENSOR`.
pub(crate) fn read_whole(path: &Path) -> Case {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let arrays = read_npz(path).unwrap_or_else(|error| panic!("{error}"));
    let named = arrays.into_iter();
    cases(
        named
            .map(|(key, array)| (format!("{name}/{key}"), array))
            .collect(),
    )
    .swap_remove(0)
}

fn cases(named: Vec<(String, Array)>) -> Vec<Case> {
    let mut arrays: BTreeMap<String, BTreeMap<String, Array>> = BTreeMap::new();
    for (key, array) in named {
        let (name, part) = key.split_once('/').expect("NAME/PART");
        let parts = arrays.entry(name.to_owned()).or_default();
        parts.insert(part.to_owned(), array);
    }
    let cases = arrays.into_iter().map(|(name, mut parts)| {
        let Some(Values::U8(model)) = parts.remove("model").map(|array| array.values) else {
            panic!("{name}: no model");
        };
        let mut series = |letter: &str| -> Vec<Array> {
            (0..)
                .map_while(|i| parts.remove(&format!("{letter}{i}")))
                .collect()
        };
        Case {
            model,
            inputs: series("x"),
            outputs: series("y"),
            tensors: parts
                .into_iter()
                .filter_map(|(key, array)| Some((key.strip_prefix("t/")?.to_owned(), array)))
                .collect(),
            name,
        }
    });
    cases.collect()
}
