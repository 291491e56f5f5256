//! An emulator as a child process that never outlives its owner.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use ocellus_setup::Host;

use crate::BoardError;

/// Most bytes of the console that an error quotes.
const CONSOLE_BYTES: usize = 4000;

/// A running emulator.
pub(crate) struct Emulator {
    child: Child,
    /// What it wrote on standard output and error.
    console: PathBuf,
    pub(crate) program: String,
}

impl Emulator {
    /// Starts a program in a folder.
    pub(crate) fn start(
        host: &Host,
        program: &str,
        arguments: &[String],
        folder: &Path,
    ) -> Result<Emulator, BoardError> {
        let console = folder.join("console");
        let output = File::create(&console).map_err(BoardError::io(&console))?;
        let error = output.try_clone().map_err(BoardError::io(&console))?;
        let path = host.find(program).unwrap_or_else(|| PathBuf::from(program));
        // A tool that is killed cannot stop its emulator; where `setpriv` is installed, the kernel does.
        let mut command = match host.find("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL"]).arg(&path);
                command
            }
            None => Command::new(&path),
        };
        let child = command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(error)
            .spawn()
            .map_err(BoardError::io(&path))?;
        Ok(Emulator {
            child,
            console,
            program: program.to_owned(),
        })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, BoardError> {
        self.child.try_wait().map_err(BoardError::io(&self.program))
    }

    /// The end of what it wrote, as the tail of an error message.
    pub(crate) fn console(&self) -> String {
        let bytes = std::fs::read(&self.console).unwrap_or_default();
        let tail = bytes.len().saturating_sub(CONSOLE_BYTES);
        let text = String::from_utf8_lossy(&bytes[tail..]);
        match text.trim() {
            "" => String::new(),
            text => format!(":\n{text}"),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
