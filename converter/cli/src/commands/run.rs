//! `ocellus run`: a model on its inputs, here or on a board.

use std::path::Path;

use anyhow::{Context, Result, bail};
use ocellus_compile::interpret::{Outcome, Tapped, Taps};
use ocellus_data::{Array, TaskRecipe, Values, write_npy};
use ocellus_format::{BorderType, DType, Isa, Preprocess, QParams, Task};
use ocellus_image::Geometry;
use ocellus_import::ReferenceInput;
use ocellus_kernels::{Kernels, WithKernels, best, dispatch};
use serde_json::{Map, Value, json};

use crate::answer::{self, Answer, Output};
use crate::args::RunArgs;
use crate::board;
use crate::commands::convert::{isa_named, sha256};
use crate::float::FloatRuntime;
use crate::input::{Border, Given, assign};
use crate::layout::{PictureAxes, transpose};
use crate::output::print_json;
use crate::source::{ModelFile, Source, is_model_file};

/// An input or an output in its user's terms.
pub(crate) struct UserArray {
    pub(crate) name: String,
    pub(crate) array: Array,
}

impl UserArray {
    fn dtype(&self) -> &'static str {
        match self.array.values {
            Values::F32(_) => "f32",
            Values::U8(_) => "u8",
            Values::I8(_) => "s8",
            Values::I32(_) => "s32",
            Values::I64(_) => "s64",
        }
    }

    fn sha256(&self) -> String {
        let bytes: Vec<u8> = match &self.array.values {
            Values::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::U8(values) => values.clone(),
            Values::I8(values) => values.iter().map(|&v| v as u8).collect(),
            Values::I32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::I64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        hex::encode(sha256(&bytes))
    }
}

/// A run of a model file.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) geometry: Option<Geometry>,
}

pub(crate) fn run(args: &RunArgs, json: bool) -> Result<()> {
    let source = Source::new(&args.source)?;
    let ran = if is_model_file(&args.model)? {
        run_model_file(args)?
    } else {
        if args.board.is_some() || args.isa.is_some() {
            bail!(
                "{}: a board and an instruction set run .oce files; convert the model first",
                args.model.display()
            );
        }
        check_draw(
            args,
            matches!(source.recipe.task, Some(TaskRecipe::CenterFace(_))),
        )?;
        run_float(args, &source)?
    };
    let RunResult {
        inputs,
        outputs,
        answer,
        labels,
        isa,
        given,
    } = ran;
    if let Some(path) = &args.draw {
        draw(path, &given, &answer)?;
    }
    if let Some(folder) = &args.inputs_read {
        write_arrays(folder, &inputs)?;
    }
    if let Some(folder) = &args.outputs {
        write_arrays(folder, &outputs)?;
    }
    if json {
        let mut fields = Map::new();
        fields.insert("model".into(), json!(args.model));
        fields.insert(
            "board".into(),
            json!(args.board.as_deref().unwrap_or("host")),
        );
        fields.insert("isa".into(), isa.into());
        let rows = outputs
            .iter()
            .map(|o| json!({ "name": o.name, "shape": o.array.shape, "dtype": o.dtype(), "sha256": o.sha256() }))
            .collect::<Vec<_>>();
        fields.insert("outputs".into(), rows.into());
        answer.add_to(&mut fields, &labels);
        return print_json(Value::Object(fields));
    }
    for output in &outputs {
        println!(
            "output {} {:?} {} sha256 {}",
            output.name,
            output.array.shape,
            output.dtype(),
            output.sha256()
        );
    }
    for line in answer.lines(&labels) {
        println!("{line}");
    }
    Ok(())
}

/// Writes each array as `.npy` under its name.
fn write_arrays(folder: &Path, arrays: &[UserArray]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut used: Vec<String> = Vec::new();
    for (index, array) in arrays.iter().enumerate() {
        let mut name = file_name(&array.name);
        if used.contains(&name) {
            name = format!("{name}_{index}");
        }
        used.push(name.clone());
        write_npy(&folder.join(format!("{name}.npy")), &array.array)?;
    }
    Ok(())
}

