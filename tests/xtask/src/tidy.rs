//! Rules about the tree that no compiler knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ocellus::OpTable;
use ocellus_format::Isa;
use ocellus_format::ops::OpCode;
use ocellus_kernels::Reference;
use ocellus_setup::Host;

use crate::steps::Failure;

/// A source file of more lines holds two ideas.
const MAX_LINES: usize = 800;

/// What the root may hold, folders and files.
const TOP_LEVEL: [&str; 17] = [
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "boards",
    "converter",
    "deny.toml",
    "docs",
    "firmware",
    "runtime",
    "tests",
];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "misc", "helpers", "helper"];

/// Macros that mark unfinished work.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Collects what is wrong.
type Findings = Vec<String>;

/// The tracked files.
struct Tree {
    root: PathBuf,
    files: Vec<String>,
}

/// Checks every rule, and names everything that breaks one.
pub(crate) fn run(host: &Host) -> Result<(), Failure> {
    let tree = Tree::tracked(host)?;
    let mut findings = Findings::new();
    for rule in [places, names, sources, members, changelog, operators] {
        rule(&tree, &mut findings);
    }
    if findings.is_empty() {
        eprintln!("  {} tracked files", tree.files.len());
        return Ok(());
    }
    Err(Failure {
        what: format!("{} findings:\n  {}", findings.len(), findings.join("\n  ")),
        remedy: "Each line says what to do.".to_owned(),
    })
}

impl Tree {
    /// What git tracks, or would if it were added; what was deleted is left out.
    fn tracked(host: &Host) -> Result<Tree, Failure> {
        let list = [
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ];
        let failed = |what: String| Failure {
            what,
            remedy:
                "The rules are about tracked files: run it in a git checkout, with git installed."
                    .to_owned(),
        };
        let output = Command::new("git")
            .arg("-C")
            .arg(&host.root)
            .args(list)
            .output()
            .map_err(|error| failed(format!("git does not start: {error}")))?;
        if !output.status.success() {
            return Err(failed(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ));
        }
        let names = String::from_utf8_lossy(&output.stdout);
        let files = names
            .split('\0')
            .filter(|name| !name.is_empty() && host.root.join(name).is_file())
            .map(str::to_owned)
            .collect();
        Ok(Tree {
            root: host.root.clone(),
            files,
        })
    }

    /// A file's text; empty where it is missing or no text.
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file == name)
    }
}

/// The root holds what the architecture names.
fn places(tree: &Tree, findings: &mut Findings) {
    let top: BTreeSet<&str> = tree
        .files
        .iter()
        .filter_map(|file| file.split('/').next())
        .collect();
    for name in top.iter().filter(|name| !TOP_LEVEL.contains(name)) {
        findings.push(format!(
            "{name}: not in the root; move it into the folder it belongs to"
        ));
    }
}

/// File and folder names say what is inside.
fn names(tree: &Tree, findings: &mut Findings) {
    for file in tree.files.iter().filter(|file| file.ends_with(".rs")) {
        let parts = file.trim_end_matches(".rs").split('/');
        for part in parts.filter(|part| EMPTY_NAMES.contains(part)) {
            findings.push(format!(
                "{file}: `{part}` says nothing; name the idea that it holds"
            ));
        }
    }
}

/// Sources are short and finished.
fn sources(tree: &Tree, findings: &mut Findings) {
    for file in tree.files.iter().filter(|file| file.ends_with(".rs")) {
        let text = tree.text(file);
        let count = text.lines().count();
        if count > MAX_LINES {
            findings.push(format!(
                "{file}: {count} lines, more than {MAX_LINES}; split it by ideas"
            ));
        }
        for (number, line) in (1..).zip(text.lines()) {
            for name in UNFINISHED {
                if line.contains(&format!("{name}!(")) {
                    findings.push(format!(
                        "{file}:{number}: `{name}!` marks unfinished work; finish it, or refuse with an error"
                    ));
                }
            }
        }
    }
}

