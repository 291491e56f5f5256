//! O-Net on crops: is it a face? On the Cortex-M4, from on-chip memory alone.

use anyhow::{Context, Result, ensure};
use ocellus_board_file::{Board, Role};
use ocellus_board_host::{Job, Step, Variant};
use ocellus_compile::interpret::Taps;
use ocellus_cycles::report::{Kind, Report};
use ocellus_data::Picture;
use ocellus_import::TractReference;
use ocellus_setup::Host;
use ocellus_tasks::{BBox, Detection};

use super::faces::Faces;
use super::{Inputs, Row, convert_for, recipe, step};
use crate::answer;
use crate::args::DemoArgs;
use crate::board::{self, Wanted};
use crate::commands::bench::plugin_option;
use crate::commands::convert::Calibrate;
use crate::commands::flash::memory;
use crate::commands::run::{quantized_inputs, reference_border, run_here};
use crate::input::Given;
use crate::output::{grouped, progress};

/// The output with the probabilities of background and face.
const PROBABILITIES: &str = "softmax_2";

/// What came of it.
pub(super) struct Crops {
    pub(super) rows: Vec<Row>,
    pub(super) crops: usize,
    pub(super) agreement: f64,
    pub(super) bit_exact: bool,
    pub(super) instructions: u64,
}

