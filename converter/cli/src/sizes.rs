//! What a model takes of a board before it is flashed: code from the linked image, weights and arena from the file, region by region.

use anyhow::Result;
use ocellus_board_file::{Board, Role, Slot};
use ocellus_board_host::{Contents, Image, Variant, build_image};
use ocellus_compile::report::PartReport;
use ocellus_report::{Part, Region};
use ocellus_setup::{DeviceToolchain, Host, Terminal};

use crate::board::part_slots;
use crate::output::{grouped, table};
use crate::source::ModelFile;

/// The image for a run of a model on a board without operating system; `None` for others, and, with a note, where its compiler is not here.
pub(crate) fn image(board: &Board, file: &ModelFile) -> Result<Option<Image>> {
    let Some(triple) = board.triple.as_ref().filter(|_| board.is_bare_metal()) else {
        return Ok(None);
    };
    let host = Host::here()?;
    if DeviceToolchain::find(&host, triple).is_none() {
        eprintln!(
            "note: the firmware's size is not known: no compiler for {triple} is here; `ocellus doctor --fix` gets it"
        );
        return Ok(None);
    }
    let contents = Contents::run(&file.view()?);
    let built = build_image(&host, board, &contents, Variant::Plain, &Terminal::new())?;
    Ok(built)
}

/// The regions of a board, and what the model, its arena and its firmware take of each. None on a board with an operating system.
///
/// # Errors
/// A part that has no place on the board.
pub(crate) fn regions(
    board: &Board,
    file: &ModelFile,
    image: Option<&Image>,
) -> Result<Vec<Region>> {
    if !board.is_bare_metal() {
        return Ok(Vec::new());
    }
    let mut regions: Vec<Region> = board
        .regions
        .iter()
        .map(|region| Region {
            name: region.name.clone(),
            kind: region.kind.name(),
            size_bytes: region.size_bytes,
            parts: Vec::new(),
        })
        .collect();
    let stack_bytes = board.stack_bytes();
    let mut parts = vec![
        (Role::Model, "model", file.bytes.len() as u64, true),
        (Role::Statics, "stack", stack_bytes, false),
    ];
    if let Some(image) = image {
        parts.push((Role::Code, "code", image.code_bytes, true));
        parts.push((Role::Statics, "variables", image.statics_bytes, true));
    }
    let mut lies_in = |slot: &Slot, what: &'static str, bytes, exact| {
        let region = regions.iter_mut().find(|region| region.name == slot.region);
        let Some(region) = region else { return };
        match region.parts.iter_mut().find(|part| part.what == what) {
            // Two parts of the arena in one memory.
            Some(part) => part.bytes += bytes,
            None => region.parts.push(Part {
                what,
                bytes,
                slot_bytes: slot.size_bytes,
                exact,
            }),
        }
    };
    for (role, what, bytes, exact) in parts {
        let (slot, _) = board.place(role, bytes)?;
        lies_in(slot, what, bytes, exact);
    }
    let view = file.view()?;
    for ((slot, _), part) in part_slots(board, file)?
        .into_iter()
        .zip(view.parts().iter())
    {
        lies_in(slot, "arena", part.len() as u64, true);
    }
    Ok(regions)
}

/// The same as a table for people.
pub(crate) fn regions_table(regions: &[Region]) -> String {
    let rows: Vec<Vec<String>> = regions
        .iter()
        .flat_map(|region| region.parts.iter().map(move |part| (region, part)))
        .map(|(region, part)| {
            vec![
                region.name.clone(),
                part.what.to_owned(),
                grouped(part.bytes),
                grouped(part.slot_bytes),
                if part.exact { "exact" } else { "reserved" }.to_owned(),
            ]
        })
        .collect();
    table(&["region", "holds", "bytes", "of", ""], &rows)
}

/// The parts of the arena, and what a run moves in each.
pub(crate) fn parts_table(parts: &[PartReport], regions: &[String]) -> String {
    let all: u64 = parts.iter().map(|part| part.moved.total()).sum();
    let rows: Vec<Vec<String>> = parts
        .iter()
        .zip(regions)
        .map(|(part, region)| {
            vec![
                region.clone(),
                grouped(part.bytes),
                grouped(part.moved.read_bytes),
                grouped(part.moved.written_bytes),
                format!(
                    "{:.1}",
                    100.0 * part.moved.total() as f64 / all.max(1) as f64
                ),
            ]
        })
        .collect();
    let head = [
        "arena in",
        "bytes",
        "read in a run",
        "written",
        "% of all moved",
    ];
    table(&head, &rows)
}
