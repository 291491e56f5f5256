//! Boards: what fits where, and conversations with them.

use anyhow::{Context, Result, bail};
use ocellus_board_api::PixelFormat;
use ocellus_board_file::{Board, Role, Slot};
use ocellus_board_host::{
    Answer, Contents, Event, Frame, Image, Job, Step, Variant, build_image, build_signed_image,
};
use ocellus_compile::budget::{OverBudget, Region, fit as fit_regions, places};
use ocellus_compile::interpret::{Outcome, Tapped};
use ocellus_compile::{Report, Target};
use ocellus_data::Picture;
use ocellus_setup::{Host, Need, Terminal, ensure};

use crate::anatomy;
use crate::commands::convert::isa_named;
use crate::commands::run::{Ran, quantized_inputs};
use crate::input::Given;
use crate::source::ModelFile;

/// Where a model lies on a board.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    pub(crate) board: String,
    pub(crate) model_region: String,
    /// The region of each part of the arena; empty where it does not fit.
    pub(crate) arena_regions: Vec<String>,
    /// Why it does not fit.
    pub(crate) refusal: Option<OverBudget>,
}

/// A board by name, or by the path of its file.
pub(crate) fn find(name: &str) -> Result<Board> {
    Ok(Board::find(name)?)
}

/// What a file for the board is made for.
pub(crate) fn target(board: &Board) -> Result<Target> {
    Ok(Target::Isa(isa_named(board.isa.name())?))
}

impl Fit {
    /// Why it does not fit, and what would make it.
    pub(crate) fn why_not(&self) -> Option<String> {
        self.refusal.as_ref().map(ToString::to_string)
    }

    /// The regions of the arena in words; `-` where it does not fit.
    pub(crate) fn arena_region(&self) -> String {
        match self.arena_regions.is_empty() {
            true => "-".to_owned(),
            false => joined(self.arena_regions.iter().map(String::as_str)),
        }
    }
}

/// Names of regions with ` + ` between, one that follows itself once.
pub(crate) fn joined<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    names.join(" + ")
}

/// Bytes of the memories in which an arena may lie, fast first; none where the operating system has the memory.
pub(crate) fn memories(board: &Board) -> Vec<u64> {
    let slots = board.slots_of(Role::Arena);
    slots.map(|(slot, _)| slot.size_bytes).collect()
}

/// The slot and region of each part of a file's arena.
///
/// # Errors
/// A part has no place.
pub(crate) fn part_slots<'b>(
    board: &'b Board,
    file: &ModelFile,
) -> Result<Vec<(&'b Slot, &'b ocellus_board_file::Region)>> {
    let view = file.view()?;
    let parts: Vec<u64> = view.parts().iter().map(|part| part.len() as u64).collect();
    let Some(places) = places(&parts, &memories(board)) else {
        // What has no place in parts has none as a whole.
        let whole = board.place(Role::Arena, u64::from(view.program().arena_bytes))?;
        return Ok(vec![whole]);
    };
    let slots: Vec<_> = board.slots_of(Role::Arena).collect();
    Ok(places.into_iter().map(|slot| slots[slot]).collect())
}

/// The regions in which a model and its arena may lie, fast first.
fn regions(board: &Board) -> Vec<Region> {
    let of = |role: Role, is_ram: bool| {
        board.slots_of(role).map(move |(slot, region)| Region {
            name: region.name.clone(),
            free_bytes: slot.size_bytes,
            is_ram,
        })
    };
    of(Role::Arena, true)
        .chain(of(Role::Model, false))
        .collect()
}

/// The error of a model without a place on a board: the reason, and which boards have one.
pub(crate) fn refused(board: &Board, reason: &str, report: &Report) -> Result<anyhow::Error> {
    let others = fits_everywhere(report)?;
    let others: Vec<&str> = (others.iter())
        .filter(|other| other.refusal.is_none())
        .map(|other| other.board.as_str())
        .collect();
    Ok(anyhow::anyhow!(
        "board `{}`: {reason}. It fits {}",
        board.name,
        others.join(", ")
    ))
}

