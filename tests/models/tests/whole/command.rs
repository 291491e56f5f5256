//! The command itself, as a process: stopped at any moment, with any count of threads.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::onnx::small_network;

/// Moments at which a conversion is killed, spread over its length, and as many in its last tenth, where the file is written.
const MOMENTS: u32 = 12;

/// The command, which `cargo test` at the root builds beside the tests.
fn ocellus() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let folder = test.parent().and_then(Path::parent).expect("deps/..");
    let path = folder.join("ocellus");
    assert!(
        path.is_file(),
        "{}: not built; `cargo build --release --bin ocellus` builds it",
        path.display()
    );
    path
}

fn convert(folder: &Path, output: &str) -> Command {
    let mut command = Command::new(ocellus());
    command
        .current_dir(folder)
        .args(["convert", "network.onnx", "-o", output])
        .args(["--calibrate", "synthetic:3"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn folder_with_network(side: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("network.onnx"), small_network(side)).expect("written");
    folder
}

#[test]
fn a_killed_conversion_leaves_no_file_or_the_whole() {
    let folder = folder_with_network(160);
    let folder = folder.path();
    let start = Instant::now();
    assert!(
        convert(folder, "whole.oce")
            .status()
            .expect("it starts")
            .success()
    );
    let length = start.elapsed();
    let whole = std::fs::read(folder.join("whole.oce")).expect("the file");

    let spread = (0..MOMENTS).map(|i| length * i / MOMENTS);
    let end = (0..MOMENTS).map(|i| length * 9 / 10 + length * i / (8 * MOMENTS));
    let moments: Vec<Duration> = spread.chain(end).collect();
    let (mut without, mut with) = (0, 0);
    for (i, moment) in moments.iter().enumerate() {
        // Every other time there is a file already.
        let output = folder.join("out.oce");
        let before = (i % 2 == 1).then(|| b"what was there before".to_vec());
        match &before {
            Some(bytes) => std::fs::write(&output, bytes).expect("written"),
            None => drop(std::fs::remove_file(&output)),
        }
        let mut child = convert(folder, "out.oce").spawn().expect("it starts");
        std::thread::sleep(*moment);
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
        match std::fs::read(&output).ok() {
            Some(bytes) if bytes == whole => with += 1,
            found => {
                assert_eq!(found, before, "killed after {moment:?} of {length:?}");
                without += 1;
            }
        }
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            let is_model = path.extension().is_some_and(|e| e == "oce");
            let bytes = std::fs::read(&path).expect("a file");
            assert!(
                !is_model || bytes == whole || Some(&bytes) == before.as_ref(),
                "{}: half a model under the name of one",
                path.display()
            );
        }
    }
    assert!(without > 0, "none of {with} conversions was killed in time");
}

#[test]
fn the_command_gives_the_same_bytes_with_any_count_of_threads() {
    let folder = folder_with_network(48);
    let files = ["1", "2", "3", "2"].map(|threads| {
        let mut command = convert(folder.path(), "out.oce");
        let status = command.env("RAYON_NUM_THREADS", threads).status();
        assert!(status.expect("it starts").success());
        std::fs::read(folder.path().join("out.oce")).expect("the file")
    });
    assert!(files.iter().all(|file| *file == files[0]));
}
