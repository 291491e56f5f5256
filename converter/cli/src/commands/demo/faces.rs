//! CenterFace on the photograph: float here, int8 here, int8 on the board.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use ocellus_board_file::Board;
use ocellus_board_host::{Job, Step, Variant};
use ocellus_compile::interpret::Taps;
use ocellus_cycles::report::{Kind, Report};
use ocellus_data::Picture;
use ocellus_evaluate::{FaceScore, match_boxes};
use ocellus_tasks::{BBox, Detection};

use super::{Inputs, MATCH_IOU, Row, convert_for, found, recipe, step};
use crate::answer;
use crate::args::DemoArgs;
use crate::board::{self, Wanted};
use crate::commands::bench::plugin_option;
use crate::commands::convert::Calibrate;
use crate::commands::flash::memory;
use crate::commands::report;
use crate::commands::run::{float_answer, run_here};
use crate::float::FloatRuntime;
use crate::input::Given;
use crate::output::grouped;
use crate::source::{ModelFile, Source};

/// What came of it.
pub(super) struct Faces {
    pub(super) rows: Vec<Row>,
    pub(super) float: FaceScore,
    pub(super) host: FaceScore,
    pub(super) board: FaceScore,
    pub(super) bit_exact: bool,
    pub(super) detections: Vec<Detection>,
    pub(super) picture: PathBuf,
    pub(super) instructions: u64,
    pub(super) simd_share: f64,
    /// The model file, to look for faces in other pictures.
    pub(super) file: ModelFile,
}

/// Writes the page on the detector: its costs and memories on the board, and its error against float on the photograph.
pub(super) fn report(
    args: &DemoArgs,
    inputs: &Inputs,
    faces: &Faces,
    m55: Board,
) -> Result<PathBuf> {
    step("CenterFace: the report");
    let photograph = Given::Picture(Box::new(inputs.photograph.clone()));
    let request = report::Request {
        model: Path::new("centerface.oce"),
        board: Some(m55),
        bench: None,
        against: Some((&inputs.centerface, source()?)),
        inputs: &mut std::iter::once(Ok(photograph)),
    };
    let mut page = report::assemble(&faces.file, request)?;
    page.headline.instructions = Some(faces.instructions);
    let path = args.output.join("report.html");
    report::write(&page, &path)?;
    Ok(path)
}

/// What CenterFace's file leaves open.
fn source() -> Result<Source> {
    recipe(
        include_str!("../../../recipes/centerface.toml"),
        "centerface.toml",
    )
}

pub(super) fn run(args: &DemoArgs, inputs: &Inputs, m55: Board) -> Result<Faces> {
    step("CenterFace: converting to int8");
    let source = source()?;
    let calibrate = Calibrate::Pictures(inputs.calibration.clone());
    let (converted, file) = convert_for(
        args,
        &inputs.centerface,
        &source,
        &m55,
        calibrate,
        "centerface.oce",
    )?;
    let given = [Given::Picture(Box::new(inputs.photograph.clone()))];

    step("CenterFace in float on this PC");
    let runtime = FloatRuntime::open(&inputs.centerface, &source)?;
    let start = Instant::now();
    let (_, float) = float_answer(&runtime, &source, &given)?;
    let float_time = start.elapsed();
    let float = float
        .detections
        .context("the float model found no answer")?;

    step("CenterFace in int8 on this PC");
    let start = Instant::now();
    let here = run_here(&file, &given, None, Taps::None)?;
    let host_time = start.elapsed();
    let (_, task, _) = file.task()?;
    let host = answer::answer(&file.interpreter, &here.outcome, task, here.geometry)
        .detections
        .context("no answer")?;

    step("CenterFace in int8 on the Cortex-M55: building the image");
    board::check_sizes(&m55, &file)?;
    let ready = board::prepare(m55, &file, Wanted::MODEL, Variant::Plain)?;
    step("CenterFace in int8 on the Cortex-M55: the photograph before the camera");
    let counts = args.output.join("centerface-counts.json");
    let mut job = Job::new(file.bytes.to_vec());
    job.plugin = Some(plugin_option(&ready.host, &std::path::absolute(&counts)?)?);
    job.frames.push(board::frame(&inputs.photograph)?);
    job.steps = vec![
        Step::Hello,
        Step::Verify,
        Step::Load,
        Step::Capture { index: 0 },
        Step::Infer { progress: false },
    ];
    job.steps.extend(board::output_steps(&file)?);
    job.steps.extend([Step::Task, Step::Memory]);
    let answers = board::converse(&ready, &job)?;
    let there = board::outcome(&file, &answers)?;
    let detections = answers
        .iter()
        .find_map(|answer| match answer {
            ocellus_board_host::Answer::Task { detections, .. } => {
                Some(detections.iter().map(detection).collect::<Vec<_>>())
            }
            _ => None,
        })
        .context("the board gave no faces")?;
    let memory = memory(&answers).context("the board did not say what memory it uses")?;
    let instructions = Report::read(&counts)?
        .of(Kind::Inference)
        .next()
        .context("no inference was counted")?
        .counts
        .instructions;
    let same_tensors = there.outputs == here.outcome.outputs;
    let same_faces =
        detections.len() == host.len() && detections.iter().zip(&host).all(|(a, b)| a == b);
    if !same_faces && same_tensors {
        eprintln!(
            "the tensors are equal and the faces are not: {} on the board, {} here",
            detections.len(),
            host.len()
        );
    }

    let score = |detections: &[Detection]| match_boxes(&inputs.labels, detections, MATCH_IOU);
    let (float, host_score, board_score) = (score(&float), score(&host), score(&detections));
    let picture = args.output.join("faces.png");
    draw(&inputs.photograph, &inputs.labels, &detections).write_png(&picture)?;
    let image = ready.image.as_ref().context("the board needs an image")?;
    let file_bytes = file.bytes.len() as u64;
    let ram = [
        u64::from(memory.arena_bytes),
        memory.statics_bytes.unwrap_or(0).into(),
        memory.stack_used_bytes.unwrap_or(0).into(),
    ];
    eprintln!(
        "arena in {}; {:.1} % of the multiply-accumulates on Helium kernels",
        memory.region,
        100.0 * converted.compiled.report.simd_share()
    );
    let row = |what: &str, score: &FaceScore, cost: String, ram_bytes, flash_bytes| Row {
        what: what.to_owned(),
        found: found(score),
        false_positives: score.false_positives.to_string(),
        cost,
        ram_bytes,
        flash_bytes,
    };
    Ok(Faces {
        rows: vec![
            row(
                "CenterFace, float on this PC",
                &float,
                format!("{:.0} ms", float_time.as_secs_f64() * 1e3),
                None,
                None,
            ),
            row(
                "CenterFace, int8 on this PC",
                &host_score,
                format!("{:.0} ms", host_time.as_secs_f64() * 1e3),
                None,
                Some(file_bytes),
            ),
            row(
                "CenterFace, int8 on qemu-m55",
                &board_score,
                format!("{} instructions", grouped(instructions)),
                Some(ram.iter().sum()),
                Some(image.code_bytes + file_bytes),
            ),
        ],
        float,
        host: host_score,
        board: board_score,
        bit_exact: same_tensors && same_faces,
        detections,
        picture,
        instructions,
        simd_share: converted.compiled.report.simd_share(),
        file,
    })
}

