//! Reads the vector files that `vectors/generate.py` writes.

use std::{collections::HashMap, fs, path::Path};

/// One case: named numbers.
#[derive(Debug)]
pub struct Vector {
    /// The operator and a number.
    pub name: String,
    values: HashMap<String, Vec<i64>>,
}

impl Vector {
    /// All numbers of a name.
    ///
    /// # Panics
    /// Where the file does not have it.
    pub fn list(&self, name: &str) -> &[i64] {
        self.values
            .get(name)
            .unwrap_or_else(|| panic!("{} has no `{name}`", self.name))
    }

    /// All numbers of a name, in another type.
    ///
    /// # Panics
    /// Where the file does not have it or a number does not fit.
    pub fn all<T: TryFrom<i64>>(&self, name: &str) -> Vec<T> {
        let fit = |&n: &i64| {
            T::try_from(n).unwrap_or_else(|_| panic!("{}: `{name}` {n} does not fit", self.name))
        };
        self.list(name).iter().map(fit).collect()
    }

    /// The only number of a name.
    ///
    /// # Panics
    /// Where there is none, or more than one.
    pub fn one<T: TryFrom<i64>>(&self, name: &str) -> T {
        let mut all = self.all(name);
        assert_eq!(all.len(), 1, "{}: `{name}`", self.name);
        all.remove(0)
    }

    /// Four numbers of a name.
    ///
    /// # Panics
    /// Where there are not four.
    pub fn four<T: TryFrom<i64>>(&self, name: &str) -> [T; 4] {
        let all = self.all(name);
        let count = all.len();
        all.try_into()
            .unwrap_or_else(|_| panic!("{}: `{name}` has {count} numbers", self.name))
    }
}

/// The cases of a file.
///
/// # Panics
/// Where the file is missing or no vector file.
pub fn read(file: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(file)
        .with_extension("txt");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut vectors: Vec<Vector> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (key, rest) = line
            .split_once(' ')
            .unwrap_or_else(|| panic!("{}: line `{line}`", path.display()));
        if key == "case" {
            vectors.push(Vector {
                name: rest.to_owned(),
                values: HashMap::new(),
            });
            continue;
        }
        let numbers = match rest.strip_prefix("hex ") {
            Some(hex) => hex.as_bytes().chunks(2).map(s8).collect(),
            None => rest
                .split_whitespace()
                .map(|n| n.parse().expect("an integer"))
                .collect(),
        };
        let vector = vectors
            .last_mut()
            .unwrap_or_else(|| panic!("{}: no case before `{key}`", path.display()));
        vector.values.insert(key.to_owned(), numbers);
    }
    assert!(!vectors.is_empty(), "{} is empty", path.display());
    vectors
}

/// Two hexadecimal digits.
fn s8(digits: &[u8]) -> i64 {
    let text = std::str::from_utf8(digits).expect("ASCII");
    i64::from(u8::from_str_radix(text, 16).expect("hexadecimal") as i8)
}
