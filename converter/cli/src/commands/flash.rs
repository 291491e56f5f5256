//! `ocellus flash`: builds the image and starts it with the model.

use anyhow::{Context, Result};
use ocellus_board_host::{Answer, Job, Step};
use ocellus_data::Picture;
use serde_json::json;

use crate::args::FlashArgs;
use crate::board::{check_startable, converse, frame, isa_in, joined, outcome, output_steps};
use crate::commands::build::build;
use crate::input::Given;
use crate::output::{grouped, print_json};
use crate::source::ModelFile;

pub(crate) fn run(args: &FlashArgs, json: bool) -> Result<()> {
    let file = ModelFile::open(&args.build.model)?;
    let picture = args.camera.as_deref().map(Picture::open).transpose()?;
    check_startable(&crate::board::find(&args.build.board)?)?;
    let ready = build(&args.build, &file)?;
    let mut job = Job::new(file.bytes.to_vec());
    job.steps = vec![Step::Hello, Step::Verify, Step::Load];
    if let Some(picture) = &picture {
        job.frames.push(frame(picture)?);
        job.steps
            .extend([Step::Capture { index: 0 }, Step::Infer { progress: true }]);
        job.steps.extend(output_steps(&file)?);
    }
    job.steps.push(Step::Memory);
    let answers = converse(&ready, &job)?;
    let memory = memory(&answers).context("the board did not say what memory it uses")?;
    let (_, task, labels) = file.task()?;
    let answer = match picture {
        Some(picture) => {
            let given = [Given::Picture(Box::new(picture))];
            let (_, geometry) = crate::commands::run::quantized_inputs(&file, &given)?;
            crate::answer::answer(
                &file.interpreter,
                &outcome(&file, &answers)?,
                task,
                geometry,
            )
        }
        None => crate::answer::Answer::default(),
    };
    if json {
        let mut fields = serde_json::Map::new();
        let values = json!({
            "model": args.build.model, "board": ready.board.name, "isa": isa_in(&answers), "verified": true,
            "arena_bytes": memory.arena_bytes, "arena_region": memory.region, "stack_bytes": memory.stack_used_bytes,
        });
        if let serde_json::Value::Object(values) = values {
            fields.extend(values);
        }
        answer.add_to(&mut fields, &labels);
        return print_json(serde_json::Value::Object(fields));
    }
    println!(
        "board `{}` runs {}; arena {} bytes in {}",
        ready.board.name,
        args.build.model.display(),
        grouped(u64::from(memory.arena_bytes)),
        memory.region
    );
    for line in answer.lines(&labels) {
        println!("{line}");
    }
    Ok(())
}

/// What the firmware uses of the board's memory.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) stack_used_bytes: Option<u32>,
    pub(crate) statics_bytes: Option<u32>,
    pub(crate) arena_bytes: u32,
    /// The region of the arena, or those of its parts with ` + ` between.
    pub(crate) region: String,
}

/// The answer to [`Step::Memory`].
pub(crate) fn memory(answers: &[Answer]) -> Option<Memory> {
    answers.iter().find_map(|answer| match answer {
        Answer::Memory {
            stack_used_bytes,
            statics_bytes,
            arena_bytes,
            parts,
            ..
        } => Some(Memory {
            stack_used_bytes: *stack_used_bytes,
            statics_bytes: *statics_bytes,
            arena_bytes: *arena_bytes,
            region: joined(parts.iter().map(|(region, _)| region.as_str())),
        }),
        _ => None,
    })
}