/// Where a model lies on a board, or why it does not fit.
pub(crate) fn fit(board: &Board, report: &Report) -> Result<Fit> {
    let regions = regions(board);
    // A board without declared regions is a PC or a Linux machine: memory is the operating system's.
    if regions.is_empty() {
        let word = "memory of the system".to_owned();
        return Ok(Fit {
            board: board.name.clone(),
            model_region: word.clone(),
            arena_regions: vec![word],
            refusal: None,
        });
    }
    Ok(match fit_regions(report, &regions) {
        Ok(placement) => Fit {
            board: board.name.clone(),
            model_region: regions[placement.model].name.clone(),
            arena_regions: (placement.arena.iter())
                .map(|&region| regions[region].name.clone())
                .collect(),
            refusal: None,
        },
        Err(reason) => Fit {
            board: board.name.clone(),
            model_region: "-".to_owned(),
            arena_regions: Vec::new(),
            refusal: Some(reason),
        },
    })
}

/// Every known board.
pub(crate) fn fits_everywhere(report: &Report) -> Result<Vec<Fit>> {
    let boards = Board::all().context("reading the board files")?;
    boards.iter().map(|board| fit(board, report)).collect()
}

/// What a board needs to be started: the tools, and its image for a model.
pub(crate) struct Ready {
    pub(crate) host: Host,
    pub(crate) board: Board,
    pub(crate) image: Option<Image>,
}

/// What an image for a model holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Every operator, for models to come; else the model's.
    pub(crate) all_operators: bool,
    /// Camera and tasks, where the model's task section asks for them or other models may.
    pub(crate) vision: bool,
}

impl Wanted {
    /// What a run needs, from inputs that are set to outputs that are read.
    pub(crate) const RUN: Wanted = Wanted {
        all_operators: false,
        vision: false,
    };
    /// What the model asks for.
    pub(crate) const MODEL: Wanted = Wanted {
        all_operators: false,
        vision: true,
    };
}

/// Gets what is missing and builds the image for a model.
pub(crate) fn prepare(
    board: Board,
    file: &ModelFile,
    wanted: Wanted,
    variant: Variant,
) -> Result<Ready> {
    let (host, contents) = needs(&board, file, wanted)?;
    let image = build_image(&host, &board, &contents, variant, &Terminal::new())?;
    Ok(Ready { host, board, image })
}

/// As [`prepare`], for models of one signer.
pub(crate) fn prepare_signed(
    board: Board,
    file: &ModelFile,
    wanted: Wanted,
    signer: &[u8; 32],
) -> Result<Ready> {
    let (host, contents) = needs(&board, file, wanted)?;
    let image = build_signed_image(&host, &board, &contents, signer, &Terminal::new())?;
    if image.is_none() {
        bail!(
            "board `{}` has an operating system, and its firmware runs the file that its owner names; --require-signature is for boards without one",
            board.name
        );
    }
    Ok(Ready { host, board, image })
}

fn needs(board: &Board, file: &ModelFile, wanted: Wanted) -> Result<(Host, Contents)> {
    let host = Host::here()?;
    ensure(&Need::for_board(board), &host, &Terminal::new())?;
    let mut contents = match wanted.all_operators {
        true => Contents::ALL,
        false => Contents::of(&file.view()?),
    };
    contents.vision &= wanted.vision;
    Ok((host, contents))
}

/// Has a conversation, with a bar for the operators of each inference.
pub(crate) fn converse(ready: &Ready, job: &Job) -> Result<Vec<Answer>> {
    let bar = indicatif::ProgressBar::new_spinner().with_style(
        indicatif::ProgressStyle::with_template("{spinner} {msg} {pos}/{len} {elapsed}")
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_spinner()),
    );
    bar.set_message(format!("on {}: operators", ready.board.name));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let answers = ocellus_board_host::run(
        &ready.host,
        &ready.board,
        ready.image.as_ref(),
        job,
        &mut |event| {
            if let Event::Progress { done, total } = event {
                bar.set_length(u64::from(total));
                bar.set_position(u64::from(done));
            }
        },
    );
    bar.finish_and_clear();
    let answers = answers?;
    for (step, answer) in job.steps.iter().zip(&answers) {
        if let Answer::Refused(error) = answer {
            bail!(
                "board `{}` refused to {}: {error}",
                ready.board.name,
                deed(step)
            );
        }
    }
    Ok(answers)
}

fn deed(step: &Step) -> &'static str {
    match step {
        Step::Hello => "say who it is",
        Step::Verify => "verify the model",
        Step::Load => "load the model",
        Step::Input { .. } => "take an input",
        Step::Capture { .. } => "capture a frame",
        Step::Tap { .. } => "tap a tensor",
        Step::Infer { .. } => "run the model",
        Step::Output { .. } | Step::OutputHash { .. } => "give an output",
        Step::Task => "decode the outputs",
        Step::Memory => "measure its memory",
        Step::Conformance { .. } => "run the kernels' cases",
        _ => "answer",
    }
}