fn detection(d: &ocellus_board_host::Detection) -> Detection {
    let [x0, y0, x1, y1] = d.bbox;
    Detection {
        bbox: BBox { x0, y0, x1, y1 },
        score: d.score,
        class_id: u32::from(d.class_id),
    }
}

/// Found faces in orange; labelled faces that were not found in blue.
fn draw(photograph: &Picture, labels: &[BBox], detections: &[Detection]) -> Picture {
    let mut picture = photograph.clone();
    for label in labels
        .iter()
        .filter(|label| detections.iter().all(|d| d.bbox.iou(label) < MATCH_IOU))
    {
        picture.draw_box([label.x0, label.y0, label.x1, label.y1], 2, [0, 96, 255]);
    }
    for d in detections {
        picture.draw_box(
            [d.bbox.x0, d.bbox.y0, d.bbox.x1, d.bbox.y1],
            2,
            [255, 128, 0],
        );
    }
    picture
}

/// Four corners a face, each a line `row column`, below a line with a name.
pub(super) fn read_labels(path: &Path) -> Result<Vec<BBox>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut boxes = Vec::new();
    let mut corners: Vec<(f32, f32)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let values: Vec<f32> = line
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        match values[..] {
            [row, column] => corners.push((row, column)),
            _ if line.starts_with("detection") || line.trim().is_empty() => continue,
            _ => bail!(
                "{}: line {}: expected `row column`",
                path.display(),
                number + 1
            ),
        }
        if corners.len() == 4 {
            let bound = |pick: fn(&(f32, f32)) -> f32, best: fn(f32, f32) -> f32| {
                corners.iter().map(pick).reduce(best).unwrap_or(0.0)
            };
            boxes.push(BBox {
                x0: bound(|c| c.1, f32::min),
                y0: bound(|c| c.0, f32::min),
                x1: bound(|c| c.1, f32::max),
                y1: bound(|c| c.0, f32::max),
            });
            corners.clear();
        }
    }
    if boxes.is_empty() || !corners.is_empty() {
        bail!(
            "{}: no faces, or a face without four corners",
            path.display()
        );
    }
    Ok(boxes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_corners_are_a_box() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.txt");
        std::fs::write(&path, "detection_0\n376 35\n376 114\n454 35\n454 114\n").unwrap();
        assert_eq!(
            read_labels(&path).unwrap(),
            [BBox {
                x0: 35.0,
                y0: 376.0,
                x1: 114.0,
                y1: 454.0
            }]
        );
        std::fs::write(&path, "detection_0\n376 35\n").unwrap();
        assert!(read_labels(&path).is_err());
    }
}
