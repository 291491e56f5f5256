//! A folder of its own for each test, and the program run in it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use npyz::WriterBuilder;
use serde_json::Value;
use tempfile::TempDir;

use crate::onnx;

/// The program.
pub(crate) fn ocellus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocellus"));
    // A debugging setting of the caller must not change what users read.
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_LOG");
    command
}

/// A folder with a test's files.
pub(crate) struct Workspace {
    folder: TempDir,
}

/// What the program said.
pub(crate) struct Said {
    pub(crate) output: Output,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workspace {
    /// With `model.onnx`, the classifier of [`onnx::classifier`].
    pub(crate) fn new() -> Workspace {
        let workspace = Workspace {
            folder: tempfile::tempdir().unwrap(),
        };
        workspace.write("model.onnx", &onnx::classifier().bytes());
        workspace
    }

    /// And with `model.oce`, made of it.
    pub(crate) fn converted() -> Workspace {
        let workspace = Workspace::new();
        workspace.convert("model.onnx", "model.oce");
        workspace
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// An 8x8 picture; others for other seeds.
    pub(crate) fn picture(&self, name: &str, seed: u8) {
        let pixels = (0..8 * 8 * 3_u32).map(|i| {
            (i as u8)
                .wrapping_mul(29)
                .wrapping_add(seed.wrapping_mul(83))
        });
        let mut bytes = b"P6\n8 8\n255\n".to_vec();
        bytes.extend(pixels);
        self.write(name, &bytes);
    }

    /// A `.npy` file of real numbers.
    pub(crate) fn npy(&self, name: &str, shape: &[u64], values: &[f32]) {
        self.npy_in_order(name, shape, values, npyz::Order::C);
    }

    pub(crate) fn npy_in_order(
        &self,
        name: &str,
        shape: &[u64],
        values: &[f32],
        order: npyz::Order,
    ) {
        let file = File::create(self.path(name)).unwrap();
        let options = npyz::WriteOptions::new()
            .default_dtype()
            .shape(shape)
            .order(order);
        let mut writer = options.writer(file).begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
    }

    /// A `.npz` file with one array.
    pub(crate) fn npz(&self, name: &str, array: &str, shape: &[u64], values: &[f32]) {
        let mut archive = npyz::npz::NpzWriter::create(self.path(name)).unwrap();
        let mut writer = archive
            .array(array, Default::default())
            .unwrap()
            .default_dtype()
            .shape(shape)
            .begin_nd()
            .unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
    }

    /// Names of all that lies in the folder itself, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Runs the program in the folder.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Said {
        let output = ocellus()
            .args(args)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Said {
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            output,
        }
    }

    /// Runs a command that must succeed.
    pub(crate) fn succeed(&self, args: &[&str]) -> Said {
        let said = self.run(args);
        assert!(said.output.status.success(), "{args:?}: {}", said.stderr);
        said
    }

    /// Runs a command that must succeed, and gives its one object.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let said = self.succeed(&args);
        // Anything beside one object is a syntax error here.
        let value: Value =
            serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {}", said.stdout));
        assert_eq!(value["schema"], 1, "{value}");
        assert_eq!(value["tool_version"], env!("CARGO_PKG_VERSION"), "{value}");
        value
    }

    /// Converts on noise.
    pub(crate) fn convert(&self, model: &str, output: &str) {
        self.succeed(&["convert", model, "-o", output, "--calibrate", "synthetic:7"]);
    }

    /// Runs a command that must be refused: a non-zero exit, one paragraph on standard error with all of `words`, nothing on standard output,
    /// and no file that was not there before. With `--json` the same.
    pub(crate) fn refused(&self, args: &[&str], words: &[&str]) {
        let with_json: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        for args in [args, &with_json] {
            let before = self.names();
            let said = self.run(args);
            assert_eq!(
                said.output.status.code(),
                Some(1),
                "{args:?}: {}",
                said.stderr
            );
            assert_eq!(said.stdout, "", "{args:?}");
            paragraph(&said.stderr, words);
            assert_eq!(self.names(), before, "{args:?} left something");
        }
    }

    /// Converts on noise to `out.oce`, which must be refused.
    pub(crate) fn convert_refused(&self, model: &str, more: &[&str], words: &[&str]) {
        let mut args = vec!["convert", model, "-o", "out.oce"];
        if !more.contains(&"--calibrate") {
            args.extend(["--calibrate", "synthetic:7"]);
        }
        args.extend(more);
        self.refused(&args, words);
    }
}

/// One paragraph for people, with all of `words`.
pub(crate) fn paragraph(text: &str, words: &[&str]) {
    let message = text
        .strip_prefix("error: ")
        .unwrap_or_else(|| panic!("no error: {text}"))
        .trim_end_matches('\n');
    assert!(!message.contains('\n'), "not one paragraph: {text}");
    assert!(
        (20..1200).contains(&message.len()),
        "{} characters: {text}",
        message.len()
    );
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    for word in [
        "panicked",
        "backtrace",
        "RUST_",
        "called `",
        "Some(",
        "None)",
        "Err(",
        "Ok(",
        "unwrap",
        ".rs:",
        " { ",
        "::",
    ] {
        assert!(
            !message.contains(word),
            "`{word}` is for programmers: {message}"
        );
    }
    // A cause that repeats what was said already.
    let parts: Vec<&str> = message.split(": ").collect();
    for pair in parts.windows(2) {
        assert!(pair[0] != pair[1], "says `{}` twice: {message}", pair[0]);
    }
}

/// What does not exist anywhere below.
pub(crate) fn absent(path: &Path) {
    assert!(!path.exists(), "{} must not exist", path.display());
}
