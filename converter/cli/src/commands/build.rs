//! `ocellus build`: the firmware image for a board and a model.

use anyhow::{Context, Result};
use ocellus_board_host::{Variant, model_place};
use serde_json::json;

use crate::args::BuildArgs;
use crate::board::{self, Ready, Wanted};
use crate::keys;
use crate::output::{grouped, print_json};
use crate::source::ModelFile;

pub(crate) fn run(args: &BuildArgs, json: bool) -> Result<()> {
    let file = ModelFile::open(&args.model)?;
    let ready = build(args, &file)?;
    let place = model_place(&ready.board, file.bytes.len() as u64)?;
    let code_bytes = ready.image.as_ref().map(|image| image.code_bytes);
    if json {
        return print_json(json!({
            "model": args.model, "board": ready.board.name, "image": ready.image.as_ref().map(|image| image.elf.clone()),
            "operators": args.operators, "code_bytes": code_bytes, "model_bytes": file.bytes.len(),
            "image_bytes": code_bytes.map(|code| code + file.bytes.len() as u64),
            "statics_bytes": ready.image.as_ref().map(|image| image.statics_bytes),
            "model_address": place.as_ref().map(|place| place.address), "model_region": place.as_ref().map(|place| place.region.clone()),
        }));
    }
    let Some(image) = &ready.image else {
        println!(
            "board `{}` is this machine: its firmware is part of this tool",
            ready.board.name
        );
        return Ok(());
    };
    println!("{}", image.elf.display());
    println!(
        "code {} bytes, variables {} bytes, model {} bytes",
        grouped(image.code_bytes),
        grouped(image.statics_bytes),
        grouped(file.bytes.len() as u64)
    );
    if let Some(place) = place {
        println!("the model lies in {} at {:#x}", place.region, place.address);
    }
    Ok(())
}

/// Builds the image that the arguments ask for, and proves that the model fits the board.
pub(crate) fn build(args: &BuildArgs, file: &ModelFile) -> Result<Ready> {
    let board = board::find(&args.board)?;
    board::check_sizes(&board, file).with_context(|| args.model.display().to_string())?;
    let wanted = Wanted {
        all_operators: args.operators == "all",
        vision: !args.without_vision,
    };
    match &args.require_signature {
        Some(key) => board::prepare_signed(board, file, wanted, &keys::public(key)?),
        None => board::prepare(board, file, wanted, Variant::Plain),
    }
}