/// An array's name without what file systems give a meaning.
fn file_name(array: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    array
        .chars()
        .map(|c| if kept(c) { c } else { '_' })
        .collect()
}

/// Says before the run that there will be nothing to draw.
fn check_draw(args: &RunArgs, detects: bool) -> Result<()> {
    match &args.draw {
        Some(_) if !detects => bail!(
            "{}: --draw draws detections, and the recipe of this model names no detection task; leave --draw out, or convert with a recipe that \
             has one",
            args.model.display()
        ),
        Some(path) if !matches!(path.extension(), Some(extension) if extension == "png") => {
            bail!(
                "{}: --draw writes a PNG; give a name that ends in .png",
                path.display()
            )
        }
        _ => Ok(()),
    }
}

fn draw(path: &Path, given: &[Given], answer: &Answer) -> Result<()> {
    let Some(detections) = &answer.detections else {
        return Ok(());
    };
    let Some(mut picture) = given.first().and_then(Given::picture).cloned() else {
        bail!("--draw needs a picture as input");
    };
    for d in detections {
        picture.draw_box(
            [d.bbox.x0, d.bbox.y0, d.bbox.x1, d.bbox.y1],
            2,
            [255, 64, 0],
        );
    }
    Ok(picture.write_png(path)?)
}

/// What came of a run, and what it was given.
struct RunResult {
    /// As the model read them; none where nobody asks.
    inputs: Vec<UserArray>,
    outputs: Vec<UserArray>,
    answer: Answer,
    labels: Vec<String>,
    isa: String,
    given: Vec<Given>,
}

fn run_model_file(args: &RunArgs) -> Result<RunResult> {
    let file = ModelFile::open(&args.model)?;
    let given = assign(&borders(&file), &args.inputs)?;
    let (_, task, labels) = file.task()?;
    check_draw(args, matches!(task, Task::CenterFace { .. }))?;
    let (ran, isa) = match &args.board {
        Some(name) => board::run(board::find(name)?, &file, &given)?,
        None => {
            let isa = args.isa.as_deref().map(isa_named).transpose()?;
            let ran = run_here(&file, &given, isa, Taps::None)?;
            (ran, isa.unwrap_or_else(best).name().to_owned())
        }
    };
    let answer = answer::answer(&file.interpreter, &ran.outcome, task, ran.geometry);
    Ok(RunResult {
        inputs: match args.inputs_read {
            Some(_) => user_inputs(&file, &given)?,
            None => Vec::new(),
        },
        outputs: user_outputs(&file, &ran.outcome),
        answer,
        labels,
        isa,
        given,
    })
}

/// Values as numbers of the source's type: `real` of what is stored as `quantized`.
fn in_the_users_type(border: BorderType, quantized: Vec<i8>, real: Vec<f32>) -> Values {
    match border {
        BorderType::F32 => Values::F32(real),
        BorderType::U8 => Values::U8(
            quantized
                .iter()
                .map(|&q| (i16::from(q) + 128) as u8)
                .collect(),
        ),
        BorderType::S8 => Values::I8(quantized),
        BorderType::S32 => Values::I32(real.iter().map(|&v| v as i32).collect()),
        BorderType::S64 => Values::I64(real.iter().map(|&v| v as i64).collect()),
    }
}

/// A model file's inputs as its first operators read them.
pub(crate) fn inputs_read(file: &ModelFile, given: &[Given]) -> Result<Vec<Tapped>> {
    let (inputs, _) = quantized_inputs(file, given)?;
    let read = borders(file).into_iter().zip(inputs).enumerate();
    Ok(read
        .map(|(position, (border, values))| Tapped {
            shape: border.order.iter().map(|&a| border.shape[a]).collect(),
            qparams: qparams(file, position),
            dtype: file.interpreter.input_dtype(position).unwrap_or(DType::S8),
            values,
        })
        .collect())
}