/// Every crate is a member, and every member is built and tested by default.
fn members(tree: &Tree, findings: &mut Findings) {
    let manifest: toml::Table = match tree.text("Cargo.toml").parse() {
        Ok(manifest) => manifest,
        Err(error) => {
            findings.push(format!("Cargo.toml: {error}"));
            return;
        }
    };
    let list = |key: &str| -> BTreeSet<String> {
        let entries = manifest
            .get("workspace")
            .and_then(|workspace| workspace.get(key))
            .and_then(toml::Value::as_array);
        entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.as_str().map(str::to_owned))
            .collect()
    };
    let (members, default, exclude) = (list("members"), list("default-members"), list("exclude"));
    for name in members.symmetric_difference(&default) {
        findings.push(format!(
            "Cargo.toml: {name} is in one of `members` and `default-members`; put it in both, so that `cargo test` runs it"
        ));
    }
    let crates: BTreeSet<String> = tree
        .files
        .iter()
        .filter_map(|file| file.strip_suffix("/Cargo.toml").map(str::to_owned))
        .collect();
    for name in &crates {
        if !members.contains(name) && !exclude.contains(name) {
            findings.push(format!(
                "{name}: in neither `members` nor `exclude` of the root Cargo.toml; add it"
            ));
        }
        // A crate outside the workspace has nothing to inherit.
        let inherits = tree
            .text(&format!("{name}/Cargo.toml"))
            .parse::<toml::Table>()
            .is_ok_and(|own| own.contains_key("lints"));
        if members.contains(name) && !inherits {
            findings.push(format!(
                "{name}/Cargo.toml: no lints; write `[lints]` and `workspace = true`"
            ));
        }
    }
    for name in members.union(&exclude) {
        if !crates.contains(name) {
            findings.push(format!(
                "Cargo.toml: {name} is no crate of the tree; remove it"
            ));
        }
    }
}

/// Users can read what changed.
fn changelog(tree: &Tree, findings: &mut Findings) {
    let mut fragments = tree
        .files
        .iter()
        .filter(|file| Path::new(file).starts_with("docs/changelog"))
        .peekable();
    if fragments.peek().is_none() {
        findings.push("docs/changelog: empty; write a fragment, NAME.md, for the user".to_owned());
    }
    for file in fragments {
        if !file.ends_with(".md") || tree.text(file).trim().is_empty() {
            findings.push(format!("{file}: a fragment is Markdown, and not empty"));
        }
    }
}

