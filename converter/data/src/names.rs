use std::collections::BTreeMap;
use std::path::Path;

use saphyr::{LoadableYamlNode, Yaml};

use crate::DataError;

/// The names of a data set's classes, out of the YAML file that describes it: a list or a map from numbers, under `names` or `classes`, at the top or
/// one level below.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Labels`] where it is no YAML or names no classes.
pub fn read_class_names(path: &Path) -> Result<BTreeMap<usize, String>, DataError> {
    let text = std::fs::read_to_string(path).map_err(DataError::io(path))?;
    let error = |reason: String| DataError::Labels {
        path: path.to_owned(),
        reason,
    };
    let documents = Yaml::load_from_str(&text).map_err(|e| error(e.to_string()))?;
    documents
        .first()
        .and_then(|document| {
            named(document).or_else(|| document.as_mapping()?.values().find_map(named))
        })
        .ok_or_else(|| {
            error(
                "no class names; they are a list, or a map from numbers, under `names` or `classes`"
                    .to_owned(),
            )
        })
}

fn named(node: &Yaml<'_>) -> Option<BTreeMap<usize, String>> {
    node.as_mapping()?;
    let names = ["names", "classes"]
        .into_iter()
        .find_map(|key| node.as_mapping_get(key))?;
    if let Some(list) = names.as_sequence() {
        return list
            .iter()
            .enumerate()
            .map(|(class, name)| Some((class, name.as_str()?.to_owned())))
            .collect();
    }
    names
        .as_mapping()?
        .iter()
        .map(|(class, name)| {
            let class = usize::try_from(class.as_integer()?).ok()?;
            Some((class, name.as_str()?.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<BTreeMap<usize, String>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.yaml");
        std::fs::write(&path, text).unwrap();
        read_class_names(&path)
    }

    #[test]
    fn lists_and_maps_are_read() {
        let wanted = BTreeMap::from([(0, "person".to_owned()), (1, "traffic light".to_owned())]);
        for text in [
            "path: .\nnames:\n  0: person\n  1: traffic light\n",
            "names: [person, traffic light]\n",
            "train:\n  classes:\n    0: person\n    1: traffic light\n",
        ] {
            assert_eq!(names(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_names_no_classes_is_named() {
        for text in [
            "",
            "path: .",
            "names: 3",
            "names: {a: b}",
            "names: [",
            "- 1",
        ] {
            let message = names(text).unwrap_err().to_string();
            assert!(message.contains("data.yaml"), "{text}: {message}");
        }
    }
}