/// The same as the source's user knows them.
fn user_inputs(file: &ModelFile, given: &[Given]) -> Result<Vec<UserArray>> {
    let sources = file.interpreter.info().inputs.iter();
    let inputs = sources.zip(borders(file)).zip(inputs_read(file, given)?);
    Ok(inputs
        .enumerate()
        .map(|(position, ((source, border), read))| {
            let mut order = vec![0; border.order.len()];
            for (axis, &from) in border.order.iter().enumerate() {
                order[from] = axis;
            }
            let real = transpose(&read.shape, &read.dequantized(), &order);
            let quantized = file.interpreter.quantize_input(position, &real);
            let array = Array {
                shape: border.shape,
                values: in_the_users_type(source.border, quantized, real),
            };
            UserArray {
                name: border.name,
                array,
            }
        })
        .collect())
}

/// The outputs as the source's user knows them.
pub(crate) fn user_outputs(file: &ModelFile, outcome: &Outcome) -> Vec<UserArray> {
    let assembled = file.interpreter.assemble(outcome);
    let raw = file.interpreter.assemble_quantized(outcome);
    let outputs = file
        .interpreter
        .info()
        .outputs
        .iter()
        .zip(assembled)
        .zip(raw);
    outputs
        .map(|((border, (name, shape, real)), quantized)| {
            let values = in_the_users_type(border.border, quantized, real);
            UserArray {
                name,
                array: Array { shape, values },
            }
        })
        .collect()
}

/// A model file's inputs in its user's terms.
pub(crate) fn borders(file: &ModelFile) -> Vec<Border> {
    let inputs = file.interpreter.info().inputs.iter();
    inputs
        .map(|input| Border {
            name: input.name.clone(),
            shape: input.shape.iter().map(|&size| size as usize).collect(),
            order: input.order.iter().map(|&axis| usize::from(axis)).collect(),
        })
        .collect()
}

/// The bytes of a model file's inputs, as a device would make them.
pub(crate) fn quantized_inputs(
    file: &ModelFile,
    given: &[Given],
) -> Result<(Vec<Vec<i8>>, Option<Geometry>)> {
    let (preprocess, _, _) = file.task()?;
    let mut geometry = None;
    let mut inputs = Vec::new();
    for (position, (border, given)) in borders(file).iter().zip(given).enumerate() {
        if given.picture().is_some() && preprocess.is_none() {
            bail!("input `{}` is no picture; give a .npy file", border.name);
        }
        let preprocess = preprocess.unwrap_or(PLAIN);
        let q = qparams(file, position);
        let quantize = |values: &[f32]| file.interpreter.quantize_input(position, values);
        let (values, place) = given.quantized(border, &preprocess, q, quantize)?;
        geometry = geometry.or(place);
        inputs.push(values);
    }
    Ok((inputs, geometry))
}

/// Scale and zero point of an input.
fn qparams(file: &ModelFile, position: usize) -> QParams {
    let known = file.interpreter.input_qparams(position);
    known.unwrap_or(QParams {
        scale: 1.0,
        zero_point: 0,
    })
}

const PLAIN: Preprocess = Preprocess {
    fit: ocellus_format::Fit::Stretch,
    colour: ocellus_format::Colour::Rgb,
    mean: [0.0; 3],
    std: [1.0; 3],
};

/// Runs on this machine, to the bit as a device; `None`: on the best kernels that it has.
pub(crate) fn run_here(
    file: &ModelFile,
    given: &[Given],
    isa: Option<Isa>,
    taps: Taps<'_>,
) -> Result<Ran> {
    struct Work<'a>(&'a ModelFile, &'a [Vec<i8>], Taps<'a>);
    impl WithKernels for Work<'_> {
        type Output = Result<Outcome, ocellus_compile::interpret::InterpretError>;
        fn run<K: Kernels>(self, kernels: K) -> Self::Output {
            self.0.interpreter.run(kernels, self.1, self.2)
        }
    }
    let (inputs, geometry) = quantized_inputs(file, given)?;
    let isa = isa.unwrap_or_else(best);
    let outcome = dispatch(isa, Work(file, &inputs, taps)).with_context(|| {
        format!(
            "this machine has no kernels for `{}`; run it on a board with --board",
            isa.name()
        )
    })??;
    Ok(Ran { outcome, geometry })
}

