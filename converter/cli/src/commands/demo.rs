//! `ocellus demo`: the main job, whole. CenterFace finds the faces of a photograph on an emulated Cortex-M55; O-Net judges crops on an
//! emulated Cortex-M4 from on-chip memory.

mod faces;
mod onet;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ocellus_data::{Picture, Recipe, write_whole};
use ocellus_evaluate::FaceScore;
use ocellus_setup::{Host, Need, Terminal, catalogue, ensure as ensure_needs};
use serde_json::json;

use crate::args::DemoArgs;
use crate::board;
use crate::commands::convert::{Calibrate, Converted, Request, convert, fits_table};
use crate::output::{grouped, print_json, table};
use crate::sizes;
use crate::source::{ModelFile, Source};
use ocellus_board_file::Board;
use ocellus_ir::passes::Checking;

/// Least overlap with a label of a face that counts as found.
pub(super) const MATCH_IOU: f32 = 0.4;

/// A line of the demo's table.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) found: String,
    pub(super) false_positives: String,
    pub(super) cost: String,
    pub(super) ram_bytes: Option<u64>,
    pub(super) flash_bytes: Option<u64>,
}

pub(crate) fn run(args: &DemoArgs, json: bool) -> Result<()> {
    let host = Host::here()?;
    let (m55, m4) = (board::find("qemu-m55")?, board::find("qemu-m4")?);
    let mut needs = Need::for_board(&m55);
    needs.extend(Need::for_board(&m4));
    needs.extend(catalogue::ALL.iter().map(|package| Need::Package(package)));
    needs.push(Need::CyclesPlugin);
    step("getting what is missing");
    ensure_needs(&needs, &host, &Terminal::new())?;
    std::fs::create_dir_all(&args.output).with_context(|| args.output.display().to_string())?;

    let inputs = Inputs::open(&host)?;
    let faces = faces::run(args, &inputs, m55.clone())?;
    let page = faces::report(args, &inputs, &faces, m55)?;
    let crops = onet::run(args, &host, &inputs, &faces, m4)?;

    let rows: Vec<Vec<String>> = faces
        .rows
        .iter()
        .chain(&crops.rows)
        .map(Row::cells)
        .collect();
    let header = [
        "",
        "found",
        "false",
        "time or instructions",
        "RAM, bytes",
        "flash, bytes",
    ];
    let exact = if faces.bit_exact && crops.bit_exact {
        "agree byte for byte"
    } else {
        "DIFFER"
    };
    eprint!("\n{}", table(&header, &rows));
    eprintln!(
        "\nPC and device {exact}; the picture with its boxes is {}, the report on the detector {}",
        faces.picture.display(),
        page.display()
    );
    if json {
        print_json(json!({
            "faces_labelled": inputs.labels.len(), "faces_float": faces.float.found, "faces_host": faces.host.found,
            "faces_board": faces.board.found, "false_float": faces.float.false_positives, "false_host": faces.host.false_positives,
            "false_board": faces.board.false_positives, "bit_exact": faces.bit_exact && crops.bit_exact,
            "picture": faces.picture, "report": page, "instructions": faces.instructions, "macs_on_simd_share": faces.simd_share,
            "onet_crops": crops.crops, "onet_agreement": crops.agreement, "onet_instructions": crops.instructions,
            "onet_ram_bytes": crops.rows.last().and_then(|row| row.ram_bytes),
            "onet_flash_bytes": crops.rows.last().and_then(|row| row.flash_bytes),
        }))?;
    }
    ensure!(
        faces.bit_exact && crops.bit_exact,
        "PC and device differ: that is a bug; please report it with the model files in {}",
        args.output.display()
    );
    Ok(())
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let bytes = |value: Option<u64>| value.map_or("-".to_owned(), grouped);
        vec![
            self.what.clone(),
            self.found.clone(),
            self.false_positives.clone(),
            self.cost.clone(),
            bytes(self.ram_bytes),
            bytes(self.flash_bytes),
        ]
    }
}

pub(super) fn step(what: &str) {
    eprintln!("\n== {what}");
}

/// What the demo works on.
pub(super) struct Inputs {
    pub(super) centerface: PathBuf,
    pub(super) onet: PathBuf,
    /// The photograph that is tested on.
    pub(super) photograph: Picture,
    /// Its labelled faces.
    pub(super) labels: Vec<ocellus_tasks::BBox>,
    /// Other pictures.
    pub(super) calibration: Vec<PathBuf>,
}

impl Inputs {
    fn open(host: &Host) -> Result<Inputs> {
        let file = |package: &ocellus_setup::Package, name: &str| {
            package
                .path(host, name)
                .with_context(|| format!("{name} is missing from its package"))
        };
        let photograph = Picture::open(&file(&catalogue::SOLVAY, catalogue::SOLVAY_PICTURE)?)?;
        let labels = faces::read_labels(&file(&catalogue::SOLVAY, catalogue::SOLVAY_LABELS)?)?;
        let calibration: Vec<PathBuf> = catalogue::CALIBRATION
            .iter()
            .flat_map(|package| package.paths(host))
            .collect();
        Ok(Inputs {
            centerface: file(&catalogue::CENTERFACE, "centerface.onnx")?,
            onet: file(&catalogue::ONET, "onet.onnx")?,
            photograph,
            labels,
            calibration,
        })
    }
}

/// A recipe that ships with the tool.
pub(super) fn recipe(text: &str, name: &str) -> Result<Source> {
    Ok(Source::with_recipe(Recipe::parse(
        text,
        std::path::Path::new(name),
    )?))
}

/// Converts for a board, writes the file and says what it needs everywhere.
pub(super) fn convert_for(
    args: &DemoArgs,
    model: &std::path::Path,
    source: &Source,
    board: &Board,
    calibrate: Calibrate,
    name: &str,
) -> Result<(Converted, ModelFile)> {
    let request = Request {
        source,
        target: board::target(board)?,
        memories: board::memories(board),
        calibrate,
        every: 1,
        method: None,
        auto: None,
        no_pass: &[],
        checking: Checking::default(),
    };
    let converted = convert(model, &request)?;
    write_whole(&args.output.join(name), &converted.compiled.bytes)?;
    let report = &converted.compiled.report;
    eprintln!(
        "{name}: {} bytes of flash, {} bytes of arena, {} multiply-accumulates",
        grouped(report.model_bytes),
        grouped(report.arena_bytes),
        grouped(report.macs)
    );
    let fit = board::fit(board, report)?;
    if report.parts.len() > 1 {
        eprint!("{}", sizes::parts_table(&report.parts, &fit.arena_regions));
    }
    eprint!("{}", fits_table(&board::fits_everywhere(report)?));
    let file = ModelFile::from_bytes(&converted.compiled.bytes)?;
    Ok((converted, file))
}

/// `found of labelled`.
pub(super) fn found(score: &FaceScore) -> String {
    format!("{} of {}", score.found, score.labelled)
}