/// A picture as the board's camera sees it.
pub(crate) fn frame(picture: &Picture) -> Result<Frame> {
    let side = |side: u32| u16::try_from(side).context("a picture's side is above 65,535 pixels");
    Ok(Frame {
        width_px: side(picture.width_px)?,
        height_px: side(picture.height_px)?,
        format: PixelFormat::Rgb888,
        pixels: picture.rgb.clone(),
    })
}

/// One reading of every output of the program.
pub(crate) fn output_steps(file: &ModelFile) -> Result<Vec<Step>> {
    let view = file.view()?;
    let outputs = view.program().outputs.iter().enumerate();
    Ok(outputs
        .filter_map(|(index, tensor)| {
            Some(Step::Output {
                index: index as u8,
                len: view.tensor(tensor)?.len_bytes,
            })
        })
        .collect())
}

/// The outputs of a run out of a board's answers, in the order of the program.
pub(crate) fn outcome(file: &ModelFile, answers: &[Answer]) -> Result<Outcome> {
    let view = file.view()?;
    let bytes = answers.iter().filter_map(|answer| match answer {
        Answer::Output(bytes) => Some(bytes),
        _ => None,
    });
    let outputs = view
        .program()
        .outputs
        .iter()
        .zip(bytes)
        .map(|(tensor, bytes)| {
            let info = view
                .tensor(tensor)
                .context("the model names a tensor that it does not have")?;
            Ok(Tapped {
                shape: info.shape().iter().map(|&size| size as usize).collect(),
                qparams: info.qparams,
                dtype: info.dtype,
                values: bytes.iter().map(|&byte| byte as i8).collect(),
            })
        });
    Ok(Outcome {
        outputs: outputs.collect::<Result<_>>()?,
        ..Outcome::default()
    })
}

/// The word for the instruction set in a board's answers.
pub(crate) fn isa_in(answers: &[Answer]) -> Option<String> {
    answers.iter().find_map(|answer| match answer {
        Answer::Hello { isa, .. } => Some(isa.clone()),
        _ => None,
    })
}

/// Runs a model file on a board: a picture through its camera, arrays over its link.
pub(crate) fn run(board: Board, file: &ModelFile, given: &[Given]) -> Result<(Ran, String)> {
    let (inputs, geometry) = quantized_inputs(file, given)?;
    check_startable(&board)?;
    check_sizes(&board, file)?;
    let wanted = match given {
        [Given::Picture(_)] => Wanted::MODEL,
        _ => Wanted::RUN,
    };
    let ready = prepare(board, file, wanted, Variant::Plain)?;
    let mut job = Job::new(file.bytes.to_vec());
    job.steps = vec![Step::Hello, Step::Load];
    match given {
        [Given::Picture(picture)] => {
            job.frames.push(frame(picture)?);
            job.steps.push(Step::Capture { index: 0 });
        }
        _ => job.steps.extend(
            inputs
                .into_iter()
                .enumerate()
                .map(|(index, values)| Step::Input {
                    index: index as u8,
                    data: values.into_iter().map(|v| v as u8).collect(),
                }),
        ),
    }
    job.steps.push(Step::Infer { progress: true });
    job.steps.extend(output_steps(file)?);
    let answers = converse(&ready, &job)?;
    let isa = isa_in(&answers).unwrap_or_else(|| ready.board.isa.name().to_owned());
    Ok((
        Ran {
            outcome: outcome(file, &answers)?,
            geometry,
        },
        isa,
    ))
}

/// Proves that a model file and its arena have a place on a board.
///
/// # Errors
/// Which tensor and layer are in the way, and what would help.
pub(crate) fn check_sizes(board: &Board, file: &ModelFile) -> Result<()> {
    let needs = anatomy::needs_of(file)?;
    match fit(board, &needs)?.why_not() {
        Some(reason) => Err(refused(board, &reason, &needs)?),
        None => Ok(()),
    }
}

/// Only emulated boards and this machine can be started: a file for real hardware builds, and is not measured on the PC in its place.
pub(crate) fn check_startable(board: &Board) -> Result<()> {
    if board.emulator.is_none() && (board.is_bare_metal() || board.triple.is_some()) {
        bail!(
            "board `{}` has no [emulator] in its file, and this version starts emulated boards and this machine only; `ocellus build` makes \
             its image",
            board.name
        );
    }
    Ok(())
}
