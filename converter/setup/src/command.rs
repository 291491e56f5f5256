//! Runs a program, shows what it says, and keeps its last lines for the error.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::{Host, Progress, SetupError};

const TAIL_LINES: usize = 15;
const POLL: Duration = Duration::from_millis(100);

/// A program to run and what to watch meanwhile.
pub(crate) struct Run<'a> {
    pub(crate) what: String,
    pub(crate) command: Command,
    /// A folder that fills, and about how much it will hold.
    pub(crate) watch: Option<(&'a Path, Option<u64>)>,
}

impl Run<'_> {
    pub(crate) fn new(host: &Host, what: impl Into<String>, program: impl AsRef<Path>) -> Self {
        let mut command = Command::new(program.as_ref());
        // English messages, because errors quote them.
        command
            .env("PATH", &host.path)
            .env("LC_ALL", "C.UTF-8")
            .current_dir(&host.root);
        Self {
            what: what.into(),
            command,
            watch: None,
        }
    }

    pub(crate) fn args<S: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        self.command.args(args);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self, progress: &dyn Progress) -> Result<(), SetupError> {
        let shown = shown(&self.command);
        let program = PathBuf::from(self.command.get_program());
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        progress.begin(&self.what);
        let result = self
            .command
            .spawn()
            .map_err(SetupError::io(program.clone()))
            .and_then(|mut child| {
                let tail = Mutex::new(VecDeque::new());
                let streams: [Option<Box<dyn Read + Send>>; 2] = [
                    child
                        .stdout
                        .take()
                        .map(|s| Box::new(s) as Box<dyn Read + Send>),
                    child
                        .stderr
                        .take()
                        .map(|s| Box::new(s) as Box<dyn Read + Send>),
                ];
                let status = std::thread::scope(|scope| {
                    for stream in streams.into_iter().flatten() {
                        let tail = &tail;
                        scope.spawn(move || read_lines(stream, tail, progress));
                    }
                    wait(&mut child, self.watch, progress)
                });
                let status = status.map_err(SetupError::io(program))?;
                if status.success() {
                    return Ok(());
                }
                let tail = tail.into_inner().unwrap_or_else(PoisonError::into_inner);
                Err(SetupError::Failed {
                    command: shown,
                    status: status.to_string(),
                    tail: Vec::from(tail).join("\n"),
                })
            });
        progress.end(result.is_ok());
        result
    }
}

fn wait(
    child: &mut Child,
    watch: Option<(&Path, Option<u64>)>,
    progress: &dyn Progress,
) -> std::io::Result<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Some((dir, total_bytes)) = watch {
            progress.bytes(folder_bytes(dir), total_bytes);
        }
        std::thread::sleep(POLL);
    }
}

fn read_lines(stream: impl Read, tail: &Mutex<VecDeque<String>>, progress: &dyn Progress) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.is_empty() {
            continue;
        }
        progress.line(&line);
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

/// What a program prints on standard output, if it succeeds.
pub(crate) fn output(host: &Host, program: &Path, args: &[&str]) -> Option<String> {
    let out = Run::new(host, "", program)
        .args(args)
        .command
        .output()
        .ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|w| w.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Bytes of all files below a folder.
fn folder_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => folder_bytes(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}