/// A float model's input in its user's terms; the reference keeps the file's order of axes.
pub(crate) fn reference_border(input: &ReferenceInput) -> Border {
    Border {
        name: input.name.clone(),
        shape: input.shape.clone(),
        order: (0..input.shape.len()).collect(),
    }
}

fn run_float(args: &RunArgs, source: &Source) -> Result<RunResult> {
    let runtime = FloatRuntime::open(&args.model, source)?;
    let borders: Vec<Border> = runtime.inputs().iter().map(reference_border).collect();
    let given = assign(&borders, &args.inputs)?;
    let real = |name, shape, values| UserArray {
        name,
        array: Array {
            shape,
            values: Values::F32(values),
        },
    };
    let read = match args.inputs_read {
        Some(_) => float_inputs(&runtime, source, &given)?,
        None => Vec::new(),
    };
    let (outputs, answer) = float_answer(&runtime, source, &given)?;
    Ok(RunResult {
        inputs: borders
            .into_iter()
            .zip(read)
            .map(|(border, (values, _))| real(border.name, border.shape, values))
            .collect(),
        outputs: outputs
            .into_iter()
            .map(|o| real(o.name, o.shape, o.values))
            .collect(),
        answer,
        labels: source.recipe.labels.clone(),
        isa: "float".to_owned(),
        given,
    })
}

/// A float model's inputs in the file's order of axes, and where a picture lies in them.
fn float_inputs(
    runtime: &FloatRuntime,
    source: &Source,
    given: &[Given],
) -> Result<Vec<(Vec<f32>, Option<Geometry>)>> {
    let inputs = runtime.inputs();
    let inputs = inputs.iter().zip(given);
    inputs
        .map(|(input, given)| {
            given.in_file_order(&reference_border(input), &source.preprocess(input.border)?)
        })
        .collect()
}

/// Runs a float model and decodes its outputs by the recipe, with the same task code as a device.
pub(crate) fn float_answer(
    runtime: &FloatRuntime,
    source: &Source,
    given: &[Given],
) -> Result<(Vec<ocellus_import::ReferenceOutput>, Answer)> {
    let read = float_inputs(runtime, source, given)?;
    let geometry = read.iter().find_map(|&(_, place)| place);
    let slices: Vec<&[f32]> = read.iter().map(|(values, _)| values.as_slice()).collect();
    let outputs = runtime.run(&slices)?;
    let names: Vec<String> = outputs.iter().map(|output| output.name.clone()).collect();
    let task = source.task(&names)?;
    // Tasks read maps with the channels last; a file in NCHW has them first.
    let channels_first = runtime
        .inputs()
        .first()
        .and_then(|input| PictureAxes::of(&input.shape))
        .is_some_and(|axes| !axes.channels_last);
    let channels_last: Vec<(Vec<usize>, Vec<f32>)> = outputs
        .iter()
        .map(|output| match (output.shape.len(), channels_first) {
            (4, true) => {
                let s = &output.shape;
                (
                    vec![s[0], s[2], s[3], s[1]],
                    transpose(s, &output.values, &[0, 2, 3, 1]),
                )
            }
            _ => (output.shape.clone(), output.values.clone()),
        })
        .collect();
    let maps: Vec<Output<&[f32]>> = channels_last
        .iter()
        .map(|(shape, values)| Output {
            shape: shape.clone(),
            values: values.as_slice(),
        })
        .collect();
    let answer = answer::decode(&maps, task, geometry);
    Ok((outputs, answer))
}
