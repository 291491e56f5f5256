//! Help, and words that the command line does not know.

use crate::workspace::{Workspace, ocellus, paragraph};

const COMMANDS: [&str; 14] = [
    "doctor", "convert", "run", "compare", "evaluate", "bench", "inspect", "report", "build",
    "flash", "keygen", "sign", "verify", "demo",
];

#[test]
fn help_lists_every_command() {
    let w = Workspace::new();
    let help = w.succeed(&["--help"]).stdout;
    for command in COMMANDS {
        assert!(help.contains(&format!("  {command}")), "{command}: {help}");
    }
}

#[test]
fn help_says_what_each_argument_is() {
    let w = Workspace::new();
    for command in COMMANDS {
        let help = w.succeed(&[command, "--help"]).stdout;
        assert!(
            help.contains("--json") && help.contains(&format!("Usage: ocellus {command}")),
            "{help}"
        );
        let lines: Vec<&str> = help.lines().collect();
        for (line, next) in lines.iter().zip(lines.iter().skip(1).chain([&""])) {
            let word = line.trim_start();
            let is_argument = line.starts_with("  ")
                && (word.starts_with('-') || word.starts_with('<') || word.starts_with('['));
            if is_argument {
                // The text follows two spaces behind the argument, or on the next line.
                assert!(
                    word.contains("  ") || next.starts_with("          "),
                    "{command}: `{word}` says nothing: {help}"
                );
            }
        }
    }
}

#[test]
fn options_of_the_issue_are_there() {
    let w = Workspace::new();
    for (command, options) in [
        ("doctor", &["--fix"][..]),
        (
            "convert",
            &[
                "--output",
                "--calibrate",
                "--recipe",
                "--isa",
                "--board",
                "--input",
            ],
        ),
        ("run", &["--outputs", "--board", "--isa", "--draw"]),
        ("evaluate", &["--data", "--against"]),
        ("bench", &["--board"]),
        ("inspect", &["--board"]),
        ("build", &["--board", "--operators"]),
        ("flash", &["--board", "--operators"]),
    ] {
        let help = w.succeed(&[command, "--help"]).stdout;
        for option in options {
            assert!(help.contains(option), "{command} {option}: {help}");
        }
    }
}

#[test]
fn words_that_are_unknown_are_named() {
    let w = Workspace::new();
    for (args, words) in [
        (&["convret"][..], &["convret", "convert"][..]),
        (&["convert", "model.onnx"], &["--output"]),
        (
            &["convert", "model.onnx", "-o", "a.oce", "--fast"],
            &["--fast"],
        ),
        (
            &["convert", "model.onnx", "-o", "a.oce", "--input", "x=1xN"],
            &["1xN", "NAME=1x3x224x224"],
        ),
        (
            &["convert", "model.onnx", "-o", "a.oce", "--every", "0"],
            &["0"],
        ),
        (
            &[
                "convert",
                "model.onnx",
                "-o",
                "a.oce",
                "--isa",
                "avx2",
                "--board",
                "host",
            ],
            &["--isa", "--board"],
        ),
        (&["run", "model.oce"], &["INPUT"]),
        (&["build", "model.oce"], &["--board"]),
        (
            &[
                "evaluate",
                "model.oce",
                "--data",
                "d",
                "--calibrated",
                "maybe",
            ],
            &["maybe", "refuse", "skip"],
        ),
        (&[], &["Usage"]),
    ] {
        let said = w.run(args);
        assert_eq!(
            said.output.status.code(),
            Some(2),
            "{args:?}: {}",
            said.stderr
        );
        assert_eq!(said.stdout, "", "{args:?}");
        for word in words {
            assert!(
                said.stderr.contains(word),
                "`{word}` is not in: {}",
                said.stderr
            );
        }
    }
}

/// A full disk behind standard output is said; a reader that has gone is not.
#[cfg(target_os = "linux")]
#[test]
fn standard_output_that_takes_no_more() {
    use std::process::Stdio;
    let w = Workspace::converted();
    let model = w.path("model.oce");
    for json in [&[][..], &["--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let inspect = |output: Stdio| {
            let mut command = ocellus();
            command.arg("inspect").arg(&model).args(json).stdout(output);
            command.stderr(Stdio::piped()).spawn().unwrap()
        };
        let said = inspect(full.unwrap().into()).wait_with_output().unwrap();
        assert_eq!(said.status.code(), Some(1));
        let text = String::from_utf8(said.stderr).unwrap();
        paragraph(&text, &["writing to standard output", "No space left"]);

        let mut reading = inspect(Stdio::piped());
        drop(reading.stdout.take());
        let said = reading.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(said.stderr).unwrap(), "");
    }
}

/// Nobody reads standard error any more: the program ends, and does not wait for anything.
#[test]
fn standard_error_that_nobody_reads() {
    use std::process::Stdio;
    let w = Workspace::converted();
    for args in [
        &["inspect", "nothing.oce"][..],
        &[
            "convert",
            "model.onnx",
            "--calibrate",
            "synthetic:1",
            "-o",
            "again.oce",
        ],
    ] {
        let mut command = ocellus();
        command.current_dir(w.path(".")).args(args);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        drop(running.stderr.take());
        let begun = std::time::Instant::now();
        let status = loop {
            if let Some(status) = running.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed().as_secs() < 60, "{args:?} never ends");
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(1), "{args:?}");
    }
}