pub(super) fn run(
    args: &DemoArgs,
    host: &Host,
    inputs: &Inputs,
    faces: &Faces,
    m4: Board,
) -> Result<Crops> {
    step("O-Net: looking for faces in the calibration pictures");
    let calibration = calibration_crops(inputs, faces)?;
    step("O-Net: converting to int8");
    let source = recipe(include_str!("../../../recipes/onet.toml"), "onet.toml")?;
    let (_, file) = convert_for(
        args,
        &inputs.onet,
        &source,
        &m4,
        Calibrate::Given(calibration),
        "onet.oce",
    )?;

    let crops = test_crops(&inputs.photograph, faces, &inputs.labels);
    ensure!(
        !crops.is_empty(),
        "the board found no face, so there is nothing to crop"
    );
    let reference = TractReference::load(&inputs.onet, &source.import_options(&inputs.onet)?)?;
    let position = file
        .interpreter
        .info()
        .outputs
        .iter()
        .position(|output| output.name == PROBABILITIES)
        .with_context(|| format!("the model has no output `{PROBABILITIES}`"))?;

    step("O-Net in int8 on the Cortex-M4");
    board::check_sizes(&m4, &file)?;
    let ready = board::prepare(m4, &file, Wanted::RUN, Variant::Plain)?;
    let counts = args.output.join("onet-counts.json");
    let mut totals = Totals::default();
    let mut memory_used = None;
    let mut instructions = 0;
    let bar = progress(crops.len() as u64, "crops");
    // The first crop runs under the counter, all others without it: counting slows the emulator down.
    for batch in [&crops[..1], &crops[1..]] {
        let counted = batch.len() == 1;
        let mut job = Job::new(file.bytes.to_vec());
        if counted {
            job.plugin = Some(plugin_option(host, &std::path::absolute(&counts)?)?);
        }
        job.steps = vec![Step::Hello, Step::Load];
        for crop in batch {
            let (values, _) = quantized_inputs(&file, std::slice::from_ref(&crop.given))?;
            let data = values.into_iter().flatten().map(|v| v as u8).collect();
            job.steps.extend([
                Step::Input { index: 0, data },
                Step::Infer { progress: false },
            ]);
            job.steps.extend(board::output_steps(&file)?);
        }
        job.steps.push(Step::Memory);
        let answers = board::converse(&ready, &job)?;
        memory_used = memory(&answers).or(memory_used);
        if counted {
            instructions = Report::read(&counts)?
                .of(Kind::Inference)
                .next()
                .context("no inference was counted")?
                .counts
                .instructions;
        }
        let outputs = file.view()?.program().outputs.iter().count();
        let bytes: Vec<_> = answers
            .into_iter()
            .filter(|answer| matches!(answer, ocellus_board_host::Answer::Output(_)))
            .collect();
        for (crop, bytes) in batch.iter().zip(bytes.chunks(outputs)) {
            let there = board::outcome(&file, bytes)?;
            let here =
                run_here(&file, std::slice::from_ref(&crop.given), None, Taps::None)?.outcome;
            let border = reference
                .inputs()
                .next()
                .map(reference_border)
                .context("the model has no input")?;
            let preprocess = source.recipe.preprocess().map_err(anyhow::Error::msg)?;
            let (values, _) = crop.given.in_file_order(&border, &preprocess)?;
            let float = reference.run(&[&values])?;
            let float = float
                .iter()
                .find(|output| output.name == PROBABILITIES)
                .context("no probabilities")?;
            let assembled = file.interpreter.assemble(&there);
            totals.add(
                crop.is_face,
                is_face(&float.values),
                is_face(&assembled[position].2),
                there.outputs == here.outputs,
            );
            bar.inc(1);
        }
    }
    bar.finish_and_clear();

    let memory = memory_used.context("the board did not say what memory it uses")?;
    let on_chip = ready
        .board
        .slots_of(Role::Arena)
        .any(|(_, region)| region.name == memory.region && region.on_chip);
    ensure!(
        on_chip,
        "O-Net's arena lies in {}, which is not on the chip",
        memory.region
    );
    let image = ready.image.as_ref().context("the board needs an image")?;
    let ram = [
        u64::from(memory.arena_bytes),
        memory.statics_bytes.unwrap_or(0).into(),
        memory.stack_used_bytes.unwrap_or(0).into(),
    ];
    eprintln!(
        "arena in {}, on the chip; int8 on the board says the same as float on {} of {} crops",
        memory.region, totals.agree, totals.crops
    );
    let flash = image.code_bytes + file.bytes.len() as u64;
    let row = |what: &str, right: usize, wrong: usize, cost: String, ram_bytes, flash_bytes| Row {
        what: what.to_owned(),
        found: format!("{right} of {}", totals.faces),
        false_positives: wrong.to_string(),
        cost,
        ram_bytes,
        flash_bytes,
    };
    Ok(Crops {
        rows: vec![
            row(
                "O-Net, float on this PC",
                totals.float_right,
                totals.float_wrong,
                "-".to_owned(),
                None,
                None,
            ),
            row(
                "O-Net, int8 on qemu-m4",
                totals.board_right,
                totals.board_wrong,
                format!("{} instructions", grouped(instructions)),
                Some(ram.iter().sum()),
                Some(flash),
            ),
        ],
        crops: totals.crops,
        agreement: totals.agree as f64 / totals.crops.max(1) as f64,
        bit_exact: totals.equal == totals.crops,
        instructions,
    })
}

/// The network gives `[background, face]`.
fn is_face(probabilities: &[f32]) -> bool {
    matches!(probabilities, [background, face] if face > background)
}

#[derive(Default)]
struct Totals {
    crops: usize,
    faces: usize,
    agree: usize,
    equal: usize,
    float_right: usize,
    float_wrong: usize,
    board_right: usize,
    board_wrong: usize,
}

impl Totals {
    fn add(&mut self, truth: bool, float: bool, board: bool, equal: bool) {
        self.crops += 1;
        self.faces += usize::from(truth);
        self.agree += usize::from(float == board);
        self.equal += usize::from(equal);
        self.float_right += usize::from(truth && float);
        self.float_wrong += usize::from(!truth && float);
        self.board_right += usize::from(truth && board);
        self.board_wrong += usize::from(!truth && board);
    }
}

/// A crop that is tested on.
struct Crop {
    given: Given,
    is_face: bool,
}