/// Every operator of the format is defined, computed, linked, tested and described.
fn operators(tree: &Tree, findings: &mut Findings) {
    let (format, numerics) = (
        tree.text("docs/model-format.md"),
        tree.text("docs/numerics.md"),
    );
    let table = OpTable::<Reference>::ALL;
    for op in OpCode::ALL {
        let (name, code) = (op.name(), op as u8);
        let reference = format!("runtime/kernels/src/reference/{name}.rs");
        let wants = [
            (
                tree.has(&reference),
                format!("write the reference kernel, {reference}"),
            ),
            (
                table.contains(op),
                "add it to `OpTable::ALL` in runtime/engine/src/table.rs".to_owned(),
            ),
            (
                ocellus_cases::choice(Isa::Reference, op, 0).is_some(),
                "add its cases to the table in tests/cases/src/lib.rs".to_owned(),
            ),
            (
                format.contains(&format!("| {code} | `{name}` |")),
                "add its row to the table of operators in docs/model-format.md".to_owned(),
            ),
            (
                numerics.contains(&format!("`{name}`")),
                "write its arithmetic down in docs/numerics.md".to_owned(),
            ),
        ];
        for (_, remedy) in wants.iter().filter(|(holds, _)| !holds) {
            findings.push(format!("operator {name}: {remedy}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of these files.
    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        let tree = Tree {
            root: folder.path().to_owned(),
            files: files.iter().map(|(name, _)| (*name).to_owned()).collect(),
        };
        (folder, tree)
    }

    fn findings(rule: fn(&Tree, &mut Findings), files: &[(&str, &str)]) -> Findings {
        let (_folder, tree) = tree(files);
        let mut findings = Findings::new();
        rule(&tree, &mut findings);
        findings
    }

    #[test]
    fn a_stray_file_in_the_root_is_found() {
        assert_eq!(
            findings(places, &[("README.md", "x"), ("docs/a.md", "x")]),
            Findings::new()
        );
        let found = findings(places, &[("notes.txt", "x"), ("scratch/a.rs", "")]);
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("notes.txt:"), "{found:?}");
    }

    #[test]
    fn a_name_without_meaning_is_found() {
        assert_eq!(
            findings(names, &[("runtime/a/src/commonly.rs", "")]),
            Findings::new()
        );
        assert_eq!(
            findings(
                names,
                &[("runtime/a/src/utils.rs", ""), ("tests/common/mod.rs", "")]
            )
            .len(),
            2
        );
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(
            findings(sources, &[("a.rs", &"\n".repeat(MAX_LINES))]),
            Findings::new()
        );
        assert_eq!(
            findings(sources, &[("a.rs", &"\n".repeat(MAX_LINES + 1))]).len(),
            1
        );
    }

    #[test]
    fn unfinished_work_is_found_with_its_line() {
        let text = format!("fn a() {{\n    {}!()\n}}\n", UNFINISHED[0]);
        let found = findings(sources, &[("a.rs", &text)]);
        assert!(
            found.len() == 1 && found[0].starts_with("a.rs:2:"),
            "{found:?}"
        );
    }

    #[test]
    fn a_crate_outside_the_workspace_is_found() {
        let good = "[workspace]\nmembers = [\"a\"]\ndefault-members = [\"a\"]\nexclude = [\"b\"]\n";
        let lints = "[lints]\nworkspace = true\n";
        let crates = [("a/Cargo.toml", lints), ("b/Cargo.toml", lints)];
        let with = |root: &'static str, more: &[(&'static str, &'static str)]| {
            findings(
                members,
                &[&[("Cargo.toml", root)], &crates[..], more].concat(),
            )
        };
        assert_eq!(with(good, &[]), Findings::new());
        assert_eq!(
            with(good, &[("c/Cargo.toml", lints)]).len(),
            1,
            "c is nowhere"
        );
        assert_eq!(
            with("[workspace]\nmembers = [\"a\"]\nexclude = [\"b\"]\n", &[]).len(),
            1,
            "a is not tested"
        );
        assert_eq!(
            findings(
                members,
                &[
                    ("Cargo.toml", good),
                    ("a/Cargo.toml", ""),
                    ("b/Cargo.toml", lints)
                ]
            )
            .len(),
            1,
            "a has no lints"
        );
        assert_eq!(
            findings(members, &[("Cargo.toml", good), ("a/Cargo.toml", lints)]).len(),
            1,
            "b is gone"
        );
    }

    #[test]
    fn an_empty_changelog_is_found() {
        assert_eq!(
            findings(changelog, &[("docs/changelog/first.md", "New: it runs.\n")]),
            Findings::new()
        );
        assert_eq!(findings(changelog, &[("docs/a.md", "x")]).len(), 1);
        assert_eq!(
            findings(changelog, &[("docs/changelog/first.md", "\n")]).len(),
            1
        );
    }

    #[test]
    fn an_operator_without_documents_is_found() {
        let count = OpCode::ALL.len();
        assert_eq!(findings(operators, &[("README.md", "")]).len(), 3 * count);
        let kernel = ("runtime/kernels/src/reference/add.rs", "");
        let row = ("docs/model-format.md", "| 7 | `add` |\n");
        assert_eq!(findings(operators, &[kernel, row]).len(), 3 * count - 2);
    }
}
