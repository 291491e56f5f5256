//! `ocellus-board-linux --requests FILE --responses FILE [--model FILE] [--frames FILE] [--isa NAME] [--name BOARD]`

use std::fs::{self, File};
use std::io::BufReader;
use std::process::ExitCode;

use ocellus::format::Isa;
use ocellus::kernels::best;
use ocellus_board_linux::{Process, StreamCamera, Streams};
use ocellus_format::AlignedBytes;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ocellus-board-linux: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let (mut requests, mut responses, mut model, mut frames) = (None, None, None, None);
    let (mut isa, mut name) = (best(), "linux".to_owned());
    while let Some(option) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--requests" => requests = Some(value),
            "--responses" => responses = Some(value),
            "--model" => model = Some(value),
            "--frames" => frames = Some(value),
            "--name" => name = value,
            "--isa" => {
                let found = Isa::ALL.into_iter().find(|isa| isa.name() == value);
                isa = found.ok_or_else(|| format!("no instruction set is called `{value}`"))?;
            }
            _ => return Err(format!("{option} is not known")),
        }
    }
    let open = |path: &str| {
        File::open(path)
            .map(BufReader::new)
            .map_err(|e| format!("{path}: {e}"))
    };
    let responses = responses.ok_or("--responses is missing")?;
    let model = match model {
        Some(path) => fs::read(&path).map_err(|e| format!("{path}: {e}"))?,
        None => Vec::new(),
    };
    let process = Process {
        name,
        model: AlignedBytes::from(model.as_slice()),
        camera: StreamCamera::new(frames.as_deref().map(open).transpose()?),
        link: Streams {
            requests: open(requests.as_deref().ok_or("--requests is missing")?)?,
            responses: File::create(&responses).map_err(|e| format!("{responses}: {e}"))?,
        },
    };
    process.serve(isa).map_err(|e| e.to_string())
}