/// A square of the picture, rows and columns exchanged as the network was trained.
fn square(picture: &Picture, bbox: &BBox) -> Picture {
    let side = (bbox.x1 - bbox.x0).max(bbox.y1 - bbox.y0).round().max(8.0) as u32;
    let (x, y) = ((bbox.x0 + bbox.x1) / 2.0, (bbox.y0 + bbox.y1) / 2.0);
    let half = f64::from(side) / 2.0;
    let crop = picture.crop(
        (f64::from(x) - half).round() as i64,
        (f64::from(y) - half).round() as i64,
        side,
        side,
    );
    let mut exchanged = crop.clone();
    for row in 0..side {
        for column in 0..side {
            let to = (column * side + row) as usize * 3;
            exchanged.rgb[to..to + 3].copy_from_slice(&crop.frame().rgb(column, row));
        }
    }
    exchanged
}

/// Boxes of the given sizes at places that no face touches, always the same for the same picture.
fn background(picture: &Picture, faces: &[BBox], sizes: &[BBox]) -> Vec<BBox> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |limit: u32| {
        // Xorshift64*, the upper bits.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as u32 % limit.max(1)
    };
    let mut boxes = Vec::new();
    for size in sizes {
        let side = (size.x1 - size.x0).max(size.y1 - size.y0).max(8.0);
        for _ in 0..1000 {
            let (x, y) = (
                next(picture.width_px) as f32,
                next(picture.height_px) as f32,
            );
            let place = BBox {
                x0: x,
                y0: y,
                x1: x + side,
                y1: y + side,
            };
            let inside =
                place.x1 <= picture.width_px as f32 && place.y1 <= picture.height_px as f32;
            if inside && faces.iter().all(|face| face.iou(&place) == 0.0) {
                boxes.push(place);
                break;
            }
        }
    }
    boxes
}

/// The faces that the board found and as many pieces of background.
fn test_crops(photograph: &Picture, faces: &Faces, labels: &[BBox]) -> Vec<Crop> {
    let found: Vec<BBox> = faces.detections.iter().map(|d| d.bbox).collect();
    let taken: Vec<BBox> = found.iter().chain(labels).copied().collect();
    let other = background(photograph, &taken, &found);
    let crop = |bbox: &BBox, is_face| Crop {
        given: Given::Picture(Box::new(square(photograph, bbox))),
        is_face,
    };
    found
        .iter()
        .map(|bbox| crop(bbox, true))
        .chain(other.iter().map(|bbox| crop(bbox, false)))
        .collect()
}

/// Faces that CenterFace finds in the calibration pictures, and background beside them.
fn calibration_crops(inputs: &Inputs, faces: &Faces) -> Result<Vec<Given>> {
    let (_, task, _) = faces.file.task()?;
    let mut crops = Vec::new();
    let bar = progress(inputs.calibration.len() as u64, "looking for faces");
    for path in &inputs.calibration {
        let picture = Picture::open(path)?;
        let given = [Given::Picture(Box::new(picture.clone()))];
        let ran = run_here(&faces.file, &given, None, Taps::None)?;
        let found: Vec<Detection> =
            answer::answer(&faces.file.interpreter, &ran.outcome, task, ran.geometry)
                .detections
                .unwrap_or_default();
        let boxes: Vec<BBox> = found.iter().map(|d| d.bbox).collect();
        let some_size = BBox {
            x0: 0.0,
            y0: 0.0,
            x1: 64.0,
            y1: 64.0,
        };
        let sizes = if boxes.is_empty() {
            vec![some_size; 2]
        } else {
            boxes.clone()
        };
        let other = background(&picture, &boxes, &sizes);
        crops.extend(
            boxes
                .iter()
                .chain(&other)
                .map(|bbox| Given::Picture(Box::new(square(&picture, bbox)))),
        );
        bar.inc(1);
    }
    bar.finish_and_clear();
    ensure!(!crops.is_empty(), "the calibration pictures gave no crops");
    Ok(crops)
}
