//! What a user sees while something is fetched or installed.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Hears what is going on. Lines come from several threads.
pub trait Progress: Sync {
    /// A step begins; the one before has ended.
    fn begin(&self, what: &str);
    /// The step's program wrote a line.
    fn line(&self, line: &str);
    /// So much has arrived; `total_bytes` is approximate.
    fn bytes(&self, done_bytes: u64, total_bytes: Option<u64>);
    /// The step ended.
    fn end(&self, succeeded: bool);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _: &str) {}
    fn line(&self, _: &str) {}
    fn bytes(&self, _: u64, _: Option<u64>) {}
    fn end(&self, _: bool) {}
}

/// A spinner on standard error; plain lines where that is not a terminal.
#[derive(Debug, Default)]
pub struct Terminal {
    step: Mutex<Option<(String, ProgressBar)>>,
}

impl Terminal {
    /// No step yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(&self, f: impl FnOnce(&mut Option<(String, ProgressBar)>)) {
        // A poisoned lock means that another thread failed while printing: the state is still a plain value.
        f(&mut self
            .step
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// Lines of a program are cut to this many characters, so that a spinner stays on one row.
const SHOWN_CHARS: usize = 70;

impl Progress for Terminal {
    fn begin(&self, what: &str) {
        self.with(|step| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            if !std::io::stderr().is_terminal() {
                eprintln!("{what} ...");
            }
            *step = Some((what.to_owned(), bar));
        });
    }

    fn line(&self, line: &str) {
        self.with(|step| {
            if let Some((_, bar)) = step {
                bar.set_message(line.trim().chars().take(SHOWN_CHARS).collect::<String>());
            }
        });
    }

    fn bytes(&self, done_bytes: u64, total_bytes: Option<u64>) {
        self.with(|step| {
            if let Some((_, bar)) = step {
                let of = total_bytes.map_or(Cow::Borrowed(""), |t| {
                    format!(" of about {}", HumanBytes(t)).into()
                });
                bar.set_message(format!("{}{of}", HumanBytes(done_bytes)));
            }
        });
    }

    fn end(&self, succeeded: bool) {
        self.with(|step| {
            if let Some((what, bar)) = step.take() {
                let seconds = bar.elapsed().as_secs();
                bar.finish_and_clear();
                eprintln!(
                    "{what}: {} ({seconds} s)",
                    if succeeded { "done" } else { "failed" }
                );
            }
        });
    }
}
